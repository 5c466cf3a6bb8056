//! Nodes, as they know each other.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A node's name: unique in its cluster, the same after a restart, part of a bus subject. 1 to 64 of
/// `A-Z a-z 0-9 _ -`. Cloning shares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

/// The longest name of a node, bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// What may not be a node's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a node's name is 1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 _ -")]
pub struct InvalidName;

impl NodeName {
    /// Checks it.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let is_usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
        (fits && name.bytes().all(is_usable)).then(|| Self(name.into())).ok_or(InvalidName)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for NodeName {
    type Error = InvalidName;
    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(&name)
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.as_str().to_owned()
    }
}

/// One life of a node. Incarnations are random, not clocks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// Tells this life from any other.
    pub incarnation: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_a_subject() {
        for name in ["a", "node-1", "A_b", &"x".repeat(NAME_BYTES_MAX)] {
            assert_eq!(NodeName::new(name).map(String::from), Ok(name.to_owned()));
        }
        for name in ["", "a.b", "a b", "*", ">", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(NodeName::new(name), Err(InvalidName));
        }
    }
}
