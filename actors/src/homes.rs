//! Where rooms are at home, as this node sees it now, and how far that can be trusted.
//!
//! Whoever hears the other nodes (the membership) says who is there and when the node last heard
//! itself; whoever routes, answers or writes asks here, at the moment of doing so. A node that is
//! alone is every room's home, always, and is asked nothing that costs.

use madang_cluster::{NodeName, Peer, View};
use madang_protocol::RoomId;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, futures::Notified, watch},
    time::Instant,
};

/// A view is trusted for so long after the node heard itself: well before others count it out, so
/// that what is told from memory was true when it was told.
pub const FRESH_FOR: Duration = Duration::from_millis(1_500);

/// Where a room is at home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// On this node.
    Here,
    /// On another.
    There(Peer),
    /// Nobody knows: the node hears nobody, itself included. Whoever needs a home waits.
    Nobody,
}

/// The node's view of the others. Cloning shares it.
#[derive(Clone)]
pub struct Homes(Arc<Shared>);

struct Shared {
    me: Peer,
    /// Never joined by another: nothing below means anything.
    is_alone: bool,
    /// Without this node while it drains, unless it is the only one.
    view: watch::Sender<Arc<View>>,
    /// Wakes those who wait for another view in the order they came, which a `watch` does not, so that
    /// a simulated world repeats itself.
    changed: Notify,
    /// What `heard` counts from.
    origin: Instant,
    /// When the node last heard itself, in ms from `origin`, plus one; 0: never.
    heard: AtomicU64,
    is_draining: AtomicBool,
}

impl Homes {
    /// Of a node that nobody will join: it is every room's home, and its view is always fresh.
    pub fn alone(me: Peer) -> Self {
        let view = View::new([me.clone()]);
        Self::new(me, true, view)
    }

    /// Of a node that has not heard of anybody yet, itself included: nobody is home.
    pub fn joining(me: Peer) -> Self {
        Self::new(me, false, View::default())
    }

    fn new(me: Peer, is_alone: bool, view: View) -> Self {
        Self(Arc::new(Shared {
            me,
            is_alone,
            view: watch::Sender::new(Arc::new(view)),
            changed: Notify::new(),
            origin: Instant::now(),
            heard: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
        }))
    }

    /// This node.
    pub fn me(&self) -> &Peer {
        &self.0.me
    }

    /// Nobody will join this node.
    pub fn is_alone(&self) -> bool {
        self.0.is_alone
    }

    /// Where `room` is at home now.
    pub fn home(&self, room: RoomId) -> Home {
        if self.0.is_alone {
            return Home::Here;
        }
        match self.0.view.borrow().home(room) {
            None => Home::Nobody,
            Some(peer) if *peer == self.0.me => Home::Here,
            Some(peer) => Home::There(peer.clone()),
        }
    }

    /// `room` is at home here, and at `now` the node is sure of it: what it knows of the room may
    /// be told, and it may write.
    pub fn is_surely_here(&self, room: RoomId, now: Instant) -> bool {
        self.0.is_alone || (self.is_fresh(now) && self.home(room) == Home::Here)
    }

    /// At `now` the node has heard itself within [`FRESH_FOR`]. To be asked when something is told,
    /// not before: a process that was paused goes on in the middle of what it did.
    pub fn is_fresh(&self, now: Instant) -> bool {
        mutate!(NeverStale, {
            return true;
        });
        if self.0.is_alone {
            return true;
        }
        let heard = self.0.heard.load(Ordering::Acquire);
        heard > 0 && self.millis(now).saturating_sub(heard - 1) < FRESH_FOR.as_millis() as u64
    }

    /// The node heard itself: the heartbeat it sent at `sent` went round, so those who hear it
    /// counted it in at least since then. Never goes back.
    pub fn heard_myself(&self, sent: Instant) {
        self.0.heard.fetch_max(self.millis(sent) + 1, Ordering::AcqRel);
    }

    /// Who is there is this now; of a draining node it is without itself, unless nobody else is
    /// there. True: that is another view than before. The empty one says that nobody is home.
    pub fn update(&self, view: View) -> bool {
        let view = if self.is_draining() { without(&self.0.me.name, view) } else { view };
        let is_other = self.0.view.send_if_modified(|known| {
            let is_other = **known != view;
            if is_other {
                *known = Arc::new(view);
            }
            is_other
        });
        if is_other {
            self.0.changed.notify_waiters();
        }
        is_other
    }

    /// Who is there.
    pub fn view(&self) -> Arc<View> {
        self.0.view.borrow().clone()
    }

    /// The first change of the view after this call, for the many who wait for one.
    pub fn next_change(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Tells of each change of the view, the latest alone if several came together, for the few who
    /// follow all.
    pub fn changes(&self) -> watch::Receiver<Arc<View>> {
        self.0.view.subscribe()
    }

    /// From now on the node is nobody's home if others are there. The membership tells them.
    pub fn drain(&self) {
        if !self.0.is_alone && !self.0.is_draining.swap(true, Ordering::AcqRel) {
            let view = View::clone(&self.view());
            self.update(view);
        }
    }

    /// The node is about to leave.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.0.origin).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX - 1)
    }
}

/// The view without this node; the whole of it where that would leave nobody.
fn without(name: &NodeName, view: View) -> View {
    let others: Vec<Peer> =
        view.nodes().iter().filter(|peer| peer.name != *name).cloned().collect();
    if others.is_empty() { view } else { View::new(others) }
}

impl fmt::Debug for Homes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Homes").field("me", &self.0.me).field("view", &self.view()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([7; 15]);

    fn peer(name: &str, incarnation: u64) -> Peer {
        Peer { name: NodeName::new(name).unwrap(), incarnation }
    }

    #[test]
    fn a_node_that_is_alone_is_home_and_sure_of_it() {
        let homes = Homes::alone(peer("a", 1));
        assert_eq!(homes.home(ROOM), Home::Here);
        assert!(homes.is_surely_here(ROOM, Instant::now() + Duration::from_secs(1_000)));
        homes.drain();
        assert_eq!(homes.home(ROOM), Home::Here);
    }

    #[test]
    fn a_view_is_fresh_for_a_while_after_the_node_heard_itself() {
        let homes = Homes::joining(peer("a", 1));
        let now = Instant::now();
        homes.update(View::new([peer("a", 1)]));
        assert!(!homes.is_fresh(now), "it never heard itself");
        homes.heard_myself(now);
        homes.heard_myself(now - Duration::from_millis(0));
        assert!(homes.is_surely_here(ROOM, now + FRESH_FOR - Duration::from_millis(1)));
        assert!(!homes.is_surely_here(ROOM, now + FRESH_FOR + Duration::from_millis(1)));
        assert_eq!(homes.home(ROOM), Home::Here, "but it is home until it is told otherwise");
    }

    #[test]
    fn nobody_is_home_before_anybody_was_heard_and_when_nobody_is_heard_any_more() {
        let homes = Homes::joining(peer("a", 1));
        assert_eq!(homes.home(ROOM), Home::Nobody);
        let changes = homes.changes();
        assert!(homes.update(View::new([peer("a", 1)])));
        assert!(!homes.update(View::new([peer("a", 1)])), "the same again");
        assert!(changes.has_changed().unwrap());
        assert!(homes.update(View::default()));
        assert_eq!(homes.home(ROOM), Home::Nobody);
    }

    #[test]
    fn another_life_of_this_node_is_another_node() {
        let homes = Homes::joining(peer("a", 1));
        homes.update(View::new([peer("a", 2)]));
        assert_eq!(homes.home(ROOM), Home::There(peer("a", 2)));
    }

    #[test]
    fn a_draining_node_is_home_only_while_nobody_else_is_there() {
        let homes = Homes::joining(peer("a", 1));
        homes.update(View::new([peer("a", 1)]));
        homes.drain();
        assert_eq!(homes.home(ROOM), Home::Here);
        homes.update(View::new([peer("a", 1), peer("b", 1)]));
        assert_eq!(homes.home(ROOM), Home::There(peer("b", 1)));
    }
}
