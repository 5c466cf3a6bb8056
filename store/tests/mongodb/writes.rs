//! What reaches the server: counted there, by its profiler, and judged by what it answers.

use crate::set;
use futures_util::TryStreamExt;
use madang_protocol::{Entry, Message, operation::Range};
use madang_servers::wait;
use madang_store::{
    ClusterOptions, Store,
    conformance::fixtures::{
        append, append_entries, changing, edit, make_group, make_room, message, messages,
        new_group, reacting, room, try_append,
    },
    log::{Appended, Stopped},
};
use mongodb::{
    Client, Database,
    bson::{Document, doc},
    options::Hint,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Fail points are of the whole server, so one test at a time has one.
static FAIL_POINT: Mutex<()> = Mutex::const_new(());

/// A store, and what its database saw.
struct Watched {
    store: Store,
    database: Database,
}

impl Watched {
    /// With group 1 of three users.
    async fn open(options: ClusterOptions) -> Self {
        let store = set::open(&options);
        make_group(&store, 3).await;
        let client = Client::with_uri_str(set::shared().uri()).await.expect("a URI");
        Self { store, database: client.database(&options.database) }
    }

    async fn watch(&self) {
        self.database.run_command(doc! { "profile": 2 }).await.expect("a profiler");
    }

    /// The writes since then, by kind.
    async fn writes(&self) -> Vec<Document> {
        let seen = self.database.collection::<Document>("system.profile");
        let writes = doc! { "op": { "$in": ["insert", "update", "remove"] } };
        // It has no index and none can be made; the order of what happened is its own.
        let found =
            seen.find(writes).hint(Hint::Keys(doc! { "$natural": 1 })).await.expect("a profile");
        found.try_collect().await.expect("a profile")
    }

    /// So many inserts of messages of this database come to grief.
    async fn fail_inserts(&self, times: i32, how: Document) {
        let namespace = format!("{}.messages", self.database.name());
        let mut fail = doc! { "failCommands": ["insert"], "namespace": namespace };
        fail.extend(how);
        set::shared().fail_commands(set::shared().primary().await, times, fail).await;
    }

    /// Until messages up to there are on a majority: what is in doubt may come late.
    async fn reaches(&self, seq: u64) {
        wait::until("the messages", wait::SOON, async || {
            let page = self.store.log.page(room(1), Range::Newest, 9, 99).await.ok()?;
            (page.last_seq >= seq).then_some(())
        })
        .await;
    }

    async fn inserts(&self) -> Vec<Document> {
        let is_insert = |write: &Document| write.get_str("op").ok() == Some("insert");
        self.writes().await.into_iter().filter(is_insert).collect()
    }
}

/// How many documents each of them inserted.
fn inserted(inserts: &[Document]) -> Vec<i32> {
    inserts.iter().map(|insert| insert.get_i32("ninserted").expect("an insert")).collect()
}

fn entries(messages: Vec<Arc<Message>>) -> Vec<Entry> {
    messages.into_iter().map(Entry::Message).collect()
}

/// A thousand messages of ten rooms in one command are one insert, and nothing else.
#[tokio::test]
async fn a_command_of_messages_is_one_insert() {
    let watched = Watched::open(set::quiet()).await;
    for number in 2..=10 {
        make_room(&watched.store, new_group(number, 1, &[])).await;
    }
    watched.watch().await;
    let command = (1..=10).flat_map(|number| messages(number, 1, 100)).collect();
    append(&watched.store, command).await;
    let writes = watched.writes().await;
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(inserted(&writes), [1_000]);
    let command = writes[0].get_document("command").expect("a command");
    let concern = command.get_document("writeConcern").expect("a write concern");
    assert_eq!(concern, &doc! { "w": "majority", "j": true });
    assert_eq!(command.get_bool("ordered").ok(), Some(true));
}

/// At load: forty commands of twenty-five messages are forty inserts, and the positions of all
/// senders a few bulk writes, however many messages there were.
#[tokio::test]
async fn a_thousand_messages_at_load_are_as_many_inserts_as_commands() {
    let interval = Duration::from_millis(200);
    let options = ClusterOptions { positions_interval: interval, ..set::options() };
    let watched = Watched::open(options).await;
    watched.watch().await;
    let began = std::time::Instant::now();
    for command in 0..40 {
        append(&watched.store, messages(1, command * 25 + 1, command * 25 + 25)).await;
    }
    let intervals = began.elapsed().as_millis() / interval.as_millis();
    let writes = watched.writes().await;
    let inserts = watched.inserts().await.len();
    let updates = (writes.len() - inserts) as u128;
    assert_eq!(inserts, 40);
    assert!(updates <= intervals + 1, "{updates} in {intervals} intervals: {writes:?}");
}

/// The positions of senders go along with the next receipts.
#[tokio::test]
async fn positions_of_senders_are_written_with_the_next_receipts() {
    let watched = Watched::open(set::quiet()).await;
    watched.watch().await;
    let sent = [1, 2, 3].map(|sender| Arc::new(message(1, sender, sender)));
    append(&watched.store, sent.to_vec()).await;
    let receipt = madang_store::receipts::Read {
        room: room(1),
        user: madang_store::conformance::fixtures::user(1),
        seq: 3,
    };
    watched.store.receipts.put_reads(vec![receipt]).await.expect("written");
    let writes = watched.writes().await;
    let updates = writes.iter().filter(|write| write.get_str("op").ok() == Some("update"));
    assert_eq!(updates.count(), 3, "one command, of which each statement is seen: {writes:?}");
    let stored = watched.database.collection::<Document>("receipts");
    let all = stored.find(doc! { "_id": { "$exists": true } }).hint(Hint::Name("_id_".into()));
    let stored: Vec<Document> = all.await.expect("receipts").try_collect().await.expect("receipts");
    let mut seqs: Vec<_> = stored.iter().filter_map(|stored| stored.get_i64("seq").ok()).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [2, 3, 3]);
}

/// What is longer than an insert may be is divided here, where it is known what became of each.
#[tokio::test]
async fn a_long_command_is_divided_and_stops_where_it_is_taken() {
    let watched = Watched::open(set::quiet()).await;
    append(&watched.store, messages(1, 1, 1)).await;
    watched.watch().await;
    let mut command = messages(1, 2, 2_500);
    command[2_100] = Arc::new(Message { seq: 1, ..message(1, 9_000, 2) });
    let answer = try_append(&watched.store, command).await;
    assert_eq!(answer, Appended { committed: 2_100, stopped: Some(Stopped::Taken) });
    assert_eq!(watched.inserts().await.len(), 3);
}

/// Bodies of 16 KiB: the driver must never divide what we believe to be one command.
#[tokio::test]
async fn a_big_command_is_divided_by_its_bytes() {
    let watched = Watched::open(set::quiet()).await;
    watched.watch().await;
    let body: Arc<str> = "x".repeat(16_384).into();
    let big = |seq| Arc::new(Message { body: body.clone(), ..message(1, seq, 1) });
    append(&watched.store, (1..=1_000).map(big).collect()).await;
    let inserted = inserted(&watched.inserts().await);
    assert!(inserted.len() == 2 && inserted[0] + inserted[1] == 1_000, "{inserted:?}");
}

/// An edit is one look, one insert and one update, with one look for bodies to be erased.
#[tokio::test]
async fn changes_and_reactions_are_few_writes() {
    let watched = Watched::open(set::quiet()).await;
    append(&watched.store, messages(1, 1, 3)).await;
    watched.watch().await;
    let command = vec![
        changing(&edit(&message(1, 1, 1), 1, "one")),
        changing(&edit(&message(1, 2, 1), 2, "two")),
    ];
    append_entries(&watched.store, command).await;
    assert_eq!(watched.inserts().await.len(), 1);
    // Of a command of updates each statement is seen: two messages, two looks for old bodies.
    assert_eq!(watched.writes().await.len(), 1 + 2 + 2);
}

#[tokio::test]
async fn a_write_concern_error_leaves_it_in_doubt() {
    let _alone = FAIL_POINT.lock().await;
    let watched = Watched::open(set::quiet()).await;
    let concern = doc! { "code": 64, "errmsg": "waiting for replication timed out" };
    watched.fail_inserts(1, doc! { "writeConcernError": concern }).await;
    let answer = try_append(&watched.store, messages(1, 1, 2)).await;
    assert!(
        matches!(answer, Appended { committed: 0, stopped: Some(Stopped::Unknown(_)) }),
        "{answer:?}"
    );
    // It happened, as it happens: the store shows it, and whoever asks again is told.
    watched.reaches(2).await;
    let again = try_append(&watched.store, messages(1, 1, 2)).await;
    assert!(matches!(again.stopped, Some(Stopped::Duplicate | Stopped::Taken)), "{again:?}");
}

/// A connection that breaks once is made up for by the driver, which numbers its statements: they
/// happen once. One that breaks twice leaves it in doubt.
#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    let _alone = FAIL_POINT.lock().await;
    let watched = Watched::open(set::quiet()).await;
    let broken = doc! { "closeConnection": true };
    watched.fail_inserts(1, broken.clone()).await;
    append(&watched.store, messages(1, 1, 3)).await;
    watched.fail_inserts(2, broken).await;
    let answer = try_append(&watched.store, messages(1, 4, 5)).await;
    assert!(
        matches!(answer, Appended { committed: 0, stopped: Some(Stopped::Unknown(_)) }),
        "{answer:?}"
    );
    let page = watched.store.log.page(room(1), Range::Newest, 9, 99).await.expect("a page");
    assert_eq!(page.last_seq, 3);
}

/// An error that nobody has thought of is no refusal.
#[tokio::test]
async fn an_error_of_another_kind_leaves_it_in_doubt() {
    let _alone = FAIL_POINT.lock().await;
    let watched = Watched::open(set::quiet()).await;
    watched.fail_inserts(1, doc! { "errorCode": 8_000 }).await;
    let answer = try_append(&watched.store, messages(1, 1, 1)).await;
    assert!(matches!(answer.stopped, Some(Stopped::Unknown(_))), "{answer:?}");
}

/// Keys are told apart by the name of their index: one that we do not know says nothing.
#[tokio::test]
async fn a_taken_key_is_judged_by_the_name_of_its_index() {
    let watched = Watched::open(set::quiet()).await;
    append(&watched.store, messages(1, 1, 1)).await;
    append_entries(&watched.store, vec![changing(&edit(&message(1, 1, 1), 1, "x"))]).await;
    let of = async |message: Message| try_append(&watched.store, vec![Arc::new(message)]).await;
    let taken = of(Message { seq: 1, ..message(1, 2, 2) }).await;
    assert_eq!(taken.stopped, Some(Stopped::Taken), "room_seq");
    let duplicate = of(Message { seq: 2, ..message(1, 1, 1) }).await;
    assert_eq!(duplicate.stopped, Some(Stopped::Duplicate), "room_sender_client");
    let rev = watched.store.log.append(vec![changing(&edit(&message(1, 1, 1), 1, "y"))]).await;
    assert_eq!(rev.stopped, Some(Stopped::Taken), "room_rev");
    let messages = watched.database.collection::<Document>("messages");
    let other = mongodb::IndexModel::builder()
        .keys(doc! { "ts": 1 })
        .options(
            mongodb::options::IndexOptions::builder()
                .name("room_seq_of_others".to_owned())
                .unique(true)
                .build(),
        )
        .build();
    messages.create_index(other).await.expect("an index");
    let unknown = of(Message { ts: message(1, 1, 1).ts, ..message(1, 2, 2) }).await;
    assert!(matches!(unknown.stopped, Some(Stopped::Unknown(_))), "{unknown:?}");
}

/// A command of all kinds, of which nothing stands behind another of its room.
#[tokio::test]
async fn a_mixed_command_is_one_insert_of_messages_whatever_the_order() {
    let watched = Watched::open(set::quiet()).await;
    make_room(&watched.store, new_group(2, 1, &[])).await;
    append(&watched.store, [messages(1, 1, 1), messages(2, 1, 1)].concat()).await;
    watched.watch().await;
    let mut command = entries(messages(1, 2, 2));
    command.push(changing(&edit(&message(2, 1, 1), 1, "edited")));
    command.extend(entries(messages(2, 2, 2)));
    command.push(reacting(1, 1, 2, "a", true));
    command.extend(entries(messages(1, 3, 3)));
    append_entries(&watched.store, command).await;
    let inserted = inserted(&watched.inserts().await);
    assert_eq!(inserted, [3, 1]);
}

/// A change that is taken behind messages of the same command that are not: nothing is claimed of
/// what went ahead.
#[tokio::test]
async fn messages_that_went_ahead_of_a_taken_change_are_in_doubt() {
    let watched = Watched::open(set::quiet()).await;
    append(&watched.store, messages(1, 1, 1)).await;
    append_entries(&watched.store, vec![changing(&edit(&message(1, 1, 1), 1, "first"))]).await;
    let mut command = entries(messages(1, 2, 2));
    command.push(changing(&edit(&message(1, 1, 1), 1, "late")));
    command.extend(entries(messages(1, 3, 3)));
    let answer = watched.store.log.append(command).await;
    assert!(
        matches!(answer, Appended { committed: 1, stopped: Some(Stopped::Unknown(_)) }),
        "{answer:?}"
    );
}
