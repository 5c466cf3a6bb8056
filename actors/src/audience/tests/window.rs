//! What readers that attach lack.

use super::*;
use crate::audience::{encode, window::Window};

#[test]
fn who_has_all_changes_that_are_known_lacks_none_while_one_is_still_to_come() {
    let mut window = Window::default();
    window.begin(&[], 7);
    let event = Event::Message(changed(1, 8)); // 8 itself has not come
    window.add(&event, &Arc::new(encode::item(ROOM, &event)));
    let lacks =
        |after: Place| window.between(after, Place { seq: 1, rev: 7 }).map(|items| items.len());
    assert_eq!(lacks(Place { seq: 1, rev: 7 }), Some(0));
    assert_eq!(lacks(Place { seq: 0, rev: 7 }), Some(1));
    assert_eq!(lacks(Place { seq: 1, rev: 6 }), None, "changes up to 7 are not here");
}
