//! How a node feels to two people who are in nobody's way, while something else goes on.

use crate::{
    client::{Account, Socket},
    wait::{SOON, within},
};
use serde_json::{Value, json};
use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Between two beats, so that measuring is no load of its own.
const PACE: Duration = Duration::from_millis(2);

/// Two connections that take turns with `ping`, `signal`, and, if wanted, messages.
#[derive(Debug)]
pub struct Pulse {
    talker: Socket,
    listener: Socket,
    room: String,
    /// Messages are sent, too: not where no store can take them.
    sends: bool,
    beat: u64,
}

/// How long everything took during one phase.
#[derive(Default)]
pub struct Felt {
    ping: Vec<Duration>,
    signal: Vec<Duration>,
    message: Vec<Duration>,
}

impl Pulse {
    /// Connects both users, the second as a reader of `room`.
    pub async fn new(address: SocketAddr, pair: [&Account; 2], room: &str, sends: bool) -> Self {
        let (mut talker, mut listener) = (Socket::open(address).await, Socket::open(address).await);
        talker.hello(&pair[0].token, Some(json!([{"room": room}]))).await;
        listener.hello(&pair[1].token, Some(json!([{"room": room}]))).await;
        Self { talker, listener, room: room.to_owned(), sends, beat: 0 }
    }

    /// Feels for this long and until `task` is done. What is under way then is waited for, however
    /// long it takes.
    pub async fn beside<T: Send + 'static>(
        &mut self,
        time: Duration,
        task: impl Future<Output = T> + Send + 'static,
    ) -> (Felt, T) {
        let (task, begin) = (tokio::spawn(task), Instant::now());
        let mut felt = Felt::default();
        while !task.is_finished() || begin.elapsed() < time {
            self.beat(&mut felt).await;
            sleep(PACE).await;
        }
        (felt, task.await.expect("what goes on beside does not panic"))
    }

    /// Feels for this long, with nothing going on.
    pub async fn at_rest(&mut self, time: Duration) -> Felt {
        self.beside(time, async {}).await.0
    }

    async fn beat(&mut self, felt: &mut Felt) {
        self.beat += 1;
        let name = format!("beat {}", self.beat);
        let begin = Instant::now();
        self.talker.ok("ping", json!({})).await;
        felt.ping.push(begin.elapsed());
        let begin = Instant::now();
        let signal = json!({"op": "signal", "room": self.room, "data": name});
        self.talker.say(&signal).await;
        heard(&mut self.listener, "signal", "data", &name).await;
        felt.signal.push(begin.elapsed());
        heard(&mut self.talker, "signal", "data", &name).await; // its own copy
        if self.sends {
            let begin = Instant::now();
            self.talker.send(&self.room, &name, &name).await;
            heard(&mut self.listener, "message", "body", &name).await;
            felt.message.push(begin.elapsed());
            heard(&mut self.talker, "message", "body", &name).await;
        }
    }
}

async fn heard(socket: &mut Socket, op: &str, field: &str, text: &str) -> Value {
    let heard = async {
        loop {
            let frame = socket.expect(op).await;
            if frame[field] == text {
                return frame;
            }
        }
    };
    within(op, SOON, heard).await
}

impl Felt {
    /// That median and 99th percentile of each kind are at most `factor` times those of a quiet
    /// phase, and `slack`; a tenth of it for the median, which others on the machine disturb less.
    ///
    /// # Panics
    /// Where it is not, with all figures.
    pub fn is_like(&self, quiet: &Self, factor: f64, slack: Duration) {
        let of = [
            ("ping", &self.ping, &quiet.ping),
            ("signal", &self.signal, &quiet.signal),
            ("message", &self.message, &quiet.message),
        ];
        for (kind, felt, quiet_felt) in of {
            for (percent, slack) in [(50, slack / 10), (99, slack)] {
                let allowed = percentile(quiet_felt, percent).mul_f64(factor) + slack;
                let is = percentile(felt, percent);
                let figures = format!("allowed {allowed:?}; {self:?} for {quiet:?}");
                assert!(is <= allowed, "{kind} p{percent}: {is:?}, {figures}");
            }
        }
    }
}

/// Nothing took no time.
fn percentile(of: &[Duration], percent: usize) -> Duration {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

impl fmt::Debug for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = [("ping", &self.ping), ("signal", &self.signal), ("message", &self.message)];
        for (kind, felt) in of.iter().filter(|(_, felt)| !felt.is_empty()) {
            let (p50, p99) = (percentile(felt, 50), percentile(felt, 99));
            write!(f, "{kind} p50 {p50:?} p99 {p99:?} ({}) ", felt.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn felt(millis: impl Iterator<Item = u64>) -> Felt {
        Felt { ping: millis.map(Duration::from_millis).collect(), ..Felt::default() }
    }

    #[test]
    fn the_99th_percentile_is_what_counts() {
        let quiet = felt(1..=100);
        felt((1..=99).chain([5_000])).is_like(&quiet, 1.0, Duration::ZERO);
        felt(1..=200).is_like(&quiet, 2.0, Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "ping")]
    fn one_in_fifty_that_waits_is_felt() {
        let waits = felt((1..=98).chain([5_000, 5_000]));
        waits.is_like(&felt(1..=100), 2.0, Duration::ZERO);
    }
}
