use super::*;
use madang_protocol::{Amended, ClientId, Emoji, MemberChange, MemberEvent, Message, Role, UserId};
use proptest::{collection::vec, option, prelude::*, sample::select};

const ROOM: RoomId = RoomId([9; 15]);

#[test]
fn an_event_that_is_not_known_makes_a_beacon_of_its_batch() {
    #[derive(Serialize)]
    struct Later {
        before: WireHeads,
        after: WireHeads,
        events: Vec<Pinned>,
    }
    #[derive(Serialize)]
    struct Pinned {
        pinned: u64,
    }
    let after = Heads { last_seq: 3, last_rev: 2, member_rev: 1 };
    let events = vec![Pinned { pinned: 1 }];
    let later = Later { before: Heads::default().into(), after: after.into(), events };
    assert_eq!(decode_batch(ROOM, &written(&later)), Ok(beacon(ROOM, after)));
}

#[test]
fn an_ephemeral_that_is_not_known_is_nothing() {
    #[derive(Serialize)]
    struct Waved {
        waved: u64,
    }
    assert_eq!(decode_ephemeral(ROOM, &written(&Waved { waved: 1 })), Ok(None));
}

#[test]
fn what_is_too_large_goes_in_pieces_that_follow_each_other() {
    let large = batch_of(&[10, 10, 5_000, 10, 10]);
    let pieces = read_pieces(&large, 1_000);
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_chained(&large, &pieces);
    let beacons = pieces.iter().filter(|piece| piece.events.is_empty());
    assert_eq!(beacons.map(|piece| piece.after.last_seq).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_fits_stays_whole() {
    let small = batch_of(&[10, 10]);
    assert_eq!(read_pieces(&small, 1_000), [small]);
}

fn batch_of(body_bytes: &[usize]) -> EventBatch {
    let sizes = body_bytes.iter().zip(1..);
    let events: Vec<Event> = sizes.map(|(size, seq)| message_of(seq, *size)).collect();
    let after = Heads { last_seq: events.len() as u64, ..Heads::default() };
    EventBatch { room: ROOM, before: Heads::default(), after, events }
}

fn message_of(seq: u64, body_bytes: usize) -> Event {
    Event::Message(Arc::new(Message {
        room: ROOM,
        seq,
        ts: 1,
        sender: UserId([1; 15]),
        client_id: ClientId::new("c").unwrap(),
        body: "x".repeat(body_bytes).into(),
        reply_to: None,
        amended: None,
    }))
}

fn read_pieces(batch: &EventBatch, bytes_max: usize) -> Vec<EventBatch> {
    let read = |bytes: Vec<u8>| {
        assert!(bytes.len() <= bytes_max, "{} bytes", bytes.len());
        match decode_batch(ROOM, &bytes).unwrap() {
            Publication::Batch(batch) => batch.as_ref().clone(),
            Publication::Ephemeral(..) => panic!("a batch"),
        }
    };
    encode_in_pieces(batch, bytes_max).into_iter().map(read).collect()
}

/// A reader that stands at the beginning gets to the end, by applying and by fetching for beacons.
fn assert_chained(batch: &EventBatch, pieces: &[EventBatch]) {
    let mut heads = batch.before;
    for piece in pieces {
        assert!(piece.events.is_empty() || piece.before == heads, "{piece:?} after {heads:?}");
        heads = piece.after;
    }
    assert_eq!(heads, batch.after);
}

fn user() -> impl Strategy<Value = UserId> {
    any::<[u8; 15]>().prop_map(UserId)
}

fn amended() -> impl Strategy<Value = Amended> {
    let reaction = ("[a-z👍]{1,4}", any::<u64>());
    let reaction = reaction.prop_map(|(emoji, count)| (Emoji::new(&emoji).unwrap(), count));
    (any::<u64>(), option::of(any::<u64>()), any::<bool>(), vec(reaction, 0..4)).prop_map(
        |(rev, edited_at, deleted, reactions)| Amended { rev, edited_at, deleted, reactions },
    )
}

fn message() -> impl Strategy<Value = Arc<Message>> {
    let texts = ("[a-zA-Z0-9]{1,64}", any::<String>());
    let numbers = (any::<u64>(), any::<u64>(), option::of(any::<u64>()));
    (numbers, user(), texts, option::of(amended().prop_map(Box::new))).prop_map(
        |((seq, ts, reply_to), sender, (client_id, body), amended)| {
            let client_id = ClientId::new(&client_id).unwrap();
            let body = body.into();
            let message =
                Message { room: ROOM, seq, ts, sender, client_id, body, reply_to, amended };
            Arc::new(message)
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    use MemberChange::{Joined, Left, Removed};
    let change = select(vec![Joined, Left, Removed, MemberChange::Role]);
    let role = option::of(select(vec![Role::Member, Role::Admin, Role::Owner]));
    let member = (user(), change, role)
        .prop_map(|(user, change, role)| Event::Member(MemberEvent { user, change, role }));
    prop_oneof![
        message().prop_map(Event::Message),
        message().prop_map(Event::Changed),
        member,
        any::<String>().prop_map(|name| Event::Renamed(name.into())),
    ]
}

fn heads() -> impl Strategy<Value = Heads> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(last_seq, last_rev, member_rev)| Heads {
        last_seq,
        last_rev,
        member_rev,
    })
}

fn ephemeral() -> impl Strategy<Value = Ephemeral> {
    prop_oneof![
        (user(), any::<String>())
            .prop_map(|(sender, data)| Ephemeral::Signal { sender, data: data.into() }),
        (user(), any::<bool>()).prop_map(|(user, on)| Ephemeral::Typing { user, on }),
        vec((user(), any::<u64>()), 0..4).prop_map(Ephemeral::Reads),
        (vec(user(), 0..4), vec(user(), 0..4))
            .prop_map(|(online, offline)| Ephemeral::Presence { online, offline }),
    ]
}

proptest! {
    #[test]
    fn batches_and_back(before in heads(), after in heads(), events in vec(event(), 0..5)) {
        let batch = EventBatch { room: ROOM, before, after, events };
        let read = decode_batch(ROOM, &encode_batch(&batch));
        prop_assert_eq!(read, Ok(Publication::Batch(Arc::new(batch))));
    }

    #[test]
    fn ephemerals_and_back(ephemeral in ephemeral()) {
        let read = decode_ephemeral(ROOM, &encode_ephemeral(&ephemeral));
        prop_assert_eq!(read, Ok(Some(Publication::Ephemeral(ROOM, Arc::new(ephemeral)))));
    }

    #[test]
    fn pieces_follow_each_other(sizes in vec(0_usize..400, 1..30), bytes_max in 300_usize..2_000) {
        let batch = batch_of(&sizes);
        assert_chained(&batch, &read_pieces(&batch, bytes_max));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = (decode_batch(ROOM, &bytes), decode_ephemeral(ROOM, &bytes));
    }

    #[test]
    fn no_damage_makes_it_panic(
        events in vec(event(), 0..3), at: prop::sample::Index, to: u8, end: prop::sample::Index,
    ) {
        let (before, after) = (Heads::default(), Heads::default());
        let mut bytes = encode_batch(&EventBatch { room: ROOM, before, after, events });
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(end.index(bytes.len() + 1));
        let _ = decode_batch(ROOM, &bytes);
    }
}
