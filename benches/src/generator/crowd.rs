//! Many connections to one server.

use super::{
    Deaf, Listener, Poll,
    connection::{Connection, Given, Stage},
    histogram,
    poll::Ready,
};
use crate::{
    clock::{nanos, now_ns},
    error::{BenchError, Done},
    frame::{self, CLOSE, PING, PONG},
    targets::{Dialect, Heard, Seat},
};
use hdrhistogram::Histogram;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio_rustls::rustls::ClientConfig;

/// Bytes of the read buffer. A frame that is longer cannot be read.
const BUFFER_BYTES: usize = 2 << 20;
/// Frames that come in this time after the last one still belong to what went before.
const QUIET: Duration = Duration::from_millis(300);
/// Longest single wait, so that deadlines are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Connections of one kind to one server, or to several of a cluster in turn.
pub struct Crowd {
    name: String,
    dialect: Dialect,
    addresses: Vec<SocketAddr>,
    /// `None`: plain TCP.
    tls: Option<Arc<ClientConfig>>,
    poll: Poll,
    connections: Vec<Connection>,
    seats: Vec<Seat>,
    buffer: Vec<u8>,
    /// Connections that are in [`Stage::Ready`].
    ready: usize,
    /// Connections that ended, for whatever reason.
    dead: usize,
    /// Frames that were not sent because too much waited.
    blocked: u64,
    /// What the server said to one it refused.
    refusal: Option<String>,
    /// From begin to ready, microseconds.
    opening: Histogram<u64>,
}

/// How an opening went.
#[derive(Debug, Clone)]
pub struct Opened {
    /// From the first SYN until the last connection was ready, nanoseconds.
    pub took_ns: u64,
    /// From each connection's SYN until it was ready, microseconds.
    pub each_us: Histogram<u64>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(name: &str, dialect: Dialect, addresses: Vec<SocketAddr>) -> Done<Self> {
        Ok(Self {
            name: name.to_owned(),
            dialect,
            addresses,
            tls: None,
            poll: Poll::new()?,
            connections: Vec::new(),
            seats: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            ready: 0,
            dead: 0,
            blocked: 0,
            refusal: None,
            opening: histogram(),
        })
    }

    /// Those that are opened from now on come over TLS, if there is any.
    pub fn over(mut self, tls: Option<Arc<ClientConfig>>) -> Self {
        self.tls = tls;
        self
    }

    /// The language it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many there are, dead ones included.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Who sits on a connection.
    pub fn seat(&self, index: usize) -> &Seat {
        &self.seats[index]
    }

    /// Frames that were not sent because too much waited.
    pub fn blocked(&self) -> u64 {
        self.blocked
    }

    /// Opens a connection for each seat, `abreast` at a time, and waits until all are ready.
    ///
    /// # Errors
    /// When one is refused or ends, or they are not ready within `limit`.
    pub fn open(&mut self, seats: Vec<Seat>, abreast: usize, limit: Duration) -> Done<Opened> {
        self.open_to(seats, abreast, limit, &mut Deaf)
    }

    /// The same, with somebody who listens to those that are ready already.
    pub fn open_to(
        &mut self,
        seats: Vec<Seat>,
        abreast: usize,
        limit: Duration,
        listener: &mut impl Listener,
    ) -> Done<Opened> {
        let (begun, wanted) = (now_ns(), self.connections.len() + seats.len());
        let deadline = begun + nanos(limit);
        self.opening = histogram();
        let mut seats = seats.into_iter();
        while self.ready < wanted {
            let open = self.connections.len() - self.ready;
            for seat in seats.by_ref().take(abreast.saturating_sub(open)) {
                self.begin(seat)?;
            }
            self.turn(now_ns() + nanos(LOOK_AGAIN), listener)?;
            self.all_live()?;
            if now_ns() > deadline {
                let what = format!("{} of {wanted} ready within {limit:?}", self.ready);
                return Err(BenchError::target(&self.name, what));
            }
        }
        Ok(Opened { took_ns: now_ns() - begun, each_us: self.opening.clone() })
    }

    fn begin(&mut self, seat: Seat) -> Done<()> {
        let index = self.connections.len();
        let tls = self.tls.as_ref();
        let connection = Connection::begin(self.address(index), index, tls, now_ns())?;
        self.poll.add(&connection.socket, index, true)?;
        self.connections.push(connection);
        self.seats.push(seat);
        Ok(())
    }

    fn address(&self, index: usize) -> SocketAddr {
        self.addresses[index % self.addresses.len()]
    }

    /// Ends all of them without a goodbye, and returns who sat there.
    pub fn cut(&mut self) -> Vec<Seat> {
        self.connections.clear();
        (self.ready, self.dead) = (0, 0);
        std::mem::take(&mut self.seats)
    }

    /// Is nobody dead?
    ///
    /// # Errors
    /// When somebody is: what they were told, where they were.
    pub fn all_live(&self) -> Done<()> {
        if self.dead == 0 {
            return Ok(());
        }
        let told = self.refusal.clone().unwrap_or_else(|| "it closed them".to_owned());
        let what = format!("{} of {} connections ended: {told}", self.dead, self.len());
        Err(BenchError::target(&self.name, what))
    }

    /// Sends a frame; false when it had to be dropped.
    pub fn send(&mut self, index: usize, frame: &[u8]) -> Done<bool> {
        let given = self.connections[index].give(frame);
        self.after(index, given)?;
        Ok(given != Given::Blocked)
    }

    fn after(&mut self, index: usize, given: Given) -> Done<()> {
        match given {
            Given::Sent => {}
            Given::Waiting => self.poll.change(&self.connections[index].socket, index, true)?,
            Given::Blocked => self.blocked += 1,
        }
        Ok(())
    }

    /// Waits until something comes, at most until `until`, and takes it.
    pub fn turn(&mut self, until: u64, listener: &mut impl Listener) -> Done<()> {
        let count = self.poll.wait(Some(until.saturating_sub(now_ns())))?;
        for place in 0..count {
            let ready = self.poll.ready(place);
            // One that was cut since has no place any more.
            if ready.index < self.connections.len() {
                self.event(ready, listener)?;
            }
        }
        Ok(())
    }

    /// Takes what comes until nothing has come for a moment, or `limit` is over.
    pub fn settle(&mut self, limit: Duration, listener: &mut impl Listener) -> Done<()> {
        let deadline = now_ns() + nanos(limit);
        let mut quiet_from = now_ns();
        while now_ns() < deadline.min(quiet_from + nanos(QUIET)) {
            let heard = self.poll.wait(Some(nanos(LOOK_AGAIN)))?;
            for place in 0..heard {
                self.event(self.poll.ready(place), listener)?;
                quiet_from = now_ns();
            }
        }
        Ok(())
    }

    /// Takes what comes for so long.
    pub fn listen_for(&mut self, time: Duration, listener: &mut impl Listener) -> Done<()> {
        let deadline = now_ns() + nanos(time);
        while now_ns() < deadline {
            self.turn(deadline.min(now_ns() + nanos(LOOK_AGAIN)), listener)?;
        }
        Ok(())
    }

    /// The next frame that comes, to whomever.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn answer(&mut self, limit: Duration) -> Done<Vec<u8>> {
        let deadline = now_ns() + nanos(limit);
        let mut first = First(None);
        while first.0.is_none() && now_ns() < deadline {
            self.turn(deadline, &mut first)?;
            self.all_live()?;
        }
        first.0.ok_or_else(|| BenchError::target(&self.name, format!("no answer within {limit:?}")))
    }

    fn event(&mut self, ready: Ready, listener: &mut impl Listener) -> Done<()> {
        let connection = &mut self.connections[ready.index];
        if connection.stage == Stage::Dead {
            return Ok(());
        }
        if ready.write {
            self.writable(ready.index)?;
        }
        if ready.read {
            self.readable(ready.index, listener)?;
        }
        Ok(())
    }

    fn writable(&mut self, index: usize) -> Done<()> {
        let address = self.address(index);
        let connection = &mut self.connections[index];
        if connection.stage == Stage::Connecting && connection.socket.peer_addr().is_ok() {
            let given = connection.upgrade(self.dialect, address);
            if given == Given::Sent {
                self.poll.change(&connection.socket, index, false)?;
            }
        } else if connection.flush() {
            self.poll.change(&connection.socket, index, false)?;
        }
        Ok(())
    }

    fn readable(&mut self, index: usize, listener: &mut impl Listener) -> Done<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let connection = &mut self.connections[index];
        let (read, given) = (connection.read(&mut buffer), connection.give_own());
        let taken = match read {
            None => Ok(()),
            Some(0) => {
                let complaint = connection.complaint.take();
                self.bury(index, complaint.as_deref().map(str::as_bytes))
            }
            Some(end) => self.take(index, &mut buffer[..end], listener),
        };
        self.buffer = buffer;
        taken?;
        let is_dead = self.connections[index].stage == Stage::Dead;
        if is_dead { Ok(()) } else { self.after(index, given) }
    }

    /// Takes whole frames from what was read and keeps the rest.
    fn take(&mut self, index: usize, read: &mut [u8], listener: &mut impl Listener) -> Done<()> {
        let now = now_ns();
        let mut at = 0;
        if self.connections[index].stage == Stage::Upgrading {
            at = self.upgraded(index, read)?;
        }
        while at < read.len() && self.connections[index].stage != Stage::Upgrading {
            let Some(frame) = frame::parse(&mut read[at..]) else { break };
            let payload = &read[at..][frame.payload.clone()];
            at += frame.payload.end;
            match frame.opcode {
                PING => self.pong(index, payload)?,
                CLOSE => return self.bury(index, payload.get(2..)),
                _ if self.connections[index].stage == Stage::Ready => {
                    listener.hear(index, payload, now);
                }
                _ => self.greeted(index, payload, now)?,
            }
        }
        self.connections[index].carry.extend_from_slice(&read[at..]);
        Ok(())
    }

    /// Where the frames begin; 0 while the head has not come whole.
    fn upgraded(&mut self, index: usize, read: &[u8]) -> Done<usize> {
        let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(0);
        };
        if !read.starts_with(b"HTTP/1.1 101") {
            self.bury(index, Some(read))?;
            return Ok(read.len());
        }
        self.greet(index, 0)?;
        Ok(end + 4)
    }

    fn greet(&mut self, index: usize, step: u8) -> Done<()> {
        let given = self.connections[index].greet(step, self.dialect, &self.seats[index]);
        self.after(index, given)
    }

    fn greeted(&mut self, index: usize, payload: &[u8], now: u64) -> Done<()> {
        let Stage::Greeting(step) = self.connections[index].stage else { return Ok(()) };
        match self.dialect.heard(step, payload) {
            Heard::Other => Ok(()),
            Heard::Refused => self.bury(index, Some(payload)),
            Heard::Next if step + 1 < self.dialect.steps() => self.greet(index, step + 1),
            Heard::Next => {
                let connection = &mut self.connections[index];
                connection.stage = Stage::Ready;
                self.ready += 1;
                self.opening.saturating_record((now - connection.begun_ns) / 1_000);
                Ok(())
            }
        }
    }

    fn pong(&mut self, index: usize, payload: &[u8]) -> Done<()> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        frame::encode_client(PONG, payload, &mut frame);
        self.send(index, &frame).map(drop)
    }

    /// It is over; `told` is why, if the server said so.
    fn bury(&mut self, index: usize, told: Option<&[u8]>) -> Done<()> {
        let connection = &mut self.connections[index];
        self.ready -= usize::from(connection.stage == Stage::Ready);
        self.dead += 1;
        connection.stage = Stage::Dead;
        // Only the first word counts: the others are told the same.
        if self.refusal.is_none() {
            self.refusal = told.map(|told| String::from_utf8_lossy(told).into_owned());
        }
        let _ = connection.socket.shutdown(std::net::Shutdown::Both);
        self.poll.forget(&connection.socket)
    }
}

/// Keeps the first frame.
struct First(Option<Vec<u8>>);

impl Listener for First {
    fn hear(&mut self, _connection: usize, payload: &[u8], _now: u64) {
        self.0.get_or_insert_with(|| payload.to_vec());
    }
}
