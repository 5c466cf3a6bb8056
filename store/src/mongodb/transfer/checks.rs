//! What lines must agree with that were written before, or with them: one question of a kind for a
//! batch.

use super::{
    batch::Numbers,
    document::{ChangeDocument, MessageDocument},
};
use crate::mongodb::{
    Mongo,
    bytes::Bytes,
    failure::Failure,
    ids::values,
    rooms::document::{BanDocument, MemberKey},
    schema::{MEMBERS, MESSAGES, USERS},
};
use ::mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use madang_protocol::{ChangeKind, UserId};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// A line that cannot be used, and why.
pub(super) type Problem = (u64, String);

/// The first line that names a user who is none; `users`: each with its line and the words for it.
pub(super) async fn unknown_user(
    store: &Mongo,
    users: &[(u64, UserId, &'static str)],
) -> Result<Option<Problem>, Failure> {
    #[derive(Deserialize)]
    struct Known {
        #[serde(rename = "_id")]
        user: Bytes<15>,
    }
    let asked: HashSet<UserId> = users.iter().map(|(_, user, _)| *user).collect();
    let asked: Vec<UserId> = asked.into_iter().collect();
    if asked.is_empty() {
        return Ok(None);
    }
    let wanted = doc! { "_id": { "$in": values(&asked) } };
    let known: Vec<Known> = store.find(USERS, wanted, doc! { "_id": 1 }).await?;
    let known: HashSet<UserId> = known.iter().map(|known| UserId(known.user.0)).collect();
    let unknown = users.iter().find(|(_, user, _)| !known.contains(user));
    Ok(unknown.map(|(number, _, words)| (*number, (*words).to_owned())))
}

/// The first ban of somebody who is a member.
pub(super) async fn banned_member(
    store: &Mongo,
    bans: &Numbers<BanDocument>,
) -> Result<Option<Problem>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        key: MemberKey,
    }
    if bans.is_empty() {
        return Ok(None);
    }
    let keys: Vec<Bson> = bans.iter().map(|(_, ban)| plain(&ban.key)).collect();
    let found: Vec<Found> =
        store.find(MEMBERS, doc! { "_id": { "$in": keys } }, doc! { "_id": 1 }).await?;
    let is_member = |key: &MemberKey| found.iter().any(|found| found.key == *key);
    let banned = bans.iter().find(|(_, ban)| is_member(&ban.key));
    Ok(banned.map(|(number, _)| (*number, "is a member".to_owned())))
}

/// What is stored of a message, as far as its changes go.
#[derive(Deserialize)]
struct Changed {
    room: Bytes<15>,
    seq: u64,
    #[serde(default)]
    rev: u64,
    #[serde(default)]
    deleted: bool,
}

/// The first of these messages that has the latest rev of another one.
pub(super) async fn repeated_rev(
    store: &Mongo,
    messages: &Numbers<MessageDocument>,
) -> Result<Option<Problem>, Failure> {
    let revs = messages.iter().filter_map(|(_, message)| Some((message.room, message.rev?)));
    let found = changed(store, "rev", revs).await?;
    let first = |room, rev| {
        let of_rev = found.iter().filter(|one| (one.room, one.rev) == (room, rev));
        of_rev.map(|one| one.seq).min()
    };
    let is_repeated = |message: &MessageDocument| {
        message.rev.is_some_and(|rev| first(message.room, rev).is_some_and(|seq| seq < message.seq))
    };
    let repeated = messages.iter().find(|(_, message)| is_repeated(message));
    Ok(repeated.map(|(number, _)| (*number, "its rev is another message's, too".to_owned())))
}

/// The first of these changes that its message does not know of.
pub(super) async fn unknown_change(
    store: &Mongo,
    changes: &Numbers<ChangeDocument>,
) -> Result<Option<Problem>, Failure> {
    let seqs = changes.iter().map(|(_, change)| (change.room, change.seq));
    let revs = changes.iter().map(|(_, change)| (change.room, change.rev));
    let messages = changed(store, "seq", seqs).await?;
    let messages: HashMap<_, _> = messages.iter().map(|one| ((one.room, one.seq), one)).collect();
    let latest = changed(store, "rev", revs).await?;
    let latest: HashSet<_> = latest.iter().map(|one| (one.room, one.rev)).collect();
    let is_known = |change: &ChangeDocument| {
        let Some(message) = messages.get(&(change.room, change.seq)) else { return false };
        let deletes = change.kind == ChangeKind::Delete;
        if message.rev == change.rev {
            return message.deleted == deletes;
        }
        message.rev > change.rev && !latest.contains(&(change.room, change.rev)) && !deletes
    };
    let unknown = changes.iter().find(|(_, change)| !is_known(change));
    Ok(unknown
        .map(|(number, change)| (*number, format!("message {} does not know of it", change.seq))))
}

/// The messages with one of these numbers in a field.
async fn changed(
    store: &Mongo,
    field: &str,
    numbers: impl Iterator<Item = (Bytes<15>, u64)>,
) -> Result<Vec<Changed>, Failure> {
    let mut by_room: HashMap<Bytes<15>, Vec<i64>> = HashMap::new();
    for (room, number) in numbers {
        by_room.entry(room).or_default().push(number as i64);
    }
    if by_room.is_empty() {
        return Ok(Vec::new());
    }
    let of_room = |(room, numbers): (Bytes<15>, Vec<i64>)| -> Document {
        doc! { "room": room.bson(), field: { "$in": numbers } }
    };
    let wanted = doc! { "$or": by_room.into_iter().map(of_room).collect::<Vec<_>>() };
    let fields = doc! { "_id": 0, "room": 1, "seq": 1, "rev": 1, "deleted": 1 };
    store.find(MESSAGES, wanted, fields).await
}

pub(super) fn plain<T: serde::Serialize>(value: &T) -> Bson {
    serialize_to_bson(value).expect("plain data, and numbers that BSON takes")
}
