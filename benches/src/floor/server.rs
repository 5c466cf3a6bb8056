//! The loop of the floor: read all that is readable, then write once to everybody who got something.

use super::{
    connection::{Connection, Flushed, Shared},
    pings::Pings,
};
use crate::{
    error::{Doing, Done},
    frame::{self, CLOSE, PING, PONG, TEXT},
    generator::Poll,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

/// The index of the listening socket.
const DOOR: usize = usize::MAX;
const BUFFER_BYTES: usize = 128 * 1024;
const HANDSHAKE: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// System calls so far, for the test that it gets no slower. A room called as [`COUNTS_ROOM`] is
/// answered with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waits for sockets.
    pub waits: u64,
    /// Reads of a socket.
    pub reads: u64,
    /// Writes to a socket.
    pub sends: u64,
}

/// `JOIN ?` is a question.
const COUNTS_ROOM: &str = "?";

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.waits, self.reads, self.sends)
    }
}

/// Serves for ever, and pings everybody once in `ping_every`.
///
/// # Errors
/// When the address cannot be had.
pub fn serve(listen: SocketAddr, ping_every: Option<Duration>) -> Done<()> {
    let door = TcpListener::bind(listen).doing(|| format!("listening on {listen}"))?;
    // The standard library's backlog is short for a crowd that comes at once.
    rustix::net::listen(&door, 4_096).doing(|| "listen".to_owned())?;
    door.set_nonblocking(true).doing(|| "listen".to_owned())?;
    Server::new(door, ping_every.map(Pings::new))?.run()
}

struct Server {
    door: TcpListener,
    poll: Poll,
    /// By index; a free place is filled again.
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    /// By name; rooms are never forgotten.
    names: HashMap<String, usize>,
    /// Who is in each.
    rooms: Vec<Vec<usize>>,
    /// Those that something waits for.
    dirty: Vec<usize>,
    gathered: Vec<u8>,
    pings: Option<Pings>,
    counts: Counts,
}

impl Server {
    fn new(door: TcpListener, pings: Option<Pings>) -> Done<Self> {
        let poll = Poll::new()?;
        poll.add(&door, DOOR, false)?;
        Ok(Self {
            door,
            poll,
            connections: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            rooms: Vec::new(),
            dirty: Vec::new(),
            gathered: Vec::with_capacity(BUFFER_BYTES),
            pings,
            counts: Counts::default(),
        })
    }

    fn run(&mut self) -> Done<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = self.poll.wait(self.pings.as_ref().map(Pings::wait))?;
            self.counts.waits += 1;
            for place in 0..count {
                let ready = self.poll.ready(place);
                if ready.index == DOOR {
                    self.accept()?;
                    continue;
                }
                if ready.write {
                    self.flush(ready.index)?;
                }
                if ready.read {
                    self.read(ready.index, &mut buffer)?;
                }
            }
            self.ping();
            self.flush_all()?;
        }
    }

    fn ping(&mut self) {
        let Some(pings) = &mut self.pings else { return };
        let frame = framed(PING, b"");
        for index in pings.due(self.connections.len()) {
            if self.connections[index].as_ref().is_some_and(|connection| connection.is_upgraded) {
                self.push(index, frame.clone());
            }
        }
    }

    fn accept(&mut self) -> Done<()> {
        while let Ok((socket, _)) = self.door.accept() {
            let ready = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
            ready.doing(|| "accepting".to_owned())?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&socket, index, false)?;
            self.connections[index] = Some(Box::new(Connection::new(socket)));
        }
        Ok(())
    }

    fn flush_all(&mut self) -> Done<()> {
        let mut dirty = std::mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            if let Some(connection) = self.connections[index].as_mut() {
                connection.is_dirty = false;
                self.flush(index)?;
            }
        }
        self.dirty = dirty;
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Done<()> {
        let Some(connection) = self.connections[index].as_mut() else { return Ok(()) };
        let flushed = connection.flush(&mut self.gathered, &mut self.counts.sends);
        let is_full = flushed == Flushed::Full;
        if is_full != connection.is_full {
            connection.is_full = is_full;
            self.poll.change(&connection.socket, index, is_full)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Done<()> {
        let Some(connection) = self.connections[index].as_mut() else { return Ok(()) };
        self.counts.reads += 1;
        match connection.read(buffer) {
            None => Ok(()),
            Some(0) => self.close(index),
            Some(end) => self.take(index, &mut buffer[..end]),
        }
    }

    /// Takes whole frames and keeps the rest.
    fn take(&mut self, index: usize, read: &mut [u8]) -> Done<()> {
        let mut at = self.upgraded(index, read);
        while let Some(frame) = at.and_then(|at| frame::parse(&mut read[at..])) {
            let begin = at.unwrap_or_default();
            let payload = &read[begin..][frame.payload.clone()];
            match frame.opcode {
                CLOSE => return self.close(index),
                PING => self.push(index, framed(PONG, payload)),
                PONG => {}
                _ => self.obey(index, payload),
            }
            at = Some(begin + frame.payload.end);
        }
        if let Some(connection) = self.connections[index].as_mut() {
            connection.carry.extend_from_slice(&read[at.unwrap_or_default()..]);
        }
        Ok(())
    }

    /// Where frames begin; `None` while the head has not come whole.
    fn upgraded(&mut self, index: usize, read: &[u8]) -> Option<usize> {
        let connection = self.connections[index].as_mut()?;
        if connection.is_upgraded {
            return Some(0);
        }
        let end = read.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        connection.is_upgraded = true;
        self.push(index, accepted(&String::from_utf8_lossy(&read[..end])));
        Some(end + 4)
    }

    fn obey(&mut self, index: usize, command: &[u8]) {
        if let Some(payload) = command.strip_prefix(b"PUB ") {
            self.publish(index, payload);
        } else if let Some(room) = command.strip_prefix(b"JOIN ") {
            self.join(index, &String::from_utf8_lossy(room));
        }
    }

    fn publish(&mut self, index: usize, payload: &[u8]) {
        let room = self.connections[index].as_ref().and_then(|connection| connection.room);
        let Some((room, _)) = room else { return };
        let frame = framed(TEXT, payload);
        for reader in &self.rooms[room] {
            if let Some(connection) = self.connections[*reader].as_mut()
                && connection.push(frame.clone())
            {
                self.dirty.push(*reader);
            }
        }
    }

    fn join(&mut self, index: usize, name: &str) {
        if name == COUNTS_ROOM {
            let counts = self.counts.to_string();
            return self.push(index, framed(TEXT, counts.as_bytes()));
        }
        let new = self.names.len();
        let room = *self.names.entry(name.to_owned()).or_insert(new);
        if room == self.rooms.len() {
            self.rooms.push(Vec::new());
        }
        if let Some(connection) = self.connections[index].as_mut() {
            connection.room = Some((room, self.rooms[room].len()));
            self.rooms[room].push(index);
        }
        self.push(index, framed(TEXT, b"OK"));
    }

    fn push(&mut self, index: usize, frame: Shared) {
        if let Some(connection) = self.connections[index].as_mut()
            && connection.push(frame)
        {
            self.dirty.push(index);
        }
    }

    fn close(&mut self, index: usize) -> Done<()> {
        let Some(connection) = self.connections[index].take() else { return Ok(()) };
        self.free.push(index);
        if let Some((room, place)) = connection.room {
            self.rooms[room].swap_remove(place);
            self.moved(room, place);
        }
        self.poll.forget(&connection.socket)
    }

    /// Somebody else of the room stands there now.
    fn moved(&mut self, room: usize, place: usize) {
        let Some(index) = self.rooms[room].get(place) else { return };
        if let Some(connection) = self.connections[*index].as_mut() {
            connection.room = Some((room, place));
        }
    }
}

fn framed(opcode: u8, payload: &[u8]) -> Shared {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame::encode_server(opcode, payload, &mut frame);
    frame.into()
}

fn accepted(head: &str) -> Shared {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let digest = Sha1::new().chain_update(key.unwrap_or_default()).chain_update(HANDSHAKE);
    let accept = STANDARD.encode(digest.finalize());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    answer.into_bytes().into()
}
