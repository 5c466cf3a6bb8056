//! The shell and the tree at work, on a stopped clock.

mod faults;
mod turns;

use super::*;
use crate::metrics::Metrics;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use supervisor::RESTARTS_MAX;
use tokio::sync::mpsc;

/// What happened, in order, as all probes of a test saw it.
type Journal = Arc<Mutex<Vec<String>>>;

/// Writes down what it meets and does as it is told.
struct Probe {
    name: &'static str,
    journal: Journal,
}

enum Tell {
    Note(&'static str),
    Panic,
    Ask(Reply<&'static str>),
    /// Keeps the reply until it is told again or ends.
    Keep(Reply<&'static str>),
    Later(Duration, &'static str),
    PanicBeside,
    /// Panics, and its factory after it, so many times.
    PanicAndStayDown(u32),
    /// Asks another probe and notes the answer.
    Forward(Address<Tell>),
    Answered(Result<&'static str, Lost>),
}

thread_local! {
    static DOWN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    static KEPT: std::cell::RefCell<Vec<Reply<&'static str>>> = const { std::cell::RefCell::new(Vec::new()) };
}

impl Actor for Probe {
    type Message = Tell;
    const KIND: &'static str = "room";

    fn started(&mut self, _context: &mut Context<Tell>) {
        self.note("started");
    }

    fn handle(&mut self, message: Tell, context: &mut Context<Tell>) {
        match message {
            Tell::Note(text) => self.note(text),
            Tell::Panic => panic!("as told"),
            Tell::Ask(reply) => reply.send("answer"),
            Tell::Keep(reply) => KEPT.with_borrow_mut(|kept| kept.push(reply)),
            Tell::Later(delay, text) => context.after(delay, Tell::Note(text)),
            Tell::PanicBeside => {
                context.spawn(async { panic!("beside") }, |()| Tell::Note("never"));
            }
            Tell::PanicAndStayDown(times) => {
                DOWN.set(times);
                panic!("as told");
            }
            Tell::Forward(other) => {
                let reply = context.reply(Tell::Answered);
                assert!(other.try_send(Tell::Keep(reply)).is_ok());
            }
            Tell::Answered(answer) => self.note(&format!("{answer:?}")),
        }
    }
}

impl Probe {
    fn note(&self, text: &str) {
        self.journal.lock().unwrap().push(format!("{}: {text}", self.name));
    }
}

/// A tree with one root, and the journal of its probes.
struct World {
    journal: Journal,
    root: Supervisor,
    gave_up: mpsc::Receiver<String>,
    metrics: Arc<Metrics>,
}

impl World {
    fn probe(&self, name: &'static str, below: &Supervisor, exhausted: Exhausted) -> Address<Tell> {
        let journal = self.journal.clone();
        start_supervised(&Arbiter::current(), 16, below, exhausted, move |_| {
            if let Some(left) = DOWN.get().checked_sub(1) {
                DOWN.set(left);
                panic!("as told");
            }
            Probe { name, journal: journal.clone() }
        })
    }

    fn seen(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }
}

/// Runs a test on a stopped clock: `settle` lets everything happen that can happen by then.
fn run(test: impl AsyncFnOnce(World)) {
    SILENCE.call_once(silence_planned_panics);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    actix::System::with_tokio_rt(runtime).block_on(async {
        let metrics = Arc::new(Metrics::new());
        let (sender, gave_up) = mpsc::channel(1);
        let root = Supervisor::root(metrics.clone(), move |cause| {
            let _ = sender.try_send(cause.to_owned());
        });
        test(World { journal: Arc::default(), root, gave_up, metrics }).await;
    });
}

static SILENCE: std::sync::Once = std::sync::Once::new();

/// These tests panic on purpose, all the time; others are still heard.
fn silence_planned_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let planned = ["as told", "beside", "with the question in hand"];
        if !panic.payload_as_str().is_some_and(|text| planned.contains(&text)) {
            usual(panic);
        }
    }));
}

async fn settle() {
    tokio::time::sleep(Duration::from_secs(5)).await; // of stopped time: nothing waits for it
}

fn tell(probe: &Address<Tell>, messages: impl IntoIterator<Item = Tell>) {
    for message in messages {
        assert!(probe.try_send(message).is_ok());
    }
}

#[test]
fn a_panic_loses_its_input_and_nothing_else() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        let (reply, answer) = Reply::channel();
        tell(&probe, [Tell::Note("before"), Tell::Panic, Tell::Note("after"), Tell::Ask(reply)]);
        assert_eq!(answer.await.unwrap(), Ok("answer"));
        assert_eq!(world.seen(), ["p: started", "p: before", "p: started", "p: after"]);
    });
}

#[test]
fn who_asked_what_panicked_learns_of_it() {
    struct Asked;
    impl Actor for Asked {
        type Message = Reply<()>;
        const KIND: &'static str = "room";
        fn handle(&mut self, _reply: Reply<()>, _context: &mut Context<Reply<()>>) {
            panic!("with the question in hand");
        }
    }
    run(async |world| {
        let (reply, answer) = Reply::channel();
        let below = (&world.root, Exhausted::Escalate);
        let asked = start_supervised(&Arbiter::current(), 1, below.0, below.1, |_| Asked);
        asked.try_send(reply).unwrap();
        assert_eq!(answer.await.unwrap(), Err(Lost::Panicked));
    });
}

#[test]
fn a_future_that_panics_fells_its_actor() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        tell(&probe, [Tell::PanicBeside]);
        settle().await;
        assert_eq!(world.seen(), ["p: started", "p: started"]);
    });
}

#[test]
fn answers_to_an_earlier_life_and_its_timers_are_dropped() {
    run(async |world| {
        let asker = world.probe("asker", &world.root, Exhausted::Escalate);
        let asked = world.probe("asked", &world.root, Exhausted::Escalate);
        tell(&asker, [Tell::Forward(asked), Tell::Later(Duration::from_millis(100), "timer")]);
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell(&asker, [Tell::Panic]);
        tokio::time::sleep(Duration::from_millis(40)).await;
        KEPT.with_borrow_mut(|kept| kept.drain(..).for_each(|reply| reply.send("late")));
        settle().await;
        assert_eq!(world.seen(), ["asker: started", "asked: started", "asker: started"]);
    });
}

#[test]
fn a_reply_that_is_dropped_says_so() {
    run(async |world| {
        let asker = world.probe("asker", &world.root, Exhausted::Escalate);
        let asked = world.probe("asked", &world.root, Exhausted::Escalate);
        tell(&asker, [Tell::Forward(asked)]);
        settle().await;
        KEPT.with_borrow_mut(Vec::clear);
        settle().await;
        assert_eq!(world.seen()[2], "asker: Err(Dropped)");
    });
}

#[test]
fn a_stopped_actor_drops_what_waits() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        let (reply, answer) = Reply::channel();
        tell(&probe, [Tell::Ask(reply)]);
        probe.stop(); // control before messages
        assert_eq!(answer.await.unwrap(), Err(Lost::Dropped));
        assert!(matches!(probe.try_send(Tell::Note("late")), Err(SendError::Closed(_))));
        assert_eq!(world.seen(), [""; 0]);
    });
}

#[test]
fn timers_fire_in_order_of_their_time() {
    run(async |world| {
        let probe = world.probe("p", &world.root, Exhausted::Escalate);
        let later = |millis, text| Tell::Later(Duration::from_millis(millis), text);
        tell(&probe, [later(20, "third"), later(10, "first"), later(10, "second")]);
        settle().await;
        assert_eq!(world.seen(), ["p: started", "p: first", "p: second", "p: third"]);
    });
}

#[test]
fn a_hot_actor_leaves_turns_to_others() {
    run(async |world| {
        let cold = world.probe("cold", &world.root, Exhausted::Escalate);
        settle().await;
        let journal = world.journal.clone();
        let probe = move |_: &Address<Tell>| Probe { name: "hot", journal: journal.clone() };
        let backlog = 10_000;
        let (root, escalate) = (&world.root, Exhausted::Escalate);
        let hot = start_supervised(&Arbiter::current(), backlog, root, escalate, probe);
        tell(&hot, (0..backlog).map(|_| Tell::Note("busy")));
        while !world.seen().contains(&"hot: busy".to_owned()) {
            tokio::task::yield_now().await;
        }
        tell(&cold, [Tell::Note("my turn")]);
        let before = world.seen().len();
        settle().await;
        let turn = world.seen().iter().position(|line| line == "cold: my turn").unwrap();
        let meanwhile = turn - before;
        assert!(meanwhile <= 4 * TURN_MESSAGES, "{meanwhile} messages of the hot one");
    });
}

#[test]
fn one_for_one_leaves_siblings_alone_and_rest_for_one_does_not() {
    run(async |world| {
        for (strategy, name) in
            [(Strategy::OneForOne, "one-for-one"), (Strategy::RestForOne, "rest-for-one")]
        {
            let tree = world.root.subtree(name, strategy, world.metrics.clone());
            let probes = ["a", "b", "c"].map(|name| world.probe(name, &tree, Exhausted::Escalate));
            settle().await;
            world.journal.lock().unwrap().clear();
            tell(&probes[1], [Tell::Panic]);
            settle().await;
            let expected: &[&str] = match strategy {
                Strategy::OneForOne => &["b: started"],
                Strategy::RestForOne => &["b: started", "c: started"],
            };
            assert_eq!(world.seen(), expected, "{name}");
        }
    });
}

#[test]
fn a_child_nobody_needs_is_ended_when_it_keeps_failing() {
    run(async |mut world| {
        let poor = world.probe("poor", &world.root, Exhausted::End);
        let sibling = world.probe("sibling", &world.root, Exhausted::End);
        for _ in 0..=RESTARTS_MAX {
            tell(&poor, [Tell::Panic]);
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        assert!(poor.is_closed());
        assert!(!sibling.is_closed());
        assert!(world.gave_up.try_recv().is_err());
    });
}

#[test]
fn a_child_that_keeps_failing_takes_its_parents_down_up_to_the_root() {
    run(async |mut world| {
        let tree = world.root.subtree("tree", Strategy::OneForOne, world.metrics.clone());
        let probe = world.probe("p", &tree, Exhausted::Escalate);
        let sibling = world.probe("sibling", &tree, Exhausted::Escalate);
        settle().await;
        let panics_of_a_life = RESTARTS_MAX + 1;
        for life in 0..=RESTARTS_MAX {
            for _ in 0..panics_of_a_life {
                assert!(world.gave_up.try_recv().is_err(), "life {life}");
                tell(&probe, [Tell::Panic]);
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        let cause = world.gave_up.recv().await.unwrap();
        assert!(cause.contains("as told"), "{cause}");
        let restarts = world.seen().iter().filter(|line| *line == "sibling: started").count();
        assert_eq!(
            restarts,
            1 + RESTARTS_MAX,
            "siblings start anew with each life of their parent"
        );
        drop(sibling);
    });
}
