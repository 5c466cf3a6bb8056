//! Signup: a new user with a first session.

use super::{Accounts, Started, login::outcome, rules, token, username::Username};
use crate::store_call::within;
use madang_protocol::{ErrorCode, Refusal, UserId};
use madang_store::{
    accounts::{AddressKey, CreatedUsers, NewUser},
    limits::Verdict,
};

/// What a new user wishes.
pub struct Signup {
    /// The name to log in with.
    pub username: String,
    /// The password; secret.
    pub password: String,
    /// The name shown; absent: the username.
    pub display_name: Option<String>,
}

impl Accounts {
    /// Makes a user and starts their first session.
    ///
    /// `forbidden` when signup is closed, `invalid` naming the field, `rate_limited` when the
    /// address signed up too often, `username_taken`.
    pub async fn signup(&self, wish: Signup, address: AddressKey) -> Result<Started, Refusal> {
        let answer = self.try_signup(wish, address).await;
        self.parts.metrics.signup(outcome(&answer));
        answer
    }

    async fn try_signup(&self, wish: Signup, address: AddressKey) -> Result<Started, Refusal> {
        if !self.signup_open {
            return Err(Refusal::new(ErrorCode::Forbidden, "signup is closed"));
        }
        let (username, display_name) = check(&wish)?;
        self.count_signup(address).await?;
        let hash = self.parts.hasher.hash(wish.password).await?;
        let user = UserId(token::random_id()?);
        let (session, started) = self.new_session(user, Some(address))?;
        let new = NewUser {
            user,
            username: username.typed,
            username_folded: username.folded,
            display_name,
            password_hash: Some(hash),
            created_at: session.created_at,
            session,
        };
        match within(self.write_wait, self.parts.store.create_users(vec![new])).await? {
            CreatedUsers::All => Ok(started),
            CreatedUsers::UsernameTaken { .. } => {
                Err(Refusal::new(ErrorCode::UsernameTaken, "another user has that name"))
            }
        }
    }

    /// Only signups that would do something count: not those with a misspelt field.
    async fn count_signup(&self, address: AddressKey) -> Result<(), Refusal> {
        match self.parts.limits.count_signup(address, self.parts.clock.now()).await {
            Verdict::Allowed => Ok(()),
            Verdict::Wait(wait_ms) => {
                let message = "too many signups from this address";
                Err(Refusal::new(ErrorCode::RateLimited, message).after(wait_ms))
            }
        }
    }
}

fn check(wish: &Signup) -> Result<(Username, String), Refusal> {
    let invalid = |field: &'static str| move |reason| Refusal::invalid(field, reason);
    let username = Username::parse(&wish.username).map_err(invalid("username"))?;
    rules::check_password(&wish.password).map_err(invalid("password"))?;
    let display_name = wish.display_name.as_deref().unwrap_or(&wish.username);
    rules::check_display_name(display_name).map_err(invalid("display_name"))?;
    Ok((username, display_name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(username: &str, password: &str, display: Option<&str>) -> Result<String, String> {
        let (username, password) = (username.to_owned(), password.to_owned());
        let display_name = display.map(str::to_owned);
        let checked = check(&Signup { username, password, display_name });
        let field = |refusal: Refusal| refusal.field.unwrap_or_default().into_owned();
        checked.map(|(_, display_name)| display_name).map_err(field)
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (answer, expected) in [
            (checked("ann", "12345678", None), Ok("ann")),
            (checked("Ann", "12345678", Some("Ann Lee")), Ok("Ann Lee")),
            (checked("a", "12345678", None), Err("username")),
            (checked("ann", "1234567", None), Err("password")),
            (checked("ann", "12345678", Some("")), Err("display_name")),
        ] {
            assert_eq!(answer, expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
