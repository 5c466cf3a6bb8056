//! Requests that are answered: on a schedule, or so many in flight.
//!
//! The id of a request is the time it was due, microseconds, so that an answer says by itself how
//! long it took. A body may carry that time behind `~` too; whoever reads it there heard a signal or a
//! message.

use super::{Crowd, Listener, histogram};
use crate::{
    clock::{nanos, now_ns, own_processor_ns},
    error::Done,
    frame::{TEXT, encode_client},
    process::{Usage, Watch},
};
use hdrhistogram::Histogram;
use std::time::Duration;

/// For answers that are still out when nothing more is sent.
const DRAIN: Duration = Duration::from_secs(10);
/// The same where nothing was answered: what was asked wants no answers.
const REST: Duration = Duration::from_millis(1_200);
/// Requests sent before sockets are looked at again, when the schedule is behind.
const BURST: usize = 64;

/// When to ask.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many requests a second, whatever the answers do.
    Rate(f64),
    /// So many unanswered requests of each connection.
    InFlight(usize),
}

/// How long to ask.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Does not count.
    pub warm_up: Duration,
    /// Counts.
    pub measure: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Requests sent in the window.
    pub sent: u64,
    /// Good answers read in the window.
    pub answered: u64,
    /// Bad ones, of the whole run.
    pub errors: u64,
    /// The first of those.
    pub first_error: Option<String>,
    /// The window's length, seconds.
    pub seconds: f64,
    /// From due to answered, microseconds, of what was answered in the window or after it.
    pub latency_us: Histogram<u64>,
    /// From due to heard, of what carries its time in its body.
    pub heard_us: Histogram<u64>,
    /// What the server used in the window.
    pub server: Usage,
    /// What the generator used, nanoseconds.
    pub generator_ns: u64,
}

impl Answered {
    /// Good answers a second.
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.seconds.max(1e-9)
    }

    /// Processor time of the server for one request sent, microseconds.
    pub fn server_us(&self) -> f64 {
        self.server.processor_ns as f64 / 1e3 / self.sent.max(1) as f64
    }

    /// The generator's share of its core.
    pub fn generator_share(&self) -> f64 {
        self.generator_ns as f64 / 1e9 / self.seconds.max(1e-9)
    }
}

/// Asks. `make` writes the request with this number and this id, and says whose it is; the connection
/// it is given is that whose turn it is.
pub fn ask(
    crowd: &mut Crowd,
    pace: Pace,
    span: Span,
    watch: &Watch,
    make: impl FnMut(Turn, &mut String),
) -> Done<Answered> {
    let begun = now_ns();
    let from = begun + nanos(span.warm_up);
    let mut ear = Ear::new(crowd.len(), from);
    let mut asker = Asker { make, begun, number: 0, text: String::new(), frame: Vec::new() };
    if let Pace::InFlight(count) = pace {
        ear.free = (0..crowd.len() * count).map(|place| place % crowd.len()).collect();
    }
    asker.run(crowd, pace, from, &mut ear)?;
    let before = (watch.usage()?, own_processor_ns(), now_ns(), asker.number);
    let early = std::mem::take(&mut ear.answered);
    asker.run(crowd, pace, from + nanos(span.measure), &mut ear)?;
    let seconds = (now_ns() - before.2) as f64 / 1e9;
    let (server, answered) = (watch.usage()?.since(&before.0), ear.answered);
    let generator_ns = own_processor_ns() - before.1;
    let drain = if early + answered > 0 { DRAIN } else { REST };
    crowd.settle(drain, &mut ear)?;
    crowd.all_live()?;
    let Ear { errors, first_error, latency_us, heard_us, .. } = ear;
    let sent = asker.number - before.3;
    let (latency_us, heard_us) = (*latency_us, *heard_us);
    Ok(Answered {
        sent,
        answered,
        errors,
        first_error,
        seconds,
        latency_us,
        heard_us,
        server,
        generator_ns,
    })
}

/// A request that is due.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Whose it is.
    pub connection: usize,
    /// How many there were before.
    pub number: u64,
    /// Its id, which is when it was due.
    pub id: u64,
}

struct Asker<F> {
    make: F,
    begun: u64,
    number: u64,
    text: String,
    frame: Vec<u8>,
}

impl<F: FnMut(Turn, &mut String)> Asker<F> {
    fn run(&mut self, crowd: &mut Crowd, pace: Pace, until: u64, ear: &mut Ear) -> Done<()> {
        while now_ns() < until {
            let next = match pace {
                Pace::Rate(rate) => self.due_ones(crowd, rate)?,
                Pace::InFlight(_) => self.free_ones(crowd, ear, until)?,
            };
            crowd.turn(next.min(until), ear)?;
        }
        Ok(())
    }

    /// Sends what is due; when the next one is.
    fn due_ones(&mut self, crowd: &mut Crowd, rate: f64) -> Done<u64> {
        for _ in 0..BURST {
            let due = self.begun + (self.number as f64 * 1e9 / rate) as u64;
            if due > now_ns() {
                return Ok(due);
            }
            self.send(crowd, (self.number % crowd.len() as u64) as usize, due)?;
        }
        Ok(now_ns())
    }

    fn free_ones(&mut self, crowd: &mut Crowd, ear: &mut Ear, until: u64) -> Done<u64> {
        for connection in std::mem::take(&mut ear.free) {
            self.send(crowd, connection, now_ns())?;
        }
        Ok(until)
    }

    fn send(&mut self, crowd: &mut Crowd, connection: usize, due: u64) -> Done<()> {
        self.text.clear();
        self.frame.clear();
        let turn = Turn { connection, number: self.number, id: due / 1_000 };
        self.number += 1;
        (self.make)(turn, &mut self.text);
        encode_client(TEXT, self.text.as_bytes(), &mut self.frame);
        crowd.send(connection, &self.frame).map(drop)
    }
}

/// Hears answers.
struct Ear {
    /// Requests that were due before do not count.
    from_us: u64,
    answered: u64,
    errors: u64,
    first_error: Option<String>,
    latency_us: Box<Histogram<u64>>,
    heard_us: Box<Histogram<u64>>,
    /// Connections that have one unanswered request less, once for each.
    free: Vec<usize>,
}

impl Ear {
    fn new(connections: usize, from: u64) -> Self {
        Self {
            from_us: from / 1_000,
            answered: 0,
            errors: 0,
            first_error: None,
            latency_us: Box::new(histogram()),
            heard_us: Box::new(histogram()),
            free: Vec::with_capacity(connections),
        }
    }
}

impl Listener for Ear {
    fn hear(&mut self, connection: usize, payload: &[u8], now: u64) {
        let now_us = now / 1_000;
        let is_error = payload.starts_with(b"{\"op\":\"error\"");
        if !is_error && !payload.starts_with(b"{\"op\":\"ok\"") {
            if let Some(due) = number_behind(payload, b"~").filter(|due| *due >= self.from_us) {
                self.heard_us.saturating_record(now_us.saturating_sub(due).max(1));
            }
            return;
        }
        if is_error {
            self.errors += 1;
            let text = || String::from_utf8_lossy(payload).into_owned();
            self.first_error.get_or_insert_with(text);
        } else {
            self.answered += 1;
        }
        self.free.push(connection);
        if let Some(due) = number_behind(payload, b"\"id\":").filter(|due| *due >= self.from_us) {
            self.latency_us.saturating_record(now_us.saturating_sub(due).max(1));
        }
    }
}

/// The number that follows `mark`.
pub fn number_behind(payload: &[u8], mark: &[u8]) -> Option<u64> {
    let at = payload.windows(mark.len()).position(|bytes| bytes == mark)? + mark.len();
    let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |number: Option<u64>, digit| {
        Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::number_behind;

    #[test]
    fn numbers_are_found() {
        assert_eq!(number_behind(b"{\"op\":\"ok\",\"id\":17,\"x\":1}", b"\"id\":"), Some(17));
        assert_eq!(number_behind(b"{\"op\":\"ok\"}", b"\"id\":"), None);
        assert_eq!(number_behind(b"~abc", b"~"), None);
    }
}
