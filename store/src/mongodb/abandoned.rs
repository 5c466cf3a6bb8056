//! Transactions that nobody goes on with, and that hold what others wait for.
//!
//! What a transaction has written is held until it ends. Of a node that was killed in the middle of
//! one nobody ends it but MongoDB, after `transactionLifetimeLimitSeconds` (60 s unless set), and
//! until then every change of the same room or user fails. So whoever meets a conflict that lasts
//! looks which transactions of ours stand still, and ends those that do so for [`STILL_FOR`].
//!
//! Ending one is safe at any moment: it is aborted as a whole, or it was committed before and is
//! none any more; and a node that did go on with it is told that there is no such transaction, and
//! begins anew. [`STILL_FOR`] only sees to it that this does not happen to those that are merely
//! slow: between its statements a node waits for nothing, and standing still is told by what the
//! server has worked for a transaction, not by its age.
//!
//! Asking and ending need no privilege where they are about the user's own sessions, and where there
//! are no users everybody's are. So ours are known by a mark that their connections carry.

use super::{Mongo, failure::describe};
use ::mongodb::{
    bson::{Document, Uuid, doc},
    error::Error,
    options::{DriverInfo, ReadConcern},
};
use futures_util::TryStreamExt;
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// How long a conflict lasts before anybody looks: those with others that live are over by then.
pub(super) const LASTS: Duration = Duration::from_secs(1);
/// How long a transaction stands still before it is ended.
const STILL_FOR: Duration = Duration::from_secs(3);
/// Between two looks of one node, however many of its calls meet conflicts.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Transactions that one look sees; the next one sees others when these were ended.
const SEEN_MAX: usize = 256;
/// What connections of ours say that they are, beside which database they are about.
const MARK: &str = "madang";

/// What was seen of transactions that stand still. Empty as long as nobody meets a conflict.
#[derive(Default)]
pub(super) struct Abandoned(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    looked: Option<Instant>,
    /// At most [`SEEN_MAX`], of the last look: since when each stands there.
    still: HashMap<Stand, Instant>,
}

/// A transaction, and how far it has come. While it is worked on it is none of these.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Stand {
    session: Uuid,
    /// Of the session's transactions.
    number: i64,
    /// Microseconds that the server has worked for it.
    worked: i64,
}

/// The mark of connections that are about `database`.
pub(super) fn mark(database: &str) -> DriverInfo {
    DriverInfo::builder().name(MARK).platform(database.to_owned()).build()
}

impl Mongo {
    /// Ends transactions that stand still for too long, as far as earlier looks can tell. One look
    /// at a time; whoever comes meanwhile, or too soon after one, does nothing.
    pub(super) async fn end_abandoned(&self) {
        let Ok(mut watch) = self.abandoned.0.try_lock() else { return };
        if !watch.is_due(Instant::now()) {
            return;
        }
        let ended = match self.standing_still().await {
            Ok(found) => watch.saw(Instant::now(), found),
            Err(error) => return tracing::warn!(error = %describe(&error), "transactions unseen"),
        };
        if ended.is_empty() {
            return;
        }
        let count = ended.len();
        match self.kill_sessions(ended).await {
            Ok(_) => tracing::warn!(count, "ended transactions that nobody went on with"),
            Err(error) => {
                tracing::warn!(count, error = %describe(&error), "transactions hold what is waited for");
            }
        }
    }

    async fn standing_still(&self) -> Result<Vec<Stand>, Error> {
        let admin = self.database.client().database("admin");
        let stages = standing_still(self.database.name());
        // The only one that this question may have.
        let asked = admin.aggregate(stages).read_concern(ReadConcern::local());
        asked.with_type::<Stand>().await?.try_collect().await
    }

    async fn kill_sessions(&self, sessions: Vec<Uuid>) -> Result<Document, Error> {
        let sessions: Vec<Document> = sessions.into_iter().map(|id| doc! { "id": id }).collect();
        let admin = self.database.client().database("admin");
        admin.run_command(doc! { "killSessions": sessions }).await
    }
}

impl Watch {
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.looked.is_none_or(|looked| now - looked >= LOOK_EVERY);
        if is_due {
            self.looked = Some(now);
        }
        is_due
    }

    /// The sessions whose transactions stand where they stood [`STILL_FOR`] ago.
    fn saw(&mut self, now: Instant, found: Vec<Stand>) -> Vec<Uuid> {
        let since = |stand: Stand| (stand, self.still.get(&stand).copied().unwrap_or(now));
        self.still = found.into_iter().take(SEEN_MAX).map(since).collect();
        let ended = self.still.iter().filter(|(_, since)| now - **since >= STILL_FOR);
        ended.map(|(stand, _)| stand.session).collect()
    }
}

/// Finds [`Stand`]s of connections that carry our mark.
fn standing_still(database: &str) -> Vec<Document> {
    let last = |field: &str| doc! { "$last": { "$split": [field, "|"] } };
    let is_ours = doc! { "$and": [
        { "$eq": [last("$clientMetadata.driver.name"), MARK] },
        { "$eq": [last("$clientMetadata.platform"), { "$literal": database }] },
    ] };
    vec![
        doc! { "$currentOp": { "allUsers": false, "idleSessions": true } },
        doc! { "$match": {
            "type": "idleSession", "active": false, "transaction.parameters.autocommit": false,
            "$expr": is_ours,
        } },
        doc! { "$limit": SEEN_MAX as i64 },
        doc! { "$project": {
            "session": "$lsid.id",
            "number": { "$toLong": "$transaction.parameters.txnNumber" },
            "worked": { "$toLong": "$transaction.timeActiveMicros" },
        } },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [u8; 0] = [];

    fn stand(session: u8, worked: i64) -> Stand {
        Stand { session: Uuid::from_bytes([session; 16]), number: 1, worked }
    }

    fn ended(watch: &mut Watch, at: Instant, found: &[Stand]) -> Vec<u8> {
        let ended = watch.saw(at, found.to_vec());
        ended.into_iter().map(|session| session.bytes()[0]).collect()
    }

    #[test]
    fn only_what_stands_still_is_ended() {
        let (mut watch, began) = (Watch::default(), Instant::now());
        let [soon, late, later] = [1, 3, 4].map(|seconds| began + Duration::from_secs(seconds));
        assert_eq!(ended(&mut watch, began, &[stand(1, 10), stand(2, 10)]), NOBODY);
        assert_eq!(ended(&mut watch, soon, &[stand(1, 10), stand(2, 20), stand(3, 5)]), NOBODY);
        assert_eq!(ended(&mut watch, late, &[stand(1, 10), stand(2, 20), stand(3, 5)]), [1]);
        // One that was gone in between is another one; one that is still there is ended again.
        assert_eq!(ended(&mut watch, later, &[stand(1, 10), stand(2, 30)]), [1]);
        assert_eq!(ended(&mut watch, later, &[stand(3, 5)]), NOBODY);
    }

    #[test]
    fn so_many_are_seen_at_once() {
        let mut watch = Watch::default();
        let many = (0..=SEEN_MAX as i64).map(|number| Stand { number, ..stand(1, 1) });
        assert_eq!(watch.saw(Instant::now(), many.collect()), []);
        assert_eq!(watch.still.len(), SEEN_MAX);
    }

    #[test]
    fn looks_are_rare() {
        let (mut watch, began) = (Watch::default(), Instant::now());
        assert!(watch.is_due(began));
        assert!(!watch.is_due(began + LOOK_EVERY / 2));
        assert!(watch.is_due(began + LOOK_EVERY));
    }
}
