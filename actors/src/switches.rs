//! What an operator can switch off while the node runs, to shed load: never what was promised to be
//! kept.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Read wherever such a thing is about to be told; all are on at start. What is off is told to
/// nobody, and whoever asks for it is answered as always.
#[derive(Debug)]
pub struct Switches {
    presence: AtomicBool,
    typing: AtomicBool,
    receipts: AtomicBool,
}

/// The position of each, or a change of some: `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// Who is online.
    pub presence: Option<bool>,
    /// Who is typing.
    pub typing: Option<bool>,
    /// Who has read what, told to others; one's own `read_seq` is kept in any case.
    pub receipts: Option<bool>,
}

impl Switches {
    /// Whether it is told who is online.
    pub fn presence(&self) -> bool {
        self.presence.load(Relaxed)
    }

    /// Whether it is told who is typing.
    pub fn typing(&self) -> bool {
        self.typing.load(Relaxed)
    }

    /// Whether it is told who has read what.
    pub fn receipts(&self) -> bool {
        self.receipts.load(Relaxed)
    }

    /// Moves those that are named.
    pub fn set(&self, change: Positions) {
        let pairs = [
            (&self.presence, change.presence),
            (&self.typing, change.typing),
            (&self.receipts, change.receipts),
        ];
        for (switch, position) in pairs {
            if let Some(position) = position {
                switch.store(position, Relaxed);
            }
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        let on = || AtomicBool::new(true);
        Self { presence: on(), typing: on(), receipts: on() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_moved() {
        let switches = Switches::default();
        assert!(switches.presence() && switches.typing() && switches.receipts());
        switches.set(Positions { typing: Some(false), ..Positions::default() });
        assert!(switches.presence() && !switches.typing() && switches.receipts());
        switches.set(Positions { typing: Some(true), presence: Some(false), receipts: None });
        assert!(!switches.presence() && switches.typing() && switches.receipts());
    }
}
