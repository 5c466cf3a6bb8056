//! Faults upon faults, and when each restart comes.

use super::*;
use supervisor::{BACKOFF_FIRST_MS, BACKOFF_MAX_MS};
use tokio::time::Instant;

/// Restarts come no later than the backoff says, whatever its jitter.
#[test]
fn each_restart_comes_within_its_backoff() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        settle().await;
        let mut longest = Duration::from_millis(BACKOFF_FIRST_MS);
        for restart in 1..=RESTARTS_MAX {
            let panicked = Instant::now();
            tell(&probe, [Tell::Panic]);
            while world.seen().len() < restart + 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(panicked.elapsed() <= longest + Duration::from_millis(3), "restart {restart}");
            longest = (longest * 2).min(Duration::from_millis(BACKOFF_MAX_MS));
        }
    });
}

#[test]
fn a_factory_that_panics_is_called_again() {
    run(async |mut world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        tell(&probe, [Tell::PanicAndStayDown(3), Tell::Note("after")]);
        settle().await;
        assert_eq!(world.seen(), ["p: started", "p: started", "p: after"]);
        assert!(world.gave_up.try_recv().is_err());
    });
}

/// Else it would neither work nor end, and whoever waits in its inbox would wait for ever.
#[test]
fn the_word_to_stop_is_heard_behind_a_restart_that_panics() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::End);
        settle().await;
        DOWN.set(1);
        let (reply, answer) = Reply::channel();
        tell(&probe, [Tell::Ask(reply)]);
        let shell = probe.controlled();
        shell.control(inbox::Control::Restart);
        shell.control(inbox::Control::Stop);
        assert_eq!(answer.await.unwrap(), Err(Lost::Dropped));
        assert!(probe.is_closed());
    });
}

#[test]
fn what_is_urged_upon_one_that_ended_is_dropped() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::End);
        probe.stop();
        settle().await;
        let (reply, answer) = Reply::channel();
        probe.urge(Tell::Ask(reply));
        assert_eq!(answer.await.unwrap(), Err(Lost::Dropped));
        assert_eq!(probe.depth(), 0);
    });
}

/// It ends 167 times on the way and is begun anew; what it cost is given back each time.
#[test]
fn a_thousand_restarts_leave_nothing_in_the_tree() {
    run(async |world| {
        let mut panics = 0;
        while panics < 1_000 {
            let probe = world.probe("p", &world.root, Exhausted::End);
            while !probe.is_closed() {
                panics += 1;
                tell(&probe, [Tell::Panic]);
                tokio::time::sleep(Duration::from_millis(BACKOFF_MAX_MS)).await;
            }
        }
        let tree = world.root.tree();
        assert_eq!((tree.children.len(), tree.vitals.mailbox), (0, 0), "{tree:?}");
    });
}
