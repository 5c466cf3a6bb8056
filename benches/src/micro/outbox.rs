//! An out-queue: frames that wait for a socket and leave in one write. Beside it one write of the same
//! bytes from a buffer that had them ready, and one vectored write of the frames where they are.

use crate::pairs::{Comparison, compare};
use bytes::Bytes;
use madang_actors::{
    hub::{
        Socket, Traffic,
        outbox::{Flushed, Outbox},
    },
    metrics::Sent,
};
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    task::{Context, Poll},
    time::{Duration, Instant},
};

const FRAME_BYTES: usize = 200;

/// Time for so many frames: into the queue, gathered, through one system call, and read on the other
/// side.
pub fn gathered(frames: usize, pairs: usize, operations: u32) -> Comparison {
    let queue = |operations| through_a_queue(frames, operations);
    compare(pairs, operations, queue, |operations| at_once(frames, operations))
}

/// The same beside one vectored write, which copies nothing and hands the kernel a list instead.
pub fn gathered_or_vectored(frames: usize, pairs: usize, operations: u32) -> Comparison {
    let queue = |operations| through_a_queue(frames, operations);
    compare(pairs, operations, queue, |operations| vectored(frames, operations))
}

fn through_a_queue(frames: usize, operations: u32) -> Duration {
    let frame = Bytes::from(vec![b'x'; FRAME_BYTES]);
    let (mut outbox, mut scratch) = (Outbox::default(), Vec::new());
    let mut traffic = Traffic::default();
    with_pair(frames, operations, |socket| {
        (0..frames).for_each(|_| outbox.push(Sent::Message, frame.clone()));
        let flushed = outbox.flush(socket, &mut scratch, &mut traffic);
        assert!(matches!(flushed, Ok(Flushed::Drained)), "the other side was read empty");
    })
}

fn at_once(frames: usize, operations: u32) -> Duration {
    let bytes = vec![b'x'; frames * FRAME_BYTES];
    with_pair(frames, operations, |socket| {
        assert!(matches!(socket.try_write(&bytes), Ok(count) if count == bytes.len()));
    })
}

fn vectored(frames: usize, operations: u32) -> Duration {
    let frame = Bytes::from(vec![b'x'; FRAME_BYTES]);
    let mut queue = VecDeque::new();
    with_pair(frames, operations, |Pair(socket)| {
        queue.extend((0..frames).map(|_| frame.clone()));
        let slices: Vec<IoSlice<'_>> = queue.iter().map(|frame| IoSlice::new(frame)).collect();
        let written = (&mut &*socket).write_vectored(&slices);
        assert!(matches!(written, Ok(count) if count == frames * FRAME_BYTES));
        queue.clear();
    })
}

/// Writes so often, reading all of it each time.
fn with_pair(frames: usize, operations: u32, mut write: impl FnMut(&Pair)) -> Duration {
    let (near, mut far) = UnixStream::pair().expect("two descriptors");
    let (near, mut read) = (Pair(near), vec![0; frames * FRAME_BYTES]);
    let begun = Instant::now();
    for _ in 0..operations {
        write(&near);
        far.read_exact(&mut read).expect("all of it was written");
    }
    begun.elapsed()
}

struct Pair(UnixStream);

impl Socket for Pair {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn end_writing(&self) {
        let _ = self.0.shutdown(Shutdown::Write); // nobody reads any more
    }
}
