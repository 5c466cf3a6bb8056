//! Receipts: how far members have read.

use crate::{StoreError, rooms::Member};
use async_trait::async_trait;
use madang_protocol::{RoomId, UserId};

/// How far members have read. The read position of one member is also in
/// [`RoomView`](crate::rooms::RoomView), [`Access`](crate::rooms::Access) and [`Member`].
#[async_trait]
pub trait ReceiptStore: Send + Sync + 'static {
    /// One bulk write, durable when it returns: moves read positions up, never down, and never
    /// beyond the newest message of the room. Makes nobody a member, and passes over whoever is
    /// none.
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError>;

    /// Members of `room` whose read position is at least `seq`, ordered by user, after the user
    /// `after`, at most `limit`.
    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;
}

/// A user has read a room up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Read {
    /// The room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// The newest message read.
    pub seq: u64,
}
