//! The one `actix::Actor`.

use super::{
    Actor, Address, Arbiter, Context, TURN_MESSAGES,
    context::panic_text,
    inbox::Control,
    meter,
    supervisor::{Child, ChildId, Escalate, Exhausted, Supervisor},
};
use crate::{fail_points, metrics::ActorKind};
use actix::{Actor as _, fut::ActorFuture};
use std::{
    collections::VecDeque,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{self, Poll},
    time::Instant,
};

/// Starts an actor on `arbiter`, to be rebuilt by `factory` whenever it panics. Its address is
/// good at once and stays good over restarts.
pub fn start_supervised<A: Actor>(
    arbiter: &Arbiter,
    inbox_bound: usize,
    supervisor: &Supervisor,
    exhausted: Exhausted,
    factory: impl FnMut(&Address<A::Message>) -> A + Send + 'static,
) -> Address<A::Message> {
    start_supervised_with(arbiter, inbox_bound, supervisor, exhausted, move || factory)
}

/// As [`start_supervised`], with a factory that is made on the arbiter and may hold what must not
/// leave it.
pub fn start_supervised_with<A: Actor, F>(
    arbiter: &Arbiter,
    inbox_bound: usize,
    supervisor: &Supervisor,
    exhausted: Exhausted,
    make_factory: impl FnOnce() -> F + Send + 'static,
) -> Address<A::Message>
where
    F: FnMut(&Address<A::Message>) -> A + 'static,
{
    let address = Address::new(ActorKind::of(A::KIND), inbox_bound);
    let child = Child::new(A::KIND, exhausted, address.controlled());
    let id = supervisor.add(child.clone());
    start_child(arbiter, &address, supervisor.clone(), id, child, make_factory);
    address
}

/// Starts an actor that its supervisor knows already.
pub(super) fn start_child<A: Actor, F>(
    arbiter: &Arbiter,
    address: &Address<A::Message>,
    supervisor: Supervisor,
    id: ChildId,
    child: Child,
    make_factory: impl FnOnce() -> F + Send + 'static,
) where
    F: FnMut(&Address<A::Message>) -> A + 'static,
{
    // Built by its first turn, like after a panic, so that a factory that panics is met there.
    address.controlled().control(Control::Restart);
    let address = address.clone();
    arbiter.run(move || {
        let factory: Factory<A> = Box::new(make_factory());
        let life = Life::Supervised { supervisor, id, child, factory };
        Shell::new(None, address, Some(Box::new(life))).start();
    });
}

/// Starts an actor on the arbiter of the caller. Nobody rebuilds it: a panic ends it.
pub fn start_unsupervised<A: Actor>(
    inbox_bound: usize,
    build: impl FnOnce(&Address<A::Message>) -> A,
) -> Address<A::Message> {
    start_without_factory(inbox_bound, build, None)
}

/// Starts the top of the tree on the arbiter of the caller. Nobody is above it: it gives up when it
/// panics itself.
pub(super) fn start_root<A: Actor>(
    inbox_bound: usize,
    give_up: Escalate,
    build: impl FnOnce(&Address<A::Message>) -> A,
) -> Address<A::Message> {
    start_without_factory(inbox_bound, build, Some(Box::new(Life::Root(give_up))))
}

fn start_without_factory<A: Actor>(
    inbox_bound: usize,
    build: impl FnOnce(&Address<A::Message>) -> A,
    life: Option<Box<Life<A>>>,
) -> Address<A::Message> {
    let address = Address::new(ActorKind::of(A::KIND), inbox_bound);
    fail_points::pass(A::KIND, "build");
    let actor = build(&address);
    Shell::new(Some(actor), address.clone(), life).start();
    address
}

struct Shell<A: Actor> {
    /// `None` between a panic and the restart; messages wait in the inbox meanwhile.
    actor: Option<A>,
    /// Taken from the inbox, not handled yet; survives a panic.
    batch: VecDeque<A::Message>,
    context: Context<A::Message>,
    fresh: bool,
    life: Option<Box<Life<A>>>,
}

/// What only actors have whose end matters to others.
enum Life<A: Actor> {
    /// Built anew by its supervisor's word.
    Supervised { supervisor: Supervisor, id: ChildId, child: Child, factory: Factory<A> },
    /// The root; what it does when it cannot go on.
    Root(Escalate),
}

type Factory<A> = Box<dyn FnMut(&Address<<A as Actor>::Message>) -> A>;

/// What a turn of control messages asks for.
enum Verdict {
    GoOn,
    End,
}

impl<A: Actor> Shell<A> {
    fn new(actor: Option<A>, address: Address<A::Message>, life: Option<Box<Life<A>>>) -> Self {
        let context = Context::new(address);
        Self { actor, batch: VecDeque::new(), context, fresh: true, life }
    }

    /// A turn, measured now and then.
    fn metered_turn(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        if !meter::samples_turn() {
            return self.turn(task);
        }
        let address = self.context.address().clone();
        let (depth, began) = (address.depth(), Instant::now());
        let poll = self.turn(task);
        meter::turned(address.kind(), depth, began.elapsed());
        poll
    }

    fn turn(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        match catch_unwind(AssertUnwindSafe(|| self.guarded_turn(task))) {
            Ok(poll) => poll,
            Err(panic) => {
                let ends = self.crashed(panic_text(&*panic));
                if ends { Poll::Ready(()) } else { self.sleep(task) }
            }
        }
    }

    fn guarded_turn(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        if let Verdict::End = self.take_control() {
            return Poll::Ready(());
        }
        self.run_actor(task);
        if self.context.stopping {
            self.end();
            return Poll::Ready(());
        }
        self.sleep(task)
    }

    fn take_control(&mut self) -> Verdict {
        // One by one: a factory that panics must not lose the word to stop behind it.
        while let Some(control) = self.context.address().next_control() {
            match control {
                Control::Stop => {
                    self.end();
                    return Verdict::End;
                }
                Control::Restart => self.restart(),
                Control::Crash { incarnation, cause } => {
                    let current = incarnation == self.context.address().incarnation();
                    if current && self.actor.is_some() && self.crashed(cause) {
                        return Verdict::End;
                    }
                }
            }
        }
        Verdict::GoOn
    }

    /// Timers, answers, messages, input, end of turn. An actor that is down does nothing.
    fn run_actor(&mut self, task: &mut task::Context<'_>) {
        let Some(actor) = &mut self.actor else {
            return;
        };
        let context = &mut self.context;
        context.wants_turn = false;
        if std::mem::take(&mut self.fresh) {
            fail_points::pass(A::KIND, "start");
            actor.started(context);
        }
        while let Some(message) = context.next_due() {
            fail_points::pass(A::KIND, "handle");
            actor.handle(message, context);
        }
        if self.batch.len() < TURN_MESSAGES {
            let most = if actor.is_ready() { TURN_MESSAGES - self.batch.len() } else { 0 };
            context.address().clone().take(&mut self.batch, most);
        }
        for _ in 0..TURN_MESSAGES {
            match self.batch.pop_front() {
                Some(message) => {
                    fail_points::pass(A::KIND, "handle");
                    actor.handle(message, context);
                }
                None => break,
            }
        }
        fail_points::pass(A::KIND, "input");
        if actor.poll_input(task, context).is_ready() {
            context.yield_turn();
        }
        fail_points::pass(A::KIND, "end_of_turn");
        actor.turn_ended(context);
        if !A::KEEPS_QUEUES && self.batch.is_empty() && self.batch.capacity() > 0 {
            self.batch = VecDeque::new();
            context.address().shrink();
        }
    }

    /// Registers every way to be woken, or asks for another turn at once.
    fn sleep(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        let is_up = self.actor.is_some();
        let wants_messages = self.actor.as_ref().is_some_and(Actor::is_ready);
        let has_work = is_up
            && (self.context.wants_turn
                || !self.batch.is_empty()
                || self.context.poll_timers(task).is_ready());
        if has_work || !self.context.address().sleep(task.waker(), wants_messages, is_up) {
            turn_again(task);
        }
        Poll::Pending
    }

    /// Drops what panicked and tells the supervisor. True: nobody will rebuild it.
    fn crashed(&mut self, cause: String) -> bool {
        tracing::error!(actor = A::KIND, cause, "actor panicked");
        self.context.address().next_incarnation();
        self.context.reset();
        self.actor = None;
        match self.life.as_deref() {
            Some(Life::Supervised { supervisor, id, child, .. }) => {
                supervisor.down(*id, child.clone(), cause);
                return false;
            }
            Some(Life::Root(give_up)) => give_up(&format!("the root supervisor: {cause}")),
            None => {}
        }
        self.end();
        true
    }

    fn restart(&mut self) {
        let Some(Life::Supervised { factory, .. }) = self.life.as_deref_mut() else {
            return;
        };
        let address = self.context.address().clone();
        if self.actor.take().is_some() {
            address.next_incarnation(); // asked for by the supervisor, not by a panic
        }
        self.context.reset();
        self.fresh = true;
        fail_points::pass(A::KIND, "build");
        self.actor = Some(factory(&address));
    }

    fn end(&mut self) {
        self.context.address().close();
        self.batch.clear();
        self.actor = None;
        if let Some(Life::Supervised { supervisor, id, .. }) = self.life.take().map(|life| *life) {
            supervisor.remove(id);
        }
    }
}

/// Asks for a turn after everything that is ready and what has come over the network meanwhile. Of a task that
/// just wakes itself tokio would run 61 turns before it looks there.
fn turn_again(task: &mut task::Context<'_>) {
    let _deferred = pin!(tokio::task::yield_now()).poll(task);
}

impl<A: Actor> actix::Actor for Shell<A> {
    type Context = actix::Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        actix::AsyncContext::spawn(context, Turns);
    }
}

/// Polls the shell for as long as it lives. actix polls it with the shell at hand.
struct Turns;

impl<A: Actor> ActorFuture<Shell<A>> for Turns {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        shell: &mut Shell<A>,
        _context: &mut actix::Context<Shell<A>>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        shell.metered_turn(task)
    }
}

impl<A: Actor> Unpin for Shell<A> {}
