//! Cases of [`MessageLog`](crate::MessageLog): edits and deletes, and what is read of them.

use super::fixtures::{
    append, append_entries, changed_at, changing, count, delete, edit, emoji, make_group,
    make_room, message, messages, new_group, reacting, read, room, try_append, user,
};
use crate::{
    Store,
    log::{Activation, Appended, ChangedPage, Mark, Page, Stopped, Target},
};
use futures_util::future::join_all;
use madang_protocol::{
    Amended, Change, ChangeKind, ClientId, Entry, Heads, Message, RoomKind, operation::Range,
};
use std::sync::Arc;

const ALL: usize = usize::MAX;

async fn heads(store: &Store, in_room: u64) -> Heads {
    store.log.activate(room(in_room), 0).await.unwrap().unwrap().heads
}

/// The seqs and revs of a page of changed messages, and how far it reaches.
async fn changed(
    store: &Store,
    after_rev: u64,
    to_seq: u64,
    limit: usize,
    bytes_max: usize,
) -> (Vec<(u64, u64)>, u64) {
    let page = store.log.changed(room(1), after_rev, to_seq, limit, bytes_max).await.unwrap();
    let found = page.messages.iter().map(|message| (message.seq, message.rev())).collect();
    (found, page.reached_rev)
}

fn mark(rev: u64, seq: u64, kind: ChangeKind, by: Option<u64>) -> Mark {
    Mark { rev, seq, kind, by: by.map(user), ts: changed_at(rev) }
}

/// The command stops there and is refused.
async fn assert_refused(store: &Store, entries: Vec<Entry>, committed: usize) {
    let answer = store.log.append(entries).await;
    assert_eq!(answer.committed, committed, "{answer:?}");
    assert!(matches!(answer.stopped, Some(Stopped::Refused(_))), "{answer:?}");
}

/// Group 1 of users 1 and 2 with messages 1 to `to` of user 1.
async fn group_with_messages(store: &Store, to: u64) {
    make_group(store, 2).await;
    append(store, messages(1, 1, to)).await;
}

/// Revs count from 1 in each room, whatever the message, in one command or several.
pub async fn changes_take_revs_without_a_hole(store: Store) {
    group_with_messages(&store, 2).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, messages(2, 1, 1)).await;
    let (one, two) = (message(1, 1, 1), message(1, 2, 1));
    let elsewhere = edit(&message(2, 1, 1), 1, "elsewhere");
    let command = [edit(&two, 1, "b"), edit(&one, 2, "a"), elsewhere];
    append_entries(&store, command.iter().map(changing).collect()).await;
    append_entries(&store, vec![changing(&delete(&two, 3))]).await;
    assert_eq!(heads(&store, 1).await, Heads { last_seq: 2, last_rev: 3, member_rev: 0 });
    assert_eq!(heads(&store, 2).await, Heads { last_seq: 1, last_rev: 1, member_rev: 0 });
    assert_eq!((read(&store, 1, 1).await.rev(), read(&store, 1, 2).await.rev()), (2, 3));
}

/// Messages, changes and reactions of one command build on each other.
pub async fn entries_of_one_command_build_on_each_other(store: Store) {
    make_group(&store, 2).await;
    let sent = message(1, 1, 1);
    let reacted = Message {
        amended: Some(Box::new(Amended { reactions: vec![(emoji("a"), 1)], ..Amended::default() })),
        ..sent.clone()
    };
    let edited = edit(&reacted, 1, "edited");
    let command = vec![
        Entry::Message(Arc::new(sent)),
        reacting(1, 1, 2, "a", true),
        changing(&edited),
        Entry::Message(Arc::new(message(1, 2, 2))),
        changing(&delete(&message(1, 2, 2), 2)),
    ];
    append_entries(&store, command).await;
    assert_eq!(read(&store, 1, 1).await, *edited.message);
    assert!(read(&store, 1, 2).await.is_deleted());
    assert_eq!(heads(&store, 1).await, Heads { last_seq: 2, last_rev: 2, member_rev: 0 });
}

/// What stands before a taken rev is committed; it and what stands behind it is not.
pub async fn stops_at_a_taken_rev(store: Store) {
    group_with_messages(&store, 3).await;
    let first = edit(&message(1, 1, 1), 1, "first");
    append_entries(&store, vec![changing(&first)]).await;
    for taken in [1, 2] {
        let command = vec![
            changing(&edit(&message(1, 2, 1), 2, "second")),
            changing(&edit(&message(1, 1, 1), taken, "late")),
            reacting(1, 3, 2, "a", true),
        ];
        // The second time round the first of them is taken as well.
        let committed = usize::from(taken == 1);
        let answer = store.log.append(command).await;
        assert_eq!(answer, Appended { committed, stopped: Some(Stopped::Taken) });
        assert_eq!(read(&store, 1, 1).await, *first.message);
        assert_eq!(read(&store, 1, 2).await.rev(), 2);
        assert_eq!(read(&store, 1, 3).await, message(1, 3, 1));
        assert_eq!(heads(&store, 1).await.last_rev, 2);
    }
}

/// Of many that want the same rev at once, one gets it and all others are told.
pub async fn racing_changes_have_one_winner(store: Store) {
    group_with_messages(&store, 6).await;
    for rev in 1..=5 {
        let racers = (1..=6).map(|seq| {
            let change = edit(&message(1, seq, 1), rev, &format!("{rev}"));
            store.log.append(vec![changing(&change)])
        });
        let answers = join_all(racers).await;
        let winners = answers.iter().filter(|answer| answer.committed == 1).count();
        let taken = Appended { committed: 0, stopped: Some(Stopped::Taken) };
        let losers = answers.iter().filter(|answer| **answer == taken).count();
        assert_eq!((winners, losers), (1, 5), "rev {rev}: {answers:?}");
    }
    let marks = store.log.marks(room(1), 0, ALL).await.unwrap();
    assert_eq!(marks.iter().map(|mark| mark.rev).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

/// What does not fit is refused and changes nothing; what stands before it is committed.
pub async fn refuses_changes_that_do_not_fit(store: Store) {
    group_with_messages(&store, 2).await;
    let one = message(1, 1, 1);
    let without_rev = Change { message: Arc::new(one.clone()), ..edit(&one, 1, "x") };
    let half_deleted = Change { kind: ChangeKind::Edit, ..delete(&one, 2) };
    let not_deleted = Change { kind: ChangeKind::Delete, ..edit(&one, 2, "x") };
    let cases = [
        edit(&one, 3, "a hole"),
        edit(&one, 0, "no rev"),
        without_rev,
        edit(&message(1, 3, 1), 2, "no such message"),
        edit(&message(1, 0, 1), 2, "no such message"),
        edit(&message(9, 1, 1), 1, "no such room"),
        half_deleted,
        not_deleted,
    ];
    let first = edit(&message(1, 2, 1), 1, "fits");
    append_entries(&store, vec![changing(&first)]).await;
    for unfit in &cases {
        let command = vec![changing(unfit), changing(&edit(&one, 2, "behind"))];
        assert_refused(&store, command, 0).await;
    }
    let command = vec![changing(&edit(&one, 2, "before")), changing(&edit(&one, 4, "a hole"))];
    assert_refused(&store, command, 1).await;
    assert_eq!(&*read(&store, 1, 1).await.body, "before");
    let marks = store.log.marks(room(1), 0, ALL).await.unwrap();
    let edited = |rev, seq| mark(rev, seq, ChangeKind::Edit, Some(1));
    assert_eq!(marks, [edited(1, 2), edited(2, 1)]);
}

/// Whatever reads a message reads it as it now is.
pub async fn an_edit_is_read_everywhere(store: Store) {
    group_with_messages(&store, 3).await;
    let edited = edit(&message(1, 3, 1), 1, "another body, 바뀐 글");
    append_entries(&store, vec![changing(&edited)]).await;
    let now = edited.message.clone();
    assert_eq!(now.amended.as_ref().map(|amended| amended.edited_at), Some(Some(changed_at(1))));

    let whole = [messages(1, 1, 2), vec![now.clone()]].concat();
    for (range, expected) in [
        (Range::Newest, &whole[..]),
        (Range::After(1), &whole[1..]),
        (Range::After(2), &whole[2..]),
        (Range::Before(3), &whole[..2]),
    ] {
        let page = store.log.page(room(1), range, 10, ALL).await;
        let expected = Page { messages: expected.to_vec(), last_seq: 3, last_rev: 1 };
        assert_eq!(page, Ok(expected), "{range:?}");
    }
    let heads = Heads { last_seq: 3, last_rev: 1, member_rev: 0 };
    let active = Activation {
        kind: RoomKind::Group,
        heads,
        last_ts: message(1, 3, 1).ts,
        window: whole[1..].to_vec(),
        uncounted: Vec::new(),
    };
    assert_eq!(store.log.activate(room(1), 2).await, Ok(Some(active)));
    let page = ChangedPage { messages: vec![now.clone()], reached_rev: 1, heads };
    assert_eq!(store.log.changed(room(1), 0, 3, 10, ALL).await, Ok(page));
    let target = Target { message: now.clone(), mine: Vec::new() };
    assert_eq!(store.log.target(room(1), 3, user(1)).await, Ok(Some(target)));
    for seen_by in [1, 2] {
        let view = store.rooms.view(room(1), user(seen_by)).await.unwrap().unwrap();
        assert_eq!((view.last_message.as_ref(), view.heads), (Some(&now), heads));
        let listed = store.rooms.list(user(seen_by), None, 10).await.unwrap();
        assert_eq!(listed, [view]);
    }
}

/// The body is the latest; what no change is about stays as it was sent.
pub async fn a_change_changes_what_it_is_about(store: Store) {
    group_with_messages(&store, 2).await;
    let sent = Message { reply_to: Some(1), ..message(1, 3, 2) };
    append(&store, vec![Arc::new(sent.clone())]).await;
    let wrong = Message {
        ts: 1,
        sender: user(1),
        client_id: ClientId::new("x").unwrap(),
        reply_to: None,
        ..message(1, 3, 2)
    };
    append_entries(&store, vec![changing(&edit(&wrong, 1, "edited"))]).await;
    let edited = edit(&sent, 1, "edited").message;
    assert_eq!(read(&store, 1, 3).await, *edited);
    // Counting takes the next rev and nothing else.
    let stale = Message { body: "stale".into(), ..sent.clone() };
    append_entries(&store, vec![changing(&count(&stale, 2))]).await;
    assert_eq!(read(&store, 1, 3).await, *count(&edited, 2).message);
    append_entries(&store, vec![changing(&edit(&edited, 3, ""))]).await;
    assert_eq!(read(&store, 1, 3).await, *edit(&sent, 3, "").message);
    assert_eq!(read(&store, 1, 1).await, message(1, 1, 1));
}

/// Body and reactions are gone for good; the place and the sender's name for it stay taken.
pub async fn a_delete_erases_all_but_the_place(store: Store) {
    group_with_messages(&store, 2).await;
    let sent = message(1, 1, 1);
    let command = vec![
        reacting(1, 1, 2, "a", true),
        reacting(1, 1, 1, "b", true),
        reacting(1, 2, 2, "a", true),
        changing(&edit(&sent, 1, "edited")),
    ];
    append_entries(&store, command).await;
    let deleted = delete(&read(&store, 1, 1).await, 2);
    append_entries(&store, vec![changing(&deleted)]).await;

    let now = read(&store, 1, 1).await;
    assert_eq!(now, *deleted.message);
    assert_eq!((&*now.body, now.is_deleted()), ("", true));
    let amended =
        Amended { rev: 2, edited_at: Some(changed_at(1)), deleted: true, reactions: Vec::new() };
    assert_eq!(now.amended.as_deref(), Some(&amended));
    let gone = store.log.my_reactions(room(1), user(2), vec![1, 2]).await;
    assert_eq!(gone, Ok(vec![Vec::new(), vec![emoji("a")]]));
    let again = Message { seq: 3, ..sent };
    let answer = try_append(&store, vec![Arc::new(again)]).await;
    assert_eq!(answer, Appended { committed: 0, stopped: Some(Stopped::Duplicate) });
    let active = store.log.activate(room(1), 0).await.unwrap().unwrap();
    assert_eq!((active.heads.last_rev, active.uncounted), (2, vec![2]));
}

/// Nothing happens to a deleted message any more.
pub async fn a_deleted_message_stays_as_it_is(store: Store) {
    group_with_messages(&store, 1).await;
    let deleted = delete(&message(1, 1, 1), 1);
    append_entries(&store, vec![changing(&deleted)]).await;
    let now = read(&store, 1, 1).await;
    let refused = [
        changing(&edit(&now, 2, "back again")),
        changing(&edit(&message(1, 1, 1), 2, "back again")),
        changing(&delete(&now, 2)),
        changing(&count(&now, 2)),
        reacting(1, 1, 2, "a", true),
    ];
    for entry in refused {
        assert_refused(&store, vec![entry], 0).await;
    }
    // There is none, so it is taken back already.
    append_entries(&store, vec![reacting(1, 1, 2, "a", false)]).await;
    assert_eq!(read(&store, 1, 1).await, *deleted.message);
    let active = store.log.activate(room(1), 0).await.unwrap().unwrap();
    assert_eq!((active.heads.last_rev, active.uncounted), (1, Vec::new()));
}

/// Only the latest change of each message counts; pages are bounded, and say where to go on.
pub async fn pages_changed_messages_by_rev(store: Store) {
    group_with_messages(&store, 6).await;
    let ten_bytes = |seq, rev| changing(&edit(&message(1, seq, 1), rev, "0123456789"));
    // Latest: 4 at rev 2, 1 at 4, 6 at 5, 2 at 6; superseded: 1 at 1, 2 at 3.
    let changed_in_turn = [(1, 1), (4, 2), (2, 3), (1, 4), (6, 5), (2, 6)];
    let command = changed_in_turn.into_iter().map(|(seq, rev)| ten_bytes(seq, rev));
    append_entries(&store, command.collect()).await;
    let all = vec![(4, 2), (1, 4), (6, 5), (2, 6)];
    for ((after_rev, to_seq, limit, bytes), (expected, reached_rev)) in [
        ((0, 6, ALL, ALL), (all.clone(), 6)),
        ((0, u64::MAX, 4, 40), (all.clone(), 6)),
        ((1, 6, ALL, ALL), (all.clone(), 6)),
        ((2, 6, ALL, ALL), (all[1..].to_vec(), 6)),
        ((3, 6, 2, ALL), (all[1..3].to_vec(), 5)),
        ((5, 6, ALL, ALL), (all[3..].to_vec(), 6)),
        ((6, 6, ALL, ALL), (vec![], 6)),
        ((9, 6, ALL, ALL), (vec![], 6)),
        ((u64::MAX, 6, ALL, ALL), (vec![], 6)),
        // Those beyond `to_seq` are passed over, also behind the last that fits.
        ((0, 5, ALL, ALL), (vec![(4, 2), (1, 4), (2, 6)], 6)),
        ((0, 5, 2, ALL), (vec![(4, 2), (1, 4)], 5)),
        ((0, 1, 1, ALL), (vec![(1, 4)], 6)),
        ((0, 0, ALL, ALL), (vec![], 6)),
        ((0, 6, 1, ALL), (vec![(4, 2)], 2)),
        ((0, 6, 0, ALL), (vec![], 0)),
        // Whole messages, and one however big it is.
        ((0, 6, ALL, 29), (all[..2].to_vec(), 4)),
        ((0, 6, ALL, 30), (all[..3].to_vec(), 5)),
        ((0, 6, ALL, 0), (all[..1].to_vec(), 2)),
    ] {
        let found = changed(&store, after_rev, to_seq, limit, bytes).await;
        let asked = format!("after {after_rev}, up to {to_seq}, at most {limit}, {bytes} bytes");
        assert_eq!(found, (expected, reached_rev), "{asked}");
    }
}

/// Page by page one gets what one page would hold, also when a message changes in between.
pub async fn pages_of_changed_messages_meet(store: Store) {
    group_with_messages(&store, 4).await;
    let edited = |seq, rev| changing(&edit(&message(1, seq, 1), rev, "edited"));
    append_entries(&store, (1..=4).map(|seq| edited(seq, seq)).collect()).await;
    assert_eq!(changed(&store, 0, 4, 2, ALL).await, (vec![(1, 1), (2, 2)], 2));
    append_entries(&store, vec![edited(1, 5), edited(3, 6)]).await;
    assert_eq!(changed(&store, 2, 4, 2, ALL).await, (vec![(4, 4), (1, 5)], 5));
    assert_eq!(changed(&store, 5, 4, 2, ALL).await, (vec![(3, 6)], 6));
}

/// Marks name every change, the superseded ones too.
pub async fn marks_name_every_change(store: Store) {
    group_with_messages(&store, 2).await;
    let by_two = Change { by: Some(user(2)), ..delete(&message(1, 2, 1), 4) };
    let command = [
        edit(&message(1, 1, 1), 1, "a"),
        count(&message(1, 2, 1), 2),
        edit(&message(1, 1, 1), 3, "b"),
        by_two,
    ];
    append_entries(&store, command.iter().map(changing).collect()).await;
    let marks = [
        mark(1, 1, ChangeKind::Edit, Some(1)),
        mark(2, 2, ChangeKind::Reactions, None),
        mark(3, 1, ChangeKind::Edit, Some(1)),
        mark(4, 2, ChangeKind::Delete, Some(2)),
    ];
    for (after_rev, limit, expected) in [
        (0, ALL, &marks[..]),
        (0, 3, &marks[..3]),
        (2, ALL, &marks[2..]),
        (3, 1, &marks[3..]),
        (0, 0, &[]),
        (4, ALL, &[]),
        (u64::MAX, ALL, &[]),
    ] {
        let found = store.log.marks(room(1), after_rev, limit).await;
        assert_eq!(found, Ok(expected.to_vec()), "after {after_rev}, at most {limit}");
    }
}

/// No room, or no such message: nothing, and no error.
pub async fn what_is_not_there_was_not_changed(store: Store) {
    group_with_messages(&store, 1).await;
    assert_eq!(store.log.changed(room(9), 0, 9, 9, ALL).await, Ok(ChangedPage::default()));
    assert_eq!(store.log.marks(room(9), 0, 9).await, Ok(Vec::new()));
    for (in_room, seq) in [(9, 1), (1, 0), (1, 2)] {
        assert_eq!(store.log.target(room(in_room), seq, user(1)).await, Ok(None));
        let mine = store.log.my_reactions(room(in_room), user(1), vec![seq]).await;
        assert_eq!(mine, Ok(vec![Vec::new()]));
    }
}
