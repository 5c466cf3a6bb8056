//! What this node asks of others.

use super::{
    Outcome,
    wire::{self, Ask, AskHeads, AskHolds, CatchUp, Forward, RoomHeads, Told, WireItem},
};
use crate::{
    lane::{REQUEST_WAIT, logic::NoAnswer},
    room::{Caught, pending::Submit, standing::Change},
};
use madang_cluster::{
    Bus, Peer,
    bus::{AskError, Question},
};
use madang_protocol::{Heads, Place, RoomId, UserId};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Which request of which lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarding {
    pub(crate) room: RoomId,
    pub(crate) lane: u64,
    pub(crate) attempt: u64,
}

impl Forwarding {
    /// Asks `to` to commit these; tells of each what became of it.
    pub(crate) fn ask(
        self,
        bus: Arc<dyn Bus>,
        to: Peer,
        entries: &[(u64, Submit)],
        now: Instant,
    ) -> impl Future<Output = Result<Vec<(u64, Outcome)>, NoAnswer>> + use<> {
        let trace = entries.first().map_or(0, |(_, submit)| submit.trace);
        let item = |(n, submit): &(u64, Submit)| WireItem::of_submit(*n, submit, now);
        let items: Vec<WireItem> = entries.iter().map(item).collect();
        let all: Vec<u64> = items.iter().map(|item| item.n).collect();
        let answer = ask(bus, to.clone(), trace, self.question(&to, items));
        async move {
            match answer.await? {
                Told::Forwarded(settled) => {
                    let read = |it: wire::Settled| (it.n, it.outcome.read_done(self.room));
                    Ok(settled.into_iter().map(read).collect())
                }
                _ => Ok(all.into_iter().map(|n| (n, Outcome::Moved)).collect()),
            }
        }
    }

    /// Asks `to` to make this change, the only entry of its lane.
    pub(crate) async fn ask_change(
        self,
        bus: Arc<dyn Bus>,
        to: Peer,
        change: &Change,
        wait: Duration,
    ) -> Result<Outcome, NoAnswer> {
        let items = vec![WireItem::of_change(1, change, wait)];
        let question = self.question(&to, items);
        match ask(bus, to, 0, question).await? {
            Told::Forwarded(settled) => {
                let outcome = settled.into_iter().next().map(|it| it.outcome.read_role());
                Ok(outcome.unwrap_or(Outcome::Moved))
            }
            _ => Ok(Outcome::Moved),
        }
    }

    fn question(self, to: &Peer, items: Vec<WireItem>) -> Ask {
        let Self { room, lane, attempt } = self;
        Ask::Forward(Forward { room, lane, attempt, incarnation: to.incarnation, items })
    }
}

/// Asks the home `to` what an audience missed; `None`: ask again.
pub(crate) async fn catch_up(
    bus: Arc<dyn Bus>,
    to: Peer,
    room: RoomId,
    after: Heads,
    known: Place,
) -> Option<Caught> {
    let question = Ask::CatchUp(CatchUp { room, after: after.into(), known: known.into() });
    match ask(bus, to, 0, question).await {
        Ok(Told::Caught(caught)) => Some(caught.read(room)),
        _ => None,
    }
}

/// Asks `to` where rooms stand that are at home there, each at least where it is said to be, at most
/// [`super::ROOMS_ASKED_MAX`]. Those it does not answer for are not in the answer; none: no answer.
pub(crate) async fn heads(
    bus: Arc<dyn Bus>,
    to: Peer,
    rooms: Vec<(RoomId, Heads)>,
) -> Vec<(RoomId, Heads)> {
    let known = |(room, heads): (RoomId, Heads)| RoomHeads { room, heads: heads.into() };
    let rooms = rooms.into_iter().map(known).collect();
    match ask(bus, to, 0, Ask::Heads(AskHeads { rooms })).await {
        Ok(Told::Heads(rooms)) => rooms.into_iter().map(|it| (it.room, it.heads.into())).collect(),
        _ => Vec::new(),
    }
}

/// Asks `to` which of these are online by a connection there, at most [`super::USERS_ASKED_MAX`]; `None`:
/// no answer.
pub(crate) async fn holds(bus: Arc<dyn Bus>, to: Peer, users: Vec<UserId>) -> Option<Vec<UserId>> {
    match ask(bus, to, 0, Ask::Holds(AskHolds { users })).await {
        Ok(Told::Holds(users)) => Some(users),
        _ => None,
    }
}

fn ask(
    bus: Arc<dyn Bus>,
    to: Peer,
    trace: u64,
    question: Ask,
) -> impl Future<Output = Result<Told, NoAnswer>> + use<> {
    let answer = bus.ask(&to.name, Question { trace, body: wire::encode(&question) }, REQUEST_WAIT);
    async move {
        match answer.await {
            Ok(body) => wire::decode(&body).map_err(|_| NoAnswer::Late),
            Err(AskError::Unreachable) => Err(NoAnswer::NotAsked),
            Err(AskError::Unanswered) => Err(NoAnswer::Late),
        }
    }
}
