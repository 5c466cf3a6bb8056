//! What a node stands on: its store and its bus, embedded or real servers as the settings say.

use crate::{accounts, config::Settings, node::StartError, observability::Recorder};
use madang_actors::{
    Reader,
    kernel::{Arbiter, Clock},
    metrics::Metrics,
};
use madang_cluster::{
    Bus, InProcess, Nats, NodeName, Peer,
    metrics::Metrics as BusMetrics,
    nats::{self, Credentials},
    subjects::ClusterName,
};
use madang_protocol::SessionId;
use madang_resilience::Health;
use madang_store::{ClusterOptions, LoginLimits, PresenceStore, Store, limits, presence, redis};
use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The part that stands for the bus.
pub(crate) const NATS: &str = "nats";
/// The part that stands for what nodes share beside the store.
const REDIS: &str = "redis";
/// How long a start is held up by one that is away, which is no reason not to start.
const GREETED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked how that is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One end of the bus, and what is known of it beyond that.
#[derive(Clone)]
pub(crate) enum NodeBus {
    /// Nobody else is there.
    Alone(InProcess),
    /// Others may be.
    Nats(Nats),
}

impl NodeBus {
    /// As actors know it.
    pub(crate) fn shared(&self) -> Arc<dyn Bus> {
        match self {
            Self::Alone(bus) => Arc::new(bus.clone()),
            Self::Nats(bus) => Arc::new(bus.clone()),
        }
    }
}

/// This life of the node: the name it was given, or one that is good for this life alone.
pub(crate) fn this_life(settings: &Settings) -> Result<Peer, StartError> {
    let name = match &settings.node_name {
        Some(name) => name.clone(),
        None => SessionId(random_id()?).to_string(),
    };
    let name = NodeName::new(&name).expect("names are checked with the settings, ids fit");
    let [id @ .., _, _, _, _, _, _, _] = random_id()?;
    Ok(Peer { name, incarnation: u64::from_be_bytes(id) })
}

fn random_id() -> Result<[u8; madang_protocol::id::ID_BYTES], StartError> {
    accounts::token::random_id().map_err(|_| StartError::Random)
}

/// Opens the store. The driver of a real one lives on `arbiter`.
pub(crate) async fn open_store(
    settings: &Settings,
    recorder: &Recorder,
    arbiter: &Arbiter,
) -> Result<Store, StartError> {
    let Some(uri) = settings.mongo.reveal() else {
        let options = madang_store::Options::in_directory(&settings.data_dir);
        return Ok(recorder.with(|| madang_store::open(options))?);
    };
    let options = cluster_options(settings, uri);
    let opening = recorder.with(|| madang_store::open_cluster(options));
    Ok(on(arbiter, move || opening).await??)
}

/// How the settings want MongoDB.
pub(crate) fn cluster_options(settings: &Settings, uri: &str) -> ClusterOptions {
    ClusterOptions {
        reach_within: settings.start_wait(),
        read_timeout: settings.read_wait(),
        ..ClusterOptions::at(uri, &settings.mongo_database)
    }
}

/// Comes onto the bus. Its tasks live on `arbiter`.
pub(crate) async fn open_bus(
    settings: &Settings,
    me: Peer,
    recorder: &Recorder,
    arbiter: &Arbiter,
) -> Result<NodeBus, StartError> {
    let metrics = recorder.with(BusMetrics::new);
    if !settings.has_nats() {
        return Ok(NodeBus::Alone(InProcess::new(me)));
    }
    let options = nats_options(settings, me);
    let waits = |reason: &str| tracing::warn!(reason, "NATS is not reached yet");
    let opening = move || nats::open(options, metrics, waits);
    Ok(NodeBus::Nats(on(arbiter, opening).await??))
}

/// What nodes share beside the store; `None`: nothing, each counts for itself. It works without its
/// servers, so they are not waited for; one that is there and too old is refused. Its connections
/// live on `arbiter`.
pub(crate) async fn open_shared(
    settings: &Settings,
    arbiter: &Arbiter,
) -> Result<Option<redis::Parts>, StartError> {
    let Some(options) = redis_options(settings)? else {
        return Ok(None);
    };
    let rules = accounts::login_rules(settings);
    let opening = move || async move { redis::open(&options, rules) };
    let shared = on(arbiter, opening).await??;
    let control = shared.control.clone();
    let looking = move || async move { control.inspect(GREETED_WITHIN).await };
    match on(arbiter, looking).await? {
        Ok(_) | Err(redis::InspectError::NoAnswer { .. }) => Ok(Some(shared)),
        Err(unfit) => Err(unfit.into()),
    }
}

/// How the settings want Redis.
pub(crate) fn redis_options(settings: &Settings) -> Result<Option<redis::Options>, StartError> {
    let Some(url) = settings.redis.reveal() else {
        return Ok(None);
    };
    let read = |path: &PathBuf| {
        let read = std::fs::read(path);
        read.map_err(|error| StartError::RedisCa { path: path.clone(), error })
    };
    let ca_pem = settings.redis_ca.as_ref().map(read).transpose()?;
    Ok(Some(redis::Options { ca_pem, ..redis::Options::new(url, &settings.cluster_name) }))
}

/// Leases that all nodes see, or this one alone.
pub(crate) fn leases(shared: Option<&redis::Parts>) -> Arc<dyn PresenceStore> {
    match shared {
        Some(shared) => shared.presence.clone(),
        None => Arc::new(presence::InProcess::new()),
    }
}

/// Copies that all nodes share are looked at before a store that is far away. One in this process is
/// as fast, and never behind.
pub(crate) fn beside(
    reader: Reader,
    shared: Option<&redis::Parts>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Reader {
    match shared {
        Some(shared) if settings.mongo.reveal().is_some() => {
            reader.beside(shared.caches.clone(), metrics.clone())
        }
        _ => reader,
    }
}

/// Logins counted for all nodes, or for this one alone.
pub(crate) fn login_limits(
    shared: Option<&redis::Parts>,
    settings: &Settings,
) -> Arc<dyn LoginLimits> {
    match shared {
        Some(shared) => shared.limits.clone(),
        None => Arc::new(limits::InProcess::new(accounts::login_rules(settings))),
    }
}

/// Keeps the part of Redis up to date; inside a group of local tasks.
pub(crate) fn watch_shared(control: redis::Control, health: &Health, clock: Clock) {
    let health = health.clone();
    tokio::task::spawn_local(async move {
        loop {
            health.set(REDIS, control.health().state, clock.now());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
}

/// How the settings want NATS.
pub(crate) fn nats_options(settings: &Settings, me: Peer) -> nats::Options {
    nats::Options {
        urls: settings.nats.reveal().to_vec(),
        cluster: ClusterName::new(&settings.cluster_name).expect("checked with the settings"),
        me,
        credentials: nats_credentials(settings),
        certificate_authority: settings.nats_ca.clone(),
        patience: settings.start_wait(),
    }
}

fn nats_credentials(settings: &Settings) -> Credentials {
    if let (Some(user), Some(password)) = (&settings.nats_user, settings.nats_password.reveal()) {
        Credentials::Password { user: user.clone(), password: password.to_owned() }
    } else if let Some(token) = settings.nats_token.reveal() {
        Credentials::Token(token.to_owned())
    } else if let Some(path) = &settings.nats_nkey {
        Credentials::NkeyFile(path.clone())
    } else if let Some(path) = &settings.nats_credentials {
        Credentials::File(path.clone())
    } else {
        Credentials::None
    }
}

/// Awaits what is made on `arbiter`, there: what it starts lives as long as that thread.
async fn on<T, F>(
    arbiter: &Arbiter,
    make: impl FnOnce() -> F + Send + 'static,
) -> Result<T, StartError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let (sender, done) = oneshot::channel();
    arbiter.spawn(move || async move {
        let _ = sender.send(make().await); // whoever waited has given up
    });
    done.await.map_err(|_| StartError::Thread(std::io::Error::other("it ended at once")))
}
