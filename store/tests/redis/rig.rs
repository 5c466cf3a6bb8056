//! Servers that the tests of this program share, each with a key prefix of its own.

use madang_servers::{
    Server,
    redis::{self, Cluster, Sentinels},
};
use madang_store::{
    limits::Rules,
    redis::{Options, Parts},
};
use std::{
    net::SocketAddr,
    sync::{
        Once, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Most cases do not care.
pub(crate) const RULES: Rules =
    Rules { logins_per_minute: 60, login_block_ms: 180_000, signups_per_minute: 20 };

/// The answer that nobody waits longer for, on a machine that does other things as well.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_millis(700);
/// The same behind an open breaker.
pub(crate) const REFUSED_WITHIN: Duration = Duration::from_millis(50);

/// How long an answer may take where it does not matter.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs on a thread of its own for as long as the program does: a server belongs to the runtime it
/// was started on, and that of a test ends with it.
fn keep<T: Send + Sync + 'static>(
    place: &'static OnceLock<T>,
    start: impl AsyncFnOnce() -> T + Send + 'static,
) -> &'static T {
    place.get_or_init(move || {
        let (sender, started) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                sender.send(start().await).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        started.recv().expect("it starts")
    })
}

/// Shared servers are never dropped, so they end with the program.
static END_ONCE: [Once; 3] = [const { Once::new() }; 3];

pub(crate) fn alone() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = keep(&SERVER, redis::alone);
    END_ONCE[0].call_once(|| server.end_with_program());
    server
}

pub(crate) fn sentinels() -> &'static Sentinels {
    static SERVERS: OnceLock<Sentinels> = OnceLock::new();
    let set = keep(&SERVERS, Sentinels::start);
    END_ONCE[1].call_once(|| {
        let all = set.sentinels.iter().chain([&set.master, &set.replica]);
        all.for_each(Server::end_with_program);
    });
    set
}

pub(crate) fn cluster() -> &'static Cluster {
    static SERVERS: OnceLock<Cluster> = OnceLock::new();
    let set = keep(&SERVERS, Cluster::start);
    END_ONCE[2].call_once(|| set.masters.iter().for_each(Server::end_with_program));
    set
}

/// A cluster name that no other test has.
pub(crate) fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn open(url: impl Into<String>, cluster: &str, rules: Rules) -> Parts {
    madang_store::redis::open(&Options::new(url, cluster), rules).expect("good options")
}

/// For what is not about time, on a machine that is as busy as it likes.
pub(crate) fn patient(url: impl Into<String>, rules: Rules) -> Parts {
    let options = Options { call_wait: PATIENCE, ..Options::new(url, fresh()) };
    madang_store::redis::open(&options, rules).expect("good options")
}

pub(crate) fn at(address: SocketAddr) -> Parts {
    open(format!("redis://{address}"), &fresh(), RULES)
}

/// What a call answers, and how long that took.
pub(crate) async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (call.await, began.elapsed())
}
