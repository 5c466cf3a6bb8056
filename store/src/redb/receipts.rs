//! [`ReceiptStore`] on redb.

use super::{Redb, rooms::scan_members, transaction::Tables};
use crate::{ReceiptStore, StoreError, metrics::Call, receipts::Read, rooms::Member};
use async_trait::async_trait;
use madang_protocol::{RoomId, UserId};

#[async_trait]
impl ReceiptStore for Redb {
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError> {
        if reads.is_empty() {
            return Ok(());
        }
        self.engine.gather(Call::PutReads, move |tables| put_reads(tables, &reads)).await
    }

    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.engine.read(Call::Readers, |snapshot| {
            let has_read = |member: &Result<Member, StoreError>| {
                member.as_ref().map_or(true, |member| member.read_seq >= seq)
            };
            scan_members(snapshot, room, after)?.filter(has_read).take(limit).collect()
        })
    }
}

/// Notes them all; [`Tables::settle`] looks at the members, each once.
fn put_reads(tables: &mut Tables<'_>, reads: &[Read]) -> Result<(), StoreError> {
    for read in reads {
        match tables.heads(read.room) {
            Ok(Some(heads)) => {
                tables.note_read(read.room, read.user, read.seq.min(heads.last_seq));
            }
            Ok(None) => {}
            // One damaged room must not keep everyone's receipts from being committed.
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::error!(%error, "a read position was not moved");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
