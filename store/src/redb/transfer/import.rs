//! Lines as tables, with their indexes and counters.

use crate::{
    StoreError,
    redb::{
        membership::write_member,
        record::Raw,
        tables::{
            Amendments, Bans, ChangeRecord, Changes, CreatedRooms, DirectRooms, ExternalIds,
            HeadsRecord, LatestChanges, Logins, Marker, MemberRecord, Members, MessageRecord,
            Messages, Reactions, RoomCounts, RoomHeads, RoomRecord, Rooms, Sent, SentRecord,
            SessionRecord, Sessions, Table, Uncounted, UserRecord, UserSessions, Usernames, Users,
        },
        transaction::{Read, Snapshot, Tables},
    },
    rooms::REMOVED_MAX,
    transfer::{
        Lines, Numbered, TransferError,
        line::{
            ChangeLine, CreationLine, Line, LoginLine, MemberLine, MessageLine, ReactionLine,
            RoomLine, SessionLine, UserLine,
        },
    },
};
use ::redb::Database;
use madang_protocol::{Amended, ChangeKind, RoomId, RoomKind, UserId};
use std::ops::Bound;

/// Lines written by one transaction: what it changes is kept until it is committed.
const LINES_PER_COMMIT: usize = 5_000;

/// True when nothing was ever written.
pub(super) fn is_empty(snapshot: &Snapshot) -> Result<bool, StoreError> {
    fn none<T: Table>(snapshot: &Snapshot) -> Result<bool, StoreError> {
        Ok(snapshot.scan::<T>(Bound::Unbounded, Bound::Unbounded)?.next().is_none())
    }
    // Everything else belongs to a user or a room.
    Ok(none::<Users>(snapshot)? && none::<Rooms>(snapshot)? && none::<Messages>(snapshot)?)
}

/// Writes all lines into an empty database.
pub(super) fn fill(database: &Database, lines: &mut Lines<'_>) -> Result<(), TransferError> {
    let unavailable = |error: ::redb::Error| StoreError::Unavailable(error.to_string());
    let mut filling = Filling { user: NOBODY, room: None, seq: 0 };
    let mut is_more = true;
    while is_more {
        let transaction = database.begin_write().map_err(|error| unavailable(error.into()))?;
        {
            let mut tables = Tables::whole(&transaction);
            is_more = filling.put_some(&mut tables, lines)?;
        }
        transaction.commit().map_err(|error| unavailable(error.into()))?;
    }
    Ok(())
}

/// What the next line belongs to.
struct Filling {
    user: UserId,
    room: Option<OpenRoom>,
    seq: u64,
}

struct OpenRoom {
    room: RoomId,
    kind: RoomKind,
    /// The first of its members.
    first: Option<UserId>,
}

/// Stands where no user was named yet; the order of lines has one named before it is used.
const NOBODY: UserId = UserId([0; 15]);

/// Why a line was not written.
enum Problem {
    Refused(String),
    Store(StoreError),
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

type Done = Result<(), Problem>;

impl Filling {
    /// Writes as many lines as one transaction takes; true when there may be more.
    fn put_some(
        &mut self,
        tables: &mut Tables<'_>,
        lines: &mut Lines<'_>,
    ) -> Result<bool, TransferError> {
        for _ in 0..LINES_PER_COMMIT {
            let Some(numbered) = lines.next().transpose()? else { return Ok(false) };
            self.put(tables, &numbered).map_err(|problem| match problem {
                Problem::Refused(reason) => numbered.refused(reason),
                Problem::Store(error) => error.into(),
            })?;
        }
        Ok(true)
    }

    fn put(&mut self, tables: &mut Tables<'_>, Numbered { line, .. }: &Numbered) -> Done {
        match line {
            Line::User(line) => self.user(tables, line),
            Line::Session(line) => self.session(tables, line),
            Line::Login(line) => self.login(tables, line),
            Line::Room(line) => self.room(tables, line),
            Line::Creation(line) => creation(tables, line),
            Line::Member(line) => self.open_room()?.member(tables, line),
            Line::Ban(line) => self.open_room()?.ban(tables, line.user),
            Line::Message(line) => {
                self.seq = line.seq;
                self.open_room()?.message(tables, line)
            }
            Line::Reaction(line) => {
                let seq = self.seq;
                self.open_room()?.reaction(tables, seq, line)
            }
            Line::Change(line) => self.open_room()?.change(tables, line),
        }
    }

    fn open_room(&mut self) -> Result<&mut OpenRoom, Problem> {
        self.room.as_mut().ok_or_else(|| Problem::Refused("belongs to no room".into()))
    }

    fn user(&mut self, tables: &mut Tables<'_>, line: &UserLine) -> Done {
        let UserLine { user, username_folded, external_id, .. } = line;
        unused::<Usernames>(tables, username_folded, "its username is another's, too")?;
        tables.put::<Usernames>(username_folded, &Raw(user.0))?;
        if let Some(external_id) = external_id {
            unused::<ExternalIds>(tables, external_id, "its external_id is another's, too")?;
            tables.put::<ExternalIds>(external_id, &Raw(user.0))?;
        }
        tables.put::<Users>(user, &user_of(line))?;
        self.user = *user;
        Ok(())
    }

    fn session(&self, tables: &mut Tables<'_>, line: &SessionLine) -> Done {
        let SessionLine { session, token_hash, created_at, expires_at } = *line;
        let user = self.user;
        unused::<Sessions>(tables, &token_hash, "its token is another's, too")?;
        unused::<UserSessions>(tables, &(user, session), "the session stands there twice")?;
        let record =
            SessionRecord { session: Raw(session.0), user: Raw(user.0), created_at, expires_at };
        tables.put::<Sessions>(&token_hash, &record)?;
        Ok(tables.put::<UserSessions>(&(user, session), &Raw(token_hash))?)
    }

    fn login(&self, tables: &mut Tables<'_>, line: &LoginLine) -> Done {
        let key = (self.user, line.address.octets());
        unused::<Logins>(tables, &key, "the address stands there twice")?;
        Ok(tables.put::<Logins>(&key, &line.at)?)
    }

    fn room(&mut self, tables: &mut Tables<'_>, line: &RoomLine) -> Done {
        let RoomLine { room, kind, private, creator, created_at, .. } = *line;
        let RoomLine { last_seq, last_rev, member_rev, members, active_at, .. } = *line;
        known::<Users>(tables, &creator, "its creator is no user")?;
        let name = line.name.clone();
        let creator = Raw(creator.0);
        let removed = line.removed.iter().take(REMOVED_MAX).map(|user| Raw(user.0)).collect();
        let record = RoomRecord { kind, name, private, created_at, creator, removed };
        tables.put::<Rooms>(&room, &record)?;
        // That they hold is seen when the room ends.
        let heads = HeadsRecord { last_seq, last_rev, member_rev, members, active_at };
        tables.put::<RoomHeads>(&room, &heads)?;
        self.room = Some(OpenRoom { room, kind, first: None });
        Ok(())
    }
}

impl OpenRoom {
    fn member(&mut self, tables: &mut Tables<'_>, line: &MemberLine) -> Done {
        let MemberLine { user, role, joined_at, read_seq } = *line;
        known::<Users>(tables, &user, "is no user")?;
        let room_count = tables.get::<RoomCounts>(&user)?.unwrap_or(0);
        let record = MemberRecord { role, joined_at, read_seq };
        write_member(tables, self.room, user, &record, room_count)?;
        if self.kind == RoomKind::Direct
            && let Some(first) = self.first
        {
            let pair = (first, user);
            unused::<DirectRooms>(tables, &pair, "the two have another direct room")?;
            tables.put::<DirectRooms>(&pair, &Raw(self.room.0))?;
        }
        self.first = self.first.or(Some(user));
        Ok(())
    }

    fn ban(&self, tables: &mut Tables<'_>, user: UserId) -> Done {
        known::<Users>(tables, &user, "is no user")?;
        unused::<Members>(tables, &(self.room, user), "is a member")?;
        Ok(tables.put::<Bans>(&(self.room, user), &Marker)?)
    }

    fn message(&self, tables: &mut Tables<'_>, line: &MessageLine) -> Done {
        let MessageLine { seq, ts, sender, rev, .. } = *line;
        let key = (self.room, seq);
        known::<Users>(tables, &sender, "its sender is no user")?;
        let sent = (self.room, sender, line.client_id.clone());
        unused::<Sent>(tables, &sent, "its sender has another message of that client_id")?;
        tables.put::<Sent>(&sent, &SentRecord { seq, ts })?;
        tables.put::<Messages>(&key, &record_of(line))?;
        let amended = amended_of(line);
        if amended != Amended::default() {
            tables.put::<Amendments>(&key, &amended)?;
        }
        if rev > 0 {
            let latest = (self.room, rev);
            unused::<LatestChanges>(tables, &latest, "its rev is another message's, too")?;
            tables.put::<LatestChanges>(&latest, &seq)?;
        }
        if line.uncounted {
            tables.put::<Uncounted>(&key, &Marker)?;
        }
        Ok(())
    }

    fn reaction(&self, tables: &mut Tables<'_>, seq: u64, line: &ReactionLine) -> Done {
        known::<Users>(tables, &line.user, "is of no user")?;
        let key = (self.room, seq, line.user, line.emoji.clone());
        Ok(tables.put::<Reactions>(&key, &Marker)?)
    }

    /// The change must be one that the message knows of.
    fn change(&self, tables: &mut Tables<'_>, line: &ChangeLine) -> Done {
        let ChangeLine { rev, seq, kind, by, ts } = *line;
        if let Some(by) = by {
            known::<Users>(tables, &by, "is of no user")?;
        }
        let amended = tables.get::<Amendments>(&(self.room, seq))?.unwrap_or_default();
        let latest = tables.get::<LatestChanges>(&(self.room, rev))?;
        let deletes = kind == ChangeKind::Delete;
        let is_known = if amended.rev == rev {
            amended.deleted == deletes
        } else {
            amended.rev > rev && latest.is_none() && !deletes
        };
        if !is_known {
            return Err(Problem::Refused(format!("message {seq} does not know of it")));
        }
        let record = ChangeRecord { seq, kind, by: by.map(|user| Raw(user.0)), ts };
        Ok(tables.put::<Changes>(&(self.room, rev), &record)?)
    }
}

fn creation(tables: &mut Tables<'_>, line: &CreationLine) -> Done {
    let CreationLine { creator, client_id, room } = line;
    let made_by = tables.get::<Rooms>(room)?.map(|record| record.creator);
    if made_by != Some(Raw(creator.0)) {
        return Err(Problem::Refused("names no room of that creator".into()));
    }
    let key = (*creator, client_id.clone());
    unused::<CreatedRooms>(tables, &key, "stands there twice")?;
    Ok(tables.put::<CreatedRooms>(&key, &Raw(room.0))?)
}

fn user_of(line: &UserLine) -> UserRecord {
    UserRecord {
        username: line.username.clone(),
        username_folded: line.username_folded.clone(),
        display_name: line.display_name.clone(),
        password_hash: line.password_hash.clone(),
        created_at: line.created_at,
        external_id: line.external_id.clone(),
    }
}

fn record_of(line: &MessageLine) -> MessageRecord {
    MessageRecord {
        ts: line.ts,
        sender: Raw(line.sender.0),
        client_id: line.client_id.clone(),
        body: line.body.clone(),
        reply_to: line.reply_to,
    }
}

fn amended_of(line: &MessageLine) -> Amended {
    let reactions = line.reactions.clone();
    Amended { rev: line.rev, edited_at: line.edited_at, deleted: line.deleted, reactions }
}

fn known<T: Table>(tables: &Tables<'_>, key: &T::Key, problem: &str) -> Done {
    match tables.get::<T>(key)? {
        Some(_) => Ok(()),
        None => Err(Problem::Refused(problem.into())),
    }
}

fn unused<T: Table>(tables: &Tables<'_>, key: &T::Key, problem: &str) -> Done {
    match tables.get::<T>(key)? {
        Some(_) => Err(Problem::Refused(problem.into())),
        None => Ok(()),
    }
}
