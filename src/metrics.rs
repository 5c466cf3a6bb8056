//! The node's own metrics: HTTP, logins, hashing, and what is looked at when somebody asks. Names are
//! here and nowhere else; `docs/metrics.md` lists them, and a test compares.
//!
//! Every handle is resolved once, from the recorder that is current while [`Metrics::new`] runs
//! (see `observability::Recorder::with`), so that two nodes in one process count apart. Labels are
//! words of the code: no client can add one.

use madang_actors::metrics::{Bound, Refusals, overloaded};
use madang_protocol::ErrorCode;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::{sync::Arc, time::Duration};

/// Requests answered, by `route` template and `status` class.
const HTTP_REQUESTS: &str = "madang_http_requests_total";
/// From the end of a request's head to its answer, by `route` template.
const HTTP_SECONDS: &str = "madang_http_request_seconds";
/// TLS handshakes, by `outcome`.
const TLS_HANDSHAKES: &str = "madang_tls_handshakes_total";
/// Logins, by `outcome`.
const LOGINS: &str = "madang_logins_total";
/// Signups, by `outcome`.
const SIGNUPS: &str = "madang_signups_total";
/// Sessions that products asked for with an API key, by `outcome`.
const TOKENS: &str = "madang_tokens_total";
/// How long a login waited for its account's turn.
const LOGIN_WAIT: &str = "madang_login_wait_seconds";
/// How long a password waited for a hashing thread.
const HASH_WAIT: &str = "madang_hash_wait_seconds";
/// Passwords that wait for a hashing thread.
const HASH_WAITING: &str = "madang_hash_waiting";
/// Connections of any kind, from the moment they are accepted.
const TCP_CONNECTIONS: &str = "madang_tcp_connections";
/// Users with a connection past `hello`.
const USERS_CONNECTED: &str = "madang_users_connected";
/// Read positions that wait to be written.
const READS_WAITING: &str = "madang_read_positions_waiting";

/// The status classes that are answered, by their first digit.
const CLASSES: [(u16, &str); 3] = [(2, "2xx"), (4, "4xx"), (5, "5xx")];

/// The handles. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    routes: Arc<[RouteMetrics]>,
    refusals: Refusals,
    full: Counter,
    handshakes: [Counter; 3],
    logins: Outcomes,
    logins_full: Counter,
    login_wait: Histogram,
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

/// How a TLS handshake ended, as its metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Both sides agree.
    Ok,
    /// They do not.
    Failed,
    /// Not in time.
    Late,
}

impl Metrics {
    /// Resolves the handles; `routes` are all route templates there are.
    pub fn new(routes: &[&'static str]) -> Self {
        describe();
        Self {
            routes: routes.iter().map(|route| RouteMetrics::new(route)).collect(),
            refusals: Refusals::new("http"),
            full: overloaded(Bound::Connections),
            handshakes: ["ok", "failed", "late"]
                .map(|outcome| counter!(TLS_HANDSHAKES, "outcome" => outcome)),
            logins: Outcomes::new(LOGINS),
            logins_full: overloaded(Bound::Logins),
            login_wait: histogram!(LOGIN_WAIT),
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
            metrics.seconds.record(took);
        }
    }

    /// A client was refused something over HTTP.
    pub fn refusal(&self, code: ErrorCode) {
        self.refusals.count(code);
    }

    /// There was no place for one more connection.
    pub fn full(&self) {
        self.full.increment(1);
    }

    /// A TLS handshake ended.
    pub fn handshake(&self, outcome: Handshake) {
        self.handshakes[outcome as usize].increment(1);
    }

    /// A login ended.
    pub fn login(&self, outcome: Outcome) {
        self.logins.count(outcome);
    }

    /// A login waited for its account's turn, and got it or not.
    pub fn login_waited(&self, wait: Duration) {
        self.login_wait.record(wait);
    }

    /// Too many logins were under way for one more.
    pub fn logins_full(&self) {
        self.logins_full.increment(1);
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
    waiting: Gauge,
    wait: Histogram,
    refused: Counter,
}

impl Default for HashingMetrics {
    fn default() -> Self {
        Self {
            waiting: gauge!(HASH_WAITING),
            wait: histogram!(HASH_WAIT),
            refused: overloaded(Bound::HashQueue),
        }
    }
}

impl HashingMetrics {
    /// A password is about to wait.
    pub fn queued(&self) {
        self.waiting.increment(1);
    }

    /// A password's turn came after this wait.
    pub fn started(&self, waited: Duration) {
        self.waiting.decrement(1);
        self.wait.record(waited);
    }

    /// A password cannot wait; the queue was full, unless the node is ending.
    pub fn refused(&self, is_full: bool) {
        self.waiting.decrement(1);
        self.refused.increment(u64::from(is_full));
    }
}

/// What is not counted as it happens, but looked at when somebody asks.
pub struct Looks {
    /// Connections of any kind.
    pub tcp_connections: Gauge,
    /// Users with a connection past `hello`.
    pub users_connected: Gauge,
    /// Read positions that wait to be written.
    pub reads_waiting: Gauge,
}

impl Looks {
    /// Resolves the handles.
    pub fn new() -> Self {
        Self {
            tcp_connections: gauge!(TCP_CONNECTIONS),
            users_connected: gauge!(USERS_CONNECTED),
            reads_waiting: gauge!(READS_WAITING),
        }
    }
}

impl Default for Looks {
    fn default() -> Self {
        Self::new()
    }
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests answered, by route and status class");
    describe_histogram!(HTTP_SECONDS, "From the end of the head to the answer, by route");
    describe_counter!(TLS_HANDSHAKES, "TLS handshakes, by outcome");
    describe_counter!(LOGINS, "Logins, by outcome");
    describe_counter!(SIGNUPS, "Signups, by outcome");
    describe_counter!(TOKENS, "Sessions asked for with an API key, by outcome");
    describe_histogram!(LOGIN_WAIT, "Wait of a login for the turn of its account");
    describe_histogram!(HASH_WAIT, "Wait of a password for a hashing thread");
    describe_gauge!(HASH_WAITING, "Passwords that wait for a hashing thread");
    describe_gauge!(TCP_CONNECTIONS, "Connections of clients, HTTP and WebSocket");
    describe_gauge!(USERS_CONNECTED, "Users with a WebSocket connection past hello");
    describe_gauge!(READS_WAITING, "Read positions that wait to be written");
}
