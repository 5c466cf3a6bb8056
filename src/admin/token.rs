//! The operator's token: in the data directory, so that who may read the data may ask for it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use subtle::ConstantTimeEq;

/// The file within the data directory.
pub const FILE: &str = "admin-token";
/// Shows what a found token is for.
const PREFIX: &str = "mda_";
const TOKEN_BYTES: usize = 32;

/// The token cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("admin token in {path:?}: {reason}")]
pub struct TokenError {
    path: PathBuf,
    reason: String,
}

/// What a given token is held against: its hash.
pub(super) struct AdminToken([u8; 32]);

impl AdminToken {
    /// Reads the token of this data directory; makes one if there is none.
    pub(super) fn in_directory(directory: &Path) -> Result<Self, TokenError> {
        let path = directory.join(FILE);
        let token = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
            read => read,
        };
        let refused = |reason: String| TokenError { path: path.clone(), reason };
        let token = token.map_err(|error| refused(error.to_string()))?;
        match is_token(token.trim()) {
            true => Ok(Self(hash(token.trim()))),
            false => Err(refused("is no token; remove the file to get a new one".to_owned())),
        }
    }

    /// Whether this is the token, in a time that does not tell how much of it is right.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.ct_eq(&hash(given)).into()
    }
}

/// Under its name only when it is whole, for the owner's eyes only.
fn create(path: &Path) -> io::Result<String> {
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
    let unfinished = path.with_extension("new");
    let _ = fs::remove_file(&unfinished); // of a start that was cut short
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())?;
    Ok(token)
}

/// As they are made; a shorter one, written by hand, could be guessed.
fn is_token(text: &str) -> bool {
    let random = text.strip_prefix(PREFIX).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    random.is_some_and(|random| random.len() == TOKEN_BYTES)
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_and_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        AdminToken::in_directory(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        let token = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        let again = AdminToken::in_directory(directory.path()).unwrap();
        let token = token.trim();
        assert!(again.is(token));
        for wrong in ["", "mda_", &token[1..], &token[..token.len() - 1], &format!("{token}a")] {
            assert!(!again.is(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        for content in ["", "secret", "mda_c2hvcnQ"] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(FILE), content).unwrap();
            let refused = AdminToken::in_directory(directory.path()).err().unwrap().to_string();
            assert!(refused.contains(FILE) && !refused.contains("secret"), "{refused}");
        }
    }
}
