//! From events to the frames that readers get.

use crate::hub::Item;
use madang_protocol::{
    Event, MemberChange, MemberEvent, Message, RoomId, codec::Codec, frame::NodeFrame,
    object::MessageObject,
};

/// Encodes an event once for everybody, and a message once more for its sender.
pub(super) fn item(room: RoomId, event: &Event) -> Item {
    match event {
        Event::Message(message) => message_item(message),
        Event::Member(event) => member_item(room, *event),
    }
}

/// Encodes a message.
pub(super) fn message_item(message: &Message) -> Item {
    let frame =
        |viewer| Codec::Json.encode(&NodeFrame::Message(MessageObject::seen_by(message, viewer)));
    Item {
        seq: Some(message.seq),
        frame: frame(None),
        own: Some((message.sender, frame(Some(message.sender)))),
        ends: None,
    }
}

fn member_item(room: RoomId, event: MemberEvent) -> Item {
    let MemberEvent { user, change, role } = event;
    let ends = match change {
        MemberChange::Joined => None,
        MemberChange::Left => Some(user),
    };
    let (last_seq, last_rev) = (None, None);
    let frame = NodeFrame::Member { room, user, change, role, last_seq, last_rev };
    let frame = Codec::Json.encode(&frame);
    Item { seq: None, frame, own: None, ends }
}
