//! Why a node does not start.

use crate::{
    admin::TokenError,
    edge::{listeners::ListenError, tls::TlsError},
};
use madang_store::{StoreError, redis};
use std::{io, path::PathBuf};

/// Why a node could not be started. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is occupied, or not ours.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operators' token cannot be had.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data cannot be used.
    #[error(transparent)]
    Store(#[from] madang_store::OpenError),
    /// The store of a cluster cannot be used.
    #[error(transparent)]
    ClusterStore(#[from] madang_store::ClusterError),
    /// Redis cannot be used as the settings have it.
    #[error(transparent)]
    Shared(#[from] redis::OpenError),
    /// Redis is there, and is none that a node works with.
    #[error(transparent)]
    SharedServer(#[from] redis::InspectError),
    /// The certificates for Redis cannot be read.
    #[error("redis_ca {}: {error}", path.display())]
    RedisCa {
        /// Of the file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The other nodes cannot be reached.
    #[error(transparent)]
    Bus(#[from] madang_cluster::nats::OpenError),
    /// The other nodes do not take it.
    #[error("cannot join the cluster: {0}")]
    Join(String),
    /// Another node is there that is not heard.
    #[error(
        "node {node} uses the same database and is not heard: several nodes on one database need \
         a common NATS (and one cluster_name), a single node a database of its own"
    )]
    Neighbour {
        /// Its name.
        node: String,
    },
    /// It could not be found out whether other nodes are there.
    #[error("cannot find out who else uses the database: {0}")]
    List(StoreError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Ids cannot be made.
    #[error("the operating system gives no random numbers")]
    Random,
}
