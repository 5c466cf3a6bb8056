//! What is seen of a world, in order, and who judges it.

use madang_protocol::{ClientId, Emoji, Entry, Message, Place, RoomId, UserId};
use madang_store::{
    receipts::Read,
    rooms::{Member, RoomChanged},
};
use std::{
    collections::BTreeMap,
    fmt::Write,
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A connection of a client; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Observation {
    /// Entries reached the log, which took the first so many.
    Appended {
        /// In order.
        entries: Arc<[Entry]>,
        /// So many of them.
        committed: usize,
        /// Whoever handed them over was answered "unknown" before.
        is_late: bool,
    },
    /// Entries came to a log that tells of each by itself when it is committed.
    Arrived {
        /// In order.
        entries: Arc<[Entry]>,
        /// Whose they are.
        node: usize,
        /// Whoever handed them over waits no more.
        is_late: bool,
    },
    /// A room, or who is in it, was changed in the store.
    Changed {
        /// The room.
        room: RoomId,
        /// What became of it.
        changed: RoomChanged,
        /// Who asked for it.
        node: usize,
    },
    /// A bulk write of receipts of this node reached the store.
    BulkBegun(usize),
    /// It took effect.
    ReadsStored(Vec<Read>),
    /// A node began another life.
    Started(usize),
    /// It was killed.
    Killed(usize),
    /// It was told to end.
    Draining(usize),
    /// It has written what it had gathered.
    Drained(usize),
    /// Its root gave up.
    GaveUp(usize, String),
    /// It stands still, or goes on.
    Paused(usize, bool),
    /// It cannot reach the others, or can again.
    CutFromBus(usize, bool),
    /// It cannot reach the store, or can again.
    CutFromStore(usize, bool),
    /// The store has another primary; so many documents are gone.
    FailedOver(usize),
    /// A client's connection was accepted by this node.
    Opened(LinkId, UserId, usize),
    /// A client hung up, or its link was cut; the node does not know yet.
    HungUp(LinkId),
    /// The node closed it, with a code unless it just ended.
    Closed(LinkId, Option<u16>),
    /// A client asked something.
    Asked(LinkId, u64, Ask),
    /// It was answered.
    Answered(LinkId, u64, Answer),
    /// From here on it has this room, after this place.
    Began(LinkId, RoomId, Place),
    /// It does not want it any more.
    Ended(LinkId, RoomId),
    /// It was told that its user is out: the last word of this room.
    Out(LinkId, RoomId),
    /// A message came.
    Message(LinkId, Seen),
    /// A message came as it now is.
    ChangedMessage(LinkId, Seen),
    /// Something else came: its `op`.
    Other(LinkId, String),
    /// A client broke off reading for a while, or went on.
    Naps(LinkId, bool),
    /// Queues of the node, looked at now and then: by kind, and the longest.
    Depth(&'static str, usize),
    /// Nothing goes wrong any more.
    Healed,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// `hello`.
    Hello,
    /// `subscribe`.
    Subscribe(RoomId),
    /// `unsubscribe`.
    Unsubscribe(RoomId),
    /// `send`; true: for the first time.
    Send(RoomId, ClientId, bool),
    /// `edit`, `delete` of this message.
    Change(RoomId, u64),
    /// `react` to this message.
    React(RoomId, u64, Emoji, bool),
    /// `read` up to there.
    Read(RoomId, u64),
    /// `history`.
    History(RoomId),
    /// `typing`, `signal`, `presence`.
    Live(RoomId),
    /// `ping`.
    Ping,
}

/// How it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `ok`, with the numbers that it has.
    Ok {
        /// `seq`.
        seq: Option<u64>,
        /// `rev`.
        rev: Option<u64>,
        /// `read_seq`.
        read_seq: Option<u64>,
        /// `duplicate`.
        duplicate: bool,
        /// `messages`.
        messages: Vec<Seen>,
    },
    /// `error` with this code.
    Error(String),
}

/// A message as a client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The room.
    pub room: RoomId,
    /// Its place.
    pub seq: u64,
    /// Who sent it.
    pub sender: UserId,
    /// The text.
    pub body: String,
    /// Of its latest change; 0 = none.
    pub rev: u64,
    /// It has no body any more.
    pub deleted: bool,
    /// How many reacted with what.
    pub reactions: BTreeMap<String, u64>,
    /// Its sender's name for it.
    pub client_id: Option<String>,
}

impl Seen {
    /// What everybody should see of a message.
    pub fn of(message: &Message) -> Self {
        let amended = message.amended.as_deref();
        let reactions = amended.iter().flat_map(|amended| &amended.reactions);
        Self {
            room: message.room,
            seq: message.seq,
            sender: message.sender,
            body: message.body.to_string(),
            rev: message.rev(),
            deleted: message.is_deleted(),
            reactions: reactions.map(|(kind, count)| (kind.as_str().to_owned(), *count)).collect(),
            client_id: Some(message.client_id.as_str().to_owned()),
        }
    }
}

/// A world at its end, when all has healed and nothing moves any more.
pub struct End {
    /// What is stored, by room.
    pub rooms: BTreeMap<RoomId, EndOfRoom>,
    /// How each client is.
    pub clients: Vec<EndOfClient>,
}

/// A client at the end.
pub struct EndOfClient {
    /// Its connection; `None`: it has none.
    pub link: Option<LinkId>,
    /// Who it is.
    pub user: UserId,
    /// It wants every room of its user.
    pub wants_all: bool,
    /// What it has of each room it receives.
    pub rooms: BTreeMap<RoomId, Held>,
    /// Requests that have no answer.
    pub unanswered: Vec<Ask>,
    /// Messages it still tries to send.
    pub unsent: Vec<ClientId>,
}

/// What a client has of a room: everything after the place where it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Where it is now.
    pub place: Place,
    /// Messages as it last saw them, by `seq`.
    pub messages: BTreeMap<u64, Seen>,
}

impl End {
    /// Readers that have not what the store has; each in words.
    pub fn behind(&self) -> Vec<String> {
        self.clients.iter().flat_map(|client| self.behind_of(client)).collect()
    }

    fn behind_of(&self, client: &EndOfClient) -> Vec<String> {
        let who = client.user;
        let mut behind = Vec::new();
        for (room, held) in &client.rooms {
            let Some(stored) = self.rooms.get(room) else { continue };
            let last_seq = stored.messages.len() as u64;
            if held.place.seq != last_seq {
                behind.push(format!("{who} in {room}: at {}, not {last_seq}", held.place.seq));
            }
            for message in &stored.messages {
                let mut expected = Seen::of(message);
                let Some(seen) = held.messages.get(&message.seq) else { continue };
                expected.client_id.clone_from(&seen.client_id);
                if *seen != expected {
                    behind.push(format!("{who} in {room}: has {seen:?}, not {expected:?}"));
                }
            }
        }
        behind
    }

    /// Rooms that clients receive and should not, or the other way round; each in words.
    pub fn misplaced(&self) -> Vec<String> {
        let mut misplaced = Vec::new();
        for EndOfClient { user, wants_all, rooms, link, .. } in &self.clients {
            for (room, stored) in &self.rooms {
                let is_member = stored.members.iter().any(|member| member.user == *user);
                let receives = rooms.contains_key(room);
                if receives && !is_member {
                    misplaced.push(format!("{user} receives {room}, and is no member ({link:?})"));
                }
                if is_member && *wants_all && !receives {
                    misplaced.push(format!("{user} wants all, and receives no {room} ({link:?})"));
                }
            }
        }
        misplaced
    }

    /// Clients without a connection, an answer, or the end of a send; each in words.
    pub fn unsettled(&self) -> Vec<String> {
        let mut unsettled = Vec::new();
        for EndOfClient { user, link, unanswered, unsent, .. } in &self.clients {
            if link.is_none() {
                unsettled.push(format!("{user} has no connection"));
            }
            unsettled.extend(unanswered.iter().map(|ask| format!("{user} waits for {ask:?}")));
            unsettled.extend(unsent.iter().map(|name| format!("{user} tries to send {name:?}")));
        }
        unsettled
    }

    /// Nothing is left to happen.
    pub fn is_settled(&self) -> bool {
        self.unsettled().is_empty() && self.misplaced().is_empty() && self.behind().is_empty()
    }
}

/// A room at the end.
pub struct EndOfRoom {
    /// By `seq`.
    pub messages: Vec<Arc<Message>>,
    /// Its newest change.
    pub last_rev: u64,
    /// Ordered by user.
    pub members: Vec<Member>,
}

/// What must hold, looked at with every observation.
pub trait Invariant: Send {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Something happened, at this time of the world.
    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String>;

    /// Everything has healed.
    fn healed(&mut self, _end: &End) -> Result<(), String> {
        Ok(())
    }
}

/// What did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which invariant.
    pub invariant: &'static str,
    /// When.
    pub at: Duration,
    /// What was seen.
    pub what: String,
}

/// Shows every observation to the invariants, and sums them up.
pub struct Recorder {
    started: Instant,
    state: Mutex<State>,
}

struct State {
    invariants: Vec<Box<dyn Invariant>>,
    violation: Option<Violation>,
    hasher: DefaultHasher,
    count: u64,
    line: String,
    prints: bool,
}

impl Recorder {
    /// Begins now. `prints`: every observation, on standard output.
    pub fn new(invariants: Vec<Box<dyn Invariant>>, prints: bool) -> Arc<Self> {
        let state = State {
            invariants,
            violation: None,
            hasher: DefaultHasher::new(), // with fixed keys: the same each time
            count: 0,
            line: String::new(),
            prints,
        };
        Arc::new(Self { started: Instant::now(), state: Mutex::new(state) })
    }

    /// The time of the world.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Something happened.
    pub fn note(&self, seen: Observation) {
        let at = self.now();
        let mut state = self.state();
        state.sum_up(at, &seen);
        state.judge(at, |invariant| invariant.observe(at, &seen));
    }

    /// All has healed.
    pub fn healed(&self, end: &End) {
        let at = self.now();
        self.state().judge(at, |invariant| invariant.healed(end));
    }

    /// Something is wrong by itself.
    pub fn fail(&self, invariant: &'static str, what: String) {
        let at = self.now();
        let state = &mut *self.state();
        state.violation.get_or_insert(Violation { invariant, at, what });
    }

    /// What did not hold first.
    pub fn violation(&self) -> Option<Violation> {
        self.state().violation.clone()
    }

    /// How much was seen, and a sum of all of it that hardly any other history has.
    pub fn sum(&self) -> (u64, u64) {
        let state = self.state();
        (state.count, state.hasher.finish())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn sum_up(&mut self, at: Duration, seen: &Observation) {
        self.line.clear();
        // Writing into a string cannot fail.
        let _ = write!(self.line, "{at:?} {seen:?}");
        self.hasher.write(self.line.as_bytes());
        self.count += 1;
        if self.prints {
            println!("{}", self.line);
        }
    }

    fn judge(
        &mut self,
        at: Duration,
        mut judge: impl FnMut(&mut Box<dyn Invariant>) -> Result<(), String>,
    ) {
        if self.violation.is_some() {
            return;
        }
        for invariant in &mut self.invariants {
            if let Err(what) = judge(invariant) {
                self.violation = Some(Violation { invariant: invariant.name(), at, what });
                return;
            }
        }
    }
}
