//! Every metric of the actors, resolved once: two nodes may live in one process, so nothing here
//! looks at the process-wide recorder later. `docs/metrics.md` lists them; a test compares.

use crate::{cluster_metrics::ClusterMetrics, hub::Received, remote::Outcome};
use madang_protocol::{CloseCode, ErrorCode};
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::time::Duration;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $label:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant),* }

        impl $name {
            /// The labels, by number.
            pub const NAMES: &[&str] = &[$($label),*];
        }
    )*};
}

labels! {
    /// What the node wrote to a socket.
    Sent {
        /// An answer.
        Ok = "ok",
        /// A refusal.
        Error = "error",
        /// A message.
        Message = "message",
        /// A message as it now is.
        Changed = "changed",
        /// Receipts.
        Read = "read",
        /// Who types.
        Typing = "typing",
        /// A member's word.
        Signal = "signal",
        /// Who came and went.
        Presence = "presence",
        /// A room's new name.
        Room = "room",
        /// A membership that changed.
        Member = "member",
        /// The node is about to stop.
        Goaway = "goaway",
        /// Back where it came from, see `websocket_echo`.
        Echo = "echo",
        /// A ping of the WebSocket.
        Ping = "ws_ping",
        /// A pong of the WebSocket.
        Pong = "ws_pong",
        /// A goodbye of the WebSocket.
        Close = "ws_close",
    }

    /// A bound that made the node refuse something with `overloaded`.
    Bound {
        /// Unanswered sends of a connection.
        InFlightSends = "in_flight_sends",
        /// Sends that wait in a room.
        RoomQueue = "room_queue",
        /// Changes of one membership that wait in a room.
        RoomChanges = "room_changes",
        /// Read positions that wait to be written.
        ReadPositions = "read_positions",
        /// Passwords that wait for a hashing thread.
        HashQueue = "hash_queue",
        /// Logins under way.
        Logins = "logins",
        /// Connections, of the node or of one address.
        Connections = "connections",
    }

    /// Why something was dropped that nobody was promised.
    Shed {
        /// The out-queue of a reader was full.
        Outbox = "outbox",
        /// The mailbox of a room's audience was full.
        AudienceMailbox = "audience_mailbox",
        /// The audience was fetching what it missed, and held back too much.
        AudienceHeld = "audience_held",
        /// An operator has switched it off.
        SwitchedOff = "switched_off",
    }

    /// What became of something that a node committed for another.
    Forwarded {
        /// It was committed, or was there already.
        Committed = "committed",
        /// It was not to be.
        Refused = "refused",
        /// It was given back: the room is at home elsewhere.
        Moved = "moved",
    }

    /// What is gathered before it is written or told.
    Coalesced {
        /// Receipts noted; bulk writes of them.
        Receipts = "receipts",
        /// Users who came or went; bulk updates of leases.
        Presence = "presence",
        /// Sessions that were used; bulk writes of when.
        LastSeen = "last_seen",
        /// Words on who types; frames that told of it.
        Typing = "typing",
        /// Reactions committed; changes that told of them.
        Reactions = "reactions",
        /// Reads asked for; store calls they became.
        Reads = "reads",
    }

    /// What may spare a read of the store.
    Cache {
        /// A room's memory of recent `client_id`s, for sends that are repeated.
        RoomRetries = "room_retries",
        /// A room's memory of who may post.
        RoomMembers = "room_members",
        /// A room's window, for audiences that missed something.
        RoomWindow = "room_window",
        /// An audience's window of encoded events, for readers that come back.
        AudienceWindow = "audience_window",
        /// How far users have read.
        ReadPositions = "read_positions",
        /// Copies of sessions, for tokens.
        Sessions = "sessions",
        /// Copies of how users look to others.
        Profiles = "profiles",
        /// Copies of who is what in a room, for those who read there.
        Members = "members",
    }
}

/// The kinds of actors, as their metric label.
const KINDS: [&str; 13] = [
    "connection",
    "hub",
    "room",
    "audience",
    "store_writer",
    "store_reader",
    "supervisor",
    "batcher",
    "session_check",
    "membership",
    "noticing",
    "lane",
    "remote",
];

/// A kind of actor, in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActorKind(u8);

impl ActorKind {
    /// The kind with this name. One that is not listed is not counted: only tests have such.
    pub fn of(name: &str) -> Self {
        let place = KINDS.iter().position(|kind| *kind == name);
        Self(place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX))
    }
}

/// Handles to all of them. Make it inside `metrics::with_local_recorder`.
pub struct Metrics {
    /// Open WebSocket connections past the upgrade.
    pub connections: Gauge,
    /// Those that were opened.
    pub connections_opened: Counter,
    /// Rooms with a home actor here.
    pub rooms: Gauge,
    /// Rooms with readers here.
    pub audiences: Gauge,
    /// What concerns the other nodes.
    pub cluster: ClusterMetrics,
    /// Lanes to homes on other nodes.
    pub lanes: Gauge,
    /// Submits of a lane that are not settled, at the end of each of its turns.
    pub lane_depth: Histogram,
    /// Requests to a home that had no answer.
    pub forwards_unanswered: Counter,
    /// Rooms that were given up because they are at home elsewhere.
    pub hand_overs: Counter,
    /// Questions of other nodes that were dropped because too many waited.
    pub questions_dropped: Counter,
    /// Frames put into out-queues for readers of a room.
    pub deliveries: Counter,
    /// Event batches a full audience did not take; it fetches them itself.
    pub batches_dropped: Counter,
    /// Times an audience asked what it missed: because of a gap, and because it began.
    pub repairs: [Counter; 2],
    /// Batches whose outcome was in doubt and was read back.
    pub read_backs: Counter,
    /// Messages, and changes, read from the log for readers that came back.
    pub replayed: [Counter; 2],
    /// From a room's beginning to its knowing where it stands.
    pub room_activation_seconds: Histogram,
    /// From a room's handing over a batch to its being told what became of it.
    pub room_commit_seconds: Histogram,
    /// Store reads under way.
    pub reads_active: Gauge,
    /// How long a read waited to be begun.
    pub read_wait_seconds: Histogram,
    entries: [Vec<Counter>; 2],
    received: Vec<Flow>,
    sent: Vec<Flow>,
    refusals: Refusals,
    closes: Vec<(CloseCode, Counter)>,
    overloaded: Vec<Counter>,
    shed: Vec<Counter>,
    coalesced: [Vec<Counter>; 2],
    cache: [Vec<Counter>; 2],
    kinds: Vec<KindMetrics>,
}

/// Frames, and their bytes.
struct Flow {
    frames: Counter,
    bytes: Counter,
}

struct KindMetrics {
    panics: Counter,
    restarts: Counter,
    mailbox_full: Counter,
    mailbox_depth: Histogram,
    mailbox_wait: Histogram,
    turn: Histogram,
}

impl Metrics {
    /// Resolves the handles from the recorder that is current now.
    pub fn new() -> Self {
        describe();
        let flows = |frames: &'static str, bytes: &'static str, ops: &[&'static str]| {
            let flow = |op: &&'static str| Flow {
                frames: counter!(frames, "op" => *op),
                bytes: counter!(bytes, "op" => *op),
            };
            ops.iter().map(flow).collect::<Vec<_>>()
        };
        Self {
            connections: gauge!("madang_connections"),
            connections_opened: counter!("madang_connections_opened_total"),
            rooms: gauge!("madang_rooms"),
            audiences: gauge!("madang_audiences"),
            cluster: ClusterMetrics::new(),
            lanes: gauge!("madang_lanes"),
            lane_depth: histogram!("madang_lane_depth"),
            forwards_unanswered: counter!("madang_forwards_unanswered_total"),
            hand_overs: counter!("madang_room_hand_overs_total"),
            questions_dropped: counter!("madang_node_questions_dropped_total"),
            entries: ["madang_forwarded_total", "madang_served_total"]
                .map(|name| labelled(name, "outcome", Forwarded::NAMES)),
            deliveries: counter!("madang_deliveries_total"),
            batches_dropped: counter!("madang_event_batches_dropped_total"),
            repairs: ["gap", "start"]
                .map(|cause| counter!("madang_repairs_total", "cause" => cause)),
            read_backs: counter!("madang_room_read_backs_total"),
            replayed: ["message", "change"].map(|of| counter!("madang_replayed_total", "of" => of)),
            room_activation_seconds: histogram!("madang_room_activation_seconds"),
            room_commit_seconds: histogram!("madang_room_commit_seconds"),
            reads_active: gauge!("madang_store_reads_active"),
            read_wait_seconds: histogram!("madang_store_read_wait_seconds"),
            received: flows(
                "madang_received_frames_total",
                "madang_received_bytes_total",
                &Received::names(),
            ),
            sent: flows("madang_sent_frames_total", "madang_sent_bytes_total", Sent::NAMES),
            refusals: Refusals::new("websocket"),
            closes: CloseCode::ALL
                .map(|code| {
                    (code, counter!("madang_closes_total", "code" => code.number().to_string()))
                })
                .into(),
            overloaded: labelled("madang_overloaded_total", "bound", Bound::NAMES),
            shed: labelled("madang_shed_total", "reason", Shed::NAMES),
            coalesced: ["madang_coalesced_inputs_total", "madang_coalesced_outputs_total"]
                .map(|name| labelled(name, "kind", Coalesced::NAMES)),
            cache: ["madang_cache_misses_total", "madang_cache_hits_total"]
                .map(|name| labelled(name, "cache", Cache::NAMES)),
            kinds: KINDS.map(KindMetrics::new).into(),
        }
    }

    /// So many frames were read, of so many bytes.
    pub(crate) fn received(&self, what: usize, frames: u64, bytes: u64) {
        self.received[what].add(frames, bytes);
    }

    /// So many frames were written, of so many bytes.
    pub(crate) fn sent(&self, what: usize, frames: u64, bytes: u64) {
        self.sent[what].add(frames, bytes);
    }

    /// A home told what became of something that was forwarded to it.
    pub(crate) fn forwarded(&self, outcome: &Outcome) {
        self.entries[0][outcome.label() as usize].increment(1);
    }

    /// Another node was told what became of something that it forwarded.
    pub(crate) fn served(&self, outcome: &Outcome) {
        self.entries[1][outcome.label() as usize].increment(1);
    }

    /// A client was refused something.
    pub fn refusal(&self, code: ErrorCode) {
        self.refusals.count(code);
    }

    /// The node closed a connection.
    pub fn close(&self, code: CloseCode) {
        if let Some((_, counter)) = self.closes.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Something was refused because this bound was reached.
    pub fn overloaded(&self, bound: Bound) {
        self.overloaded[bound as usize].increment(1);
    }

    /// So much was dropped.
    pub fn shed(&self, why: Shed, count: u64) {
        self.shed[why as usize].increment(count);
    }

    /// So much came that is gathered.
    pub fn gathered(&self, what: Coalesced, count: u64) {
        self.coalesced[0][what as usize].increment(count);
    }

    /// What was gathered became one write, one call or one frame.
    pub fn flushed(&self, what: Coalesced) {
        self.coalesced[1][what as usize].increment(1);
    }

    /// Something was looked up, and was there or not.
    pub fn looked_up(&self, cache: Cache, is_hit: bool) {
        self.cache[usize::from(is_hit)][cache as usize].increment(1);
    }

    /// An actor of this kind panicked.
    pub fn panic(&self, kind: ActorKind) {
        self.of(kind, |metrics| metrics.panics.increment(1));
    }

    /// An actor of this kind is built anew.
    pub fn restart(&self, kind: ActorKind) {
        self.of(kind, |metrics| metrics.restarts.increment(1));
    }

    pub(crate) fn mailbox_full(&self, kind: ActorKind) {
        self.of(kind, |metrics| metrics.mailbox_full.increment(1));
    }

    pub(crate) fn mailbox_wait(&self, kind: ActorKind, wait: Duration) {
        self.of(kind, |metrics| metrics.mailbox_wait.record(wait));
    }

    pub(crate) fn turn(&self, kind: ActorKind, depth: usize, took: Duration) {
        self.of(kind, |metrics| {
            metrics.mailbox_depth.record(depth as f64);
            metrics.turn.record(took);
        });
    }

    fn of(&self, kind: ActorKind, count: impl FnOnce(&KindMetrics)) {
        self.kinds.get(usize::from(kind.0)).map(count);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Flow {
    fn add(&self, frames: u64, bytes: u64) {
        self.frames.increment(frames);
        self.bytes.increment(bytes);
    }
}

impl KindMetrics {
    fn new(kind: &'static str) -> Self {
        Self {
            panics: counter!("madang_actor_panics_total", "actor" => kind),
            restarts: counter!("madang_actor_restarts_total", "actor" => kind),
            mailbox_full: counter!("madang_actor_mailbox_full_total", "actor" => kind),
            mailbox_depth: histogram!("madang_actor_mailbox_depth", "actor" => kind),
            mailbox_wait: histogram!("madang_actor_mailbox_wait_seconds", "actor" => kind),
            turn: histogram!("madang_actor_turn_seconds", "actor" => kind),
        }
    }
}

/// What clients are refused, by code, on one of the ways to the node. Cloning shares it.
#[derive(Clone)]
pub struct Refusals(std::sync::Arc<[(ErrorCode, Counter)]>);

impl Refusals {
    /// Those told over `websocket` or `http`. Resolves its handles.
    pub fn new(via: &'static str) -> Self {
        let counter = |code: ErrorCode| counter!("madang_refusals_total", "code" => code.name(), "via" => via);
        Self(ErrorCode::ALL.map(|code| (code, counter(code))).into())
    }

    /// A client was refused something.
    pub fn count(&self, code: ErrorCode) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }
}

/// Counts what this bound refuses. Resolves its handle.
pub fn overloaded(bound: Bound) -> Counter {
    counter!("madang_overloaded_total", "bound" => Bound::NAMES[bound as usize])
}

/// Busy time of a thread, microseconds. Resolves its handle.
pub(crate) fn arbiter_busy(arbiter: String) -> Counter {
    counter!("madang_arbiter_busy_seconds_total", "arbiter" => arbiter)
}

fn labelled(name: &'static str, label: &'static str, values: &[&'static str]) -> Vec<Counter> {
    values.iter().map(|value| counter!(name, label => *value)).collect()
}

fn describe() {
    describe_gauge!("madang_connections", "Open WebSocket connections");
    describe_gauge!("madang_rooms", "Rooms with a home actor here");
    describe_gauge!("madang_lanes", "Lanes to homes on other nodes");
    describe_gauge!("madang_audiences", "Rooms with readers here");
    describe_gauge!("madang_store_reads_active", "Store reads under way, of 20 at most");
    for (name, help) in [
        ("madang_connections_opened_total", "WebSocket connections opened"),
        ("madang_closes_total", "Connections closed by the node, by close code"),
        ("madang_forwarded_total", "What homes on other nodes made of entries, by outcome"),
        ("madang_served_total", "What became of entries of other nodes here, by outcome"),
        ("madang_forwards_unanswered_total", "Requests to homes that had no answer"),
        ("madang_room_hand_overs_total", "Rooms given up because they are at home elsewhere"),
        ("madang_node_questions_dropped_total", "Questions of other nodes that were dropped"),
        ("madang_received_frames_total", "Frames read from clients, by operation"),
        ("madang_received_bytes_total", "Payload of frames read from clients, by operation"),
        ("madang_sent_frames_total", "Frames written to sockets, by operation"),
        ("madang_sent_bytes_total", "Frames written to sockets in bytes, by operation"),
        ("madang_deliveries_total", "Frames put into out-queues for readers of a room"),
        ("madang_refusals_total", "Errors told to clients, by code and way"),
        ("madang_overloaded_total", "Requests refused because a bound was reached, by bound"),
        ("madang_shed_total", "Events without a number that were dropped, by reason"),
        ("madang_event_batches_dropped_total", "Batches a full audience did not take and fetches"),
        ("madang_repairs_total", "Times an audience asked what it missed, by cause"),
        ("madang_room_read_backs_total", "Times a room read back a batch in doubt"),
        ("madang_replayed_total", "Messages and changes read for readers that came back"),
        ("madang_coalesced_inputs_total", "What came and was gathered, by kind"),
        ("madang_coalesced_outputs_total", "Writes, calls and frames it became, by kind"),
        ("madang_cache_hits_total", "Look-ups that needed no read of the store, by cache"),
        ("madang_cache_misses_total", "Look-ups that needed a read of the store, by cache"),
        ("madang_actor_panics_total", "Panics of actors, by kind"),
        ("madang_actor_restarts_total", "Actors built anew after a panic, by kind"),
        ("madang_actor_mailbox_full_total", "Messages given back by a full mailbox, by kind"),
        ("madang_arbiter_busy_seconds_total", "Time a thread of actors was at work"),
    ] {
        describe_counter!(name, help);
    }
    for (name, help) in [
        ("madang_room_activation_seconds", "From a room's beginning to its knowing its heads"),
        ("madang_room_commit_seconds", "From handing a batch over to knowing its outcome"),
        ("madang_lane_depth", "Entries of a lane that are not settled"),
        ("madang_store_read_wait_seconds", "Wait of a store read to be begun"),
        ("madang_actor_mailbox_depth", "Messages waiting when a turn begins, by kind, sampled"),
        ("madang_actor_mailbox_wait_seconds", "Wait of a message, by kind of actor, sampled"),
        ("madang_actor_turn_seconds", "Length of a turn, by kind of actor, sampled"),
    ] {
        describe_histogram!(name, help);
    }
}
