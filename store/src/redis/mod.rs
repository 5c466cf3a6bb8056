//! Redis: limits that count for all nodes, leases that all nodes see, and caches they share.
//!
//! Nothing lives here alone. Where Redis gives no answer in time, [`Parts`] answer without it:
//! login limits hold for each node, presence is what this node knows, and a cache is empty. No call
//! costs more than [`Options::call_wait`], and next to nothing while the breaker is open.
//!
//! ```text
//! Fallback limits, presence ─┐
//! LookAside, over a Cache ───┴▶ Link: bound ▶ deadline ▶ retry ▶ breaker ▶ pool ▶ Redis
//! ```
//!
//! * `target` reads URLs: a server, Sentinels with a service, a cluster; with TLS or without.
//! * `connect` makes connections and says which are to be thrown away.
//! * `link` is the way to the server, under a deadline, a bound and a breaker.
//! * `keys` names keys: cluster, format version, kind, and a bucket as hash tag.
//! * `limits`, `presence`, `cache` speak of what is kept.
//!
//! Everything that has to do with connections runs on the runtime that [`open`] was called on.

mod cache;
mod connect;
mod inspect;
mod keys;
mod limits;
mod link;
mod presence;
mod sentinel;
mod target;

pub use inspect::{InspectError, Report};

use crate::{
    LoginLimits, PresenceStore,
    cache::Caches,
    limits::{self as login_limits, Rules},
    presence as leases,
};
use link::Link;
use madang_resilience::{BreakerRules, Part};
use std::{fmt, sync::Arc, time::Duration};

/// Where Redis is, and the bounds of using it.
#[derive(Clone)]
pub struct Options {
    /// `redis://host:port/db`, `redis+sentinel://host:port,host:port/service/db`, or
    /// `redis+cluster://host:port,host:port`; `rediss` for TLS; each with `user:password@`. Where
    /// Sentinels want a password of their own: `?sentinel_password=...&sentinel_username=...`.
    pub url: String,
    /// The cluster's name, which every key begins with: letters, digits, `-`, `_` and `.`.
    pub cluster: String,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Connections at most, 1 to 20; with a cluster: to each of its servers.
    pub connections_max: u32,
    /// Calls under way or waiting for a connection at most. Beyond: as if Redis were away, at once.
    pub calls_max: usize,
    /// How long a call may take in all: waiting for a connection, making one, asking, trying again.
    pub call_wait: Duration,
    /// How many and which failures open the breaker.
    pub breaker: BreakerRules,
}

impl Options {
    /// The defaults.
    pub fn new(url: impl Into<String>, cluster: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            cluster: cluster.into(),
            ca_pem: None,
            connections_max: 8,
            calls_max: 1_024,
            call_wait: Duration::from_millis(300),
            breaker: BreakerRules::default(),
        }
    }
}

/// The URL may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// Why these options cannot be used. Names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The URL is none of those that [`Options::url`] takes.
    #[error("the Redis URL {0}")]
    Url(&'static str),
    /// The name has other characters than [`Options::cluster`] takes, or none.
    #[error("the cluster name must be letters, digits, '-', '_' and '.'")]
    Cluster,
    /// These certificates cannot be used.
    #[error("the certificates for Redis cannot be used")]
    Certificates,
}

/// What a node uses of Redis. Cloning shares it.
#[derive(Clone)]
pub struct Parts {
    /// Counts for all nodes; for this one alone while Redis is away.
    pub limits: Arc<dyn LoginLimits>,
    /// Leases that all nodes see; of this one alone while Redis is away.
    pub presence: Arc<dyn PresenceStore>,
    /// Caches that all nodes share; empty while Redis is away.
    pub caches: Caches,
    /// How Redis is.
    pub control: Control,
}

/// How Redis is. Cloning shares it.
#[derive(Clone)]
pub struct Control {
    link: Arc<Link>,
}

impl Control {
    /// [`Ok`](madang_resilience::State::Ok) when the last call was answered, else `Degraded`: Redis
    /// is away, and everything works without it as the module says. Costs a lock. Redis is asked
    /// again in the background, so this needs no calls to change.
    pub fn health(&self) -> Part {
        self.link.health()
    }

    /// Asks the server who it is, past the breaker, within `wait`. For `madang check`, and for
    /// waiting at start.
    pub async fn inspect(&self, wait: Duration) -> Result<Report, InspectError> {
        inspect::inspect(&self.link, wait).await
    }

    /// The servers as the URL names them, without credentials: for logs.
    pub fn servers(&self) -> &str {
        self.link.servers()
    }
}

/// Prepares to use Redis. Does not connect, so this works while Redis is away.
///
/// To be called on the runtime that is to do the work, which should be one that may wait for
/// others: a store arbiter. Calls come from any thread. Connections end with the last clone of
/// what is returned.
pub fn open(options: &Options, rules: Rules) -> Result<Parts, OpenError> {
    let link = Link::open(options)?;
    let shared = limits::Shared::new(link.clone(), rules);
    let leases = leases::Fallback::new(presence::Redis::new(link.clone()));
    Ok(Parts {
        limits: Arc::new(login_limits::Fallback::new(shared, rules)),
        presence: Arc::new(leases),
        caches: cache::caches(&link),
        control: Control { link },
    })
}
