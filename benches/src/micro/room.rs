//! What a room decides about a message: taken, put into a batch with its number, committed, answered
//! and told. Beside it the same messages made and numbered with no queue, names, window or effects.

use crate::pairs::{Comparison, compare};
use madang_actors::room::{
    logic::{Effect, Logic, pending},
    pending::{Submit, Work},
    standing::Standing,
};
use madang_protocol::{ClientId, Entry, Heads, Role, RoomId, RoomKind, UserId};
use madang_store::log::{Activation, Appended};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

const ROOM: RoomId = RoomId([9; 15]);
const SENDER: UserId = UserId([3; 15]);
const BODY_BYTES: usize = 128;
const WAIT: Duration = Duration::from_secs(15);

type Effects = Vec<Effect<u32, ()>>;

/// Time for one message, in batches of so many (at most what a room puts into one).
/// `operations` is rounded up to whole batches.
pub fn commits(batch: u32, pairs: usize, operations: u32) -> Comparison {
    let rounds = operations.div_ceil(batch);
    let decided = |_| decide(batch, rounds);
    compare(pairs, rounds * batch, decided, |_| number(batch, rounds))
}

fn decide(batch: u32, rounds: u32) -> Duration {
    let (mut logic, mut effects) = (active(), Effects::new());
    let submits = submits(batch * rounds);
    let begun = Instant::now();
    for round in submits.chunks(batch as usize) {
        let now = tokio::time::Instant::now();
        for (submit, reply) in round.iter().zip(1..) {
            logic.submit(pending(submit.clone(), reply), now, &mut effects);
        }
        logic.begin_batch(1_000, now, &mut effects);
        let entries = taken(&mut effects);
        assert_eq!(entries.len(), round.len(), "one batch takes all of them");
        let outcome = Appended { committed: entries.len(), stopped: None };
        logic.appended(&entries, outcome, now, &mut effects);
        assert!(effects.len() > round.len(), "each is answered, and they are told");
        black_box(&effects);
        effects.clear();
    }
    begun.elapsed()
}

fn number(batch: u32, rounds: u32) -> Duration {
    let submits = submits(batch * rounds);
    let begun = Instant::now();
    let mut seq = 0;
    for round in submits.chunks(batch as usize) {
        let mut entries = Vec::new();
        for submit in round {
            seq += 1;
            let message = submit.clone().to_message(ROOM, seq, 1_000).expect("a send");
            entries.push(Entry::Message(Arc::new(message)));
        }
        black_box(entries);
    }
    begun.elapsed()
}

/// A room that knows its heads and its one member.
fn active() -> Logic<u32, ()> {
    let mut logic = Logic::new(ROOM, tokio::time::Instant::now());
    let (kind, heads) = (RoomKind::Group, Heads::default());
    let found = Activation { kind, heads, last_ts: 0, window: vec![], uncounted: vec![] };
    let mut effects = Effects::new();
    logic.activated(Ok(Some(found)), 0, &mut effects);
    logic.standing(SENDER, Standing::Member(Role::Member), &mut effects);
    logic
}

fn submits(count: u32) -> Vec<Submit> {
    let body: Arc<str> = "x".repeat(BODY_BYTES).into();
    let deadline = tokio::time::Instant::now() + WAIT;
    let submit = |number| {
        let client_id = ClientId::new(&format!("1-{number}")).expect("a short text");
        let work = Work::Send { client_id, body: body.clone(), reply_to: None };
        Submit { sender: SENDER, work, deadline, trace: 0 }
    };
    (0..count).map(submit).collect()
}

/// What is to be written; all there is to be done then.
fn taken(effects: &mut Effects) -> Vec<Entry> {
    match effects.pop() {
        Some(Effect::Append(entries)) if effects.is_empty() => entries,
        other => panic!("{other:?} after {effects:?}"),
    }
}
