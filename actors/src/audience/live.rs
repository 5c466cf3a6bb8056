//! What is told and not kept: frames of it, and who types. Pure.

use super::HELD_MAX;
use crate::hub::Item;
use madang_protocol::{
    Ephemeral, RoomId, UserId,
    frame::{NodeFrame, ReadObject},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// A user types for this long after saying so.
pub const TYPES_FOR: Duration = Duration::from_secs(6);
/// Between two frames about who types: at most two a second.
pub const TOLD_EVERY: Duration = Duration::from_millis(500);
/// Typists of a room at most. Beyond: not told, who reads so many names?
pub const TYPISTS_MAX: usize = 100;

/// What the readers of `room` get of it; `None`: nothing at once, see [`Typing`].
pub(super) fn item(room: RoomId, ephemeral: &Ephemeral) -> Option<Item> {
    let item = |frame| Item::new(frame).ephemeral();
    Some(match ephemeral {
        Ephemeral::Signal { sender, data } => {
            item(NodeFrame::Signal { room, sender: *sender, data: data.clone() })
        }
        Ephemeral::Typing { .. } => return None,
        Ephemeral::Reads(reads) => {
            let reads = reads.iter().map(|(user, seq)| ReadObject { user: *user, seq: *seq });
            item(NodeFrame::Read { room, reads: reads.collect() }).patient()
        }
        Ephemeral::Presence { online, offline } => {
            item(NodeFrame::Presence { room, online: online.clone(), offline: offline.clone() })
        }
    })
}

/// What readers get when who types has changed.
pub(super) fn typing_item(room: RoomId, users: Vec<UserId>) -> Item {
    Item::new(NodeFrame::Typing { room, users }).ephemeral()
}

/// What waits until it may be told, at most [`HELD_MAX`]; beyond that the oldest is lost.
#[derive(Debug, Default)]
pub struct Held(VecDeque<Arc<Ephemeral>>);

impl Held {
    /// False: another one is lost for it.
    pub fn push(&mut self, ephemeral: Arc<Ephemeral>) -> bool {
        self.0.push_back(ephemeral);
        self.0.len() <= HELD_MAX || self.0.pop_front().is_none()
    }

    /// The oldest.
    pub fn take_oldest(&mut self) -> Option<Arc<Ephemeral>> {
        self.0.pop_front()
    }
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// These type now, and nobody else.
    Tell(Vec<UserId>),
    /// Call `woken` after this time.
    WakeAfter(Duration),
}

/// Who types in a room.
#[derive(Debug, Default)]
pub struct Typing {
    /// Until when each does. At most [`TYPISTS_MAX`].
    typists: Vec<(UserId, Instant)>,
    /// As the readers were told, ordered.
    told: Vec<UserId>,
    told_at: Option<Instant>,
    /// The next wake-up that was asked for.
    wakes_at: Option<Instant>,
}

impl Typing {
    /// A user says that it types, or that it stopped.
    pub fn said(&mut self, user: UserId, on: bool, now: Instant, effects: &mut Vec<Effect>) {
        let known = self.typists.iter().position(|(other, _)| *other == user);
        match (known, on) {
            (Some(place), true) => self.typists[place].1 = now + TYPES_FOR,
            (Some(place), false) => drop(self.typists.swap_remove(place)),
            (None, true) if self.typists.len() < TYPISTS_MAX => {
                self.typists.push((user, now + TYPES_FOR));
            }
            (None, _) => {}
        }
        self.go_on(now, effects);
    }

    /// For a reader that comes while somebody types.
    pub(super) fn item(&self, room: RoomId) -> Option<Item> {
        (!self.told.is_empty()).then(|| typing_item(room, self.told.clone()))
    }

    /// The time of a `WakeAfter` has come.
    pub fn woken(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.wakes_at.take_if(|at| *at <= now);
        self.go_on(now, effects);
    }

    fn go_on(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.typists.retain(|(_, until)| *until > now);
        let mut wanted = self.typists.iter().map(|(_, until)| *until).min();
        let mut users: Vec<UserId> = self.typists.iter().map(|(user, _)| *user).collect();
        users.sort_unstable();
        if users != self.told {
            let may_at = self.told_at.map_or(now, |at| at + TOLD_EVERY);
            if may_at <= now {
                self.told.clone_from(&users);
                self.told_at = Some(now);
                effects.push(Effect::Tell(users));
            } else {
                wanted = Some(wanted.map_or(may_at, |at| at.min(may_at)));
            }
        }
        if let Some(at) = wanted
            && self.wakes_at.is_none_or(|known| at < known)
        {
            self.wakes_at = Some(at);
            effects.push(Effect::WakeAfter(at - now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);

    struct Room {
        typing: Typing,
        start: Instant,
    }

    impl Room {
        fn new() -> Self {
            Self { typing: Typing::default(), start: Instant::now() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn said(&mut self, user: UserId, on: bool, ms: u64) -> Vec<Effect> {
            let (now, mut effects) = (self.at(ms), Vec::new());
            self.typing.said(user, on, now, &mut effects);
            effects
        }

        fn woken(&mut self, ms: u64) -> Vec<Effect> {
            let (now, mut effects) = (self.at(ms), Vec::new());
            self.typing.woken(now, &mut effects);
            effects
        }
    }

    fn tell(users: &[UserId]) -> Effect {
        Effect::Tell(users.to_vec())
    }

    fn wake(ms: u64) -> Effect {
        Effect::WakeAfter(Duration::from_millis(ms))
    }

    #[test]
    fn a_beginning_is_told_at_once_and_its_end_after_six_seconds() {
        let mut room = Room::new();
        assert_eq!(room.said(ANN, true, 0), [tell(&[ANN]), wake(6_000)]);
        assert_eq!(room.woken(6_000), [tell(&[])]);
        assert_eq!(room.woken(7_000), []);
    }

    #[test]
    fn saying_it_again_extends_and_tells_nothing() {
        let mut room = Room::new();
        room.said(ANN, true, 0);
        assert_eq!(room.said(ANN, true, 4_000), []);
        assert_eq!(room.woken(6_000), [wake(4_000)]);
        assert_eq!(room.woken(10_000), [tell(&[])]);
    }

    #[test]
    fn stopping_is_told_unless_nothing_was() {
        let mut room = Room::new();
        room.said(ANN, true, 0);
        assert_eq!(room.said(ANN, false, 600), [tell(&[])]);
        assert_eq!(room.said(BEN, false, 2_000), []);
    }

    #[test]
    fn two_frames_a_second_at_most_and_the_last_state_is_told() {
        let mut room = Room::new();
        assert_eq!(room.said(ANN, true, 0), [tell(&[ANN]), wake(6_000)]);
        assert_eq!(room.said(BEN, true, 100), [wake(400)]);
        assert_eq!(room.said(ANN, false, 200), []);
        assert_eq!(room.woken(500), [tell(&[BEN]), wake(5_600)]);
        assert_eq!(room.said(ANN, true, 600), [wake(400)]);
        assert_eq!(room.said(ANN, false, 700), [], "as it was told");
        assert_eq!(room.woken(1_000), [wake(5_100)]);
        assert_eq!(room.woken(6_100), [tell(&[])]);
    }

    #[test]
    fn everyone_is_named_in_order_up_to_the_bound() {
        let mut room = Room::new();
        assert_eq!(room.said(BEN, true, 0), [tell(&[BEN]), wake(6_000)]);
        assert_eq!(room.said(ANN, true, 500), [tell(&[ANN, BEN])]);
        for number in 0..200 {
            room.said(UserId([number; 15]), true, 600);
        }
        assert_eq!(room.typing.typists.len(), TYPISTS_MAX);
        let Effect::Tell(users) = &room.woken(1_000)[0] else { panic!("they are told") };
        assert!(users.len() == TYPISTS_MAX && users.is_sorted());
    }
}
