//! The history checker: judges a finished run by what clients saw, never by what the node says of
//! itself.
//!
//! A run writes [`Event`]s into a [`Journal`] as they happen to its clients. When it is over, the
//! stored messages are read back over the API, and [`check`] compares the two. It is pure, and
//! itself tested with every fault it is meant to find planted one by one.
//!
//! What it does not judge: when something happened. Time is not in the events; a journal remembers
//! only the longest time in which nothing was acknowledged.

mod check;
#[cfg(test)]
mod tests;
mod violation;

pub use check::{Summary, check};
pub use violation::Violation;

use serde_json::Value;
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// Acknowledged messages below which a run proves nothing: faults that hit one message in a
/// hundred would pass unseen.
pub const ACKNOWLEDGED_MIN: usize = 2_000;

/// One thing that happened to a client. A message is named by its `client_id`, which every sender
/// of a run also writes in front of the body, because readers are not shown the `client_id` of
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A send was written to a connection.
    Sent {
        /// Which connection; a reconnect is another one.
        connection: u64,
        /// The room.
        room: String,
        /// Which message, the same again for a retry.
        client_id: String,
    },
    /// It was answered `ok`.
    Acknowledged {
        /// On which connection.
        connection: u64,
        /// The room.
        room: String,
        /// Which message.
        client_id: String,
        /// Its place as told.
        seq: u64,
        /// Its time as told.
        ts: u64,
    },
    /// It was answered `error`.
    Refused {
        /// On which connection.
        connection: u64,
        /// The room.
        room: String,
        /// Which message.
        client_id: String,
        /// The error code.
        code: String,
    },
    /// A reader began, or began anew, to read a room.
    Reading {
        /// The reader, the same after a reconnect.
        reader: String,
        /// The room.
        room: String,
        /// Up to where it already has the messages.
        after_seq: u64,
    },
    /// A reader was given a message.
    Read {
        /// The reader.
        reader: String,
        /// The room.
        room: String,
        /// Its place as told.
        seq: u64,
        /// Which message.
        client_id: String,
    },
}

/// One stored message, as read back when all is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: u64,
    /// Its time.
    pub ts: u64,
    /// Which message.
    pub client_id: String,
}

impl Stored {
    /// From a message object of the API.
    pub fn of(message: &Value) -> Self {
        use crate::client::{number, text};
        Self {
            seq: number(message, "seq"),
            ts: number(message, "ts"),
            client_id: client_id_in(text(message, "body")).to_owned(),
        }
    }
}

/// The body a run sends for this message, padded to `length` bytes.
pub fn body_of(client_id: &str, length: usize) -> String {
    format!("{client_id:<length$} .")
}

/// The message a body was sent for.
pub fn client_id_in(body: &str) -> &str {
    body.split(' ').next().unwrap_or_default()
}

/// The events of a run, written by many clients at once.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    events: Vec<Event>,
    acknowledged: usize,
    /// When something was acknowledged last; `None`: the silence is not measured yet.
    heard: Option<Instant>,
    longest_silence: Duration,
}

impl Journal {
    /// Adds an event.
    pub fn record(&self, event: Event) {
        let mut written = self.written();
        if matches!(event, Event::Acknowledged { .. }) {
            written.acknowledged += 1;
            written.listen();
        }
        written.events.push(event);
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.written().events.clone()
    }

    /// How many messages were acknowledged so far, retries counted once each.
    pub fn acknowledged(&self) -> usize {
        self.written().acknowledged
    }

    /// The longest time in which nothing was acknowledged, since the first message was.
    pub fn longest_silence(&self) -> Duration {
        self.written().longest_silence
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().expect("nothing panics holding it")
    }
}

impl Written {
    fn listen(&mut self) {
        let now = Instant::now();
        if let Some(heard) = self.heard.replace(now) {
            self.longest_silence = self.longest_silence.max(now - heard);
        }
    }
}
