//! One room: its messages as they now are, who changed what, who is in it.

use crate::{
    StoreError,
    log::{Mark, Sent, Stopped},
    rooms::{Access, Member, RoomView},
};
use madang_protocol::{
    Amended, Change, ChangeKind, ClientId, Emoji, Entry, Heads, Message, Millis, Reaction, Role,
    RoomId, RoomKind, UserId,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Everything of one room.
#[derive(Clone)]
pub(super) struct Room {
    pub(super) room: RoomId,
    pub(super) kind: RoomKind,
    pub(super) name: Option<String>,
    pub(super) private: bool,
    pub(super) created_at: Millis,
    pub(super) heads: Heads,
    /// Of the newest message, else of the creation.
    pub(super) active_at: Millis,
    pub(super) members: BTreeMap<UserId, Member>,
    pub(super) bans: BTreeSet<UserId>,
    /// The latest who were removed and are no members again; at most `REMOVED_MAX`.
    pub(super) removed: Vec<UserId>,
    /// By `seq`, which begins with 1.
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) sent: HashMap<(UserId, ClientId), Sent>,
    /// By `rev`, which begins with 1.
    pub(super) marks: Vec<Mark>,
    /// The latest change of each message that changed: `rev` to `seq`.
    pub(super) latest: BTreeMap<u64, u64>,
    pub(super) reactions: BTreeSet<(u64, UserId, Emoji)>,
    pub(super) uncounted: BTreeSet<u64>,
}

/// Why an entry was not applied; then nothing of it was.
type Applied = Result<(), Stopped>;

impl Room {
    /// Applies one entry.
    pub(super) fn apply(&mut self, entry: &Entry) -> Applied {
        match entry {
            Entry::Message(message) => self.insert(message),
            Entry::Change(change) => self.change(change),
            Entry::Reaction(reaction) => self.react(reaction),
        }
    }

    /// The message of this place.
    pub(super) fn message(&self, seq: u64) -> Option<&Arc<Message>> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.messages.get(place)
    }

    /// What `user` reacted with to a message, by the bytes of the text.
    pub(super) fn reactions_of(&self, seq: u64, user: UserId) -> Vec<Emoji> {
        let of_message = self.reactions.iter().filter(|(of, by, _)| (*of, *by) == (seq, user));
        of_message.map(|(_, _, emoji)| emoji.clone()).collect()
    }

    /// What one user may do here.
    pub(super) fn access(&self, user: UserId) -> Access {
        let member = self.members.get(&user);
        Access {
            kind: self.kind,
            private: self.private,
            role: member.map(|member| member.role),
            heads: self.heads,
            read_seq: member.map_or(0, |member| member.read_seq),
            was_removed: self.removed.contains(&user),
        }
    }

    /// The room as one of its members sees it.
    pub(super) fn view(&self, user: UserId) -> Option<RoomView> {
        let member = self.members.get(&user)?;
        Some(RoomView {
            room: self.room,
            kind: self.kind,
            name: self.name.clone(),
            private: self.private,
            role: member.role,
            created_at: self.created_at,
            heads: self.heads,
            read_seq: member.read_seq,
            members: self.members.len() as u64,
            last_message: self.messages.last().cloned(),
        })
    }

    /// Moves a read position up.
    pub(super) fn read(&mut self, user: UserId, seq: u64) {
        let seq = seq.min(self.heads.last_seq);
        if let Some(member) = self.members.get_mut(&user) {
            member.read_seq = member.read_seq.max(seq);
        }
    }

    /// Adds a member, or gives one another role.
    pub(super) fn put_member(&mut self, user: UserId, role: Role, joined_at: Millis) {
        let read_seq = self.heads.last_seq;
        let member = Member { user, role, joined_at, read_seq };
        self.members.entry(user).or_insert(member).role = role;
    }

    fn insert(&mut self, message: &Arc<Message>) -> Applied {
        let sent = (message.sender, message.client_id.clone());
        if self.sent.contains_key(&sent) {
            return Err(Stopped::Duplicate);
        }
        if message.seq <= self.heads.last_seq {
            return Err(Stopped::Taken);
        }
        if message.seq != self.heads.last_seq + 1 {
            return Err(refused("its seq would leave a hole"));
        }
        self.heads.last_seq = message.seq;
        self.active_at = message.ts;
        self.sent.insert(sent, Sent { seq: message.seq, ts: message.ts });
        self.messages.push(message.clone());
        self.read(message.sender, message.seq);
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Applied {
        let seq = change.message.seq;
        let Some(said) = change.message.amended.as_deref() else {
            return Err(refused("a change without a rev"));
        };
        if (1..=self.heads.last_rev).contains(&said.rev) {
            return Err(Stopped::Taken);
        }
        if said.rev != self.heads.last_rev + 1 {
            return Err(refused("its rev would leave a hole"));
        }
        let known = self.unerased(seq)?;
        if said.deleted != (change.kind == ChangeKind::Delete) {
            return Err(refused("it is a deletion and says that it is none, or the other way"));
        }
        let before = known.amended.as_deref().cloned().unwrap_or_default();
        let mut next = Message::clone(&known);
        if change.kind != ChangeKind::Reactions {
            next.body = change.message.body.clone();
        }
        self.latest.remove(&before.rev);
        let amended = match change.kind {
            ChangeKind::Edit => Amended { rev: said.rev, edited_at: said.edited_at, ..before },
            ChangeKind::Delete => Amended { reactions: Vec::new(), ..said.clone() },
            ChangeKind::Reactions => Amended { rev: said.rev, ..before },
        };
        if amended.deleted {
            next.body = "".into();
            self.reactions.retain(|(of, ..)| *of != seq);
        }
        if amended.deleted || amended.reactions == said.reactions {
            self.uncounted.remove(&seq);
        } else {
            self.uncounted.insert(seq); // somebody reacted whom this change does not know of
        }
        self.heads.last_rev = said.rev;
        self.latest.insert(said.rev, seq);
        let Change { kind, by, ts, .. } = *change;
        self.marks.push(Mark { rev: said.rev, seq, kind, by, ts });
        next.amended = Some(Box::new(amended));
        self.replace(next);
        Ok(())
    }

    fn react(&mut self, reaction: &Reaction) -> Applied {
        let Reaction { seq, user, ref emoji, on, .. } = *reaction;
        let key = (seq, user, emoji.clone());
        if self.message(seq).is_some() && self.reactions.contains(&key) == on {
            return Ok(());
        }
        let mut next = Message::clone(&*self.unerased(seq)?);
        let mut amended = next.amended.take().map_or_else(Amended::default, |amended| *amended);
        amended.count(emoji, on);
        if on {
            self.reactions.insert(key);
        } else {
            self.reactions.remove(&key);
        }
        // Also when the last one is taken back: who read of it meanwhile is yet to be told.
        self.uncounted.insert(seq);
        next.amended = (amended != Amended::default()).then(|| Box::new(amended));
        self.replace(next);
        Ok(())
    }

    /// A message that may still be changed.
    fn unerased(&self, seq: u64) -> Result<Arc<Message>, Stopped> {
        match self.message(seq) {
            None => Err(refused("no such message")),
            Some(message) if message.is_deleted() => Err(refused("the message is deleted")),
            Some(message) => Ok(message.clone()),
        }
    }

    fn replace(&mut self, message: Message) {
        let place = message.seq as usize - 1;
        self.messages[place] = Arc::new(message);
    }
}

/// The answer for what the log cannot take, whoever asks.
pub(super) fn refused(why: &str) -> Stopped {
    Stopped::Refused(StoreError::Unavailable(why.to_owned()))
}
