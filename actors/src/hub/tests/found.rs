//! Rooms that were joined unheard of.

use super::*;
use crate::hub::found::FOUND_MAX;

fn room(number: u8) -> RoomId {
    RoomId([number; 15])
}

fn told(reader: &Reader) -> Vec<RoomId> {
    let found = |message| match message {
        ConnectionMessage::Found(room) => Some(room),
        _ => None,
    };
    reader.inbox.drain().into_iter().filter_map(found).collect()
}

#[test]
fn who_wants_all_is_told_of_rooms_that_it_does_not_receive() {
    let hub = Hub::new();
    let (ann, ben) = (hub.reader(1), hub.reader(2)); // the first wants all
    hub.attach(&ann, 0, vec![]);
    ann.inbox.drain();
    assert_eq!(hub.local.core().who_want_all(), [UserId([1; 15])]);
    let rooms = vec![ROOM, room(1), room(2)];
    let rooms_of = [(UserId([1; 15]), rooms.clone()), (UserId([2; 15]), rooms)];
    hub.local.core().found(&rooms_of);
    assert_eq!(told(&ann), [room(1), room(2)]);
    assert_eq!(told(&ben), []);
    hub.local.core().found(&rooms_of[1..]);
    assert_eq!(told(&ann), [], "nothing was read of it");
}

#[test]
fn rooms_that_are_not_received_are_told_up_to_a_number() {
    let hub = Hub::new();
    let (socket, inbox) = (Rc::new(Paper::default()), Address::detached(256));
    let slot = hub.local.open(socket.clone(), inbox.clone(), Codec::Json);
    let identity = Identity { user: UserId([1; 15]), session: SessionId([1; 15]) };
    hub.local.identify(slot, identity, true);
    hub.local.core().found(&[(UserId([1; 15]), (0..200).map(room).collect())]);
    assert_eq!(told(&Reader { slot, socket, inbox }).len(), FOUND_MAX);
}
