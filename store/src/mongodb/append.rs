//! Ordered commands: what is written to the log.
//!
//! A command of messages alone, which is nearly all there is, is one insert and nothing else. One
//! that also has changes or reactions is: its messages in one insert, one look at what is known,
//! then changes, reactions, and the messages they are about, each in one write. Rooms do not
//! depend on each other, and neither do the two sequences of a room, so messages may go first; the
//! answer is given in the order of the command all the same.

use super::{
    Mongo,
    apply::reaction_document,
    failure::{DUPLICATE_KEY, Failure, index_of},
    message::NewMessage,
    plan::{Plan, ReactionKey, plan},
    schema::{CHANGES, MESSAGES, REACTIONS, ROOM_REV, ROOM_SENDER_CLIENT, ROOM_SEQ},
};
use crate::{
    StoreError,
    log::{Appended, Stopped},
    metrics::Call,
};
use ::mongodb::{
    bson::{Document, doc},
    error::{Error, ErrorKind, InsertManyError},
};
use madang_protocol::{Entry, Message};
use serde::Serialize;
use std::{collections::BTreeMap, time::Instant};

/// Documents of one insert at most: the driver would divide many more.
const DOCUMENTS_MAX: usize = 1_000;
/// Their size at most, with what the documents add to it well below the 16 MiB that one message of
/// the wire may have.
const BYTES_MAX: usize = 12 * 1024 * 1024;
/// What a document adds to its message: names of fields, lengths, ids.
const DOCUMENT_BYTES: usize = 256;

/// Where an insert stopped, and why.
type Stop = (usize, Stopped);

impl Mongo {
    pub(super) async fn append_all(&self, entries: &[Entry]) -> Appended {
        if entries.is_empty() {
            return Appended { committed: 0, stopped: None };
        }
        let began = Instant::now();
        let appended = match self.write(Call::Append, self.append_in_order(entries)).await {
            Ok(appended) => appended,
            Err(error @ StoreError::Unknown(_)) => {
                Appended { committed: 0, stopped: Some(Stopped::Unknown(error)) }
            }
            Err(error) => Appended { committed: 0, stopped: Some(Stopped::Refused(error)) },
        };
        self.note_committed(entries, &appended, began);
        appended
    }

    /// Their senders have read them, and they are counted.
    fn note_committed(&self, entries: &[Entry], appended: &Appended, began: Instant) {
        if appended.committed == 0 {
            return;
        }
        let committed = messages(&entries[..appended.committed]).map(|(_, message)| message);
        self.positions.note(committed.clone().map(|sent| (sent.room, sent.sender, sent.seq)));
        self.gate.metrics.commit(committed.count() as u64, 1, began.elapsed());
    }

    async fn append_in_order(&self, entries: &[Entry]) -> Result<Appended, Failure> {
        let messages: Vec<(usize, &Message)> = messages(entries).collect();
        let stop = self.insert_messages(&messages).await?;
        let until = stop.as_ref().map_or(entries.len(), |(place, _)| *place);
        let others = entries[..until].iter().enumerate().filter(|(_, entry)| !is_message(entry));
        let others: Vec<(usize, &Entry)> = others.collect();
        if others.is_empty() {
            return Ok(appended(entries, stop));
        }
        let inserted = messages.iter().map(|(place, _)| *place).take_while(|place| *place < until);
        let applied = match self.append_others(&others).await {
            Err(failure) if inserted.clone().next().is_some() => Err(failure.in_doubt()),
            answer => answer,
        };
        Ok(appended(entries, applied?.map(|refused| beside(refused, inserted)).or(stop)))
    }

    /// Inserts, in as few commands as the driver sends undivided.
    async fn insert_messages(
        &self,
        messages: &[(usize, &Message)],
    ) -> Result<Option<Stop>, Failure> {
        let mut rest = messages;
        while !rest.is_empty() {
            let is_first = rest.len() == messages.len();
            let (part, behind) = rest.split_at(fitting(rest));
            rest = behind;
            let documents = part.iter().map(|(_, message)| NewMessage::of(message));
            let places: Vec<usize> = part.iter().map(|(place, _)| *place).collect();
            let inserted = self.insert(MESSAGES, documents.collect(), &places).await;
            let inserted =
                inserted.map_err(|error| if is_first { error } else { error.in_doubt() });
            if let Some(stop) = inserted? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// One ordered insert; each document has its place in the command.
    async fn insert<T: Serialize + Send + Sync>(
        &self,
        collection: &str,
        documents: Vec<T>,
        places: &[usize],
    ) -> Result<Option<Stop>, Failure> {
        let inserted = self.collection::<T>(collection).insert_many(documents).ordered(true).await;
        match inserted {
            Ok(_) => Ok(None),
            Err(error) => match stopped_by(&error) {
                Some((document, stopped)) => Ok(Some((places[document], stopped))),
                None => Err(error.into()),
            },
        }
    }

    /// Appends changes and reactions, which are about messages that are there.
    async fn append_others(&self, entries: &[(usize, &Entry)]) -> Result<Option<Stop>, Failure> {
        let known = self.look_at(entries).await.map_err(Failure::unwritten)?;
        let mut planned = plan(&known, entries);
        if !planned.changes.is_empty() {
            let (places, records): (Vec<_>, Vec<_>) = planned.changes.iter().cloned().unzip();
            if let Some(stop) = self.insert(CHANGES, records, &places).await? {
                let before: Vec<_> =
                    entries.iter().filter(|(place, _)| *place < stop.0).copied().collect();
                planned = Plan { stopped: Some(stop), ..plan(&known, &before) };
            }
        }
        let written = self.write_plan(&planned).await;
        // The changes are there, whatever becomes of the rest.
        written.map_err(Failure::in_doubt)?;
        Ok(planned.stopped)
    }

    async fn write_plan(&self, planned: &Plan) -> Result<(), Failure> {
        if !planned.reactions.is_empty() {
            let (set, unset) = (set(&planned.reactions), unset(&planned.reactions));
            tokio::try_join!(self.update_all(REACTIONS, set), self.delete_all(REACTIONS, unset))?;
        }
        self.write_messages(&planned.messages).await
    }
}

fn messages(entries: &[Entry]) -> impl Iterator<Item = (usize, &Message)> + Clone {
    entries.iter().enumerate().filter_map(|(place, entry)| match entry {
        Entry::Message(message) => Some((place, &**message)),
        Entry::Change(_) | Entry::Reaction(_) => None,
    })
}

fn is_message(entry: &Entry) -> bool {
    matches!(entry, Entry::Message(_))
}

fn appended(entries: &[Entry], stop: Option<Stop>) -> Appended {
    match stop {
        None => Appended { committed: entries.len(), stopped: None },
        Some((committed, stopped)) => Appended { committed, stopped: Some(stopped) },
    }
}

/// Where a change was refused. Messages behind that place may be committed already, and then
/// nothing can be said of what stands there.
fn beside((place, why): Stop, mut inserted: impl Iterator<Item = usize>) -> Stop {
    if inserted.any(|message| message > place) {
        let unsure = StoreError::Unknown("messages went ahead of it".into());
        return (place, Stopped::Unknown(unsure));
    }
    (place, why)
}

/// How many of them go into one insert; at least one.
fn fitting(messages: &[(usize, &Message)]) -> usize {
    let mut bytes = 0;
    let fits = |(place, (_, message)): &(usize, &(usize, &Message))| {
        bytes += message.weight_bytes() + DOCUMENT_BYTES;
        *place == 0 || bytes <= BYTES_MAX
    };
    messages.iter().take(DOCUMENTS_MAX).enumerate().take_while(fits).count()
}

/// Which document an ordered insert stopped at because a key was taken. `None`: that is not what
/// happened, and nothing is known of any of them.
fn stopped_by(error: &Error) -> Option<Stop> {
    let ErrorKind::InsertMany(InsertManyError { write_errors, write_concern_error, .. }) =
        &*error.kind
    else {
        return None;
    };
    let first = write_errors.as_ref()?.first()?;
    if write_concern_error.is_some() || first.code != DUPLICATE_KEY {
        return None;
    }
    let stopped = match index_of(&first.message)? {
        ROOM_SENDER_CLIENT => Stopped::Duplicate,
        ROOM_SEQ | ROOM_REV => Stopped::Taken,
        _ => return None,
    };
    Some((first.index, stopped))
}

fn set(reactions: &BTreeMap<ReactionKey, bool>) -> Vec<Document> {
    let set = reactions.iter().filter(|(_, on)| **on).map(|(key, _)| reaction_document(key));
    set.map(|key| doc! { "q": key.clone(), "u": { "$setOnInsert": key }, "upsert": true }).collect()
}

fn unset(reactions: &BTreeMap<ReactionKey, bool>) -> Vec<Document> {
    let unset = reactions.iter().filter(|(_, on)| !**on).map(|(key, _)| reaction_document(key));
    unset.map(|key| doc! { "q": key, "limit": 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_read_from_the_words_before_the_key() {
        let said = |index: &str, key: &str| {
            format!(
                "E11000 duplicate key error collection: chat.messages index: {index} dup key: {key}"
            )
        };
        let of_client = r#"{ room: BinData(0, 02), client_id: " index: room_seq dup key: " }"#;
        assert_eq!(index_of(&said("room_seq", "{ seq: 1 }")), Some("room_seq"));
        assert_eq!(index_of(&said("room_sender_client", of_client)), Some("room_sender_client"));
        assert_eq!(index_of("something else"), None);
    }
}
