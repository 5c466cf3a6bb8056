//! Pages of history come from the secondaries, so that reading does not slow down what is written.
//!
//! Contiguity alone does not show that a member lacks the newest messages, or an edit. So the primary
//! is asked at the same time how far the room is, which costs it the first entries of two indexes,
//! and a page counts only if its own moment is at least as far: then it is what the primary could
//! have answered. Else, and where no secondary answers in time, the primary is asked for all of it.

use super::{
    Mongo,
    failure::Failure,
    snapshot::{Question, Snapshot},
};
use ::mongodb::options::ReadPreference;
use madang_protocol::{Heads, RoomId, operation::Range};
use std::time::Duration;
use tokio::time::timeout;

/// How long a secondary may take. Beyond: the primary is asked.
const SECONDARY_WITHIN: Duration = Duration::from_millis(500);

impl Mongo {
    /// Messages of a room and its heads, of one moment not before this call.
    pub(super) async fn ask_for_page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<Snapshot, Failure> {
        let page = || Question::about(room).with_messages(range, limit);
        let anywhere = ReadPreference::SecondaryPreferred { options: None };
        let (question, about) = (page(), Question::about(room).with_any_uncounted());
        let elsewhere = timeout(SECONDARY_WITHIN, self.ask_once(&question, Some(anywhere)));
        let (elsewhere, now) = tokio::join!(elsewhere, self.ask_once(&about, None));
        match (elsewhere, now?) {
            (Ok(Ok(snapshot)), now) if is_current(&snapshot, &now) => Ok(snapshot),
            _ => self.ask(page()).await,
        }
    }
}

/// Whether it is at least of the moment of `now`, with every change brought to its message. Reactions
/// have no number until a change tells them, so while there are such, nobody can say.
fn is_current(snapshot: &Snapshot, now: &Snapshot) -> bool {
    let is_told = now.uncounted.is_empty();
    let (Heads { last_seq, last_rev, .. }, now) = (snapshot.heads, now.heads);
    last_seq >= now.last_seq
        && last_rev >= now.last_rev
        && snapshot.last_change.unapplied().is_none()
        && is_told
}
