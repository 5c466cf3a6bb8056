//! Login: who may try, whether the password is right, and the session that follows.

use super::{Accounts, Started, turns::Turn, username};
use crate::metrics::Outcome;
use madang_protocol::{ErrorCode, Refusal, UserId};
use madang_store::{
    accounts::{AddressKey, Credentials, LOGIN_REMEMBERED_MS},
    limits::Verdict,
};
use std::time::Instant;

impl Accounts {
    /// Starts a session of the user with this name and password.
    ///
    /// `blocked` when the address logged in too often, `rate_limited` when the account had too
    /// many wrong passwords lately, `bad_credentials` when either is wrong, after the same time.
    pub async fn login(
        &self,
        username: &str,
        password: String,
        address: AddressKey,
    ) -> Result<Started, Refusal> {
        let answer = self.try_login(username, password, address).await;
        self.parts.metrics.login(outcome(&answer));
        answer
    }

    async fn try_login(
        &self,
        username: &str,
        password: String,
        address: AddressKey,
    ) -> Result<Started, Refusal> {
        // Until the session is there, so that none begins with a password just changed.
        let (user, turn) = self.prove(&username::fold(username), password, address).await?;
        let (session, started) = self.new_session(user, Some(address))?;
        self.start_session(session, turn).await?;
        Ok(started)
    }

    /// The user of this folded username, if the password is theirs; nobody else tries one of
    /// theirs meanwhile. Refuses, and counts, as [`Accounts::login`] says.
    pub(super) async fn prove(
        &self,
        account: &str,
        password: String,
        address: AddressKey,
    ) -> Result<(UserId, Turn), Refusal> {
        self.count_address(address).await?;
        let turn = self.take_turn(account).await?;
        let credentials = self.parts.reader.credentials(account.to_owned()).await?;
        let user = credentials.as_ref().map(|credentials| credentials.user);
        let known = self.knows_address(user, address).await?;
        if !known {
            self.may_try(account).await?;
        }
        let right = self.is_right(password, credentials).await?;
        let Some(user) = user.filter(|_| right) else {
            if !known {
                self.parts.limits.count_wrong(account, self.parts.clock.now()).await;
            }
            return Err(Refusal::new(ErrorCode::BadCredentials, "wrong username or password"));
        };
        self.parts.limits.forget_wrong(account).await;
        Ok((user, turn))
    }

    async fn take_turn(&self, account: &str) -> Result<Turn, Refusal> {
        let began = Instant::now();
        let turn = self.turns.take(account, self.turn_wait).await;
        match &turn {
            Err(refusal) if refusal.code == ErrorCode::Overloaded => {
                self.parts.metrics.logins_full();
            }
            _ => self.parts.metrics.login_waited(began.elapsed()),
        }
        turn
    }

    async fn count_address(&self, address: AddressKey) -> Result<(), Refusal> {
        unblocked(self.parts.limits.count_login(address, self.parts.clock.now()).await)
    }

    async fn may_try(&self, account: &str) -> Result<(), Refusal> {
        match self.parts.limits.may_try(account, self.parts.clock.now()).await {
            Verdict::Allowed => Ok(()),
            Verdict::Wait(wait_ms) => {
                let message = "too many wrong passwords";
                Err(Refusal::new(ErrorCode::RateLimited, message).after(wait_ms))
            }
        }
    }

    /// An address stays known to a user for some time after a login from it: wrong passwords that
    /// others try from elsewhere do not lock the user out there.
    async fn knows_address(
        &self,
        user: Option<UserId>,
        address: AddressKey,
    ) -> Result<bool, Refusal> {
        let Some(user) = user else { return Ok(false) };
        let last = self.parts.reader.last_login_from(user, address).await?;
        let since = self.parts.clock.now().saturating_sub(LOGIN_REMEMBERED_MS);
        Ok(last.is_some_and(|at| at >= since))
    }

    /// An unknown user costs a hash, too.
    async fn is_right(
        &self,
        password: String,
        credentials: Option<Credentials>,
    ) -> Result<bool, Refusal> {
        let hash = credentials.and_then(|credentials| credentials.password_hash);
        self.parts.hasher.verify(password, hash).await
    }
}

/// `blocked` for the time an address has to wait.
pub(super) fn unblocked(verdict: Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Allowed => Ok(()),
        Verdict::Wait(wait_ms) => {
            let message = "too many logins from this address";
            Err(Refusal::new(ErrorCode::Blocked, message).after(wait_ms))
        }
    }
}

/// The metric label of an ended login or signup.
pub(super) fn outcome(answer: &Result<Started, Refusal>) -> Outcome {
    match answer.as_ref().map_err(|refusal| refusal.code) {
        Ok(_) => Outcome::Ok,
        Err(ErrorCode::Blocked | ErrorCode::RateLimited) => Outcome::Limited,
        Err(ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::Internal) => {
            Outcome::Failed
        }
        Err(_) => Outcome::Refused,
    }
}
