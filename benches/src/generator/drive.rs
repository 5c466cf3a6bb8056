//! Publishing on a schedule.
//!
//! The schedule does not wait for anybody: a message that could not be sent in time is sent late
//! and counted from when it should have been, so a server that stands still shows in the latency of
//! all that was due meanwhile. Every body begins with `~` and that time, twenty digits.

use super::{Crowd, Listener, histogram};
use crate::{
    clock::{nanos, now_ns, own_processor_ns},
    error::Done,
    process::{Usage, Watch},
    targets::{Kind, Publication},
};
use hdrhistogram::Histogram;
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Before the time in a body; no id and no name has it.
const MARK: u8 = b'~';
const DIGITS: usize = 20;
/// Messages sent before sockets are looked at again, when the schedule is behind.
const BURST: usize = 64;
/// How long the last deliveries may take to come, once nothing more is sent.
const DRAIN: Duration = Duration::from_secs(3);

/// What to publish.
#[derive(Debug, Clone)]
pub struct Load {
    /// Connection `i` of the crowd reads room `i % rooms.len()`.
    pub rooms: Vec<String>,
    /// Messages a second and room, staggered.
    pub rate: f64,
    /// Bytes of a body; at least what the time takes.
    pub payload_bytes: usize,
    /// Stored or not.
    pub kind: Kind,
    /// Before the window: caches fill, allocators settle.
    pub warm_up: Duration,
    /// The window.
    pub measure: Duration,
}

/// What happened in a window.
#[derive(Debug, Clone)]
pub struct Window {
    /// Messages sent.
    pub sent: u64,
    /// Deliveries they should have become.
    pub expected: u64,
    /// Deliveries they became, those after the end of the window included.
    pub arrived: u64,
    /// Deliveries read while it lasted.
    pub delivered: u64,
    /// Its length, seconds.
    pub seconds: f64,
    /// From the scheduled time until a delivery was read, microseconds.
    pub latency_us: Histogram<u64>,
    /// What the server used.
    pub server: Usage,
    /// What the generator used, nanoseconds of its one thread.
    pub generator_ns: u64,
}

impl Window {
    /// Processor time of the server for one delivery, microseconds.
    pub fn server_us(&self) -> f64 {
        self.server.processor_ns as f64 / 1e3 / self.delivered.max(1) as f64
    }

    /// The same of the generator.
    pub fn generator_us(&self) -> f64 {
        self.generator_ns as f64 / 1e3 / self.delivered.max(1) as f64
    }

    /// The generator's share of its core.
    pub fn generator_share(&self) -> f64 {
        self.generator_ns as f64 / 1e9 / self.seconds.max(1e-9)
    }

    /// Deliveries a second.
    pub fn per_second(&self) -> f64 {
        self.delivered as f64 / self.seconds.max(1e-9)
    }

    /// A percentile of the latency, milliseconds.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Publishes, and counts what comes until everything has come or [`DRAIN`] is over.
///
/// # Errors
/// When a connection, or the server, ends meanwhile.
pub fn drive(crowd: &mut Crowd, load: &Load, watch: &Watch) -> Done<Window> {
    let begin = now_ns();
    let from = begin + nanos(load.warm_up);
    let to = from + nanos(load.measure);
    let mut publisher = Publisher::new(load, crowd.len(), begin, from);
    let mut arrivals = Arrivals::between(from, to);
    publisher.run(crowd, arrivals.from, &mut arrivals)?;
    let before = (watch.usage()?, own_processor_ns(), now_ns());
    arrivals.delivered = 0;
    publisher.run(crowd, arrivals.to, &mut arrivals)?;
    let seconds = (now_ns() - before.2) as f64 / 1e9;
    let generator_ns = own_processor_ns() - before.1;
    let server = watch.usage()?.since(&before.0);
    let delivered = arrivals.delivered;
    let deadline = now_ns() + nanos(DRAIN);
    while arrivals.in_window < publisher.expected && now_ns() < deadline {
        crowd.turn(deadline.min(now_ns() + 20_000_000), &mut arrivals)?;
    }
    crowd.all_live()?;
    let Publisher { sent, expected, .. } = publisher;
    let Arrivals { in_window, latency_us, .. } = arrivals;
    Ok(Window {
        sent,
        expected,
        arrived: in_window,
        delivered,
        seconds,
        latency_us,
        server,
        generator_ns,
    })
}

/// Sends what is due.
struct Publisher<'a> {
    load: &'a Load,
    connections: usize,
    /// The first message is due then.
    begin: u64,
    /// Those that are due before do not count.
    from: u64,
    /// Between two messages.
    step_ns: f64,
    /// The next message's place in the schedule.
    next: u64,
    sent: u64,
    expected: u64,
    padding: String,
    body: String,
    scratch: String,
    frame: Vec<u8>,
}

impl<'a> Publisher<'a> {
    fn new(load: &'a Load, connections: usize, begin: u64, from: u64) -> Self {
        let per_second = load.rate * load.rooms.len() as f64;
        Self {
            load,
            connections,
            begin,
            from,
            step_ns: 1e9 / per_second,
            next: 0,
            sent: 0,
            expected: 0,
            padding: "x".repeat(load.payload_bytes.saturating_sub(1 + DIGITS)),
            body: String::new(),
            scratch: String::new(),
            frame: Vec::new(),
        }
    }

    /// Sends all that is due until then, late if need be.
    fn run(&mut self, crowd: &mut Crowd, until: u64, arrivals: &mut Arrivals) -> Done<()> {
        loop {
            let now = now_ns();
            if now >= until && self.due() >= until {
                return Ok(());
            }
            for _ in 0..BURST {
                if self.due() > now.min(until - 1) {
                    break;
                }
                self.publish(crowd)?;
            }
            crowd.turn(self.due().min(until), arrivals)?;
        }
    }

    fn due(&self) -> u64 {
        self.begin + (self.next as f64 * self.step_ns) as u64
    }

    /// Rooms in turn; in each, its connections in turn.
    fn publish(&mut self, crowd: &mut Crowd) -> Done<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (due, rooms) = (self.due(), self.load.rooms.len());
        let room = (self.next % rooms as u64) as usize;
        let members = (self.connections - room).div_ceil(rooms);
        let member = (self.next / rooms as u64) as usize % members;
        self.next += 1;
        self.body.clear();
        let written = write!(self.body, "~{due:020}{}", self.padding);
        debug_assert!(written.is_ok(), "a string takes everything");
        let publication = Publication {
            kind: self.load.kind,
            room: &self.load.rooms[room],
            body: &self.body,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            id: None,
        };
        self.frame.clear();
        crowd.dialect().publish(&publication, &mut self.scratch, &mut self.frame);
        if crowd.send(room + rooms * member, &self.frame)? && due >= self.from {
            self.sent += 1;
            self.expected += members as u64;
        }
        Ok(())
    }
}

/// Counts deliveries.
struct Arrivals {
    from: u64,
    to: u64,
    /// All that were read.
    delivered: u64,
    /// Those that were due in the window.
    in_window: u64,
    latency_us: Histogram<u64>,
    /// Where the mark stood last; it seldom moves.
    place: usize,
}

impl Arrivals {
    fn between(from: u64, to: u64) -> Self {
        Self { from, to, delivered: 0, in_window: 0, latency_us: histogram(), place: 0 }
    }
}

impl Listener for Arrivals {
    fn hear(&mut self, _connection: usize, payload: &[u8], now: u64) {
        if payload.get(self.place) != Some(&MARK) {
            let Some(place) = payload.iter().position(|byte| *byte == MARK) else { return };
            self.place = place;
        }
        let Some(digits) = payload.get(self.place + 1..self.place + 1 + DIGITS) else { return };
        let due =
            digits.iter().fold(0, |due, digit| due * 10 + u64::from(digit.wrapping_sub(b'0')));
        self.delivered += 1;
        if (self.from..self.to).contains(&due) {
            self.in_window += 1;
            self.latency_us.saturating_record(now.saturating_sub(due).max(1_000) / 1_000);
        }
    }
}
