//! From a room's id to its home, on this node or another, and to its readers on this node.

use crate::{
    audience::{self, AudienceActor, AudienceMessage, KnownHeads},
    homes::Home,
    hub::{HubMessage, Hubs, Identity, Joined},
    kernel::{Address, Arbiter, Exhausted, Lost, Reply, SendError, Supervisor, start_supervised},
    lane::{self, Given, LaneActor, LaneMessage},
    metrics::{Metrics, Shed},
    places::{Places, Way},
    remote,
    room::{
        self, Caught, RoomActor, RoomMessage, Services,
        pending::{Submit, Work},
        standing::Change,
    },
};
use dashmap::DashMap;
use madang_cluster::Subscription;
use madang_protocol::{
    Entry, Ephemeral, ErrorCode, EventBatch, Heads, Message, Millis, Place, Publication, Reaction,
    Refusal, Role, RoomId, UserId, operation,
};
use madang_store::{StoreError, rooms::RoomChange};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Finds the home of a room and hands it requests; starts it when it is asked for. Cloning
/// shares the registry.
#[derive(Clone)]
pub struct Router(pub(crate) Arc<Registry>);

/// `ok` to a send, an edit, a deletion or a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The room.
    pub room: RoomId,
    /// The message's place.
    pub seq: u64,
    /// Its time, or that of the change.
    pub ts: Millis,
    /// The `rev` of an edit or a deletion.
    pub rev: u64,
    /// It was there already.
    pub duplicate: bool,
}

impl Receipt {
    /// For what was written just now.
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Message(message) => Self::of_change(message),
            Entry::Change(change) => Self { ts: change.ts, ..Self::of_change(&change.message) },
            Entry::Reaction(reaction) => {
                let Reaction { room, seq, .. } = **reaction;
                Self { room, seq, ts: 0, rev: 0, duplicate: false }
            }
        }
    }

    /// For a message that is as it was asked to be.
    pub fn of_change(message: &Message) -> Self {
        let Message { room, seq, ts, .. } = *message;
        Self { room, seq, ts, rev: message.rev(), duplicate: false }
    }
}

pub(crate) struct Registry {
    /// Read on every send.
    pub(crate) places: Places,
    /// Bounded by the rooms that are subscribed to here.
    audiences: DashMap<RoomId, Audience>,
    pub(crate) arbiters: Vec<Arbiter>,
    pub(crate) supervisor: Supervisor,
    pub(crate) services: Arc<Services>,
    pub(crate) hubs: Hubs,
    pub(crate) send_wait: Duration,
    /// The last trace id that was given out.
    traces: AtomicU64,
}

/// The readers of a room on this node.
struct Audience {
    address: Address<AudienceMessage>,
    known: KnownHeads,
    /// Ends with the entry.
    _subscription: Subscription,
}

/// A home that stops between look-up and send is looked up again; more than a few times in a row
/// means something else is wrong.
const ATTEMPTS: usize = 8;
impl Router {
    /// Places rooms and audiences on `arbiters`, below `supervisor`. A send waits `send_wait`.
    pub fn new(
        arbiters: Vec<Arbiter>,
        supervisor: Supervisor,
        services: Arc<Services>,
        hubs: Hubs,
        send_wait: Duration,
    ) -> Self {
        // Apart from those of any other node and life by the bits the incarnation puts there.
        let traces = AtomicU64::new(services.homes.me().incarnation << 24);
        Self(Arc::new(Registry {
            places: Places::default(),
            audiences: DashMap::new(),
            traces,
            arbiters,
            supervisor,
            services,
            hubs,
            send_wait,
        }))
    }

    /// Posts a message; returns when it is committed. The message must be within the limits.
    pub async fn send(&self, sender: UserId, send: operation::Send) -> Result<Receipt, Refusal> {
        let (reply, answer) = Reply::channel();
        let (room, work) = Work::send(send);
        self.submit(sender, room, work, reply);
        let answer = answer.await.unwrap_or(Err(Lost::Dropped));
        let receipt = answer.unwrap_or_else(|lost| Err(lost_send(lost)))?;
        self.0.services.reader.positions().stored(receipt.room, sender, receipt.seq);
        Ok(receipt)
    }

    /// Asks the home of `room`, wherever it is, to commit something; `reply` is told when it is committed, or why
    /// it is not, at the latest about a second after the deadline of sends.
    pub fn submit(
        &self,
        sender: UserId,
        room: RoomId,
        work: Work,
        reply: Reply<Result<Receipt, Refusal>>,
    ) {
        let (deadline, trace) = (Instant::now() + self.0.send_wait, self.trace());
        tracing::debug!(trace, %room, "submitted");
        let mut given: Given = (Submit { sender, work, deadline, trace }, reply);
        for _ in 0..ATTEMPTS {
            match self.offer(room, given) {
                Ok(()) => return,
                Err(SendError::Closed(back)) => given = back,
                Err(SendError::Full(back)) => {
                    given = back;
                    break;
                }
            }
        }
        given.1.send(Err(Refusal::overloaded("the room is busy")));
    }

    /// Changes a room, or who is in it, if `by` may; returns the role that the user it concerns
    /// holds then. Sends taken from that user before are settled first; none is committed after a
    /// membership has ended.
    pub async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
    ) -> Result<Option<Role>, Refusal> {
        let change = Change { by, change };
        let change = self.change_where_it_belongs(room, change, Instant::now() + self.0.send_wait);
        tokio::time::timeout(self.0.send_wait, change).await.unwrap_or_else(|_| {
            Err(Refusal::unavailable("not committed in time, the outcome is unknown"))
        })
    }

    /// Tells the connections of new members on all nodes, who want all their rooms, of one more.
    /// Each tells of a commit, which is what bounds their number.
    pub fn announce_joined(&self, room: RoomId, heads: Heads, members: Vec<(UserId, Role)>) {
        let joined = Joined { room, heads, members };
        self.0.services.notices.joined(&joined);
        self.tell_joined(joined);
    }

    /// Tells those on this node.
    pub fn tell_joined(&self, joined: Joined) {
        let joined = Arc::new(joined);
        self.0.hubs.tell_all(|| HubMessage::Joined(joined.clone()));
    }

    /// Tells whoever receives `room` now; nobody keeps it, and it may be lost.
    /// What an operator has switched off is told to nobody.
    pub fn publish_ephemeral(&self, room: RoomId, ephemeral: Ephemeral) {
        let switches = &self.0.services.switches;
        let is_on = match ephemeral {
            Ephemeral::Signal { .. } => true,
            Ephemeral::Typing { .. } => true, // the audience knows what it told already
            Ephemeral::Reads(_) => switches.receipts(),
            Ephemeral::Presence { .. } => switches.presence(),
        };
        if !is_on {
            return self.metrics().shed(Shed::SwitchedOff, 1);
        }
        self.0.services.bus.publish(&Publication::Ephemeral(room, Arc::new(ephemeral)));
    }

    /// Nobody will join this node.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.services.homes.is_alone()
    }

    /// The node's.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.services.metrics
    }

    /// The sessions that have a socket here, ordered, each once.
    pub async fn sessions(&self) -> Vec<Identity> {
        self.ask_hubs(HubMessage::Sessions).await
    }

    /// The users with a socket here that wants all their rooms, ordered, each once.
    pub async fn who_want_all(&self) -> Vec<UserId> {
        self.ask_hubs(HubMessage::WhoWantsAll).await
    }

    /// These users, by id, are in these rooms: their sockets here that want all, and do not receive
    /// one, look again.
    pub fn tell_found(&self, rooms_of: Vec<(UserId, Vec<RoomId>)>) {
        let rooms_of = Arc::new(rooms_of);
        self.0.hubs.tell_all(|| HubMessage::Found(rooms_of.clone()));
    }

    /// All rooms of each of these users, by id, in one read.
    pub(crate) async fn rooms_of(
        &self,
        users: Vec<UserId>,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        self.0.services.rooms.rooms_of(users, u64::from(u32::MAX)).await
    }

    async fn ask_hubs<T>(&self, question: impl Fn(Reply<Vec<T>>) -> HubMessage) -> Vec<T>
    where
        T: Ord + Send + 'static,
    {
        let ask = |hub: &Address<HubMessage>| {
            let (reply, answer) = Reply::channel();
            hub.urge(question(reply));
            answer
        };
        let mut all = Vec::new();
        for answer in self.0.hubs.iter().map(ask).collect::<Vec<_>>() {
            // A hub that begins anew has no connections.
            all.extend(answer.await.into_iter().flatten().flatten());
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Tells the room's actor on this node something, whatever its home. Gives it back when it is full.
    pub(crate) fn tell(&self, room: RoomId, message: RoomMessage) -> Result<(), RoomMessage> {
        let here = || self.0.places.room(room, || self.start_room(room));
        deliver(message, here, |address| self.forget_room(room, address))
    }

    /// Asks the home of `room`, wherever it is, what an audience missed that stands at `after` and
    /// heard that the room is as far as `known`. A question that cannot be asked is dropped.
    pub(crate) fn catch_up(&self, room: RoomId, after: Heads, known: Place, reply: Reply<Caught>) {
        match self.0.services.homes.home(room) {
            Home::Here => {
                let _ = self.tell(room, RoomMessage::CatchUp(after, known, reply));
            }
            Home::There(peer) => {
                let bus = self.0.services.bus.clone();
                self.arbiter_of(room).spawn(move || async move {
                    if let Some(caught) = remote::ask::catch_up(bus, peer, room, after, known).await
                    {
                        reply.send(caught);
                    }
                });
            }
            Home::Nobody => {}
        }
    }

    /// The readers of `room` hear how far it is at least, if there are any: what they missed is fetched.
    pub fn tell_heads(&self, room: RoomId, heads: Heads) {
        let audience = self.0.audiences.get(&room).map(|audience| audience.address.clone());
        if let Some(audience) = audience {
            let beacon = EventBatch { room, before: heads, after: heads, events: Vec::new() };
            // One that is full or gone fetches anyway.
            let _ = audience.try_send(AudienceMessage::Batch(Arc::new(beacon)));
        }
    }

    /// `room` is at home on this node.
    pub(crate) fn is_home(&self, room: RoomId) -> bool {
        self.0.services.homes.home(room) == Home::Here
    }

    /// A room goes: what `close` gives is this node's and goes into the lane.
    pub(crate) fn end_room(&self, room: RoomId, close: impl FnOnce() -> Vec<Given>) {
        self.0.places.end_room(room, close, || self.start_lane(room));
    }

    /// A lane goes: what `close` gives goes to the room, which is here.
    pub(crate) fn end_lane(&self, room: RoomId, close: impl FnOnce() -> Vec<Given>) {
        self.0.places.end_lane(room, close, || self.start_room(room));
    }

    pub(crate) fn forget_lane(&self, room: RoomId, address: &Address<LaneMessage>) {
        self.0.places.forget_lane(room, address);
    }

    /// The rooms with readers on this node, by id, and how far these are.
    pub fn known_heads(&self) -> Vec<(RoomId, Heads)> {
        let audiences = self.0.audiences.iter();
        let mut known: Vec<(RoomId, Heads)> =
            audiences.map(|entry| (*entry.key(), entry.known.get())).collect();
        known.sort_unstable_by_key(|(room, _)| *room);
        known
    }

    /// Tells the audience of `room`, starting it when there is none.
    pub(crate) fn tell_audience(
        &self,
        room: RoomId,
        message: AudienceMessage,
    ) -> Result<(), AudienceMessage> {
        let audience = || self.audience(room);
        deliver(message, audience, |address| self.forget_audience(room, address))
    }

    pub(crate) fn forget_room(&self, room: RoomId, address: &Address<RoomMessage>) {
        self.0.places.forget_room(room, address);
    }

    pub(crate) fn forget_audience(&self, room: RoomId, address: &Address<AudienceMessage>) {
        self.0.audiences.remove_if(&room, |_, known| known.address.is_same(address));
    }

    /// Puts a submit on its way: into the lane, or to the room, or to one of them that is begun.
    fn offer(&self, room: RoomId, given: Given) -> Result<(), SendError<Given>> {
        let begin = || {
            if self.is_home(room) {
                Way::Room(self.start_room(room))
            } else {
                Way::Lane(self.start_lane(room))
            }
        };
        let (submit, reply) = given;
        match self.0.places.way(room, begin) {
            Way::Room(address) => match address.try_send(RoomMessage::Submit(submit, reply)) {
                Err(SendError::Closed(RoomMessage::Submit(submit, reply))) => {
                    self.forget_room(room, &address);
                    Err(SendError::Closed((submit, reply)))
                }
                Err(SendError::Full(RoomMessage::Submit(submit, reply))) => {
                    Err(SendError::Full((submit, reply)))
                }
                _ => Ok(()),
            },
            Way::Lane(address) => match address.try_send(LaneMessage::Submit(submit, reply)) {
                Err(SendError::Closed(LaneMessage::Submit(submit, reply))) => {
                    self.forget_lane(room, &address);
                    Err(SendError::Closed((submit, reply)))
                }
                Err(SendError::Full(LaneMessage::Submit(submit, reply))) => {
                    Err(SendError::Full((submit, reply)))
                }
                _ => Ok(()),
            },
        }
    }

    /// Tells what follows from one submit apart, in the logs of all nodes.
    fn trace(&self) -> u64 {
        self.0.traces.fetch_add(1, Ordering::Relaxed)
    }

    fn start_room(&self, room: RoomId) -> Address<RoomMessage> {
        let (services, router) = (self.0.services.clone(), self.clone());
        start_supervised(
            self.arbiter_of(room),
            room::INBOX_BOUND,
            &self.0.supervisor,
            Exhausted::End,
            move |_| RoomActor::new(room, services.clone(), router.clone()),
        )
    }

    fn start_lane(&self, room: RoomId) -> Address<LaneMessage> {
        let (services, router) = (self.0.services.clone(), self.clone());
        start_supervised(
            self.arbiter_of(room),
            lane::INBOX_BOUND,
            &self.0.supervisor,
            Exhausted::End,
            move |_| LaneActor::new(room, services.clone(), router.clone()),
        )
    }

    fn audience(&self, room: RoomId) -> Address<AudienceMessage> {
        if let Some(audience) = self.0.audiences.get(&room) {
            return audience.address.clone();
        }
        let start = || {
            let (services, router, hubs) =
                (self.0.services.clone(), self.clone(), self.0.hubs.clone());
            let (bus, metrics) = (services.bus.clone(), services.metrics.clone());
            let known = KnownHeads::default();
            let of_actor = known.clone();
            let build = move |_: &Address<_>| {
                let (services, router, hubs) = (services.clone(), router.clone(), hubs.clone());
                AudienceActor::new(room, services, router, hubs, of_actor.clone())
            };
            let address = start_supervised(
                self.arbiter_of(room),
                audience::INBOX_BOUND,
                &self.0.supervisor,
                Exhausted::End,
                build,
            );
            let revive = self.reviver(room);
            let _subscription = audience::subscribe(&*bus, room, address.clone(), metrics, revive);
            Audience { address, known, _subscription }
        };
        self.0.audiences.entry(room).or_insert_with(start).address.clone()
    }

    /// Begins the audience of `room` anew with what one that was given up did not take: its readers
    /// are still there. Later, because the publisher may hold the list of subscribers.
    fn reviver(&self, room: RoomId) -> impl Fn(AudienceMessage) + Send + Sync + 'static {
        let registry = Arc::downgrade(&self.0);
        move |message| {
            if let Some(router) = registry.upgrade().map(Router) {
                let arbiter = router.arbiter_of(room).clone();
                // A full one drops it, and fetches it as any audience does.
                arbiter.run(move || drop(router.tell_audience(room, message)));
            }
        }
    }

    /// A room and its audience live on one arbiter: a message goes between them without waking
    /// another thread.
    pub(crate) fn arbiter_of(&self, room: RoomId) -> &Arbiter {
        let arbiters = &self.0.arbiters;
        &arbiters[remote::place(room, arbiters.len())]
    }
}

/// `forbidden`: in a channel only its owner and admins post.
pub fn posting_refused() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "only the owner and admins post in a channel")
}

/// What the sender is told when its room gives no answer.
pub(crate) fn lost_send(lost: Lost) -> Refusal {
    match lost {
        Lost::Panicked => Refusal::new(ErrorCode::Internal, "the message was dropped by a fault"),
        Lost::Dropped => Refusal::unavailable("the room was restarted, the outcome is unknown"),
    }
}

fn deliver<M>(
    mut message: M,
    mut find: impl FnMut() -> Address<M>,
    forget: impl Fn(&Address<M>),
) -> Result<(), M> {
    for _ in 0..ATTEMPTS {
        let address = find();
        message = match address.try_send(message) {
            Ok(()) => return Ok(()),
            Err(SendError::Full(message)) => return Err(message),
            Err(SendError::Closed(message)) => {
                forget(&address);
                message
            }
        };
    }
    Err(message)
}
