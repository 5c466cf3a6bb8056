//! What users change about themselves: the password, the name shown.

use super::{Accounts, rules, token, unauthenticated, username};
use crate::store_call::within;
use madang_protocol::{CloseCode, Refusal, UserId};
use madang_store::{
    accounts::{AddressKey, Profile, Session},
    cache::Forget,
};

impl Accounts {
    /// Gives the user of a session another password and ends all their other sessions, whose
    /// sockets close with 4001. `token` is the one of `session`.
    ///
    /// `invalid` naming `new`; otherwise refused as a login with the old password would be. A
    /// user without a password has no right one.
    pub async fn change_password(
        &self,
        session: Session,
        token: &str,
        old: String,
        new: String,
        address: AddressKey,
    ) -> Result<(), Refusal> {
        rules::check_password(&new).map_err(|reason| Refusal::invalid("new", reason))?;
        let account = username::fold(&self.profile(session.user).await?.username);
        let (_, turn) = self.prove(&account, old, address).await?;
        let hash = self.parts.hasher.hash(new).await?;
        let keep = token::hash_of(token).ok_or_else(unauthenticated)?;
        let store = self.parts.store.clone();
        let set = async move {
            let _turn = turn;
            let ended = store.set_password(keep, hash).await?;
            Ok((ended.is_some(), ended.unwrap_or_default()))
        };
        match self.ending(CloseCode::Unauthenticated, set).await? {
            true => Ok(()),
            false => Err(unauthenticated()),
        }
    }

    /// Gives a user another name to be shown; the profile with it. `invalid` naming the field.
    pub async fn change_display_name(
        &self,
        user: UserId,
        display_name: String,
    ) -> Result<Profile, Refusal> {
        let invalid = |reason| Refusal::invalid("display_name", reason);
        rules::check_display_name(&display_name).map_err(invalid)?;
        let set = self.parts.store.set_display_name(user, display_name);
        let changed = within(self.write_wait, set).await?;
        self.looks_different(user).await;
        changed.ok_or_else(unauthenticated)
    }

    /// Copies of how others see a user are not true any more.
    pub(super) async fn looks_different(&self, user: UserId) {
        let forget = Forget { profiles: vec![user], ..Forget::default() };
        self.parts.router.forget_copies(&forget).await;
    }
}
