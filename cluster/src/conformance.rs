//! What every bus does, whatever it is made of and however many nodes are on it.
//!
//! A bus may lose; these tests run on one that has no reason to. What takes time on a real one is
//! waited for, with a deadline.

mod announcements;
mod publications;
mod questions;

use crate::{Bus, NodeName, Peer};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Long enough for anything a healthy bus does at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Makes ends of buses.
pub trait Buses {
    /// An end.
    type End: Bus;

    /// A bus that nobody else is on, with an end for each of these.
    fn join(&self, peers: Vec<Peer>) -> impl Future<Output = Vec<Self::End>>;
}

/// Everything.
///
/// # Panics
/// Where the bus does not conform.
pub async fn conforms(buses: &impl Buses) {
    publications::reach_subscribers_until_they_end(&alone(buses).await);
    publications::of_both_kinds_go_the_same_way(&alone(buses).await);
    publications::are_not_kept_for_later_subscribers(&alone(buses).await);
    publications::one_subscription_that_ends_leaves_the_others(&alone(buses).await);
    publications::reach_other_nodes_in_order(&ends(buses, 3).await).await;
    publications::of_another_life_are_those_of_another(&two_lives(buses).await).await;
    publications::go_on_for_readers_that_come_back(&ends(buses, 2).await).await;
    announcements::are_heard_by_all(&ends(buses, 3).await).await;
    announcements::tell_two_lives_apart(&two_lives(buses).await).await;
    announcements::end_with_their_subscription(&ends(buses, 1).await).await;
    questions::are_answered(&ends(buses, 2).await).await;
    questions::to_nobody_are_unreachable(&ends(buses, 2).await).await;
    questions::without_an_answer_end(&ends(buses, 2).await).await;
    questions::go_to_the_latest_that_serves(&ends(buses, 2).await).await;
    questions::are_asked_behind_a_subscription(&ends(buses, 2).await).await;
}

async fn alone<B: Buses>(buses: &B) -> B::End {
    ends(buses, 1).await.pop().expect("one end")
}

async fn ends<B: Buses>(buses: &B, count: u64) -> Vec<B::End> {
    buses.join((0..count).map(|number| peer(&format!("n{number}"), number)).collect()).await
}

async fn two_lives<B: Buses>(buses: &B) -> Vec<B::End> {
    buses.join(vec![peer("n", 1), peer("n", 2)]).await
}

fn peer(name: &str, incarnation: u64) -> Peer {
    Peer { name: NodeName::new(name).expect("a usable name"), incarnation }
}

/// Polls until it holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}");
        sleep(LOOK_AGAIN).await;
    }
}
