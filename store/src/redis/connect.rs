//! Connections, as the pool makes them and throws them away.

use super::{OpenError, keys::Bucket, sentinel, target::Target};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, SingleNodeRoutingInfo, SlotAddr},
};
use bb8_redis::bb8::{self, ManageConnection};
use futures_util::future::try_join_all;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// Makes connections. bb8-redis' own manager asks the server before each use, which doubles the
/// round trips and still says nothing about the next; and it never throws a connection away, not
/// even one to a master that is none any more.
pub(super) struct Manager {
    way: Way,
    wait: Duration,
    /// Why the last attempt failed. Whoever waits for a connection hears of it here, since the
    /// pool does not tell them.
    failed: watch::Sender<Option<Arc<RedisError>>>,
}

enum Way {
    Standalone(Client),
    Sentinel {
        sentinels: Vec<Client>,
        service: String,
        login: RedisConnectionInfo,
        /// `Some`: TLS, with these certificates or the system's.
        tls: Option<Option<TlsCertificates>>,
    },
    Cluster(Box<ClusterClient>),
}

/// A connection of the pool.
pub(super) struct Connection {
    wire: Wire,
    /// Has to go: something failed on it, or its caller went away and an answer is still to come.
    is_broken: bool,
}

enum Wire {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Manager {
    /// Each connection is there within `wait`, or not at all.
    pub(super) fn new(
        target: Target,
        ca_pem: Option<Vec<u8>>,
        wait: Duration,
    ) -> Result<Self, OpenError> {
        let certificates =
            ca_pem.map(|root| TlsCertificates { client_tls: None, root_cert: Some(root) });
        let way = way(target, certificates, wait).map_err(|_| OpenError::Certificates)?;
        Ok(Self { way, wait, failed: watch::Sender::new(None) })
    }

    /// Changes whenever a connection could not be made.
    pub(super) fn failed(&self) -> watch::Receiver<Option<Arc<RedisError>>> {
        self.failed.subscribe()
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    async fn connect_now(&self) -> RedisResult<Connection> {
        let wire = match &self.way {
            Way::Standalone(client) => Wire::Node(connect_node(client, self.wait).await?),
            Way::Sentinel { sentinels, service, login, tls } => Wire::Node(
                sentinel::connect_master(sentinels, service, login, tls.as_ref(), self.wait)
                    .await?,
            ),
            Way::Cluster(client) => Wire::Cluster(client.get_async_connection().await?),
        };
        Ok(Connection { wire, is_broken: false })
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Connection, RedisError> {
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time");
        let made = timeout(self.wait, self.connect_now()).await;
        let made = made.unwrap_or_else(|_| Err(late().into()));
        if let Err(error) = &made {
            self.failed.send_replace(Some(Arc::new(error.clone())));
        }
        made
    }

    /// Not asked by the pool: a connection is as good as its last answer.
    async fn is_valid(&self, _: &mut Connection) -> Result<(), RedisError> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken
    }
}

/// Connections of the pool, at most so many.
pub(super) fn pool(manager: Manager, connections_max: u32, wait: Duration) -> bb8::Pool<Manager> {
    bb8::Pool::builder()
        .max_size(connections_max.clamp(1, 20))
        .test_on_check_out(false)
        .retry_connection(false)
        .max_lifetime(None)
        .connection_timeout(wait)
        .build_unchecked(manager)
}

impl Connection {
    /// Asks all at once; the answers in the order asked, the first error instead. Each command says
    /// in which bucket its key is. `prelude` goes before the others, to every server asked.
    ///
    /// One pipeline; with a cluster one for each bucket, side by side.
    pub(super) async fn ask(
        &mut self,
        prelude: Option<&Cmd>,
        commands: &[(Bucket, Cmd)],
    ) -> RedisResult<Vec<Value>> {
        // Until there is an answer: whoever is dropped in between leaves it so.
        self.is_broken = true;
        let answers = match &mut self.wire {
            Wire::Node(node) => {
                let all = commands.iter().map(|(_, command)| command);
                let (pipeline, skipped) = pipeline(prelude, all);
                let count = pipeline.len() - skipped;
                node.req_packed_commands(&pipeline, skipped, count).await?
            }
            Wire::Cluster(cluster) => ask_cluster(cluster, prelude, commands).await?,
        };
        let answers = answers.into_iter().map(Value::extract_error).collect::<RedisResult<_>>()?;
        self.is_broken = false;
        Ok(answers)
    }
}

async fn ask_cluster(
    cluster: &ClusterConnection,
    prelude: Option<&Cmd>,
    commands: &[(Bucket, Cmd)],
) -> RedisResult<Vec<Value>> {
    let mut by_bucket: BTreeMap<Bucket, Vec<usize>> = BTreeMap::new();
    for (place, (bucket, _)) in commands.iter().enumerate() {
        by_bucket.entry(*bucket).or_default().push(place);
    }
    let asked = by_bucket.iter().map(|(bucket, places)| {
        let (pipeline, skipped) = pipeline(prelude, places.iter().map(|place| &commands[*place].1));
        let route = Route::with_key(bucket.tag(), SlotAddr::Master);
        let route = SingleNodeRoutingInfo::SpecificNode(route);
        let mut cluster = cluster.clone();
        async move {
            let count = pipeline.len() - skipped;
            cluster.route_pipeline(pipeline, skipped, count, route).await
        }
    });
    let answers = try_join_all(asked).await?;
    let mut in_order = vec![Value::Nil; commands.len()];
    for (places, answers) in by_bucket.values().zip(answers) {
        places.iter().zip(answers).for_each(|(place, answer)| in_order[*place] = answer);
    }
    Ok(in_order)
}

/// The commands behind the prelude, and how many answers are the prelude's.
fn pipeline<'a>(
    prelude: Option<&'a Cmd>,
    commands: impl Iterator<Item = &'a Cmd>,
) -> (Pipeline, usize) {
    let mut pipeline = Pipeline::new();
    for command in prelude.into_iter().chain(commands) {
        pipeline.add_command(command.clone());
    }
    (pipeline, usize::from(prelude.is_some()))
}

fn way(target: Target, certificates: Option<TlsCertificates>, wait: Duration) -> RedisResult<Way> {
    Ok(match target {
        Target::Standalone(info) => Way::Standalone(client(info, certificates.as_ref())?),
        Target::Sentinel { sentinels, service, login, tls } => {
            let sentinels = sentinels.into_iter().map(|info| client(info, certificates.as_ref()));
            let sentinels = sentinels.collect::<RedisResult<_>>()?;
            Way::Sentinel { sentinels, service, login, tls: tls.then_some(certificates) }
        }
        Target::Cluster(nodes) => {
            Way::Cluster(Box::new(cluster_client(nodes, certificates, wait)?))
        }
    })
}

fn cluster_client(
    nodes: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
    wait: Duration,
) -> RedisResult<ClusterClient> {
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(wait)
        .response_timeout(wait)
        // What is tried again is decided above, within the deadline of the caller.
        .retries(1);
    if let Some(certificates) = certificates {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()
}

pub(super) fn client(
    info: ConnectionInfo,
    certificates: Option<&TlsCertificates>,
) -> RedisResult<Client> {
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        None => Client::open(info),
    }
}

/// A connection to one server, which is there within `wait`. Answers have no time of their own:
/// the caller's deadline is what counts.
pub(super) async fn connect_node(
    client: &Client,
    wait: Duration,
) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(wait)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}
