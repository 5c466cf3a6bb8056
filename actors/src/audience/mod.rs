//! The readers of a room on this node.
//!
//! **In**: committed events from the bus, which may lose some; readers that want to be attached;
//! from hubs, how many left. **Out**: each event as one message to every hub with readers, encoded
//! once for all of them; what an attached reader missed.
//!
//! ```text
//! Adopting --all hubs told their readers--> Catching --heads known--> Following
//!                                              ^  a batch does not begin where we are  |
//!                                              +---------------------------------------+
//! ```
//!
//! What has no number (signals, who types, receipts, presence) goes the same way, all that a turn
//! brought at once, and is lost where it does not fit; who types is gathered here, and told to readers
//! that come. A reader that cannot be attached yet, because it misses much or others are attached
//! before, hears it meanwhile.
//!
//! **Bounds**: the inbox ([`INBOX_BOUND`]), what does not fit is lost and fetched again;
//! [`HELD_MAX`] batches are held back during a fetch; a hub that is full makes the audience wait,
//! so its inbox fills, so it fetches later what it lost. **Invariants**: hubs get every message
//! of the room once, in order, without a hole; an attached reader begins exactly where the next
//! delivery does; nobody is attached who may have lost the membership meanwhile.

mod actor;
pub mod encode;
mod known;
pub mod live;
pub mod logic;
#[cfg(test)]
mod tests;
mod window;

pub use actor::{AttachRequest, AudienceActor, AudienceMessage};
pub(crate) use known::KnownHeads;
pub use logic::Member;

use crate::{
    kernel::{Address, SendError},
    metrics::{Metrics, Shed},
};
use madang_cluster::{Bus, Subscription};
use madang_protocol::{Publication, RoomId};
use std::{sync::Arc, time::Duration};

/// Messages waiting in the inbox.
pub const INBOX_BOUND: usize = 4_096;
/// Batches held back while a hole is fetched.
pub const HELD_MAX: usize = 64;
/// Messages kept for readers that attach.
pub const WINDOW_MESSAGES: usize = 256;
/// Bytes of them, encoded in one codec; well below half an out-queue, so that catching up never overfills it.
pub const WINDOW_BYTES: usize = 256 * 1024;
/// Encoded changes kept for readers that attach.
pub const WINDOW_CHANGES: usize = 64;
/// Membership changes of which it is known who went, so that readers whom they do not concern are
/// attached without another look.
pub const CHANGES_KNOWN: usize = 64;
/// Messages of one page when a hole is read from the store.
pub const PAGE_MESSAGES: usize = 200;
/// Events of one delivery: a hub works off a delivery for a slice of readers in one go.
pub const DELIVERY_ITEMS: usize = 64;
/// How long the audience stays without readers: a page reload finds it still there.
pub const STAYS_FOR: Duration = Duration::from_secs(10);

/// Lets an audience hear what is published about its room. Done as soon as it has an address: what
/// is published before its first turn, or while it is restarted, waits in its inbox. What is published
/// after it was given up goes to `revive`.
pub(crate) fn subscribe(
    bus: &dyn Bus,
    room: RoomId,
    address: Address<AudienceMessage>,
    metrics: Arc<Metrics>,
    revive: impl Fn(AudienceMessage) + Send + Sync + 'static,
) -> Subscription {
    let deliver = move |publication: &Publication| {
        let (message, is_batch) = match publication {
            Publication::Batch(batch) => (AudienceMessage::Batch(batch.clone()), true),
            Publication::Ephemeral(_, ephemeral) => {
                (AudienceMessage::Ephemeral(ephemeral.clone()), false)
            }
        };
        match address.try_send(message) {
            Ok(()) => {}
            Err(SendError::Full(_)) if is_batch => metrics.batches_dropped.increment(1),
            Err(SendError::Full(_)) => metrics.shed(Shed::AudienceMailbox, 1),
            Err(SendError::Closed(message)) => revive(message),
        }
    };
    bus.subscribe(room, Box::new(deliver))
}
