//! Who is online: leases that end by themselves.

mod fallback;
mod in_process;

pub use fallback::Fallback;
pub use in_process::InProcess;

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::UserId;

/// One life of a node. A node that was killed comes back as another, so that what is left of the
/// earlier one cannot end what the later one holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeLife {
    /// The node's name.
    pub node: String,
    /// Random.
    pub incarnation: u64,
}

/// What the leases of one node need at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flush {
    /// Leases to be taken or prolonged.
    pub renew: Vec<UserId>,
    /// For so long from now.
    pub ttl_ms: u64,
    /// Leases to be ended.
    pub end: Vec<UserId>,
    /// Of how many that ran out is to be told; 0: of none. See [`PresenceStore::run_out`].
    pub run_out_max: usize,
}

/// Who came, and who went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// These were not online before.
    pub came: Vec<UserId>,
    /// These are not any more.
    pub went: Vec<UserId>,
    /// Other nodes may hold leases that were not looked at.
    pub is_partial: bool,
}

/// Which users have a connection anywhere. A user is online while a life of some node holds a
/// lease for it; nothing here has to survive anything, since whoever holds leases renews them.
#[async_trait]
pub trait PresenceStore: Send + Sync + 'static {
    /// Takes or prolongs the leases of `holder` for all of `users`, until `ttl_ms` from now.
    /// Returns those of them that were not online before, in the order given.
    async fn renew(
        &self,
        holder: &NodeLife,
        users: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError>;

    /// Ends the leases of `holder` for all of `users`. Returns those of them that are not online
    /// any more, in the order given; one that was not online before counts too.
    async fn end(&self, holder: &NodeLife, users: Vec<UserId>) -> Result<Vec<UserId>, StoreError>;

    /// Users who were online until their last lease ran out, without anybody's having ended it:
    /// each is told once, to one of those who ask, some `limit` of them at most. Of a node that was
    /// killed that is how the others learn who went with it.
    async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError>;

    /// [`PresenceStore::renew`], [`PresenceStore::end`] and [`PresenceStore::run_out`], in this order;
    /// in one round trip where there is one to be made.
    async fn flush(&self, holder: &NodeLife, flush: Flush) -> Result<Edges, StoreError> {
        let came = self.renew(holder, flush.renew, flush.ttl_ms).await?;
        let mut went = self.end(holder, flush.end).await?;
        if flush.run_out_max > 0 {
            went.extend(self.run_out(flush.run_out_max).await?);
        }
        Ok(Edges { came, went, is_partial: false })
    }

    /// Whether each of `users` is online, in the order asked.
    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError>;
}
