//! Cases of [`MessageLog`](crate::MessageLog): reactions, their counts, and which were not told.

use super::fixtures::{
    append, append_entries, changing, count, delete, edit, emoji, make_group, make_room, message,
    messages, new_group, reacting, read, room, user,
};
use crate::{
    Store,
    log::{Appended, Stopped, Target, UNCOUNTED_MAX},
};
use madang_protocol::{Amended, Entry, Message};
use std::sync::Arc;

/// The counts of a message as text.
async fn counts(store: &Store, seq: u64) -> Vec<(String, u64)> {
    let amended = read(store, 1, seq).await.amended.unwrap_or_default();
    let texts = amended.reactions.iter().map(|(emoji, count)| (emoji.as_str().to_owned(), *count));
    texts.collect()
}

fn counted(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(emoji, count)| ((*emoji).to_owned(), *count)).collect()
}

async fn uncounted(store: &Store) -> Vec<u64> {
    store.log.activate(room(1), 0).await.unwrap().unwrap().uncounted
}

/// Group 1 of users 1 to 6 with messages 1 to `to`.
async fn group_with_messages(store: &Store, to: u64) {
    make_group(store, 6).await;
    append(store, messages(1, 1, to)).await;
}

/// What was set is set, what was taken back is gone, however often it is said.
pub async fn the_same_reaction_twice_is_the_same_once(store: Store) {
    group_with_messages(&store, 1).await;
    // Nothing to take back, so nothing was changed about the message.
    append_entries(&store, vec![reacting(1, 1, 1, "a", false)]).await;
    assert_eq!(read(&store, 1, 1).await, message(1, 1, 1));
    assert_eq!(uncounted(&store).await, [0; 0]);
    for on in [true, false, true] {
        append_entries(&store, vec![reacting(1, 1, 1, "a", on), reacting(1, 1, 1, "a", on)]).await;
        append_entries(&store, vec![reacting(1, 1, 1, "a", on)]).await;
        let expected = if on { counted(&[("a", 1)]) } else { Vec::new() };
        assert_eq!(counts(&store, 1).await, expected);
        let mine = if on { vec![emoji("a")] } else { Vec::new() };
        let target = store.log.target(room(1), 1, user(1)).await.unwrap().unwrap();
        assert_eq!(target.mine, mine);
    }
    let active = store.log.activate(room(1), 0).await.unwrap().unwrap();
    assert_eq!(active.heads.last_rev, 0, "a reaction takes no number");
}

/// A message that nobody reacts to any more, and that was never changed, is as it was sent.
pub async fn the_last_reaction_leaves_no_trace_on_the_message(store: Store) {
    group_with_messages(&store, 1).await;
    append_entries(&store, vec![reacting(1, 1, 2, "a", true)]).await;
    let amended = Amended { reactions: vec![(emoji("a"), 1)], ..Amended::default() };
    assert_eq!(read(&store, 1, 1).await.amended.as_deref(), Some(&amended));
    append_entries(&store, vec![reacting(1, 1, 2, "a", false)]).await;
    assert_eq!(read(&store, 1, 1).await, message(1, 1, 1));
    // But whoever read of it is yet to be told.
    assert_eq!(uncounted(&store).await, [1]);
}

/// Users are counted by what they react with, the first used first.
pub async fn counts_users_by_emoji(store: Store) {
    group_with_messages(&store, 2).await;
    let command = vec![
        reacting(1, 1, 1, "b", true),
        reacting(1, 1, 2, "a", true),
        reacting(1, 1, 3, "b", true),
        reacting(1, 1, 3, "👍🏽", true),
        reacting(1, 2, 3, "a", true),
    ];
    append_entries(&store, command).await;
    assert_eq!(counts(&store, 1).await, counted(&[("b", 2), ("a", 1), ("👍🏽", 1)]));
    assert_eq!(counts(&store, 2).await, counted(&[("a", 1)]));
    let command = vec![
        reacting(1, 1, 1, "b", false),
        reacting(1, 1, 2, "a", false),
        reacting(1, 1, 4, "a", true),
    ];
    append_entries(&store, command).await;
    assert_eq!(counts(&store, 1).await, counted(&[("b", 1), ("👍🏽", 1), ("a", 1)]));
}

/// How many kinds a message may have is the caller's to say.
pub async fn takes_any_number_of_kinds(store: Store) {
    group_with_messages(&store, 1).await;
    let kinds: Vec<String> = (10..40).map(|kind| kind.to_string()).collect();
    let command = kinds.iter().map(|kind| reacting(1, 1, 1, kind, true));
    append_entries(&store, command.collect()).await;
    let expected: Vec<_> = kinds.iter().map(|kind| (kind.clone(), 1)).collect();
    assert_eq!(counts(&store, 1).await, expected);
    let mine: Vec<_> = kinds.iter().map(|kind| emoji(kind)).collect();
    let target = store.log.target(room(1), 1, user(1)).await.unwrap().unwrap();
    assert_eq!(target.mine, mine);
}

/// What one user reacted with stands in the order asked, and by its bytes.
pub async fn finds_my_reactions_in_the_order_asked(store: Store) {
    group_with_messages(&store, 3).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, messages(2, 1, 1)).await;
    let command = vec![
        reacting(1, 1, 2, "b", true),
        reacting(1, 1, 2, "a", true),
        reacting(1, 1, 3, "c", true),
        reacting(1, 3, 2, "d", true),
        reacting(2, 1, 2, "e", true),
    ];
    append_entries(&store, command).await;
    let (first, third) = (vec![emoji("a"), emoji("b")], vec![emoji("d")]);
    let found = store.log.my_reactions(room(1), user(2), vec![3, 1, 2, 3]).await;
    assert_eq!(found, Ok(vec![third.clone(), first.clone(), Vec::new(), third]));
    let target = store.log.target(room(1), 1, user(2)).await;
    let message = Arc::new(read(&store, 1, 1).await);
    assert_eq!(target, Ok(Some(Target { message, mine: first })));
    assert_eq!(store.log.my_reactions(room(1), user(2), Vec::new()).await, Ok(Vec::new()));
}

/// A reaction makes its message uncounted, and a change that says the same counts ends that.
pub async fn reactions_are_uncounted_until_a_change_tells_them(store: Store) {
    group_with_messages(&store, 3).await;
    let command = [3, 1, 2].map(|seq| reacting(1, seq, 2, "a", true));
    append_entries(&store, command.to_vec()).await;
    assert_eq!(uncounted(&store).await, [1, 2, 3]);
    let told = count(&read(&store, 1, 2).await, 1);
    append_entries(&store, vec![changing(&told)]).await;
    assert_eq!(uncounted(&store).await, [1, 3]);
    assert_eq!(read(&store, 1, 2).await, *told.message);
    // An edit tells the counts as well, and a deleted message has none.
    let edited = edit(&read(&store, 1, 1).await, 2, "edited");
    let deleted = delete(&read(&store, 1, 3).await, 3);
    append_entries(&store, vec![changing(&edited), changing(&deleted)]).await;
    assert_eq!(uncounted(&store).await, [0; 0]);
    append_entries(&store, vec![reacting(1, 2, 2, "a", true)]).await;
    assert_eq!(uncounted(&store).await, [0; 0], "the same again changes nothing");
    append_entries(&store, vec![reacting(1, 2, 2, "a", false)]).await;
    assert_eq!(uncounted(&store).await, [2]);
}

/// A change that does not know of all reactions neither loses them nor counts them as told.
pub async fn a_stale_change_leaves_reactions_uncounted(store: Store) {
    group_with_messages(&store, 2).await;
    append_entries(&store, vec![reacting(1, 1, 2, "a", true)]).await;
    let stale = edit(&message(1, 1, 1), 1, "edited");
    append_entries(&store, vec![changing(&stale)]).await;
    let now = read(&store, 1, 1).await;
    let known = edit(&now, 1, "edited");
    assert_eq!(now, *known.message);
    assert_eq!(counts(&store, 1).await, counted(&[("a", 1)]));
    assert_eq!(uncounted(&store).await, [1]);
    // Nor can it make up any.
    let reactions = vec![(emoji("b"), 7)];
    let amended = Some(Box::new(Amended { reactions, ..Amended::default() }));
    let made_up = count(&Message { amended, ..message(1, 2, 1) }, 2);
    append_entries(&store, vec![changing(&made_up)]).await;
    assert_eq!(read(&store, 1, 2).await, *count(&message(1, 2, 1), 2).message);
    assert_eq!(uncounted(&store).await, [1, 2]);
}

/// As many as are promised are named, the first first.
pub async fn names_the_first_uncounted(store: Store) {
    make_group(&store, 2).await;
    let many = UNCOUNTED_MAX as u64 + 2;
    let sent = messages(1, 1, many).into_iter().map(Entry::Message);
    let command = sent.chain((2..=many).rev().map(|seq| reacting(1, seq, 2, "a", true)));
    append_entries(&store, command.collect()).await;
    let expected: Vec<u64> = (2..many).collect();
    assert_eq!(uncounted(&store).await, expected);
}

/// What concerns no message is refused; what stands before it is committed, the rest is not.
pub async fn refuses_reactions_to_nothing(store: Store) {
    group_with_messages(&store, 2).await;
    for (in_room, seq) in [(9, 1), (1, 0), (1, 3)] {
        for on in [true, false] {
            let command = vec![
                reacting(1, 1, 1, "a", on),
                reacting(in_room, seq, 1, "a", on),
                reacting(1, 2, 1, "a", true),
            ];
            let answer = store.log.append(command).await;
            assert_eq!(answer.committed, 1, "{answer:?}");
            assert!(matches!(answer.stopped, Some(Stopped::Refused(_))), "{answer:?}");
            assert_eq!(counts(&store, 1).await.is_empty(), !on);
            assert_eq!(counts(&store, 2).await, Vec::new());
        }
    }
}

/// Reactions behind a taken place are not attempted.
pub async fn a_command_with_reactions_stops_where_it_is_taken(store: Store) {
    group_with_messages(&store, 1).await;
    let command = vec![
        reacting(1, 1, 1, "a", true),
        Entry::Message(Arc::new(Message { seq: 1, ..message(1, 2, 2) })),
        reacting(1, 1, 2, "a", true),
    ];
    let answer = store.log.append(command).await;
    assert_eq!(answer, Appended { committed: 1, stopped: Some(Stopped::Taken) });
    assert_eq!(counts(&store, 1).await, counted(&[("a", 1)]));
}
