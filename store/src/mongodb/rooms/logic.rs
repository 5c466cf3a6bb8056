//! What is to be done about a change of a room, by what is stored: no database here.

use crate::rooms::{RoomChange, RoomChanged, RoomRefusal};
use madang_protocol::{Event, Heads, MemberChange, MemberEvent, Role, RoomKind, UserId};

/// How much there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Members of a room.
    pub(super) members_max: u64,
    /// Rooms of a user.
    pub(super) rooms_max: u64,
}

/// A room and the two users of a change, in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) kind: RoomKind,
    pub(super) private: bool,
    pub(super) name: Option<String>,
    pub(super) heads: Heads,
    /// How many.
    pub(super) members: u64,
    /// The role of the one who asks; `None`: no member.
    pub(super) caller: Option<Role>,
    /// The user it is about, who may be the one who asks.
    pub(super) concerned: Concerned,
}

/// What is stored of the user a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Concerned {
    pub(super) user: UserId,
    /// There is such a user.
    pub(super) exists: bool,
    /// In the room; `None`: no member.
    pub(super) role: Option<Role>,
    /// Kept out of the room.
    pub(super) banned: bool,
    /// How many rooms the user is in.
    pub(super) rooms: u64,
}

/// What is to be written, and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) step: Step,
    /// Each takes the next `member_rev`.
    pub(super) events: Vec<Event>,
    /// The role then of the user it concerns.
    pub(super) role: Option<Role>,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A membership begins, and a ban ends if there is one.
    Enter { role: Role, banned: bool },
    /// A membership ends, by the user's own wish or by another's; the user is kept out from now on if `ban`
    /// says so.
    Exit { removed: bool, ban: bool },
    /// One who is no member is kept out.
    Ban,
    /// Another role; with `Owner` the one who asks becomes admin.
    SetRole(Role),
    /// Another name.
    Rename(String),
}

type Decision = Result<Allowed, RoomChanged>;

/// Whether `by` may make the change, and what that takes; else what to answer.
pub(super) fn decide(stored: &Stored, by: UserId, change: &RoomChange, bounds: Bounds) -> Decision {
    let Stored { kind, private, concerned, .. } = stored;
    let caller = match (change, stored.caller) {
        (RoomChange::Join, Some(role)) => return already(Some(role)),
        (RoomChange::Join, None) => return join(stored, bounds),
        (_, Some(role)) => role,
        (_, None) if *private => return refused(RoomRefusal::NoRoom),
        (RoomChange::Leave, None) => return already(None),
        (_, None) => return refused(RoomRefusal::NotMember),
    };
    if *kind == RoomKind::Direct {
        return refused(RoomRefusal::Direct);
    }
    match change {
        RoomChange::Join | RoomChange::Leave => leave(stored, caller),
        RoomChange::SetRole { role, .. } if caller == Role::Owner => set_role(concerned, by, *role),
        RoomChange::Add(_) if caller >= Role::Admin => add(stored, bounds),
        RoomChange::Remove { ban, .. } if caller >= Role::Admin => remove(concerned, by, *ban),
        RoomChange::Rename(name) if caller >= Role::Admin => rename(stored, caller, name),
        _ => refused(RoomRefusal::NotAllowed),
    }
}

fn refused(why: RoomRefusal) -> Decision {
    Err(RoomChanged::Refused(why))
}

fn already(role: Option<Role>) -> Decision {
    Err(RoomChanged::Already(role))
}

fn join(stored: &Stored, bounds: Bounds) -> Decision {
    if stored.private {
        return refused(RoomRefusal::NoRoom);
    }
    if stored.kind == RoomKind::Direct {
        return refused(RoomRefusal::Direct);
    }
    if stored.concerned.banned {
        return refused(RoomRefusal::Banned);
    }
    // Everybody has left: without an owner nobody could ever tidy the room up.
    let role = if stored.members == 0 { Role::Owner } else { Role::Member };
    enter(stored, role, bounds)
}

fn add(stored: &Stored, bounds: Bounds) -> Decision {
    let Concerned { exists, role, .. } = stored.concerned;
    match role {
        Some(role) => already(Some(role)),
        None if !exists => refused(RoomRefusal::UnknownUser),
        None => enter(stored, Role::Member, bounds),
    }
}

/// Makes one who is none a member. Whoever gets here is not kept out any more.
fn enter(stored: &Stored, role: Role, bounds: Bounds) -> Decision {
    let Concerned { user, banned, rooms, .. } = stored.concerned;
    if stored.members >= bounds.members_max || rooms >= bounds.rooms_max {
        return refused(RoomRefusal::Full);
    }
    let events = vec![told(user, MemberChange::Joined, Some(role))];
    Ok(Allowed { step: Step::Enter { role, banned }, events, role: Some(role) })
}

fn leave(stored: &Stored, caller: Role) -> Decision {
    if caller == Role::Owner && stored.members > 1 {
        return refused(RoomRefusal::OwnerLeaves);
    }
    exit(stored.concerned.user, MemberChange::Left, false)
}

fn remove(concerned: &Concerned, by: UserId, ban: bool) -> Decision {
    match concerned.role {
        Some(Role::Owner) if concerned.user == by => refused(RoomRefusal::OwnerLeaves),
        Some(Role::Owner) => refused(RoomRefusal::NotAllowed),
        Some(_) => exit(concerned.user, MemberChange::Removed, ban),
        None if !concerned.exists => refused(RoomRefusal::NoSuchMember),
        None if !ban || concerned.banned => already(None),
        None => Ok(Allowed { step: Step::Ban, events: Vec::new(), role: None }),
    }
}

fn exit(user: UserId, change: MemberChange, ban: bool) -> Decision {
    let events = vec![told(user, change, None)];
    let removed = change == MemberChange::Removed;
    Ok(Allowed { step: Step::Exit { removed, ban }, events, role: None })
}

fn set_role(concerned: &Concerned, by: UserId, role: Role) -> Decision {
    let user = concerned.user;
    match concerned.role {
        None => return refused(RoomRefusal::NoSuchMember),
        Some(known) if known == role => return already(Some(role)),
        Some(_) if user == by => return refused(RoomRefusal::OwnerLeaves),
        Some(_) => {}
    }
    let mut events = vec![told(user, MemberChange::Role, Some(role))];
    if role == Role::Owner {
        events.push(told(by, MemberChange::Role, Some(Role::Admin)));
    }
    Ok(Allowed { step: Step::SetRole(role), events, role: Some(role) })
}

fn rename(stored: &Stored, caller: Role, name: &str) -> Decision {
    if stored.name.as_deref() == Some(name) {
        return already(Some(caller));
    }
    let events = vec![Event::Renamed(name.into())];
    Ok(Allowed { step: Step::Rename(name.to_owned()), events, role: Some(caller) })
}

fn told(user: UserId, change: MemberChange, role: Option<Role>) -> Event {
    Event::Member(MemberEvent { user, change, role })
}
