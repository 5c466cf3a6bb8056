//! Users, rooms and messages by number.

use crate::{
    Store,
    accounts::{CreatedUsers, NewSession, NewUser},
    log::Appended,
    rooms::{Created, NewRoom, RoomView},
};
use madang_protocol::{
    Amended, Change, ChangeKind, ClientId, Emoji, Entry, Message, Millis, Reaction, RoomId,
    RoomKind, SessionId, UserId, operation::Range,
};
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

/// Appends messages, whatever becomes of them.
pub async fn try_append(store: &Store, messages: Vec<Arc<Message>>) -> Appended {
    store.log.append(messages.into_iter().map(Entry::Message).collect()).await
}

/// Appends messages, and expects all to be committed.
pub async fn append(store: &Store, messages: Vec<Arc<Message>>) {
    let committed = messages.len();
    assert_eq!(try_append(store, messages).await, Appended { committed, stopped: None });
}

/// Appends entries, and expects all to be committed.
pub async fn append_entries(store: &Store, entries: Vec<Entry>) {
    let committed = entries.len();
    assert_eq!(store.log.append(entries).await, Appended { committed, stopped: None });
}

/// The one message as it now is.
pub async fn read(store: &Store, in_room: u64, seq: u64) -> Message {
    let page = store.log.page(room(in_room), Range::After(seq - 1), 1, usize::MAX).await.unwrap();
    Message::clone(&page.messages[0])
}

/// When the change of that rev is made.
pub fn changed_at(rev: u64) -> Millis {
    CREATED_AT * 2 + rev
}

/// `message` with another body, by its sender.
pub fn edit(message: &Message, rev: u64, body: &str) -> Change {
    let ts = changed_at(rev);
    let known = message.amended.as_deref().cloned().unwrap_or_default();
    let amended = Amended { rev, edited_at: Some(ts), ..known };
    let message = Message { body: body.into(), ..message.clone() };
    change(ChangeKind::Edit, Some(message.sender), ts, message, amended)
}

/// `message` without its body, by user 1.
pub fn delete(message: &Message, rev: u64) -> Change {
    let edited_at = message.amended.as_ref().and_then(|amended| amended.edited_at);
    let amended = Amended { rev, edited_at, deleted: true, reactions: Vec::new() };
    let message = Message { body: "".into(), ..message.clone() };
    change(ChangeKind::Delete, Some(user(1)), changed_at(rev), message, amended)
}

/// `message` with the reactions it has, told.
pub fn count(message: &Message, rev: u64) -> Change {
    let known = message.amended.as_deref().cloned().unwrap_or_default();
    let amended = Amended { rev, ..known };
    change(ChangeKind::Reactions, None, changed_at(rev), message.clone(), amended)
}

fn change(
    kind: ChangeKind,
    by: Option<UserId>,
    ts: Millis,
    message: Message,
    amended: Amended,
) -> Change {
    let message = Message { amended: Some(Box::new(amended)), ..message };
    Change { kind, by, ts, message: Arc::new(message) }
}

/// The change as an entry.
pub fn changing(change: &Change) -> Entry {
    Entry::Change(Arc::new(change.clone()))
}

/// A user sets a reaction to a message, or takes it back.
pub fn reacting(in_room: u64, seq: u64, of: u64, with: &str, on: bool) -> Entry {
    let (room, user, emoji) = (room(in_room), user(of), emoji(with));
    Entry::Reaction(Arc::new(Reaction { room, seq, user, emoji, on }))
}

/// An emoji.
pub fn emoji(text: &str) -> Emoji {
    Emoji::new(text).unwrap()
}
