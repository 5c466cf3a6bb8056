//! File descriptors: each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors the node needs beside its connections: the store's file, threads, listeners, and
/// those of clients that are being told that there is no place.
const RESERVED: u64 = 256;

/// Raises the soft limit to the hard one, which is what an operator means to allow. Returns how
/// many connections it leaves place for: beyond that a client is refused by a word, not by an
/// accept that fails.
pub fn raise_limit() -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "cannot raise the limit of file descriptors");
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(allowed.saturating_sub(RESERVED)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let places = raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(limit.current.is_none_or(|current| places as u64 <= current));
    }
}
