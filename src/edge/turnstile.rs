//! Requests take turns with everything else on an edge thread.
//!
//! A thousand requests that come, or are answered by the store, in one moment would all be served
//! before the next frame of a chat is looked at: tasks run in the order they were woken. So a request
//! goes on only when it is let through the turnstile of its thread: one step of one request, then
//! whatever else is ready has its turn, then the next. A lone request passes at once. Where the others
//! take long, more steps pass between two of their turns, so that neither starves.
//!
//! **Bound**: as many wait here as there are connections. Whoever waits is woken once for it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

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
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
    /// Somebody passed, and the others of the thread did not have their turn since.
    is_taken: Cell<bool>,
    taken: Notify,
    /// What steps took in this turn.
    spent: Cell<Duration>,
}

#[derive(Default)]
struct Ticket {
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

    /// Runs `future`, each step of it when it is let through.
    pub async fn pace<F: Future>(&self, future: F) -> F::Output {
        let (mut future, ticket) = (pin!(future), Rc::new(Ticket::default()));
        poll_fn(|task| {
            if !self.lets_through(&ticket, task) {
                return Poll::Pending;
            }
            let begin = Instant::now();
            let poll = future.as_mut().poll(task);
            self.0.spent.set(self.0.spent.get() + begin.elapsed());
            poll
        })
        .await
    }

    fn lets_through(&self, ticket: &Rc<Ticket>, task: &Context<'_>) -> bool {
        let state = &self.0;
        match ticket.place.get() {
            Place::Admitted => {
                ticket.place.set(Place::Away);
                return true;
            }
            Place::Away if !state.is_taken.replace(true) => {
                state.taken.notify_one();
                return true;
            }
            Place::Away => {
                ticket.place.set(Place::Waiting);
                state.waiting.borrow_mut().push_back(ticket.clone());
            }
            Place::Waiting => {}
        }
        *ticket.waker.borrow_mut() = Some(task.waker().clone());
        false
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
            && let Some(ticket) = self.waiting.borrow_mut().pop_front()
        {
            if Rc::strong_count(&ticket) == 1 {
                continue; // its connection has ended
            }
            ticket.place.set(Place::Admitted);
            if let Some(waker) = ticket.waker.borrow_mut().take() {
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

    #[tokio::test]
    async fn others_have_their_turn_between_two_steps() {
        let log = LocalSet::new().run_until(log_of(10)).await;
        assert_eq!(log.matches('r').count(), 30, "{log}");
        let chat: Vec<usize> = log.match_indices('c').map(|(index, _)| index).collect();
        assert!(chat[2] <= 6, "three turns of the chat beside three steps of requests: {log}");
    }

    #[tokio::test]
    async fn a_lone_request_passes_at_once() {
        let log = LocalSet::new().run_until(log_of(1)).await;
        assert_eq!(log.chars().next(), Some('r'), "{log}");
    }

    #[tokio::test]
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
