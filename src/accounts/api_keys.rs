//! The keys of products that have accounts of their own.

use super::token::sha256;
use madang_protocol::{ErrorCode, Refusal};

/// The `api_keys` setting, hashed.
pub(super) struct ApiKeys(Vec<[u8; 32]>);

impl ApiKeys {
    pub(super) fn new(keys: &[String]) -> Self {
        Self(keys.iter().map(|key| sha256(key)).collect())
    }

    /// `forbidden` when there are no keys, `unauthenticated` when `shown` is none of them. Takes
    /// as long for a key that is nearly right as for any other: hashes are compared, all of them
    /// and to their ends.
    pub(super) fn check(&self, shown: Option<&str>) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::new(ErrorCode::Forbidden, "no API key is configured"));
        }
        let shown = shown.map(sha256);
        let is_known = shown.is_some_and(|shown| {
            self.0.iter().fold(false, |known, key| known | is_same(key, &shown))
        });
        match is_known {
            true => Ok(()),
            false => Err(Refusal::new(ErrorCode::Unauthenticated, "a valid API key is needed")),
        }
    }
}

fn is_same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(keys: &[&str], shown: Option<&str>) -> Option<ErrorCode> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        ApiKeys::new(&keys).check(shown).err().map(|refusal| refusal.code)
    }

    #[test]
    fn any_of_the_keys_and_nothing_else() {
        let keys = ["0123456789abcdef", "fedcba9876543210"];
        for (shown, expected) in [
            (Some("0123456789abcdef"), None),
            (Some("fedcba9876543210"), None),
            (Some("0123456789abcdeF"), Some(ErrorCode::Unauthenticated)),
            (Some("0123456789abcde"), Some(ErrorCode::Unauthenticated)),
            (Some(""), Some(ErrorCode::Unauthenticated)),
            (None, Some(ErrorCode::Unauthenticated)),
        ] {
            assert_eq!(code(&keys, shown), expected, "{shown:?}");
        }
        assert_eq!(code(&[], Some("")), Some(ErrorCode::Forbidden));
    }
}
