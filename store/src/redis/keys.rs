//! Names of keys.
//!
//! ```text
//! madang:chat:v1:presence:{1f}:0011...
//!        │    │  │        │    └ whose, as hexadecimal or as typed
//!        │    │  │        └ bucket: the hash tag, so that a cluster keeps a bucket in one slot
//!        │    │  └ kind
//!        │    └ format of the values; another version of it does not see these
//!        └ cluster
//! ```

use super::OpenError;
use std::fmt::Write;
use xxhash_rust::xxh3::xxh3_64;

/// Changes with the values' format.
const FORMAT: u32 = 1;
/// Enough to spread over the servers of a cluster, few enough that one pipeline for each is little.
const BUCKETS: u64 = 32;

/// Where keys are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bucket(u8);

impl Bucket {
    /// The bucket of whatever has these bytes as its name.
    pub(super) fn of(name: &[u8]) -> Self {
        Self((xxh3_64(name) % BUCKETS) as u8)
    }

    /// Every one there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..BUCKETS as u8).map(Self)
    }

    /// What its keys have in common.
    pub(super) fn tag(self) -> String {
        format!("{{{:02x}}}", self.0)
    }
}

/// What all keys of a cluster begin with.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// Braces, blanks and patterns are no names.
    pub(super) fn new(cluster: &str) -> Result<Self, OpenError> {
        let is_named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if cluster.is_empty() || !cluster.chars().all(is_named) {
            return Err(OpenError::Cluster);
        }
        Ok(Self { prefix: format!("madang:{cluster}:v{FORMAT}") })
    }

    /// The key of `name` among those of `kind`, as hexadecimal.
    pub(super) fn of(&self, kind: &str, name: &[u8]) -> (Bucket, String) {
        let (bucket, mut key) = self.begin(kind, name);
        for byte in name {
            write!(key, "{byte:02x}").expect("a string takes any text");
        }
        (bucket, key)
    }

    /// The key of `name` among those of `kind`, as it is.
    pub(super) fn of_text(&self, kind: &str, name: &str) -> (Bucket, String) {
        let (bucket, mut key) = self.begin(kind, name.as_bytes());
        key.push_str(name);
        (bucket, key)
    }

    /// The one key of this kind in a bucket, which is about all names there.
    pub(super) fn of_bucket(&self, kind: &str, bucket: Bucket) -> String {
        format!("{}:{kind}:{}", self.prefix, bucket.tag())
    }

    fn begin(&self, kind: &str, name: &[u8]) -> (Bucket, String) {
        let bucket = Bucket::of(name);
        (bucket, format!("{}:{kind}:{}:", self.prefix, bucket.tag()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_whose_they_are() {
        let keys = Keys::new("chat-1").unwrap();
        let (bucket, key) = keys.of("presence", &[0, 255]);
        assert_eq!(key, format!("madang:chat-1:v1:presence:{}:00ff", bucket.tag()));
        let (bucket, key) = keys.of_text("wrong", "álice");
        assert_eq!(key, format!("madang:chat-1:v1:wrong:{}:álice", bucket.tag()));
        assert_eq!(Bucket(31).tag(), "{1f}");
        assert_eq!(keys.of_bucket("ends", Bucket(31)), "madang:chat-1:v1:ends:{1f}");
        assert_eq!(Bucket::all().last(), Some(Bucket(31)));
        for cluster in ["", "a b", "{x}", "a*"] {
            assert_eq!(Keys::new(cluster).err(), Some(OpenError::Cluster), "{cluster}");
        }
    }

    #[test]
    fn buckets_are_used_evenly() {
        let mut used = [0; BUCKETS as usize];
        (0..32_000_u32).for_each(|n| used[Bucket::of(&n.to_be_bytes()).0 as usize] += 1);
        assert!(used.iter().all(|used| (800..1_200).contains(used)), "{used:?}");
    }
}
