//! Changes of several documents when the server fails in the middle: made once, or not at all, or
//! said to be in doubt.

use super::set::{self, FAIL_POINT};
use madang_servers::wait;
use madang_store::{
    ClusterOptions, Store, StoreError,
    conformance::fixtures::{make_room, make_users, new_direct, new_group, room, user},
    rooms::{Created, RoomChange, RoomChanged},
};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use std::time::Duration;

/// A store whose commands alone are failed, with users 1 to 3 and the group 1 of the first two.
struct Stage {
    store: Store,
    name: String,
}

impl Stage {
    async fn new(write_timeout: Duration) -> Self {
        let options = set::options();
        let name = options.database.clone();
        let uri = format!("{}&appName={name}", options.uri);
        let store = set::open(&ClusterOptions { uri, write_timeout, ..options });
        make_users(&store, 1..=3).await;
        make_room(&store, new_group(1, 1, &[2])).await;
        Self { store, name }
    }

    /// So many of these commands come to grief.
    async fn fail(&self, times: i32, command: &str, how: Document) {
        let mut fail = doc! { "failCommands": [command], "appName": &self.name };
        fail.extend(how);
        set::shared().fail_commands(set::shared().primary().await, times, fail).await;
    }

    async fn join(&self) -> Result<RoomChanged, StoreError> {
        self.store.rooms.change(room(1), user(3), RoomChange::Join, 5_000).await
    }

    async fn member_rev_and_members(&self) -> (u64, u64) {
        let view = self.store.rooms.view(room(1), user(1)).await.expect("read").expect("a room");
        (view.heads.member_rev, view.members)
    }

    /// The user is in one room more, as the counters and the memberships say.
    async fn joined_once(&self) {
        assert_eq!(self.member_rev_and_members().await, (1, 3));
        let rooms = self.store.rooms.rooms_of(vec![user(3)], 9).await.expect("read");
        assert_eq!(rooms[0].1, [room(1)]);
    }
}

async fn heal() {
    let set = set::shared();
    let address = set.members()[set.primary().await].address();
    let uri = format!("mongodb://{address}/?directConnection=true");
    let client = Client::with_uri_str(uri).await.expect("a client");
    let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
    client.database("admin").run_command(off).await.expect("healed");
}

const WHILE: Duration = Duration::from_secs(10);

/// At any place: the statements, the commit before it is done, and the commit once it is done.
#[tokio::test]
async fn what_is_cut_off_is_begun_anew_and_done_once() {
    let _alone = FAIL_POINT.lock().await;
    for (command, how) in [
        ("aggregate", doc! { "closeConnection": true }),
        ("insert", doc! { "closeConnection": true }),
        ("update", doc! { "errorCode": 112, "errorLabels": ["TransientTransactionError"] }),
        ("commitTransaction", doc! { "closeConnection": true }),
        ("commitTransaction", doc! { "writeConcernError": { "code": 91, "errmsg": "stops" } }),
        ("commitTransaction", doc! { "writeConcernError": { "code": 64, "errmsg": "late" } }),
    ] {
        let stage = Stage::new(WHILE).await;
        stage.fail(2, command, how.clone()).await;
        let joined = stage.join().await;
        heal().await;
        assert!(matches!(joined, Ok(RoomChanged::Done { .. })), "{command} {how}: {joined:?}");
        stage.joined_once().await;
    }
}

/// Of a commit that is not answered in time nobody knows; asking again tells.
#[tokio::test]
async fn a_commit_without_an_answer_is_unknown() {
    let _alone = FAIL_POINT.lock().await;
    let stage = Stage::new(Duration::from_secs(1)).await;
    let late = doc! { "writeConcernError": { "code": 64, "errmsg": "late" } };
    stage.fail(1_000, "commitTransaction", late).await;
    let joined = stage.join().await;
    heal().await;
    assert!(matches!(joined, Err(StoreError::Unknown(_))), "{joined:?}");
    let again = wait::until("an answer", wait::SOON, async || stage.join().await.ok()).await;
    assert!(matches!(again, RoomChanged::Already(Some(_))), "{again:?}");
    stage.joined_once().await;
}

/// Before the commit nothing is written, and that is known.
#[tokio::test]
async fn what_never_came_to_its_commit_is_not_there() {
    let _alone = FAIL_POINT.lock().await;
    let stage = Stage::new(Duration::from_secs(1)).await;
    stage.fail(1_000, "insert", doc! { "closeConnection": true }).await;
    let joined = stage.join().await;
    let created = stage.store.rooms.create(new_direct(2, 1, 2)).await;
    heal().await;
    assert!(matches!(joined, Err(StoreError::Unavailable(_))), "{joined:?}");
    assert!(matches!(created, Err(StoreError::Unavailable(_))), "{created:?}");
    assert_eq!(stage.member_rev_and_members().await, (0, 2));
    let created = wait::until("a room", wait::SOON, async || {
        stage.store.rooms.create(new_direct(2, 1, 2)).await.ok()
    })
    .await;
    assert!(matches!(created, Created::New(_)), "{created:?}");
}

/// An id that is in use already is no race that could be won.
#[tokio::test]
async fn a_room_id_in_use_is_refused_soon() {
    let stage = Stage::new(WHILE).await;
    let again = stage.store.rooms.create(new_group(1, 3, &[])).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
    assert_eq!(stage.member_rev_and_members().await, (0, 2));
}
