//! Who asks.

use super::HttpContext;
use crate::{accounts::unauthenticated, edge::address};
use hyper::{HeaderMap, header::AUTHORIZATION};
use ipnet::IpNet;
use madang_protocol::{Refusal, UserId};
use madang_store::accounts::{AddressKey, Session};
use std::net::SocketAddr;

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// The address as limits count it.
    pub key: AddressKey,
}

impl Peer {
    /// Whom a request that came over a connection of `address` is from.
    pub(super) fn of(address: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        Self { key: address::key(address::client(address.ip(), headers, trusted)) }
    }
}

/// The bearer token of a request, unchecked.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = value.and_then(|value| value.split_once(' ')).unwrap_or_default();
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(token.trim()),
        false => Err(unauthenticated()),
    }
}

/// The session of a request.
pub(super) async fn session(
    headers: &HeaderMap,
    context: &HttpContext,
) -> Result<Session, Refusal> {
    context.accounts.authenticate(token(headers)?).await
}

/// The user of a request.
pub(super) async fn user(headers: &HeaderMap, context: &HttpContext) -> Result<UserId, Refusal> {
    session(headers, context).await.map(|session| session.user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens() {
        for (value, expected) in [
            (None, None),
            (Some("Bearer mdg_x"), Some("mdg_x")),
            (Some("bearer  mdg_x"), Some("mdg_x")),
            (Some("Basic mdg_x"), None),
            (Some("mdg_x"), None),
            (Some("Bearer"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(token(&headers).ok(), expected, "{value:?}");
        }
    }
}
