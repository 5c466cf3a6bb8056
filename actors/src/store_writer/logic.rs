//! Gathers the rooms' batches into ordered commands, one in flight: pure.

use madang_protocol::Entry;
use madang_store::log::{Appended, Stopped};
use std::collections::VecDeque;

/// Entries of one command at most: what a MongoDB `insert` is given, and a good deal more than
/// one commit of the embedded store needs to be cheap.
pub const COMMAND_ENTRIES_MAX: usize = 1_000;
/// Weight of one command at most, unless its first batch alone is heavier.
pub const COMMAND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One room's next entries. A room has one batch out at a time, so what stands behind a failed
/// entry in the same room is always in the same batch and goes back with it.
pub struct Batch<R> {
    /// Numbered by the room from its committed head on.
    pub entries: Vec<Entry>,
    /// Where the outcome goes.
    pub reply: R,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<R> {
    /// Send this command to the store. There is no other under way.
    Write(Vec<Entry>),
    /// Tell a room what became of its batch.
    Answer(R, Appended),
}

/// The gathering.
pub struct Logic<R> {
    /// Waits for the next command; bounded by the rooms there are, one batch each.
    gathered: VecDeque<Batch<R>>,
    in_flight: Vec<Batch<R>>,
}

impl<R> Logic<R> {
    /// Nothing gathered, nothing in flight.
    pub fn new() -> Self {
        Self { gathered: VecDeque::new(), in_flight: Vec::new() }
    }

    /// A room hands over a batch.
    pub fn submit(&mut self, batch: Batch<R>) {
        self.gathered.push_back(batch);
    }

    /// Begins the next command if none is under way. Called once per turn, after everything that
    /// came in was gathered: no timer, the next command is what came while the last was written.
    pub fn begin(&mut self, effects: &mut Vec<Effect<R>>) {
        if !self.in_flight.is_empty() || self.gathered.is_empty() {
            return;
        }
        let (mut count, mut bytes) = (0, 0);
        while let Some(next) = self.gathered.front() {
            count += next.entries.len();
            bytes += next.entries.iter().map(Entry::weight_bytes).sum::<usize>();
            let fits = count <= COMMAND_ENTRIES_MAX && bytes <= COMMAND_BYTES_MAX;
            if !fits && !self.in_flight.is_empty() {
                break;
            }
            self.in_flight.extend(self.gathered.pop_front());
        }
        let entries = self.in_flight.iter().flat_map(|batch| batch.entries.iter().cloned());
        effects.push(Effect::Write(entries.collect()));
    }

    /// The store answered. Batches that were not attempted go to the front of the next command:
    /// behind newer ones of other rooms they would be overtaken for no reason.
    pub fn written(&mut self, outcome: Appended, effects: &mut Vec<Effect<R>>) {
        let mut committed = outcome.committed;
        let mut stopped = outcome.stopped;
        let mut unattempted = VecDeque::new();
        for batch in std::mem::take(&mut self.in_flight) {
            let of_batch = committed.min(batch.entries.len());
            committed -= of_batch;
            if of_batch == batch.entries.len() {
                let all = Appended { committed: of_batch, stopped: None };
                effects.push(Effect::Answer(batch.reply, all));
                continue;
            }
            match stopped.clone() {
                Some(why) => {
                    let is_local = matches!(why, Stopped::Duplicate | Stopped::Taken);
                    let outcome = Appended { committed: of_batch, stopped: Some(why) };
                    effects.push(Effect::Answer(batch.reply, outcome));
                    if is_local {
                        stopped = None;
                    }
                }
                None => unattempted.push_back(batch),
            }
        }
        unattempted.append(&mut self.gathered);
        self.gathered = unattempted;
    }
}

impl<R> Default for Logic<R> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_protocol::{ClientId, Message, RoomId, UserId};
    use madang_store::StoreError;
    use std::sync::Arc;

    fn message(room: u8, seq: u64) -> Entry {
        Entry::Message(Arc::new(Message {
            room: RoomId([room; 15]),
            seq,
            ts: 0,
            sender: UserId([1; 15]),
            client_id: ClientId::new(&seq.to_string()).unwrap(),
            body: "".into(),
            reply_to: None,
            amended: None,
        }))
    }

    fn batch(room: u8, seqs: std::ops::RangeInclusive<u64>) -> Batch<u8> {
        Batch { entries: seqs.map(|seq| message(room, seq)).collect(), reply: room }
    }

    fn begin(logic: &mut Logic<u8>) -> Vec<Effect<u8>> {
        let mut effects = Vec::new();
        logic.begin(&mut effects);
        effects
    }

    fn written(
        logic: &mut Logic<u8>,
        committed: usize,
        stopped: Option<Stopped>,
    ) -> Vec<Effect<u8>> {
        let mut effects = Vec::new();
        logic.written(Appended { committed, stopped }, &mut effects);
        effects
    }

    fn answer(room: u8, committed: usize, stopped: Option<Stopped>) -> Effect<u8> {
        Effect::Answer(room, Appended { committed, stopped })
    }

    /// Rooms A, B, C with two messages each, in flight.
    fn three_in_flight() -> Logic<u8> {
        let mut logic = Logic::new();
        for room in 1..=3 {
            logic.submit(batch(room, 1..=2));
        }
        assert_eq!(begin(&mut logic).len(), 1);
        logic
    }

    #[test]
    fn one_command_at_a_time_gathers_the_next() {
        let mut logic = Logic::new();
        assert_eq!(begin(&mut logic), []);
        logic.submit(batch(1, 1..=1));
        assert_eq!(begin(&mut logic), [Effect::Write(vec![message(1, 1)])]);
        logic.submit(batch(2, 7..=8));
        logic.submit(batch(3, 1..=1));
        assert_eq!(begin(&mut logic), []);
        assert_eq!(written(&mut logic, 1, None), [answer(1, 1, None)]);
        let next = vec![message(2, 7), message(2, 8), message(3, 1)];
        assert_eq!(begin(&mut logic), [Effect::Write(next)]);
    }

    #[test]
    fn a_command_is_bounded_but_takes_at_least_one_batch() {
        let mut logic = Logic::new();
        logic.submit(batch(1, 1..=1_500));
        logic.submit(batch(2, 1..=900));
        logic.submit(batch(3, 1..=101));
        for expected in [1_500, 900, 101] {
            let effects = begin(&mut logic);
            let [Effect::Write(entries)] = &effects[..] else { panic!("{effects:?}") };
            assert_eq!(entries.len(), expected);
            written(&mut logic, expected, None);
        }
    }

    #[test]
    fn a_taken_place_sends_back_its_room_and_moves_the_others_to_the_front() {
        for why in [Stopped::Duplicate, Stopped::Taken] {
            let mut logic = three_in_flight();
            logic.submit(batch(4, 1..=1));
            let effects = written(&mut logic, 3, Some(why.clone()));
            assert_eq!(effects, [answer(1, 2, None), answer(2, 1, Some(why))]);
            let next = vec![message(3, 1), message(3, 2), message(4, 1)];
            assert_eq!(begin(&mut logic), [Effect::Write(next)]);
        }
    }

    #[test]
    fn what_is_unknown_or_refused_is_so_for_all_behind_it() {
        let error = StoreError::Unavailable("full".into());
        for why in [Stopped::Unknown(error.clone()), Stopped::Refused(error)] {
            let mut logic = three_in_flight();
            let effects = written(&mut logic, 2, Some(why.clone()));
            let behind = Some(why);
            let expected = [answer(1, 2, None), answer(2, 0, behind.clone()), answer(3, 0, behind)];
            assert_eq!(effects, expected);
            assert_eq!(begin(&mut logic), []);
        }
    }
}
