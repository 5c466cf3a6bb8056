//! The typed side of the store reader.

use super::{ACTIVATIONS_MAX, Ask, ErasedAnswer, Query, copies::Copies};
use crate::{
    batcher::{LastSeen, Online, ReadPositions},
    kernel::{Address, Reply, SendError},
};
use madang_protocol::{
    ClientId, Emoji, ErrorCode, Millis, Refusal, RoomId, UserId, limits::ANSWER_BYTES_MAX,
    object::MessageObject, operation::Range,
};
use madang_store::{
    Store, StoreError,
    accounts::{AddressKey, Credentials},
    log::{Activation, ChangedPage, Mark, Page, Sent, Target},
    rooms::{Access, ListPlace, Member, RoomView},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Bodies of one page at most, bytes. Escaping may make text sixfold as long; whoever writes a
/// page out cuts it again to what its reader takes.
const PAGE_BYTES_MAX: usize = ANSWER_BYTES_MAX / 4;

/// Asks the store reader. Cloning shares it. Every call has a deadline and answers a refusal
/// (`unavailable`, `overloaded`, `internal`) when the store gives no answer.
#[derive(Clone)]
pub struct Reader {
    actor: Address<Ask>,
    wait: Duration,
    /// Read positions that are ahead of the store are part of every answer.
    positions: ReadPositions,
    online: Online,
    pub(super) last_seen: LastSeen,
    activations: Arc<Semaphore>,
    /// What is looked at before the store; `None` where the store is in this process, and as fast.
    pub(super) copies: Option<Copies>,
}

impl Reader {
    /// Asks `actor`, and waits `wait` for each answer.
    pub fn new(
        actor: Address<Ask>,
        wait: Duration,
        positions: ReadPositions,
        online: Online,
        last_seen: LastSeen,
    ) -> Self {
        let activations = Arc::new(Semaphore::new(ACTIVATIONS_MAX));
        Self { actor, wait, positions, online, last_seen, activations, copies: None }
    }

    /// Read positions ahead of the store.
    pub fn positions(&self) -> &ReadPositions {
        &self.positions
    }

    /// See `MessageLog::page`.
    pub async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<Arc<Page>, Refusal> {
        self.page_now(room, range, limit).await.map_err(|error| refusal(&error))
    }

    /// See `RoomStore::view`.
    pub async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, Refusal> {
        let read = async move |store: Store| store.rooms.view(room, user).await;
        let view: Option<RoomView> = self.answer(Query::View(room, user), read).await?;
        Ok(view.map(|view| self.up_to_date(view, user)))
    }

    /// A view of `user` with how far it has read by now.
    pub fn up_to_date(&self, view: RoomView, user: UserId) -> RoomView {
        let read_seq = self.positions.stored(view.room, user, view.read_seq);
        RoomView { read_seq: read_seq.min(view.heads.last_seq), ..view }
    }

    /// See `RoomStore::list`.
    pub async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, Refusal> {
        let read = async move |store: Store| store.rooms.list(user, after, limit).await;
        let views: Vec<RoomView> = self.answer(Query::List(user, after, limit), read).await?;
        Ok(views.into_iter().map(|view| self.up_to_date(view, user)).collect())
    }

    /// See `RoomStore::access`.
    pub async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, Refusal> {
        self.access_now(user, rooms).await.map_err(|error| refusal(&error))
    }

    /// See `RoomStore::access_all`.
    pub async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, Refusal> {
        let read = async move |store: Store| store.rooms.access_all(user, limit).await;
        let mut found: Vec<(RoomId, Access)> =
            self.answer(Query::AccessAll(user, limit), read).await?;
        for (room, access) in &mut found {
            self.bring_up_to_date(access, *room, user);
        }
        Ok(found)
    }

    /// See `RoomStore::members`.
    pub async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Refusal> {
        let read = async move |store: Store| store.rooms.members(room, after, limit).await;
        let mut members: Vec<Member> =
            self.answer(Query::Members(room, after, limit), read).await?;
        for member in &mut members {
            member.read_seq = self.positions.stored(room, member.user, member.read_seq);
        }
        Ok(members)
    }

    /// Keeps those of `users` who are online by a connection to this node.
    pub(crate) fn retain_held(&self, users: &mut Vec<UserId>) {
        self.online.retain_held(users);
    }

    /// Whether each of `users` is online, in the order asked.
    pub async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, Refusal> {
        match tokio::time::timeout(self.wait, self.online.of(users)).await {
            Ok(online) => online.map_err(|error| refusal(&error)),
            Err(_) => Err(refusal(&unanswered("presence took too long"))),
        }
    }

    /// Which of the first `members_max` members of a room are online, ordered; true: it has more.
    pub async fn online_in(
        &self,
        room: RoomId,
        members_max: usize,
    ) -> Result<(Vec<UserId>, bool), Refusal> {
        let members = self.members(room, None, members_max + 1).await?;
        let users = members.iter().take(members_max).map(|member| member.user);
        let users: Vec<UserId> = users.collect();
        let are_online = self.online(&users).await?;
        let online = users.into_iter().zip(are_online).filter(|(_, is_online)| *is_online);
        Ok((online.map(|(user, _)| user).collect(), members.len() > members_max))
    }

    /// Members who have read `room` up to `seq` or beyond, ordered by user, after the user `after`,
    /// at most `limit`; with those whose positions are not stored yet. At most two store calls.
    pub async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Refusal> {
        // Looked at before the store: what is stored in between is found there.
        let ahead = self.positions.pending_in(room, seq, after, limit);
        let read = async move |store: Store| store.receipts.readers(room, seq, after, limit).await;
        let mut readers: Vec<Member> =
            self.answer(Query::Readers(room, seq, after, limit), read).await?;
        let users: Vec<UserId> = ahead
            .into_iter()
            .map(|(user, _)| user)
            .filter(|user| readers.binary_search_by_key(user, |member| member.user).is_err())
            .collect();
        if !users.is_empty() {
            let query = Query::MembersAmong(room, users.clone());
            let read = async move |store: Store| store.rooms.members_among(room, users).await;
            let ahead: Vec<Member> = self.answer(query, read).await?;
            readers.extend(ahead);
            readers.sort_unstable_by_key(|member| member.user);
            readers.truncate(limit);
        }
        for member in &mut readers {
            member.read_seq = self.positions.stored(room, member.user, member.read_seq);
        }
        Ok(readers)
    }

    /// See `AccountStore::credentials`.
    pub async fn credentials(&self, folded: String) -> Result<Option<Credentials>, Refusal> {
        let query = Query::Credentials(folded.clone());
        let read = async move |store: Store| store.accounts.credentials(folded).await;
        self.answer(query, read).await
    }

    /// See `AccountStore::last_login_from`.
    pub async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, Refusal> {
        let read = async move |store: Store| store.accounts.last_login_from(user, address).await;
        self.answer(Query::LastLogin(user, address), read).await
    }

    pub(crate) async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        let turn = tokio::time::timeout(self.wait, self.activations.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(unanswered("many rooms begin at once"));
        };
        let read = async move |store: Store| store.log.activate(room, window).await;
        self.read(Query::Activate(room), read).await
    }

    pub(crate) async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        let read = async move |store: Store| store.log.find_sent(room, sent).await;
        self.read(Query::FindSent(room), read).await
    }

    pub(crate) async fn page_now(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
    ) -> Result<Arc<Page>, StoreError> {
        let read = async move |store: Store| {
            store.log.page(room, range, limit, PAGE_BYTES_MAX).await.map(Arc::new)
        };
        self.read(Query::Page(room, range, limit), read).await
    }

    /// See `MessageLog::my_reactions`.
    pub async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, Refusal> {
        let query = Query::MyReactions(room, user, seqs.clone());
        let read = async move |store: Store| store.log.my_reactions(room, user, seqs).await;
        self.answer(query, read).await
    }

    /// Says in `messages`, of one room, what `user` reacted with: one more read when there are
    /// reactions at all, else none.
    pub async fn add_my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        messages: &mut [MessageObject],
    ) -> Result<(), Refusal> {
        let mut reacted: Vec<&mut MessageObject> =
            messages.iter_mut().filter(|message| !message.reactions.is_empty()).collect();
        if reacted.is_empty() {
            return Ok(());
        }
        let seqs = reacted.iter().map(|message| message.seq).collect();
        let mine = self.my_reactions(room, user, seqs).await?;
        for (message, mine) in reacted.iter_mut().zip(mine) {
            message.my_reactions = mine;
        }
        Ok(())
    }

    /// See `MessageLog::changed`.
    pub async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
    ) -> Result<Arc<ChangedPage>, Refusal> {
        let read = self.changed_now(room, after_rev, to_seq, limit).await;
        read.map_err(|error| refusal(&error))
    }

    pub(crate) async fn changed_now(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
    ) -> Result<Arc<ChangedPage>, StoreError> {
        let read = async move |store: Store| {
            let page = store.log.changed(room, after_rev, to_seq, limit, PAGE_BYTES_MAX).await?;
            Ok(Arc::new(page))
        };
        self.read(Query::Changed(room, after_rev, to_seq, limit), read).await
    }

    pub(crate) async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        let read = async move |store: Store| store.log.marks(room, after_rev, limit).await;
        self.read(Query::Marks(room, after_rev), read).await
    }

    pub(crate) async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        let read = async move |store: Store| store.log.target(room, seq, user).await;
        self.read(Query::Target(room, seq, user), read).await
    }

    pub(crate) async fn access_now(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        let query = Query::Access(user, rooms.clone());
        let asked = rooms.clone();
        let read = async move |store: Store| store.rooms.access(user, asked).await;
        let mut found: Vec<Option<Access>> = self.read(query, read).await?;
        for (room, access) in rooms.into_iter().zip(found.iter_mut()) {
            if let Some(access) = access {
                self.bring_up_to_date(access, room, user);
            }
        }
        Ok(found)
    }

    fn bring_up_to_date(&self, access: &mut Access, room: RoomId, user: UserId) {
        if access.role.is_some() {
            let read_seq = self.positions.stored(room, user, access.read_seq);
            access.read_seq = read_seq.min(access.heads.last_seq);
        }
    }

    pub(super) async fn answer<T, R>(&self, query: Query, read: R) -> Result<T, Refusal>
    where
        T: Clone + Send + Sync + 'static,
        R: AsyncFnOnce(Store) -> Result<T, StoreError> + Send + 'static,
    {
        self.read(query, read).await.map_err(|error| refusal(&error))
    }

    /// Queries of one kind have answers of one type, so the downcast holds.
    pub(super) async fn read<T, R>(&self, query: Query, read: R) -> Result<T, StoreError>
    where
        T: Clone + Send + Sync + 'static,
        R: AsyncFnOnce(Store) -> Result<T, StoreError> + Send + 'static,
    {
        let call = Box::new(move |store: Store| {
            let answer = async move {
                let value: Arc<dyn std::any::Any + Send + Sync> = Arc::new(read(store).await?);
                Ok(value)
            };
            Box::pin(answer) as std::pin::Pin<Box<dyn Future<Output = ErasedAnswer>>>
        });
        let (reply, answer) = Reply::channel();
        match self.actor.try_send(Ask::Query(query, call, reply, Instant::now())) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Err(StoreError::Overloaded),
            Err(SendError::Closed(_)) => return Err(unanswered("the node is stopping")),
        }
        match tokio::time::timeout(self.wait, answer).await {
            Ok(Ok(Ok(answer))) => {
                let answer = answer?;
                let value = answer.downcast_ref::<T>().expect("one kind of query, one type");
                Ok(value.clone())
            }
            Ok(_) => Err(unanswered("the read was dropped")),
            Err(_) => Err(unanswered("the read took too long")),
        }
    }
}

fn unanswered(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// What a client is told when the store gives no answer. The details are for the log.
pub fn refusal(error: &StoreError) -> Refusal {
    match error {
        StoreError::Overloaded => Refusal::overloaded("the store is busy"),
        StoreError::Unavailable(_) | StoreError::Unknown(_) => {
            tracing::debug!(%error, "no answer from the store");
            Refusal::unavailable("the store gives no answer")
        }
        StoreError::Damaged { .. } => {
            tracing::error!(%error, "damaged record");
            Refusal::new(ErrorCode::Internal, "stored data is damaged")
        }
    }
}
