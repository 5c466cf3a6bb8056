//! Where this node puts what is for a room: its actor here, or the lane to its home elsewhere.
//!
//! One entry holds both, and whatever changes it holds its lock while it does: it closes what it
//! takes away, and puts there what comes instead, with everything that waited. So whoever looks it
//! up finds the one or the other, and one sender's submits keep their order over every change. Under the lock
//! nothing waits.

use crate::{
    kernel::Address,
    lane::{Given, LaneMessage},
    room::RoomMessage,
};
use dashmap::{DashMap, Entry};
use madang_protocol::RoomId;

/// The rooms that something is sent to. Bounded by those that are active, see `room::ACTIVE_FOR`
/// and `lane::STAYS_FOR`.
#[derive(Default)]
pub(crate) struct Places(DashMap<RoomId, Place>);

#[derive(Default)]
struct Place {
    room: Option<Address<RoomMessage>>,
    /// Before the room, where there are both.
    lane: Option<Address<LaneMessage>>,
}

/// Where a submit of this node goes.
pub(crate) enum Way {
    /// To the room, which is here.
    Room(Address<RoomMessage>),
    /// To the lane.
    Lane(Address<LaneMessage>),
}

impl Place {
    fn way(&self) -> Option<Way> {
        let lane = self.lane.clone().map(Way::Lane);
        lane.or_else(|| self.room.clone().map(Way::Room))
    }

    fn is_empty(&self) -> bool {
        self.room.is_none() && self.lane.is_none()
    }
}

impl Places {
    /// Where a submit goes; begins what `begin` decides on where there is nothing.
    pub(crate) fn way(&self, room: RoomId, begin: impl FnOnce() -> Way) -> Way {
        if let Some(way) = self.0.get(&room).and_then(|place| place.way()) {
            return way;
        }
        let mut place = self.0.entry(room).or_default();
        place.way().unwrap_or_else(|| {
            let way = begin();
            match &way {
                Way::Room(address) => place.room = Some(address.clone()),
                Way::Lane(address) => place.lane = Some(address.clone()),
            }
            way
        })
    }

    /// The room's actor, whatever lane there is; begins one where there is none.
    pub(crate) fn room(
        &self,
        room: RoomId,
        start: impl FnOnce() -> Address<RoomMessage>,
    ) -> Address<RoomMessage> {
        if let Some(address) = self.0.get(&room).and_then(|place| place.room.clone()) {
            return address;
        }
        self.0.entry(room).or_default().room.get_or_insert_with(start).clone()
    }

    /// This actor of the room has ended.
    pub(crate) fn forget_room(&self, room: RoomId, address: &Address<RoomMessage>) {
        self.change(room, |place| {
            place.room.take_if(|known| known.is_same(address));
        });
    }

    /// This lane has ended.
    pub(crate) fn forget_lane(&self, room: RoomId, address: &Address<LaneMessage>) {
        self.change(room, |place| {
            place.lane.take_if(|known| known.is_same(address));
        });
    }

    /// A room goes: `close` ends it and gives what waited in it for this node's senders, which the
    /// lane gets before anything else. There is none without anything for it.
    pub(crate) fn end_room(
        &self,
        room: RoomId,
        close: impl FnOnce() -> Vec<Given>,
        start: impl FnOnce() -> Address<LaneMessage>,
    ) {
        let mut place = self.0.entry(room).or_default();
        let given = close();
        place.room = None;
        if !given.is_empty() {
            let lane = place.lane.get_or_insert_with(start);
            // One just begun cannot have stopped; what it would drop, its senders hear of.
            let _ = lane.hand_over(LaneMessage::Begin(given));
        }
        drop(place);
        self.change(room, |_| {});
    }

    /// A lane goes, because the room is at home here: `close` ends it and gives what waited in it,
    /// which the room gets before anything else.
    pub(crate) fn end_lane(
        &self,
        room: RoomId,
        close: impl FnOnce() -> Vec<Given>,
        start: impl Fn() -> Address<RoomMessage>,
    ) {
        let mut place = self.0.entry(room).or_default();
        let given = close();
        place.lane = None;
        for (submit, reply) in given {
            let mut message = RoomMessage::Submit(submit, reply);
            // A room that was idle may end at this very moment; another is begun.
            while let Err(back) = place.room.get_or_insert_with(&start).hand_over(message) {
                (message, place.room) = (back, None);
            }
        }
        drop(place);
        self.change(room, |_| {});
    }

    /// The rooms whose actor is here, by id: a simulated world repeats itself.
    pub(crate) fn rooms(&self) -> Vec<(RoomId, Address<RoomMessage>)> {
        self.all(|place| place.room.clone())
    }

    /// The lanes, by room.
    pub(crate) fn lanes(&self) -> Vec<(RoomId, Address<LaneMessage>)> {
        self.all(|place| place.lane.clone())
    }

    fn all<M>(&self, of: impl Fn(&Place) -> Option<Address<M>>) -> Vec<(RoomId, Address<M>)> {
        let found = self.0.iter().filter_map(|entry| Some((*entry.key(), of(entry.value())?)));
        let mut all: Vec<_> = found.collect();
        all.sort_unstable_by_key(|(room, _)| *room);
        all
    }

    fn change(&self, room: RoomId, change: impl FnOnce(&mut Place)) {
        if let Entry::Occupied(mut place) = self.0.entry(room) {
            change(place.get_mut());
            if place.get().is_empty() {
                place.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernel::Reply,
        room::pending::{Submit, Work},
    };
    use madang_protocol::{ClientId, UserId};
    use tokio::time::Instant;

    const ROOM: RoomId = RoomId([9; 15]);

    fn given(name: &str) -> Given {
        let client_id = ClientId::new(name).unwrap();
        let work = Work::Send { client_id, body: name.into(), reply_to: None };
        let (sender, deadline) = (UserId([1; 15]), Instant::now());
        (Submit { sender, work, deadline, trace: 0 }, Reply::channel().0)
    }

    fn body(submit: &Submit) -> String {
        match &submit.work {
            Work::Send { body, .. } => body.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lane_goes_before_a_room() {
        let (places, lane) = (Places::default(), Address::detached(1));
        places.way(ROOM, || Way::Lane(lane.clone()));
        places.room(ROOM, || Address::detached(1));
        let way = places.way(ROOM, || panic!("there is one"));
        assert!(matches!(way, Way::Lane(found) if found.is_same(&lane)));
        places.forget_lane(ROOM, &lane);
        assert!(matches!(places.way(ROOM, || panic!("there is one")), Way::Room(_)));
    }

    #[test]
    fn what_waited_in_a_room_is_the_first_in_its_lane() {
        let (places, lane) = (Places::default(), Address::detached(8));
        places.room(ROOM, || Address::detached(1));
        places.end_room(ROOM, || vec![given("one"), given("two")], || lane.clone());
        let Way::Lane(address) = places.way(ROOM, || panic!("there is one")) else {
            panic!("the lane is in front");
        };
        let (submit, reply) = given("three");
        address.try_send(LaneMessage::Submit(submit, reply)).ok().unwrap();
        let sent = lane.drain().into_iter().flat_map(|message| match message {
            LaneMessage::Begin(given) => given,
            LaneMessage::Submit(submit, reply) => vec![(submit, reply)],
            _ => panic!("nothing else"),
        });
        let bodies: Vec<String> = sent.map(|(submit, _)| body(&submit)).collect();
        assert_eq!(bodies, ["one", "two", "three"]);
    }

    #[test]
    fn what_waited_in_a_lane_goes_to_the_room_past_its_bound_or_to_the_next_one() {
        let places = Places::default();
        let (idle, room) = (Address::detached(1), Address::detached(1));
        places.way(ROOM, || Way::Lane(Address::detached(1)));
        places.room(ROOM, || idle.clone());
        idle.close_taking();
        places.end_lane(ROOM, || vec![given("one"), given("two")], || room.clone());
        let bodies = room.drain().into_iter().map(|message| match message {
            RoomMessage::Submit(submit, _) => body(&submit),
            _ => panic!("nothing else"),
        });
        assert_eq!(bodies.collect::<Vec<_>>(), ["one", "two"]);
        assert!(matches!(places.way(ROOM, || panic!("there is one")), Way::Room(_)));
    }

    #[test]
    fn nothing_is_kept_of_a_room_without_either() {
        let places = Places::default();
        let room = places.room(ROOM, || Address::detached(1));
        places.forget_room(ROOM, &room);
        places.end_room(ROOM, Vec::new, || panic!("nothing is for it"));
        places.end_lane(ROOM, Vec::new, || panic!("nothing is for it"));
        assert!(places.0.is_empty());
    }
}
