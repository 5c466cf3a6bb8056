//! The rules a run is held to.

use super::{Event, Stored, Violation};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Codes after which nothing can have been stored. `unavailable` and `internal` leave it open.
const CERTAIN_REFUSALS: [&str; 7] = [
    "unauthenticated",
    "forbidden",
    "not_found",
    "invalid",
    "too_large",
    "rate_limited",
    "overloaded",
];

/// What a run amounted to, when nothing is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Messages acknowledged, each counted once.
    pub acknowledged: usize,
    /// Messages stored.
    pub stored: usize,
    /// Messages readers were given.
    pub read: usize,
}

/// Compares what clients saw with what is stored, room by room.
///
/// # Errors
/// Every violation found; a run with fewer than `acknowledged_min` acknowledged messages is one.
pub fn check(
    events: &[Event],
    logs: &BTreeMap<String, Vec<Stored>>,
    acknowledged_min: usize,
) -> Result<Summary, Vec<Violation>> {
    let run = Run::of(events);
    let mut found = Vec::new();
    let acknowledged = run.rooms.values().map(|room| room.acknowledged.len()).sum();
    if acknowledged < acknowledged_min {
        found.push(Violation::TooFew { acknowledged, wanted: acknowledged_min });
    }
    found.extend(run.two_answers.iter().cloned());
    let empty = (Vec::new(), RoomRun::default());
    let names: BTreeSet<&String> = logs.keys().chain(run.rooms.keys()).collect();
    for name in names {
        let log = logs.get(name).unwrap_or(&empty.0);
        let judge = Judge::new(name, log, run.rooms.get(name).unwrap_or(&empty.1));
        found.extend(judge.violations());
    }
    if found.is_empty() {
        let stored = logs.values().map(Vec::len).sum();
        let read = events.iter().filter(|event| matches!(event, Event::Read { .. })).count();
        Ok(Summary { acknowledged, stored, read })
    } else {
        Err(found)
    }
}

/// The events, sorted by room and question.
#[derive(Default)]
struct Run {
    rooms: BTreeMap<String, RoomRun>,
    two_answers: Vec<Violation>,
}

#[derive(Default)]
struct RoomRun {
    /// Place told for each acknowledged message.
    acknowledged: BTreeMap<String, u64>,
    /// Messages of each connection that were sent there first, in order.
    sent: BTreeMap<u64, Vec<String>>,
    /// Messages sent anywhere, with the number of attempts.
    attempts: HashMap<String, u32>,
    /// Attempts refused for certain.
    certain_refusals: HashMap<String, u32>,
    /// Which connection refused or acknowledged which message.
    refused_on: HashSet<(u64, String)>,
    acknowledged_on: HashSet<(u64, String)>,
    /// What each reader was told, in order.
    readers: BTreeMap<String, Vec<Told>>,
}

/// One step of a reader.
enum Told {
    Begin { after_seq: u64 },
    Message { seq: u64, client_id: String },
}

impl Run {
    fn of(events: &[Event]) -> Self {
        let mut run = Self::default();
        for event in events {
            run.add(event);
        }
        run
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::Sent { connection, room, client_id } => {
                self.room(room).sent(*connection, client_id);
            }
            Event::Acknowledged { connection, room, client_id, seq, .. } => {
                self.acknowledged(*connection, room, client_id, *seq);
            }
            Event::Refused { connection, room, client_id, code } => {
                self.room(room).refused(*connection, client_id, code);
            }
            Event::Reading { reader, room, after_seq } => {
                let told = Told::Begin { after_seq: *after_seq };
                self.room(room).readers.entry(reader.clone()).or_default().push(told);
            }
            Event::Read { reader, room, seq, client_id } => {
                let told = Told::Message { seq: *seq, client_id: client_id.clone() };
                self.room(room).readers.entry(reader.clone()).or_default().push(told);
            }
        }
    }

    fn acknowledged(&mut self, connection: u64, room: &str, client_id: &str, seq: u64) {
        let run = self.room(room);
        run.acknowledged_on.insert((connection, client_id.to_owned()));
        let first = *run.acknowledged.entry(client_id.to_owned()).or_insert(seq);
        if first != seq {
            let (room, client_id) = (room.to_owned(), client_id.to_owned());
            self.two_answers.push(Violation::TwoAnswers { room, client_id, first, second: seq });
        }
    }

    fn room(&mut self, name: &str) -> &mut RoomRun {
        if !self.rooms.contains_key(name) {
            self.rooms.insert(name.to_owned(), RoomRun::default());
        }
        self.rooms.get_mut(name).expect("inserted when missing")
    }
}

impl RoomRun {
    fn sent(&mut self, connection: u64, client_id: &str) {
        let attempts = self.attempts.entry(client_id.to_owned()).or_default();
        *attempts += 1;
        if *attempts == 1 {
            self.sent.entry(connection).or_default().push(client_id.to_owned());
        }
    }

    fn refused(&mut self, connection: u64, client_id: &str, code: &str) {
        self.refused_on.insert((connection, client_id.to_owned()));
        if CERTAIN_REFUSALS.contains(&code) {
            *self.certain_refusals.entry(client_id.to_owned()).or_default() += 1;
        }
    }
}

/// One room: its log against its run.
struct Judge<'a> {
    name: &'a str,
    log: &'a [Stored],
    run: &'a RoomRun,
    /// Where each message is stored first.
    places: HashMap<&'a str, u64>,
}

impl<'a> Judge<'a> {
    fn new(name: &'a str, log: &'a [Stored], run: &'a RoomRun) -> Self {
        let mut places = HashMap::new();
        for stored in log {
            places.entry(stored.client_id.as_str()).or_insert(stored.seq);
        }
        Self { name, log, run, places }
    }

    fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        found.extend(self.sequence());
        found.extend(self.each_stored());
        found.extend(self.each_acknowledged());
        found.extend(self.run.sent.iter().flat_map(|(id, sent)| self.order(*id, sent)));
        found.extend(self.run.readers.iter().flat_map(|(name, told)| self.reader(name, told)));
        found
    }

    fn room(&self) -> String {
        self.name.to_owned()
    }

    /// 1, 2, 3, ... and time that never goes back.
    fn sequence(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let (mut expected, mut ts) = (1, 0);
        for stored in self.log {
            if stored.seq != expected {
                found.push(Violation::Hole { room: self.room(), expected, found: stored.seq });
            }
            if stored.ts < ts {
                found.push(Violation::TimeWentBack { room: self.room(), seq: stored.seq });
            }
            (expected, ts) = (stored.seq + 1, stored.ts);
        }
        found
    }

    /// Everything in the log was sent, is there once, and was not refused every time.
    fn each_stored(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for Stored { seq, client_id, .. } in self.log {
            let (room, client_id, seq) = (self.room(), client_id.clone(), *seq);
            let first = self.places[client_id.as_str()];
            let Some(attempts) = self.run.attempts.get(&client_id) else {
                found.push(Violation::Invented { room, client_id, seq });
                continue;
            };
            if self.run.certain_refusals.get(&client_id) == Some(attempts) {
                let (room, client_id) = (room.clone(), client_id.clone());
                found.push(Violation::RefusedButStored { room, client_id, seq });
            }
            if first != seq {
                found.push(Violation::Duplicate { room, client_id, first, second: seq });
            }
        }
        found
    }

    /// Everything acknowledged is stored, at the place that was told.
    fn each_acknowledged(&self) -> Vec<Violation> {
        let judge = |(client_id, acknowledged): (&String, &u64)| {
            let (room, seq) = (self.room(), *acknowledged);
            match self.places.get(client_id.as_str()) {
                None => Some(Violation::Lost { room, client_id: client_id.clone(), seq }),
                Some(stored) if *stored != seq => Some(Violation::Misplaced {
                    room,
                    client_id: client_id.clone(),
                    acknowledged: seq,
                    stored: *stored,
                }),
                Some(_) => None,
            }
        };
        self.run.acknowledged.iter().filter_map(judge).collect()
    }

    /// A message acknowledged on the connection that sent it first stands behind everything that
    /// went before it on that connection and was not refused there. What got no answer before the
    /// connection broke was settled by a later one, so it has no say.
    fn order(&self, connection: u64, sent: &[String]) -> Vec<Violation> {
        let mut found = Vec::new();
        // The message before this one with the highest place; not stored counts as infinitely far.
        let mut furthest: Option<(u64, &str)> = None;
        for client_id in sent {
            let key = (connection, client_id.clone());
            if self.run.refused_on.contains(&key) {
                continue;
            }
            let place = self.places.get(client_id.as_str()).copied().unwrap_or(u64::MAX);
            let earlier = furthest.filter(|(furthest, _)| *furthest > place);
            if let (Some((_, earlier)), true) = (earlier, self.run.acknowledged_on.contains(&key)) {
                found.push(Violation::OutOfOrder {
                    room: self.room(),
                    connection,
                    earlier: earlier.to_owned(),
                    later: client_id.clone(),
                });
            }
            if furthest.is_none_or(|(furthest, _)| place > furthest) {
                furthest = Some((place, client_id));
            }
        }
        found
    }

    /// A reader is given the log, message by message, to its end.
    fn reader(&self, reader: &str, told: &[Told]) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut at = match told.first() {
            Some(Told::Begin { after_seq }) => *after_seq,
            _ => 0,
        };
        for step in told {
            match step {
                Told::Begin { after_seq } => {
                    found.extend(self.skipped(reader, at, *after_seq));
                    at = *after_seq;
                }
                Told::Message { seq, client_id } => {
                    found.extend(self.read(reader, at, *seq, client_id));
                    at = (*seq).max(at);
                }
            }
        }
        let last = self.log.last().map_or(0, |stored| stored.seq);
        if at < last {
            let (reader, room) = (reader.to_owned(), self.room());
            found.push(Violation::ReaderBehind { reader, room, at, last });
        }
        found
    }

    /// A reader that resumes beyond what it was given leaves a gap of its own making.
    fn skipped(&self, reader: &str, at: u64, after_seq: u64) -> Option<Violation> {
        let (reader, room) = (reader.to_owned(), self.room());
        let gap = Violation::ReaderGap { reader, room, expected: at + 1, seq: after_seq + 1 };
        (after_seq > at).then_some(gap)
    }

    fn read(&self, reader: &str, at: u64, seq: u64, client_id: &str) -> Vec<Violation> {
        let (reader, room) = (reader.to_owned(), self.room());
        let mut found = Vec::new();
        let index = self.log.binary_search_by_key(&seq, |stored| stored.seq);
        if index.map(|index| self.log[index].client_id.as_str()) != Ok(client_id) {
            let (reader, room, client_id) = (reader.clone(), room.clone(), client_id.to_owned());
            found.push(Violation::ReaderSaw { reader, room, seq, client_id });
        }
        if seq <= at {
            found.push(Violation::ReaderRepeat { reader, room, seq });
        } else if seq > at + 1 {
            found.push(Violation::ReaderGap { reader, room, expected: at + 1, seq });
        }
        found
    }
}
