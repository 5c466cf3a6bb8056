//! Bearer tokens, and random ids.
//!
//! A token is 256 bits from the operating system, written as `mdg_` and 43 characters of
//! base64url: the prefix lets secret scanners recognise a leaked one. Only its SHA-256 is kept. A
//! fast hash is enough, because there is nothing to guess in 256 random bits.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use madang_protocol::{ErrorCode, Refusal, id::ID_BYTES};
use madang_store::accounts::TokenHash;
use sha2::{Digest, Sha256};

const PREFIX: &str = "mdg_";
const SECRET_BYTES: usize = 32;
const TEXT_BYTES: usize = PREFIX.len() + (SECRET_BYTES * 4).div_ceil(3);

/// A token as its owner holds it. Secret: shown once, in the answer that makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn generate() -> Result<Self, Refusal> {
        let secret: [u8; SECRET_BYTES] = random_bytes()?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret))))
    }

    /// The text for its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> TokenHash {
        sha256(&self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a token that a client showed hashes to; `None` when it cannot be one of ours, so that
/// junk costs no look-up.
pub fn hash_of(text: &str) -> Option<TokenHash> {
    (text.len() == TEXT_BYTES && text.starts_with(PREFIX)).then(|| sha256(text))
}

pub(super) fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// The bytes of a new id.
pub fn random_id() -> Result<[u8; ID_BYTES], Refusal> {
    random_bytes()
}

fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], Refusal> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random numbers");
        Refusal::new(ErrorCode::Internal, "no random numbers")
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_and_never_repeats() {
        let (a, b) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(a, b);
        assert!(a.reveal().starts_with("mdg_") && a.reveal().len() == 47);
        assert_eq!(hash_of(a.reveal()), Some(a.hash()));
        assert_ne!(hash_of(b.reveal()), Some(a.hash()));
    }

    #[test]
    fn junk_is_no_token() {
        for text in ["", "mdg_", "x", &"x".repeat(47), &format!("mdg_{}", "A".repeat(44))] {
            assert_eq!(hash_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", Token::generate().unwrap()), "Token(..)");
    }
}
