//! The node's own metrics: HTTP, logins, hashing. Names are here and nowhere else.
//!
//! Every handle is resolved once, from the recorder that is current while [`Metrics::new`] runs
//! (see `observability::Recorder::with`), so that two nodes in one process count apart. Labels are
//! words of the code: no client can add one.

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use std::{sync::Arc, time::Duration};

/// Requests answered, by `route` template and `status` class.
const HTTP_REQUESTS: &str = "madang_http_requests_total";
/// From the end of a request's head to its answer, by `route` template.
const HTTP_SECONDS: &str = "madang_http_request_seconds";
/// Logins, by `outcome`.
const LOGINS: &str = "madang_logins_total";
/// Signups, by `outcome`.
const SIGNUPS: &str = "madang_signups_total";
/// Sessions that products asked for with an API key, by `outcome`.
const TOKENS: &str = "madang_tokens_total";
/// How long a password waited for a hashing thread.
const HASH_WAIT: &str = "madang_hash_queue_wait_seconds";
/// Passwords refused because the queue was full.
const HASH_REFUSED: &str = "madang_hash_refused_total";

/// The status classes that are answered, by their first digit.
const CLASSES: [(u16, &str); 3] = [(2, "2xx"), (4, "4xx"), (5, "5xx")];

/// The handles. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    routes: Arc<[RouteMetrics]>,
    logins: Outcomes,
    signups: Outcomes,
    tokens: Outcomes,
    /// Those of the hashing pool.
    pub hashing: HashingMetrics,
}

/// How a login or signup ended, as its metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As wished.
    Ok,
    /// Wrong name or password, or a name that is taken.
    Refused,
    /// Too many tries.
    Limited,
    /// The node could not.
    Failed,
}

impl Outcome {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Ok, "ok"),
        (Self::Refused, "refused"),
        (Self::Limited, "limited"),
        (Self::Failed, "failed"),
    ];
}

impl Metrics {
    /// Resolves the handles; `routes` are all route templates there are.
    pub fn new(routes: &[&'static str]) -> Self {
        describe();
        Self {
            routes: routes.iter().map(|route| RouteMetrics::new(route)).collect(),
            logins: Outcomes::new(LOGINS),
            signups: Outcomes::new(SIGNUPS),
            tokens: Outcomes::new(TOKENS),
            hashing: HashingMetrics::default(),
        }
    }

    /// A request to this route template was answered.
    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        if let Some(metrics) = self.routes.iter().find(|metrics| metrics.route == route) {
            let class = CLASSES.iter().position(|(digit, _)| *digit == status / 100);
            if let Some(class) = class {
                metrics.requests[class].increment(1);
            }
            metrics.seconds.record(took.as_secs_f64());
        }
    }

    /// A login ended.
    pub fn login(&self, outcome: Outcome) {
        self.logins.count(outcome);
    }

    /// A signup ended.
    pub fn signup(&self, outcome: Outcome) {
        self.signups.count(outcome);
    }

    /// A product asked for a session.
    pub fn token(&self, outcome: Outcome) {
        self.tokens.count(outcome);
    }
}

struct RouteMetrics {
    route: &'static str,
    requests: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl RouteMetrics {
    fn new(route: &'static str) -> Self {
        Self {
            route,
            requests: CLASSES
                .map(|(_, class)| counter!(HTTP_REQUESTS, "route" => route, "status" => class)),
            seconds: histogram!(HTTP_SECONDS, "route" => route),
        }
    }
}

#[derive(Clone)]
struct Outcomes([(Outcome, Counter); Outcome::ALL.len()]);

impl Outcomes {
    fn new(name: &'static str) -> Self {
        Self(Outcome::ALL.map(|(outcome, label)| (outcome, counter!(name, "outcome" => label))))
    }

    fn count(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == outcome) {
            counter.increment(1);
        }
    }
}

/// The handles of the hashing pool. Cloning shares them.
#[derive(Clone)]
pub struct HashingMetrics {
    wait: Histogram,
    refused: Counter,
}

impl Default for HashingMetrics {
    fn default() -> Self {
        Self { wait: histogram!(HASH_WAIT), refused: counter!(HASH_REFUSED) }
    }
}

impl HashingMetrics {
    /// A password's turn came after this wait.
    pub fn started(&self, waited: Duration) {
        self.wait.record(waited.as_secs_f64());
    }

    /// The queue was full.
    pub fn refused(&self) {
        self.refused.increment(1);
    }
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered, by route and status class");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "From the end of the head to the answer");
    describe_counter!(LOGINS, "Logins, by outcome");
    describe_counter!(SIGNUPS, "Signups, by outcome");
    describe_counter!(TOKENS, "Sessions asked for with an API key, by outcome");
    describe_histogram!(HASH_WAIT, Unit::Seconds, "Wait of a password for a hashing thread");
    describe_counter!(HASH_REFUSED, "Passwords refused because the queue was full");
}
