//! Users of a product that has accounts of its own: it shows an API key, names a user as it knows
//! them, and gets a session for them.

use super::{
    Accounts, Started,
    login::{outcome, unblocked},
    rules, token,
    username::Username,
};
use madang_protocol::{CloseCode, ErrorCode, Refusal, UserId, id::ID_BYTES};
use madang_store::{
    accounts::{AddressKey, ExternalLogin, ExternalStarted, NewUser},
    limits::Verdict,
};
use std::fmt::Write as _;

/// Bytes of an external id.
const EXTERNAL_ID_BYTES: std::ops::RangeInclusive<usize> = 1..=128;

/// A user as a product knows them.
pub struct ExternalUser {
    /// The product's own id of the user: any text, compared byte for byte.
    pub external_id: String,
    /// The name others find the user by. Only the first call gives it; absent: one is made up.
    pub username: Option<String>,
    /// The name shown; absent: as it is, at first the username.
    pub display_name: Option<String>,
}

impl Accounts {
    /// Whether who shows this may start sessions for others: `forbidden` when nobody may,
    /// `unauthenticated` when it is no API key, which counts as a login from its address. One that
    /// is blocked is told so whatever it shows, or it could go on guessing.
    pub async fn check_api_key(
        &self,
        shown: Option<&str>,
        address: AddressKey,
    ) -> Result<(), Refusal> {
        let (limits, now) = (&self.parts.limits, self.parts.clock.now());
        let checked = self.api_keys.check(shown);
        unblocked(match checked.as_ref().map_err(|refusal| refusal.code) {
            Ok(()) => limits.is_blocked(address, now).await,
            Err(ErrorCode::Unauthenticated) => limits.count_login(address, now).await,
            Err(_) => Verdict::Allowed,
        })?;
        checked
    }

    /// Starts a session of the user of an external id, made by the first call, also when several
    /// come at once. Such a user has no password.
    ///
    /// A user who is there gets the display name that is given, since the product is where it is
    /// edited, but keeps the username: others know the user by it, and a login must not fail
    /// because somebody else took a new one. A display name the user chose here stays until the
    /// product gives another. Neither signups nor logins are counted to the address, which is the
    /// product's, nor is it remembered as one of the user.
    ///
    /// `invalid` naming the field; `username_taken` when the user is to be made.
    pub async fn start_external(&self, wish: ExternalUser) -> Result<Started, Refusal> {
        let answer = self.try_start_external(wish).await;
        self.parts.metrics.token(outcome(&answer));
        answer
    }

    async fn try_start_external(&self, wish: ExternalUser) -> Result<Started, Refusal> {
        let user = UserId(token::random_id()?);
        let username = check(&wish)?.map_or_else(made_up_username, Ok)?;
        let (session, started) = self.new_session(user, None)?;
        let new = NewUser {
            user,
            display_name: wish.display_name.clone().unwrap_or_else(|| username.typed.clone()),
            username: username.typed,
            username_folded: username.folded,
            password_hash: None,
            created_at: session.created_at,
            session,
        };
        let ExternalUser { external_id, display_name, .. } = wish;
        let is_named = display_name.is_some();
        let login = ExternalLogin { external_id, user: new, display_name };
        let (store, sessions_max) = (self.parts.store.clone(), self.sessions_max);
        let start = async move {
            Ok(match store.start_external_session(login, sessions_max).await? {
                ExternalStarted::Made => (Some(user), Vec::new()),
                ExternalStarted::Found { user, ended } => (Some(user), ended),
                ExternalStarted::UsernameTaken => (None, Vec::new()),
            })
        };
        match self.ending(CloseCode::Replaced, start).await? {
            Some(user) => {
                if is_named {
                    self.looks_different(user).await;
                }
                Ok(Started { user, ..started })
            }
            None => Err(Refusal::new(ErrorCode::UsernameTaken, "another user has that name")),
        }
    }
}

fn check(wish: &ExternalUser) -> Result<Option<Username>, Refusal> {
    if !EXTERNAL_ID_BYTES.contains(&wish.external_id.len()) {
        return Err(Refusal::invalid("external_id", "must be 1 to 128 bytes long"));
    }
    let username = wish.username.as_deref().map(Username::parse).transpose();
    let username = username.map_err(|reason| Refusal::invalid("username", reason))?;
    if let Some(display_name) = &wish.display_name {
        let invalid = |reason| Refusal::invalid("display_name", reason);
        rules::check_display_name(display_name).map_err(invalid)?;
    }
    Ok(username)
}

/// `user-` and 80 random bits: nobody has it, and nobody can have taken it before.
fn made_up_username() -> Result<Username, Refusal> {
    const RANDOM_BYTES: usize = 10;
    const _: () = assert!(RANDOM_BYTES <= ID_BYTES);
    let mut name = "user-".to_owned();
    for byte in &token::random_id()?[..RANDOM_BYTES] {
        let _ = write!(name, "{byte:02x}"); // writing to a string cannot fail
    }
    Username::parse(&name).map_err(|reason| Refusal::new(ErrorCode::Internal, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(external_id: &str, username: Option<&str>, display: Option<&str>) -> String {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let wish = ExternalUser {
            external_id: external_id.to_owned(),
            username: text(username),
            display_name: text(display),
        };
        match check(&wish) {
            Ok(_) => String::new(),
            Err(refusal) => refusal.field.unwrap_or_default().into_owned(),
        }
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let (longest, too_long) = ("é".repeat(64), "x".repeat(129));
        for (external_id, username, display_name, field) in [
            ("1", None, None, ""),
            (&longest, Some("ann"), Some("Ann Lee"), ""),
            (" \n\0", None, None, ""),
            ("", None, None, "external_id"),
            (&too_long, None, None, "external_id"),
            ("1", Some("a"), None, "username"),
            ("1", None, Some(" "), "display_name"),
        ] {
            assert_eq!(checked(external_id, username, display_name), field, "{external_id:?}");
        }
    }

    #[test]
    fn made_up_names_are_usernames_and_differ() {
        let (a, b) = (made_up_username().unwrap(), made_up_username().unwrap());
        assert_eq!(a.typed, a.folded);
        assert_ne!(a, b);
    }
}
