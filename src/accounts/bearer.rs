//! What connections know of accounts: whose a token is.

use super::Accounts;
use madang_actors::{
    connection::{Authentication, Authenticator},
    hub::Identity,
};
use madang_protocol::ErrorCode;
use madang_store::accounts::Session;
use std::sync::Arc;

/// Finds sessions by the accounts' tokens.
pub struct BearerTokens(pub Arc<Accounts>);

impl Authenticator for BearerTokens {
    fn authenticate(&self, token: Box<str>) -> Authentication {
        let accounts = self.0.clone();
        Box::pin(async move {
            match accounts.authenticate(&token).await {
                Ok(Session { user, session, .. }) => Ok(Some(Identity { user, session })),
                Err(refusal) if refusal.code == ErrorCode::Unauthenticated => Ok(None),
                Err(refusal) => Err(refusal),
            }
        })
    }
}
