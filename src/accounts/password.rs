//! Password hashes.
//!
//! Argon2id with 19 MiB of memory, 2 passes and 1 lane: the minimum that the OWASP Password Storage
//! Cheat Sheet names first for Argon2id (`m=19456, t=2, p=1`). The parameters stand in each hash,
//! so that raising them here leaves the old ones usable.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::{self, phc::PasswordHash},
};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Stands in for the hash of a user who does not exist, so that both take the same time. Its
/// parameters are those above; what it is the hash of is not known, and a match is not believed.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5c3NhbHQxMjM0NQ$\
                      AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The PHC string of a password, with a new salt. Takes some 20 ms and 19 MiB.
pub fn hash(password: &str) -> Result<String, password_hash::Error> {
    let hash: PasswordHash = algorithm()?.hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that was hashed. `None` for a user who does not exist or has no
/// password: takes the same time and is false. A hash that cannot be read is false, too.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    let Ok(algorithm) = algorithm() else { return false };
    let matches = algorithm.verify_password(password.as_bytes(), hash.unwrap_or(NOBODY)).is_ok();
    matches && hash.is_some()
}

fn algorithm() -> Result<Argon2<'static>, password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_matches() {
        let hash = hash("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, stored, matches) in [
            ("correct horse", Some(hash.as_str()), true),
            ("correct horsf", Some(hash.as_str()), false),
            ("correct horse", None, false),
            ("correct horse", Some("damaged"), false),
        ] {
            assert_eq!(verify(password, stored), matches, "{password} {stored:?}");
        }
        assert_ne!(super::hash("correct horse").unwrap(), hash, "salted");
    }

    #[test]
    fn nobody_costs_what_a_user_costs() {
        let parameters = |text: &str| text.split('$').take(4).collect::<Vec<_>>().join("$");
        let real = hash("correct horse").unwrap();
        assert_eq!(parameters(NOBODY), parameters(&real));
        assert_eq!(NOBODY.len(), real.len());
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
