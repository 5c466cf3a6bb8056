//! A hub's core with sockets of paper.

mod behind;
mod bounds;
mod company;
mod flush;
mod found;
mod hearing;
mod slices;
mod waking;

use super::{
    Adopt, Adopted, Attach, Delivery, HubLimits, HubMessage, Identity, Item, LocalHub, SlotId,
    Socket,
    liveness::{GOODBYE, LINGER},
};
use crate::{
    audience::AudienceMessage,
    batcher::{Connected, LastSeen},
    connection::{Attached, ConnectionMessage},
    kernel::{Address, Reply},
    metrics::{Metrics, Sent},
};
use bytes::Bytes;
use madang_protocol::{
    CloseCode, Place, RoomId, SessionId, UserId, codec::Codec, frame::NodeFrame, websocket,
};
use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

const ROOM: RoomId = RoomId([9; 15]);
const LIMITS: HubLimits = HubLimits {
    outbox_bytes_max: 1_000,
    outbox_frames_max: 10,
    heartbeat: Duration::from_millis(20),
    hello_timeout: Duration::from_secs(10),
};

/// Takes everything, or nothing, or so many bytes.
#[derive(Default)]
struct Paper {
    is_full: Cell<bool>,
    room: Cell<Option<usize>>,
    written: RefCell<Vec<u8>>,
    writes: Cell<usize>,
    is_ended: Cell<bool>,
    has_answered: Cell<bool>,
}

impl Socket for Paper {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room.get().map_or(bytes.len(), |room| room.min(bytes.len()));
        if self.is_full.get() || count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get().map(|room| room - count));
        self.writes.set(self.writes.get() + 1);
        self.written.borrow_mut().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn has_answered(&self) -> bool {
        self.has_answered.take()
    }

    fn end_writing(&self) {
        self.is_ended.set(true);
    }
}

/// One connection of the hub under test.
struct Reader {
    slot: SlotId,
    socket: Rc<Paper>,
    inbox: Address<ConnectionMessage>,
}

impl Reader {
    /// What it was sent since the last call.
    fn takes(&self) -> String {
        String::from_utf8_lossy(&self.socket.written.take()).into_owned()
    }
}

struct Hub {
    local: LocalHub,
    connected: Connected,
    audience: Address<AudienceMessage>,
}

impl Hub {
    fn new() -> Self {
        Self::within(LIMITS)
    }

    fn within(limits: HubLimits) -> Self {
        let connected = Connected::new(LastSeen::off());
        let local = LocalHub::new(0, limits, Arc::new(Metrics::new()), connected.clone());
        Self { local, connected, audience: Address::detached(1_000) }
    }

    /// A connection of a user, past `hello`.
    fn reader(&self, user: u8) -> Reader {
        self.reader_in(Codec::Json, user)
    }

    fn reader_in(&self, codec: Codec, user: u8) -> Reader {
        let (socket, inbox) = (Rc::new(Paper::default()), Address::detached(16));
        let slot = self.local.open(socket.clone(), inbox.clone(), codec);
        let identity = Identity { user: UserId([user; 15]), session: SessionId([user; 15]) };
        self.local.identify(slot, identity, user == 1);
        Reader { slot, socket, inbox }
    }

    /// Attaches a reader to `ROOM`, the audience standing at `head`.
    fn attach(&self, reader: &Reader, head: u64, catch_up: Vec<Item>) {
        self.local.want(reader.slot, ROOM);
        self.local.ask(reader.slot, ROOM);
        let (reply, _answer) = Reply::channel();
        self.add(HubMessage::Attach(self.attachment(reader.slot, head, catch_up, Some(reply))));
        self.turns();
    }

    fn attachment(
        &self,
        slot: SlotId,
        head: u64,
        catch_up: Vec<Item>,
        reply: Option<Reply<Attached>>,
    ) -> Attach {
        Attach {
            room: ROOM,
            slot,
            audience: self.audience.clone(),
            epoch: 1,
            head: Place { seq: head, rev: 0 },
            catch_up: catch_up.into_iter().map(Arc::new).collect(),
            reply,
        }
    }

    fn add(&self, message: HubMessage) {
        assert!(self.local.core().jobs.add(message).is_none(), "not a job");
    }

    fn deliver(&self, items: Vec<Item>) {
        let items = items.into_iter().map(Arc::new).collect();
        self.add(HubMessage::Deliver(Arc::new(Delivery { room: ROOM, items })));
    }

    /// Works everything off, flushing after each slice; says how many slices it took.
    fn turns(&self) -> usize {
        for turn in 1.. {
            let mut core = self.local.core();
            let more = core.work() | core.flush();
            core.jobs.report_left(0);
            if !more {
                return turn;
            }
        }
        unreachable!("jobs end");
    }

    /// What the audience was told: readers that left.
    fn left(&self) -> Vec<usize> {
        let left = |message| match message {
            AudienceMessage::Left { hub: 0, epoch: 1, readers } => readers,
            _ => panic!("something else"),
        };
        self.audience.drain().into_iter().map(left).collect()
    }
}

fn item(seq: u64, text: &'static str) -> Item {
    Item::of_bytes(Bytes::from_static(text.as_bytes())).at(seq)
}

#[test]
fn readers_get_what_comes_after_their_place_once_and_in_order() {
    let hub = Hub::new();
    let (ann, bob) = (hub.reader(1), hub.reader(2));
    hub.attach(&ann, 2, vec![item(1, "1"), item(2, "2")]);
    hub.deliver(vec![item(3, "3")]);
    hub.attach(&bob, 3, vec![]);
    hub.deliver(vec![item(4, "4"), item(5, "5")]);
    hub.turns();
    assert_eq!((ann.takes(), bob.takes()), ("12345".to_owned(), "45".to_owned()));
    hub.deliver(vec![item(5, "5"), item(6, "6")]); // an audience that began again
    hub.turns();
    assert_eq!((ann.takes(), bob.takes()), ("6".to_owned(), "6".to_owned()));
}

#[test]
fn the_sender_sees_its_own_frame_on_all_its_connections() {
    let hub = Hub::new();
    let readers = [hub.reader(1), hub.reader(2), hub.reader(1)];
    readers.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    let own = Bytes::from_static(b"mine");
    hub.deliver(vec![item(1, "theirs").own_bytes(UserId([1; 15]), own)]);
    hub.turns();
    assert_eq!(readers.map(|reader| reader.takes()), ["mine", "theirs", "mine"]);
}

#[test]
fn a_codec_nobody_reads_is_not_written() {
    let hub = Hub::new();
    let frame = |seq| NodeFrame::PingOk { id: seq, server_time: 0 };
    let item = |seq| Arc::new(Item::new(frame(seq)).own(UserId([1; 15]), frame(0)).at(seq));
    let encoded = |seq| {
        let item = item(seq);
        let items = vec![item.clone()];
        hub.add(HubMessage::Deliver(Arc::new(Delivery { room: ROOM, items })));
        hub.turns();
        item.encoded()
    };
    let packed = [hub.reader_in(Codec::MessagePack, 2), hub.reader_in(Codec::MessagePack, 3)];
    packed.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    assert_eq!(encoded(1), 1);
    let text = hub.reader(2);
    hub.attach(&text, 1, vec![]);
    assert_eq!(encoded(2), 2);
    hub.attach(&hub.reader(1), 2, vec![]);
    assert_eq!(encoded(3), 3, "the sender's own, in the codec of its connection");
    for (reader, codec, seqs) in
        [(&packed[0], Codec::MessagePack, 1..=3), (&text, Codec::Json, 2..=3)]
    {
        let expected: Vec<u8> = seqs.flat_map(|seq| codec.encode(&frame(seq))).collect();
        assert_eq!(reader.takes(), String::from_utf8_lossy(&expected));
    }
}

#[test]
fn one_write_per_reader_and_turn() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    hub.deliver(vec![item(1, "1"), item(2, "2")]);
    hub.deliver(vec![item(3, "3")]);
    hub.local.push(ann.slot, Sent::Ok, Bytes::from_static(b"ok"));
    hub.turns();
    assert_eq!((ann.takes().as_str(), ann.socket.writes.get()), ("ok123", 1));
}

#[test]
fn bytes_are_bounded_as_well_as_frames() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    ann.socket.is_full.set(true);
    hub.local.push(ann.slot, Sent::Ok, Bytes::from(vec![b'x'; 1_000]));
    assert_eq!(ann.inbox.drain().len(), 0);
    hub.local.push(ann.slot, Sent::Ok, Bytes::from_static(b"x"));
    assert!(matches!(ann.inbox.drain()[..], [ConnectionMessage::Closing]));
}

#[test]
fn what_is_ephemeral_is_shed_before_a_slow_reader_is_closed() {
    let hub = Hub::new();
    let slow = hub.reader(1);
    hub.attach(&slow, 0, vec![]);
    slow.socket.is_full.set(true);
    let signal = |text: &'static str| Item::of_bytes(Bytes::from_static(text.as_bytes()));
    hub.deliver(vec![item(1, "1")]);
    for text in ["a", "b", "c"] {
        hub.deliver(vec![signal(text).ephemeral()]);
    }
    hub.turns();
    for _ in 0..100 {
        hub.deliver(vec![signal("x").ephemeral()]);
    }
    hub.deliver(vec![signal("y").ephemeral(), item(2, "2"), signal("z").ephemeral()]);
    hub.turns();
    assert_eq!(slow.inbox.drain().len(), 0, "not closed");
    slow.socket.is_full.set(false);
    hub.local.core().unblock(vec![slow.slot]);
    hub.turns();
    assert_eq!(slow.takes(), "1xxxxxxy2z", "ten frames, the newest ones and what must not be lost");
    slow.socket.is_full.set(true);
    for _ in 3..=13 {
        hub.deliver(vec![signal("x").ephemeral()]);
        hub.local.push(slow.slot, Sent::Ok, Bytes::from_static(b"m"));
    }
    hub.turns();
    assert!(matches!(slow.inbox.drain()[..], [ConnectionMessage::Closing]));
}

#[test]
fn users_are_counted_while_they_are_identified() {
    let hub = Hub::new();
    let (ann, again, bob) = (hub.reader(1), hub.reader(1), hub.reader(2));
    let identity = Identity { user: UserId([2; 15]), session: SessionId([2; 15]) };
    hub.local.identify(bob.slot, identity, false);
    hub.local.remove(bob.slot);
    hub.local.remove(ann.slot);
    hub.local.remove(ann.slot);
    assert_eq!(hub.connected.users(), [UserId([1; 15])]);
    hub.local.remove(again.slot);
    assert!(hub.connected.users().is_empty());
}

#[test]
fn a_connection_is_told_when_half_is_free_again() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    ann.socket.is_full.set(true);
    assert!(hub.local.is_low(ann.slot, true));
    for _ in 0..5 {
        hub.local.push(ann.slot, Sent::Ok, Bytes::from_static(b"x"));
    }
    assert!(!hub.local.is_low(ann.slot, true));
    hub.turns();
    assert_eq!(ann.inbox.drain().len(), 0);
    ann.socket.is_full.set(false);
    hub.local.core().unblock(vec![ann.slot]);
    hub.turns();
    assert!(matches!(ann.inbox.drain()[..], [ConnectionMessage::Low]));
}

#[test]
fn those_who_leave_are_reported_together() {
    let hub = Hub::new();
    let readers: Vec<_> = (0..5).map(|_| hub.reader(1)).collect();
    readers.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    readers[..3].iter().for_each(|reader| hub.local.remove(reader.slot));
    hub.local.detach(readers[3].slot, ROOM);
    hub.turns();
    assert_eq!(hub.left(), [4]);
    hub.local.remove(readers[3].slot);
    hub.turns();
    assert_eq!(hub.left(), [0; 0], "counted once");
}

#[test]
fn a_reader_that_died_on_the_way_counts_as_gone() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.local.remove(ann.slot);
    hub.attach(&ann, 0, vec![]);
    assert_eq!(hub.left(), [1]);
}

#[test]
fn the_last_frame_of_a_membership_is_the_last_from_that_room() {
    let hub = Hub::new();
    let (ann, bob) = (hub.reader(1), hub.reader(2));
    hub.attach(&ann, 0, vec![]);
    hub.attach(&bob, 0, vec![]);
    let left = Item::of_bytes(Bytes::from_static(b"left ")).ending(UserId([1; 15]));
    hub.deliver(vec![left, item(1, "1")]);
    hub.turns();
    assert_eq!((ann.takes(), bob.takes()), ("left ".to_owned(), "left 1".to_owned()));
    assert!(matches!(ann.inbox.drain()[..], [ConnectionMessage::Detached(ROOM)]));
    assert_eq!(hub.left(), [1]);
}

#[test]
fn an_audience_that_begins_again_finds_its_readers() {
    let hub = Hub::new();
    let adopt = |epoch| {
        let (reply, answer) = Reply::channel();
        let audience = hub.audience.clone();
        hub.add(HubMessage::Adopt(Adopt { room: ROOM, audience, epoch, reply }));
        hub.turns();
        taken(answer)
    };
    assert_eq!(adopt(1), Adopted { readers: 0, delivered: None });
    let ann = hub.reader(1);
    hub.attach(&ann, 4, vec![]);
    hub.deliver(vec![item(5, "5")]);
    assert_eq!(adopt(1), Adopted { readers: 1, delivered: Some(Place { seq: 5, rev: 0 }) });
}

fn taken<T>(mut answer: oneshot::Receiver<Result<T, crate::kernel::Lost>>) -> T {
    answer.try_recv().unwrap().unwrap()
}

#[test]
fn silence_is_pinged_then_closed() {
    let hub = Hub::new();
    let (silent, lively, idle) = (hub.reader(1), hub.reader(2), hub.reader(3));
    let ping = String::from_utf8_lossy(&websocket::ping()).into_owned();
    for expected in [&ping, &ping, ""] {
        hub.local.touch(lively.slot);
        idle.socket.has_answered.set(true);
        hub.local.core().tick(Instant::now());
        let closes = silent.inbox.drain();
        assert_eq!(matches!(closes[..], [ConnectionMessage::Closing]), expected.is_empty());
        hub.turns();
        assert_eq!((lively.takes(), idle.takes()), (ping.clone(), ping.clone()));
        let heard = silent.takes();
        assert!(heard == expected || expected.is_empty(), "{heard:?}");
    }
}

#[test]
fn whoever_says_nothing_is_closed() {
    let hub = Hub::new();
    let (socket, inbox) = (Rc::new(Paper::default()), Address::detached(16));
    hub.local.open(socket, inbox.clone(), Codec::Json);
    let late = Instant::now() + LIMITS.hello_timeout;
    hub.local.core().tick(late - Duration::from_secs(1));
    assert_eq!(inbox.drain().len(), 0);
    hub.local.core().tick(late);
    assert_eq!(inbox.drain().len(), 0, "what it said in time may not be read yet");
    hub.local.core().tick(late);
    assert!(matches!(inbox.drain()[..], [ConnectionMessage::Closing]));
}

#[test]
fn who_said_hello_while_the_node_stood_still_is_not_closed() {
    let hub = Hub::new();
    let (socket, inbox) = (Rc::new(Paper::default()), Address::detached(16));
    let slot = hub.local.open(socket, inbox.clone(), Codec::Json);
    let late = Instant::now() + 2 * LIMITS.hello_timeout;
    hub.local.core().tick(late);
    hub.local.hello_was_said(slot);
    hub.local.core().tick(late);
    assert_eq!(inbox.drain().len(), 0);
    hub.local.awaits_hello(slot); // nobody could say whose token it is
    hub.local.core().tick(late);
    hub.local.core().tick(late);
    assert!(matches!(inbox.drain()[..], [ConnectionMessage::Closing]));
}

#[test]
fn a_goodbye_that_is_not_answered_ends_all_the_same() {
    let hub = Hub::new();
    let (heard, stuck) = (hub.reader(1), hub.reader(2));
    stuck.socket.is_full.set(true);
    let now = Instant::now();
    for reader in [&heard, &stuck] {
        hub.local.close(reader.slot, CloseCode::Normal);
    }
    hub.turns();
    assert!(heard.socket.is_ended.get(), "the close frame was written, nothing follows");
    assert!(!stuck.socket.is_ended.get());
    let ended_after = |wait: Duration| {
        for _ in 0..2 {
            hub.local.core().tick(now + wait + Duration::from_secs(1));
        }
        [&heard, &stuck].map(|reader| reader.inbox.is_told_to_stop())
    };
    assert_eq!(ended_after(Duration::ZERO), [false, false]);
    assert_eq!(ended_after(GOODBYE), [true, false]);
    assert_eq!(ended_after(LINGER), [true, true]);
}

#[test]
fn a_session_that_ended_is_closed_also_when_it_says_so_late() {
    let hub = Hub::new();
    let (ann, ben) = (hub.reader(1), hub.reader(2));
    let ended = [SessionId([1; 15]), SessionId([3; 15])];
    hub.local.core().end_sessions(&ended, CloseCode::Replaced);
    let late = hub.reader(3);
    hub.local.core().flush();
    for reader in [&ann, &late] {
        assert!(reader.takes().ends_with(CloseCode::Replaced.reason()));
    }
    assert_eq!(ben.takes(), "");
}

#[test]
fn a_hub_that_failed_tells_everybody_to_resume() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    hub.local.core().reset();
    assert!(ann.takes().ends_with(CloseCode::Restart.reason()));
    assert!(ann.inbox.is_told_to_stop());
    hub.local.remove(ann.slot);
    hub.turns();
    assert_eq!(hub.left(), [1]);
}
