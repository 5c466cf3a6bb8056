//! Users, rooms and messages by number.

use crate::{
    Store,
    accounts::{CreatedUsers, NewSession, NewUser},
    log::Appended,
    rooms::{Created, NewRoom, RoomView},
};
use madang_protocol::{ClientId, Message, Millis, RoomId, RoomKind, SessionId, UserId};
use std::sync::Arc;

/// When rooms and users are made. Messages are sent later.
pub const CREATED_AT: Millis = 1_000;

/// The user of that number.
pub fn user(number: u64) -> UserId {
    UserId(id(1, number))
}

/// The room of that number.
pub fn room(number: u64) -> RoomId {
    RoomId(id(2, number))
}

fn id(kind: u8, number: u64) -> [u8; 15] {
    let mut bytes = [kind; 15];
    bytes[7..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A client id.
pub fn client_id(text: &str) -> ClientId {
    ClientId::new(text).unwrap()
}

/// The token hash of that number.
pub fn token_hash(number: u64) -> [u8; 32] {
    let mut bytes = [3; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// The session, and token, of that number for a user; from no address.
pub fn new_session(number: u64, of: u64, expires_at: Millis) -> NewSession {
    NewSession {
        session: SessionId(id(4, number)),
        user: user(of),
        token_hash: token_hash(number),
        created_at: CREATED_AT,
        expires_at,
        address: None,
    }
}

/// The user of that number, to be made, with the session of the same number.
pub fn new_user(number: u64) -> NewUser {
    NewUser {
        user: user(number),
        username: format!("User{number}"),
        username_folded: format!("user{number}"),
        display_name: format!("The user {number}"),
        password_hash: Some(format!("hash {number}")),
        created_at: CREATED_AT,
        session: new_session(number, number, Millis::MAX),
    }
}

/// Makes users.
pub async fn make_users(store: &Store, numbers: impl IntoIterator<Item = u64>) {
    let users = numbers.into_iter().map(new_user).collect();
    assert_eq!(store.accounts.create_users(users).await, Ok(CreatedUsers::All));
}

/// The open group of that number, to be made.
pub fn new_group(number: u64, creator: u64, members: &[u64]) -> NewRoom {
    NewRoom {
        room: room(number),
        kind: RoomKind::Group,
        name: Some(format!("room {number}")),
        private: false,
        creator: user(creator),
        members: members.iter().copied().map(user).collect(),
        client_id: None,
        created_at: CREATED_AT,
    }
}

/// The direct room of that number, to be made.
pub fn new_direct(number: u64, creator: u64, other: u64) -> NewRoom {
    NewRoom {
        kind: RoomKind::Direct,
        name: None,
        private: true,
        ..new_group(number, creator, &[other])
    }
}

/// Makes a room.
pub async fn make_room(store: &Store, new: NewRoom) -> RoomView {
    match store.rooms.create(new).await {
        Ok(Created::New(view)) => view,
        other => panic!("not made: {other:?}"),
    }
}

/// Makes users 1 to `users` and the open group 1 of all of them.
pub async fn make_group(store: &Store, users: u64) {
    make_users(store, 1..=users).await;
    let members: Vec<u64> = (2..=users).collect();
    make_room(store, new_group(1, 1, &members)).await;
}

/// A message whose client id and body tell its sender and seq.
pub fn message(in_room: u64, seq: u64, sender: u64) -> Message {
    Message {
        room: room(in_room),
        seq,
        ts: CREATED_AT + seq,
        sender: user(sender),
        client_id: client_id(&format!("{sender}-{seq}")),
        body: format!("message {seq} of {sender}").into(),
        reply_to: None,
        amended: None,
    }
}

/// Messages `from..=to` of user 1.
pub fn messages(in_room: u64, from: u64, to: u64) -> Vec<Arc<Message>> {
    (from..=to).map(|seq| Arc::new(message(in_room, seq, 1))).collect()
}

/// Appends, and expects all to be committed.
pub async fn append(store: &Store, messages: Vec<Arc<Message>>) {
    let committed = messages.len();
    assert_eq!(store.log.append(messages).await, Appended { committed, stopped: None });
}
