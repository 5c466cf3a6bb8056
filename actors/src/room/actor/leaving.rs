//! What others sent, and how it goes back to them.

use super::{ChangeReply, RoomActor, RoomMessage};
use crate::{
    kernel::{Context, Reply},
    lane::Given,
    remote::{Asked, Outcome},
    room::logic::{Left, pending},
    route::Receipt,
};
use madang_protocol::Refusal;
use tokio::time::Instant;

/// Who waits for a submit.
pub(super) enum SendReply {
    /// Somebody on this node.
    Here(Reply<Result<Receipt, Refusal>>),
    /// A lane of another.
    Lane(Reply<Outcome>),
}

impl SendReply {
    pub(super) fn send(self, answer: Result<Receipt, Refusal>) {
        match self {
            Self::Here(reply) => reply.send(answer),
            Self::Lane(reply) => reply.send(Outcome::Done(answer)),
        }
    }
}

impl RoomActor {
    pub(super) fn forwarded(&mut self, asked: Asked, reply: Reply<Outcome>, now: Instant) {
        match asked {
            Asked::Submit(submit) => {
                let pending = pending(submit, SendReply::Lane(reply));
                self.logic.submit(pending, now, &mut self.effects);
            }
            Asked::Change(change) => self.logic.change(change, reply, now, &mut self.effects),
        }
    }

    /// Gives everything back: to the lane what is of this node, to others as moved.
    pub(super) fn leave(
        &mut self,
        left: Left<SendReply, ChangeReply>,
        context: &mut Context<RoomMessage>,
    ) {
        let Left { submits, mut changes } = left;
        let mut moved = Vec::new();
        let mut given: Vec<Given> = Vec::new();
        for (submit, reply) in submits {
            match reply {
                SendReply::Here(reply) => given.push((submit, reply)),
                SendReply::Lane(reply) => moved.push(reply),
            }
        }
        self.router.end_room(self.room, || {
            for message in context.stop_taking() {
                match message {
                    RoomMessage::Submit(submit, reply) => given.push((submit, reply)),
                    RoomMessage::Forwarded(all) => {
                        changes.extend(all.into_iter().map(|(_, reply)| reply))
                    }
                    RoomMessage::Change(_, reply) => changes.push(reply),
                    _ => {} // its asker asks again
                }
            }
            given
        });
        moved.into_iter().chain(changes).for_each(|reply| reply.send(Outcome::Moved));
        self.services.metrics.hand_overs.increment(1);
        tracing::debug!(room = %self.room, "given up, it is at home elsewhere");
    }
}
