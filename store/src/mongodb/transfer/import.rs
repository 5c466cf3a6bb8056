//! Lines as documents.

use super::{
    Fed,
    batch::{Batch, Item, PendingUser},
    document::{ChangeDocument, MessageDocument, ReactionDocument},
};
use crate::{
    StoreError,
    mongodb::{
        Mongo,
        accounts::document::{LoginPart, SessionPart, UserDocument},
        bytes::Bytes,
        failure::Failure,
        rooms::document::{BanDocument, MemberDocument, MemberKey, RoomDocument, pair_of},
        schema::{DATA, MEMBERS, MESSAGES, META, ROOM_COUNTS, ROOMS, USERS},
        setup::{IMPORT, make_indexes},
    },
    rooms::REMOVED_MAX,
    transfer::{
        Numbered, TransferError,
        line::{CreationLine, Line, LoginLine, MemberLine, RoomLine, SessionLine, UserLine},
    },
};
use ::mongodb::bson::{DateTime, Document, doc};
use madang_protocol::{RoomId, RoomKind, UserId};
use std::{path::PathBuf, sync::mpsc::Receiver};

/// Fills an empty database. What is there when it fails is taken away again.
pub(super) async fn import(store: &Mongo, lines: Receiver<Fed>) -> Result<(), TransferError> {
    begin(store).await?;
    let filled = match fill(store, lines).await {
        Ok(()) => finish(store).await.map_err(failed),
        Err(error) => Err(error),
    };
    if filled.is_err()
        && let Err(left) = clear(store).await
    {
        // The mark is still there: whoever opens the database is told.
        tracing::error!(error = %left, "what was imported in part could not be taken away");
    }
    filled
}

/// Marks that an import is under way, if nothing is there yet.
async fn begin(store: &Mongo) -> Result<(), TransferError> {
    let meta = store.collection::<Document>(META);
    let mark = doc! { "_id": IMPORT, "began": DateTime::now() };
    meta.insert_one(mark).await.map_err(failed)?;
    for collection in [USERS, ROOMS, MESSAGES] {
        let first = vec![doc! { "$sort": { "_id": 1 } }, doc! { "$limit": 1 }];
        if !store.aggregate::<Document>(collection, first).await.map_err(failed)?.is_empty() {
            unmark(store).await.map_err(failed)?;
            let path = PathBuf::from(format!("database {}", store.database.name()));
            return Err(TransferError::NotEmpty { path });
        }
    }
    Ok(())
}

/// Makes the counters, and takes the mark away.
async fn finish(store: &Mongo) -> Result<(), Failure> {
    let count = vec![
        doc! { "$sort": { "user": 1, "room": 1 } },
        doc! { "$group": { "_id": "$user", "rooms": { "$sum": 1_i64 } } },
        doc! { "$merge": { "into": ROOM_COUNTS } },
    ];
    store.collection::<Document>(MEMBERS).aggregate(count).allow_disk_use(true).await?;
    unmark(store).await
}

async fn unmark(store: &Mongo) -> Result<(), Failure> {
    store.collection::<Document>(META).delete_one(doc! { "_id": IMPORT }).await?;
    Ok(())
}

async fn clear(store: &Mongo) -> Result<(), TransferError> {
    for collection in DATA {
        store.collection::<Document>(collection).drop().await.map_err(failed)?;
    }
    make_indexes(&store.database).await?;
    unmark(store).await.map_err(failed)
}

async fn fill(store: &Mongo, lines: Receiver<Fed>) -> Result<(), TransferError> {
    let mut filling = Filling::default();
    loop {
        match lines.recv() {
            Ok(Fed::Lines(group)) => {
                for numbered in group {
                    if let Err(reason) = filling.put(&numbered) {
                        filling.write(store).await?;
                        return Err(numbered.refused(reason));
                    }
                    if filling.batch.is_full() {
                        filling.write(store).await?;
                    }
                }
            }
            Ok(Fed::End) => {
                filling.end_user();
                filling.end_room();
                return filling.write(store).await;
            }
            // A line could not be read: its error is the one to be told, unless one before it
            // cannot be used.
            Err(_) => {
                filling.write(store).await?;
                return Err(StoreError::Unavailable("the lines have no end".into()).into());
            }
        }
    }
}

/// What the next line belongs to.
#[derive(Default)]
struct Filling {
    user: Option<(u64, PendingUser)>,
    room: Option<OpenRoom>,
    seq: u64,
    batch: Batch,
}

struct OpenRoom {
    /// The line that a refusal of the room as a whole names.
    number: u64,
    room: RoomId,
    document: RoomDocument,
    /// The first of its members.
    first: Option<UserId>,
}

type Put = Result<(), &'static str>;

impl Filling {
    async fn write(&mut self, store: &Mongo) -> Result<(), TransferError> {
        let problem = std::mem::take(&mut self.batch).write(store).await.map_err(failed)?;
        match problem {
            None => Ok(()),
            Some((number, reason)) => Err(TransferError::Line { number, reason }),
        }
    }

    fn put(&mut self, Numbered { number, line }: &Numbered) -> Put {
        let number = *number;
        if !matches!(line, Line::Session(_) | Line::Login(_)) {
            self.end_user();
        }
        match line {
            Line::User(line) => self.user(number, line),
            Line::Session(line) => self.session(number, line)?,
            Line::Login(line) => self.login(line)?,
            Line::Room(line) => self.room(number, line),
            Line::Creation(line) => self.creation(number, line),
            Line::Member(line) => self.member(number, line)?,
            Line::Ban(line) => {
                let key = MemberKey::new(self.open_room()?, line.user);
                self.batch.names(number, line.user, "is no user");
                self.batch.push(number, Item::Ban(BanDocument { key }));
            }
            Line::Message(line) => {
                let message = MessageDocument::new(self.open_room()?, line);
                self.seq = line.seq;
                self.batch.names(number, line.sender, "its sender is no user");
                self.batch.push(number, Item::Message(message));
            }
            Line::Reaction(line) => {
                let reaction = ReactionDocument::new(self.open_room()?, self.seq, line);
                self.batch.names(number, line.user, "is of no user");
                self.batch.push(number, Item::Reaction(reaction));
            }
            Line::Change(line) => {
                let change = ChangeDocument::new(self.open_room()?, line);
                if let Some(by) = line.by {
                    self.batch.names(number, by, "is of no user");
                }
                self.batch.push(number, Item::Change(change));
            }
        }
        Ok(())
    }

    fn user(&mut self, number: u64, line: &UserLine) {
        let document = UserDocument {
            user: Bytes(line.user.0),
            username: line.username.clone(),
            username_folded: line.username_folded.clone(),
            display_name: line.display_name.clone(),
            password_hash: line.password_hash.clone(),
            created_at: line.created_at,
            external_id: line.external_id.clone(),
            rev: 0,
            sessions: Vec::new(),
            logins: Vec::new(),
        };
        self.user = Some((number, PendingUser { document, session_lines: Vec::new() }));
    }

    fn end_user(&mut self) {
        if let Some((number, user)) = self.user.take() {
            self.batch.push(number, Item::User(user));
        }
    }

    fn session(&mut self, number: u64, line: &SessionLine) -> Put {
        let (_, user) = self.user.as_mut().ok_or("belongs to no user")?;
        let SessionLine { session, token_hash, created_at, expires_at } = *line;
        let part = SessionPart {
            session: Bytes(session.0),
            token: Bytes(token_hash),
            created_at,
            expires_at,
        };
        let known = &mut user.document.sessions;
        if known.iter().any(|other| other.token == part.token) {
            return Err("its token is another's, too");
        }
        if known.iter().any(|other| other.session == part.session) {
            return Err("the session stands there twice");
        }
        known.push(part);
        user.session_lines.push(number);
        Ok(())
    }

    fn login(&mut self, line: &LoginLine) -> Put {
        let (_, user) = self.user.as_mut().ok_or("belongs to no user")?;
        let part = LoginPart { address: Bytes(line.address.octets()), at: line.at };
        let known = &mut user.document.logins;
        if known.iter().any(|other| other.address == part.address) {
            return Err("the address stands there twice");
        }
        known.push(part);
        Ok(())
    }

    fn room(&mut self, number: u64, line: &RoomLine) {
        self.end_room();
        let removed = line.removed.iter().take(REMOVED_MAX).map(|user| Bytes(user.0)).collect();
        let document = RoomDocument {
            room: Bytes(line.room.0),
            kind: line.kind,
            name: line.name.clone(),
            private: line.private,
            creator: Bytes(line.creator.0),
            created_at: line.created_at,
            member_rev: line.member_rev,
            members: line.members,
            client_id: None,
            pair: None,
            removed,
        };
        self.batch.names(number, line.creator, "its creator is no user");
        self.room = Some(OpenRoom { number, room: line.room, document, first: None });
    }

    /// The room is known whole.
    fn end_room(&mut self) {
        if let Some(OpenRoom { number, document, .. }) = self.room.take() {
            self.batch.push(number, Item::Room(document));
        }
    }

    fn open_room(&self) -> Result<RoomId, &'static str> {
        self.room.as_ref().map(|open| open.room).ok_or("belongs to no room")
    }

    fn member(&mut self, number: u64, line: &MemberLine) -> Put {
        let open = self.room.as_mut().ok_or("belongs to no room")?;
        let MemberLine { user, role, joined_at, read_seq } = *line;
        match open.first {
            None => open.first = Some(user),
            Some(first) if open.document.kind == RoomKind::Direct => {
                open.document.pair = Some(pair_of((first, user)));
                open.number = number;
            }
            Some(_) => {}
        }
        let member = MemberDocument::new(open.room, user, role, joined_at, read_seq);
        self.batch.names(number, user, "is no user");
        self.batch.push(number, Item::Member(member));
        Ok(())
    }

    fn creation(&mut self, number: u64, line: &CreationLine) {
        self.end_room();
        self.batch.push(number, Item::Creation(line.clone()));
    }
}

fn failed(error: impl Into<Failure>) -> TransferError {
    error.into().of_write().into()
}
