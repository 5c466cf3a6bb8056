//! Several nodes on one bus.

use super::{ms, peer, terms};
use crate::{
    homes::{Home, Homes},
    kernel::{Arbiter, Supervisor, arbiter::run_simulated},
    membership::{Membership, MembershipServices, Standing, Terms, start},
    metrics::Metrics,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use madang_cluster::{
    Bus, InProcess, NodeName, Peer, Subscription,
    bus::{AskError, Deliver, Hear, Heard, Question, Serve, Topic},
};
use madang_protocol::{Publication, RoomId};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// A node's end of the bus, which may be cut off: like one that was killed, to the others, and like
/// a bus that is lost, to the node.
struct Link {
    bus: InProcess,
    is_cut: Arc<AtomicBool>,
}

impl Bus for Link {
    fn publish(&self, publication: &Publication) {
        self.bus.publish(publication);
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        self.bus.subscribe(room, deliver)
    }

    fn me(&self) -> &Peer {
        self.bus.me()
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        if !self.is_cut.load(Ordering::Relaxed) {
            self.bus.announce(topic, body);
        }
    }

    fn hear(&self, hear: Hear) -> Subscription {
        let is_cut = self.is_cut.clone();
        self.bus.hear(Box::new(move |heard: Heard| {
            if !is_cut.load(Ordering::Relaxed) {
                hear(heard);
            }
        }))
    }

    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>> {
        self.bus.ask(to, question, within)
    }

    fn serve(&self, serve: Serve) -> Subscription {
        self.bus.serve(serve)
    }
}

struct Node {
    is_cut: Arc<AtomicBool>,
    membership: Membership,
    homes: Homes,
    gave_up: Arc<Mutex<Vec<String>>>,
    _root: Supervisor,
}

fn start_node(bus: &InProcess, name: &str, life: u64, terms: Terms) -> Node {
    let metrics = Arc::new(Metrics::new());
    let root = Supervisor::root(metrics.clone(), |cause| panic!("{cause}"));
    let bus = bus.join(peer(name, life));
    let homes = Homes::joining(bus.me().clone());
    let is_cut = Arc::<AtomicBool>::default();
    let gave_up = Arc::<Mutex<Vec<String>>>::default();
    let why = gave_up.clone();
    let services = MembershipServices {
        bus: Arc::new(Link { bus, is_cut: is_cut.clone() }),
        homes: homes.clone(),
        terms,
        version: "1".into(),
        began: Instant::now(),
        metrics,
        give_up: Box::new(move |cause| why.lock().unwrap().push(cause.to_owned())),
    };
    let membership = start(&Arbiter::here(), &root, services);
    Node { is_cut, membership, homes, gave_up, _root: root }
}

impl Node {
    fn view(&self) -> Vec<String> {
        self.homes.view().nodes().iter().map(|peer| peer.name.to_string()).collect()
    }

    /// Waits until it sees these, at most this long.
    async fn sees(&self, names: &[&str], within: Duration) {
        let mut changes = self.homes.changes();
        let seen = timeout(within, async {
            while self.view() != names {
                changes.changed().await.unwrap();
            }
        });
        assert!(seen.await.is_ok(), "{:?} instead of {names:?}", self.view());
    }
}

fn in_world(main: impl Future<Output = ()>) {
    run_simulated(1, async { tokio::task::LocalSet::new().run_until(main).await });
}

#[test]
fn whoever_joins_is_in_all_views_within_two_rounds() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let a = start_node(&bus, "a", 1, terms());
        a.membership.joined(ms(700)).await.unwrap();
        assert_eq!(a.view(), ["a"]);
        let b = start_node(&bus, "b", 2, terms());
        b.sees(&["a", "b"], ms(700)).await;
        a.sees(&["a", "b"], ms(1)).await;
        let c = start_node(&bus, "c", 3, terms());
        c.membership.joined(ms(700)).await.unwrap();
        for node in [&a, &b, &c] {
            node.sees(&["a", "b", "c"], ms(1)).await;
            assert!(node.homes.is_fresh(Instant::now()));
        }
    });
}

#[test]
fn one_that_dies_is_out_after_its_silence_and_one_that_leaves_at_once() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)]
            .map(|(name, life)| start_node(&bus, name, life, terms()));
        a.sees(&["a", "b", "c"], ms(1_000)).await;
        sleep(ms(10_000)).await;
        c.membership.leave().await;
        a.sees(&["a", "b"], ms(1)).await;
        assert_eq!(c.view(), [""; 0]);
        b.is_cut.store(true, Ordering::Relaxed);
        sleep(ms(2_400)).await;
        assert_eq!(a.view(), ["a", "b"]);
        a.sees(&["a"], ms(700)).await;
        assert!(a.homes.is_fresh(Instant::now()));
    });
}

#[test]
fn a_draining_node_moves_its_rooms_and_stays_reachable() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let [a, b] = [("a", 1), ("b", 2)].map(|(name, life)| start_node(&bus, name, life, terms()));
        a.sees(&["a", "b"], ms(1_000)).await;
        b.membership.drain();
        a.sees(&["a"], ms(1)).await;
        let room = RoomId([7; 15]);
        assert_eq!(a.homes.home(room), Home::Here);
        assert_eq!(b.homes.home(room), Home::There(peer("a", 1)));
        sleep(ms(10_000)).await;
        assert_eq!((a.view(), b.view()), (vec!["a".to_owned()], vec!["a".to_owned()]));
        assert!(b.homes.is_fresh(Instant::now()), "it hears itself still");
    });
}

#[test]
fn of_two_nodes_with_one_name_the_earlier_ends_and_the_later_takes_its_place() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let [a, b] = [("a", 1), ("b", 2)].map(|(name, life)| start_node(&bus, name, life, terms()));
        a.sees(&["a", "b"], ms(1_000)).await;
        sleep(ms(5_000)).await;
        let again = start_node(&bus, "b", 1, terms());
        again.membership.joined(ms(700)).await.unwrap();
        assert!(b.gave_up.lock().unwrap()[0].contains("another node named b"));
        assert!(matches!(b.membership.standing(), Standing::Refused(_)));
        a.sees(&["a", "b"], ms(1)).await;
        assert_eq!(a.homes.view().node(&peer("b", 1).name), Some(&peer("b", 1)));
        assert_eq!(b.view(), [""; 0]);
    });
}

#[test]
fn one_with_other_settings_is_told_what_differs_and_the_others_go_on() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let a = start_node(&bus, "a", 1, terms());
        a.membership.joined(ms(700)).await.unwrap();
        let b = start_node(&bus, "b", 2, Terms::new([("cluster", "b's")]));
        let why = b.membership.joined(ms(700)).await.unwrap_err();
        assert!(why.contains("cluster is \"b's\" here and \"test\" there"), "{why}");
        assert_eq!(b.gave_up.lock().unwrap().len(), 1);
        sleep(ms(5_000)).await;
        assert_eq!(a.view(), ["a"]);
        assert!(a.gave_up.lock().unwrap().is_empty());
    });
}

#[test]
fn a_node_that_is_cut_off_is_nobodys_home_until_it_hears_itself_again() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let [a, b] = [("a", 1), ("b", 2)].map(|(name, life)| start_node(&bus, name, life, terms()));
        a.sees(&["a", "b"], ms(1_000)).await;
        b.is_cut.store(true, Ordering::Relaxed);
        sleep(ms(2_000)).await;
        assert!(!b.homes.is_fresh(Instant::now()), "well before the others count it out");
        assert_eq!(b.view(), ["a", "b"]);
        sleep(ms(1_200)).await;
        assert_eq!(b.homes.home(RoomId([7; 15])), Home::Nobody);
        a.sees(&["a"], ms(500)).await;
        b.is_cut.store(false, Ordering::Relaxed);
        b.sees(&["a", "b"], ms(1_200)).await;
        a.sees(&["a", "b"], ms(1)).await;
        assert!(b.homes.is_fresh(Instant::now()));
    });
}

#[test]
fn a_node_that_does_not_hear_itself_does_not_join_and_junk_is_passed_over() {
    in_world(async {
        let bus = InProcess::new(peer("nobody", 0));
        let a = start_node(&bus, "a", 1, terms());
        for junk in [&b"\x93junk"[..], b"", b"\x81\xa4kind\xa4join"] {
            bus.announce(Topic::Heartbeat, Bytes::copy_from_slice(junk));
        }
        a.membership.joined(ms(700)).await.unwrap();
        let deaf = start_node(&bus, "b", 2, terms());
        deaf.is_cut.store(true, Ordering::Relaxed);
        let why = deaf.membership.joined(ms(5_000)).await.unwrap_err();
        assert!(why.contains("does not hear its own"), "{why}");
        assert_eq!(a.view(), ["a"]);
    });
}
