//! Coming onto NATS: reaching a server, and seeing that everything a node does is allowed.

use super::{
    Nats, QUEUE_BOUND, Shared, Tasks,
    link::{Link, News},
    options::{self, Credentials, OpenError, Options, Reached, host_of},
    reading,
    waiting::Ticket,
};
use crate::{
    bus::AskError, envelope::Kind, listeners::Listeners, metrics::Metrics, subjects::Subjects,
};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr, Subscriber};
use futures_util::future::join_all;
use madang_protocol::RoomId;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// A server that does not answer twice in this time is given up; by default the library would take
/// minutes.
const PING_EVERY: Duration = Duration::from_secs(1);
/// One attempt to connect, with everything that belongs to it.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Between attempts at most, when the connection was lost and at the start.
const TRY_AGAIN_WITHIN: Duration = Duration::from_millis(500);
/// Commands that wait in the client library. Few: while it connects again they stay, and come late.
const LIBRARY_BOUND: usize = 256;
/// Messages of one subscription that wait for its reading task. Beyond: dropped, and a gap.
const SUBSCRIPTION_BOUND: usize = 4_096;
/// How long all that a node says to itself may take to come back.
const PROBES_WITHIN: Duration = Duration::from_secs(5);

/// Comes onto the bus, on this runtime: its tasks live here. Waits for a server as long as the options
/// say; `progress` is called for every attempt that came to nothing, with the reason.
pub async fn open(
    options: Options,
    metrics: Metrics,
    progress: impl Fn(&str),
) -> Result<Nats, OpenError> {
    let news = Arc::new(News::default());
    let client = Box::pin(connect(&options, &news, progress)).await?; // a large future
    let (queue, outgoing) = mpsc::channel(QUEUE_BOUND);
    let shared = Arc::new(Shared {
        me: options.me.clone(),
        subjects: Subjects::new(&options.cluster),
        client,
        listeners: Listeners::default(),
        serving: super::Serving::default(),
        interest: super::Interest::default(),
        waiting: super::Waiting::default(),
        queue,
        metrics,
        unreadable: reading::Unread::default(),
    });
    shared.metrics.connected(true);
    let mut tasks = start_reading(&shared, &options).await?;
    let link = Link::new(shared.clone(), news.clone(), outgoing);
    tasks.0.push(tokio::spawn(link.run()).abort_handle());
    is_allowed(&shared, &news).await?;
    Ok(Nats { shared, _tasks: Arc::new(tasks) })
}

/// Reaches a server, sees that a node could work there, and goes again.
pub async fn check(options: Options) -> Result<Reached, OpenError> {
    let nats = open(options, Metrics::new(), |_| {}).await?;
    let info = nats.shared.client.server_info();
    Ok(Reached {
        server: info.server_name,
        version: info.version,
        payload_bytes_max: info.max_payload,
    })
}

async fn connect(
    options: &Options,
    news: &Arc<News>,
    progress: impl Fn(&str),
) -> Result<Client, OpenError> {
    let addresses = addresses(&options.urls)?;
    let how = how_to_connect(options, news).await?;
    let deadline = Instant::now() + options.patience;
    for attempt in 1_u32.. {
        let error = match Box::pin(how.clone().connect(addresses.clone())).await {
            Ok(client) => return new_enough(client),
            Err(error) => error,
        };
        if is_refusal(&error) {
            return Err(OpenError::Credentials { servers: servers(options) });
        }
        let reason = reason(&error);
        progress(&reason);
        if Instant::now() >= deadline {
            let (servers, patience) = (servers(options), options.patience);
            return Err(OpenError::Unreachable { servers, patience, reason });
        }
        sleep(backoff(attempt as usize).min(deadline - Instant::now())).await;
    }
    unreachable!("the loop ends by itself only after years")
}

fn new_enough(client: Client) -> Result<Client, OpenError> {
    let version = client.server_info().version;
    if options::is_new_enough(&version) { Ok(client) } else { Err(OpenError::Old { version }) }
}

fn is_refusal(error: &ConnectError) -> bool {
    matches!(
        error.kind(),
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
    )
}

fn reason(error: &ConnectError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{}: {source}", error.kind()))
}

fn addresses(urls: &[String]) -> Result<Vec<ServerAddr>, OpenError> {
    let address = |url: &String| url.parse().map_err(|_| OpenError::Address(host_of(url)));
    urls.iter().map(address).collect()
}

/// A user and its password as `nats://user:password@host` has them; the library does not look there.
fn of_the_address(urls: &[String]) -> Option<(String, String)> {
    let address: ServerAddr = urls.iter().find_map(|url| {
        let address: ServerAddr = url.parse().ok()?;
        address.has_user_pass().then_some(address)
    })?;
    Some((plain(address.username()?), plain(address.password().unwrap_or_default())))
}

/// Without percent signs.
fn plain(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    pairs.next().map_or_else(String::new, |(_, value)| value.into_owned())
}

fn servers(options: &Options) -> String {
    options.urls.iter().map(|url| host_of(url)).collect::<Vec<_>>().join(", ")
}

async fn how_to_connect(options: &Options, news: &Arc<News>) -> Result<ConnectOptions, OpenError> {
    let news = news.clone();
    let mut how = ConnectOptions::new()
        .name(format!("madang {}", options.me.name))
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_WITHIN)
        .client_capacity(LIBRARY_BOUND)
        .subscription_capacity(SUBSCRIPTION_BOUND)
        .reconnect_delay_callback(backoff)
        .event_callback(move |event| {
            news.take(&event);
            std::future::ready(())
        });
    if let Some(path) = &options.certificate_authority {
        readable(path)?;
        how = how.add_root_certificates(path.clone());
    }
    Ok(match &options.credentials {
        Credentials::None => match of_the_address(&options.urls) {
            Some((user, password)) => how.user_and_password(user, password),
            None => how,
        },
        Credentials::Password { user, password } => {
            how.user_and_password(user.clone(), password.clone())
        }
        Credentials::Token(token) => how.token(token.clone()),
        Credentials::NkeyFile(path) => how.nkey(readable(path)?.trim().to_owned()),
        Credentials::File(path) => {
            let text = readable(path)?;
            how.credentials(&text)
                .map_err(|source| OpenError::File { path: path.clone(), source })?
        }
    })
}

fn readable(path: &Path) -> Result<String, OpenError> {
    fs::read_to_string(path).map_err(|source| OpenError::File { path: path.to_owned(), source })
}

/// Doubles, with full jitter.
fn backoff(attempt: usize) -> Duration {
    let doubled = Duration::from_millis(10 << attempt.min(6)).min(TRY_AGAIN_WITHIN);
    doubled.mul_f32(fastrand::f32())
}

async fn start_reading(shared: &Arc<Shared>, options: &Options) -> Result<Tasks, OpenError> {
    let subjects = &shared.subjects;
    let mut tasks = Tasks(Vec::new());
    for subject in [subjects.heartbeats(), subjects.notices()] {
        let subscriber = subscribe(shared, options, subject).await?;
        let reading = reading::announcements(shared.clone(), subscriber);
        tasks.0.push(tokio::spawn(reading).abort_handle());
    }
    let subscriber = subscribe(shared, options, subjects.answers(&shared.me)).await?;
    tasks.0.push(tokio::spawn(reading::answers(shared.clone(), subscriber)).abort_handle());
    Ok(tasks)
}

async fn subscribe(
    shared: &Shared,
    options: &Options,
    subject: String,
) -> Result<Subscriber, OpenError> {
    let subscribed = timeout(CONNECT_WITHIN, shared.client.subscribe(subject)).await;
    let lost = |reason| OpenError::Unreachable {
        servers: servers(options),
        patience: options.patience,
        reason,
    };
    subscribed
        .map_err(|_| lost("the connection was lost at once".to_owned()))?
        .map_err(|error| lost(error.to_string()))
}

/// Says something on every kind of subject and hears it. A server tells what it does not allow by an
/// error of the connection, and otherwise drops it without a word.
async fn is_allowed(shared: &Arc<Shared>, news: &News) -> Result<(), OpenError> {
    let needed = shared.subjects.everything();
    tokio::select! {
        heard = timeout(PROBES_WITHIN, hears_itself(shared)) => match heard {
            Ok(Ok(())) => Ok(()),
            _ => Err(OpenError::Silent { needed, within: PROBES_WITHIN }),
        },
        said = news.complaint() => Err(OpenError::Permissions { said, needed }),
    }
}

async fn hears_itself(shared: &Arc<Shared>) -> Result<(), AskError> {
    let subjects = &shared.subjects;
    let mut probes = Vec::new();
    for subject in [subjects.heartbeats(), subjects.notices()] {
        probes.push(probe(shared, |_| subject));
    }
    let mut own = Vec::new();
    for subject in [subjects.node(&shared.me.name), subjects.room(RoomId([0; 15]))] {
        own.extend(shared.client.subscribe(subject.clone()).await.ok());
        probes.push(probe(shared, |_| subject));
    }
    let own = own.into_iter().map(|subscriber| reading::probe(shared, subscriber));
    let heard = join_all(probes.into_iter().map(Ticket::answered));
    let (heard, _) = tokio::join!(heard, join_all(own));
    heard.into_iter().collect::<Result<Vec<_>, _>>()?;
    // Behind the ends of those two subscriptions: no question is lost in them.
    let last = probe(shared, |number| subjects.answer(&shared.me, number));
    last.answered().await.map(drop)
}

fn probe(shared: &Shared, subject: impl FnOnce(u64) -> String) -> Ticket {
    let ticket = shared.waiting.begin();
    shared.send(subject(ticket.number), Kind::Probe, ticket.number, &[]);
    ticket
}
