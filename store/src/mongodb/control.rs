//! [`StoreControl`] on MongoDB, and what goes on beside the calls.

use super::{Mongo, failure::Failure, positions::highest, schema::META};
use crate::{StoreControl, StoreError, metrics::Call, open::Neighbour, presence::NodeLife};
use ::mongodb::bson::doc;
use async_trait::async_trait;
use madang_resilience::Part;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Between two looks whether a set in doubt works again.
const PROBE_EVERY: Duration = Duration::from_millis(500);

#[async_trait]
impl StoreControl for Mongo {
    fn health(&self) -> Part {
        self.condition.part()
    }

    fn identity(&self) -> Option<String> {
        Some(self.identity.clone())
    }

    async fn register(&self, life: &NodeLife) -> Result<Vec<Neighbour>, StoreError> {
        self.enlist(life).await
    }

    async fn unregister(&self, life: &NodeLife) -> Result<(), StoreError> {
        self.strike_off(life).await
    }

    async fn close(&self) {
        let last = self.gate.empty(self.options.write_timeout).await;
        if last.is_some() {
            // As every bulk: what does not get through within its time is lost.
            let _ = timeout(self.options.write_timeout, self.store_positions()).await;
        }
        self.gate.close();
        self.condition.close();
        self.database.client().clone().shutdown().immediate(true).await;
    }
}

impl Mongo {
    /// Starts what goes on until the store is dropped or closed.
    pub(super) fn keep_going(self: &Arc<Self>) {
        let every = self.options.positions_interval;
        tokio::spawn(repeat(Arc::downgrade(self), every, async |mongo| {
            mongo.store_positions_later().await;
        }));
        tokio::spawn(repeat(Arc::downgrade(self), PROBE_EVERY, async |mongo| {
            if mongo.condition.is_in_doubt() {
                mongo.probe().await;
            }
        }));
    }

    async fn store_positions_later(&self) {
        if !self.positions.pending().is_empty() {
            let stored = self.write(Call::PutReads, self.store_positions()).await;
            if let Err(error) = stored {
                tracing::warn!(%error, "read positions of senders are not stored yet");
            }
        }
        self.positions.tidy();
    }

    async fn store_positions(&self) -> Result<(), Failure> {
        let pending = self.positions.pending();
        self.write_reads(highest(pending.iter().copied())).await?;
        self.positions.stored(&pending);
        Ok(())
    }

    /// Whether a majority takes writes; its outcome is heard like that of any call.
    async fn probe(&self) {
        let probe = vec![
            doc! { "q": { "_id": "probe" }, "u": { "$inc": { "times": 1_i64 } }, "upsert": true },
        ];
        let write = async { self.update_all(META, probe).await };
        // Not getting through is what it is for.
        let _ = self.write(Call::Probe, write).await;
    }
}

/// Calls `turn` again and again while somebody has the store.
async fn repeat(mongo: Weak<Mongo>, every: Duration, turn: impl AsyncFn(&Mongo)) {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(mongo) = mongo.upgrade() else { return };
        if mongo.condition.is_closed() {
            return;
        }
        turn(&mongo).await;
    }
}
