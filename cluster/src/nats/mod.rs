//! The bus over NATS: core publish and subscribe, and request and reply. No JetStream: the truth is in
//! the store.
//!
//! ```text
//! publish, announce, answer, ask -> queue, bounded -> Link -> the client library's own buffer -> NATS
//! subscribe, serve               -> Interest  ------> Link: subscribes, and unsubscribes a little later
//! NATS -> one reading task for each subscription -> listeners, called there
//! ```
//!
//! * Nobody waits: what finds the queue full, or no server, is dropped and counted.
//! * Subscriptions and questions go the same way, in order: who subscribes to a room and then asks its
//!   home how far it is, misses nothing that is said after the answer.
//! * A node's own publications are delivered at once, whatever NATS does; the copy that comes back is
//!   recognised by its sender and dropped. Its own announcements it hears from NATS alone.
//! * The client library connects again and subscribes again by itself. [`Heard::Gap`] is said after a
//!   round trip has shown that this is done, and once more when servers had the time to tell each other.

mod link;
mod open;
mod options;
mod reading;
mod serving;
mod subscriptions;
mod waiting;

pub use open::{check, open};
pub use options::{Credentials, OpenError, Options, Reached};

use crate::{
    NodeName, Peer,
    bus::{AskError, Bus, Deliver, Hear, Heard, Question, Serve, Subscription, Topic},
    envelope::{Envelope, Kind},
    listeners::{self, HasListeners, Listeners},
    metrics::{Dropped, Metrics},
    subjects::Subjects,
    wire,
};
use async_nats::{Client, connection::State};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use link::Outgoing;
use madang_protocol::{Publication, RoomId};
use serving::Serving;
use std::{sync::Arc, time::Duration};
use subscriptions::{Interest, Wanted};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::Instant,
};
use waiting::Waiting;

/// Messages that wait to be sent. Beyond: dropped and counted.
pub const QUEUE_BOUND: usize = 4_096;

/// A message that waited longer is not sent any more: it would be news of the past.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// One node's end of the bus. Cloning shares it; the last one dropped leaves the bus.
#[derive(Clone)]
pub struct Nats {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// What the tasks and the subscriptions hold.
struct Shared {
    me: Peer,
    subjects: Subjects,
    client: Client,
    listeners: Listeners,
    serving: Serving,
    interest: Interest,
    waiting: Waiting,
    queue: mpsc::Sender<Outgoing>,
    metrics: Metrics,
    unreadable: reading::Unread,
}

/// End with the bus.
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl HasListeners for Shared {
    fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    fn interest_changed(&self, room: RoomId) {
        self.interest.look_at(Wanted::Room(room));
    }
}

impl Bus for Nats {
    fn publish(&self, publication: &Publication) {
        self.shared.listeners.deliver(publication);
        self.shared.send_publication(publication);
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        listeners::subscribe(&self.shared, room, deliver)
    }

    fn me(&self) -> &Peer {
        &self.shared.me
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        let subjects = &self.shared.subjects;
        let (subject, kind) = match topic {
            Topic::Heartbeat => (subjects.heartbeats(), Kind::Heartbeat),
            Topic::Notice => (subjects.notices(), Kind::Notice),
        };
        self.shared.send(subject, kind, 0, &body);
    }

    fn hear(&self, hear: Hear) -> Subscription {
        listeners::hear(&self.shared, hear)
    }

    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>> {
        let ticket = self.shared.waiting.begin();
        let subject = self.shared.subjects.node(to);
        let is_asked = self.shared.send_question(subject, ticket.number, &question, within);
        async move {
            if !is_asked {
                return Err(AskError::Unreachable);
            }
            tokio::time::timeout(within, ticket.answered())
                .await
                .unwrap_or(Err(AskError::Unanswered))
        }
        .boxed()
    }

    fn serve(&self, serve: Serve) -> Subscription {
        let (shared, number) = (self.shared.clone(), self.shared.listeners.number());
        shared.serving.begin(number, serve);
        shared.interest.look_at(Wanted::Questions);
        Subscription::new(move || {
            if shared.serving.end(number) {
                shared.interest.look_at(Wanted::Questions);
            }
        })
    }
}

impl Nats {
    /// A server is reached now, as far as the client library knows.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected()
    }

    /// Waits until everything handed over so far is with a server; false: not within `within`.
    pub async fn flush(&self, within: Duration) -> bool {
        let (done, is_done) = oneshot::channel();
        let flushed = async {
            let handed_over = self.shared.queue.send(Outgoing::Flush(done)).await.is_ok();
            handed_over && is_done.await.is_ok()
        };
        tokio::time::timeout(within, flushed).await.unwrap_or(false)
    }
}

impl Shared {
    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The largest body that a server carries now.
    fn body_bytes_max(&self) -> usize {
        Envelope::room_for_body(&self.me, self.client.max_payload())
    }

    fn send_publication(&self, publication: &Publication) {
        let subject = self.subjects.room(publication.room());
        match publication {
            Publication::Batch(batch) => {
                for piece in wire::encode_in_pieces(batch, self.body_bytes_max()) {
                    self.send(subject.clone(), Kind::Batch, 0, &piece);
                }
            }
            Publication::Ephemeral(_, ephemeral) => {
                self.send(subject, Kind::Ephemeral, 0, &wire::encode_ephemeral(ephemeral));
            }
        }
    }

    fn send_question(
        &self,
        subject: String,
        number: u64,
        question: &Question,
        within: Duration,
    ) -> bool {
        let reply = Some(self.subjects.answer(&self.me, number).into());
        let Some(payload) = self.fitting(Kind::Question, question.trace, &question.body) else {
            return false;
        };
        let until = Instant::now() + within;
        let message = link::Message { subject: subject.into(), reply, payload, until };
        self.enqueue(Kind::Question, message, Some(number))
    }

    /// Sends it, or drops and counts it.
    fn send(&self, subject: String, kind: Kind, trace: u64, body: &[u8]) {
        let Some(payload) = self.fitting(kind, trace, body) else {
            return;
        };
        let until = Instant::now() + WAIT_MAX;
        let message = link::Message { subject: subject.into(), reply: None, payload, until };
        self.enqueue(kind, message, None);
    }

    /// `None`, counted: no server would carry it.
    fn fitting(&self, kind: Kind, trace: u64, body: &[u8]) -> Option<Bytes> {
        if body.len() > self.body_bytes_max() {
            tracing::warn!(kind = kind.name(), bytes = body.len(), "too large for the bus");
            self.metrics.dropped(Dropped::TooLarge);
            return None;
        }
        Some(Envelope::encode(&self.me, kind, trace, body))
    }

    /// False, counted: it is not sent.
    fn enqueue(&self, kind: Kind, message: link::Message, question: Option<u64>) -> bool {
        if !self.is_connected() {
            self.metrics.dropped(Dropped::Unreachable);
            return false;
        }
        let taken = self.queue.try_send(Outgoing::Message { kind, message, question }).is_ok();
        if !taken {
            self.metrics.dropped(Dropped::Full);
        }
        taken
    }

    fn gap(&self) {
        self.metrics.gap();
        self.listeners.hear(&Heard::Gap);
    }
}
