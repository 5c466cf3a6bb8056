//! Documents that are written together, each with the line it comes from.

use super::{
    checks::{Problem, banned_member, repeated_rev, unknown_change, unknown_user},
    document::{ChangeDocument, MessageDocument, ReactionDocument},
};
use crate::{
    mongodb::{
        Mongo,
        accounts::document::UserDocument,
        bytes::Bytes,
        failure::{DUPLICATE_KEY, Failure, duplicate, index_of},
        ids::Id,
        rooms::document::{BanDocument, MemberDocument, RoomDocument},
        schema::{
            BANS, CHANGES, EXTERNAL_ID, MEMBERS, MESSAGES, PAIR, REACTIONS, ROOM_SENDER_CLIENT,
            ROOMS, SESSION_TOKEN, USERNAME, USERS,
        },
    },
    transfer::line::CreationLine,
};
use ::mongodb::{
    bson::doc,
    error::{ErrorKind, IndexedWriteError},
};
use madang_protocol::UserId;
use serde::{Deserialize, Serialize};

/// Lines of a batch, about.
const LINES_MAX: usize = 2_000;

/// Documents, each with the number of its line.
pub(super) type Numbers<T> = Vec<(u64, T)>;

/// A user, with the lines of the sessions.
pub(super) struct PendingUser {
    pub(super) document: UserDocument,
    pub(super) session_lines: Vec<u64>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Batch {
    lines: usize,
    users: Numbers<PendingUser>,
    /// Users that are named, the words if there are none.
    named: Vec<(u64, UserId, &'static str)>,
    rooms: Numbers<RoomDocument>,
    members: Numbers<MemberDocument>,
    bans: Numbers<BanDocument>,
    messages: Numbers<MessageDocument>,
    reactions: Numbers<ReactionDocument>,
    changes: Numbers<ChangeDocument>,
    creations: Numbers<CreationLine>,
}

/// Something to be written.
pub(super) enum Item {
    User(PendingUser),
    Room(RoomDocument),
    Member(MemberDocument),
    Ban(BanDocument),
    Message(MessageDocument),
    Reaction(ReactionDocument),
    Change(ChangeDocument),
    Creation(CreationLine),
}

impl Batch {
    /// Takes what stands in this line.
    pub(super) fn push(&mut self, number: u64, item: Item) {
        self.lines += 1;
        match item {
            Item::User(user) => self.users.push((number, user)),
            Item::Room(room) => self.rooms.push((number, room)),
            Item::Member(member) => self.members.push((number, member)),
            Item::Ban(ban) => self.bans.push((number, ban)),
            Item::Message(message) => self.messages.push((number, message)),
            Item::Reaction(reaction) => self.reactions.push((number, reaction)),
            Item::Change(change) => self.changes.push((number, change)),
            Item::Creation(creation) => self.creations.push((number, creation)),
        }
    }

    /// The line names a user; `words` if there is none.
    pub(super) fn names(&mut self, number: u64, user: UserId, words: &'static str) {
        self.named.push((number, user, words));
    }

    /// It is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.lines >= LINES_MAX
    }

    /// Writes everything, in the order in which it builds on each other. Answers the first line
    /// that cannot be used; then the rest is of no use either.
    pub(super) async fn write(self, store: &Mongo) -> Result<Option<Problem>, Failure> {
        let mut problems = vec![self.write_users(store).await?];
        problems.push(unknown_user(store, &self.named).await?);
        let pair = [(PAIR, "the two have another direct room")];
        problems.push(insert(store, ROOMS, &self.rooms, &pair).await?);
        problems.push(insert(store, MEMBERS, &self.members, &[]).await?);
        problems.push(banned_member(store, &self.bans).await?);
        problems.push(insert(store, BANS, &self.bans, &[]).await?);
        let named = [(ROOM_SENDER_CLIENT, "its sender has another message of that client_id")];
        problems.push(insert(store, MESSAGES, &self.messages, &named).await?);
        problems.push(repeated_rev(store, &self.messages).await?);
        problems.push(insert(store, REACTIONS, &self.reactions, &[]).await?);
        problems.push(unknown_change(store, &self.changes).await?);
        problems.push(insert(store, CHANGES, &self.changes, &[]).await?);
        problems.push(name_rooms(store, &self.creations).await?);
        Ok(problems.into_iter().flatten().min())
    }

    async fn write_users(&self, store: &Mongo) -> Result<Option<Problem>, Failure> {
        let users: Numbers<&UserDocument> =
            self.users.iter().map(|(number, user)| (*number, &user.document)).collect();
        let words = [
            (USERNAME, "its username is another's, too"),
            (EXTERNAL_ID, "its external_id is another's, too"),
            (SESSION_TOKEN, TOKEN_TAKEN),
        ];
        let Some((number, reason)) = insert(store, USERS, &users, &words).await? else {
            return Ok(None);
        };
        let user = self.users.iter().find(|(line, _)| *line == number);
        match user {
            Some((_, user)) if reason == TOKEN_TAKEN => {
                Ok(Some((taken_session(store, user).await?.unwrap_or(number), reason)))
            }
            _ => Ok(Some((number, reason))),
        }
    }
}

const TOKEN_TAKEN: &str = "its token is another's, too";

/// The line of the first session of `user` whose token another user has.
async fn taken_session(store: &Mongo, user: &PendingUser) -> Result<Option<u64>, Failure> {
    #[derive(Deserialize)]
    struct Holder {
        #[serde(rename = "_id")]
        _user: Bytes<15>,
    }
    for (part, number) in user.document.sessions.iter().zip(&user.session_lines) {
        let holder = doc! { "sessions.token": part.token.bson() };
        if store.find_one::<Holder>(USERS, holder, doc! { "_id": 1 }).await?.is_some() {
            return Ok(Some(*number));
        }
    }
    Ok(None)
}

/// Inserts, and answers the first line that a unique index refuses, in the words for that index.
async fn insert<T: Serialize + Send + Sync>(
    store: &Mongo,
    collection: &'static str,
    documents: &Numbers<T>,
    words: &[(&str, &str)],
) -> Result<Option<Problem>, Failure> {
    if documents.is_empty() {
        return Ok(None);
    }
    let plain = documents.iter().map(|(_, document)| document);
    let target = store.collection::<T>(collection);
    let Err(error) = target.insert_many(plain).ordered(false).await else {
        return Ok(None);
    };
    let ErrorKind::InsertMany(refused) = &*error.kind else { return Err(error.into()) };
    let refused = refused.write_errors.as_deref().unwrap_or_default();
    let first = refused.iter().min_by_key(|refusal| refusal.index);
    match first {
        Some(refusal) if refused.iter().all(|refusal| refusal.code == DUPLICATE_KEY) => {
            let number = documents[refusal.index].0;
            Ok(Some((number, reason(refusal, words))))
        }
        _ => Err(error.into()),
    }
}

fn reason(refusal: &IndexedWriteError, words: &[(&str, &str)]) -> String {
    let index = index_of(&refusal.message);
    let known = words.iter().find(|(name, _)| index == Some(*name));
    known.map_or("stands there twice", |(_, words)| words).to_owned()
}

/// Gives rooms their creators' names for them.
async fn name_rooms(
    store: &Mongo,
    creations: &Numbers<CreationLine>,
) -> Result<Option<Problem>, Failure> {
    let rooms = store.collection::<RoomDocument>(ROOMS);
    for (number, CreationLine { creator, client_id, room }) in creations {
        let unnamed = doc! {
            "_id": room.bson(), "creator": creator.bson(), "client_id": { "$exists": false },
        };
        let name = doc! { "$set": { "client_id": client_id.as_str() } };
        match rooms.update_one(unnamed, name).await {
            Ok(named) if named.matched_count == 1 => {}
            Ok(_) => {
                let theirs = doc! { "_id": room.bson(), "creator": creator.bson() };
                let has_name = rooms.find_one(theirs).await?.is_some();
                let words =
                    if has_name { "stands there twice" } else { "names no room of that creator" };
                return Ok(Some((*number, words.to_owned())));
            }
            Err(error) if duplicate(&error).is_some() => {
                return Ok(Some((*number, "stands there twice".to_owned())));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
