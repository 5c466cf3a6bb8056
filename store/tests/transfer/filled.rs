//! Stores with some of everything, and all that can be read from them.

use fastrand::Rng;
use madang_protocol::{Role, RoomKind, operation::Range};
use madang_store::{
    Store,
    accounts::{ExternalLogin, ExternalStarted, NewSession, ProfileKeys},
    conformance::fixtures::{
        append, append_entries, changing, client_id, count, delete, edit, make_room, make_users,
        message, new_direct, new_group, new_session, new_user, reacting, read, room, token_hash,
        user,
    },
    receipts::Read,
    rooms::{NewRoom, RoomChange, RoomChanged},
};
use std::sync::Arc;

/// Users of a filled store.
pub(crate) const USERS: u64 = 6;
/// Its rooms: some of each kind, one that everybody left, one without a message.
pub(crate) const ROOMS: u64 = 7;
/// The address of a login.
pub(crate) const ADDRESS: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
/// What a product calls the last of the users, who has no password.
pub(crate) const EXTERNAL_ID: &str = "\"id\" of a 상점";
/// Sessions of a user; none has to end.
pub(crate) const SESSIONS_MAX: usize = 9;
/// Sessions have these numbers at most.
const SESSIONS: u64 = 12;

const BODIES: [&str; 6] =
    ["", "안녕\u{2028}\u{0}\u{1f}", "\"quoted\" \\ and\r\nmore", "{}", "👍🏽", "plain"];
const EMOJIS: [&str; 3] = ["👍", "❤️", "\"x\""];

/// Fills a store; another seed, another content.
pub(crate) async fn fill(store: &Store, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    accounts(store).await;
    rooms(store).await;
    for number in [1, 2, 3, 4] {
        talk(store, number, &mut rng).await;
    }
    change(store, 5, 3, RoomChange::Leave).await;
    let reads = (1..=4).flat_map(|in_room| {
        (1..=USERS).map(move |of| Read { room: room(in_room), user: user(of), seq: of + in_room })
    });
    store.receipts.put_reads(reads.collect()).await.expect("written");
}

async fn accounts(store: &Store) {
    make_users(store, 1..USERS).await;
    let mut user = new_user(USERS);
    user.password_hash = None;
    let login = ExternalLogin { external_id: EXTERNAL_ID.into(), user, display_name: None };
    let started = store.accounts.start_external_session(login, SESSIONS_MAX).await;
    assert_eq!(started, Ok(ExternalStarted::Made));
    for (number, of, expires_at) in [(11, 1, 5_000), (12, 2, u64::MAX)] {
        let session = new_session(number, of, expires_at);
        let session = NewSession { address: Some(ADDRESS), ..session };
        store.accounts.start_session(session, SESSIONS_MAX).await.expect("started");
    }
}

async fn rooms(store: &Store) {
    let named = Some(client_id("first room"));
    make_room(store, NewRoom { client_id: named, ..new_group(1, 1, &[2, 3, 4]) }).await;
    make_room(store, NewRoom { kind: RoomKind::Channel, ..new_group(2, 2, &[1]) }).await;
    make_room(store, new_direct(3, 4, 2)).await;
    make_room(store, NewRoom { private: true, name: None, ..new_group(4, 3, &[4, 5]) }).await;
    make_room(store, new_group(5, 3, &[])).await;
    let named = Some(client_id("the pair"));
    make_room(store, NewRoom { client_id: named, ..new_direct(6, 1, 2) }).await;
    make_room(store, NewRoom { name: Some("빈 방".into()), ..new_group(7, 6, &[]) }).await;
    change(store, 1, 1, RoomChange::SetRole { user: user(2), role: Role::Admin }).await;
    change(store, 1, 1, RoomChange::SetRole { user: user(4), role: Role::Owner }).await;
    change(store, 1, 2, RoomChange::Remove { user: user(3), ban: true }).await;
    change(store, 2, 5, RoomChange::Join).await;
    change(store, 2, 2, RoomChange::Rename("news".into())).await;
}

async fn change(store: &Store, number: u64, by: u64, change: RoomChange) {
    let changed = store.rooms.change(room(number), user(by), change.clone(), 1_500).await;
    assert!(matches!(changed, Ok(RoomChanged::Done { .. })), "{change:?}: {changed:?}");
}

/// Messages, replies, edits, deletes and reactions, as they come.
async fn talk(store: &Store, number: u64, rng: &mut Rng) {
    let (mut last_seq, mut last_rev) = (0, 0);
    for _ in 0..rng.u64(20..60) {
        let is_message = last_seq == 0 || rng.u8(0..3) == 0;
        if is_message {
            last_seq += 1;
            let mut sent = message(number, last_seq, rng.u64(1..=USERS));
            sent.body = BODIES[rng.usize(0..BODIES.len())].into();
            sent.reply_to = rng.bool().then(|| rng.u64(0..last_seq)).filter(|seq| *seq > 0);
            append(store, vec![Arc::new(sent)]).await;
            continue;
        }
        let seq = rng.u64(1..=last_seq);
        let known = read(store, number, seq).await;
        if known.is_deleted() {
            continue;
        }
        let entry = match rng.u8(0..10) {
            0..=4 => {
                let emoji = EMOJIS[rng.usize(0..EMOJIS.len())];
                reacting(number, seq, rng.u64(1..=USERS), emoji, rng.u8(0..4) > 0)
            }
            5..=6 => changing(&count(&known, last_rev + 1)),
            7..=8 => changing(&edit(&known, last_rev + 1, BODIES[rng.usize(1..BODIES.len())])),
            _ => changing(&delete(&known, last_rev + 1)),
        };
        last_rev += u64::from(matches!(entry, madang_protocol::Entry::Change(_)));
        append_entries(store, vec![entry]).await;
    }
}

/// All that the traits say of a filled store, one line each.
pub(crate) async fn observe(store: &Store) -> Vec<String> {
    let mut seen = Vec::new();
    for number in 1..=ROOMS {
        observe_room(store, number, &mut seen).await;
    }
    for number in 1..=USERS {
        observe_user(store, number, &mut seen).await;
    }
    for number in 1..=SESSIONS {
        seen.push(format!("{:?}", store.accounts.session(token_hash(number), 2_000).await));
    }
    seen
}

async fn observe_room(store: &Store, number: u64, seen: &mut Vec<String>) {
    let (log, room) = (&store.log, room(number));
    let page = log.page(room, Range::After(0), 1_000, usize::MAX).await.expect("readable");
    for message in &page.messages {
        let sent = vec![(message.sender, message.client_id.clone())];
        seen.push(format!("{:?}", log.find_sent(room, sent).await));
    }
    let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    for number in 1..=USERS {
        seen.push(format!("{:?}", log.my_reactions(room, user(number), seqs.clone()).await));
        seen.push(format!("{:?}", store.rooms.view(room, user(number)).await));
    }
    seen.push(format!("{page:?}"));
    seen.push(format!("{:?}", log.activate(room, 1_000).await));
    seen.push(format!("{:?}", log.changed(room, 0, u64::MAX, 1_000, usize::MAX).await));
    seen.push(format!("{:?}", log.marks(room, 0, 1_000).await));
    seen.push(format!("{:?}", store.rooms.members(room, None, 1_000).await));
    seen.push(format!("{:?}", store.receipts.readers(room, 3, None, 1_000).await));
}

async fn observe_user(store: &Store, number: u64, seen: &mut Vec<String>) {
    let (accounts, rooms, user) = (&store.accounts, &store.rooms, user(number));
    let credentials = accounts.credentials(format!("user{number}")).await.expect("readable");
    seen.push(format!("{:?}", credentials.map(|known| (known.user, known.password_hash))));
    seen.push(format!("{:?}", accounts.profiles(ProfileKeys::Ids(vec![user])).await));
    seen.push(format!("{:?}", accounts.last_login_from(user, ADDRESS).await));
    seen.push(format!("{:?}", rooms.list(user, None, 100).await));
    seen.push(format!("{:?}", rooms.access_all(user, 100).await));
    let all = (1..=ROOMS).map(room).collect();
    seen.push(format!("{:?}", rooms.access(user, all).await));
}
