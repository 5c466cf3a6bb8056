//! The end of a node: told to, or unable to go on.

use crate::node::{Ended, Node};
use madang_actors::hub::HubMessage;
use madang_resilience::State;
use std::{io, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// The name of the part that says whether the node takes new clients. Down until it would notice
/// being told to end.
pub(crate) const PART: &str = "node";
/// How often the end of connections is looked for.
const POLL: Duration = Duration::from_millis(20);

/// Waits until the node is told to end, and ends it: nobody new, its rooms with others, everybody
/// told, everything written. A second signal ends it at once.
pub(crate) async fn until_ended(node: &mut Node) -> Ended {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return Ended::GaveUp(format!("cannot listen for signals: {error}")),
    };
    node.health.set(PART, State::Ok, node.clock.now());
    tokio::select! {
        cause = node.gave_up.recv() => {
            let cause = cause.unwrap_or_else(|| "the supervisor is gone".to_owned());
            return Ended::GaveUp(cause);
        }
        () = signals.next() => {}
        Some(()) = node.drain_wishes.recv() => {}
    }
    tokio::select! {
        () = drain(node) => Ended::Drained,
        () = signals.next() => Ended::AtOnce,
    }
}

async fn drain(node: &Node) {
    let whole = Duration::from_millis(node.settings.drain_timeout_ms);
    let deadline = Instant::now() + whole.mul_f64(0.8);
    tracing::info!(connections = node.capacity.taken(), "draining");
    node.health.set(PART, State::Down, node.clock.now());
    // A load balancer sees the 503 before it sees a closed port.
    tokio::time::sleep(whole.mul_f64(0.05)).await;
    let _ = node.stopping.send(true);
    // Others take the rooms over while the clients are still here: what these send goes there.
    if let Some(cluster) = &node.cluster {
        node.registration.end().await; // a draining node is heard no more by those that start
        cluster.hand_over(Instant::now() + whole.mul_f64(0.15)).await;
    }
    let within = whole.mul_f64(0.6);
    node.hubs.tell_all(|| HubMessage::Goaway(within));
    while node.capacity.taken() > 0 && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    let left = whole.mul_f64(0.075);
    if tokio::time::timeout(left, node.gathered_is_written()).await.is_err() {
        tracing::warn!("the last receipts were not written in time");
    }
    if let Some(cluster) = &node.cluster {
        cluster.leave().await;
    }
    node.registration.end().await;
    if tokio::time::timeout(left, node.store.control.close()).await.is_err() {
        tracing::warn!("the store did not close in time; what was acknowledged is safe");
    }
    tracing::info!("drained");
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
