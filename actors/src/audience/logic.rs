//! What an audience decides: order, holes, who is attached where. Pure.

use super::{CHANGES_KNOWN, HELD_MAX};
use madang_protocol::{Event, EventBatch, Heads, Message, Place, UserId};
use madang_resilience::Backoff;
use madang_store::log::{ChangedPage, Page};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// The first and the longest wait between two tries to fetch what was missed.
const RETRY_FIRST_MS: u64 = 10;
const RETRY_MAX_MS: u64 = 1_000;
/// Wait before the home is asked again for what a reader has and the home does not know of yet.
const AHEAD_RETRY: Duration = Duration::from_millis(50);

/// What is to be done. `A` is a reader that wants to be attached.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<A> {
    /// Ask the room's home what there is above this.
    CatchUp(Heads),
    /// Read what there is above this `seq` from the store: the home does not keep that much.
    ReadPage(u64),
    /// Read the changes above this `rev`, of messages up to this `seq`, likewise.
    ReadChanges(Place),
    /// Call `retry` after this time.
    RetryAfter(Duration),
    /// Keep these for readers that attach; the room's newest change is this `rev`.
    Remember(Vec<Arc<Message>>, u64),
    /// Give these to every hub with readers.
    Deliver(Vec<Event>),
    /// Attach this reader, giving it what it misses above `after`.
    Attach {
        /// The reader.
        reader: A,
        /// What it has.
        after: Place,
        /// Where the next delivery begins.
        head: Place,
    },
    /// The reader's membership must be looked at again first.
    Recheck(A),
    /// Membership changes were missed: every reader's membership must be looked at again.
    RecheckAll,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Hubs that have not told their readers yet.
    Adopting(usize),
    /// Something is missing and was asked for.
    Catching,
    /// Has everything it knows of.
    Following,
}

/// Whose reader it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The room's membership when the user was found to be a member.
    pub since: u64,
}

/// A reader that cannot be attached yet.
struct Waiting<A> {
    reader: A,
    after: Place,
    member: Member,
}

/// The state of an audience. See the module for its invariants.
pub struct Logic<A> {
    state: State,
    /// What the hubs were given.
    heads: Heads,
    /// Where the room stood when it was asked last.
    goal: Heads,
    /// How far the room is at least, by all that was heard of it, from whomever: the home may know
    /// less, and then it is asked until it does not.
    heard: Heads,
    /// The lowest place of readers that were there before; `None`: there were none.
    adopted: Option<Place>,
    /// Heads were learnt once: before that, nothing was missed.
    is_fresh: bool,
    held: VecDeque<Arc<EventBatch>>,
    /// Who went by each of the latest membership changes, at most [`CHANGES_KNOWN`], up to the one
    /// in `heads`.
    gone: VecDeque<Option<UserId>>,
    waiting: Vec<Waiting<A>>,
    /// A `RetryAfter` is out for readers that are ahead.
    awaits_home: bool,
    backoff: Backoff,
}

impl<A> Logic<A> {
    /// An audience that waits for `hubs` hubs to tell their readers.
    pub fn new(hubs: usize) -> Self {
        Self {
            state: State::Adopting(hubs),
            heads: Heads::default(),
            goal: Heads::default(),
            heard: Heads::default(),
            adopted: None,
            is_fresh: true,
            held: VecDeque::new(),
            gone: VecDeque::new(),
            waiting: Vec::new(),
            awaits_home: false,
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
        }
    }

    /// What the hubs were given.
    pub fn heads(&self) -> Heads {
        self.heads
    }

    /// It has not learnt yet where the room stands.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// A hub told up to where its readers were served, if it has any.
    pub fn adopted(&mut self, delivered: Option<Place>, effects: &mut Vec<Effect<A>>) {
        let State::Adopting(left) = self.state else {
            return;
        };
        self.adopted = match (self.adopted, delivered) {
            (Some(known), Some(new)) => {
                Some(Place { seq: known.seq.min(new.seq), rev: known.rev.min(new.rev) })
            }
            (known, new) => known.or(new),
        };
        if left > 1 {
            self.state = State::Adopting(left - 1);
            return;
        }
        let Place { seq, rev } = self.adopted.unwrap_or_default();
        (self.heads.last_seq, self.heads.last_rev) = (seq, rev);
        self.catch_up(effects);
    }

    /// A batch from the bus.
    pub fn batch(&mut self, batch: Arc<EventBatch>, effects: &mut Vec<Effect<A>>) {
        self.heard = latest(self.heard, batch.after);
        if self.state != State::Following {
            if self.held.len() == HELD_MAX {
                self.held.pop_front(); // a hole, found when the rest is looked at
            }
            self.held.push_back(batch);
            return;
        }
        self.apply(&batch, effects);
    }

    /// The home told its heads, the newest messages above what was asked for, and what changed
    /// since, if it keeps all of that.
    pub fn caught_up(
        &mut self,
        heads: Heads,
        messages: &[Arc<Message>],
        changed: Option<&[Arc<Message>]>,
        effects: &mut Vec<Effect<A>>,
    ) {
        self.backoff.reset();
        // A membership that changed is seen by its number alone; the readers are asked, not the home.
        let heads = Heads { member_rev: heads.member_rev.max(self.heard.member_rev), ..heads };
        self.goal = heads;
        if std::mem::take(&mut self.is_fresh) && self.adopted.is_none() {
            // Nobody was served before, so nobody misses anything: begin at the present.
            self.heads = heads;
            effects.push(Effect::Remember(messages.to_vec(), heads.last_rev));
            return self.follow(effects);
        }
        if self.heads.member_rev < heads.member_rev {
            self.heads.member_rev = heads.member_rev;
            self.gone.clear();
            effects.push(Effect::RecheckAll);
        }
        if let Some(changed) = changed {
            // A message that is not here yet comes as it is now.
            self.take_changes(changed, heads.last_rev, effects);
            self.take_messages(messages, effects);
        }
        self.go_on(effects);
    }

    /// A page of changes from the store.
    pub fn changes(&mut self, page: &ChangedPage, effects: &mut Vec<Effect<A>>) {
        let before = self.heads;
        self.take_changes(&page.messages, page.reached_rev, effects);
        self.go_on_from(before, effects);
    }

    /// A page of messages from the store.
    pub fn page(&mut self, page: &Page, effects: &mut Vec<Effect<A>>) {
        // One that lacks a change that was told already may hold messages as they were before it.
        if page.last_rev < self.heads.last_rev {
            return effects.push(Effect::RetryAfter(AHEAD_RETRY));
        }
        let before = self.heads;
        self.goal.last_seq = self.goal.last_seq.max(page.last_seq);
        self.take_messages(&page.messages, effects);
        self.go_on_from(before, effects);
    }

    /// What was asked for did not come.
    pub fn failed(&mut self, random: u64, effects: &mut Vec<Effect<A>>) {
        let wait_ms = self.backoff.next_ms(random).max(RETRY_FIRST_MS);
        effects.push(Effect::RetryAfter(Duration::from_millis(wait_ms)));
    }

    /// The time of a `RetryAfter` has come.
    pub fn retry(&mut self, effects: &mut Vec<Effect<A>>) {
        self.awaits_home = false;
        if self.state == State::Catching
            || self.is_waited_for()
            || self.is_ahead(self.heard.place())
        {
            self.catch_up(effects);
        }
    }

    /// How far the room is at least: a reader of the store may be ahead of the room's home, which
    /// learns of a commit only when it is answered.
    pub fn known(&self) -> Place {
        let ours = latest(self.heads, self.heard).place();
        self.waiting.iter().fold(ours, |Place { seq, rev }, Waiting { after, .. }| Place {
            seq: seq.max(after.seq),
            rev: rev.max(after.rev),
        })
    }

    /// A reader wants to be attached: it has everything up to `after`.
    pub fn attach(
        &mut self,
        reader: A,
        after: Place,
        member: Member,
        effects: &mut Vec<Effect<A>>,
    ) {
        let (head, is_ahead) = (self.heads.place(), self.is_ahead(after));
        if self.state != State::Following || is_ahead {
            self.waiting.push(Waiting { reader, after, member });
            if self.state == State::Following {
                self.catch_up(effects);
            }
            return;
        }
        if self.may_be_gone(member) {
            return effects.push(Effect::Recheck(reader));
        }
        mutate!(HeadsReadLast, {
            let after = Place { rev: head.rev, ..after };
            return effects.push(Effect::Attach { reader, after, head });
        });
        effects.push(Effect::Attach { reader, after, head });
    }

    /// Everything that is known of was delivered, and nobody waits to be attached.
    pub fn is_following(&self) -> bool {
        self.state == State::Following
    }

    /// Readers that wait.
    pub fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn apply(&mut self, batch: &EventBatch, effects: &mut Vec<Effect<A>>) {
        if !self.heads.is_behind(&batch.after) {
            return; // known already
        }
        mutate!(NoHoleRepair, {
            self.heads = batch.after;
            return effects.push(Effect::Deliver(batch.events.clone()));
        });
        mutate!(ChangedCountedEarly, {
            let (known, before) = (self.heads, batch.before);
            let is_change = batch.after.last_rev > before.last_rev;
            if is_change
                && before.last_rev == known.last_rev
                && batch.after.last_seq == before.last_seq
            {
                self.heads = Heads { last_seq: known.last_seq, ..batch.after };
                return effects.push(Effect::Deliver(batch.events.clone()));
            }
        });
        if batch.before != self.heads {
            return self.catch_up(effects);
        }
        self.note_members(batch);
        self.heads = batch.after;
        effects.push(Effect::Deliver(batch.events.clone()));
    }

    fn note_members(&mut self, batch: &EventBatch) {
        let known = self.gone.len();
        self.gone.extend(batch.events.iter().filter_map(|event| match event {
            Event::Member(event) => Some(event.change.ends().then_some(event.user)),
            Event::Renamed(_) => Some(None),
            Event::Message(_) | Event::Changed(_) => None,
        }));
        if batch.before.member_rev + (self.gone.len() - known) as u64 != batch.after.member_rev {
            self.gone.clear(); // not each of them was told
        }
        let surplus = self.gone.len().saturating_sub(CHANGES_KNOWN);
        self.gone.drain(..surplus);
    }

    /// The membership may have ended since it was looked at.
    fn may_be_gone(&self, member: Member) -> bool {
        let changes = self.heads.member_rev.saturating_sub(member.since);
        let first = usize::try_from(changes).ok().and_then(|n| self.gone.len().checked_sub(n));
        first.is_none_or(|first| self.gone.range(first..).any(|gone| *gone == Some(member.user)))
    }

    fn catch_up(&mut self, effects: &mut Vec<Effect<A>>) {
        self.state = State::Catching;
        effects.push(Effect::CatchUp(self.heads));
    }

    /// Delivers those that are news, of messages that are here.
    fn take_changes(&mut self, changed: &[Arc<Message>], rev: u64, effects: &mut Vec<Effect<A>>) {
        let Place { seq, rev: known } = self.heads.place();
        let news = changed.iter().filter(|message| message.seq <= seq && message.rev() > known);
        let events: Vec<Event> = news.cloned().map(Event::Changed).collect();
        if !events.is_empty() {
            effects.push(Effect::Deliver(events));
        }
        self.heads.last_rev = known.max(rev);
    }

    /// Delivers those that come next.
    fn take_messages(&mut self, messages: &[Arc<Message>], effects: &mut Vec<Effect<A>>) {
        let mut events = Vec::new();
        for message in messages {
            if message.seq == self.heads.last_seq + 1 {
                self.heads.last_seq = message.seq;
                events.push(Event::Message(message.clone()));
            }
        }
        if !events.is_empty() {
            effects.push(Effect::Deliver(events));
        }
    }

    /// As `go_on`, after a read. One that brought nothing is not made again at once.
    fn go_on_from(&mut self, before: Heads, effects: &mut Vec<Effect<A>>) {
        let (place, goal) = (self.heads.place(), self.goal.place());
        if self.heads == before && (place.seq < goal.seq || place.rev < goal.rev) {
            return effects.push(Effect::RetryAfter(AHEAD_RETRY));
        }
        self.go_on(effects);
    }

    /// Reads on until the goal is reached: changes first, for they are of earlier messages.
    fn go_on(&mut self, effects: &mut Vec<Effect<A>>) {
        if self.heads.last_rev < self.goal.last_rev {
            effects.push(Effect::ReadChanges(self.heads.place()));
        } else if self.heads.last_seq < self.goal.last_seq {
            effects.push(Effect::ReadPage(self.heads.last_seq));
        } else {
            self.follow(effects);
        }
    }

    /// Everything asked for is here: what was held back comes next, then readers that waited.
    fn follow(&mut self, effects: &mut Vec<Effect<A>>) {
        self.state = State::Following;
        while let Some(batch) = self.held.pop_front() {
            self.apply(&batch, effects);
            if self.state != State::Following {
                return;
            }
        }
        for Waiting { reader, after, member } in std::mem::take(&mut self.waiting) {
            if self.is_ahead(after) {
                // The home was asked just now and does not know of it: not at once again.
                self.waiting.push(Waiting { reader, after, member });
            } else {
                self.attach(reader, after, member, effects);
            }
        }
        let is_behind = self.is_waited_for() || self.is_ahead(self.heard.place());
        if is_behind && !std::mem::replace(&mut self.awaits_home, true) {
            effects.push(Effect::RetryAfter(AHEAD_RETRY));
        }
    }

    /// Somebody there has more than we.
    fn is_ahead(&self, place: Place) -> bool {
        let head = self.heads.place();
        place.seq > head.seq || place.rev > head.rev
    }
}

/// The further of each.
fn latest(one: Heads, other: Heads) -> Heads {
    Heads {
        last_seq: one.last_seq.max(other.last_seq),
        last_rev: one.last_rev.max(other.last_rev),
        member_rev: one.member_rev.max(other.member_rev),
    }
}
