//! What happens to a message after it was sent.

use crate::{
    Message, Millis, RoomId, UserId,
    limits::{EMOJI_BYTES_MAX, REACTION_KINDS_MAX},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What users react with: 1 to 32 bytes of any script, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 32)]
pub struct Emoji(Arc<str>);

impl Emoji {
    /// `None` when empty, too long, or not printable.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=EMOJI_BYTES_MAX).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    /// The text as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was changed about a message since it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amended {
    /// The room's `rev` of the latest change; 0 = none yet, there are only reactions that were
    /// not counted so far.
    pub rev: u64,
    /// When the body was last edited.
    pub edited_at: Option<Millis>,
    /// The body is gone; so are the reactions.
    pub deleted: bool,
    /// How many users reacted with what, the first used first. No entry is 0.
    pub reactions: Vec<(Emoji, u64)>,
}

impl Amended {
    /// The same with one user more, or less, who reacts with `emoji`. `None`: it would be one
    /// kind too many.
    pub fn reacted(&self, emoji: &Emoji, on: bool) -> Option<Self> {
        let known = self.reactions.iter().any(|(known, _)| known == emoji);
        if on && !known && self.reactions.len() >= REACTION_KINDS_MAX {
            return None;
        }
        let mut next = self.clone();
        next.count(emoji, on);
        Some(next)
    }

    /// Counts one user more, or less, who reacts with `emoji`, however many kinds there are.
    pub fn count(&mut self, emoji: &Emoji, on: bool) {
        let place = self.reactions.iter().position(|(known, _)| known == emoji);
        match (place, on) {
            (Some(place), true) => self.reactions[place].1 += 1,
            (None, true) => self.reactions.push((emoji.clone(), 1)),
            (Some(place), false) if self.reactions[place].1 > 1 => self.reactions[place].1 -= 1,
            (Some(place), false) => drop(self.reactions.remove(place)),
            (None, false) => {}
        }
    }
}

/// What kind of change took a `rev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The body was replaced.
    Edit,
    /// The body was erased.
    Delete,
    /// Reactions were counted anew.
    Reactions,
}

/// A change that takes the room's next `rev`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub kind: ChangeKind,
    /// Who asked for it; `None` for `Reactions`, which many asked for.
    pub by: Option<UserId>,
    /// When.
    pub ts: Millis,
    /// The message with the change: its `rev` is the change's. A stale copy of the counts in an
    /// edit does no harm: reactions that were not counted yet are counted by the next change.
    pub message: Arc<Message>,
}

impl Change {
    /// The `rev` it takes.
    pub fn rev(&self) -> u64 {
        self.message.rev()
    }
}

/// A user reacts to a message, or does not any more. Takes no number: many of them are told by
/// one [`ChangeKind::Reactions`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reaction {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub seq: u64,
    /// Who.
    pub user: UserId,
    /// With what.
    pub emoji: Emoji,
    /// Set, or taken back.
    pub on: bool,
}

/// What an ordered command of the log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Takes the next `seq`.
    Message(Arc<Message>),
    /// Takes the next `rev`.
    Change(Arc<Change>),
    /// Takes no number; the same twice is the same once.
    Reaction(Arc<Reaction>),
}

impl Entry {
    /// The room it belongs to.
    pub fn room(&self) -> RoomId {
        match self {
            Self::Message(message) => message.room,
            Self::Change(change) => change.message.room,
            Self::Reaction(reaction) => reaction.room,
        }
    }

    /// Memory it holds, near enough for byte bounds.
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.weight_bytes(),
            Self::Change(change) => size_of::<Change>() + change.message.weight_bytes(),
            Self::Reaction(_) => size_of::<Reaction>() + EMOJI_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emoji(text: &str) -> Emoji {
        Emoji::new(text).unwrap()
    }

    #[test]
    fn emojis() {
        assert_eq!(emoji("👍🏽").as_str(), "👍🏽");
        for text in ["", "a\nb", &"x".repeat(33)] {
            assert_eq!(Emoji::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn reactions_are_counted_in_the_order_of_their_first_use() {
        let count = |amended: &Amended, text, on| amended.reacted(&emoji(text), on).unwrap();
        let both = count(&count(&count(&Amended::default(), "b", true), "a", true), "b", true);
        assert_eq!(both.reactions, [(emoji("b"), 2), (emoji("a"), 1)]);
        let one = count(&count(&both, "a", false), "x", false);
        assert_eq!(one.reactions, [(emoji("b"), 2)]);
    }

    #[test]
    fn kinds_are_bounded() {
        let kinds = (0..REACTION_KINDS_MAX).map(|kind| (emoji(&kind.to_string()), 1)).collect();
        let full = Amended { reactions: kinds, ..Amended::default() };
        assert_eq!(full.reacted(&emoji("new"), true), None);
        assert!(full.reacted(&emoji("0"), true).is_some());
    }
}
