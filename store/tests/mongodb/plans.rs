//! How much the server looks at for each question: as much as it answers, however much there is.

use crate::set;
use futures_util::TryStreamExt;
use madang_protocol::{Entry, Heads, operation::Range};
use madang_store::{
    Store,
    conformance::fixtures::{
        append, append_entries, changing, delete, edit, make_room, make_users, message, messages,
        new_group, reacting, room, user,
    },
    receipts::Read,
};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    options::Hint,
};
use std::sync::Arc;

/// Rooms, and messages of each.
const ROOMS: u64 = 10;
const MESSAGES: u64 = 1_000;

async fn filled() -> (Store, Database) {
    let options = set::quiet();
    let store = set::open(&options);
    make_users(&store, 1..=3).await;
    for number in 1..=ROOMS {
        make_room(&store, new_group(number, 1, &[2, 3])).await;
        append(&store, messages(number, 1, MESSAGES)).await;
        let edits = (1..=100).map(|rev| changing(&edit(&message(number, rev * 5, 1), rev, "x")));
        let reactions = (1..=100).map(|seq| reacting(number, seq * 7, 2, "a", true));
        append_entries(&store, edits.chain(reactions).collect()).await;
    }
    let client = Client::with_uri_str(set::shared().uri()).await.expect("a URI");
    let database = client.database(&options.database);
    database.run_command(doc! { "profile": 2 }).await.expect("a profiler");
    (store, database)
}

/// What the server did, question by question.
struct Profile {
    database: Database,
    seen: usize,
}

impl Profile {
    /// Keys and documents it looked at since this was asked last. A plan that reads all there is
    /// is named.
    async fn looked_at(&mut self, what: &str) -> (i64, i64) {
        let profile = self.database.collection::<Document>("system.profile");
        let all = profile
            .find(doc! { "ns": { "$not": { "$regex": "system.profile$" } } })
            .hint(Hint::Keys(doc! { "$natural": 1 }))
            .await
            .expect("a profile");
        let all: Vec<Document> = all.try_collect().await.expect("a profile");
        let new = &all[self.seen..];
        self.seen = all.len();
        assert!(!new.is_empty(), "{what} asked nothing");
        for plan in new.iter().filter_map(|one| one.get_str("planSummary").ok()) {
            assert!(!plan.contains("COLLSCAN"), "{what}: {plan}");
        }
        let sum = |field| new.iter().map(|one| i64::from(one.get_i32(field).unwrap_or(0))).sum();
        (sum("keysExamined"), sum("docsExamined"))
    }

    /// `asked` looked at no more than so many keys and documents.
    async fn expect<T: std::fmt::Debug, E: std::fmt::Debug>(
        &mut self,
        what: &str,
        (keys_max, documents_max): (i64, i64),
        asked: impl Future<Output = Result<T, E>>,
    ) {
        asked.await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (keys, documents) = self.looked_at(what).await;
        assert!(
            keys <= keys_max && documents <= documents_max,
            "{what} looked at {keys} keys and {documents} documents"
        );
    }
}

/// Of a thousand messages of each of ten rooms. A few are for the heads: one of each sequence, the
/// room itself, the message of the last change.
#[tokio::test]
async fn questions_cost_what_they_answer() {
    let (store, database) = filled().await;
    let mut server = Profile { database, seen: 0 };
    let (log, receipts) = (&store.log, &store.receipts);
    let page = |range| log.page(room(1), range, 50, usize::MAX);
    // The hundred uncounted are told by their keys.
    server.expect("activate", (160, 60), log.activate(room(1), 50)).await;
    // Beside reactions that nobody told, the primary is asked how far the room is, and then for all.
    server.expect("page", (70, 70), page(Range::Newest)).await;
    server.expect("page before", (70, 70), page(Range::Before(500))).await;
    server.expect("page after", (70, 70), page(Range::After(500))).await;
    let changed = log.changed(room(1), 50, MESSAGES, 10, usize::MAX);
    server.expect("changed", (60, 60), changed).await;
    server.expect("marks", (10, 10), log.marks(room(1), 50, 10)).await;
    server.expect("target", (8, 8), log.target(room(1), 35, user(2))).await;
    let mine = log.my_reactions(room(1), user(2), (1..=50).collect());
    server.expect("my_reactions", (60, 10), mine).await;
    let sent = (1..=20).map(|seq| (user(1), message(1, seq, 1).client_id)).collect();
    server.expect("find_sent", (45, 20), log.find_sent(room(1), sent)).await;
    // One key of each sequence of each room that there is, whatever the number of messages.
    let known = (1..=500).map(|number| (room(number), Heads::default())).collect();
    server.expect("news", (4 * ROOMS as i64, ROOMS as i64), log.news(known)).await;
    let reads = (1..=ROOMS).map(|number| Read { room: room(number), user: user(2), seq: 5 });
    server.expect("put_reads", (60, 30), receipts.put_reads(reads.collect())).await;
    server.expect("readers", (10, 10), receipts.readers(room(1), 5, None, 10)).await;
}

/// Nor does writing look at what it is not about.
#[tokio::test]
async fn writes_look_at_what_they_change() {
    let (store, database) = filled().await;
    let mut server = Profile { database, seen: 0 };
    let append = async |entry: Entry| {
        let answer = store.log.append(vec![entry]).await;
        answer.stopped.map_or(Ok(()), Err)
    };
    let sent = Entry::Message(Arc::new(message(1, MESSAGES + 1, 2)));
    server.expect("send", (0, 0), append(sent)).await;
    let edited = changing(&edit(&message(1, 1, 1), 101, "x"));
    server.expect("edit", (10, 10), append(edited)).await;
    server.expect("react", (10, 10), append(reacting(1, 2, 2, "a", true))).await;
    let deleted = changing(&delete(&message(1, 7, 1), 102));
    server.expect("delete", (15, 15), append(deleted)).await;
}

/// Changes of messages that nobody asked for are passed over, so many of them a page.
#[tokio::test]
async fn a_page_that_passes_over_many_changes_ends_early() {
    let store = set::open(&set::quiet());
    make_users(&store, 1..=1).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 301)).await;
    // The first message is changed last.
    let edits = (1..=301).map(|rev| changing(&edit(&message(1, 302 - rev, 1), rev, "x")));
    append_entries(&store, edits.collect()).await;
    let page = async |after_rev| {
        let page = store.log.changed(room(1), after_rev, 1, 9, usize::MAX).await.expect("a page");
        (page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), page.reached_rev)
    };
    assert_eq!(page(0).await, (vec![], 200));
    assert_eq!(page(200).await, (vec![1], 301));
}
