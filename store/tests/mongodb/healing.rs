//! What a node left half done when it ended: whoever comes across it does the rest.

use crate::set;
use futures_util::TryStreamExt;
use madang_protocol::{Heads, RoomId, UserId, operation::Range};
use madang_store::{
    Store,
    conformance::fixtures::{
        append, append_entries, changed_at, changing, delete, edit, emoji, make_group, message,
        messages, reacting, read, room, user,
    },
};
use mongodb::{
    Client, Database,
    bson::{Binary, Document, doc, spec::BinarySubtype},
    options::Hint,
};

const ALL: usize = usize::MAX;

/// A store with group 1 of two users and three messages of the first, and its database.
async fn stage() -> (Store, Database) {
    let options = set::options();
    let store = set::open(&options);
    make_group(&store, 2).await;
    append(&store, messages(1, 1, 3)).await;
    let client = Client::with_uri_str(set::shared().uri()).await.expect("a URI");
    (store, client.database(&options.database))
}

fn binary(bytes: [u8; 15]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn of(RoomId(room): RoomId) -> Binary {
    binary(room)
}

fn by(UserId(user): UserId) -> Binary {
    binary(user)
}

/// Edits that were appended by one command and not brought to their messages.
async fn append_only(database: &Database, revs: &[(i64, i64)]) {
    let from = revs[0].0;
    let record = |(rev, seq): &(i64, i64)| {
        let at = changed_at(*rev as u64) as i64;
        doc! {
            "room": of(room(1)), "rev": rev, "from": from, "seq": seq, "kind": "edit",
            "by": by(user(1)), "ts": at, "body": format!("edit {rev}"), "edited_at": at,
        }
    };
    let changes = database.collection::<Document>("changes");
    let majority = mongodb::options::WriteConcern::majority();
    let records = revs.iter().map(record);
    changes.insert_many(records).write_concern(majority).await.expect("inserted");
}

/// Every kind of read shows what was appended, whichever comes first.
#[tokio::test]
async fn a_read_applies_what_was_only_appended() {
    for first in 0..4 {
        let (store, database) = stage().await;
        append_only(&database, &[(1, 2), (2, 1)]).await;
        let expected = edit(&message(1, 1, 1), 2, "edit 2").message;
        let heads = Heads { last_seq: 3, last_rev: 2, member_rev: 0 };
        let shown = match first {
            0 => store.log.page(room(1), Range::Newest, 9, ALL).await.expect("a page").messages,
            1 => {
                let active = store.log.activate(room(1), 9).await.expect("read").expect("a room");
                assert_eq!(active.heads, heads);
                active.window
            }
            2 => {
                let page = store.log.changed(room(1), 0, 9, 9, ALL).await.expect("a page");
                assert_eq!((page.reached_rev, page.heads), (2, heads));
                page.messages
            }
            _ => {
                let target = store.log.target(room(1), 1, user(1)).await.expect("read");
                vec![target.expect("a message").message]
            }
        };
        assert!(shown.contains(&expected), "by read {first}: {shown:?}");
        assert_eq!(&*read(&store, 1, 2).await.body, "edit 1");
    }
}

/// The next change of the room sees to it, also when nobody reads in between, and one of the same
/// message builds on it.
#[tokio::test]
async fn the_next_change_applies_what_was_only_appended() {
    let (store, database) = stage().await;
    append_only(&database, &[(1, 1), (2, 2)]).await;
    append_entries(&store, vec![changing(&edit(&message(1, 3, 1), 3, "third"))]).await;
    let stored = stored(&database, "messages").await;
    let bodies: Vec<_> = stored.iter().map(|one| one.get_str("body").expect("a body")).collect();
    assert_eq!(bodies, ["edit 1", "edit 2", "third"]);
    append_only(&database, &[(4, 1)]).await;
    let counted = madang_store::conformance::fixtures::count(&message(1, 1, 1), 5);
    append_entries(&store, vec![changing(&counted)]).await;
    let now = read(&store, 1, 1).await;
    assert_eq!((&*now.body, now.rev()), ("edit 4", 5));
}

/// A change that arrives late at its message undoes nothing.
#[tokio::test]
async fn a_later_change_is_not_undone() {
    let (store, database) = stage().await;
    let edits = [edit(&message(1, 1, 1), 1, "first"), edit(&message(1, 1, 1), 2, "second")];
    append_entries(&store, edits.iter().map(changing).collect()).await;
    // As if the node that made the first one wrote it only now.
    let late = doc! { "$set": { "body": "first" } };
    let changes = database.collection::<Document>("changes");
    changes.update_one(doc! { "room": of(room(1)), "rev": 1 }, late).await.expect("written");
    append_entries(&store, vec![changing(&edit(&message(1, 2, 1), 3, "other"))]).await;
    assert_eq!(&*read(&store, 1, 1).await.body, "second");
}

/// A reaction that was set and not counted is counted by whoever says the same again.
#[tokio::test]
async fn a_reaction_that_was_only_set_is_counted() {
    let (store, database) = stage().await;
    let row = doc! { "room": of(room(1)), "seq": 1_i64, "user": by(user(2)), "emoji": "a" };
    database.collection::<Document>("reactions").insert_one(row).await.expect("inserted");
    append_entries(&store, vec![reacting(1, 1, 2, "a", true)]).await;
    let amended = read(&store, 1, 1).await.amended.expect("it has reactions");
    assert_eq!(amended.reactions, [(emoji("a"), 1)]);
    let active = store.log.activate(room(1), 0).await.expect("read").expect("a room");
    assert_eq!(active.uncounted, [1]);
}

/// Of a deleted message no body is left anywhere, and of an edited one none but the latest.
#[tokio::test]
async fn bodies_that_are_gone_are_gone_everywhere() {
    let (store, database) = stage().await;
    let edits = ["secret one", "secret two"].into_iter().zip(1..);
    let edits = edits.map(|(body, rev)| changing(&edit(&message(1, 1, 1), rev, body)));
    append_entries(&store, edits.collect()).await;
    assert!(!everything(&database).await.contains("secret one"));
    assert!(everything(&database).await.contains("secret two"));
    append_entries(&store, vec![changing(&delete(&message(1, 1, 1), 3))]).await;
    assert!(!everything(&database).await.contains("secret"));
}

async fn everything(database: &Database) -> String {
    let mut text = String::new();
    for name in ["messages", "changes"] {
        text += &format!("{:?}", stored(database, name).await);
    }
    text
}

async fn stored(database: &Database, collection: &str) -> Vec<Document> {
    let everything = doc! { "_id": { "$exists": true } };
    let by_id = Hint::Name("_id_".into());
    let found = database.collection(collection).find(everything).hint(by_id).await;
    found.expect("a collection").try_collect().await.expect("documents")
}
