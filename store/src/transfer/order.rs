//! Whether lines may follow each other: the rules of [`super::line`] that need no store.

use super::line::{
    ChangeLine, CreationLine, Line, MemberLine, MessageLine, ReactionLine, RoomLine, UserLine,
};
use madang_protocol::{ClientId, Emoji, Millis, Role, RoomKind, UserId};

/// What the lines so far allow. Constant memory: only what the next line is held against.
#[derive(Default)]
pub(super) struct Order {
    section: Section,
    user: Option<UserId>,
    room: Option<OpenRoom>,
}

/// Parts of a file, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Section {
    #[default]
    Users,
    Rooms,
    Creations,
}

/// Parts of a room, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Part {
    #[default]
    Members,
    Bans,
    Messages,
    Changes,
}

/// The room that lines belong to, and what they said of it.
struct OpenRoom {
    stated: RoomLine,
    part: Part,
    /// Of the members, then of the bans.
    user: Option<UserId>,
    members: u64,
    owners: u64,
    seq: u64,
    ts: Millis,
    rev: u64,
    message: OpenMessage,
}

/// The message that reactions belong to.
#[derive(Default)]
struct OpenMessage {
    /// Reactions that are yet to come.
    missing: Vec<(Emoji, u64)>,
    last: Option<(UserId, Emoji)>,
}

type Checked = Result<(), String>;

impl Order {
    /// Takes the next line, or says why it cannot stand there.
    pub(super) fn check(&mut self, line: &Line) -> Checked {
        match line {
            Line::User(user) => self.user(user),
            Line::Session(_) | Line::Login(_) => {
                require(self.section == Section::Users && self.user.is_some(), || {
                    "belongs to no user".into()
                })
            }
            Line::Room(room) => self.room(room),
            Line::Member(member) => self.part(Part::Members)?.member(member),
            Line::Ban(ban) => ascend(&mut self.part(Part::Bans)?.user, ban.user),
            Line::Message(message) => self.part(Part::Messages)?.message(message),
            Line::Reaction(reaction) => self.part(Part::Messages)?.message.reaction(reaction),
            Line::Change(change) => self.part(Part::Changes)?.change(change),
            Line::Creation(creation) => self.creation(creation),
        }
    }

    /// The lines end here.
    pub(super) fn finish(&mut self) -> Checked {
        self.room.as_mut().map_or(Ok(()), OpenRoom::finish)
    }

    fn user(&mut self, line: &UserLine) -> Checked {
        self.enter(Section::Users)?;
        ascend(&mut self.user, line.user)
    }

    fn room(&mut self, line: &RoomLine) -> Checked {
        self.finish()?;
        self.enter(Section::Rooms)?;
        let mut last = self.room.take().map(|room| room.stated.room);
        ascend(&mut last, line.room)?;
        self.room = Some(OpenRoom::new(line.clone()));
        Ok(())
    }

    fn creation(&mut self, line: &CreationLine) -> Checked {
        self.finish()?;
        self.enter(Section::Creations)?;
        check_client_id(&line.client_id)
    }

    fn enter(&mut self, section: Section) -> Checked {
        require(self.section <= section, || "stands too late in the file".into())?;
        self.section = section;
        Ok(())
    }

    /// The room above, of which this part goes on or begins.
    fn part(&mut self, part: Part) -> Result<&mut OpenRoom, String> {
        let room = self.room.as_mut().filter(|_| self.section == Section::Rooms);
        let room = room.ok_or("belongs to no room")?;
        require(room.part <= part, || "stands too late in its room".into())?;
        if room.part < part {
            (room.part, room.user) = (part, None);
        }
        Ok(room)
    }
}

impl OpenRoom {
    fn new(stated: RoomLine) -> Self {
        let ts = stated.created_at;
        let message = OpenMessage::default();
        let part = Part::default();
        Self { stated, part, user: None, members: 0, owners: 0, seq: 0, ts, rev: 0, message }
    }

    fn member(&mut self, line: &MemberLine) -> Checked {
        ascend(&mut self.user, line.user)?;
        require(line.read_seq <= self.stated.last_seq, || "has read more than there is".into())?;
        self.members += 1;
        self.owners += u64::from(line.role == Role::Owner);
        Ok(())
    }

    fn message(&mut self, line: &MessageLine) -> Checked {
        self.message.finish()?;
        follow(&mut self.seq, line.seq, "seq")?;
        require(line.seq == 1 || line.ts >= self.ts, || "its time runs back".into())?;
        self.ts = line.ts;
        check_client_id(&line.client_id)?;
        require(line.reply_to.is_none_or(|seq| (1..line.seq).contains(&seq)), || {
            "answers no earlier message".into()
        })?;
        require(line.rev <= self.stated.last_rev, || "has a rev beyond its room's".into())?;
        require(line.rev > 0 || (line.edited_at.is_none() && !line.deleted), || {
            "was changed without a rev".into()
        })?;
        require(line.rev > 0 || line.reactions.is_empty() || line.uncounted, || {
            "has reactions that nobody is to tell".into()
        })?;
        let erased = line.body.is_empty() && line.reactions.is_empty() && !line.uncounted;
        require(!line.deleted || erased, || "is deleted and not erased".into())?;
        self.message = OpenMessage::new(&line.reactions)?;
        Ok(())
    }

    fn change(&mut self, line: &ChangeLine) -> Checked {
        self.message.finish()?;
        follow(&mut self.rev, line.rev, "rev")?;
        require((1..=self.seq).contains(&line.seq), || "changes no message".into())
    }

    /// All that the room's own line states is there.
    fn finish(&mut self) -> Checked {
        self.message.finish()?;
        let RoomLine { room, kind, last_seq, last_rev, members, active_at, .. } = self.stated;
        let counted = |what: &str, stated: u64, counted: u64| {
            require(stated == counted, || {
                format!("{room} before it should have {what} {stated}, and has {counted}")
            })
        };
        counted("last_seq", last_seq, self.seq)?;
        counted("last_rev", last_rev, self.rev)?;
        counted("members", members, self.members)?;
        counted("active_at", active_at, self.ts)?;
        match kind {
            RoomKind::Direct => {
                counted("members", 2, self.members)?;
                counted("owners", 0, self.owners)
            }
            // Everybody may have left.
            RoomKind::Group | RoomKind::Channel => {
                counted("owners", self.members.min(1), self.owners)
            }
        }
    }
}

impl OpenMessage {
    fn new(reactions: &[(Emoji, u64)]) -> Result<Self, String> {
        for (index, (emoji, count)) in reactions.iter().enumerate() {
            require(Emoji::new(emoji.as_str()).is_some(), || "has an unusable emoji".into())?;
            let repeated = reactions[..index].iter().any(|(other, _)| other == emoji);
            require(*count > 0 && !repeated, || "counts reactions wrong".into())?;
        }
        Ok(Self { missing: reactions.to_vec(), last: None })
    }

    fn reaction(&mut self, line: &ReactionLine) -> Checked {
        ascend(&mut self.last, (line.user, line.emoji.clone()))?;
        let missing = self.missing.iter_mut().find(|(emoji, _)| *emoji == line.emoji);
        match missing {
            Some((_, count)) if *count > 0 => *count -= 1,
            _ => return Err("is not counted by its message".into()),
        }
        Ok(())
    }

    fn finish(&self) -> Checked {
        require(self.missing.iter().all(|(_, count)| *count == 0), || {
            "the message before it lacks reactions that it counts".into()
        })
    }
}

fn require(holds: bool, reason: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(reason()) }
}

/// Ids ascend, so that one that stands twice is seen.
fn ascend<T: PartialOrd>(last: &mut Option<T>, next: T) -> Checked {
    require(last.as_ref().is_none_or(|last| *last < next), || {
        "stands there twice, or not in ascending order".into()
    })?;
    *last = Some(next);
    Ok(())
}

/// Numbers follow each other without a hole.
fn follow(last: &mut u64, next: u64, what: &str) -> Checked {
    require(last.checked_add(1) == Some(next), || format!("{what} {next} follows {last}"))?;
    *last = next;
    Ok(())
}

fn check_client_id(client_id: &ClientId) -> Checked {
    require(ClientId::new(client_id.as_str()).is_some(), || "has an unusable client_id".into())
}
