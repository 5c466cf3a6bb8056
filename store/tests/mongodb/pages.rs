//! Pages come from the secondaries, and are as new as the primary's.

use madang_protocol::operation::Range;
use madang_servers::ReplicaSet;
use madang_store::{
    ClusterOptions, Store,
    conformance::fixtures::{
        append, append_entries, changing, edit, make_group, message, messages, room,
    },
    open_cluster,
};

/// Pages that are asked for where is counted.
const PAGES: u64 = 300;
/// Of them one member answers at most so many.
const SHARE_MAX: f64 = 0.6;
/// Messages there are before that, and edits of the first.
const MESSAGES: u64 = 50;
const EDITS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_spread_and_no_older_than_the_primary() {
    let set = ReplicaSet::steady().await;
    let store = open_cluster(ClusterOptions::at(set.uri(), "chat")).await.expect("a store");
    make_group(&store, 2).await;
    append(&store, messages(1, 1, MESSAGES)).await;
    for _ in 0..20 {
        assert_eq!(newest(&store).await, MESSAGES); // and all of it gets everywhere
    }
    is_spread(&set, &store).await;
    is_as_new_as_what_was_written(&store, MESSAGES).await;
    // One that falls behind goes on to answer, and nobody is told what it says.
    let primary = set.primary().await;
    let behind = (primary + 1) % 3;
    set.hold_back(behind, true).await;
    is_as_new_as_what_was_written(&store, MESSAGES + EDITS).await;
    set.hold_back(behind, false).await;
}

async fn is_spread(set: &ReplicaSet, store: &Store) {
    let primary = set.primary().await;
    let mut before = [0; 3];
    for (place, asked) in before.iter_mut().enumerate() {
        [*asked] = set.asked_at(place, ["aggregate"]).await;
    }
    for _ in 0..PAGES {
        newest(store).await;
    }
    let mut shares = [0.0; 3];
    for (place, share) in shares.iter_mut().enumerate() {
        let [asked] = set.asked_at(place, ["aggregate"]).await;
        // The primary is asked each time how far the room is.
        let pages = asked - before[place] - if place == primary { PAGES } else { 0 };
        *share = pages as f64 / PAGES as f64;
    }
    println!("shares {shares:?}, the primary is {primary}");
    assert!(shares.iter().sum::<f64>() >= 1.0, "{shares:?}");
    assert!(shares.iter().all(|share| *share <= SHARE_MAX), "{shares:?}");
}

/// Writes and edits; each shows in the page asked for next. `last`: the newest message there is.
async fn is_as_new_as_what_was_written(store: &Store, last: u64) {
    let edited = async || {
        let page = store.log.page(room(1), Range::Before(2), 1, usize::MAX).await.expect("a page");
        (page.last_rev, page.messages[0].body.clone())
    };
    let (rev, _) = edited().await;
    for number in 1..=EDITS {
        append(store, vec![message(1, last + number, 1).into()]).await;
        assert_eq!(newest(store).await, last + number);
        let body = format!("edit {number} after {last}");
        let first = store.log.page(room(1), Range::Before(2), 1, usize::MAX).await.expect("a page");
        let change = edit(&first.messages[0], rev + number, &body);
        append_entries(store, vec![changing(&change)]).await;
        assert_eq!(edited().await, (rev + number, body.into()));
    }
}

async fn newest(store: &Store) -> u64 {
    let page = store.log.page(room(1), Range::Newest, 10, usize::MAX).await.expect("a page");
    assert_eq!(page.messages.last().map(|newest| newest.seq), Some(page.last_seq));
    page.last_seq
}
