use super::*;
use crate::{
    Store,
    accounts::{NewSession, NewUser},
    log::{Appended, Stopped},
    rooms::NewRoom,
};
use madang_protocol::{ClientId, Message, Millis, RoomId, RoomKind, SessionId, UserId};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ROOM: RoomId = RoomId([1; 15]);
const USER: UserId = UserId([1; 15]);
const LAG: Duration = Duration::from_millis(100);

/// Always the same, and counts.
#[derive(Default)]
struct Steady(AtomicU64);

impl Weather for Steady {
    fn lag(&self) -> Duration {
        LAG
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn names_place(&self) -> bool {
        true
    }

    fn secondary_stays(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn committed(&self, _entry: &Entry) {
        self.0.fetch_add(1, Relaxed);
    }
}

async fn with_a_room(reads: Reads) -> (ReplicaSet, Store, Arc<Steady>) {
    let weather = Arc::new(Steady::default());
    let set = ReplicaSet::open(&Options::in_directory(""), reads, weather.clone());
    let store = set.store();
    let session = NewSession {
        session: SessionId([1; 15]),
        user: USER,
        token_hash: [1; 32],
        created_at: 1,
        expires_at: Millis::MAX,
        address: None,
    };
    let user = NewUser {
        user: USER,
        username: "one".into(),
        username_folded: "one".into(),
        display_name: "one".into(),
        password_hash: None,
        created_at: 1,
        session,
    };
    store.accounts.create_users(vec![user]).await.unwrap();
    let room = NewRoom {
        room: ROOM,
        kind: RoomKind::Group,
        name: None,
        private: false,
        creator: USER,
        members: Vec::new(),
        client_id: None,
        created_at: 1,
    };
    store.rooms.create(room).await.unwrap();
    (set, store, weather)
}

fn message(seq: u64, name: &str) -> Entry {
    Entry::Message(Arc::new(Message {
        room: ROOM,
        seq,
        ts: 1,
        sender: USER,
        client_id: ClientId::new(name).unwrap(),
        body: "".into(),
        reply_to: None,
        amended: None,
    }))
}

async fn last_seq(store: &Store) -> u64 {
    store.log.activate(ROOM, 0).await.unwrap().unwrap().heads.last_seq
}

fn is_unknown(appended: &Appended) -> bool {
    matches!(appended.stopped, Some(Stopped::Unknown(_)))
}

#[tokio::test(start_paused = true)]
async fn is_read_document_by_document_once_the_majority_has_it() {
    let (set, store, weather) = with_a_room(Reads::Majority).await;
    let writes = store.log.append(vec![message(1, "a"), message(2, "b")]);
    let looks = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!((last_seq(&store).await, set.tail()), (0, 2));
        tokio::time::sleep(Duration::from_millis(55)).await;
        assert_eq!((last_seq(&store).await, set.tail()), (1, 1));
    };
    let (appended, ()) = tokio::join!(writes, looks);
    assert_eq!(appended, Appended { committed: 2, stopped: None });
    assert_eq!(weather.0.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fail_over_takes_back_what_was_not_acknowledged() {
    let (set, store, _) = with_a_room(Reads::Majority).await;
    let writes = store.log.append(vec![message(1, "a"), message(2, "b"), message(3, "c")]);
    let fails = async {
        tokio::time::sleep(Duration::from_millis(105)).await;
        set.fail_over();
        assert_eq!((last_seq(&store).await, set.tail()), (1, 0));
    };
    let (appended, ()) = tokio::join!(writes, fails);
    assert_eq!(appended.committed, 1);
    assert!(is_unknown(&appended), "{appended:?}");
    assert_eq!(last_seq(&store).await, 1);
    let again = store.log.append(vec![message(2, "c")]).await;
    assert_eq!(again, Appended { committed: 1, stopped: None });
}

#[tokio::test(start_paused = true)]
async fn a_command_does_not_go_on_at_the_next_primary() {
    let (set, store, _) = with_a_room(Reads::Majority).await;
    let writes = store.log.append(vec![message(1, "a"), message(2, "b")]);
    let fails = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        set.fail_over();
    };
    let (appended, ()) = tokio::join!(writes, fails);
    assert!(appended.committed == 0 && is_unknown(&appended), "{appended:?}");
    assert_eq!(last_seq(&store).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_on_its_way_counts_as_taken_and_nobody_is_found_there() {
    let (_set, store, _) = with_a_room(Reads::Majority).await;
    let first = store.log.append(vec![message(1, "a")]);
    let second = async {
        let taken = store.log.append(vec![message(1, "b")]).await;
        assert_eq!(taken.stopped, Some(Stopped::Taken));
        let duplicate = store.log.append(vec![message(2, "a")]).await;
        assert_eq!(duplicate.stopped, Some(Stopped::Duplicate));
        let both = store.log.append(vec![message(1, "a")]).await;
        assert_eq!(both.stopped, Some(Stopped::Taken));
        let name = (USER, ClientId::new("a").unwrap());
        assert_eq!(store.log.find_sent(ROOM, vec![name]).await.unwrap(), [None]);
    };
    let (appended, ()) = tokio::join!(first, second);
    assert_eq!(appended.committed, 1);
}

#[tokio::test(start_paused = true)]
async fn against_the_contract_a_deposed_primary_is_read() {
    let (set, store, _) = with_a_room(Reads::LocalActivation).await;
    let writes = store.log.append(vec![message(1, "a")]);
    let looks = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(last_seq(&store).await, 1);
        set.fail_over();
        assert_eq!(last_seq(&store).await, 1);
        tokio::time::sleep(DEPOSED_FOR).await;
        assert_eq!(last_seq(&store).await, 0);
    };
    let (appended, ()) = tokio::join!(writes, looks);
    assert!(is_unknown(&appended), "{appended:?}");
}
