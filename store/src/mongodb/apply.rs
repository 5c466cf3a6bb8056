//! Changes and reactions, and the messages they are about: what is known before, and what is
//! written after.
//!
//! A change is appended first and then brought to its message, so between the two the message lags
//! behind. Whoever comes across that, after a crash or in between, applies it again: each write
//! says which state it leads to, and takes effect only where a later one did not.

use super::{
    Mongo,
    bytes::Bytes,
    failure::Failure,
    ids::Id,
    message::{ChangeRecord, Count, counts_value, reactions},
    plan::{Draft, Known, Place, ReactionKey, Stored, in_order},
    schema::{CHANGES, MESSAGES, REACTIONS},
};
use crate::StoreError;
use ::mongodb::bson::{Bson, Document, doc};
use madang_protocol::{Amended, Emoji, Entry, RoomId, UserId};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How often counts are set anew when others count the same message at the same time.
const TRIES: usize = 5;

/// A message, its changes that it does not have yet, and its reactions counted.
#[derive(Deserialize)]
struct MessageState {
    room: Bytes<15>,
    seq: i64,
    rev: Option<i64>,
    edited_at: Option<i64>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    reactions: Vec<Count>,
    reacted: Option<i64>,
    #[serde(default)]
    uncounted: bool,
    pending: Vec<ChangeRecord>,
    counted: Vec<Counted>,
}

#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    emoji: Emoji,
    count: i64,
}

/// A rev that is taken.
#[derive(Deserialize)]
struct TakenRev {
    room: Bytes<15>,
    rev: i64,
    from: i64,
    applied: bool,
}

#[derive(Deserialize)]
struct ReactionRow {
    room: Bytes<15>,
    seq: i64,
    user: Bytes<15>,
    emoji: Emoji,
}

impl Mongo {
    /// What the entries need to be judged: their messages, the revs before and at the first of
    /// each room, the reactions that are set. Three questions at once.
    pub(super) async fn look_at(&self, entries: &[(usize, &Entry)]) -> Result<Known, Failure> {
        let (places, revs) = (places(entries), first_revs(entries));
        let (messages, taken, reactions) = tokio::try_join!(
            self.states(&places),
            self.taken_revs(&revs),
            self.set_reactions(entries)
        )?;
        let mut known = Known { messages, reactions, revs: HashSet::new() };
        let mut is_behind = false;
        for taken in taken {
            let room = RoomId(taken.room.0);
            let rev = taken.rev.unsigned_abs();
            known.revs.insert((room, rev));
            let is_before = revs.get(&room).is_some_and(|first| rev < *first);
            if is_before && !taken.applied {
                // Each command sees to it that the one before it is applied.
                self.apply_again(room, taken.from.unsigned_abs(), rev).await?;
                is_behind = true;
            }
        }
        if is_behind {
            known.messages = self.states(&places).await?;
        }
        Ok(known)
    }

    /// Brings the messages of changes `from..=to` up to date.
    pub(super) async fn apply_again(
        &self,
        room: RoomId,
        from: u64,
        to: u64,
    ) -> Result<(), Failure> {
        let range = doc! { "$gte": from as i64, "$lte": to as i64 };
        let filter = doc! { "room": room.bson(), "rev": range };
        let records = self.find::<ChangeRecord>(CHANGES, filter, Document::new()).await?;
        let places = records.iter().map(|record| (room, record.seq.unsigned_abs())).collect();
        let states = self.states(&places).await?;
        tracing::debug!(%room, from, to, "changes are applied again");
        self.write_messages(&states.into_iter().collect()).await
    }

    /// The messages that are there, with all their changes.
    async fn states(&self, places: &BTreeSet<Place>) -> Result<HashMap<Place, Draft>, Failure> {
        if places.is_empty() {
            return Ok(HashMap::new());
        }
        let states =
            self.aggregate_snapshot::<MessageState>(None, MESSAGES, states(places)).await?;
        let mut drafts = HashMap::new();
        for state in states {
            let place = (RoomId(state.room.0), state.seq.unsigned_abs());
            drafts.insert(place, state.draft());
        }
        Ok(drafts)
    }

    async fn taken_revs(&self, first: &HashMap<RoomId, u64>) -> Result<Vec<TakenRev>, Failure> {
        if first.is_empty() {
            return Ok(Vec::new());
        }
        self.aggregate(CHANGES, taken_revs(first)).await
    }

    async fn set_reactions(
        &self,
        entries: &[(usize, &Entry)],
    ) -> Result<HashSet<ReactionKey>, Failure> {
        let keys = reaction_keys(entries);
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let keys: Vec<Document> = keys.iter().map(reaction_document).collect();
        let projection = doc! { "_id": 0, "room": 1, "seq": 1, "user": 1, "emoji": 1 };
        let filter = doc! { "$or": keys };
        let rows = self.find::<ReactionRow>(REACTIONS, filter, projection).await?;
        let key = |row: ReactionRow| {
            (RoomId(row.room.0), row.seq.unsigned_abs(), UserId(row.user.0), row.emoji)
        };
        Ok(rows.into_iter().map(key).collect())
    }

    /// Writes what became of messages, and at the same time removes what their deletion and their
    /// edits leave behind.
    pub(super) async fn write_messages(
        &self,
        drafts: &BTreeMap<Place, Draft>,
    ) -> Result<(), Failure> {
        tokio::try_join!(self.update_messages(drafts), self.erase(drafts))?;
        Ok(())
    }

    async fn update_messages(&self, drafts: &BTreeMap<Place, Draft>) -> Result<(), Failure> {
        let mut statements = statements(drafts);
        for _ in 0..TRIES {
            let expected = statements.len() as u64;
            let matched = match statements.is_empty() {
                true => 0,
                false => self.update_in_order(MESSAGES, statements).await?,
            };
            if matched >= expected {
                return Ok(());
            }
            // Somebody was quicker with one of them. Changes win by their rev, counts by being
            // taken anew.
            let now = self.states(&drafts.keys().copied().collect()).await?;
            statements = self::statements(&now.into_iter().collect());
        }
        Err(Failure::Ours(StoreError::Unknown("a message was counted again and again".into())))
    }

    /// Bodies of changes that another one took the place of, and reactions to what is deleted.
    async fn erase(&self, drafts: &BTreeMap<Place, Draft>) -> Result<(), Failure> {
        let bodies = drafts.iter().filter(|(_, draft)| draft.is_changed());
        let bodies = bodies.filter_map(erased_bodies).collect();
        let is_deleted =
            |(_, draft): &(&Place, &Draft)| draft.amended.deleted && draft.is_changed();
        let reactions = drafts.iter().filter(is_deleted).map(|((room, seq), _)| {
            doc! { "q": { "room": room.bson(), "seq": *seq as i64 }, "limit": 0 }
        });
        let reactions = reactions.collect();
        tokio::try_join!(self.update_all(CHANGES, bodies), self.delete_all(REACTIONS, reactions))?;
        Ok(())
    }
}

impl MessageState {
    /// The message with every change that was appended, and with the reactions that are set.
    fn draft(self) -> Draft {
        let order = reactions(self.reactions);
        let counted = self.counted.into_iter().map(|one| (one.emoji, one.count.unsigned_abs()));
        let counted: HashMap<Emoji, u64> = counted.collect();
        let amended = Amended {
            rev: self.rev.unwrap_or(0).unsigned_abs(),
            edited_at: self.edited_at.map(i64::unsigned_abs),
            deleted: self.deleted,
            reactions: if self.deleted { Vec::new() } else { in_order(&counted, &order) },
        };
        let stored = Stored {
            rev: amended.rev,
            reactions: order,
            uncounted: self.uncounted,
            version: self.reacted.unwrap_or(0),
        };
        // What was set and not counted is yet to be told.
        let uncounted = self.uncounted || amended.reactions != stored.reactions;
        let mut draft = Draft { amended, body: None, uncounted, stored };
        for change in &self.pending {
            draft.apply(change);
        }
        draft
    }
}

fn places(entries: &[(usize, &Entry)]) -> BTreeSet<Place> {
    let place = |(_, entry): &(usize, &Entry)| match entry {
        Entry::Message(message) => (message.room, message.seq),
        Entry::Change(change) => (change.message.room, change.message.seq),
        Entry::Reaction(reaction) => (reaction.room, reaction.seq),
    };
    entries.iter().map(place).collect()
}

/// The rev of the first change of each room.
fn first_revs(entries: &[(usize, &Entry)]) -> HashMap<RoomId, u64> {
    let mut first = HashMap::new();
    for (_, entry) in entries {
        if let Entry::Change(change) = entry {
            first.entry(change.message.room).or_insert(change.rev());
        }
    }
    first
}

fn reaction_keys(entries: &[(usize, &Entry)]) -> BTreeSet<ReactionKey> {
    let key = |(_, entry): &(usize, &Entry)| match entry {
        Entry::Reaction(reaction) => {
            Some((reaction.room, reaction.seq, reaction.user, reaction.emoji.clone()))
        }
        Entry::Message(_) | Entry::Change(_) => None,
    };
    entries.iter().filter_map(key).collect()
}

/// A reaction as it is stored.
pub(super) fn reaction_document((room, seq, user, emoji): &ReactionKey) -> Document {
    doc! { "room": room.bson(), "seq": *seq as i64, "user": user.bson(), "emoji": emoji.as_str() }
}

/// Messages by place, each with its changes that are above its rev and its reactions counted.
pub(super) fn states(places: &BTreeSet<Place>) -> Vec<Document> {
    let mut by_room: BTreeMap<RoomId, Vec<i64>> = BTreeMap::new();
    for (room, seq) in places {
        by_room.entry(*room).or_default().push(*seq as i64);
    }
    let of_room = |(room, seqs): (RoomId, Vec<i64>)| -> Document {
        doc! { "room": room.bson(), "seq": { "$in": seqs } }
    };
    let of_rooms: Vec<Document> = by_room.into_iter().map(of_room).collect();
    let same_message = [doc! { "$eq": ["$room", "$$room"] }, doc! { "$eq": ["$seq", "$$seq"] }];
    let [room, seq] = same_message.clone();
    let above = doc! { "$gt": ["$rev", "$$rev"] };
    let pending = doc! {
        "from": CHANGES, "as": "pending",
        "let": { "room": "$room", "seq": "$seq", "rev": { "$ifNull": ["$rev", 0_i64] } },
        "pipeline": [
            { "$match": { "$expr": { "$and": [room, seq, above] } } },
            { "$sort": { "rev": 1 } },
        ],
    };
    let [room, seq] = same_message;
    let counted = doc! {
        "from": REACTIONS, "as": "counted",
        "let": { "room": "$room", "seq": "$seq" },
        "pipeline": [
            { "$match": { "$expr": { "$and": [room, seq] } } },
            { "$group": { "_id": "$emoji", "count": { "$sum": 1_i64 } } },
        ],
    };
    vec![
        doc! { "$match": { "$or": of_rooms } },
        doc! { "$project": { "body": 0, "client_id": 0 } },
        doc! { "$lookup": pending },
        doc! { "$lookup": counted },
    ]
}

/// The changes at, and right before, the first revs; each with whether its message has it.
pub(super) fn taken_revs(first: &HashMap<RoomId, u64>) -> Vec<Document> {
    let of_room = |(room, rev): (&RoomId, &u64)| -> Document {
        let revs = [rev.saturating_sub(1) as i64, *rev as i64];
        doc! { "room": room.bson(), "rev": { "$in": revs } }
    };
    let of_rooms: Vec<Document> = first.iter().map(of_room).collect();
    let its_message = doc! {
        "from": MESSAGES, "as": "its",
        "let": { "room": "$room", "seq": "$seq" },
        "pipeline": [
            { "$match": { "$expr": { "$and": [
                { "$eq": ["$room", "$$room"] }, { "$eq": ["$seq", "$$seq"] },
            ] } } },
            { "$project": { "_id": 0, "rev": 1 } },
        ],
    };
    let applied = doc! { "$gte": [{ "$ifNull": [{ "$first": "$its.rev" }, 0] }, "$rev"] };
    vec![
        doc! { "$match": { "$or": of_rooms } },
        doc! { "$lookup": its_message },
        doc! { "$project": { "_id": 0, "room": 1, "rev": 1, "from": 1, "applied": applied } },
    ]
}

/// What messages become, in the order of their revs: whoever finds the last one written finds all.
fn statements(drafts: &BTreeMap<Place, Draft>) -> Vec<Document> {
    let mut changed: Vec<_> = drafts.iter().filter(|(_, draft)| draft.is_changed()).collect();
    changed.sort_unstable_by_key(|((room, _), draft)| (*room, draft.amended.rev));
    let recounted = drafts.iter().filter(|(_, draft)| draft.is_recounted());
    let changed = changed.into_iter().map(|(place, draft)| change_statement(place, draft));
    recounted.map(|(place, draft)| count_statement(place, draft)).chain(changed).collect()
}

/// Fields, never a replacement; nothing where a later change was quicker.
fn change_statement((room, seq): &Place, draft: &Draft) -> Document {
    let rev = draft.amended.rev as i64;
    let mut set = doc! { "rev": rev };
    if let Some(body) = &draft.body {
        set.insert("body", &*body.text);
    }
    if let Some(edited_at) = draft.amended.edited_at {
        set.insert("edited_at", edited_at as i64);
    }
    let mut update = doc! {};
    if draft.amended.deleted {
        set.insert("deleted", true);
        update.insert("$unset", doc! { "reactions": 1, "uncounted": 1 });
    }
    update.insert("$set", set);
    let earlier = doc! { "$or": [{ "rev": { "$lt": rev } }, { "rev": null }] };
    let mut query = doc! { "room": room.bson(), "seq": *seq as i64 };
    query.extend(earlier);
    doc! { "q": query, "u": update }
}

/// Counts that were taken, where nobody set others since they were read.
fn count_statement((room, seq): &Place, draft: &Draft) -> Document {
    let version = draft.stored.version;
    let known = if version == 0 { Bson::Null } else { Bson::Int64(version) };
    let mut set = doc! { "reacted": version + 1 };
    let mut unset = doc! {};
    if draft.amended.reactions.is_empty() {
        unset.insert("reactions", 1);
    } else {
        set.insert("reactions", counts_value(&draft.amended.reactions));
    }
    if draft.uncounted {
        set.insert("uncounted", true);
    } else {
        unset.insert("uncounted", 1);
    }
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    let query = doc! { "room": room.bson(), "seq": *seq as i64, "reacted": known, "deleted": null };
    doc! { "q": query, "u": update }
}

/// Bodies that the one the message gets takes the place of; that one is kept until it has it.
fn erased_bodies(((room, seq), draft): (&Place, &Draft)) -> Option<Document> {
    let earlier = doc! { "$lt": draft.body.as_ref()?.rev as i64 };
    let has_body = doc! { "$exists": true };
    let (room, seq) = (room.bson(), *seq as i64);
    Some(doc! {
        "q": { "room": room, "seq": seq, "rev": earlier, "body": has_body },
        "u": { "$unset": { "body": 1 } },
        "multi": true,
    })
}
