//! What becomes of forwarded entries.

use crate::{
    remote::{
        IN_WORK_MAX, LANES_MAX, Outcome, REMEMBERED_FOR,
        logic::{Effect, Logic, Request},
    },
    route::Receipt,
};
use madang_protocol::{Refusal, RoomId};
use tokio::time::Instant;

const ROOM: RoomId = RoomId([9; 15]);
const LANE: u64 = 7;

type Effects = Vec<Effect<u64, &'static str>>;

struct Remote {
    logic: Logic<u64, &'static str>,
    is_home: bool,
    now: Instant,
}

impl Remote {
    fn new() -> Self {
        Self { logic: Logic::new(), is_home: true, now: Instant::now() }
    }

    /// Entries are their numbers.
    fn asked(&mut self, attempt: u64, numbers: &[u64], answer: &'static str) -> Effects {
        self.asked_by(LANE, attempt, numbers, answer)
    }

    fn asked_by(
        &mut self,
        lane: u64,
        attempt: u64,
        numbers: &[u64],
        answer: &'static str,
    ) -> Effects {
        let entries = numbers.iter().map(|n| (*n, *n)).collect();
        let request = Request { room: ROOM, lane, attempt, entries, answer };
        let mut effects = Vec::new();
        self.logic.asked(request, self.is_home, self.now, &mut effects);
        effects
    }

    fn settled(&mut self, n: u64, outcome: Outcome) -> Effects {
        let mut effects = Vec::new();
        self.logic.settled(LANE, n, outcome, self.is_home, &mut effects);
        effects
    }
}

fn handed_over(numbers: &[u64]) -> Effects {
    let entries = numbers.iter().map(|n| (*n, *n)).collect();
    vec![Effect::HandOver { room: ROOM, lane: LANE, entries }]
}

fn done(seq: u64) -> Outcome {
    Outcome::Done(Ok(Receipt { room: ROOM, seq, ts: 1, rev: 0, duplicate: false }))
}

#[test]
fn a_request_is_answered_when_each_of_it_is_settled() {
    let mut remote = Remote::new();
    assert_eq!(remote.asked(1, &[1, 2], "first"), handed_over(&[1, 2]));
    assert_eq!(remote.settled(2, done(6)), []);
    let all = vec![(1, done(5)), (2, done(6))];
    assert_eq!(remote.settled(1, done(5)), [Effect::Answer("first", all)]);
}

#[test]
fn one_that_comes_again_is_attached_and_what_is_new_in_it_waits() {
    let mut remote = Remote::new();
    remote.asked(1, &[1, 2], "first");
    assert_eq!(remote.asked(2, &[1, 2, 3], "again"), []);
    assert_eq!(remote.settled(1, done(5)), []);
    assert_eq!(remote.settled(2, done(6)), handed_over(&[3]));
    let all = vec![(1, done(5)), (2, done(6)), (3, done(7))];
    assert_eq!(remote.settled(3, done(7)), [Effect::Answer("again", all)]);
}

#[test]
fn one_that_comes_again_when_all_is_settled_is_answered_again() {
    let mut remote = Remote::new();
    remote.asked(1, &[1], "lost");
    remote.settled(1, done(5));
    assert_eq!(remote.asked(2, &[1], "again"), [Effect::Answer("again", vec![(1, done(5))])]);
}

#[test]
fn an_older_one_that_comes_late_is_dropped() {
    let mut remote = Remote::new();
    remote.asked(2, &[2], "second");
    assert_eq!(remote.asked(1, &[1, 2], "first, late"), []);
    assert_eq!(remote.asked(2, &[2], "second, twice"), []);
    assert_eq!(remote.settled(2, done(5)), [Effect::Answer("second", vec![(2, done(5))])]);
}

#[test]
fn what_stands_behind_one_that_was_given_back_is_given_back_too() {
    let mut remote = Remote::new();
    remote.asked(1, &[1, 2], "first");
    remote.asked(2, &[1, 2, 3], "again");
    remote.settled(1, done(5));
    let all = vec![(1, done(5)), (2, Outcome::Moved), (3, Outcome::Moved)];
    assert_eq!(remote.settled(2, Outcome::Moved), [Effect::Answer("again", all)]);
    assert_eq!(remote.asked(3, &[2, 3], "third"), handed_over(&[2, 3]), "they are new");
}

/// Otherwise the next home takes what was refused here, behind what was committed here after it.
#[test]
fn what_stands_behind_one_that_was_refused_waits_until_its_lane_knows() {
    let mut remote = Remote::new();
    let refused = Outcome::Done(Err(Refusal::unavailable("x")));
    remote.asked(1, &[1, 2], "first");
    remote.asked(2, &[1, 2, 3], "again");
    remote.settled(1, refused.clone());
    let told = vec![(1, refused), (2, done(5))];
    assert_eq!(remote.settled(2, done(5)), [Effect::Answer("again", told.clone())]);
    assert_eq!(remote.asked(3, &[1, 2, 3, 4], "lost"), [Effect::Answer("lost", told)]);
    assert_eq!(remote.asked(4, &[3, 4], "heard"), handed_over(&[3, 4]));
}

#[test]
fn one_that_is_not_home_takes_nothing_new_and_tells_what_it_knows() {
    let mut remote = Remote::new();
    remote.asked(1, &[1], "first");
    remote.is_home = false;
    assert_eq!(remote.asked(2, &[1, 2], "again"), []);
    let all = vec![(1, done(5)), (2, Outcome::Moved)];
    assert_eq!(remote.settled(1, done(5)), [Effect::Answer("again", all)]);
    let moved = vec![(1, Outcome::Moved)];
    assert_eq!(remote.asked_by(8, 1, &[1], "other"), [Effect::Answer("other", moved)]);
}

#[test]
fn entries_with_rooms_are_bounded() {
    let mut remote = Remote::new();
    let all: Vec<u64> = (0..IN_WORK_MAX as u64).collect();
    assert_eq!(remote.asked(1, &all, "many").len(), 1);
    let moved = vec![(1, Outcome::Moved)];
    assert_eq!(remote.asked_by(8, 1, &[1], "more"), [Effect::Answer("more", moved)]);
    remote.settled(0, done(1));
    let one = Effect::HandOver { room: ROOM, lane: 8, entries: vec![(1, 1)] };
    assert_eq!(remote.asked_by(8, 2, &[1], "again"), [one]);
}

#[test]
fn lanes_are_bounded_and_forgotten_in_time() {
    let mut remote = Remote::new();
    for lane in 0..LANES_MAX as u64 {
        remote.asked_by(lane, 1, &[1], "one");
        remote.logic.settled(lane, 1, done(1), true, &mut Vec::new());
    }
    let moved = vec![(1, Outcome::Moved)];
    let beyond = LANES_MAX as u64;
    assert_eq!(remote.asked_by(beyond, 1, &[1], "no"), [Effect::Answer("no", moved)]);
    remote.now += REMEMBERED_FOR;
    remote.logic.tick(remote.now);
    let taken = Effect::HandOver { room: ROOM, lane: beyond, entries: vec![(1, 1)] };
    assert_eq!(remote.asked_by(beyond, 2, &[1], "yes"), [taken]);
}
