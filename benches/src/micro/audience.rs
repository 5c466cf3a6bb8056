//! A committed message to a thousand readers: audience, encoding, hub and out-queues as they are, the
//! sockets of paper. Beside it the same frame into a thousand queues and out of them again.

use super::paper::Paper;
use crate::pairs::{Comparison, compare};
use bytes::Bytes;
use madang_actors::{
    audience::{
        AudienceMessage, encode,
        logic::{Effect, Logic},
    },
    batcher::{Connected, LastSeen},
    connection::{Attached, ConnectionMessage},
    hub::{self, Attach, Delivery, HubLimits, HubMessage, Identity, LocalHub, Socket},
    kernel::{
        Actor, Address, Arbiter, Context, Reply, Supervisor, arbiter::run_system,
        start_unsupervised,
    },
    metrics::Metrics,
};
use madang_protocol::{
    ClientId, Event, EventBatch, Heads, Message, Place, RoomId, SessionId, UserId, codec::Codec,
    frame::NodeFrame, object::MessageObject,
};
use std::{
    collections::VecDeque,
    hint::black_box,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

const ROOM: RoomId = RoomId([9; 15]);
const SENDER: UserId = UserId([255; 15]);
const BODY_BYTES: usize = 128;
/// Where the room stands at first: from there on frames are of one length.
const FIRST: u64 = 1_000_000;
const LIMITS: HubLimits = HubLimits {
    outbox_bytes_max: 1024 * 1024,
    outbox_frames_max: 4_096,
    heartbeat: Duration::from_secs(60),
    hello_timeout: Duration::from_secs(60),
};

/// Time for one delivery. `operations` is rounded up to whole rounds of all readers.
pub fn to_readers(readers: u32, pairs: usize, operations: u32) -> Comparison {
    let rounds = operations.div_ceil(readers);
    let hub = |_| run_system(through_a_hub(readers, rounds));
    compare(pairs, rounds * readers, hub, |_| through_queues(readers, rounds))
}

/// Starts a hub, and measures beside it.
async fn through_a_hub(readers: u32, rounds: u32) -> Duration {
    let metrics = Arc::new(Metrics::new());
    let root = Supervisor::root(metrics.clone(), |why| panic!("{why}"));
    let (tell_hub, hub) = oneshot::channel();
    let (tell_took, took) = oneshot::channel();
    let measure = move |local| {
        tokio::task::spawn_local(async move {
            let hub = hub.await.expect("started above");
            begun(&hub).await;
            let took = deliver_all(&hub, &local, readers, rounds).await;
            hub.stop();
            let _ = tell_took.send(took);
        });
    };
    let connected = Connected::new(LastSeen::off());
    let started = hub::start(&Arbiter::here(), &root, 0, LIMITS, metrics, connected, measure);
    let _ = tell_hub.send(started);
    took.await.expect("it comes to its end")
}

/// Waits for a hub's first turn, which closes what was opened before.
async fn begun(hub: &Address<HubMessage>) {
    let (reply, answer) = Reply::channel();
    assert!(hub.try_send(HubMessage::Sessions(reply)).is_ok(), "it is empty");
    assert!(answer.await.is_ok_and(|sessions| sessions.is_ok()), "it begins");
}

async fn deliver_all(
    hub: &Address<HubMessage>,
    local: &LocalHub,
    readers: u32,
    rounds: u32,
) -> Duration {
    let paper = attach_readers(hub, local, readers).await;
    let (mut logic, mut effects) = (following(), Vec::new());
    let batches: Vec<_> = (0..u64::from(rounds)).map(batch).collect();
    let of_one = frame().len() as u64 * u64::from(readers);
    let (before, begun) = (paper.taken(), Instant::now());
    for (batch, number) in batches.into_iter().zip(1..) {
        logic.batch(batch, &mut effects);
        effects.drain(..).for_each(|effect| deliver(&effect, hub));
        while paper.taken() - before < number * of_one {
            tokio::task::yield_now().await;
        }
    }
    begun.elapsed()
}

fn deliver(effect: &Effect<()>, hub: &Address<HubMessage>) {
    let Effect::Deliver(events) = effect else {
        panic!("{effect:?}");
    };
    let items = events.iter().map(|event| Arc::new(encode::item(ROOM, event))).collect();
    let sent = hub.try_send(HubMessage::Deliver(Arc::new(Delivery { room: ROOM, items })));
    assert!(sent.is_ok(), "the one before was worked off");
}

/// So many connections, each of another user and attached to the room. They write to one paper.
async fn attach_readers(hub: &Address<HubMessage>, local: &LocalHub, readers: u32) -> Paper {
    let (paper, connection) = (Paper::default(), start_unsupervised(16, |_| Silent));
    let audience = start_unsupervised(16, |_| Deaf);
    for number in 0..readers {
        let slot = local.open(Rc::new(paper.clone()), connection.clone(), Codec::Json);
        let mut id = [0; 15];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let identity = Identity { user: UserId(id), session: SessionId(id) };
        local.identify(slot, identity, false);
        local.want(slot, ROOM);
        local.ask(slot, ROOM);
        let (reply, attached) = Reply::channel();
        let (audience, head) = (audience.clone(), Place { seq: FIRST, rev: 0 });
        let (epoch, catch_up, reply) = (1, Vec::new(), Some(reply));
        let attach = Attach { room: ROOM, slot, audience, epoch, head, catch_up, reply };
        assert!(hub.try_send(HubMessage::Attach(attach)).is_ok(), "one at a time");
        assert!(matches!(attached.await, Ok(Ok(Attached::Live))), "it misses nothing");
    }
    paper
}

/// An audience that has all there is.
fn following() -> Logic<()> {
    let (mut logic, mut effects) = (Logic::new(1), Vec::new());
    logic.adopted(None, &mut effects);
    logic.caught_up(heads(0), &[], None, &mut effects);
    assert!(logic.is_following(), "{effects:?}");
    logic
}

fn heads(number: u64) -> Heads {
    Heads { last_seq: FIRST + number, last_rev: 0, member_rev: 1 }
}

fn batch(number: u64) -> Arc<EventBatch> {
    let events = vec![Event::Message(Arc::new(message(number + 1)))];
    let (before, after) = (heads(number), heads(number + 1));
    Arc::new(EventBatch { room: ROOM, before, after, events })
}

fn message(number: u64) -> Message {
    Message {
        room: ROOM,
        seq: FIRST + number,
        ts: 1_790_000_000_123,
        sender: SENDER,
        client_id: ClientId::new("1-7").expect("a short text"),
        body: Arc::from("x".repeat(BODY_BYTES)),
        reply_to: None,
        amended: None,
    }
}

fn frame() -> Bytes {
    Codec::Json.encode(&NodeFrame::Message(MessageObject::seen_by(&message(1), None)))
}

fn through_queues(readers: u32, rounds: u32) -> Duration {
    let (frame, paper) = (frame(), Paper::default());
    let sockets: Vec<Rc<dyn Socket>> = (0..readers).map(|_| Rc::new(paper.clone()) as _).collect();
    let mut queues = vec![VecDeque::with_capacity(1); readers as usize];
    let begun = Instant::now();
    for _ in 0..rounds {
        queues.iter_mut().for_each(|queue| queue.push_back(frame.clone()));
        for (queue, socket) in queues.iter_mut().zip(&sockets) {
            while let Some(frame) = queue.pop_front() {
                let _ = black_box(socket.try_write(&frame));
            }
        }
    }
    begun.elapsed()
}

/// Stands for the connections.
struct Silent;

impl Actor for Silent {
    type Message = ConnectionMessage;
    const KIND: &'static str = "connection";

    fn handle(&mut self, _: ConnectionMessage, _context: &mut Context<ConnectionMessage>) {}
}

/// Stands for the audience that is told who left.
struct Deaf;

impl Actor for Deaf {
    type Message = AudienceMessage;
    const KIND: &'static str = "audience";

    fn handle(&mut self, _: AudienceMessage, _context: &mut Context<AudienceMessage>) {}
}
