//! What many do at once, and how little two people in a quiet room feel of it.
//!
//! Each scene is a disturbance that is made again and again, with quiet phases between. Whoever
//! disturbs does so from [`Background`] threads. What may be felt is what users are promised, as
//! written: [`Limits`]. Others on the machine make the quiet phases differ, too. So a scene fails if in
//! each of [`ATTEMPTS`] more is felt than is promised and than quiet phases differ among themselves;
//! with [`STRICT`], for a machine that does nothing else, it fails if what is promised does not hold.

mod door;
mod dying;
mod flood;
mod hot;
mod reads;
mod slow;
mod store;

use crate::{alone, launch};
use madang_testkit::{
    Account, Background, Launch, Node, Stage,
    pulse::{Limits, Plan, Pulse, Rounds, TYPING_ROOMS, Verdict},
};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::MutexGuard;

/// The pulse goes on sending where commits take a second or two.
const IN_FLIGHT_SENDS: usize = 256;
/// How long a quiet phase lasts.
const QUIET: Duration = Duration::from_secs(1);
/// Between a disturbance and the next quiet phase, for what it leaves behind.
const SETTLES: Duration = Duration::from_millis(300);
/// The threads that serve chats.
const SERVING: [&str; 3] = ["edge-", "store-", "madang-store"];
/// So often everything is measured at most.
const ATTEMPTS: usize = 3;
/// This variable of the environment says how many rounds there are to be, and that their figures are
/// the ones that count.
const STRICT: &str = "UNDISTURBED_ROUNDS";

/// A node, and two people who feel it.
struct Scene {
    stage: Stage,
    pulse: Pulse,
    background: Background,
    rounds: usize,
    _machine: MutexGuard<'static, ()>,
}

impl Scene {
    /// With messages of this length.
    async fn set(launch: Launch, rounds: usize, body_bytes: usize) -> Self {
        let machine = alone().await;
        let launch = launch.with("in-flight-sends", IN_FLIGHT_SENDS);
        let stage = Stage::on(launch.start_in(in_memory()).await).await;
        let pair = [&stage.ann, &stage.ben];
        let plan = plan(&stage.node, pair, &stage.room, body_bytes).await;
        prefer(&stage.node);
        let (pulse, background) = (Pulse::start(plan), Background::start());
        let _ = pulse.at_rest(QUIET).await; // caches are warm from here on
        Self { stage, pulse, background, rounds, _machine: machine }
    }

    /// Compares phases in which `disturb` goes on with quiet ones.
    ///
    /// # Panics
    /// When more is felt than is promised by an optimised build.
    async fn judge(&self, what: &str, disturb: impl AsyncFnMut(Step)) {
        judge(&self.pulse, what, self.rounds, disturb).await;
    }
}

/// Where a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// What must be there before it begins is made now; nobody feels.
    Prepare,
    /// They feel until this is done.
    Disturb,
    /// What it left is cleared away; nobody feels.
    Clear,
}

async fn judge(pulse: &Pulse, what: &str, rounds: usize, mut disturb: impl AsyncFnMut(Step)) {
    let limits = Limits::default();
    let (rounds, attempts) = strict().map_or((rounds, ATTEMPTS), |rounds| (rounds, 1));
    let mut best = Verdict::Violated;
    for attempt in 1..=attempts {
        let measured = measure(pulse, rounds, &mut disturb).await;
        let verdict = measured.verdict(&limits);
        println!("{what}, attempt {attempt}: {verdict:?}\n{}", measured.table(&limits));
        best = best.min(verdict);
        if best == Verdict::Holds {
            return;
        }
    }
    assert!(strict().is_none() && best != Verdict::Violated, "{what} is felt, see above");
}

async fn measure(pulse: &Pulse, count: usize, disturb: &mut impl AsyncFnMut(Step)) -> Rounds {
    let mut rounds = Rounds::default();
    for _ in 0..count {
        disturb(Step::Prepare).await;
        tokio::time::sleep(SETTLES).await;
        rounds.quiet.push(pulse.at_rest(QUIET).await);
        rounds.beside.push(pulse.feel(disturb(Step::Disturb)).await.0);
        disturb(Step::Clear).await;
        tokio::time::sleep(SETTLES).await;
    }
    rounds.quiet.push(pulse.at_rest(QUIET).await);
    rounds
}

/// Keeps other programs out of what is measured. Where there are none, what counts is how threads of the
/// node share the processor by their own doing.
fn prefer(node: &Node) {
    if strict().is_none() {
        node.prefer_threads(&SERVING);
    }
}

/// How many rounds there are to be, see [`STRICT`].
pub(crate) fn strict() -> Option<usize> {
    std::env::var(STRICT).ok().map(|rounds| rounds.parse().expect("a number"))
}

/// A disk that is none: what is felt of a commit is then the node's doing, not the disk's, nor that of
/// the system's threads for it, which wait for the processor as well.
fn in_memory() -> Arc<TempDir> {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    Arc::new(directory.expect("a temporary directory"))
}

/// Two users, their room, and those in which they type.
async fn plan(node: &Node, pair: [&Account; 2], room: &str, body_bytes: usize) -> Plan {
    let (http, mut typing_rooms) = (node.http(), Vec::new());
    for number in 0..TYPING_ROOMS {
        typing_rooms.push(http.make_group(pair[0], &format!("typing {number}"), &[pair[1]]).await);
    }
    Plan {
        address: node.address(),
        talker: pair[0].clone(),
        listener: pair[1].clone(),
        room: room.to_owned(),
        typing_rooms,
        body_bytes,
    }
}
