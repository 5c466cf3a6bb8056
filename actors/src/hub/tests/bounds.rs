//! Bounds of a hub that a client cannot fill by itself.

use super::*;
use crate::hub::core::ENDED_REMEMBERED;

fn session(number: usize) -> SessionId {
    let mut id = [0; 15];
    id[..8].copy_from_slice(&(number as u64).to_le_bytes());
    SessionId(id)
}

#[test]
fn sessions_that_ended_are_remembered_up_to_a_number() {
    let hub = Hub::new();
    let ended: Vec<_> = (0..=ENDED_REMEMBERED).map(session).collect();
    hub.local.core().end_sessions(&ended, CloseCode::Unauthenticated);
    let says_hello = |number| {
        let late = hub.reader(2);
        let identity = Identity { user: UserId([2; 15]), session: session(number) };
        hub.local.identify(late.slot, identity, false);
        hub.turns();
        late.takes().ends_with(CloseCode::Unauthenticated.reason())
    };
    assert!(says_hello(ENDED_REMEMBERED) && says_hello(1));
    assert!(!says_hello(0), "the oldest; its store said so long ago");
}

#[test]
fn a_connection_that_takes_no_messages_is_ended() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    for _ in 0..16 {
        hub.add(HubMessage::Recheck(ROOM));
    }
    hub.turns();
    assert!(!ann.inbox.is_told_to_stop());
    hub.add(HubMessage::Recheck(ROOM));
    hub.turns();
    assert!(ann.inbox.is_told_to_stop());
}
