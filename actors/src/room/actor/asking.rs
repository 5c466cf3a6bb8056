//! Who asks where the room is, and when that may be told.

use super::{Answer, RoomActor, RoomMessage};
use crate::{
    kernel::{Context, Reply},
    room::Caught,
};
use madang_protocol::Heads;
use tokio::time::Instant;

/// Those who asked and have no answer yet: a few per node.
#[derive(Default)]
pub(super) struct Asking {
    new: Vec<Asker>,
    /// The heads are being read for them, because the node is not sure of its view.
    reading: Option<Vec<Asker>>,
    /// They may be told what is known.
    ready: Vec<Asker>,
}

enum Asker {
    /// What an audience missed that has this.
    Audience(Heads, Reply<Caught>),
    /// Another node.
    Node(Reply<Heads>),
}

impl Asking {
    pub(super) fn audience(&mut self, after: Heads, reply: Reply<Caught>) {
        self.new.push(Asker::Audience(after, reply));
    }

    pub(super) fn node(&mut self, reply: Reply<Heads>) {
        self.new.push(Asker::Node(reply));
    }

    /// The heads were read, or could not be: then those who wait for it are dropped, and ask again.
    pub(super) fn was_read(&mut self, is_read: bool) -> bool {
        let asking = self.reading.take().unwrap_or_default();
        if is_read {
            self.ready.extend(asking);
        }
        is_read
    }

    fn clear(&mut self) {
        self.new.clear();
        self.ready.clear();
    }
}

impl RoomActor {
    /// Whoever asked is answered once the heads are known, and known to be so now: a node that has not heard
    /// itself for a while may not be home any more, and reads first.
    pub(super) fn answer_askers(&mut self, context: &mut Context<RoomMessage>) {
        if self.logic.is_absent() || self.logic.is_leaving() {
            self.asking.clear();
        }
        let Some(heads) = self.logic.heads() else {
            return;
        };
        let homes = &self.services.homes;
        if !homes.is_alone() && self.logic.is_behind() {
            return; // it is being read
        }
        let asking = &mut self.asking;
        if homes.is_fresh(Instant::now()) {
            asking.ready.append(&mut asking.new);
        } else if !asking.new.is_empty() && asking.reading.is_none() {
            asking.reading = Some(std::mem::take(&mut asking.new));
            self.activate(0, Answer::Confirmed, context);
        }
        for asker in self.asking.ready.drain(..) {
            match asker {
                Asker::Node(reply) => reply.send(heads),
                Asker::Audience(after, reply) => {
                    let messages = self.logic.recent(after.last_seq);
                    let changed = self.logic.recent_changes(after.last_rev);
                    reply.send(Caught { heads, messages, changed });
                }
            }
        }
    }
}
