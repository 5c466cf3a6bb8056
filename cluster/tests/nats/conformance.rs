//! What every bus does, over one server and over three.

use crate::support::{fresh_cluster, open, options};
use futures_util::future::join_all;
use madang_cluster::{
    Nats, Peer,
    conformance::{self, Buses},
};
use madang_servers as servers;
use std::sync::Arc;

/// Each end on a server of its own, as far as there are.
struct OverServers(Arc<servers::Nats>);

impl Buses for OverServers {
    type End = Nats;

    async fn join(&self, peers: Vec<Peer>) -> Vec<Nats> {
        let (cluster, urls) = (fresh_cluster(), self.0.urls());
        let ends = peers.into_iter().zip(urls.iter().cycle()).map(|(me, url)| {
            let cluster = cluster.clone();
            async move {
                let options = options(vec![url.clone()], "unnamed");
                open(madang_cluster::nats::Options { me, cluster, ..options }).await.unwrap()
            }
        });
        join_all(ends).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_one_server() {
    conformance::conforms(&OverServers(Arc::new(servers::Nats::one().await))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_three_servers() {
    conformance::conforms(&OverServers(Arc::new(servers::Nats::cluster().await))).await;
}
