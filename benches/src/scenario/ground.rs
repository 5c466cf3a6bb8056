//! Servers of others that some scenarios need.

use crate::{
    error::{BenchError, Doing, Done},
    process::on_server_core,
    targets::Launch,
};
use madang_servers::{Nats, ReplicaSet, tools};
use tokio::runtime::{Builder, Runtime};

/// Holds processes of others; it has a thread of its own, which sleeps while nothing happens.
pub fn runtime() -> Done<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.doing(|| "starting a runtime".to_owned())
}

/// Makes sure that a program of others is there.
///
/// # Errors
/// When it is not, with what gets it.
pub fn need(name: &str) -> Done<()> {
    let program = tools::folder().join(name);
    if program.exists() {
        return Ok(());
    }
    let what = format!("{name} ({})", program.display());
    Err(BenchError::Missing { what, how: "`.ci/prepare` gets it".to_owned() })
}

/// MongoDB, and NATS where nodes form a cluster; ended when dropped.
pub struct Ground {
    /// Three members.
    mongo: ReplicaSet,
    /// One server.
    nats: Option<Nats>,
    runtime: Runtime,
}

impl Ground {
    /// A replica set.
    pub fn mongo_alone() -> Done<Self> {
        need("mongod")?;
        let runtime = runtime()?;
        let mongo = on_server_core(|| runtime.block_on(ReplicaSet::start()))?;
        Ok(Self { mongo, nats: None, runtime })
    }

    /// A replica set and a NATS.
    pub fn for_cluster() -> Done<Self> {
        need("nats-server")?;
        let mut ground = Self::mongo_alone()?;
        ground.nats = Some(on_server_core(|| ground.runtime.block_on(Nats::one()))?);
        Ok(ground)
    }

    /// How a node is started that has its data there, in a database of this name.
    pub fn on_mongo(&self, launch: &Launch, database: &str) -> Launch {
        launch.clone().with("mongo", self.mongo.uri()).with("mongo-database", database)
    }

    /// The same for nodes that form a cluster; each needs a name.
    pub fn in_cluster(&self, launch: &Launch, name: &str) -> Launch {
        let urls = self.nats.as_ref().map(|nats| nats.urls().join(",")).unwrap_or_default();
        self.on_mongo(launch, name).with("nats", urls).with("cluster-name", name)
    }

    /// Stops all members of the set; they neither read nor write.
    pub fn pause(&self) {
        self.mongo.members().iter().for_each(madang_servers::Server::pause);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.mongo.members().iter().for_each(madang_servers::Server::resume);
    }

    /// Waits until the set takes writes.
    pub fn takes_writes(&self) {
        self.runtime.block_on(self.mongo.takes_writes());
    }
}
