//! The way to the server: bounded, within a deadline, behind a breaker.

use super::{
    OpenError, Options,
    connect::{self, Manager},
    keys::{Bucket, Keys},
    target::Target,
};
use crate::StoreError;
use ::redis::{Cmd, ErrorKind, RedisError, Value};
use bb8_redis::bb8::{Pool, RunError};
use madang_resilience::{BreakerState, Circuit, Interrupted, Part, RetryRules, State, retrying};
use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout_at},
};

/// How often the server is asked in the background while all is well, and while it is not; then the
/// breaker decides which of these reach it.
const LOOK_MS: u64 = 5_000;
const LOOK_AGAIN_MS: u64 = 250;

/// Shared by everything that speaks to one Redis.
pub(super) struct Link {
    pool: Pool<Manager>,
    failed: watch::Receiver<Option<Arc<RedisError>>>,
    circuit: Circuit,
    /// Calls under way or waiting; none waits for this.
    calls: Semaphore,
    wait: Duration,
    keys: Keys,
    servers: String,
    is_cluster: bool,
    health: Mutex<Part>,
    /// Where connections live: what drives them must not be an arbiter that never waits.
    runtime: Handle,
}

/// Commands to be asked together.
pub(super) struct Batch {
    /// Goes before the others, to every server asked.
    pub(super) prelude: Option<Cmd>,
    /// Each with the bucket of its key.
    pub(super) commands: Vec<(Bucket, Cmd)>,
}

/// Why there is no answer.
enum Failure {
    Redis(RedisError),
    NoConnection,
    /// The runtime of the connections has ended.
    Stopped,
}

impl Link {
    pub(super) fn open(options: &Options) -> Result<Arc<Self>, OpenError> {
        let (target, keys) = (Target::read(&options.url)?, Keys::new(&options.cluster)?);
        let servers = target.servers();
        let manager = Manager::new(target, options.ca_pem.clone(), options.call_wait)?;
        let (failed, is_cluster) = (manager.failed(), manager.is_cluster());
        let link = Arc::new(Self {
            pool: connect::pool(manager, options.connections_max, options.call_wait),
            failed,
            circuit: Circuit::new(options.breaker),
            calls: Semaphore::new(options.calls_max),
            wait: options.call_wait,
            keys,
            servers,
            is_cluster,
            health: Mutex::new(Part { state: State::Ok, since: now() }),
            runtime: Handle::current(),
        });
        tokio::spawn(look(Arc::downgrade(&link)));
        Ok(link)
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.is_cluster
    }

    pub(super) fn health(&self) -> Part {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one command.
    pub(super) async fn ask_one(
        self: &Arc<Self>,
        bucket: Bucket,
        command: Cmd,
    ) -> Result<Value, StoreError> {
        let batch = Batch { prelude: None, commands: vec![(bucket, command)] };
        Ok(self.ask(batch).await?.pop().unwrap_or(Value::Nil))
    }

    /// Asks all at once; answers in the order asked, or an error when one of them has none. What was
    /// asked may then have happened, more than once even: it is tried again where the server was
    /// not the right one, or the connection broke.
    pub(super) async fn ask(self: &Arc<Self>, batch: Batch) -> Result<Vec<Value>, StoreError> {
        if batch.commands.is_empty() {
            return Ok(Vec::new());
        }
        let Ok(_place) = self.calls.try_acquire() else { return Err(StoreError::Overloaded) };
        let (batch, deadline) = (Arc::new(batch), Instant::now() + self.wait);
        let attempt = || {
            let left = deadline.saturating_duration_since(Instant::now());
            let call = self.clone().attempt(batch.clone(), deadline);
            self.circuit.call(left, |_| true, call)
        };
        let answer = retrying(RetryRules::default(), deadline, is_worth_another, attempt).await;
        self.note(&answer);
        answer.map_err(|why| StoreError::Unavailable(format!("redis: {}", text(&why))))
    }

    /// Asks past breaker and retries, for whoever wants to know what is the matter.
    pub(super) async fn ask_anyway(
        self: &Arc<Self>,
        batch: Batch,
        wait: Duration,
    ) -> Result<Vec<Value>, String> {
        let call = self.clone().attempt(Arc::new(batch), Instant::now() + wait);
        call.await.map_err(|failure| failure.text())
    }

    /// On the runtime of the connections, and to its end also when nobody waits any more.
    async fn attempt(
        self: Arc<Self>,
        batch: Arc<Batch>,
        deadline: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let runtime = self.runtime.clone();
        let task = runtime.spawn(async move {
            let call = self.call(&batch);
            timeout_at(deadline, call).await.unwrap_or(Err(Failure::NoConnection))
        });
        task.await.unwrap_or(Err(Failure::Stopped))
    }

    async fn call(&self, batch: &Batch) -> Result<Vec<Value>, Failure> {
        // Looked at before asking for a connection, so that a failure after that is heard of.
        let mut failed = self.failed.clone();
        failed.mark_unchanged();
        let mut connection = tokio::select! {
            biased;
            connection = self.pool.get() => connection.map_err(|why| match why {
                RunError::User(error) => Failure::Redis(error),
                RunError::TimedOut => Failure::NoConnection,
            })?,
            _ = failed.changed() => {
                let error = failed.borrow_and_update().clone();
                return Err(error.map_or(Failure::NoConnection, |error| {
                    Failure::Redis(RedisError::clone(&error))
                }));
            }
        };
        connection.ask(batch.prelude.as_ref(), &batch.commands).await.map_err(Failure::Redis)
    }

    /// Overload is ours, so it says nothing about the server.
    fn note<T>(&self, answer: &Result<T, Interrupted<Failure>>) {
        let state = if answer.is_ok() { State::Ok } else { State::Degraded };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.state == state {
            return;
        }
        *health = Part { state, since: now() };
        match answer {
            Ok(_) => tracing::info!(servers = %self.servers, "redis answers again"),
            Err(why) => {
                let why = text(why);
                tracing::warn!(servers = %self.servers, %why, "redis gives no answer");
            }
        }
    }

    async fn look(self: &Arc<Self>) {
        let (bucket, key) = self.keys.of("look", &[]);
        let mut command = ::redis::cmd("EXISTS");
        command.arg(key);
        // What came of it is noted on the way.
        let _ = self.ask_one(bucket, command).await;
    }

    fn is_well(&self) -> bool {
        self.circuit.state() == BreakerState::Closed && self.health().state == State::Ok
    }
}

/// Asks now and then, so that what is known of the server is true without calls. Ends with the link.
async fn look(link: Weak<Link>) {
    loop {
        let Some(now) = link.upgrade() else { return };
        let wait_ms = if now.is_well() { LOOK_MS } else { LOOK_AGAIN_MS };
        drop(now);
        let looks = (wait_ms / LOOK_AGAIN_MS).max(1);
        for _ in 0..looks {
            sleep(Duration::from_millis(LOOK_AGAIN_MS)).await;
            match link.upgrade() {
                None => return,
                Some(link) if !link.is_well() => break,
                Some(_) => {}
            }
        }
        let Some(link) = link.upgrade() else { return };
        link.look().await;
    }
}

/// Another attempt may reach another master, or a server that is done loading. One that took all
/// the time, or was not made, is not repeated; nor is what will be refused again.
fn is_worth_another(why: &Interrupted<Failure>) -> bool {
    let Interrupted::Failed(Failure::Redis(error)) = why else { return false };
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => false,
        ErrorKind::Io | ErrorKind::Parse => !error.is_timeout(),
        ErrorKind::Server(_) | ErrorKind::Extension => !is_final(error.code().unwrap_or_default()),
        _ => true,
    }
}

/// What the server will say again.
fn is_final(code: &str) -> bool {
    matches!(code, "ERR" | "NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE" | "OOM" | "CROSSSLOT")
}

fn text(why: &Interrupted<Failure>) -> String {
    match why {
        Interrupted::Failed(failure) => failure.text(),
        Interrupted::Open { .. } => "not asked, it gave no answers lately".to_owned(),
        Interrupted::Late => "no answer in time".to_owned(),
    }
}

impl Failure {
    /// Without what was asked: keys name users. The server's words for a refused command may quote
    /// its arguments, so only their code is told.
    fn text(&self) -> String {
        match self {
            Self::Redis(error) => match error.code() {
                Some(code) => format!("the server says {code}"),
                None => format!("{} ({})", error.category(), short(error)),
            },
            Self::NoConnection => "no connection in time".to_owned(),
            Self::Stopped => "the node is stopping".to_owned(),
        }
    }
}

fn short(error: &RedisError) -> String {
    let text = error.to_string();
    text.chars().take(120).collect()
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
