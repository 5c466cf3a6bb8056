//! What can be wrong with a run.

use std::fmt;

/// A promise that was broken, with the place where.
#[expect(
    missing_docs,
    reason = "each variant is explained as a whole; its fields are names and places"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Too few acknowledged messages for the run to mean anything.
    TooFew { acknowledged: usize, wanted: usize },
    /// Acknowledged, but stored nowhere (G2).
    Lost { room: String, client_id: String, seq: u64 },
    /// Acknowledged at one place, stored at another (G2).
    Misplaced { room: String, client_id: String, acknowledged: u64, stored: u64 },
    /// Acknowledged twice, at two places (G3).
    TwoAnswers { room: String, client_id: String, first: u64, second: u64 },
    /// Stored twice (G3).
    Duplicate { room: String, client_id: String, first: u64, second: u64 },
    /// The sequence of the log leaves something out or goes back (G1).
    Hole { room: String, expected: u64, found: u64 },
    /// Stored, but never sent by anyone.
    Invented { room: String, client_id: String, seq: u64 },
    /// Refused for certain, never sent again, and stored all the same.
    RefusedButStored { room: String, client_id: String, seq: u64 },
    /// Acknowledged, while a message that went before it on the same connection was neither
    /// refused nor stored before it (G1).
    OutOfOrder { room: String, connection: u64, earlier: String, later: String },
    /// The clock of a room went back.
    TimeWentBack { room: String, seq: u64 },
    /// A reader was given the same or an earlier place again (G4).
    ReaderRepeat { reader: String, room: String, seq: u64 },
    /// A reader was given a place beyond the next one (G4).
    ReaderGap { reader: String, room: String, expected: u64, seq: u64 },
    /// A reader was given another message than the one stored at that place (G1).
    ReaderSaw { reader: String, room: String, seq: u64, client_id: String },
    /// A reader never got to the end of the log (G4).
    ReaderBehind { reader: String, room: String, at: u64, last: u64 },
}

impl Violation {
    /// Its name, for a summary.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooFew { .. } => "too few",
            Self::Lost { .. } => "lost",
            Self::Misplaced { .. } => "misplaced",
            Self::TwoAnswers { .. } => "two answers",
            Self::Duplicate { .. } => "duplicate",
            Self::Hole { .. } => "hole",
            Self::Invented { .. } => "invented",
            Self::RefusedButStored { .. } => "refused but stored",
            Self::OutOfOrder { .. } => "out of order",
            Self::TimeWentBack { .. } => "time went back",
            Self::ReaderRepeat { .. } => "reader repeat",
            Self::ReaderGap { .. } => "reader gap",
            Self::ReaderSaw { .. } => "reader saw another",
            Self::ReaderBehind { .. } => "reader behind",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:?}", self.name())
    }
}
