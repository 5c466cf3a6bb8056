//! One snapshot as lines. All collections are read in the order of the same ids, so what belongs
//! together is read side by side, by one cursor for each collection however many rooms there are.
//!
//! MongoDB keeps a snapshot for five minutes (`minSnapshotHistoryWindowInSeconds`): an export that
//! takes longer fails and says so, rather than put together what was never there together.

use super::document::{ChangeDocument, MessageDocument, ReactionDocument};
use crate::{
    StoreError,
    mongodb::{
        Mongo,
        accounts::document::UserDocument,
        bytes::Bytes,
        failure::{Failure, code},
        rooms::{
            document::{BanDocument, MemberDocument, MemberKey, RoomDocument},
            pipeline,
        },
        schema::{BANS, CHANGES, MEMBERS, MESSAGES, REACTIONS, RECEIPTS, ROOMS, USERS},
    },
    transfer::{
        Line, TransferError,
        line::{BanLine, CreationLine, LoginLine, MemberLine, RoomLine, SessionLine, UserLine},
    },
};
use ::mongodb::{
    ClientSession, SessionCursor,
    bson::{Document, doc},
    error::Error,
};
use madang_protocol::{Millis, RoomId, SessionId, UserId};
use serde::{Deserialize, de::DeserializeOwned};
use std::{net::Ipv6Addr, sync::mpsc::SyncSender};

/// Rows of one answer.
const ROWS_PER_ANSWER: u32 = 1_000;
/// The server's code for a snapshot that it keeps no more.
const SNAPSHOT_TOO_OLD: i32 = 239;

/// Hands all lines to `sender`.
pub(super) async fn export(
    store: &Mongo,
    sender: SyncSender<Vec<Line>>,
) -> Result<(), TransferError> {
    apply_changes(store).await.map_err(Failure::of_read)?;
    let session = store.database.client().start_session().snapshot(true).await;
    let session = session.map_err(failed)?;
    let out = Out { sender, lines: Vec::new() };
    let mut export = Export { store, session, out };
    match export.all().await {
        Err(Stop::NobodyListens) | Ok(()) => Ok(()),
        Err(Stop::Failed(error)) => Err(failed(error)),
        Err(Stop::Damaged(error)) => Err(error.into()),
    }
}

/// Brings messages up to date whose node died before it came to that, as reading them does.
async fn apply_changes(store: &Mongo) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Unapplied {
        room: Bytes<15>,
        from: u64,
        to: u64,
    }
    let found: Vec<Unapplied> = store.aggregate(ROOMS, pipeline::unapplied()).await?;
    for Unapplied { room, from, to } in found {
        store.apply_again(RoomId(room.0), from, to).await?;
    }
    Ok(())
}

/// Why no more lines come.
enum Stop {
    /// Whoever takes the lines has ended, and says why.
    NobodyListens,
    Failed(Error),
    Damaged(StoreError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Done = Result<(), Stop>;

/// Lines on their way.
struct Out {
    sender: SyncSender<Vec<Line>>,
    lines: Vec<Line>,
}

impl Out {
    fn put(&mut self, line: Line) -> Done {
        self.lines.push(line);
        if self.lines.len() < super::LINES_TOGETHER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Done {
        let lines = std::mem::take(&mut self.lines);
        self.sender.send(lines).map_err(|_| Stop::NobodyListens)
    }
}

struct Export<'a> {
    store: &'a Mongo,
    session: ClientSession,
    out: Out,
}

/// A collection that is read on, with the next row in view.
struct Stream<T> {
    cursor: SessionCursor<T>,
    next: Option<T>,
}

/// A room with its heads.
#[derive(Deserialize)]
struct RoomRow {
    of_room: RoomDocument,
    #[serde(default)]
    last_seq: u64,
    last_ts: Option<Millis>,
    #[serde(default)]
    last_rev: u64,
}

#[derive(Deserialize)]
struct ReceiptDocument {
    #[serde(rename = "_id")]
    key: MemberKey,
    seq: u64,
}

/// What belongs to rooms, in their order.
struct Streams {
    members: Stream<MemberDocument>,
    receipts: Stream<ReceiptDocument>,
    bans: Stream<BanDocument>,
    messages: Stream<MessageDocument>,
    reactions: Stream<ReactionDocument>,
    changes: Stream<ChangeDocument>,
}

impl Export<'_> {
    async fn all(&mut self) -> Done {
        let mut users = self.stream::<UserDocument>(USERS, in_order(doc! { "_id": 1 })).await?;
        while let Some(user) = users.take(&mut self.session).await? {
            self.account(user)?;
        }
        self.rooms().await?;
        let named = doc! { "$match": { "client_id": { "$exists": true } } };
        let by_name = doc! { "$sort": { "creator": 1, "client_id": 1 } };
        let mut named = self.stream::<RoomDocument>(ROOMS, vec![named, by_name]).await?;
        while let Some(room) = named.take(&mut self.session).await? {
            let RoomDocument { room, creator, client_id, .. } = room;
            let (room, creator) = (RoomId(room.0), UserId(creator.0));
            if let Some(client_id) = client_id {
                self.out.put(Line::Creation(CreationLine { creator, client_id, room }))?;
            }
        }
        self.out.flush()
    }

    async fn stream<T: DeserializeOwned + Send + Sync>(
        &mut self,
        collection: &str,
        stages: Vec<Document>,
    ) -> Result<Stream<T>, Stop> {
        let rows = self.store.collection::<Document>(collection);
        let rows = rows.aggregate(stages).batch_size(ROWS_PER_ANSWER).with_type::<T>();
        let mut cursor = rows.session(&mut self.session).await?;
        let next = cursor.next(&mut self.session).await.transpose()?;
        Ok(Stream { cursor, next })
    }

    /// A user, with sessions and logins.
    fn account(&mut self, user: UserDocument) -> Done {
        self.out.put(Line::User(UserLine {
            user: UserId(user.user.0),
            username: user.username,
            username_folded: user.username_folded,
            display_name: user.display_name,
            password_hash: user.password_hash,
            created_at: user.created_at,
            external_id: user.external_id,
        }))?;
        let mut sessions = user.sessions;
        sessions.sort_unstable_by_key(|part| part.session);
        for part in sessions {
            self.out.put(Line::Session(SessionLine {
                session: SessionId(part.session.0),
                token_hash: part.token.0,
                created_at: part.created_at,
                expires_at: part.expires_at,
            }))?;
        }
        let mut logins = user.logins;
        logins.sort_unstable_by_key(|login| login.address);
        for login in logins {
            let address = Ipv6Addr::from(login.address.0);
            self.out.put(Line::Login(LoginLine { address, at: login.at }))?;
        }
        Ok(())
    }

    async fn rooms(&mut self) -> Done {
        let by_key = || in_order(doc! { "_id": 1 });
        let by = |number: &str| in_order(doc! { "room": 1, number: 1 });
        let of_message = in_order(doc! { "room": 1, "seq": 1, "user": 1, "emoji": 1 });
        let mut streams = Streams {
            members: self.stream(MEMBERS, by("user")).await?,
            receipts: self.stream(RECEIPTS, by_key()).await?,
            bans: self.stream(BANS, by_key()).await?,
            messages: self.stream(MESSAGES, by("seq")).await?,
            reactions: self.stream(REACTIONS, of_message).await?,
            changes: self.stream(CHANGES, by("rev")).await?,
        };
        let mut rooms = self.stream::<RoomRow>(ROOMS, pipeline::rooms_with_heads()).await?;
        while let Some(row) = rooms.take(&mut self.session).await? {
            let room = row.of_room.room;
            self.out.put(Line::Room(room_line(row)))?;
            self.members(&mut streams, room).await?;
            self.messages(&mut streams, room).await?;
        }
        streams.are_empty()
    }

    /// Who is in a room, and who is kept out.
    async fn members(&mut self, streams: &mut Streams, room: Id) -> Done {
        let Self { session, out, .. } = self;
        while let Some(member) = streams.members.take_if(session, |one| one.room == room).await? {
            let key = member.key;
            // Those of users who are no members any more count for nothing.
            while streams.receipts.take_if(session, |one| one.key < key).await?.is_some() {}
            let receipt = streams.receipts.take_if(session, |one| one.key == key).await?;
            out.put(Line::Member(MemberLine {
                user: UserId(member.user.0),
                role: member.role,
                joined_at: member.joined_at,
                read_seq: receipt.map_or(0, |receipt| receipt.seq).max(member.read_seq),
            }))?;
        }
        while let Some(ban) = streams.bans.take_if(session, |one| one.key.room == room).await? {
            out.put(Line::Ban(BanLine { user: UserId(ban.key.user.0) }))?;
        }
        Ok(())
    }

    /// The messages of a room, each with who reacted, and its changes.
    async fn messages(&mut self, streams: &mut Streams, room: Id) -> Done {
        let Self { session, out, .. } = self;
        while let Some(message) = streams.messages.take_if(session, |one| one.room == room).await? {
            let seq = message.seq;
            out.put(Line::Message(message.line()))?;
            let is_its = |one: &ReactionDocument| (one.room, one.seq) == (room, seq);
            while let Some(reaction) = streams.reactions.take_if(session, is_its).await? {
                out.put(Line::Reaction(reaction.line()))?;
            }
        }
        while let Some(change) = streams.changes.take_if(session, |one| one.room == room).await? {
            out.put(Line::Change(change.line()))?;
        }
        Ok(())
    }
}

/// A room's id.
type Id = Bytes<15>;

impl<T: DeserializeOwned> Stream<T> {
    async fn take(&mut self, session: &mut ClientSession) -> Result<Option<T>, Stop> {
        let Some(taken) = self.next.take() else { return Ok(None) };
        self.next = self.cursor.next(session).await.transpose()?;
        Ok(Some(taken))
    }

    /// The next row, if it is one that is looked for.
    async fn take_if(
        &mut self,
        session: &mut ClientSession,
        wanted: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Stop> {
        if self.next.as_ref().is_some_and(wanted) { self.take(session).await } else { Ok(None) }
    }
}

impl Streams {
    /// Whatever is left belongs to nothing, or not into its order.
    fn are_empty(&self) -> Done {
        let left = [
            ("members", self.members.next.is_some()),
            ("bans", self.bans.next.is_some()),
            ("messages", self.messages.next.is_some()),
            ("reactions", self.reactions.next.is_some()),
            ("changes", self.changes.next.is_some()),
        ];
        match left.iter().find(|(_, is_left)| *is_left) {
            None => Ok(()),
            Some((table, _)) => {
                let detail = "one that belongs to nothing".to_owned();
                Err(Stop::Damaged(StoreError::Damaged { table, detail }))
            }
        }
    }
}

fn room_line(row: RoomRow) -> RoomLine {
    let RoomRow { of_room: room, last_seq, last_ts, last_rev } = row;
    RoomLine {
        room: RoomId(room.room.0),
        kind: room.kind,
        name: room.name,
        private: room.private,
        creator: UserId(room.creator.0),
        created_at: room.created_at,
        last_seq,
        last_rev,
        member_rev: room.member_rev,
        members: room.members,
        active_at: last_ts.unwrap_or(room.created_at),
        removed: room.removed.into_iter().map(|user| UserId(user.0)).collect(),
    }
}

/// By an index, so that nothing is sorted in memory.
fn in_order(sort: Document) -> Vec<Document> {
    vec![doc! { "$sort": sort }]
}

fn failed(error: Error) -> TransferError {
    if code(&error) == Some(SNAPSHOT_TOO_OLD) {
        let what = "the export took longer than MongoDB keeps a snapshot: raise \
                    minSnapshotHistoryWindowInSeconds for its time";
        return StoreError::Unavailable(what.into()).into();
    }
    Failure::from(error).of_read().into()
}
