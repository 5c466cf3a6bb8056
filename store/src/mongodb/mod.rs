//! The store of a cluster: MongoDB, a replica set that all nodes share.
//!
//! | file | holds |
//! |---|---|
//! | [`connection`] | finding the set, and refusing what we could not rely on |
//! | [`setup`] | whose database it is; indexes are made |
//! | [`schema`] | names of collections and indexes |
//! | [`ids`] | ids as the database has them |
//! | [`command`] | questions and writes, as this store sends them |
//! | [`gate`] | a place for each call, its deadline, and what is counted |
//! | [`failure`] | what the driver says, as the caller may understand it |
//! | [`condition`] | whether it works, noticed by itself |
//! | [`control`] | what goes on beside the calls, and the end |
//! | [`member`] | members, with how far they have read |
//! | [`message`] | messages and changes, as the database has them |
//! | [`log`] | the log: what is read |
//! | [`snapshot`] | questions about one room at one moment |
//! | [`pages`] | history, from the secondaries |
//! | [`append`] | the log: ordered commands |
//! | [`plan`] | what changes and reactions do to messages |
//! | [`apply`] | what is known before that, and what is written after |
//! | [`examine`] | what there is, without a change |
//! | [`heads`] | how far rooms have come |
//! | [`positions`] | read positions of senders, ahead of the database |
//! | [`receipts`] | read positions in bulk |
//! | [`rooms`] | rooms and members |
//! | [`accounts`] | users, sessions, logins |
//! | [`transfer`] | all of it, taken out or in |
//! | [`transaction`] | what changes several documents together; [`tries`]: beginning anew |
//! | [`abandoned`] | ending those that nobody goes on with |
//! | [`neighbours`] | which nodes use the database |
//! | [`turns`] | those of one node one after the other |
//!
//! Everything is written with `w: majority, j: true` and read from the primary with what a majority
//! has, but for pages, which are held against it. Writes rest on unique indexes alone: which home of a room is the right one is decided by
//! who inserts (room, seq) first.

mod abandoned;
mod accounts;
mod append;
mod apply;
mod bytes;
mod command;
mod condition;
mod connection;
mod control;
mod examine;
mod failure;
mod gate;
mod heads;
mod ids;
mod log;
mod member;
mod message;
mod neighbours;
mod pages;
mod plan;
mod positions;
mod receipts;
mod rooms;
mod schema;
mod setup;
mod snapshot;
mod transaction;
mod transfer;
mod tries;
mod turns;

pub(crate) use examine::examine;
pub(crate) use transfer::Transfer;

use crate::{
    Store,
    cluster::{ClusterError, ClusterOptions},
    metrics::Metrics,
};
use ::mongodb::Database;
use abandoned::Abandoned;
use condition::Condition;
use gate::Gate;
use madang_protocol::{RoomId, UserId};
use madang_resilience::Circuit;
use positions::Positions;
use std::sync::Arc;
use turns::Turns;

/// See the module.
pub(crate) struct Mongo {
    database: Database,
    gate: Gate,
    /// Whether what users wait for is asked at all.
    users: Circuit,
    condition: Arc<Condition>,
    /// Read positions that were moved by sending.
    positions: Positions,
    /// Who changes which room now.
    room_turns: Turns<RoomId>,
    /// Who starts a session of which user now.
    user_turns: Turns<UserId>,
    /// Transactions that hold what others wait for.
    abandoned: Abandoned,
    options: ClusterOptions,
    /// Random, from when the database was made.
    identity: String,
}

/// See [`crate::open_cluster`].
pub(crate) fn open(
    options: ClusterOptions,
) -> impl Future<Output = Result<Store, ClusterError>> + Send {
    let metrics = Metrics::new();
    async move {
        let mongo = Arc::new(Mongo::open(options, metrics).await?);
        mongo.keep_going();
        Ok(mongo.store())
    }
}
