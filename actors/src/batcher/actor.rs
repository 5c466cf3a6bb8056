//! Looks at what was noted, writes it, tells the rooms.

use super::{
    Connected, LastSeen, PRESENCE_EVERY, PRESENCE_TOLD_MAX, READS_TOLD_MAX, ReadPositions,
    STORE_WAIT,
    connected::Change,
    leases,
    logic::{Effect, Kind, Logic},
    presence::{Due, Presence, Told},
};
use crate::{
    fail_points,
    hub::Identity,
    kernel::{Actor, Context, Reply},
    metrics::Coalesced,
    route::Router,
};
use madang_protocol::{Ephemeral, Millis, RoomId, UserId};
use madang_store::{
    AccountStore, PresenceStore, ReceiptStore, RoomStore, StoreError,
    accounts::Touch,
    presence::{Edges, NodeLife},
    receipts::Read,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What the batcher works with.
pub struct BatcherServices {
    /// Where read positions are noted.
    pub positions: ReadPositions,
    /// Where connections are noted.
    pub connected: Connected,
    /// Where the use of sessions is noted.
    pub last_seen: LastSeen,
    /// Where read positions go.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Where the ends of sessions go.
    pub accounts: Arc<dyn AccountStore>,
    /// Knows the rooms of users.
    pub rooms: Arc<dyn RoomStore>,
    /// Where leases are held.
    pub leases: Arc<dyn PresenceStore>,
    /// Who holds them.
    pub life: NodeLife,
    /// To the readers.
    pub router: Router,
    /// Receipts are written this often.
    pub receipt_flush: Duration,
    /// The last use of sessions is written this often; `None`: it is not noted.
    pub last_seen_flush: Option<Duration>,
    /// A session ends so long after its last use.
    pub session_lifetime_ms: Millis,
    /// Presence is told in rooms of at most so many members.
    pub presence_members_max: u64,
}

/// What the batcher is told.
pub enum BatcherMessage {
    /// The node stops: answered when everything that was noted before is written.
    Drain(Reply<()>),
    /// The time of `Effect::DueAfter`.
    Due(Kind),
    /// Positions were written, or not.
    ReceiptsWritten(Result<Vec<Read>, StoreError>),
    /// The last use of sessions was written, or not.
    LastSeenWritten(Result<Vec<(Identity, Millis)>, StoreError>),
    /// Leases are as they were due: who came, who went.
    Leased(Result<(Due, Edges), StoreError>),
    /// The rooms of those who came and went.
    RoomsRead(Result<Vec<(UserId, Vec<RoomId>)>, StoreError>),
}

/// See the module.
pub struct Batcher {
    services: Arc<BatcherServices>,
    logic: Logic<Reply<()>>,
    effects: Vec<Effect<Reply<()>>>,
    presence: Presence,
}

impl Batcher {
    /// Writes what is noted in `services`. One that begins again finds all of it there.
    pub fn new(services: Arc<BatcherServices>) -> Self {
        let mut effects = Vec::new();
        let every = |kind| match kind {
            Kind::Receipts => Some(services.receipt_flush),
            Kind::Presence => Some(PRESENCE_EVERY),
            Kind::LastSeen => services.last_seen_flush,
        };
        let logic = Logic::new(every, &mut effects);
        let mut presence = Presence::default();
        let users = services.connected.users();
        services.connected.hold_only(&users);
        for user in users {
            presence.changed(user, Change { is_connected: true, at: Instant::now() });
        }
        Self { services, logic, effects, presence }
    }

    fn perform(&mut self, context: &mut Context<BatcherMessage>) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::DueAfter(kind, delay) => {
                        context.after(delay, BatcherMessage::Due(kind));
                    }
                    Effect::Write(Kind::Receipts) => self.write_receipts(context),
                    Effect::Write(Kind::Presence) => self.lease(context),
                    Effect::Write(Kind::LastSeen) => self.write_last_seen(context),
                    Effect::Drained(reply) => reply.send(()),
                }
            }
        }
    }

    fn written(&mut self, kind: Kind, outcome: Result<(), &StoreError>) {
        if let Err(error) = outcome {
            tracing::warn!(?kind, %error, "not written, tried again later");
        }
        self.logic.written(kind, outcome.is_ok(), &mut self.effects);
    }

    fn write_receipts(&mut self, context: &mut Context<BatcherMessage>) {
        self.services.positions.tidy();
        let reads = self.services.positions.pending();
        if reads.is_empty() {
            return self.written(Kind::Receipts, Ok(()));
        }
        self.services.router.metrics().flushed(Coalesced::Receipts);
        let receipts = self.services.receipts.clone();
        let write = async move { receipts.put_reads(reads.clone()).await.map(|()| reads) };
        context.spawn(in_time(write), BatcherMessage::ReceiptsWritten);
    }

    fn receipts_written(&mut self, written: Result<Vec<Read>, StoreError>) {
        fail_points::pass(Self::KIND, "receipts_written"); // stored, and no room was told
        let reads = match written {
            Ok(reads) => reads,
            Err(error) => return self.written(Kind::Receipts, Err(&error)),
        };
        let mut rooms: BTreeMap<RoomId, Vec<(UserId, u64)>> = BTreeMap::new();
        for Read { room, user, seq } in reads {
            self.services.positions.stored(room, user, seq);
            rooms.entry(room).or_default().push((user, seq));
        }
        for (room, reads) in rooms {
            self.services.router.publish_ephemeral(room, Ephemeral::Reads(told(reads)));
        }
        self.written(Kind::Receipts, Ok(()));
    }

    fn write_last_seen(&mut self, context: &mut Context<BatcherMessage>) {
        let services = self.services.clone();
        let write = async move {
            let seen = services.last_seen.due(services.router.sessions().await);
            if !seen.is_empty() {
                services.router.metrics().gathered(Coalesced::LastSeen, seen.len() as u64);
                services.router.metrics().flushed(Coalesced::LastSeen);
            }
            let touches = seen.iter().map(|(Identity { user, session }, at)| Touch {
                user: *user,
                session: *session,
                expires_at: at.saturating_add(services.session_lifetime_ms),
            });
            services.accounts.touch_sessions(touches.collect()).await.map(|()| seen)
        };
        context.spawn(in_time(write), BatcherMessage::LastSeenWritten);
    }

    fn last_seen_written(&mut self, written: Result<Vec<(Identity, Millis)>, StoreError>) {
        if let Ok(seen) = &written {
            self.services.last_seen.stored(seen);
        }
        self.written(Kind::LastSeen, written.as_ref().map(|_| ()));
    }

    fn lease(&mut self, context: &mut Context<BatcherMessage>) {
        let changed = self.services.connected.take_changed();
        self.services.router.metrics().gathered(Coalesced::Presence, changed.len() as u64);
        for (user, change) in changed {
            if change.is_connected {
                self.services.connected.hold(user);
            }
            self.presence.changed(user, change);
        }
        let due = self.presence.due(Instant::now());
        self.services.connected.let_go(&due.end);
        let is_shared = !self.services.router.is_alone();
        if due.is_empty() && !is_shared {
            return self.read_rooms(context);
        }
        if !due.is_empty() {
            self.services.router.metrics().flushed(Coalesced::Presence);
        }
        let services = self.services.clone();
        let lease = async move {
            let settled = leases::settle(&*services.leases, &services.life, &due, is_shared);
            let mut edges = settled.await?;
            if edges.is_partial && is_shared && !edges.went.is_empty() {
                services.router.retain_elsewhere_offline(&mut edges.went).await;
            }
            Ok((due, edges))
        };
        context.spawn(in_time(lease), BatcherMessage::Leased);
    }

    fn leased(
        &mut self,
        leased: Result<(Due, Edges), StoreError>,
        context: &mut Context<BatcherMessage>,
    ) {
        match leased {
            Ok((due, Edges { came, went, .. })) => {
                self.presence.leased(&due, came, went);
                self.read_rooms(context);
            }
            Err(error) => self.written(Kind::Presence, Err(&error)),
        }
    }

    fn read_rooms(&mut self, context: &mut Context<BatcherMessage>) {
        let users = self.presence.untold(PRESENCE_TOLD_MAX);
        if users.is_empty() {
            return self.written(Kind::Presence, Ok(()));
        }
        let services = self.services.clone();
        let read =
            async move { services.rooms.rooms_of(users, services.presence_members_max).await };
        context.spawn(in_time(read), BatcherMessage::RoomsRead);
    }

    fn tell_rooms(&mut self, read: Result<Vec<(UserId, Vec<RoomId>)>, StoreError>) {
        let rooms_of = match read {
            Ok(rooms_of) => rooms_of,
            Err(error) => return self.written(Kind::Presence, Err(&error)),
        };
        for (room, Told { online, offline }) in self.presence.told(rooms_of) {
            let presence = Ephemeral::Presence { online, offline };
            self.services.router.publish_ephemeral(room, presence);
        }
        self.written(Kind::Presence, Ok(()));
    }
}

impl Actor for Batcher {
    type Message = BatcherMessage;
    const KIND: &'static str = "batcher";

    fn started(&mut self, context: &mut Context<BatcherMessage>) {
        self.perform(context);
    }

    fn handle(&mut self, message: BatcherMessage, context: &mut Context<BatcherMessage>) {
        match message {
            BatcherMessage::Drain(reply) => self.logic.drain(reply, &mut self.effects),
            BatcherMessage::Due(kind) => self.logic.due(kind, &mut self.effects),
            BatcherMessage::ReceiptsWritten(written) => self.receipts_written(written),
            BatcherMessage::LastSeenWritten(written) => self.last_seen_written(written),
            BatcherMessage::Leased(leased) => self.leased(leased, context),
            BatcherMessage::RoomsRead(read) => self.tell_rooms(read),
        }
        self.perform(context);
    }
}

/// What is told of the receipts of one room.
fn told(mut reads: Vec<(UserId, u64)>) -> Vec<(UserId, u64)> {
    reads.sort_unstable();
    reads.truncate(READS_TOLD_MAX);
    reads
}

/// The outcome of a store call, or that it took too long.
pub(crate) async fn in_time<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(STORE_WAIT, call).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unknown("it took too long".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_receipts_are_told_in_one_frame() {
        let read = |number: usize| {
            let mut id = [0; 15];
            id[..8].copy_from_slice(&(number as u64).to_be_bytes());
            (UserId(id), 1)
        };
        let told = told((0..=READS_TOLD_MAX).rev().map(read).collect());
        assert_eq!((told.len(), told[0]), (READS_TOLD_MAX, read(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_counts_as_failed() {
        let stuck = in_time(std::future::pending::<Result<(), StoreError>>());
        let began = tokio::time::Instant::now();
        assert!(matches!(stuck.await, Err(StoreError::Unknown(_))));
        assert_eq!(began.elapsed(), STORE_WAIT);
    }
}
