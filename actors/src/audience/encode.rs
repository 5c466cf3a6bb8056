//! From events to the frames that readers get.

use crate::hub::Item;
use madang_protocol::{
    Event, MemberEvent, Message, RoomId, frame::NodeFrame, object::MessageObject,
};

/// What the readers of `room` get of an event.
pub fn item(room: RoomId, event: &Event) -> Item {
    match event {
        Event::Message(message) => message_item(message),
        Event::Changed(message) => changed_item(message),
        Event::Member(event) => member_item(room, *event),
        Event::Renamed(name) => Item::new(NodeFrame::Room { room, name: name.clone() }),
    }
}

/// What readers get of a message.
pub(super) fn message_item(message: &Message) -> Item {
    let frame = |viewer| NodeFrame::Message(MessageObject::seen_by(message, viewer));
    let sender = message.sender;
    Item::new(frame(None)).own(sender, frame(Some(sender))).at(message.seq)
}

/// What readers get of a message that was changed.
fn changed_item(message: &Message) -> Item {
    let frame = |viewer| NodeFrame::Changed(MessageObject::seen_by(message, viewer));
    let sender = message.sender;
    Item::new(frame(None)).own(sender, frame(Some(sender))).changed_at(message.rev())
}

fn member_item(room: RoomId, event: MemberEvent) -> Item {
    let MemberEvent { user, change, role } = event;
    let (last_seq, last_rev) = (None, None);
    let item = Item::new(NodeFrame::Member { room, user, change, role, last_seq, last_rev });
    if change.ends() { item.ending(user) } else { item }
}
