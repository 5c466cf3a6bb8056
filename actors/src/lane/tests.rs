//! The lane's decisions, by input and exact effects.

use super::{
    QUEUE_MAX, REQUEST_BYTES_MAX, REQUEST_ENTRIES_MAX, STAYS_FOR,
    logic::{Effect, Logic, NoAnswer},
};
use crate::{
    homes::Home,
    remote::Outcome,
    room::pending::{Submit, Work},
    route::Receipt,
};
use madang_cluster::{NodeName, Peer};
use madang_protocol::{ClientId, ErrorCode, RoomId, UserId};
use std::time::Duration;
use tokio::time::Instant;

type Effects = Vec<Effect<u32>>;

struct Lane {
    logic: Logic<u32>,
    now: Instant,
    home: Home,
}

impl Lane {
    /// With submits 1.. of these names.
    fn with(names: &[&str]) -> Self {
        let now = Instant::now();
        let mut lane = Self { logic: Logic::new(now), now, home: Home::There(peer("b")) };
        for (reply, name) in (1..).zip(names) {
            assert_eq!(lane.submit(name, reply), []);
        }
        lane
    }

    fn does(&mut self, act: impl FnOnce(&mut Logic<u32>, &mut Effects)) -> Effects {
        let mut effects = Vec::new();
        act(&mut self.logic, &mut effects);
        effects
    }

    fn submit(&mut self, name: &str, reply: u32) -> Effects {
        let (submit, now) = (submit(name, self.now), self.now);
        self.does(|logic, effects| logic.submit(submit, reply, now, effects))
    }

    fn goes_on(&mut self) -> Effects {
        let home = self.home.clone();
        self.does(|logic, effects| logic.go_on(&home, |_| true, effects))
    }

    /// What the request that follows carries.
    fn asks(&mut self) -> (u64, Vec<u64>) {
        match &self.goes_on()[..] {
            [Effect::Ask { attempt, entries, .. }] => {
                (*attempt, entries.iter().map(|(n, _)| *n).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn answered(&mut self, attempt: u64, outcomes: Vec<(u64, Outcome)>) -> Effects {
        self.does(|logic, effects| logic.answered(attempt, Ok(outcomes), u64::MAX, effects))
    }

    fn unanswered(&mut self, attempt: u64, why: NoAnswer) -> Effects {
        self.does(|logic, effects| logic.answered(attempt, Err(why), u64::MAX, effects))
    }

    fn ticks(&mut self) -> Effects {
        let now = self.now;
        self.does(|logic, effects| logic.tick(now, effects))
    }
}

fn peer(name: &str) -> Peer {
    Peer { name: NodeName::new(name).unwrap(), incarnation: 1 }
}

fn submit(name: &str, now: Instant) -> Submit {
    let client_id = ClientId::new("name").unwrap();
    let work = Work::Send { client_id, body: name.into(), reply_to: None };
    Submit { sender: UserId([1; 15]), work, deadline: now + Duration::from_secs(15), trace: 0 }
}

fn receipt(seq: u64) -> Receipt {
    Receipt { room: RoomId([9; 15]), seq, ts: 1, rev: 0, duplicate: false }
}

fn done(seq: u64) -> Outcome {
    Outcome::Done(Ok(receipt(seq)))
}

fn rest(ms: u64) -> Effect<u32> {
    Effect::WakeAfter(Duration::from_millis(ms))
}

#[test]
fn one_request_is_under_way_and_the_next_gathers() {
    let mut lane = Lane::with(&["one"]);
    assert_eq!(lane.asks(), (1, vec![1]));
    lane.submit("two", 2);
    lane.submit("three", 3);
    assert_eq!(lane.goes_on(), []);
    assert_eq!(lane.answered(1, vec![(1, done(5))]), [Effect::Answer(1, Ok(receipt(5)))]);
    assert_eq!(lane.asks(), (2, vec![2, 3]));
}

#[test]
fn a_request_without_answer_is_sent_again_with_what_came_meanwhile() {
    let mut lane = Lane::with(&["one"]);
    lane.asks();
    lane.submit("two", 2);
    assert_eq!(lane.unanswered(1, NoAnswer::Late), [rest(10)]);
    lane.logic.woken();
    assert_eq!(lane.asks(), (2, vec![1, 2]));
}

#[test]
fn a_bus_that_says_at_once_that_there_is_no_answer_is_not_asked_all_the_time() {
    let mut lane = Lane::with(&["one"]);
    for (attempt, ms) in (1..).zip([10, 20, 40, 80, 160, 320, 500, 500]) {
        assert_eq!(lane.asks(), (attempt, vec![1]));
        assert_eq!(lane.unanswered(attempt, NoAnswer::Late), [rest(ms)]);
        assert_eq!(lane.goes_on(), [], "it rests");
        lane.logic.woken();
    }
    let (attempt, _) = lane.asks();
    lane.answered(attempt, vec![(1, done(5))]);
    lane.submit("two", 2);
    let (attempt, _) = lane.asks();
    assert_eq!(lane.unanswered(attempt, NoAnswer::Late), [rest(10)], "a home that answered");
}

#[test]
fn what_was_given_back_is_sent_again_after_a_rest_or_when_the_view_changes() {
    let mut lane = Lane::with(&["one", "two"]);
    lane.asks();
    let effects = lane.answered(1, vec![(1, done(5)), (2, Outcome::Moved)]);
    assert_eq!(effects, [Effect::Answer(1, Ok(receipt(5))), rest(10)]);
    assert_eq!(lane.goes_on(), []);
    lane.logic.woken();
    assert_eq!(lane.asks(), (2, vec![2]));
    assert_eq!(lane.answered(2, vec![(2, Outcome::Moved)]), [rest(20)]);
    lane.logic.view_changed();
    assert_eq!(lane.asks(), (3, vec![2]));
    assert_eq!(lane.unanswered(3, NoAnswer::NotAsked), [rest(10)]);
}

#[test]
fn a_home_that_is_gone_is_not_waited_for() {
    let mut lane = Lane::with(&["one"]);
    lane.asks();
    let home = Home::There(peer("c"));
    let still_there = lane.does(|logic, effects| logic.go_on(&home, |_| true, effects));
    assert_eq!(still_there, [], "it answers, or gives back");
    let effects = lane.does(|logic, effects| logic.go_on(&home, |_| false, effects));
    assert!(matches!(&effects[..], [Effect::Ask { to, attempt: 2, .. }] if *to == peer("c")));
    // What it has committed all the same counts, what it refused does not.
    let refused = Outcome::Done(Err(madang_protocol::Refusal::no_room()));
    assert_eq!(lane.answered(1, vec![(1, refused)]), []);
    assert_eq!(lane.answered(1, vec![(1, done(5))]), [Effect::Answer(1, Ok(receipt(5)))]);
    assert_eq!(lane.answered(2, vec![(1, done(5))]), []);
}

#[test]
fn when_the_room_is_at_home_here_it_gets_everything() {
    let mut lane = Lane::with(&["one", "two"]);
    lane.asks();
    lane.home = Home::Here;
    assert_eq!(lane.goes_on(), [], "the old home may have it");
    lane.answered(1, vec![(1, done(5)), (2, Outcome::Moved)]);
    assert_eq!(lane.goes_on(), [Effect::HandOver]);
    let left: Vec<u32> = lane.logic.drain().map(|(_, reply)| reply).collect();
    assert_eq!(left, [2]);
}

#[test]
fn nobody_is_waited_for() {
    let mut lane = Lane::with(&["one"]);
    lane.home = Home::Nobody;
    assert_eq!(lane.goes_on(), []);
}

#[test]
fn a_submit_waits_until_its_deadline() {
    let mut lane = Lane::with(&["one", "two"]);
    lane.asks();
    lane.now += Duration::from_secs(15);
    let effects = lane.ticks();
    let codes = effects.iter().map(|effect| match effect {
        Effect::Answer(reply, Err(refusal)) => (*reply, refusal.code),
        other => panic!("{other:?}"),
    });
    let unavailable = ErrorCode::Unavailable;
    assert_eq!(codes.collect::<Vec<_>>(), [(1, unavailable), (2, unavailable)]);
    // Both may be with the home; the next request is without them.
    lane.submit("three", 3);
    lane.unanswered(1, NoAnswer::Late);
    lane.logic.woken();
    assert_eq!(lane.asks(), (2, vec![3]));
}

#[test]
fn a_full_lane_is_overloaded_at_once() {
    let mut lane = Lane::with(&["name"; QUEUE_MAX]);
    let effects = lane.submit("more", 0);
    assert!(
        matches!(&effects[..], [Effect::Answer(0, Err(refusal))] if refusal.code == ErrorCode::Overloaded)
    );
}

#[test]
fn a_request_is_bounded_by_entries_and_by_bytes() {
    let mut lane = Lane::with(&["name"; REQUEST_ENTRIES_MAX + 1]);
    assert_eq!(lane.asks().1.len(), REQUEST_ENTRIES_MAX);
    let body = "x".repeat(REQUEST_BYTES_MAX / 4);
    let mut lane = Lane::with(&[body.as_str(); 5]);
    assert_eq!(lane.asks().1.len(), 3);
    let mut lane = Lane::with(&[body.repeat(5).as_str()]);
    assert_eq!(lane.asks().1.len(), 1, "one at least");
}

#[test]
fn a_lane_with_nothing_to_send_goes_after_a_while() {
    let mut lane = Lane::with(&["one"]);
    lane.asks();
    lane.answered(1, vec![(1, done(5))]);
    assert_eq!(lane.ticks(), []);
    lane.now += STAYS_FOR;
    assert_eq!(lane.ticks(), [Effect::Stop]);
}
