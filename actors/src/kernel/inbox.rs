//! A bounded queue with one reader, and the addresses that write to it.

use super::meter::{self, Stamp};
use crate::metrics::ActorKind;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::Waker,
};

/// Writes to one actor's inbox. Cloning shares it; the actor does not live by it.
pub struct Address<M>(Arc<Inbox<M>>);

/// Why a message was not taken; gives it back.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError<M> {
    /// As many as the bound are waiting.
    Full(M),
    /// The actor stopped.
    Closed(M),
}

/// What the kernel itself tells a shell; taken before any message.
#[derive(Debug)]
pub(super) enum Control {
    /// Drop the actor and end.
    Stop,
    /// Drop the actor, if there is one, and build a new one.
    Restart,
    /// A future of this incarnation panicked; crash as if the actor had.
    Crash { incarnation: u32, cause: String },
}

/// A shell as its supervisor sees it, whatever its messages.
pub(super) trait Controlled: Send + Sync {
    fn control(&self, control: Control);
    /// How many messages wait.
    fn depth(&self) -> usize;
    /// The actor stopped.
    fn is_closed(&self) -> bool;
}

struct Inbox<M> {
    /// Messages waiting at most; answers and control are bounded by what was asked.
    bound: usize,
    /// Counts restarts, so that answers to an earlier life are told apart.
    incarnation: AtomicU32,
    /// What its reader is, for metrics.
    kind: ActorKind,
    queue: Mutex<Queue<M>>,
}

struct Queue<M> {
    control: Vec<Control>,
    answers: VecDeque<M>,
    messages: VecDeque<M>,
    /// Set while the reader sleeps; the first writer takes it, so a burst wakes once.
    sleeper: Option<Waker>,
    /// The one of `messages` whose wait is measured, if one is.
    timed: Option<Timed>,
    closed: bool,
}

struct Timed {
    /// Messages before it.
    ahead: u32,
    since: Stamp,
}

impl<M> Address<M> {
    pub(super) fn new(kind: ActorKind, bound: usize) -> Self {
        let queue = Queue {
            control: Vec::new(),
            answers: VecDeque::new(),
            messages: VecDeque::new(),
            sleeper: None,
            timed: None,
            closed: false,
        };
        let (incarnation, queue) = (AtomicU32::new(0), Mutex::new(queue));
        Self(Arc::new(Inbox { bound, incarnation, kind, queue }))
    }

    /// Hands a message over, or gives it back at once.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        let mut queue = self.0.lock();
        if queue.closed {
            return Err(SendError::Closed(message));
        }
        if queue.messages.len() >= self.0.bound {
            drop(queue);
            meter::was_full(self.0.kind);
            return Err(SendError::Full(message));
        }
        queue.time_next();
        queue.messages.push_back(message);
        queue.wake();
        Ok(())
    }

    /// Hands over an answer to something the actor of this incarnation asked for. Dropped when
    /// the actor is gone or another.
    pub(super) fn answer(&self, incarnation: u32, message: M) {
        let mut queue = self.0.lock();
        if queue.closed || incarnation != self.incarnation() {
            drop(queue); // the message may hold replies, whose loss is told under other locks
            return;
        }
        queue.answers.push_back(message);
        queue.wake();
    }

    /// Hands over a rare message that must not be lost, past the bound: an operator's or another
    /// actor's word of which there is a bounded number anyway. Never for user traffic.
    pub fn urge(&self, message: M) {
        let mut queue = self.0.lock();
        if queue.closed {
            drop(queue); // as in `answer`
            return;
        }
        queue.messages.push_back(message);
        queue.wake();
    }

    /// As [`Self::urge`], and gives the message back when the actor stopped.
    pub fn hand_over(&self, message: M) -> Result<(), M> {
        let mut queue = self.0.lock();
        if queue.closed {
            drop(queue);
            return Err(message);
        }
        queue.messages.push_back(message);
        queue.wake();
        Ok(())
    }

    /// How many messages wait.
    pub fn depth(&self) -> usize {
        self.0.lock().messages.len()
    }

    /// True for two addresses of one actor.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The actor stopped, or was told to.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Ends the actor; what waits is dropped.
    pub fn stop(&self)
    where
        M: Send,
    {
        self.0.control(Control::Stop);
    }

    /// What its reader is.
    pub(super) fn kind(&self) -> ActorKind {
        self.0.kind
    }

    pub(super) fn incarnation(&self) -> u32 {
        self.0.incarnation.load(Ordering::Relaxed)
    }

    pub(super) fn next_incarnation(&self) {
        self.0.incarnation.fetch_add(1, Ordering::Relaxed);
        // Answers that are here already belong to the life before.
        let stale = std::mem::take(&mut self.0.lock().answers);
        drop(stale);
    }

    pub(super) fn crash(&self, incarnation: u32, cause: String) {
        let mut queue = self.0.lock();
        queue.control.push(Control::Crash { incarnation, cause });
        queue.wake();
    }

    /// The oldest word of the kernel that is not taken.
    pub(super) fn next_control(&self) -> Option<Control> {
        let mut queue = self.0.lock();
        (!queue.control.is_empty()).then(|| queue.control.remove(0))
    }

    /// Moves answers, then up to `messages_max` messages, into `batch`.
    pub(super) fn take(&self, batch: &mut VecDeque<M>, messages_max: usize) {
        let mut queue = self.0.lock();
        batch.append(&mut queue.answers);
        let count = queue.messages.len().min(messages_max);
        if queue.messages.len() == count {
            batch.append(&mut queue.messages);
        } else {
            batch.extend(queue.messages.drain(..count));
        }
        let timed = queue.take_timed(count);
        drop(queue);
        if let Some(since) = timed {
            meter::waited(self.0.kind, since);
        }
    }

    /// Gives back the memory of queues in which nothing waits.
    pub(super) fn shrink(&self) {
        let mut queue = self.0.lock();
        queue.answers.shrink_to_fit();
        queue.messages.shrink_to_fit();
    }

    /// Registers the reader as asleep. False: something is waiting, do not sleep.
    pub(super) fn sleep(&self, waker: &Waker, wants_messages: bool, wants_answers: bool) -> bool {
        let mut queue = self.0.lock();
        let idle = queue.control.is_empty()
            && (queue.answers.is_empty() || !wants_answers)
            && (queue.messages.is_empty() || !wants_messages);
        if idle && !queue.sleeper.as_ref().is_some_and(|sleeper| sleeper.will_wake(waker)) {
            queue.sleeper = Some(waker.clone());
        }
        idle
    }

    /// Closes the inbox unless messages wait: an actor that wants to go because it is idle.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut queue = self.0.lock();
        let idle = queue.messages.is_empty() && queue.answers.is_empty();
        queue.closed |= idle;
        idle
    }

    /// Closes the inbox and gives the messages that wait; answers are dropped.
    pub(super) fn close_taking(&self) -> Vec<M> {
        let mut queue = self.0.lock();
        queue.closed = true;
        let answers = std::mem::take(&mut queue.answers);
        let left = std::mem::take(&mut queue.messages);
        drop(queue);
        drop(answers);
        left.into()
    }

    /// Closes the inbox and drops what waits.
    pub(super) fn close(&self) {
        let mut queue = self.0.lock();
        queue.closed = true;
        let left = (std::mem::take(&mut queue.answers), std::mem::take(&mut queue.messages));
        drop(queue);
        drop(left); // outside of the lock: replies are told of their loss
    }

    pub(super) fn controlled(&self) -> Arc<dyn Controlled>
    where
        M: Send + 'static,
    {
        self.0.clone()
    }
}

/// An inbox without an actor, for tests of what is sent there.
#[cfg(test)]
impl<M> Address<M> {
    pub(crate) fn detached(bound: usize) -> Self {
        Self::new(ActorKind::of("detached"), bound)
    }

    /// What was sent since the last call.
    pub(crate) fn drain(&self) -> Vec<M> {
        let mut batch = VecDeque::new();
        self.take(&mut batch, usize::MAX);
        batch.into()
    }

    pub(crate) fn is_told_to_stop(&self) -> bool {
        self.0.lock().control.iter().any(|control| matches!(control, Control::Stop))
    }
}

impl<M> Inbox<M> {
    fn lock(&self) -> MutexGuard<'_, Queue<M>> {
        // Nothing can panic under this lock but allocation, which aborts.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Send> Controlled for Inbox<M> {
    fn control(&self, control: Control) {
        let mut queue = self.lock();
        queue.control.push(control);
        queue.wake();
    }

    fn depth(&self) -> usize {
        self.lock().messages.len()
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

impl<M> Queue<M> {
    fn wake(&mut self) {
        if let Some(sleeper) = self.sleeper.take() {
            sleeper.wake();
        }
    }

    /// Measures the wait of the message that comes next, now and then.
    fn time_next(&mut self) {
        if self.timed.is_none()
            && let Some(since) = Stamp::sampled()
        {
            let ahead = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
            self.timed = Some(Timed { ahead, since });
        }
    }

    /// The first `count` messages are taken: since when the one that is measured waited, if it is
    /// among them.
    fn take_timed(&mut self, count: usize) -> Option<Stamp> {
        let timed = self.timed.as_mut()?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match timed.ahead.checked_sub(count) {
            Some(ahead) => {
                timed.ahead = ahead;
                None
            }
            None => self.timed.take().map(|timed| timed.since),
        }
    }
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:p})", Arc::as_ptr(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_gives_the_message_back() {
        let address = Address::detached(2);
        assert_eq!(address.try_send(1), Ok(()));
        assert_eq!(address.try_send(2), Ok(()));
        assert_eq!(address.try_send(3), Err(SendError::Full(3)));
        let mut batch = VecDeque::new();
        address.take(&mut batch, 1);
        assert_eq!(batch, [1]);
        assert_eq!(address.try_send(3), Ok(()));
    }

    #[test]
    fn answers_pass_a_full_inbox_and_come_first() {
        let address = Address::detached(1);
        address.try_send(1).unwrap();
        address.answer(0, 2);
        let mut batch = VecDeque::new();
        address.take(&mut batch, 64);
        assert_eq!(batch, [2, 1]);
    }

    #[test]
    fn answers_to_an_earlier_life_are_dropped() {
        let address = Address::detached(1);
        address.answer(0, 1);
        address.next_incarnation();
        address.answer(0, 2);
        address.answer(1, 3);
        let mut batch = VecDeque::new();
        address.take(&mut batch, 64);
        assert_eq!(batch, [3]);
    }

    #[test]
    fn only_an_idle_inbox_closes_by_itself() {
        let address = Address::detached(1);
        address.try_send(1).unwrap();
        assert!(!address.close_if_idle());
        address.take(&mut VecDeque::new(), 64);
        assert!(address.close_if_idle());
        assert_eq!(address.try_send(2), Err(SendError::Closed(2)));
    }

    #[test]
    fn an_inbox_can_be_closed_without_losing_what_waits() {
        let address = Address::detached(1);
        address.try_send(1).unwrap();
        assert_eq!(address.hand_over(2), Ok(()), "past the bound");
        assert_eq!(address.close_taking(), [1, 2]);
        assert_eq!(address.hand_over(3), Err(3));
    }

    #[test]
    fn of_the_messages_that_wait_one_is_measured() {
        let address = Address::detached(usize::MAX);
        (0..1_000).for_each(|message| address.try_send(message).unwrap());
        let timed = |address: &Address<i32>| address.0.lock().timed.as_ref().map(|it| it.ahead);
        let ahead = timed(&address).expect("one in 64 on average");
        address.take(&mut VecDeque::new(), ahead as usize);
        assert_eq!(timed(&address), Some(0), "it is the next");
        address.take(&mut VecDeque::new(), 1);
        assert_eq!(timed(&address), None);
    }

    /// There is one for each connection; this is what the allocator has next below 192.
    #[test]
    fn an_inbox_takes_160_bytes() {
        let counts = 2 * size_of::<usize>(); // of the `Arc` around it
        let size = counts + size_of::<Inbox<crate::connection::ConnectionMessage>>();
        assert!(size <= 160, "{size}");
    }
}
