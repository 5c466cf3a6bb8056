//! Frames and bytes of a hub's connections, by what they are.
//!
//! Counted in plain numbers, which only the hub's own thread touches, and added to the node's metrics
//! at the end of a turn: a thousand deliveries cost them no more than one.

use crate::metrics::{Metrics, Sent};
use madang_protocol::{Operation, frame::NodeFrame};

/// What a client's frame was: an operation, or one of the others below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received(usize);

/// What is no operation.
const OTHERS: [&str; 5] = ["invalid", "echo", "ws_ping", "ws_pong", "ws_close"];
const RECEIVED: usize = Operation::NAMES.len() + OTHERS.len();

impl Received {
    /// A frame that asked for nothing we know.
    pub const INVALID: Self = Self::other(0);
    /// To be sent back as it is, see `websocket_echo`.
    pub const ECHO: Self = Self::other(1);
    /// A ping of the WebSocket.
    pub const PING: Self = Self::other(2);
    /// A pong of the WebSocket.
    pub const PONG: Self = Self::other(3);
    /// A goodbye of the WebSocket.
    pub const CLOSE: Self = Self::other(4);

    const fn other(place: usize) -> Self {
        Self(Operation::NAMES.len() + place)
    }

    /// A request.
    pub fn request(operation: &Operation) -> Self {
        let name = operation.name();
        Operation::NAMES.iter().position(|other| *other == name).map_or(Self::INVALID, Self)
    }

    /// The labels, by number.
    pub fn names() -> [&'static str; RECEIVED] {
        std::array::from_fn(|place| match Operation::NAMES.get(place) {
            Some(name) => name,
            None => OTHERS[place - Operation::NAMES.len()],
        })
    }
}

impl Sent {
    /// What a frame is.
    pub fn of(frame: &NodeFrame) -> Self {
        match frame {
            NodeFrame::Error { .. } => Self::Error,
            NodeFrame::Message(_) => Self::Message,
            NodeFrame::Changed(_) => Self::Changed,
            NodeFrame::Read { .. } => Self::Read,
            NodeFrame::Typing { .. } => Self::Typing,
            NodeFrame::Signal { .. } => Self::Signal,
            NodeFrame::Presence { .. } => Self::Presence,
            NodeFrame::Room { .. } => Self::Room,
            NodeFrame::Member { .. } => Self::Member,
            NodeFrame::Goaway { .. } => Self::Goaway,
            _ => Self::Ok,
        }
    }
}

/// What was read and written since it was told last.
#[derive(Default)]
pub struct Traffic {
    received: [Amount; RECEIVED],
    sent: [Amount; Sent::NAMES.len()],
    is_new: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Amount {
    frames: u64,
    bytes: u64,
}

impl Traffic {
    /// A frame was read.
    pub(super) fn received(&mut self, what: Received, bytes: usize) {
        self.received[what.0].add(bytes);
        self.is_new = true;
    }

    /// The last byte of a frame was written.
    pub(super) fn sent(&mut self, what: Sent, bytes: usize) {
        self.sent[what as usize].add(bytes);
        self.is_new = true;
    }

    /// Adds everything to the metrics of the node.
    pub(super) fn tell(&mut self, metrics: &Metrics) {
        if !std::mem::take(&mut self.is_new) {
            return;
        }
        take(&mut self.received, |what, frames, bytes| metrics.received(what, frames, bytes));
        take(&mut self.sent, |what, frames, bytes| metrics.sent(what, frames, bytes));
    }
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

fn take(amounts: &mut [Amount], tell: impl Fn(usize, u64, u64)) {
    for (what, amount) in amounts.iter_mut().enumerate() {
        if amount.frames > 0 {
            let Amount { frames, bytes } = std::mem::take(amount);
            tell(what, frames, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_place() {
        let names = Received::names();
        assert_eq!(names[Received::request(&Operation::Ping).0], "ping");
        for (what, name) in [
            (Received::INVALID, "invalid"),
            (Received::ECHO, "echo"),
            (Received::PING, "ws_ping"),
            (Received::PONG, "ws_pong"),
            (Received::CLOSE, "ws_close"),
        ] {
            assert_eq!(names[what.0], name);
        }
    }

    #[test]
    fn a_frame_goes_by_the_name_it_has_on_the_wire() {
        let goaway = NodeFrame::Goaway { reason: "x", reconnect_after_ms: 1 };
        for frame in [goaway, NodeFrame::PingOk { id: 1, server_time: 2 }] {
            assert_eq!(Sent::NAMES[Sent::of(&frame) as usize], frame.name());
        }
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let mut amounts = [Amount::default(); 2];
        amounts[1].add(7);
        amounts[1].add(5);
        let told = std::cell::RefCell::new(Vec::new());
        let tell = |what, frames, bytes| told.borrow_mut().push((what, frames, bytes));
        take(&mut amounts, tell);
        take(&mut amounts, tell);
        assert_eq!(*told.borrow(), [(1, 2, 12)]);
        assert_eq!(amounts, [Amount::default(); 2]);
    }
}
