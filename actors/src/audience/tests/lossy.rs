//! What the bus may do to an audience: several publishers, words lost, late and twice; and what a
//! home that knows less must not undo.

use super::*;

const LATER: Effect<u32> = Effect::RetryAfter(Duration::from_millis(50));

fn spanning(before: Heads, after: Heads, events: Vec<Event>) -> Arc<EventBatch> {
    Arc::new(EventBatch { room: ROOM, before, after, events })
}

#[test]
fn what_two_homes_publish_of_the_same_messages_is_delivered_once() {
    let mut logic = following(5);
    let told = does(&mut logic, |logic, out| logic.batch(batch(6..=7), out));
    assert_eq!(told, [Effect::Deliver(events(6..=7))]);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(batch(6..=6), out)), []);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(batch(6..=7), out)), []);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(beacon(heads(4)), out)), []);
    // The other one's batch overlaps: it does not begin where we are, so the home is asked.
    let told = does(&mut logic, |logic, out| logic.batch(batch(6..=8), out));
    assert_eq!(told, [Effect::CatchUp(heads(7))]);
    let told =
        does(&mut logic, |logic, out| logic.caught_up(heads(8), &messages(8..=8), Some(&[]), out));
    assert_eq!(told, [Effect::Deliver(events(8..=8))]);
}

#[test]
fn batches_in_the_wrong_order_are_delivered_in_the_right_one() {
    let mut logic = following(5);
    let told = does(&mut logic, |logic, out| logic.batch(batch(8..=8), out));
    assert_eq!(told, [Effect::CatchUp(heads(5))]);
    does(&mut logic, |logic, out| logic.batch(batch(7..=7), out));
    does(&mut logic, |logic, out| logic.batch(batch(6..=6), out));
    let told =
        does(&mut logic, |logic, out| logic.caught_up(heads(8), &messages(6..=8), Some(&[]), out));
    assert_eq!(told, [Effect::Deliver(events(6..=8))]);
    assert!(logic.is_following());
}

/// CE12: a page of the store that lacks an edit has all messages and an old body.
#[test]
fn a_page_that_lacks_a_change_that_was_told_is_read_again() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(rev(7, 1)), out));
    does(&mut logic, |logic, out| logic.caught_up(rev(7, 1), &[], Some(&[]), out));
    let stale = does(&mut logic, |logic, out| logic.page(&page(6..=7, 7), out));
    assert_eq!(stale, [LATER]);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [Effect::CatchUp(rev(5, 1))]);
    does(&mut logic, |logic, out| logic.caught_up(rev(7, 1), &[], Some(&[]), out));
    let fresh = Page { last_rev: 1, ..page(6..=7, 7) };
    let told = does(&mut logic, |logic, out| logic.page(&fresh, out));
    assert_eq!(told, [Effect::Deliver(events(6..=7))]);
}

/// CE13: what is committed while the answer is read belongs to the next one.
#[test]
fn heads_are_those_of_the_answer_not_of_what_was_read_later() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(rev(7, 1)), out));
    does(&mut logic, |logic, out| logic.caught_up(rev(7, 1), &[], Some(&[]), out));
    let later = Page { last_rev: 2, ..page(6..=7, 7) };
    does(&mut logic, |logic, out| logic.page(&later, out));
    assert_eq!(logic.heads(), rev(7, 1), "2 was not told");
    let edit = spanning(rev(7, 1), rev(7, 2), vec![Event::Changed(changed(3, 2))]);
    let told = does(&mut logic, |logic, out| logic.batch(edit, out));
    assert_eq!(told, [Effect::Deliver(vec![Event::Changed(changed(3, 2))])]);
}

/// CE14: message 6 is late, its change comes before it.
#[test]
fn a_change_that_overtakes_its_message_is_not_counted() {
    let mut logic = following(5);
    let edit = spanning(heads(6), rev(6, 1), vec![Event::Changed(changed(6, 1))]);
    let told = does(&mut logic, |logic, out| logic.batch(edit, out));
    assert_eq!(told, [Effect::CatchUp(heads(5))]);
    assert_eq!(logic.heads(), heads(5));
    does(&mut logic, |logic, out| logic.batch(batch(6..=6), out)); // as it was first
    let now = changed(6, 1);
    let told = does(&mut logic, |logic, out| {
        let now = std::slice::from_ref(&now);
        logic.caught_up(rev(6, 1), now, Some(now), out);
    });
    assert_eq!(told, [Effect::Deliver(vec![Event::Message(now)])]);
}

/// CE16, CE17: the store has more than the home knows of. Whoever looked there says so, and the home
/// is told how far it is at least, until it has it.
#[test]
fn what_was_noticed_is_asked_for_until_the_home_knows_it() {
    let mut logic = following(5);
    let noticed = rev(7, 1);
    let told = does(&mut logic, |logic, out| logic.batch(beacon(noticed), out));
    assert_eq!(told, [Effect::CatchUp(heads(5))]);
    assert_eq!(logic.known(), Place { seq: 7, rev: 1 });
    let behind = |logic: &mut Logic<u32>, out: &mut Effects| {
        logic.caught_up(heads(5), &[], Some(&[]), out);
    };
    assert_eq!(does(&mut logic, behind), [LATER]);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [Effect::CatchUp(heads(5))]);
    let told = does(&mut logic, |logic, out| {
        logic.caught_up(noticed, &messages(6..=7), Some(&[changed(3, 1)]), out);
    });
    let edit = Effect::Deliver(vec![Event::Changed(changed(3, 1))]);
    assert_eq!(told, [edit, Effect::Deliver(events(6..=7))]);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [], "and no more after that");
}

/// The home may know of a removal later than the store: the readers are asked all the same.
#[test]
fn a_membership_that_was_noticed_counts_though_the_home_does_not_know_of_it() {
    let mut logic = following(5);
    let noticed = Heads { member_rev: 3, ..heads(5) };
    does(&mut logic, |logic, out| logic.batch(beacon(noticed), out));
    let told = does(&mut logic, |logic, out| logic.caught_up(heads(5), &[], Some(&[]), out));
    assert_eq!(told, [Effect::RecheckAll]);
    assert_eq!(logic.heads(), noticed);
    // What the home publishes before it knows does not fit, and is fetched.
    let told = does(&mut logic, |logic, out| logic.batch(batch(6..=6), out));
    assert_eq!(told, [Effect::CatchUp(noticed)]);
    let told =
        does(&mut logic, |logic, out| logic.caught_up(heads(6), &messages(6..=6), Some(&[]), out));
    assert_eq!(told, [Effect::Deliver(events(6..=6))]);
}
