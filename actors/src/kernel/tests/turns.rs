//! Who has its turn when.

use super::*;
use std::{
    cell::Cell,
    rc::Rc,
    task::{self, Poll},
};
use tokio::net::UnixStream;

/// Always has more to do, and counts its turns.
struct Busy(Rc<Cell<usize>>);

impl Actor for Busy {
    type Message = ();
    const KIND: &'static str = "room";

    fn handle(&mut self, (): (), _context: &mut Context<()>) {}

    fn poll_input(&mut self, _: &mut task::Context<'_>, _: &mut Context<()>) -> Poll<()> {
        self.0.set(self.0.get() + 1);
        Poll::Ready(())
    }
}

#[test]
fn what_comes_over_the_network_is_seen_between_two_turns_of_one_that_is_busy() {
    run(async |_world| {
        let turns = Rc::new(Cell::new(0));
        let busy = start_unsupervised(1, |_| Busy(turns.clone()));
        let (near, far) = UnixStream::pair().unwrap();
        for _ in 0..100 {
            near.try_write(b"x").unwrap();
            let begin = turns.get();
            while far.try_read(&mut [0]).is_err() {
                far.readable().await.unwrap();
            }
            let turns = turns.get() - begin;
            assert!(turns <= 3, "{turns} turns until it was seen");
        }
        assert!(turns.get() > 0, "it is busy");
        busy.stop();
    });
}
