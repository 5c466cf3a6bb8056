//! Finding the set, and refusing what we could not rely on.

use super::{
    abandoned,
    condition::Condition,
    failure::{describe, is_credentials},
};
use crate::cluster::{ClusterError, ClusterOptions};
use ::mongodb::{
    Client,
    bson::{Document, doc},
    event::{EventHandler, cmap::CmapEvent},
    options::{ClientOptions, ReadConcern, ServerAddress, WriteConcern},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// The oldest server that we work with.
const OLDEST: (&str, i64) = ("6.0", 6);
/// One try to find a primary.
const TRY_FOR: Duration = Duration::from_secs(2);
/// Between two tries.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How long a call looks for a primary. An election takes longer, and then the caller may as well
/// know.
const PRIMARY_WITHIN: Duration = Duration::from_secs(3);
/// How long a connection may take, and a monitor's question beyond its period: what a member that
/// stands still costs before it is noticed.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// Secondaries whose answers take at most so much longer than the fastest's share what is read there:
/// more than a moment of load makes of it, less than another continent. `localThresholdMS` in the URI
/// says otherwise.
const AS_NEAR: Duration = Duration::from_millis(50);
/// How often each member is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Connections opened at once; two by default, and then warming takes long.
const CONNECTING_AT_ONCE: u32 = 8;
/// How long the store waits for its connections to be warm. They are a convenience.
const WARM_WITHIN: Duration = Duration::from_secs(5);

/// A client of the set that has reached its primary and opened its first connections.
pub(super) async fn connect(
    options: &ClusterOptions,
    condition: &Arc<Condition>,
) -> Result<Client, ClusterError> {
    let mut client_options = client_options(options).await?;
    let opened = Arc::new(AtomicU32::new(0));
    listen(&mut client_options, condition.clone(), opened.clone());
    let hosts = client_options.hosts.clone();
    let client = Client::with_options(client_options)
        .map_err(|error| ClusterError::Address(describe(&error)))?;
    reach(&client, &hosts, options.reach_within).await?;
    check_server(&client, &hosts).await?;
    warm(&opened, options.connections_warm).await;
    Ok(client)
}

async fn client_options(options: &ClusterOptions) -> Result<ClientOptions, ClusterError> {
    // The driver's own words may quote the password.
    let unusable =
        |_| ClusterError::Address("it is no MongoDB URI, or its hosts cannot be found".into());
    let parsed = timeout(options.reach_within, ClientOptions::parse(options.uri.as_str())).await;
    let unanswered = |_| ClusterError::Address("its hosts were not found in time".into());
    let mut client = parsed.map_err(unanswered)?.map_err(unusable)?;
    if options.connections_max == 0 || options.connections_warm > options.connections_max {
        return Err(ClusterError::Address(
            "connections_warm must not exceed connections_max".into(),
        ));
    }
    client.app_name.get_or_insert_with(|| "madang".into());
    client.driver_info = Some(abandoned::mark(&options.database));
    client.max_pool_size = Some(options.connections_max);
    client.min_pool_size = Some(options.connections_warm);
    client.max_connecting = Some(CONNECTING_AT_ONCE);
    client.connect_timeout = Some(CONNECT_WITHIN);
    client.heartbeat_freq = Some(LOOK_EVERY);
    client.local_threshold.get_or_insert(AS_NEAR);
    client.server_selection_timeout = Some(PRIMARY_WITHIN);
    // A driver that sends an ordered insert again numbers its statements, and the server carries
    // out each number once: what comes after a fail-over is the same command going on where it
    // stopped, never a second one. So fewer commands end in doubt, and none lives longer, for the
    // second try ends with the deadline of the call.
    client.retry_writes = Some(true);
    client.retry_reads = Some(true);
    client.write_concern = Some(majority());
    client.read_concern = Some(ReadConcern::majority());
    client.selection_criteria = None;
    Ok(client)
}

/// On the disks of a majority.
pub(super) fn majority() -> WriteConcern {
    WriteConcern::builder().w(::mongodb::options::Acknowledgment::Majority).journal(true).build()
}

fn listen(client: &mut ClientOptions, condition: Arc<Condition>, opened: Arc<AtomicU32>) {
    client.sdam_event_handler = Some(EventHandler::callback(move |event| condition.saw(&event)));
    client.cmap_event_handler = Some(EventHandler::callback(move |event| {
        if let CmapEvent::ConnectionReady(_) = event {
            opened.fetch_add(1, Ordering::Relaxed);
        }
    }));
}

/// Tries until the primary answers, or it is plain that it never will.
async fn reach(
    client: &Client,
    hosts: &[ServerAddress],
    within: Duration,
) -> Result<(), ClusterError> {
    let began = Instant::now();
    loop {
        let Err(error) = ping(client).await else { return Ok(()) };
        if is_credentials(&error) {
            return Err(ClusterError::Credentials);
        }
        for host in hosts {
            check_member(host).await?;
        }
        let (waited, hosts) = (began.elapsed(), names(hosts));
        if waited >= within {
            return Err(ClusterError::Unreachable { hosts, waited, detail: describe(&error) });
        }
        tracing::warn!(%hosts, ?waited, error = %describe(&error), "MongoDB is not reached yet");
        sleep(TRY_AGAIN).await;
    }
}

async fn ping(client: &Client) -> ::mongodb::error::Result<()> {
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(|_| ())
}

/// Refuses a host that answers and is in no set. One that does not answer is none of our business.
async fn check_member(host: &ServerAddress) -> Result<(), ClusterError> {
    let options = ClientOptions::builder()
        .hosts(vec![host.clone()])
        .direct_connection(true)
        .connect_timeout(TRY_FOR)
        .server_selection_timeout(TRY_FOR)
        .build();
    let Ok(alone) = Client::with_options(options) else { return Ok(()) };
    let question = alone.database("admin");
    let answer = timeout(TRY_FOR, question.run_command(doc! { "hello": 1 })).await;
    match answer {
        Ok(Ok(hello)) if !is_member(&hello) => {
            Err(ClusterError::NoReplicaSet { host: host.to_string() })
        }
        _ => Ok(()),
    }
}

/// A member that was not told of its set yet counts.
fn is_member(hello: &Document) -> bool {
    hello.contains_key("setName") || hello.get_bool("isreplicaset").unwrap_or(false)
}

/// Refuses a set that is none, or too old.
async fn check_server(client: &Client, hosts: &[ServerAddress]) -> Result<(), ClusterError> {
    let admin = client.database("admin");
    let refused = |what| {
        move |error: ::mongodb::error::Error| ClusterError::Refused {
            what,
            detail: describe(&error),
        }
    };
    let hello = admin.run_command(doc! { "hello": 1 }).await.map_err(refused("hello"))?;
    if !hello.contains_key("setName") {
        return Err(ClusterError::NoReplicaSet { host: names(hosts) });
    }
    let info = admin.run_command(doc! { "buildInfo": 1 }).await.map_err(refused("buildInfo"))?;
    check_version(info.get_str("version").unwrap_or("unknown"))
}

fn check_version(version: &str) -> Result<(), ClusterError> {
    let major = version.split('.').next().and_then(|major| major.parse::<i64>().ok());
    if major.is_some_and(|major| major >= OLDEST.1) {
        return Ok(());
    }
    Err(ClusterError::TooOld { found: version.into(), needed: OLDEST.0 })
}

/// Waits until so many connections are open, or for a while.
async fn warm(opened: &AtomicU32, wanted: u32) {
    let began = Instant::now();
    while opened.load(Ordering::Relaxed) < wanted && began.elapsed() < WARM_WITHIN {
        sleep(Duration::from_millis(10)).await;
    }
}

fn names(hosts: &[ServerAddress]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        for (version, fits) in
            [("5.0.31", false), ("6.0.5", true), ("10.1.0", true), ("4.4", false), ("odd", false)]
        {
            assert_eq!(check_version(version).is_ok(), fits, "{version}");
        }
    }
}
