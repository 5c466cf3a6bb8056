//! Who is in a room, as what, and its name: the transaction behind [`super::rooms`].
//!
//! A change is allowed or refused by what is stored, in the transaction that makes it. Everything
//! is read before anything is written, so one that is refused has written nothing.

use super::{
    Bounds,
    log::heads,
    record::Raw,
    tables::{
        Bans, HeadsRecord, Marker, MemberRecord, Members, RoomCounts, RoomHeads, RoomRecord, Rooms,
        UserRooms, Users,
    },
    transaction::{Read, Tables},
};
use crate::{
    StoreError,
    rooms::{REMOVED_MAX, RoomChange, RoomChanged, RoomRefusal},
};
use madang_protocol::{Event, MemberChange, MemberEvent, Millis, Role, RoomId, RoomKind, UserId};
use std::sync::Arc;

type Answer = Result<RoomChanged, StoreError>;

/// Makes a change, if `by` may.
pub(super) fn change(
    tables: &mut Tables<'_>,
    room: RoomId,
    by: UserId,
    change: &RoomChange,
    at: Millis,
    bounds: Bounds,
) -> Answer {
    let Some(record) = tables.get::<Rooms>(&room)? else { return refused(RoomRefusal::NoRoom) };
    let known = tables.expect::<RoomHeads>(&room)?;
    let caller = tables.get::<Members>(&(room, by))?;
    let mut change_of = ChangeOf { tables, room, by, known, at, bounds };
    if *change == RoomChange::Join {
        return change_of.join(&record, caller);
    }
    let Some(caller) = caller else {
        return match (record.private, change) {
            (true, _) => refused(RoomRefusal::NoRoom),
            (false, RoomChange::Leave) => Ok(RoomChanged::Already(None)),
            (false, _) => refused(RoomRefusal::NotMember),
        };
    };
    if record.kind == RoomKind::Direct {
        return refused(RoomRefusal::Direct);
    }
    match change {
        RoomChange::Join => Ok(RoomChanged::Already(Some(caller.role))),
        RoomChange::Leave => change_of.leave(caller),
        RoomChange::SetRole { user, role } if caller.role == Role::Owner => {
            change_of.set_role(caller, *user, *role)
        }
        RoomChange::Add(user) if caller.role >= Role::Admin => change_of.add(*user),
        RoomChange::Remove { user, ban } if caller.role >= Role::Admin => {
            change_of.remove(*user, *ban)
        }
        RoomChange::Rename(name) if caller.role >= Role::Admin => {
            change_of.rename(record, caller.role, name)
        }
        _ => refused(RoomRefusal::NotAllowed),
    }
}

fn refused(why: RoomRefusal) -> Answer {
    Ok(RoomChanged::Refused(why))
}

/// Writes a membership with its index; `room_count` is how many rooms the user was in before.
pub(super) fn write_member(
    tables: &mut Tables<'_>,
    room: RoomId,
    user: UserId,
    member: &MemberRecord,
    room_count: u64,
) -> Result<(), StoreError> {
    tables.put::<Members>(&(room, user), member)?;
    tables.put::<UserRooms>(&(user, room), &Marker)?;
    tables.put::<RoomCounts>(&user, &(room_count + 1))
}

/// One change of one room, and what was read for it.
struct ChangeOf<'a, 't> {
    tables: &'a mut Tables<'t>,
    room: RoomId,
    by: UserId,
    known: HeadsRecord,
    at: Millis,
    bounds: Bounds,
}

impl ChangeOf<'_, '_> {
    fn join(&mut self, record: &RoomRecord, member: Option<MemberRecord>) -> Answer {
        if let Some(member) = member {
            return Ok(RoomChanged::Already(Some(member.role)));
        }
        if record.private {
            return refused(RoomRefusal::NoRoom);
        }
        if record.kind == RoomKind::Direct {
            return refused(RoomRefusal::Direct);
        }
        if self.is_banned(self.by)? {
            return refused(RoomRefusal::Banned);
        }
        // Everybody has left: without an owner nobody could ever tidy the room up.
        let role = if self.known.members == 0 { Role::Owner } else { Role::Member };
        self.enter(self.by, role)
    }

    fn add(&mut self, user: UserId) -> Answer {
        if let Some(member) = self.member(user)? {
            return Ok(RoomChanged::Already(Some(member.role)));
        }
        if self.tables.get::<Users>(&user)?.is_none() {
            return refused(RoomRefusal::UnknownUser);
        }
        self.enter(user, Role::Member)
    }

    /// Makes one who is none a member. Whoever gets here is not kept out any more.
    fn enter(&mut self, user: UserId, role: Role) -> Answer {
        let room_count = self.tables.get::<RoomCounts>(&user)?.unwrap_or(0);
        if self.known.members >= self.bounds.members_max || room_count >= self.bounds.rooms_max {
            return refused(RoomRefusal::Full);
        }
        if self.is_banned(user)? {
            self.tables.remove::<Bans>(&(self.room, user))?;
        }
        self.remember(user, false)?;
        let member = MemberRecord { role, joined_at: self.at, read_seq: self.known.last_seq };
        write_member(self.tables, self.room, user, &member, room_count)?;
        self.known.members += 1;
        self.done(vec![told(user, MemberChange::Joined, Some(role))], Some(role))
    }

    fn leave(&mut self, member: MemberRecord) -> Answer {
        if member.role == Role::Owner && self.known.members > 1 {
            return refused(RoomRefusal::OwnerLeaves);
        }
        self.exit(self.by, MemberChange::Left)
    }

    fn remove(&mut self, user: UserId, ban: bool) -> Answer {
        let member = self.member(user)?;
        match member {
            Some(MemberRecord { role: Role::Owner, .. }) if user == self.by => {
                return refused(RoomRefusal::OwnerLeaves);
            }
            Some(MemberRecord { role: Role::Owner, .. }) => {
                return refused(RoomRefusal::NotAllowed);
            }
            Some(_) => {}
            None if self.tables.get::<Users>(&user)?.is_none() => {
                return refused(RoomRefusal::NoSuchMember);
            }
            None if !ban || self.is_banned(user)? => return Ok(RoomChanged::Already(None)),
            None => {}
        }
        if ban {
            self.tables.put::<Bans>(&(self.room, user), &Marker)?;
        }
        match member {
            Some(_) => self.exit(user, MemberChange::Removed),
            None => self.done(Vec::new(), None),
        }
    }

    /// Ends a membership.
    fn exit(&mut self, user: UserId, change: MemberChange) -> Answer {
        let room_count = self.tables.expect::<RoomCounts>(&user)?;
        self.tables.remove::<Members>(&(self.room, user))?;
        self.tables.remove::<UserRooms>(&(user, self.room))?;
        self.tables.put::<RoomCounts>(&user, &room_count.saturating_sub(1))?;
        self.known.members = self.known.members.saturating_sub(1);
        if change == MemberChange::Removed {
            self.remember(user, true)?;
        }
        self.done(vec![told(user, change, None)], None)
    }

    /// Whether a user who is no member was removed.
    fn remember(&mut self, user: UserId, was_removed: bool) -> Result<(), StoreError> {
        let mut record = self.tables.expect::<Rooms>(&self.room)?;
        let user = Raw(user.0);
        if was_removed {
            record.removed.push(user);
            let forgotten = record.removed.len().saturating_sub(REMOVED_MAX);
            record.removed.drain(..forgotten);
        } else if !record.removed.contains(&user) {
            return Ok(());
        } else {
            record.removed.retain(|other| *other != user);
        }
        self.tables.put::<Rooms>(&self.room, &record)
    }

    /// `owner` is the caller's membership.
    fn set_role(&mut self, owner: MemberRecord, user: UserId, role: Role) -> Answer {
        let Some(member) = self.member(user)? else {
            return refused(RoomRefusal::NoSuchMember);
        };
        if member.role == role {
            return Ok(RoomChanged::Already(Some(role)));
        }
        if user == self.by {
            return refused(RoomRefusal::OwnerLeaves);
        }
        self.tables.put::<Members>(&(self.room, user), &MemberRecord { role, ..member })?;
        let mut events = vec![told(user, MemberChange::Role, Some(role))];
        if role == Role::Owner {
            let admin = MemberRecord { role: Role::Admin, ..owner };
            self.tables.put::<Members>(&(self.room, self.by), &admin)?;
            events.push(told(self.by, MemberChange::Role, Some(Role::Admin)));
        }
        self.done(events, Some(role))
    }

    /// `role` is the caller's.
    fn rename(&mut self, record: RoomRecord, role: Role, name: &Arc<str>) -> Answer {
        if record.name.as_deref() == Some(name) {
            return Ok(RoomChanged::Already(Some(role)));
        }
        let renamed = RoomRecord { name: Some(name.as_ref().to_owned()), ..record };
        self.tables.put::<Rooms>(&self.room, &renamed)?;
        self.done(vec![Event::Renamed(name.clone())], Some(role))
    }

    /// Counts what is to be told.
    fn done(&mut self, events: Vec<Event>, role: Option<Role>) -> Answer {
        self.known.member_rev += events.len() as u64;
        self.tables.put::<RoomHeads>(&self.room, &self.known)?;
        Ok(RoomChanged::Done { events, heads: heads(&self.known), role })
    }

    fn member(&self, user: UserId) -> Result<Option<MemberRecord>, StoreError> {
        self.tables.get::<Members>(&(self.room, user))
    }

    fn is_banned(&self, user: UserId) -> Result<bool, StoreError> {
        Ok(self.tables.get::<Bans>(&(self.room, user))?.is_some())
    }
}

fn told(user: UserId, change: MemberChange, role: Option<Role>) -> Event {
    Event::Member(MemberEvent { user, change, role })
}
