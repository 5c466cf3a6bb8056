//! What is needed to reach NATS, and why it may not be reached.

use crate::{Peer, subjects::ClusterName};
use std::{fmt, io, path::PathBuf, time::Duration};

/// How a node comes onto NATS.
#[derive(Debug, Clone)]
pub struct Options {
    /// Servers, any of which will do: `nats://host:4222` or `tls://host:4222`.
    pub urls: Vec<String>,
    /// Which of the clusters on these servers.
    pub cluster: ClusterName,
    /// This node, as the others will hear of it.
    pub me: Peer,
    /// How it shows who it is.
    pub credentials: Credentials,
    /// Certificates, PEM, of whom the servers' certificates are from; `None`: those of the system.
    pub certificate_authority: Option<PathBuf>,
    /// How long to wait for a server at the start.
    pub patience: Duration,
}

/// How a node shows who it is. Printed without what is secret.
#[derive(Clone, Default)]
pub enum Credentials {
    /// As the addresses say, or not at all.
    #[default]
    None,
    /// A user and its password.
    Password {
        /// The user.
        user: String,
        /// Its password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey, in a file.
    NkeyFile(PathBuf),
    /// A `.creds` file: a JWT and the seed of its nkey.
    File(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password",
            Self::Token(_) => "Token",
            Self::NkeyFile(_) => "NkeyFile",
            Self::File(_) => "File",
        })
    }
}

/// A server that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its name.
    pub server: String,
    /// Its version.
    pub version: String,
    /// The largest message it carries, bytes.
    pub payload_bytes_max: usize,
}

/// Why NATS cannot be used. Texts name servers by host and port, and nothing secret.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An address is none.
    #[error("not an address of a NATS server, such as nats://host:4222: {0}")]
    Address(String),
    /// A file cannot be read, or holds something else.
    #[error("cannot use {} for NATS: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The servers do not know who this is.
    #[error("NATS ({servers}) refuses the credentials")]
    Credentials {
        /// Which servers.
        servers: String,
    },
    /// They do, but do not let it do what a node does.
    #[error(
        "NATS does not let this node do its work: {said}; it needs publish and subscribe on {needed}"
    )]
    Permissions {
        /// What the server said.
        said: String,
        /// What must be allowed.
        needed: String,
    },
    /// A server is older than what a cluster needs.
    #[error("the NATS server is {version}, at least {OLDEST_VERSION} is needed", OLDEST_VERSION = oldest())]
    Old {
        /// What it is.
        version: String,
    },
    /// None was reached in time.
    #[error("no NATS server ({servers}) was reached within {} s: {reason}", patience.as_secs())]
    Unreachable {
        /// Which were tried.
        servers: String,
        /// For how long.
        patience: Duration,
        /// What came of the last try.
        reason: String,
    },
    /// A server was reached but does not carry what it is given.
    #[error("the NATS server took messages on {needed} but did not deliver them within {} s", within.as_secs())]
    Silent {
        /// What was tried.
        needed: String,
        /// How long was waited.
        within: Duration,
    },
}

/// Servers before it can hide a subscriber for good (nats-io/nats-server#8233).
pub(super) const OLDEST: (u64, u64) = (2, 10);

fn oldest() -> String {
    format!("{}.{}", OLDEST.0, OLDEST.1)
}

/// The version is new enough; one that cannot be read is.
pub(super) fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST,
        _ => true,
    }
}

/// Where a server is, without who comes: an address may hold a password.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for new in ["2.10.0", "2.15.1", "3.0.0-beta", "nightly"] {
            assert!(is_new_enough(new), "{new}");
        }
        for old in ["2.9.10", "1.4", "2.9.25-RC.1"] {
            assert!(!is_new_enough(old), "{old}");
        }
    }

    #[test]
    fn addresses_are_named_without_their_secrets() {
        for (url, host) in [
            ("nats://user:p@ss@host:4222", "host:4222"),
            ("tls://token@host", "host"),
            ("host:1/x", "host:1"),
        ] {
            assert_eq!(host_of(url), host);
        }
        let credentials = Credentials::Token("secret".into());
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
