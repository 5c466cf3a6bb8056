//! Opening the store of a cluster: one MongoDB replica set for all nodes.

use crate::{Store, mongodb};
use madang_protocol::limits;
use std::time::Duration;

/// Where the data of a cluster is, and the bounds of what one node asks of it.
#[derive(Clone)]
pub struct ClusterOptions {
    /// `mongodb://` or `mongodb+srv://`: hosts, credentials, TLS. Pool and timeouts of it do not
    /// count, those below do.
    pub uri: String,
    /// The database, which belongs to us alone.
    pub database: String,
    /// Connections to each member at most.
    pub connections_max: u32,
    /// Connections to each member that are kept open, the first of them before the store is ready.
    pub connections_warm: u32,
    /// Calls that wait for one of `connections_max` places. Beyond: `Overloaded`, at once.
    pub calls_waiting_max: usize,
    /// How long a call waits for its place. Beyond: `Overloaded`.
    pub place_wait: Duration,
    /// How long a call that reads may take from then on. Beyond: `Unavailable`.
    pub read_timeout: Duration,
    /// How long a call that writes may take from then on. Beyond: `Unknown`.
    pub write_timeout: Duration,
    /// How long to try to reach the set when the store is opened. Beyond:
    /// [`ClusterError::Unreachable`].
    pub reach_within: Duration,
    /// Read positions that senders moved are written at least this often; a crash loses as much.
    pub positions_interval: Duration,
    /// Members of a room at most. Beyond: `Full`.
    pub members_max: u64,
    /// Rooms of a user at most. Beyond: `Full`, or `TooManyRooms`.
    pub rooms_max: u64,
}

impl ClusterOptions {
    /// The defaults, for data in `database` of the set at `uri`.
    pub fn at(uri: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            database: database.into(),
            connections_max: 20,
            connections_warm: 20,
            calls_waiting_max: 1_024,
            place_wait: Duration::from_secs(2),
            read_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
            reach_within: Duration::from_secs(60),
            positions_interval: Duration::from_secs(1),
            members_max: limits::MEMBERS_MAX,
            rooms_max: limits::ROOMS_MAX,
        }
    }
}

/// Why the store of a cluster could not be opened. Names hosts and databases, never credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The URI, or another option, cannot be used.
    #[error("the address of MongoDB cannot be used: {0}")]
    Address(String),
    /// Nobody answered in time.
    #[error("no primary of the replica set at {hosts} was reached within {waited:?}: {detail}")]
    Unreachable {
        /// Whom we tried.
        hosts: String,
        /// For how long.
        waited: Duration,
        /// What was seen last.
        detail: String,
    },
    /// It is a server of its own, or a router of a sharded cluster.
    #[error("{host} is no member of a replica set, and only those can promise majority writes")]
    NoReplicaSet {
        /// Who.
        host: String,
    },
    /// It lacks what we rest on.
    #[error("MongoDB {found} is too old, {needed} or newer is needed")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest this version works with.
        needed: &'static str,
    },
    /// The user is unknown, or the password another.
    #[error("MongoDB does not accept the credentials")]
    Credentials,
    /// The user may not do what we need.
    #[error("MongoDB does not permit {what} on database {database}: the role readWrite is needed")]
    NotPermitted {
        /// What we tried.
        what: &'static str,
        /// Where.
        database: String,
    },
    /// The database belongs to somebody else.
    #[error("database {database} was not made by madang: it holds {collection}")]
    Foreign {
        /// Which.
        database: String,
        /// What was found there.
        collection: String,
    },
    /// It was to be read and is not there.
    #[error("there is no database {database}")]
    Missing {
        /// Which.
        database: String,
    },
    /// An import into it is under way, or was ended before its end.
    #[error(
        "an import into database {database} has not ended: if none is under way, drop the \
         database and import again"
    )]
    HalfFilled {
        /// Which.
        database: String,
    },
    /// A later version made it.
    #[error("database {database} has format {found}, this version knows formats up to {known}")]
    NewerFormat {
        /// Which.
        database: String,
        /// Its format.
        found: i64,
        /// The newest this version knows.
        known: i64,
    },
    /// The primary went again and again while the database was looked at, or made ready.
    #[error("the primary of MongoDB was lost while {what}: {detail}")]
    PrimaryLost {
        /// What we tried.
        what: &'static str,
        /// What was said.
        detail: String,
    },
    /// Anything else that the server refused.
    #[error("MongoDB refused {what}: {detail}")]
    Refused {
        /// What we tried.
        what: &'static str,
        /// What it said, without contents.
        detail: String,
    },
}

/// Opens the store of a cluster, making an empty one where there is none.
///
/// Metrics go to the recorder that is current during this call, before the future is awaited. The
/// future is to be awaited in a runtime that lives as long as the store: the driver's connections
/// live there.
pub fn open_cluster(
    options: ClusterOptions,
) -> impl Future<Output = Result<Store, ClusterError>> + Send {
    mongodb::open(options)
}

/// What was found at the servers of a cluster's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterReport {
    /// The version of MongoDB.
    pub version: String,
    /// The database holds data of ours; otherwise it is empty.
    pub is_ours: bool,
    /// Indexes that are not there, as `collection.name`; a node makes them when it starts.
    pub missing_indexes: Vec<String>,
}

/// Looks whether a node could use the database, and changes nothing there. To be awaited in a runtime
/// with input and output.
pub fn check_cluster(
    options: ClusterOptions,
) -> impl Future<Output = Result<ClusterReport, ClusterError>> + Send {
    mongodb::examine(options)
}
