//! The tables as lines. A room's tables are in the same order, so they are read side by side.

use crate::{
    StoreError,
    redb::{
        keys::Key,
        record::damaged,
        tables::{
            Amendments, Bans, ChangeRecord, Changes, CreatedRooms, HeadsRecord, Logins, Members,
            MessageRecord, Messages, Reactions, RoomHeads, RoomRecord, Rooms, Sessions, Table,
            Uncounted, UserRecord, UserSessions, Users,
        },
        transaction::{Read, Scan, Snapshot},
    },
    transfer::{
        Sink, TransferError,
        line::{
            BanLine, ChangeLine, CreationLine, Line, LoginLine, MemberLine, MessageLine,
            ReactionLine, RoomLine, SessionLine, UserLine,
        },
    },
};
use madang_protocol::{RoomId, UserId};
use std::{iter::Peekable, net::Ipv6Addr, ops::Bound};

type Done = Result<(), TransferError>;
type Found<T> = Result<Option<(<T as Table>::Key, <T as Table>::Record)>, StoreError>;

pub(super) fn export(snapshot: &Snapshot, sink: &mut Sink<'_>) -> Done {
    for item in snapshot.scan::<Users>(Bound::Unbounded, Bound::Unbounded)? {
        let (user, record) = item?;
        account(snapshot, user, record, sink)?;
    }
    for item in snapshot.scan::<Rooms>(Bound::Unbounded, Bound::Unbounded)? {
        let (room, record) = item?;
        sink(Line::Room(room_line(room, record, &snapshot.expect::<RoomHeads>(&room)?)))?;
        members(snapshot, room, sink)?;
        messages(snapshot, room, sink)?;
        changes(snapshot, room, sink)?;
    }
    for item in snapshot.scan::<CreatedRooms>(Bound::Unbounded, Bound::Unbounded)? {
        let ((creator, client_id), room) = item?;
        sink(Line::Creation(CreationLine { creator, client_id, room: RoomId(room.0) }))?;
    }
    Ok(())
}

/// A user, with sessions and logins.
fn account(snapshot: &Snapshot, user: UserId, record: UserRecord, sink: &mut Sink<'_>) -> Done {
    sink(Line::User(UserLine {
        user,
        username: record.username,
        username_folded: record.username_folded,
        display_name: record.display_name,
        password_hash: record.password_hash,
        created_at: record.created_at,
        external_id: record.external_id,
    }))?;
    for item in snapshot.scan_prefix::<UserSessions>(&user.to_bytes())? {
        let ((_, session), token_hash) = item?;
        let record = snapshot.expect::<Sessions>(&token_hash.0)?;
        sink(Line::Session(SessionLine {
            session,
            token_hash: token_hash.0,
            created_at: record.created_at,
            expires_at: record.expires_at,
        }))?;
    }
    for item in snapshot.scan_prefix::<Logins>(&user.to_bytes())? {
        let ((_, address), at) = item?;
        sink(Line::Login(LoginLine { address: Ipv6Addr::from(address), at }))?;
    }
    Ok(())
}

fn room_line(room: RoomId, record: RoomRecord, heads: &HeadsRecord) -> RoomLine {
    let RoomRecord { kind, name, private, created_at, creator, removed } = record;
    let HeadsRecord { last_seq, last_rev, member_rev, members, active_at } = *heads;
    RoomLine {
        room,
        kind,
        name,
        private,
        creator: UserId(creator.0),
        created_at,
        last_seq,
        last_rev,
        member_rev,
        members,
        active_at,
        removed: removed.into_iter().map(|user| UserId(user.0)).collect(),
    }
}

/// Who is in a room, and who is kept out.
fn members(snapshot: &Snapshot, room: RoomId, sink: &mut Sink<'_>) -> Done {
    for item in snapshot.scan_prefix::<Members>(&room.to_bytes())? {
        let ((_, user), record) = item?;
        sink(Line::Member(MemberLine {
            user,
            role: record.role,
            joined_at: record.joined_at,
            read_seq: record.read_seq,
        }))?;
    }
    for item in snapshot.scan_prefix::<Bans>(&room.to_bytes())? {
        let ((_, user), _) = item?;
        sink(Line::Ban(BanLine { user }))?;
    }
    Ok(())
}

/// The messages of a room, each with what was changed about it and who reacted.
fn messages(snapshot: &Snapshot, room: RoomId, sink: &mut Sink<'_>) -> Done {
    let prefix = room.to_bytes();
    let mut amendments = snapshot.scan_prefix::<Amendments>(&prefix)?.peekable();
    let mut uncounted = snapshot.scan_prefix::<Uncounted>(&prefix)?.peekable();
    let mut reactions = snapshot.scan_prefix::<Reactions>(&prefix)?.peekable();
    for item in snapshot.scan_prefix::<Messages>(&prefix)? {
        let ((_, seq), record) = item?;
        let MessageRecord { ts, sender, client_id, body, reply_to } = record;
        let amended = next_if(&mut amendments, |key| key.1 == seq)?;
        let amended = amended.map(|(_, amended)| amended).unwrap_or_default();
        sink(Line::Message(MessageLine {
            seq,
            ts,
            sender: UserId(sender.0),
            client_id,
            body,
            reply_to,
            rev: amended.rev,
            edited_at: amended.edited_at,
            deleted: amended.deleted,
            reactions: amended.reactions,
            uncounted: next_if(&mut uncounted, |key| key.1 == seq)?.is_some(),
        }))?;
        while let Some(((_, _, user, emoji), _)) = next_if(&mut reactions, |key| key.1 == seq)? {
            sink(Line::Reaction(ReactionLine { user, emoji }))?;
        }
    }
    none_left(amendments)?;
    none_left(uncounted)?;
    none_left(reactions)
}

fn changes(snapshot: &Snapshot, room: RoomId, sink: &mut Sink<'_>) -> Done {
    for item in snapshot.scan_prefix::<Changes>(&room.to_bytes())? {
        let ((_, rev), record) = item?;
        let ChangeRecord { seq, kind, by, ts } = record;
        sink(Line::Change(ChangeLine { rev, seq, kind, by: by.map(|user| UserId(user.0)), ts }))?;
    }
    Ok(())
}

/// The next record, if its key is one that is looked for.
fn next_if<T: Table>(
    scan: &mut Peekable<Scan<'_, T>>,
    wanted: impl Fn(&T::Key) -> bool,
) -> Found<T> {
    scan.next_if(|item| item.as_ref().map_or(true, |(key, _)| wanted(key))).transpose()
}

/// Whatever is left stands under no message, or not in its order.
fn none_left<T: Table>(mut scan: Peekable<Scan<'_, T>>) -> Done {
    match scan.next().transpose()? {
        None => Ok(()),
        Some((key, _)) => Err(damaged(T::NAME, &key.to_bytes(), "is about no message").into()),
    }
}
