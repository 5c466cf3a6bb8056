//! The one task that sends, subscribes, and notices what became of the connection.

use super::{Shared, subscriptions::Subscriptions};
use crate::{bus::AskError, envelope::Kind, metrics::Dropped};
use async_nats::Subject;
use bytes::Bytes;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// How long the client library may take one message; then it is dropped.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks at the connection: the library's own events may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one round trip may take after a connection came back.
const ROUND_TRIP_WITHIN: Duration = Duration::from_secs(2);
/// Servers of one cluster have told each other by then who listens where.
const SERVERS_AGREE_WITHIN: Duration = Duration::from_secs(1);

/// What waits in the queue.
pub(super) enum Outgoing {
    /// To be sent.
    Message {
        kind: Kind,
        message: Message,
        /// The number of the question it is.
        question: Option<u64>,
    },
    /// To be told when everything before it is with a server.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Message {
    pub(super) subject: Subject,
    pub(super) reply: Option<Subject>,
    pub(super) payload: Bytes,
    /// Not to be sent later than that.
    pub(super) until: Instant,
}

/// What the client library says of the connection.
#[derive(Default)]
pub(super) struct News {
    /// Subscriptions whose reading task was too slow, ever.
    slow: AtomicU64,
    any: Notify,
    /// The first complaint of a server, until somebody takes it.
    complaint: Mutex<Option<String>>,
    complained: Notify,
}

impl News {
    /// Takes one, on the library's task.
    pub(super) fn take(&self, event: &async_nats::Event) {
        match event {
            async_nats::Event::SlowConsumer(_) => {
                self.slow.fetch_add(1, Ordering::Relaxed);
            }
            async_nats::Event::ServerError(error) => {
                tracing::warn!(%error, "NATS complains");
                let mut complaint = self.complaint.lock().expect("nothing panics holding it");
                complaint.get_or_insert_with(|| error.to_string());
                self.complained.notify_one();
            }
            _ => {}
        }
        self.any.notify_one();
    }

    /// Waits for the first complaint of a server. For one who waits.
    pub(super) async fn complaint(&self) -> String {
        loop {
            let said = self.complaint.lock().expect("nothing panics holding it").take();
            if let Some(said) = said {
                return said;
            }
            self.complained.notified().await;
        }
    }
}

pub(super) struct Link {
    shared: Arc<Shared>,
    news: Arc<News>,
    queue: mpsc::Receiver<Outgoing>,
    subscriptions: Subscriptions,
    /// Connections made and slow consumers, as last seen.
    connects: u64,
    slow: u64,
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        news: Arc<News>,
        queue: mpsc::Receiver<Outgoing>,
    ) -> Self {
        let (connects, slow) = (connects(&shared), news.slow.load(Ordering::Relaxed));
        let subscriptions = Subscriptions::new(shared.clone());
        Self { shared, news, queue, subscriptions, connects, slow }
    }

    pub(super) async fn run(mut self) {
        let (shared, news) = (self.shared.clone(), self.news.clone());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                outgoing = self.queue.recv() => match outgoing {
                    Some(outgoing) => self.send(outgoing).await,
                    None => return,
                },
                () = shared.interest.changed() => self.subscriptions.apply().await,
                () = self.subscriptions.until_due() => self.subscriptions.leave_due().await,
                () = news.any.notified() => self.look().await,
                _ = looks.tick() => self.look().await,
            }
        }
    }

    /// In the order of the queue, and behind the subscriptions wished for before.
    async fn send(&mut self, outgoing: Outgoing) {
        self.subscriptions.apply().await;
        match outgoing {
            Outgoing::Message { kind, message, question } => {
                if let Err(dropped) = self.hand_over(message).await {
                    self.shared.metrics.dropped(dropped);
                    if let Some(number) = question {
                        self.shared.waiting.end(number, Err(AskError::Unreachable));
                    }
                } else {
                    self.shared.metrics.sent(kind);
                }
            }
            Outgoing::Flush(done) => {
                let client = self.shared.client.clone();
                tokio::spawn(async move {
                    if matches!(timeout(HAND_OVER_WITHIN, client.flush()).await, Ok(Ok(()))) {
                        let _ = done.send(()); // the one that waited has gone
                    }
                });
            }
        }
    }

    async fn hand_over(&self, message: Message) -> Result<(), Dropped> {
        if !self.shared.is_connected() {
            return Err(Dropped::Unreachable);
        }
        if Instant::now() > message.until {
            return Err(Dropped::Late);
        }
        let Message { subject, reply, payload, .. } = message;
        let client = &self.shared.client;
        let published = async {
            match reply {
                Some(reply) => client.publish_with_reply(subject, reply, payload).await,
                None => client.publish(subject, payload).await,
            }
        };
        match timeout(HAND_OVER_WITHIN, published).await {
            Ok(Ok(())) => Ok(()),
            // A server that carries less was reached since it was measured.
            Ok(Err(_)) => Err(Dropped::TooLarge),
            Err(_) => Err(Dropped::Late),
        }
    }

    async fn look(&mut self) {
        self.shared.metrics.connected(self.shared.is_connected());
        self.subscriptions.apply().await;
        let (connects, slow) = (connects(&self.shared), self.news.slow.load(Ordering::Relaxed));
        if slow != self.slow {
            self.slow = slow;
            self.shared.gap();
        }
        if connects != self.connects {
            self.connects = connects;
            tokio::spawn(connected_again(self.shared.clone()));
        }
    }
}

fn connects(shared: &Shared) -> u64 {
    shared.client.statistics().connects.load(Ordering::Relaxed)
}

/// The library said that it is connected before it had subscribed again: what is asked of others
/// because of the gap must not overtake that. Ends in seconds.
async fn connected_again(shared: Arc<Shared>) {
    let ticket = shared.waiting.begin();
    let subject = shared.subjects.answer(&shared.me, ticket.number);
    shared.send(subject, Kind::Probe, ticket.number, &[]);
    let _ = timeout(ROUND_TRIP_WITHIN, ticket.answered()).await;
    shared.gap();
    tokio::time::sleep(SERVERS_AGREE_WITHIN).await;
    shared.gap();
}
