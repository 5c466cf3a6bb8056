//! What arrives, on one task for each subscription. None of them waits for anything but NATS.

use super::{Shared, link};
use crate::{
    bus::{AskError, Asked, Heard, Question, Topic},
    envelope::{Envelope, Kind, Unreadable},
    subjects, wire,
};
use async_nats::{Message, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use madang_protocol::RoomId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// An answer that could not be sent for so long finds nobody who waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What happens in `room`.
pub(super) async fn room(shared: &Shared, room: RoomId, mut subscriber: Subscriber) {
    while let Some(message) = subscriber.next().await {
        let Some(envelope) = open(shared, &message.payload) else {
            continue;
        };
        if envelope.from == shared.me {
            continue; // delivered when it was published
        }
        shared.metrics.heard(envelope.kind);
        let publication = match envelope.kind {
            Kind::Batch => wire::decode_batch(room, &envelope.body).map(Some),
            Kind::Ephemeral => wire::decode_ephemeral(room, &envelope.body),
            _ => Ok(None),
        };
        match publication {
            Ok(Some(publication)) => shared.listeners.deliver(&publication),
            Ok(None) => {}
            Err(_) => shared.unreadable.count(shared, Unreadable::Junk),
        }
    }
}

/// What is said to all.
pub(super) async fn announcements(shared: Arc<Shared>, mut subscriber: Subscriber) {
    while let Some(message) = subscriber.next().await {
        let Some(envelope) = open(&shared, &message.payload) else {
            continue;
        };
        let topic = match envelope.kind {
            Kind::Heartbeat => Topic::Heartbeat,
            Kind::Notice => Topic::Notice,
            _ => continue,
        };
        shared.metrics.heard(envelope.kind);
        shared.listeners.hear(&Heard::Said { from: envelope.from, topic, body: envelope.body });
    }
}

/// What is asked of this node.
pub(super) async fn questions(shared: &Arc<Shared>, mut subscriber: Subscriber) {
    while let Some(message) = subscriber.next().await {
        let (Some(envelope), Some(reply)) = (open(shared, &message.payload), message.reply) else {
            continue;
        };
        if envelope.kind != Kind::Question {
            continue;
        }
        shared.metrics.heard(envelope.kind);
        let Some(serve) = shared.serving.get() else {
            continue;
        };
        let (shared, trace) = (shared.clone(), envelope.trace);
        let answer = Box::new(move |body: Bytes| send_answer(&shared, reply, trace, &body));
        serve(
            Asked { from: envelope.from, question: Question { trace, body: envelope.body } },
            answer,
        );
    }
}

fn send_answer(shared: &Shared, to: Subject, trace: u64, body: &[u8]) {
    if let Some(payload) = shared.fitting(Kind::Answer, trace, body) {
        let until = Instant::now() + ANSWER_WITHIN;
        let message = link::Message { subject: to, reply: None, payload, until };
        shared.enqueue(Kind::Answer, message, None);
    }
}

/// What is answered to this life of this node.
pub(super) async fn answers(shared: Arc<Shared>, mut subscriber: Subscriber) {
    while let Some(message) = subscriber.next().await {
        let Some(number) = subjects::answered(&message.subject) else {
            continue;
        };
        if is_from_the_server(&message) {
            shared.waiting.end(number, Err(AskError::Unreachable));
        } else if let Some(envelope) = open(&shared, &message.payload) {
            shared.metrics.heard(envelope.kind);
            shared.waiting.end(number, Ok(envelope.body));
        }
    }
}

/// Nobody listens where the question went.
fn is_from_the_server(message: &Message) -> bool {
    message.status == Some(StatusCode::NO_RESPONDERS)
}

/// Until a probe of this life has come.
pub(super) async fn probe(shared: &Shared, mut subscriber: Subscriber) {
    while let Some(message) = subscriber.next().await {
        let envelope = Envelope::decode(&message.payload);
        let own = envelope.ok().filter(|envelope| envelope.from == shared.me);
        if let Some(Envelope { kind: Kind::Probe, trace, .. }) = own {
            return shared.waiting.end(trace, Ok(Bytes::new()));
        }
    }
}

/// `None`: not for anybody here.
fn open(shared: &Shared, payload: &Bytes) -> Option<Envelope> {
    match Envelope::decode(payload) {
        Ok(envelope) if envelope.kind == Kind::Probe => {
            if envelope.from == shared.me {
                shared.waiting.end(envelope.trace, Ok(Bytes::new()));
            }
            None
        }
        Ok(envelope) => Some(envelope),
        Err(unreadable) => {
            shared.unreadable.count(shared, unreadable);
            None
        }
    }
}

/// How many messages were not understood. Says so in the log ever more rarely.
#[derive(Default)]
pub(super) struct Unread(AtomicU64);

impl Unread {
    fn count(&self, shared: &Shared, why: Unreadable) {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(%why, count, "messages of the bus are ignored");
        }
        shared.metrics.unreadable(why != Unreadable::Junk);
    }
}
