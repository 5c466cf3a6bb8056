//! How the tests of this process speak to their nodes. One suite runs as several test targets
//! (`tests/node`, `tests/node_tls.rs`, ...), each a process of its own with its own variant.

use std::sync::OnceLock;

/// The codec of WebSocket frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// `madang.v1.json`, text frames.
    #[default]
    Json,
    /// `madang.v1.msgpack`, binary frames.
    Msgpack,
}

/// What launcher and clients do without being told in each test. The default is plain JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variant {
    /// How clients write frames.
    pub codec: Codec,
    /// Whether nodes are started with a certificate, and clients connect by TLS.
    pub tls: bool,
}

static HOLDS: OnceLock<Variant> = OnceLock::new();

impl Variant {
    /// The variant a test target is named after: `node`, `node_tls`, `node_msgpack`.
    pub fn of_target(name: &str) -> Self {
        let has = |word| name.split('_').any(|part| part == word);
        let codec = if has("msgpack") { Codec::Msgpack } else { Codec::Json };
        Self { codec, tls: has("tls") }
    }

    /// Lets it hold in this process; a suite calls it wherever a test begins.
    ///
    /// # Panics
    /// When another one holds already.
    pub fn hold(self) {
        assert_eq!(*HOLDS.get_or_init(|| self), self, "one variant a process");
    }

    /// The one that holds.
    pub fn current() -> Self {
        HOLDS.get().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named_after_their_variant() {
        assert_eq!(Variant::of_target("node"), Variant::default());
        assert_eq!(Variant::of_target("node_tls"), Variant { tls: true, ..Variant::default() });
        assert_eq!(Variant::of_target("node_msgpack").codec, Codec::Msgpack);
    }
}
