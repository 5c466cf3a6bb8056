//! Frames that leave alone, in the way of those that do.

use super::*;
use std::{
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// A socket of the system: written to by its descriptor where it can be, counted where it cannot.
struct Pipe {
    near: UnixStream,
    tried: Cell<usize>,
}

impl Socket for Pipe {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tried.set(self.tried.get() + 1);
        (&self.near).write(bytes)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.near.as_fd())
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn end_writing(&self) {}
}

/// A connection over such a socket, and its far end.
fn piped(hub: &Hub) -> (SlotId, Rc<Pipe>, Address<ConnectionMessage>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let (socket, inbox) = (Rc::new(Pipe { near, tried: Cell::new(0) }), Address::detached(16));
    let slot = hub.local.open(socket.clone(), inbox.clone(), Codec::Json);
    (slot, socket, inbox, far)
}

fn push(hub: &Hub, slot: SlotId, frame: &'static [u8]) {
    hub.local.push(slot, Sent::Ok, Bytes::from_static(frame));
}

/// All that is there.
fn read(far: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let error = far.read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "it is open");
    bytes
}

#[test]
fn what_waits_alone_goes_to_the_descriptor_and_what_does_not_to_the_socket() {
    let hub = Hub::new();
    let (slot, socket, _, mut far) = piped(&hub);
    push(&hub, slot, b"one");
    hub.turns();
    assert_eq!((read(&mut far).as_slice(), socket.tried.get()), (b"one".as_slice(), 0));
    push(&hub, slot, b"two");
    push(&hub, slot, b"three");
    hub.turns();
    assert_eq!((read(&mut far).as_slice(), socket.tried.get()), (b"twothree".as_slice(), 1));
    assert_eq!(hub.local.core().get(slot).unwrap().outbox.frames(), 0);
}

#[test]
fn a_socket_that_takes_a_part_gets_the_rest_once_in_order() {
    static LARGE: [u8; 900] = [b'x'; 900];
    let hub = Hub::new();
    let (slot, _socket, inbox, mut far) = piped(&hub);
    let mut sent = 0;
    while !hub.local.core().get(slot).unwrap().is_blocked {
        push(&hub, slot, &LARGE);
        hub.turns();
        sent += LARGE.len();
    }
    push(&hub, slot, b"last");
    hub.turns();
    let mut got = read(&mut far);
    hub.local.core().unblock(vec![slot]);
    hub.turns();
    got.extend(read(&mut far));
    assert_eq!(got.len(), sent + b"last".len());
    assert!(got.ends_with(b"xlast"));
    assert_eq!(inbox.drain().len(), 0);
}

#[test]
fn a_socket_of_which_some_bytes_are_taken_is_blocked_with_the_rest() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    ann.socket.room.set(Some(2));
    push(&hub, ann.slot, b"123");
    hub.turns();
    assert_eq!(ann.takes(), "12");
    assert!(hub.local.core().get(ann.slot).unwrap().is_blocked);
    ann.socket.room.set(None);
    push(&hub, ann.slot, b"4");
    hub.local.core().unblock(vec![ann.slot]);
    hub.turns();
    assert_eq!(ann.takes(), "34");
}

#[test]
fn a_peer_that_is_gone_ends_its_connection_and_no_other() {
    let hub = Hub::new();
    let (gone, _socket, told, far) = piped(&hub);
    let (other, _socket, untold, mut far_too) = piped(&hub);
    drop(far);
    push(&hub, gone, b"lost");
    push(&hub, other, b"found");
    hub.turns();
    assert!(told.is_told_to_stop());
    assert!(!untold.is_told_to_stop());
    assert_eq!(read(&mut far_too), b"found");
}
