//! Transactions that a node left open when it was killed, or stalled: what they hold is free after
//! some seconds, not after MongoDB's minute.

use super::set;
use madang_servers::{
    mongo::{Guarded, PASSWORD, ROOT},
    wait,
};
use madang_store::{
    ClusterOptions, Store, StoreError,
    conformance::fixtures::{make_room, make_users, new_group, room, user},
    open_cluster,
    rooms::{RoomChange, RoomChanged},
};
use mongodb::{
    Client, ClientSession,
    bson::{Document, doc},
    options::{ClientOptions, DriverInfo},
};
use std::{
    mem, thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::oneshot};

/// How long what a vanished node held may hold up others.
const FREE_WITHIN: Duration = Duration::from_secs(6);
/// In the middle of a transaction, while a node is made to go, or to stall.
const MIDDLE: Duration = Duration::from_millis(1_000);
/// How long one stalls: beyond that.
const STALL: Duration = Duration::from_secs(6);
/// How long a change is tried: longer than what it waits for is held.
const WHILE: Duration = Duration::from_secs(5);
/// What a test's database is called on a set of its own.
const DATABASE: &str = "chat";

/// How a node leaves a change; one that stalls goes on with it.
#[derive(Debug, Clone, Copy)]
enum End {
    Goes,
    Stalls,
}

/// What it was answered.
type Changed = Option<Result<RoomChanged, StoreError>>;

impl End {
    /// The room it leaves in the middle.
    fn room(self) -> u64 {
        match self {
            Self::Goes => 1,
            Self::Stalls => 2,
        }
    }

    /// Its application.
    fn name(self) -> &'static str {
        match self {
            Self::Goes => "goes",
            Self::Stalls => "stalls",
        }
    }
}

async fn join(store: &Store, number: u64, who: u64) -> Result<RoomChanged, StoreError> {
    store.rooms.change(room(number), user(who), RoomChange::Join, 5_000).await
}

/// A set whose nodes may do no more than they need, and a store there with two rooms.
struct Stage {
    guarded: Guarded,
    admin: mongodb::Database,
    store: Store,
}

impl Stage {
    async fn set() -> Self {
        let guarded = Guarded::start().await;
        guarded.add_user("madang", "readWrite", DATABASE).await;
        let root = Client::with_uri_str(guarded.uri(ROOT, PASSWORD)).await.expect("a URI");
        let store = open_cluster(options(&guarded, "stays")).await.expect("a store");
        make_users(&store, 1..=5).await;
        for end in [End::Goes, End::Stalls] {
            make_room(&store, new_group(end.room(), 1, &[])).await;
        }
        Self { guarded, admin: root.database("admin"), store }
    }

    /// Has another node begin a change of the room, of which the last statement is not made when the
    /// node goes, or stalls. Returns then.
    async fn leave_in_the_middle(&self, end: End) -> oneshot::Receiver<Changed> {
        let millis = i64::try_from(MIDDLE.as_millis()).expect("a short time");
        let data = doc! {
            "failCommands": ["insert"], "appName": end.name(),
            "blockConnection": true, "blockTimeMS": millis,
        };
        let point =
            doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        self.admin.run_command(point).await.expect("a fail point");
        let (go, gone) = oneshot::channel();
        let (answers, answer) = oneshot::channel();
        let options = options(&self.guarded, end.name());
        thread::spawn(move || answers.send(leave(options, gone, end)));
        self.is_in_the_middle(end).await;
        go.send(()).expect("it waits");
        answer
    }

    async fn is_in_the_middle(&self, end: End) {
        let stages = [
            doc! { "$currentOp": { "allUsers": true } },
            doc! { "$match": { "appName": end.name(), "command.insert": "members" } },
        ];
        wait::until("it is in the middle", wait::SOON, async || {
            let mut found = self.admin.aggregate(stages.clone()).await.expect("root may ask");
            found.advance().await.expect("an answer").then_some(())
        })
        .await;
    }

    /// The next change has what the other one holds soon; returns how soon.
    async fn goes_on(&self, end: End) {
        let began = Instant::now();
        let joined = join(&self.store, end.room(), 3 + end.room()).await;
        println!("free after {:?}", began.elapsed());
        assert!(matches!(joined, Ok(RoomChanged::Done { .. })), "{joined:?}");
        assert!(began.elapsed() < FREE_WITHIN, "{:?}", began.elapsed());
    }

    async fn members(&self, end: End) -> u64 {
        self.store
            .rooms
            .view(room(end.room()), user(1))
            .await
            .expect("read")
            .expect("a room")
            .members
    }
}

fn options(guarded: &Guarded, application: &str) -> ClusterOptions {
    let uri = format!("{}&appName={application}", guarded.uri("madang", PASSWORD));
    let write_timeout = STALL + WHILE;
    ClusterOptions { connections_warm: 1, write_timeout, ..ClusterOptions::at(uri, DATABASE) }
}

/// A node with one thread: it changes the room, and goes or stalls in the middle when it is told.
#[expect(clippy::disallowed_methods, reason = "a thread that stalls is what is tested")]
fn leave(options: ClusterOptions, gone: oneshot::Receiver<()>, end: End) -> Changed {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = open_cluster(options).await.expect("a store");
        let mut change = Box::pin(join(&store, end.room(), 1 + end.room()));
        tokio::select! {
            answer = &mut change => panic!("it was to be in the middle: {answer:?}"),
            gone = gone => gone.expect("told"),
        }
        match end {
            // Nothing is said to the server any more, as by a process that was killed.
            End::Goes => mem::forget(change),
            End::Stalls => {
                thread::sleep(STALL);
                return Some(change.await);
            }
        }
        None
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_left_open_is_ended_by_whoever_waits_for_it() {
    let stage = Stage::set().await;
    let nobody = stage.leave_in_the_middle(End::Goes).await;
    // This one is told that there is no such transaction when it goes on, and begins anew.
    let late = stage.leave_in_the_middle(End::Stalls).await;
    tokio::join!(stage.goes_on(End::Goes), stage.goes_on(End::Stalls));
    assert_eq!((nobody.await, stage.members(End::Goes).await), (Ok(None), 2));
    assert_eq!(stage.members(End::Stalls).await, 2);
    let late = late.await.expect("it goes on");
    assert!(matches!(late, Some(Ok(RoomChanged::Done { .. }))), "{late:?}");
    assert_eq!(stage.members(End::Stalls).await, 3);
}

/// Others may have the same user, or none, and an application of the same name.
#[tokio::test]
async fn transactions_of_others_are_left_alone() {
    let options = ClusterOptions { write_timeout: WHILE, ..set::options() };
    let store = set::open(&options);
    make_users(&store, 1..=3).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let mut others = Vec::new();
    for (number, mark) in [None, Some(("madang", "another")), Some(("other", &*options.database))]
        .into_iter()
        .enumerate()
    {
        others.push(hold(&options, number, mark).await);
    }
    let refused = join(&store, 1, 2).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    for other in &mut others {
        other.commit_transaction().await.expect("it is still there");
    }
    let joined = join(&store, 1, 2).await;
    assert!(matches!(joined, Ok(RoomChanged::Done { .. })), "{joined:?}");
}

/// A transaction that holds the room, if it is the first, and another document otherwise.
async fn hold(
    options: &ClusterOptions,
    number: usize,
    mark: Option<(&str, &str)>,
) -> ClientSession {
    let mut client = ClientOptions::parse(&options.uri).await.expect("a URI");
    client.app_name = Some("madang".into());
    client.driver_info = mark.map(|(name, database)| {
        DriverInfo::builder().name(name).platform(database.to_owned()).build()
    });
    let client = Client::with_options(client).expect("a client");
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("begun");
    let database = client.database(&options.database);
    let name = if number == 0 { "rooms" } else { "meta" };
    let rooms = database.collection::<Document>(name);
    let update = doc! { "$set": { "held": number as i64 } };
    let written = if number == 0 {
        rooms.update_one(doc! { "_id": { "$exists": true } }, update).session(&mut session).await
    } else {
        let this = doc! { "_id": format!("held{number}") };
        rooms.update_one(this, update).upsert(true).session(&mut session).await
    };
    written.expect("written");
    session
}
