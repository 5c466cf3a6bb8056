//! Messages that changes are about, and what a change makes of them: pure.

use super::pending::{Decision, Submit, Work};
use crate::route::Receipt;
use madang_protocol::{
    Amended, Change, ChangeKind, Emoji, Entry, ErrorCode, Message, Millis, Reaction, Refusal, Role,
    RoomId, UserId,
    operation::{Edit, React},
};
use madang_store::log::Target;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Messages kept at most; beyond that those nothing pending is about are forgotten and read again.
pub(super) const KEPT_MAX: usize = 1_024;

/// Messages as they now are: every change that was committed is counted in, nothing else.
#[derive(Default)]
pub struct Board {
    messages: HashMap<u64, Arc<Message>>,
    /// What users react with, for those who were asked about.
    mine: HashMap<(u64, UserId), HashSet<Emoji>>,
    /// Counts how often everything was forgotten.
    life: u64,
}

impl Board {
    /// What was asked in an earlier life may be out of date.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The message of this place, if it is here.
    pub fn message(&self, seq: u64) -> Option<&Arc<Message>> {
        self.messages.get(&seq)
    }

    /// A message was read for `user`. What is here already is newer.
    pub fn learn(&mut self, seq: u64, user: UserId, target: Target) {
        self.messages.entry(seq).or_insert(target.message);
        self.mine.entry((seq, user)).or_insert_with(|| target.mine.into_iter().collect());
    }

    /// An entry was committed.
    pub fn committed(&mut self, entry: &Entry) {
        match entry {
            Entry::Message(_) => {}
            Entry::Change(change) => self.put(&change.message),
            Entry::Reaction(reaction) => self.reacted(reaction),
        }
    }

    /// Forgets what nothing pending is about, once there is much.
    pub fn forget_if_many(&mut self, pending: impl FnOnce() -> HashSet<u64>) {
        if self.messages.len() >= KEPT_MAX {
            let pending = pending();
            self.messages.retain(|seq, _| pending.contains(seq));
            self.mine.retain(|(seq, _), _| pending.contains(seq));
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self { life: self.life + 1, ..Self::default() };
    }

    fn put(&mut self, message: &Arc<Message>) {
        if let Some(known) = self.messages.get_mut(&message.seq) {
            *known = message.clone();
        }
        if message.is_deleted() {
            self.mine.retain(|(seq, _), mine| {
                if *seq == message.seq {
                    mine.clear();
                }
                true
            });
        }
    }

    fn reacted(&mut self, reaction: &Reaction) {
        let Reaction { seq, user, ref emoji, on, .. } = *reaction;
        if let Some(message) = self.messages.get_mut(&seq)
            && let Some(next) = with_reaction(message, emoji, on)
        {
            *message = Arc::new(next);
        }
        if let Some(mine) = self.mine.get_mut(&(seq, user)) {
            if on {
                mine.insert(emoji.clone())
            } else {
                mine.remove(emoji)
            };
        }
    }
}

/// A batch in the making: the board with what stands in the batch so far counted in.
pub struct Draft<'a> {
    board: &'a Board,
    room: RoomId,
    ts: Millis,
    /// The last `rev` given out.
    rev: u64,
    /// Messages the batch changes so far.
    messages: HashMap<u64, Arc<Message>>,
    mine: HashMap<(u64, UserId, Emoji), bool>,
}

impl<'a> Draft<'a> {
    /// An empty batch of `room`, whose newest change is `rev`.
    pub fn new(board: &'a Board, room: RoomId, ts: Millis, rev: u64) -> Self {
        Self { board, room, ts, rev, messages: HashMap::new(), mine: HashMap::new() }
    }

    /// What becomes of a change that is asked for now.
    pub fn decide(&mut self, submit: &Submit, role: Role) -> Decision {
        let user = submit.sender;
        let Some(seq) = submit.work.target() else {
            return Decision::Later;
        };
        let Some(message) = self.messages.get(&seq).or_else(|| self.board.message(seq)).cloned()
        else {
            return Decision::Look;
        };
        let decision = match &submit.work {
            Work::Edit(edit) => self.edit(user, &message, edit),
            Work::Delete(_) => self.delete(user, role, &message),
            Work::React(react) => match self.reacts(seq, user, &react.emoji) {
                Some(reacts) => self.react(user, &message, react, reacts),
                None => Decision::Look,
            },
            Work::Send { .. } => Decision::Later,
        };
        // An answer that rests on what is not committed yet has to wait for it.
        match decision {
            Decision::Settle(_) if self.messages.contains_key(&seq) => Decision::Later,
            decision => decision,
        }
    }

    /// The change that tells of the reactions to a message; `None`: it is not here, or has none
    /// any more because it is deleted.
    pub fn count(&mut self, seq: u64) -> Option<Entry> {
        let message = self.messages.get(&seq).or_else(|| self.board.message(seq)).cloned()?;
        if message.is_deleted() {
            return None;
        }
        Some(self.change(ChangeKind::Reactions, None, &message, |_| {}))
    }

    fn edit(&mut self, user: UserId, message: &Arc<Message>, edit: &Edit) -> Decision {
        if message.sender != user {
            return refused(ErrorCode::Forbidden, "only its sender edits a message");
        }
        if message.is_deleted() {
            return refused(ErrorCode::Conflict, "the message is deleted");
        }
        if message.body == edit.body {
            return self.unchanged(message);
        }
        if edit.if_rev.is_some_and(|rev| rev != message.rev()) {
            return refused(ErrorCode::Conflict, "the message has changed since");
        }
        let ts = self.ts;
        Decision::Write(self.change(ChangeKind::Edit, Some(user), message, |next| {
            next.body = edit.body.clone();
            next.amended.get_or_insert_default().edited_at = Some(ts);
        }))
    }

    fn delete(&mut self, user: UserId, role: Role, message: &Arc<Message>) -> Decision {
        if message.sender != user && role < Role::Admin {
            return refused(ErrorCode::Forbidden, "only its sender and admins delete a message");
        }
        if message.is_deleted() {
            return self.unchanged(message);
        }
        Decision::Write(self.change(ChangeKind::Delete, Some(user), message, |next| {
            next.body = "".into();
            next.amended = Some(Box::new(Amended { deleted: true, ..Amended::default() }));
        }))
    }

    fn react(
        &mut self,
        user: UserId,
        message: &Arc<Message>,
        react: &React,
        reacts: bool,
    ) -> Decision {
        let React { target, emoji, on } = react;
        if message.is_deleted() {
            return refused(ErrorCode::Conflict, "the message is deleted");
        }
        if reacts == *on {
            return self.unchanged(message);
        }
        let Some(next) = with_reaction(message, emoji, *on) else {
            return refused(ErrorCode::Full, "the message has as many kinds as it may have");
        };
        self.messages.insert(target.seq, Arc::new(next));
        self.mine.insert((target.seq, user, emoji.clone()), *on);
        let (room, seq, emoji, on) = (self.room, target.seq, emoji.clone(), *on);
        Decision::Write(Entry::Reaction(Arc::new(Reaction { room, seq, user, emoji, on })))
    }

    /// Whether `user` reacts with `emoji`; `None`: not known.
    fn reacts(&self, seq: u64, user: UserId, emoji: &Emoji) -> Option<bool> {
        let drafted = self.mine.get(&(seq, user, emoji.clone())).copied();
        drafted.or_else(|| Some(self.board.mine.get(&(seq, user))?.contains(emoji)))
    }

    fn change(
        &mut self,
        kind: ChangeKind,
        by: Option<UserId>,
        message: &Arc<Message>,
        make: impl FnOnce(&mut Message),
    ) -> Entry {
        self.rev += 1;
        let mut next = Message::clone(message);
        make(&mut next);
        next.amended.get_or_insert_default().rev = self.rev;
        let message = Arc::new(next);
        self.messages.insert(message.seq, message.clone());
        Entry::Change(Arc::new(Change { kind, by, ts: self.ts, message }))
    }

    fn unchanged(&self, message: &Message) -> Decision {
        Decision::Settle(Ok(Receipt::of_change(message)))
    }
}

/// The message with one user more, or less, who reacts; `None`: it would be one kind too many.
pub fn with_reaction(message: &Message, emoji: &Emoji, on: bool) -> Option<Message> {
    let amended = message.amended.as_deref().cloned().unwrap_or_default().reacted(emoji, on)?;
    Some(Message { amended: Some(Box::new(amended)), ..message.clone() })
}

fn refused(code: ErrorCode, why: &'static str) -> Decision {
    Decision::Settle(Err(Refusal::new(code, why)))
}
