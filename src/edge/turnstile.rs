//! Who has much to do takes turns with everything else on an edge thread.
//!
//! Tasks run in the order they were woken. A thousand requests that are answered by the store in one
//! moment, a thousand connections that end together, or a few that never stop talking would all be
//! served before the next frame of a quiet chat is looked at, and each of the steps of that one waits
//! for them again. So these go on only when they are let through the turnstile of their thread: one
//! step of one of them, then whatever else is ready has its turn, then the next. A lone one passes at
//! once. Where the others take long, more steps pass between two of their turns, so that neither
//! starves.
//!
//! What goes through it: each step of an HTTP request ([`Turnstile::pace`]); a WebSocket that had more
//! to say than is read in one turn, and the end of one ([`Ticket`]). Whoever wakes a request, from
//! whatever thread, puts it in line here; its task runs when it is let through, so a thousand that are
//! woken in one moment cost the thread nothing until then.
//!
//! **Bound**: as many wait here as there are connections. Whoever waits is woken once for it.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// For so much time that others took in a turn, one more step passes in the next.
const OTHERS_FOR_A_STEP: Duration = Duration::from_micros(250);
/// When steps took so long in one turn, no more of them pass in it.
const STEPS_LAST_MAX: Duration = Duration::from_micros(500);

/// The turnstile of one thread. Cloning shares it.
#[derive(Clone)]
pub struct Turnstile(Arc<Line>);

/// One that goes through the turnstile again and again.
pub struct Ticket(Arc<Held>);

/// What is between its begin and its end counts as time of those who pass.
pub struct Step {
    line: Arc<Line>,
    begin: Instant,
}

/// Locked for some lines each time, before any [`Held`] of it.
#[derive(Default)]
struct Line {
    state: Mutex<State>,
    /// Somebody passed where nobody had.
    taken: Notify,
}

#[derive(Default)]
struct State {
    /// Who wants to go on, in the order they came.
    waiting: VecDeque<Arc<Held>>,
    /// Somebody passed, and the others of the thread did not have their turn since.
    is_taken: bool,
    /// So many more may pass in this turn.
    left: usize,
    /// What steps took in this turn.
    spent: Duration,
}

/// What a ticket and those who wake its holder have in common.
struct Held {
    line: Arc<Line>,
    wish: Mutex<Wish>,
}

#[derive(Default)]
struct Wish {
    place: Place,
    /// Who is woken when it is admitted; there from the first look on, until then.
    task: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Nothing to do, or just doing it.
    #[default]
    Away,
    Waiting,
    Admitted,
    /// The ticket is no more.
    Gone,
}

impl Turnstile {
    /// Starts it, on the thread it is for.
    pub fn start() -> Self {
        let turnstile = Self(Arc::default());
        tokio::task::spawn_local(turnstile.clone().turn());
        turnstile
    }

    /// For somebody who wants to go through.
    pub fn ticket(&self) -> Ticket {
        Ticket(Arc::new(Held { line: self.0.clone(), wish: Mutex::default() }))
    }

    /// Runs `future`, each step of it when it is let through.
    pub async fn pace<F: Future>(&self, future: F) -> F::Output {
        let (mut future, ticket) = (pin!(future), self.ticket());
        let waker = Waker::from(ticket.0.clone());
        let _ = ticket.0.ask(); // for the first step
        poll_fn(|task| {
            let _step = ready!(ticket.0.poll_admitted(task));
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    /// Admits those who wait, turn by turn.
    async fn turn(self) {
        let line = &self.0;
        loop {
            line.taken.notified().await;
            while line.state().is_taken {
                let begin = Instant::now();
                tokio::task::yield_now().await; // everything that is ready has its turn
                line.next_turn(begin.elapsed());
            }
        }
    }
}

impl Ticket {
    /// Ready when it is let through, for one step; wakes the task otherwise.
    pub fn poll_pass(&self, task: &Context<'_>) -> Poll<Step> {
        let _ = self.0.ask();
        self.0.poll_admitted(task)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let gone = Wish { place: Place::Gone, task: None };
        let _left = mem::replace(&mut *self.0.wish(), gone); // dropped when nothing is locked
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.spent += self.begin.elapsed();
        let next = if state.spent < STEPS_LAST_MAX { state.admit_next() } else { None };
        drop(state);
        wake(next);
    }
}

impl Line {
    /// After a turn that took so long, with the steps that passed in it.
    fn next_turn(&self, last: Duration) {
        let mut state = self.state();
        state.left = steps(last.saturating_sub(state.spent));
        state.spent = Duration::ZERO;
        let next = state.admit_next();
        state.is_taken = next.is_some();
        drop(state);
        wake(next);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets the next one go on if one more may; its task is to be woken when nothing is locked.
    fn admit_next(&mut self) -> Option<Waker> {
        let left = self.left.checked_sub(1)?;
        while let Some(held) = self.waiting.pop_front() {
            // Who waits has been looked at, and left its task; a ticket that is gone has none.
            if let Some(task) = held.wish().admit() {
                self.left = left;
                return Some(task);
            }
        }
        self.left = 0;
        None
    }
}

impl Held {
    /// Wants one step: passes at once where nobody did in this turn, and its task is to be woken if it
    /// is not just running; waits in line otherwise.
    #[must_use]
    fn ask(self: &Arc<Self>) -> Option<Waker> {
        let (mut state, mut wish) = (self.line.state(), self.wish());
        if wish.place != Place::Away {
            return None;
        }
        wish.place = Place::Waiting;
        if state.is_taken {
            state.waiting.push_back(self.clone());
            return None;
        }
        state.is_taken = true;
        self.line.taken.notify_one();
        wish.admit()
    }

    /// Ready when it was admitted, for one step; wakes the task when it is.
    fn poll_admitted(&self, task: &Context<'_>) -> Poll<Step> {
        let mut wish = self.wish();
        wish.task = Some(task.waker().clone());
        if wish.place != Place::Admitted {
            return Poll::Pending;
        }
        wish.place = Place::Away;
        Poll::Ready(Step { line: self.line.clone(), begin: Instant::now() })
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Held {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        wake(self.ask());
    }
}

impl Wish {
    /// The task that is to go on; none if it never was there or the ticket is gone.
    fn admit(&mut self) -> Option<Waker> {
        if self.place == Place::Waiting {
            self.place = Place::Admitted;
        }
        self.task.take()
    }
}

/// Without a lock: a waker may run anything.
fn wake(task: Option<Waker>) {
    if let Some(task) = task {
        task.wake();
    }
}

/// How many steps may pass after a turn in which others took so long.
fn steps(others: Duration) -> usize {
    let more = others.as_nanos() / OTHERS_FOR_A_STEP.as_nanos();
    usize::try_from(more).unwrap_or(usize::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };
    use tokio::task::{LocalSet, spawn_local, yield_now};

    /// Notes its name at each step.
    async fn steps_of(name: char, log: Rc<RefCell<String>>) {
        for _ in 0..3 {
            log.borrow_mut().push(name);
            yield_now().await;
        }
    }

    async fn log_of(requests: usize) -> String {
        let log = Rc::new(RefCell::new(String::new()));
        let turnstile = Turnstile::start();
        let mut all = Vec::new();
        for _ in 0..requests {
            let (turnstile, log) = (turnstile.clone(), log.clone());
            all.push(spawn_local(async move { turnstile.pace(steps_of('r', log)).await }));
        }
        all.push(spawn_local(steps_of('c', log.clone())));
        for one in all {
            one.await.unwrap();
        }
        log.take()
    }

    #[tokio::test(start_paused = true)]
    async fn others_have_their_turn_between_two_steps() {
        let log = LocalSet::new().run_until(log_of(10)).await;
        assert_eq!(log.matches('r').count(), 30, "{log}");
        let chat: Vec<usize> = log.match_indices('c').map(|(index, _)| index).collect();
        assert!(chat[2] <= 6, "three turns of the chat beside three steps of requests: {log}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_passes_at_once() {
        let log = LocalSet::new().run_until(log_of(1)).await;
        assert_eq!(log.chars().next(), Some('r'), "{log}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_ended_is_passed_over() {
        let pass = async {
            let turnstile = Turnstile::start();
            let log = Rc::new(RefCell::new(String::new()));
            let spawn = |name| {
                let (turnstile, log) = (turnstile.clone(), log.clone());
                spawn_local(async move { turnstile.pace(steps_of(name, log)).await })
            };
            let (_first, second, third) = (spawn('a'), spawn('b'), spawn('c'));
            yield_now().await;
            second.abort();
            third.await.unwrap();
            log.take()
        };
        let log = LocalSet::new().run_until(pass).await;
        assert_eq!(log.matches('c').count(), 3, "{log}");
        assert!(log.matches('b').count() < 3, "{log}");
    }

    /// Looked at so often, of that while it had a step.
    #[derive(Default)]
    struct Looks {
        all: Cell<usize>,
        steps: Cell<usize>,
    }

    async fn wait_in_turn(turnstile: Turnstile, all_go_on: Rc<Notify>, looks: Rc<Looks>) {
        let mut step = pin!(all_go_on.notified());
        let waits = poll_fn(|task| {
            looks.steps.set(looks.steps.get() + 1);
            step.as_mut().poll(task)
        });
        let mut paced = pin!(turnstile.pace(waits));
        poll_fn(|task| {
            looks.all.set(looks.all.get() + 1);
            paced.as_mut().poll(task)
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_are_woken_at_once_are_looked_at_when_it_is_their_turn() {
        let (looks, all_go_on) = (Rc::<Looks>::default(), Rc::<Notify>::default());
        let run = async {
            let turnstile = Turnstile::start();
            let start =
                |_| spawn_local(wait_in_turn(turnstile.clone(), all_go_on.clone(), looks.clone()));
            let all: Vec<_> = (0..100).map(start).collect();
            while looks.steps.get() < 100 {
                yield_now().await;
            }
            let before = looks.all.get();
            all_go_on.notify_waiters();
            for one in all {
                one.await.unwrap();
            }
            looks.all.get() - before
        };
        assert_eq!(LocalSet::new().run_until(run).await, 100);
        assert_eq!(looks.steps.get(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn steps_of_one_turn_end_when_they_took_long() {
        let pass = async {
            let turnstile = Turnstile::start();
            let line = &turnstile.0;
            line.state().left = usize::MAX;
            line.state().is_taken = true;
            let task = Context::from_waker(Waker::noop());
            let tickets = [turnstile.ticket(), turnstile.ticket(), turnstile.ticket()];
            let waits = tickets.each_ref().map(|one| one.poll_pass(&task).is_pending());
            assert_eq!(waits, [true; 3]);
            let step = |took| Step { line: line.clone(), begin: Instant::now() - took };
            drop(step(STEPS_LAST_MAX / 2));
            drop(step(STEPS_LAST_MAX / 2));
            assert_eq!(line.state().waiting.len(), 2, "after the first, not after the second");
            line.next_turn(Duration::from_secs(1));
            drop(step(Duration::ZERO));
            assert_eq!(line.state().waiting.len(), 0, "they may again");
        };
        LocalSet::new().run_until(pass).await;
    }

    #[test]
    fn who_takes_long_lets_more_steps_pass() {
        assert_eq!([0, 249, 500, 20_000].map(|us| steps(Duration::from_micros(us))), [1, 1, 3, 81]);
    }
}
