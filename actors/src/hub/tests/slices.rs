//! A turn does so much, and the next goes on.

use super::{
    super::{SLICE_FRAMES, SLICE_SOCKETS},
    *,
};

#[test]
fn a_big_room_is_served_in_slices_and_nobody_is_left_out() {
    const ITEMS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
    const SLICE_READERS: usize = SLICE_FRAMES / ITEMS.len();
    let hub = Hub::new();
    let readers: Vec<_> = (0..2 * SLICE_READERS + 10).map(|_| hub.reader(1)).collect();
    readers.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    hub.deliver(ITEMS.iter().zip(1..).map(|(text, seq)| item(seq, text)).collect());
    // One leaves and one comes while the delivery is half done.
    hub.local.core().work();
    hub.local.remove(readers[3].slot);
    hub.local.remove(readers[2 * SLICE_READERS].slot);
    let late = hub.reader(2);
    hub.local.want(late.slot, ROOM);
    hub.add(HubMessage::Attach(hub.attachment(late.slot, 1, vec![], None)));
    hub.deliver(vec![item(9, "9"), Item::of_bytes(Bytes::from_static(b"!")).ephemeral()]);
    assert!(hub.turns() >= 2);
    for (index, reader) in readers.iter().enumerate() {
        let expected = match index {
            3 => "",
            index if index == 2 * SLICE_READERS => "",
            _ => "123456789!",
        };
        assert_eq!(reader.takes(), expected, "reader {index}");
    }
    assert_eq!(late.takes(), "!", "it hears, and is not attached");
}

/// The clock stands still: others took no time.
#[tokio::test(start_paused = true)]
async fn a_turn_writes_to_so_many_sockets_and_what_waits_is_gathered() {
    let hub = Hub::new();
    let readers: Vec<_> = (0..SLICE_SOCKETS + 1).map(|_| hub.reader(1)).collect();
    readers.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    let turn = |item| {
        hub.deliver(vec![item]);
        let mut core = hub.local.core();
        assert!(!core.work());
        core.flush()
    };
    let (first, last) = (&readers[0], &readers[SLICE_SOCKETS]);
    assert!(turn(item(1, "1")), "one socket waits");
    assert_eq!((first.takes().as_str(), last.takes().as_str()), ("1", ""));
    assert!(turn(item(2, "2")), "now another does");
    assert_eq!((last.takes().as_str(), last.socket.writes.get()), ("12", 1));
    hub.turns();
    assert!(readers[1..SLICE_SOCKETS].iter().all(|reader| reader.takes() == "12"));
}

#[tokio::test(start_paused = true)]
async fn as_much_time_as_others_took_goes_to_those_who_were_left() {
    let hub = Hub::new();
    let readers: Vec<_> = (0..3 * SLICE_SOCKETS).map(|_| hub.reader(1)).collect();
    readers.iter().for_each(|reader| hub.attach(reader, 0, vec![]));
    hub.deliver(vec![item(1, "1")]);
    hub.local.core().work();
    assert!(hub.local.core().flush());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!hub.local.core().flush(), "all of them");
    assert!(readers.iter().all(|reader| reader.takes() == "1"));
}

/// Thousands of answers wait for clients that did not read; another has one to get.
#[tokio::test(start_paused = true)]
async fn long_queues_are_written_in_parts_and_others_are_served_in_between() {
    const LONG: usize = 4_000;
    const TURN_FRAMES: usize = 16 * SLICE_SOCKETS + 256;
    let unlimited = HubLimits { outbox_bytes_max: 0, outbox_frames_max: 0, ..LIMITS };
    let hub = Hub::within(unlimited);
    let slow: Vec<_> = (0..6).map(|_| hub.reader(1)).collect();
    for number in 0..LONG {
        let text = format!("{:04}", number % 10_000);
        for reader in &slow {
            hub.local.push(reader.slot, Sent::Ok, Bytes::from(text.clone()));
        }
    }
    let quick = hub.reader(2);
    hub.local.push(quick.slot, Sent::Ok, Bytes::from_static(b"x"));
    let (mut got, mut turns_to_quick) = (vec![String::new(); slow.len()], None);
    for turn in 1.. {
        let is_behind = hub.local.core().flush();
        let new: Vec<String> = slow.iter().map(|reader| reader.takes()).collect();
        let bytes: usize = new.iter().map(String::len).sum();
        assert!(bytes <= 4 * TURN_FRAMES, "{bytes} bytes in turn {turn}");
        got.iter_mut().zip(&new).for_each(|(got, new)| got.push_str(new));
        if quick.takes() == "x" {
            turns_to_quick = Some(turn);
        }
        if !is_behind {
            break;
        }
    }
    assert_eq!(turns_to_quick, Some(2), "before the rest of those who are slow");
    let all: String = (0..LONG).map(|number| format!("{:04}", number % 10_000)).collect();
    assert!(got.iter().all(|got| *got == all), "whole and in order");
}

#[test]
fn a_queue_that_is_full_because_its_turn_did_not_come_is_written_out() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    for _ in 0..100 {
        hub.local.push(ann.slot, Sent::Ok, Bytes::from_static(b"x"));
    }
    assert_eq!(ann.inbox.drain().len(), 0, "it is not closed");
    hub.turns();
    assert_eq!(ann.takes(), "x".repeat(100));
}
