//! The checker is checked: a good run passes, and each planted fault is reported by its name.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// A run of two connections and two readers, as long as asked, with nothing wrong.
struct Planted {
    events: Vec<Event>,
    log: Vec<Stored>,
}

impl Planted {
    fn good(messages: u64) -> Self {
        let mut planted = Self { events: Vec::new(), log: Vec::new() };
        for reader in ["r1", "r2"] {
            planted.events.push(reading(reader, 0));
        }
        for seq in 1..=messages {
            let connection = seq % 2;
            planted.events.push(sent(connection, &name(seq)));
            planted.events.push(acknowledged(connection, &name(seq), seq));
            planted.log.push(Stored { seq, ts: 1_000 + seq, client_id: name(seq) });
            for reader in ["r1", "r2"] {
                planted.events.push(read(reader, seq, &name(seq)));
            }
        }
        planted
    }

    /// The event that says this, to be changed or removed.
    fn find(&mut self, event: &Event) -> usize {
        self.events.iter().position(|other| other == event).expect("planted")
    }

    fn names(&self, minimum: usize) -> BTreeSet<&'static str> {
        let logs = BTreeMap::from([("room".to_owned(), self.log.clone())]);
        let found = check(&self.events, &logs, minimum).err().unwrap_or_default();
        found.iter().map(Violation::name).collect()
    }

    fn assert_finds(&self, expected: &[&str]) {
        assert_eq!(self.names(1), expected.iter().copied().collect::<BTreeSet<_>>());
    }
}

fn name(seq: u64) -> String {
    format!("m{seq}")
}

fn sent(connection: u64, client_id: &str) -> Event {
    Event::Sent { connection, room: "room".into(), client_id: client_id.into() }
}

fn acknowledged(connection: u64, client_id: &str, seq: u64) -> Event {
    let (room, client_id) = ("room".into(), client_id.into());
    Event::Acknowledged { connection, room, client_id, seq, ts: 1_000 + seq }
}

fn refused(connection: u64, client_id: &str, code: &str) -> Event {
    let (room, client_id) = ("room".into(), client_id.into());
    Event::Refused { connection, room, client_id, code: code.into() }
}

fn reading(reader: &str, after_seq: u64) -> Event {
    Event::Reading { reader: reader.into(), room: "room".into(), after_seq }
}

fn read(reader: &str, seq: u64, client_id: &str) -> Event {
    let (reader, room, client_id) = (reader.into(), "room".into(), client_id.into());
    Event::Read { reader, room, seq, client_id }
}

#[test]
fn a_good_run_passes() {
    let run = Planted::good(2_000);
    let logs = BTreeMap::from([("room".to_owned(), run.log.clone())]);
    let summary = check(&run.events, &logs, ACKNOWLEDGED_MIN).unwrap();
    assert_eq!(summary, Summary { acknowledged: 2_000, stored: 2_000, read: 4_000 });
}

#[test]
fn a_short_run_proves_nothing() {
    let run = Planted::good(1_999);
    assert_eq!(run.names(ACKNOWLEDGED_MIN), BTreeSet::from(["too few"]));
}

#[test]
fn a_retried_message_counts_once() {
    let mut run = Planted::good(10);
    run.events.push(sent(9, "m4"));
    run.events.push(acknowledged(9, "m4", 4));
    run.assert_finds(&[]);
    assert_eq!(run.names(11), BTreeSet::from(["too few"]));
}

#[test]
fn a_planted_loss_is_found() {
    let mut run = Planted::good(10);
    run.log.pop();
    run.assert_finds(&["lost", "reader saw another"]);
}

#[test]
fn a_lost_room_is_found() {
    let run = Planted::good(10);
    let found = check(&run.events, &BTreeMap::new(), 1).unwrap_err();
    assert_eq!(found.iter().filter(|violation| violation.name() == "lost").count(), 10);
}

#[test]
fn a_planted_duplicate_is_found() {
    let mut run = Planted::good(10);
    run.log.push(Stored { seq: 11, ts: 2_000, client_id: "m5".into() });
    for reader in ["r1", "r2"] {
        run.events.push(read(reader, 11, "m5"));
    }
    run.assert_finds(&["duplicate"]);
}

#[test]
fn a_planted_swap_is_found() {
    let mut run = Planted::good(10);
    run.log[3].client_id = "m5".into();
    run.log[4].client_id = "m4".into();
    run.assert_finds(&["misplaced", "reader saw another"]);
}

#[test]
fn a_planted_hole_is_found() {
    let mut run = Planted::good(10);
    let unanswered = run.find(&acknowledged(1, "m5", 5));
    run.events.remove(unanswered);
    run.log.remove(4);
    let names = run.names(1);
    assert!(names.contains("hole"), "{names:?}");
}

#[test]
fn another_answer_to_a_retry_is_found() {
    let mut run = Planted::good(10);
    run.events.push(sent(9, "m4"));
    run.events.push(acknowledged(9, "m4", 11));
    run.assert_finds(&["two answers"]);
}

#[test]
fn a_message_nobody_sent_is_found() {
    let mut run = Planted::good(10);
    run.log.push(Stored { seq: 11, ts: 2_000, client_id: "ghost".into() });
    for reader in ["r1", "r2"] {
        run.events.push(read(reader, 11, "ghost"));
    }
    run.assert_finds(&["invented"]);
}

#[test]
fn a_refused_message_that_is_stored_is_found() {
    let mut run = Planted::good(10);
    let answer = run.find(&acknowledged(1, "m5", 5));
    run.events[answer] = refused(1, "m5", "overloaded");
    run.assert_finds(&["refused but stored"]);
    run.events[answer] = refused(1, "m5", "unavailable");
    run.assert_finds(&[]);
}

#[test]
fn a_changed_order_of_one_connection_is_found() {
    let mut run = Planted::good(10);
    let (first, second) = (run.find(&sent(1, "m5")), run.find(&sent(1, "m7")));
    run.events.swap(first, second);
    run.assert_finds(&["out of order"]);
}

#[test]
fn an_unanswered_message_must_not_be_overtaken_for_ever() {
    let mut run = Planted::good(10);
    // Sent before m1 on the same connection, never refused, never stored.
    run.events.insert(2, sent(1, "m0"));
    run.assert_finds(&["out of order"]);
    run.events.push(refused(1, "m0", "overloaded"));
    run.assert_finds(&[]);
}

#[test]
fn what_a_broken_connection_left_open_may_come_in_any_order() {
    let mut run = Planted::good(10);
    run.events.extend([sent(5, "m12"), sent(5, "m11")]);
    run.events.extend([sent(6, "m11"), acknowledged(6, "m11", 11)]);
    run.events.extend([sent(6, "m12"), acknowledged(6, "m12", 12)]);
    for seq in [11, 12] {
        run.log.push(Stored { seq, ts: 2_000, client_id: name(seq) });
        run.events.extend([read("r1", seq, &name(seq)), read("r2", seq, &name(seq))]);
    }
    run.assert_finds(&[]);
}

#[test]
fn time_that_goes_back_is_found() {
    let mut run = Planted::good(10);
    run.log[6].ts = 1;
    run.assert_finds(&["time went back"]);
}

#[test]
fn a_reordered_reader_is_found() {
    let mut run = Planted::good(10);
    let (first, second) = (run.find(&read("r1", 4, "m4")), run.find(&read("r1", 5, "m5")));
    run.events.swap(first, second);
    run.assert_finds(&["reader gap", "reader repeat"]);
}

#[test]
fn a_reader_with_a_gap_is_found() {
    let mut run = Planted::good(10);
    let missed = run.find(&read("r2", 6, "m6"));
    run.events.remove(missed);
    run.assert_finds(&["reader gap"]);
}

#[test]
fn a_reader_told_twice_is_found() {
    let mut run = Planted::good(10);
    let again = run.find(&read("r2", 6, "m6"));
    run.events.insert(again, read("r2", 6, "m6"));
    run.assert_finds(&["reader repeat"]);
}

#[test]
fn a_reader_told_something_else_is_found() {
    let mut run = Planted::good(10);
    let wrong = run.find(&read("r1", 6, "m6"));
    run.events[wrong] = read("r1", 6, "m3");
    run.assert_finds(&["reader saw another"]);
}

#[test]
fn a_reader_left_behind_is_found() {
    let mut run = Planted::good(10);
    let last = run.find(&read("r1", 10, "m10"));
    run.events.remove(last);
    run.assert_finds(&["reader behind"]);
}

#[test]
fn a_reader_that_resumes_goes_on_where_it_was() {
    let mut run = Planted::good(10);
    let next = run.find(&read("r1", 6, "m6"));
    run.events.insert(next, reading("r1", 5));
    run.assert_finds(&[]);
    run.events[next] = reading("r1", 4);
    run.assert_finds(&["reader gap"]);
}

#[test]
fn a_body_names_its_message() {
    let body = body_of("c-7", 40);
    assert_eq!(client_id_in(&body), "c-7");
    assert!(body.len() >= 40);
}
