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
//! to say than is read in one turn, and the end of one ([`Ticket`]).
//!
//! **Bound**: as many wait here as there are connections. Whoever waits is woken once for it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// For so much time that others took in a turn, one more step passes in the next.
const OTHERS_FOR_A_STEP: Duration = Duration::from_micros(250);
/// Steps in one turn at most: a few milliseconds.
const STEPS_MAX: u128 = 32;

/// The turnstile of one thread. Cloning shares it.
#[derive(Clone)]
pub struct Turnstile(Rc<State>);

#[derive(Default)]
struct State {
    /// Who wants to go on, in the order they came.
    waiting: RefCell<VecDeque<Rc<Held>>>,
    /// Somebody passed, and the others of the thread did not have their turn since.
    is_taken: Cell<bool>,
    taken: Notify,
    /// What steps took in this turn.
    spent: Cell<Duration>,
}

/// One that goes through the turnstile again and again.
pub struct Ticket {
    turnstile: Turnstile,
    held: Rc<Held>,
}

/// What is between its begin and its end counts as time of those who pass.
pub struct Step {
    turnstile: Turnstile,
    begin: Instant,
}

#[derive(Default)]
struct Held {
    place: Cell<Place>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// Nothing to do, or just doing it.
    #[default]
    Away,
    Waiting,
    Admitted,
}

impl Turnstile {
    /// Starts it, on the thread it is for.
    pub fn start() -> Self {
        let turnstile = Self(Rc::default());
        tokio::task::spawn_local(turnstile.clone().turn());
        turnstile
    }

    /// For somebody who wants to go through.
    pub fn ticket(&self) -> Ticket {
        Ticket { turnstile: self.clone(), held: Rc::default() }
    }

    /// Runs `future`, each step of it when it is let through.
    pub async fn pace<F: Future>(&self, future: F) -> F::Output {
        let (mut future, ticket) = (pin!(future), self.ticket());
        poll_fn(|task| {
            let _step = ready!(ticket.poll_pass(task));
            future.as_mut().poll(task)
        })
        .await
    }

    /// Admits those who wait, turn by turn.
    async fn turn(self) {
        let state = &self.0;
        loop {
            state.taken.notified().await;
            while state.is_taken.get() {
                state.spent.set(Duration::ZERO);
                let begin = Instant::now();
                tokio::task::yield_now().await; // everything that is ready has its turn
                let others = begin.elapsed().saturating_sub(state.spent.get());
                state.is_taken.set(state.admit(steps(others)));
            }
        }
    }
}

impl Ticket {
    /// Ready when it is let through, for one step; wakes the task otherwise.
    pub fn poll_pass(&self, task: &Context<'_>) -> Poll<Step> {
        let (state, held) = (&self.turnstile.0, &self.held);
        match held.place.get() {
            Place::Admitted => {
                held.place.set(Place::Away);
                return Poll::Ready(self.step());
            }
            Place::Away if !state.is_taken.replace(true) => {
                state.taken.notify_one();
                return Poll::Ready(self.step());
            }
            Place::Away => {
                held.place.set(Place::Waiting);
                state.waiting.borrow_mut().push_back(held.clone());
            }
            Place::Waiting => {}
        }
        *held.waker.borrow_mut() = Some(task.waker().clone());
        Poll::Pending
    }

    fn step(&self) -> Step {
        Step { turnstile: self.turnstile.clone(), begin: Instant::now() }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let spent = &self.turnstile.0.spent;
        spent.set(spent.get() + self.begin.elapsed());
    }
}

/// How many steps pass after a turn in which others took so long.
fn steps(others: Duration) -> usize {
    let more = others.as_nanos() / OTHERS_FOR_A_STEP.as_nanos();
    usize::try_from((1 + more).min(STEPS_MAX)).unwrap_or(1)
}

impl State {
    /// Lets so many go on; false: nobody waits.
    fn admit(&self, count: usize) -> bool {
        let mut admitted = 0;
        while admitted < count
            && let Some(held) = self.waiting.borrow_mut().pop_front()
        {
            if Rc::strong_count(&held) == 1 {
                continue; // its ticket is gone
            }
            held.place.set(Place::Admitted);
            if let Some(waker) = held.waker.borrow_mut().take() {
                waker.wake();
            }
            admitted += 1;
        }
        admitted > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn who_takes_long_lets_more_steps_pass() {
        assert_eq!([0, 249, 500, 20_000].map(|us| steps(Duration::from_micros(us))), [1, 1, 3, 32]);
    }
}
