//! What nodes announce of themselves, as bytes: MessagePack, a map by name, unknown fields passed
//! over, so that nodes of two versions hear each other.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// The bytes are no announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not understood")]
pub struct NotUnderstood;

/// What is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It would like to be a member; who is there says so at once.
    Join,
    /// It is there.
    Beat,
    /// It goes.
    Leave,
    /// A later version's.
    #[serde(other)]
    Other,
}

/// One node about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// What.
    pub kind: Kind,
    /// How long the node lives, ms: of two lives that is comparable without a clock in common, and
    /// tells the node itself when it said this.
    pub age_ms: u64,
    /// It is nobody's home any more, and answers still.
    #[serde(default)]
    pub draining: bool,
    /// Of its program.
    #[serde(default)]
    pub version: String,
    /// See [`Terms::fingerprint`].
    pub fingerprint: u64,
    /// What that was made from; only where somebody joins.
    #[serde(default)]
    pub terms: Option<BTreeMap<String, String>>,
}

impl Announcement {
    /// As it goes over the bus.
    pub fn encode(&self) -> Bytes {
        rmp_serde::to_vec_named(self).expect("plain data is always encoded").into()
    }

    /// As it came.
    pub fn decode(body: &[u8]) -> Result<Self, NotUnderstood> {
        rmp_serde::from_slice(body).map_err(|_| NotUnderstood)
    }
}

/// What all nodes of a cluster must agree on: names and values of settings. No secrets, everybody
/// hears it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms(BTreeMap<String, String>);

impl Terms {
    /// These.
    pub fn new<N: Into<String>, V: ToString>(terms: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(terms.into_iter().map(|(name, value)| (name.into(), value.to_string())).collect())
    }

    /// As they are told.
    pub fn told(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    /// The same for the same terms, in every version of the program.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Xxh3::new();
        for word in self.0.iter().flat_map(|(name, value)| [name, value]) {
            hash.update(&(word.len() as u64).to_le_bytes());
            hash.update(word.as_bytes());
        }
        hash.digest()
    }

    /// What differs, for people: `send_wait_ms is 1 here and 2 there`.
    pub fn difference(&self, other: &BTreeMap<String, String>) -> String {
        let names: std::collections::BTreeSet<&String> =
            self.0.keys().chain(other.keys()).collect();
        let value = |of: &BTreeMap<String, String>, name: &String| {
            of.get(name).map_or_else(|| "unknown".to_owned(), |value| format!("{value:?}"))
        };
        let differing = names.into_iter().filter(|name| self.0.get(*name) != other.get(*name));
        let lines: Vec<String> = differing
            .map(|name| {
                format!("{name} is {} here and {} there", value(&self.0, name), value(other, name))
            })
            .collect();
        lines.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat() -> Announcement {
        let (kind, version) = (Kind::Beat, "1.0.0".to_owned());
        Announcement { kind, age_ms: 7, draining: true, version, fingerprint: 9, terms: None }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Announcement::decode(&beat().encode()), Ok(beat()));
    }

    #[test]
    fn a_later_version_may_say_more_and_junk_is_no_announcement() {
        #[derive(Serialize)]
        struct Later {
            kind: &'static str,
            age_ms: u64,
            fingerprint: u64,
            colour: &'static str,
        }
        let later = Later { kind: "sing", age_ms: 1, fingerprint: 2, colour: "red" };
        let read = Announcement::decode(&rmp_serde::to_vec_named(&later).unwrap()).unwrap();
        assert_eq!((read.kind, read.age_ms, read.draining), (Kind::Other, 1, false));
        let whole = beat().encode();
        for end in 0..whole.len() {
            assert_eq!(Announcement::decode(&whole[..end]), Err(NotUnderstood));
        }
    }

    #[test]
    fn a_difference_is_named() {
        let ours = Terms::new([("a", 1), ("b", 2)]);
        let theirs = Terms::new([("a", 1), ("b", 3), ("c", 4)]);
        assert_ne!(ours.fingerprint(), theirs.fingerprint());
        assert_eq!(ours.fingerprint(), Terms::new([("b", 2), ("a", 1)]).fingerprint());
        let difference = ours.difference(&theirs.told());
        assert_eq!(
            difference,
            "b is \"2\" here and \"3\" there, c is unknown here and \"4\" there"
        );
    }
}
