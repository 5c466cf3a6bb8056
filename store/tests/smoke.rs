//! A store in a directory, from opening to opening again.

use madang_protocol::{ClientId, Message, RoomId, RoomKind, SessionId, UserId, operation::Range};
use madang_store::{
    Options, Store,
    accounts::{CreatedUsers, NewSession, NewUser},
    log::Appended,
    rooms::{Created, NewRoom},
};
use std::sync::Arc;

fn new_user(number: u8) -> NewUser {
    let user = UserId([number; 15]);
    NewUser {
        user,
        username: format!("User{number}"),
        username_folded: format!("user{number}"),
        display_name: format!("User {number}"),
        password_hash: None,
        created_at: 1,
        session: NewSession {
            session: SessionId([number; 15]),
            user,
            token_hash: [number; 32],
            created_at: 1,
            expires_at: 1_000,
            address: None,
        },
    }
}

fn message(seq: u64) -> Arc<Message> {
    Arc::new(Message {
        room: RoomId([7; 15]),
        seq,
        ts: 100 + seq,
        sender: UserId([1; 15]),
        client_id: ClientId::new(&seq.to_string()).expect("short"),
        body: format!("body {seq}").into(),
        reply_to: None,
    })
}

async fn fill(store: &Store) {
    let users = store.accounts.create_users(vec![new_user(1), new_user(2)]).await;
    assert_eq!(users, Ok(CreatedUsers::All));
    let room = NewRoom {
        room: RoomId([7; 15]),
        kind: RoomKind::Group,
        name: Some("room".into()),
        private: false,
        creator: UserId([1; 15]),
        members: vec![UserId([2; 15])],
        client_id: None,
        created_at: 1,
    };
    assert!(matches!(store.rooms.create(room).await, Ok(Created::New(_))));
    let appended = store.log.append((1..=3).map(message).collect()).await;
    assert_eq!(appended, Appended { committed: 3, stopped: None });
}

#[tokio::test]
async fn what_was_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let store = madang_store::open(Options::in_directory(directory.path())).unwrap();
    fill(&store).await;
    drop(store);

    let store = madang_store::open(Options::in_directory(directory.path())).unwrap();
    let page = store.log.page(RoomId([7; 15]), Range::Newest, 10, 1_000).await.unwrap();
    assert_eq!(page.messages, (1..=3).map(message).collect::<Vec<_>>());
    store.control.close().await;

    let report = madang_store::check(directory.path()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.users, report.rooms, report.members, report.messages), (2, 1, 2, 3));
}
