//! Who is in a room, as what, and its name. What is refused has changed nothing.

use super::{Bounds, Data, room::Room};
use crate::rooms::{Member, REMOVED_MAX, RoomChange, RoomChanged, RoomRefusal};
use madang_protocol::{Event, MemberChange, MemberEvent, Millis, Role, RoomId, RoomKind, UserId};

/// What was made: what to tell, and the role of the user concerned.
type Made = Result<(Vec<Event>, Option<Role>), RoomChanged>;

/// Makes a change, if `by` may.
pub(super) fn change(
    data: &mut Data,
    room: RoomId,
    by: UserId,
    change: &RoomChange,
    at: Millis,
    bounds: Bounds,
) -> RoomChanged {
    match (ChangeOf { data, room, by, at, bounds }).make(change) {
        Err(answer) => answer,
        Ok((events, role)) => {
            let Some(of_room) = data.rooms.get_mut(&room) else {
                return RoomChanged::Refused(RoomRefusal::NoRoom);
            };
            of_room.heads.member_rev += events.len() as u64;
            RoomChanged::Done { events, heads: of_room.heads, role }
        }
    }
}

struct ChangeOf<'a> {
    data: &'a mut Data,
    room: RoomId,
    by: UserId,
    at: Millis,
    bounds: Bounds,
}

impl ChangeOf<'_> {
    fn make(&mut self, change: &RoomChange) -> Made {
        let by = self.by;
        let of_room = self.of_room()?;
        let caller = of_room.members.get(&by).copied();
        let (private, kind) = (of_room.private, of_room.kind);
        let caller = match (change, caller) {
            (RoomChange::Join, Some(member)) => return already(Some(member.role)),
            (RoomChange::Join, None) => return self.join(),
            (_, Some(member)) => member,
            (_, None) if private => return refused(RoomRefusal::NoRoom),
            (RoomChange::Leave, None) => return already(None),
            (_, None) => return refused(RoomRefusal::NotMember),
        };
        if kind == RoomKind::Direct {
            return refused(RoomRefusal::Direct);
        }
        let may = match change {
            RoomChange::Join | RoomChange::Leave => true,
            RoomChange::SetRole { .. } => caller.role == Role::Owner,
            _ => caller.role >= Role::Admin,
        };
        if !may {
            return refused(RoomRefusal::NotAllowed);
        }
        match change {
            RoomChange::Join => already(Some(caller.role)),
            RoomChange::Leave => self.leave(caller),
            RoomChange::SetRole { user, role } => self.set_role(*user, *role),
            RoomChange::Add(user) => self.add(*user),
            RoomChange::Remove { user, ban } => self.remove(*user, *ban),
            RoomChange::Rename(name) => {
                let of_room = self.of_room()?;
                if of_room.name.as_deref() == Some(name) {
                    return already(Some(caller.role));
                }
                of_room.name = Some(name.as_ref().to_owned());
                Ok((vec![Event::Renamed(name.clone())], Some(caller.role)))
            }
        }
    }

    fn join(&mut self) -> Made {
        let by = self.by;
        let of_room = self.of_room()?;
        if of_room.private {
            return refused(RoomRefusal::NoRoom);
        }
        if of_room.kind == RoomKind::Direct {
            return refused(RoomRefusal::Direct);
        }
        if of_room.bans.contains(&by) {
            return refused(RoomRefusal::Banned);
        }
        // Everybody has left: without an owner nobody could ever tidy the room up.
        let role = if of_room.members.is_empty() { Role::Owner } else { Role::Member };
        self.enter(by, role)
    }

    fn add(&mut self, user: UserId) -> Made {
        if let Some(member) = self.of_room()?.members.get(&user) {
            return already(Some(member.role));
        }
        if !self.data.accounts.is_user(user) {
            return refused(RoomRefusal::UnknownUser);
        }
        self.enter(user, Role::Member)
    }

    /// Makes one who is none a member. Whoever gets here is not kept out any more.
    fn enter(&mut self, user: UserId, role: Role) -> Made {
        let (at, bounds) = (self.at, self.bounds);
        let room_count = self.data.room_count(user);
        let of_room = self.of_room()?;
        if of_room.members.len() as u64 >= bounds.members || room_count >= bounds.rooms {
            return refused(RoomRefusal::Full);
        }
        of_room.bans.remove(&user);
        of_room.removed.retain(|other| *other != user);
        of_room.put_member(user, role, at);
        self.data.rooms_of.entry(user).or_default().insert(self.room);
        Ok((vec![told(user, MemberChange::Joined, Some(role))], Some(role)))
    }

    fn leave(&mut self, member: Member) -> Made {
        if member.role == Role::Owner && self.of_room()?.members.len() > 1 {
            return refused(RoomRefusal::OwnerLeaves);
        }
        self.exit(member.user, MemberChange::Left)
    }

    fn remove(&mut self, user: UserId, ban: bool) -> Made {
        let (by, is_user) = (self.by, self.data.accounts.is_user(user));
        let of_room = self.of_room()?;
        let role = of_room.members.get(&user).map(|member| member.role);
        match role {
            Some(Role::Owner) if user == by => return refused(RoomRefusal::OwnerLeaves),
            Some(Role::Owner) => return refused(RoomRefusal::NotAllowed),
            Some(_) => {}
            None if !is_user => return refused(RoomRefusal::NoSuchMember),
            None if !ban || of_room.bans.contains(&user) => return already(None),
            None => {}
        }
        if ban {
            of_room.bans.insert(user);
        }
        if role.is_some() { self.exit(user, MemberChange::Removed) } else { Ok((vec![], None)) }
    }

    /// Ends a membership.
    fn exit(&mut self, user: UserId, change: MemberChange) -> Made {
        let of_room = self.of_room()?;
        of_room.members.remove(&user);
        if change == MemberChange::Removed {
            of_room.removed.push(user);
            let forgotten = of_room.removed.len().saturating_sub(REMOVED_MAX);
            of_room.removed.drain(..forgotten);
        }
        if let Some(rooms) = self.data.rooms_of.get_mut(&user) {
            rooms.remove(&self.room);
        }
        Ok((vec![told(user, change, None)], None))
    }

    fn set_role(&mut self, user: UserId, role: Role) -> Made {
        let (by, at) = (self.by, self.at);
        let of_room = self.of_room()?;
        let Some(member) = of_room.members.get(&user) else {
            return refused(RoomRefusal::NoSuchMember);
        };
        if member.role == role {
            return already(Some(role));
        }
        if user == by {
            return refused(RoomRefusal::OwnerLeaves);
        }
        of_room.put_member(user, role, at);
        let mut events = vec![told(user, MemberChange::Role, Some(role))];
        if role == Role::Owner {
            of_room.put_member(by, Role::Admin, at);
            events.push(told(by, MemberChange::Role, Some(Role::Admin)));
        }
        Ok((events, Some(role)))
    }

    fn of_room(&mut self) -> Result<&mut Room, RoomChanged> {
        let of_room = self.data.rooms.get_mut(&self.room);
        of_room.ok_or(RoomChanged::Refused(RoomRefusal::NoRoom))
    }
}

fn refused(why: RoomRefusal) -> Made {
    Err(RoomChanged::Refused(why))
}

fn already(role: Option<Role>) -> Made {
    Err(RoomChanged::Already(role))
}

fn told(user: UserId, change: MemberChange, role: Option<Role>) -> Event {
    Event::Member(MemberEvent { user, change, role })
}
