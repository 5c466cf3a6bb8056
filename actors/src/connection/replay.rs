//! Bringing subscriptions up to date, one room after the other: pure.

use super::Attached;
use madang_protocol::{Heads, Place, RoomId};
use std::{collections::VecDeque, time::Duration};

/// Wait before a step that failed is tried again.
pub const RETRY: Duration = Duration::from_millis(200);

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Call `go` once the out-queue is below half.
    WhenLow,
    /// Ask the room's audience to attach us; `attached` tells what became of it.
    Attach {
        /// The room.
        room: RoomId,
        /// What we have.
        after: Place,
        /// The room's membership when we were found to be a member.
        member_rev: u64,
    },
    /// Read what comes after; `page` tells how far that went.
    ReadPage {
        /// The room.
        room: RoomId,
        /// The last `seq` we have.
        after: u64,
    },
    /// Read what changed of what we have; `changes` tells how far that went.
    ReadChanges {
        /// The room.
        room: RoomId,
        /// What we have.
        after: Place,
    },
    /// Look again whether we are a member; `rechecked` tells.
    Recheck(RoomId),
    /// The same after [`RETRY`].
    RecheckLater(RoomId),
    /// Ask after [`RETRY`] again whether a room that was left is joined anew.
    ReturnLater(RoomId),
    /// Call `go` after [`RETRY`].
    Later,
    /// We want this room, from now on or from another place on: the hub is to know, and the room's
    /// audience to let us hear what has no number, unless it is asked to attach us just now.
    Hear {
        /// The room.
        room: RoomId,
        /// The room's membership when we were found to be a member.
        member_rev: u64,
    },
    /// We do not want this room any more.
    Detach(RoomId),
}

/// A room that is received, or will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    room: RoomId,
    is_live: bool,
}

/// A room on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    room: RoomId,
    after: Place,
    member_rev: u64,
    next: Next,
}

/// What a room on its way needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Attach,
    Recheck,
    Changes,
    Page,
}

/// The step that is out, which is the `next` of its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Out {
    position: Position,
    /// False: the room is not wanted any more, or from another place on.
    is_wanted: bool,
}

impl Next {
    /// Of one who has `after` of a room that stands at `head`. Changes come first: they are of
    /// messages it has, and the messages that follow come changed already.
    fn towards(head: Place, after: Place) -> Self {
        match (after.rev < head.rev, after.seq < head.seq) {
            (true, _) => Self::Changes,
            (false, true) => Self::Page,
            (false, false) => Self::Attach,
        }
    }
}

/// The subscriptions of a connection.
#[derive(Debug, Default)]
pub struct Replay {
    /// Bounded by `subscriptions_max`.
    wanted: Vec<Wanted>,
    /// Those that are not live, in the order they were wanted.
    queue: VecDeque<Position>,
    current: Option<Out>,
}

impl Replay {
    /// Rooms received, or about to be.
    pub fn count(&self) -> usize {
        self.wanted.len()
    }

    /// This room is received, or about to be.
    pub fn has(&self, room: RoomId) -> bool {
        self.wanted.iter().any(|wanted| wanted.room == room)
    }

    /// The step that is out attaches us to this room.
    pub fn is_attaching(&self, room: RoomId) -> bool {
        self.current.is_some_and(|Out { position, is_wanted }| {
            is_wanted && position.room == room && position.next == Next::Attach
        })
    }

    /// Begins to receive a room after `after`, also one that is received already.
    pub fn want(&mut self, room: RoomId, after: Place, member_rev: u64, steps: &mut Vec<Step>) {
        self.forget(room);
        if self.wanted.is_empty() {
            self.wanted.reserve_exact(1); // many connections receive one room
        }
        self.wanted.push(Wanted { room, is_live: false });
        self.queue.push_back(Position { room, after, member_rev, next: Next::Attach });
        self.next(steps);
        steps.push(Step::Hear { room, member_rev });
    }

    /// Stops receiving a room.
    pub fn unwant(&mut self, room: RoomId, steps: &mut Vec<Step>) {
        if self.forget(room) {
            steps.push(Step::Detach(room));
        }
    }

    /// What is under way for the room is for nothing. True: it was wanted.
    fn forget(&mut self, room: RoomId) -> bool {
        let Some(place) = self.wanted.iter().position(|wanted| wanted.room == room) else {
            return false;
        };
        self.wanted.swap_remove(place);
        self.queue.retain(|position| position.room != room);
        if let Some(out) = self.current.as_mut().filter(|out| out.position.room == room) {
            out.is_wanted = false;
        }
        true
    }

    /// The out-queue had no place for what a room we receive was told: it is replayed from there,
    /// at our pace. Whether we are still a member was not looked at.
    pub fn fell_behind(&mut self, room: RoomId, after: Place, steps: &mut Vec<Step>) {
        let live = |wanted: &&mut Wanted| wanted.room == room && wanted.is_live;
        if let Some(wanted) = self.wanted.iter_mut().find(live) {
            wanted.is_live = false;
            self.queue.push_back(Position { room, after, member_rev: 0, next: Next::Attach });
            self.next(steps);
        }
    }

    /// The out-queue is below half, or a wait is over.
    pub fn go(&mut self, steps: &mut Vec<Step>) {
        if self.current.is_some() {
            return;
        }
        let Some(position) = self.queue.pop_front() else {
            return;
        };
        let Position { room, after, member_rev, next } = position;
        self.current = Some(Out { position, is_wanted: true });
        steps.push(match next {
            Next::Attach => Step::Attach { room, after, member_rev },
            Next::Recheck => Step::Recheck(room),
            Next::Changes => Step::ReadChanges { room, after },
            Next::Page => Step::ReadPage { room, after: after.seq },
        });
    }

    /// What became of `Step::Attach`; `None`: no answer.
    pub fn attached(&mut self, outcome: Option<Attached>, steps: &mut Vec<Step>) {
        let Some(position) = self.answered(steps) else {
            return;
        };
        match outcome {
            Some(Attached::Live) => self.went_live(position.room),
            Some(Attached::Recheck) => {
                let position = Position { next: Next::Recheck, ..position };
                self.current = Some(Out { position, is_wanted: true });
                return steps.push(Step::Recheck(position.room));
            }
            Some(Attached::Behind(head)) => match Next::towards(head, position.after) {
                // There is nothing to read: asked again at once, it would be told the same.
                Next::Attach => return self.try_again(position, steps),
                next => self.queue.push_front(Position { next, ..position }),
            },
            None => return self.try_again(position, steps),
        }
        self.next(steps);
    }

    /// What became of `Step::ReadPage`: the last `seq` read and the room's newest; `None`: no
    /// answer. False: the page is not wanted any more.
    pub fn page(&mut self, read: Option<(u64, u64)>, steps: &mut Vec<Step>) -> bool {
        let Some(position) = self.answered(steps) else {
            return false;
        };
        let Some((seq, newest)) = read else {
            self.try_again(position, steps);
            return true;
        };
        let after = Place { seq, ..position.after };
        let next = if seq < newest { Next::Page } else { Next::Attach };
        self.queue.push_front(Position { after, next, ..position });
        self.next(steps);
        true
    }

    /// What became of `Step::ReadChanges`: up to which `rev` we have them now, and where the room
    /// stands; `None`: no answer. False: they are not wanted any more.
    pub fn changes(&mut self, read: Option<(u64, Heads)>, steps: &mut Vec<Step>) -> bool {
        let Some(position) = self.answered(steps) else {
            return false;
        };
        let Some((rev, heads)) = read else {
            self.try_again(position, steps);
            return true;
        };
        let after = Place { rev, ..position.after };
        let next = Next::towards(heads.place(), after);
        self.queue.push_front(Position { after, next, ..position });
        self.next(steps);
        true
    }

    /// The membership as it was found, by `Step::Recheck` or because the room's audience wanted it
    /// looked at, which disturbs no other step; `None`: it is over, and the room is not wanted any
    /// more.
    pub fn rechecked(&mut self, room: RoomId, member_rev: Option<u64>, steps: &mut Vec<Step>) {
        let is_ours = |out: Out| out.position.room == room && out.position.next == Next::Recheck;
        if !self.current.is_some_and(is_ours) {
            return;
        }
        let Some(position) = self.answered(steps) else {
            return;
        };
        match member_rev {
            Some(member_rev) => {
                let position = Position { member_rev, next: Next::Attach, ..position };
                self.queue.push_front(position);
            }
            None => self.unwant(room, steps),
        }
        self.next(steps);
    }

    /// Instead of what `Step::ReadPage` or `Step::ReadChanges` wanted, the membership was found to
    /// be over.
    pub fn ended(&mut self, room: RoomId, steps: &mut Vec<Step>) {
        if self.current.take_if(|out| out.position.room == room).is_some() {
            self.next(steps);
        }
    }

    /// The step that was out is answered: its room, unless that is not wanted any more.
    fn answered(&mut self, steps: &mut Vec<Step>) -> Option<Position> {
        let Out { position, is_wanted } = self.current.take()?;
        if !is_wanted {
            self.next(steps);
        }
        is_wanted.then_some(position)
    }

    fn try_again(&mut self, position: Position, steps: &mut Vec<Step>) {
        self.queue.push_front(position);
        steps.push(Step::Later);
    }

    /// The hub detached us: the membership is over.
    pub fn detached(&mut self, room: RoomId) {
        self.wanted.retain(|wanted| wanted.room != room || !wanted.is_live);
    }

    fn went_live(&mut self, room: RoomId) {
        for wanted in self.wanted.iter_mut().filter(|wanted| wanted.room == room) {
            wanted.is_live = true;
        }
    }

    fn next(&mut self, steps: &mut Vec<Step>) {
        if self.current.is_none() && !self.queue.is_empty() {
            steps.push(Step::WhenLow);
        } else if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: RoomId = RoomId([1; 15]);
    const B: RoomId = RoomId([2; 15]);

    /// Has messages up to `seq`, and every change of them up to 3.
    fn at(seq: u64) -> Place {
        Place { seq, rev: 3 }
    }

    fn steps(act: impl FnOnce(&mut Vec<Step>)) -> Vec<Step> {
        let mut steps = Vec::new();
        act(&mut steps);
        steps
    }

    /// Wants A after 5; the step to attach is out.
    fn attaching() -> Replay {
        let mut replay = Replay::default();
        let hear = Step::Hear { room: A, member_rev: 1 };
        assert_eq!(steps(|s| replay.want(A, at(5), 1, s)), [Step::WhenLow, hear]);
        let attach = Step::Attach { room: A, after: at(5), member_rev: 1 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
        replay
    }

    #[test]
    fn in_the_window_it_is_live_at_once() {
        let mut replay = attaching();
        assert_eq!(steps(|s| replay.attached(Some(Attached::Live), s)), []);
        assert!(replay.has(A));
        assert_eq!(steps(|s| replay.go(s)), []);
    }

    #[test]
    fn behind_it_reads_pages_at_the_readers_pace_then_attaches() {
        let mut replay = attaching();
        assert_eq!(steps(|s| replay.attached(Some(Attached::Behind(at(500))), s)), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 5 }]);
        assert_eq!(steps(|s| assert!(replay.page(Some((105, 150)), s))), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 105 }]);
        assert_eq!(steps(|s| assert!(replay.page(Some((151, 151)), s))), [Step::WhenLow]);
        let attach = Step::Attach { room: A, after: at(151), member_rev: 1 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
    }

    #[test]
    fn changes_come_before_messages() {
        let mut replay = attaching();
        let head = Place { seq: 9, rev: 8 };
        assert_eq!(steps(|s| replay.attached(Some(Attached::Behind(head)), s)), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadChanges { room: A, after: at(5) }]);
        let heads = Heads { last_seq: 9, last_rev: 8, member_rev: 1 };
        assert_eq!(steps(|s| assert!(replay.changes(Some((6, heads)), s))), [Step::WhenLow]);
        let after = Place { seq: 5, rev: 6 };
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadChanges { room: A, after }]);
        assert_eq!(steps(|s| assert!(replay.changes(Some((8, heads)), s))), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 5 }]);
        assert_eq!(steps(|s| assert!(replay.page(Some((9, 9)), s))), [Step::WhenLow]);
        let attach = Step::Attach { room: A, after: head, member_rev: 1 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
    }

    #[test]
    fn one_room_after_the_other() {
        let mut replay = attaching();
        let hear = Step::Hear { room: B, member_rev: 0 };
        assert_eq!(steps(|s| replay.want(B, at(0), 0, s)), [hear], "heard at once");
        assert!(replay.is_attaching(A) && !replay.is_attaching(B));
        assert_eq!(steps(|s| replay.go(s)), [], "A is not done");
        assert_eq!(steps(|s| replay.attached(Some(Attached::Live), s)), [Step::WhenLow]);
        let attach = Step::Attach { room: B, after: at(0), member_rev: 0 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
    }

    #[test]
    fn a_changed_membership_is_looked_at_again() {
        let mut replay = attaching();
        assert_eq!(steps(|s| replay.attached(Some(Attached::Recheck), s)), [Step::Recheck(A)]);
        assert_eq!(steps(|s| replay.rechecked(A, Some(2), s)), [Step::WhenLow]);
        let attach = Step::Attach { room: A, after: at(5), member_rev: 2 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);

        let mut replay = attaching();
        steps(|s| replay.attached(Some(Attached::Recheck), s));
        assert_eq!(steps(|s| replay.rechecked(A, None, s)), [Step::Detach(A)]);
        assert!(!replay.has(A));
    }

    #[test]
    fn what_fails_is_tried_again() {
        let mut replay = attaching();
        for no_answer in [None, Some(Attached::Behind(at(5)))] {
            assert_eq!(steps(|s| replay.attached(no_answer, s)), [Step::Later]);
            let attach = Step::Attach { room: A, after: at(5), member_rev: 1 };
            assert_eq!(steps(|s| replay.go(s)), [attach]);
        }
        assert_eq!(steps(|s| replay.attached(None, s)), [Step::Later]);
        let attach = Step::Attach { room: A, after: at(5), member_rev: 1 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
        steps(|s| replay.attached(Some(Attached::Behind(at(500))), s));
        steps(|s| replay.go(s));
        assert_eq!(steps(|s| assert!(replay.page(None, s))), [Step::Later]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 5 }]);
    }

    #[test]
    fn unsubscribing_on_the_way_detaches_at_once() {
        let mut replay = attaching();
        assert_eq!(steps(|s| replay.unwant(A, s)), [Step::Detach(A)]);
        assert!(!replay.has(A) && !replay.is_attaching(A));
        assert_eq!(steps(|s| replay.attached(Some(Attached::Live), s)), []);
    }

    #[test]
    fn unsubscribing_while_a_page_is_read_drops_the_page() {
        let mut replay = attaching();
        steps(|s| replay.attached(Some(Attached::Behind(at(500))), s));
        steps(|s| replay.go(s));
        steps(|s| replay.unwant(A, s));
        assert_eq!(steps(|s| assert!(!replay.page(Some((9, 9)), s))), []);
    }

    #[test]
    fn subscribing_again_on_the_way_starts_there() {
        let mut replay = attaching();
        let hear = Step::Hear { room: A, member_rev: 1 };
        assert_eq!(steps(|s| replay.want(A, at(2), 1, s)), [hear]);
        assert!(!replay.is_attaching(A), "not there");
        assert_eq!(steps(|s| replay.attached(Some(Attached::Live), s)), [Step::WhenLow]);
        let attach = Step::Attach { room: A, after: at(2), member_rev: 1 };
        assert_eq!(steps(|s| replay.go(s)), [attach]);
    }

    #[test]
    fn one_that_was_turned_back_is_replayed_from_there() {
        let mut replay = attaching();
        assert_eq!(steps(|s| replay.fell_behind(A, at(4), s)), [], "it is not received yet");
        steps(|s| replay.attached(Some(Attached::Live), s));
        assert_eq!(steps(|s| replay.fell_behind(B, at(4), s)), [], "it is not wanted");
        assert_eq!(steps(|s| replay.fell_behind(A, at(7), s)), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.fell_behind(A, at(9), s)), [], "it is on its way");
        let attach = |member_rev| Step::Attach { room: A, after: at(7), member_rev };
        assert_eq!(steps(|s| replay.go(s)), [attach(0)]);
        assert_eq!(steps(|s| replay.attached(Some(Attached::Recheck), s)), [Step::Recheck(A)]);
        assert_eq!(steps(|s| replay.rechecked(A, Some(2), s)), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [attach(2)]);
        assert_eq!(steps(|s| replay.attached(Some(Attached::Live), s)), []);
        assert_eq!(steps(|s| replay.fell_behind(A, at(9), s)), [Step::WhenLow]);
    }

    #[test]
    fn a_look_at_the_membership_disturbs_no_other_step() {
        let mut replay = attaching();
        steps(|s| replay.attached(Some(Attached::Behind(at(500))), s));
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 5 }]);
        assert_eq!(steps(|s| replay.rechecked(A, Some(2), s)), [], "the page is still to come");
        assert_eq!(steps(|s| assert!(replay.page(Some((105, 500)), s))), [Step::WhenLow]);
        assert_eq!(steps(|s| replay.go(s)), [Step::ReadPage { room: A, after: 105 }]);
        steps(|s| replay.unwant(A, s));
        assert_eq!(steps(|s| replay.want(B, at(0), 0, s)).len(), 1, "A's page is out");
        assert_eq!(steps(|s| replay.ended(A, s)), [Step::WhenLow]);
    }
}
