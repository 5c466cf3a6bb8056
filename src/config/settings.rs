//! The list of all settings: type, default, range and meaning, each once.

use super::value::{LogFormat, Secret, Secrets, Value};
use ipnet::IpNet;
use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

/// One entry of the list: how a setting is named, explained, read and shown.
pub struct Setting {
    /// The key in the file; flag and environment variable follow from it.
    pub name: &'static str,
    /// The heading it stands under.
    pub group: &'static str,
    /// What it does, its unit, the meaning of zero, the effect past the limit.
    pub help: &'static str,
    /// Smallest and largest usable number; `None` for what is no number.
    pub(super) range: Option<RangeInclusive<u64>>,
    pub(super) read_text: fn(&mut Settings, &str) -> Result<Option<u64>, String>,
    pub(super) read_toml: fn(&mut Settings, &toml::Value) -> Result<Option<u64>, String>,
    pub(super) show: fn(&Settings) -> toml::Value,
    pub(super) is_secret: bool,
    is_default: fn(&Settings) -> bool,
}

impl Setting {
    /// `frames-per-second`, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// `MADANG_FRAMES_PER_SECOND`.
    pub fn variable(&self) -> String {
        format!("MADANG_{}", self.name.to_ascii_uppercase())
    }

    /// Whether its value in these settings is kept from everybody.
    pub(super) fn is_hidden(&self, settings: &Settings) -> bool {
        self.is_secret && !(self.is_default)(settings)
    }

    /// Its value in these settings, as the file would have it; nothing of a secret.
    pub fn shown(&self, settings: &Settings) -> String {
        (self.show)(settings).to_string()
    }
}

macro_rules! settings {
    ($($group:literal { $(
        $(#[doc = $help:literal])+
        $name:ident: $type:ty = $default:expr $(, in $range:expr)?;
    )+ })+) => {
        /// Everything an operator can decide. `Settings::default()` holds the defaults.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings { $($(
            $(#[doc = $help])+
            pub $name: $type,
        )+)+ }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($name: $default,)+)+ }
            }
        }

        /// Every setting, in the order shown to operators.
        pub static SETTINGS: &[Setting] = &[$($(Setting {
            name: stringify!($name),
            group: $group,
            help: concat!($($help, "\n"),+),
            range: settings!(@range $($range)?),
            read_text: |settings, text| {
                settings.$name = Value::from_text(text)?;
                Ok(settings.$name.number())
            },
            read_toml: |settings, value| {
                settings.$name = Value::from_toml(value)?;
                Ok(settings.$name.number())
            },
            show: |settings| settings.$name.to_toml(),
            is_secret: <$type as Value>::IS_SECRET,
            is_default: |settings| {
                let default: $type = $default;
                settings.$name == default
            },
        },)+)+];
    };
    (@range) => { None };
    (@range $range:expr) => { Some($range) };
}

settings! {
"Node" {
    /// Address and port the node listens on; port 0 takes a free one. An occupied address is
    /// refused by name.
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8080));
    /// Another address for /healthz, /readyz and /metrics; they leave `listen` then. Empty: none.
    metrics_listen: Option<SocketAddr> = None;
    /// Another address for operators (/admin/...), who need the token in the file `admin-token` of
    /// `data_dir`. Empty, or `off`: none.
    admin_listen: Option<SocketAddr> = Some(SocketAddr::from(([127, 0, 0, 1], 8081)));
    /// File with the certificate of `listen` and those that vouch for it, in PEM: clients come by
    /// https and wss then. Read again on SIGHUP, together with `tls_key`. Empty: no TLS.
    tls_cert: Option<PathBuf> = None;
    /// File with the certificate's private key, in PEM.
    tls_key: Option<PathBuf> = None;
    /// Directory of the embedded store, made if it is not there. One node at a time may use it.
    data_dir: PathBuf = PathBuf::from("./data");
    /// Threads that hold connections and rooms. 0 = one less than there are cores, at least 1.
    edge_arbiters: usize = 0, in 0..=256;
    /// Threads that wait for the store. 0 = 2: with the embedded store one of them only commits messages.
    store_arbiters: usize = 0, in 0..=64;
    /// Milliseconds from SIGTERM until the process ends at the latest; clients are told to
    /// reconnect at random points within it.
    drain_timeout_ms: u64 = 10_000, in 100..=3_600_000;
    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or a filter such as
    /// `info,madang::edge=debug`.
    log: String = "info".to_owned();
    /// How it is logged: `text`, or `json` with one object per line.
    log_format: LogFormat = LogFormat::Text;
}
"Cluster" {
    /// The node's name: unique in its cluster, the same after a restart; 1 to 64 of `A-Z a-z 0-9 _ -`.
    /// Needed with `nats`. Empty: made up anew at each start.
    node_name: Option<String> = None;
    /// Servers of NATS, separated by commas, such as `nats://10.0.0.1:4222` or `tls://...`: over them
    /// the nodes of a cluster find and hear each other. Kept secret, for an address may hold a
    /// password. Needs `mongo`. Empty: a single node.
    nats: Secrets = Secrets::default();
    /// User at NATS. With `nats_password`.
    nats_user: Option<String> = None;
    /// Password of `nats_user`.
    nats_password: Secret = Secret::default();
    /// Token for NATS, where it takes one.
    nats_token: Secret = Secret::default();
    /// File with the seed of an nkey, by which NATS knows the node.
    nats_nkey: Option<PathBuf> = None;
    /// File of the kind `.creds`, by which NATS knows the node.
    nats_credentials: Option<PathBuf> = None;
    /// File with the certificates, in PEM, of whom those of the NATS servers are. Empty: as the
    /// operating system has it.
    nats_ca: Option<PathBuf> = None;
    /// Which cluster the node is of, where several share one NATS: 1 to 64 of `A-Z a-z 0-9 _ -`.
    cluster_name: String = "madang".to_owned();
    /// MongoDB, where the data is instead of in `data_dir`: a replica set such as
    /// `mongodb://10.0.0.1,10.0.0.2,10.0.0.3/?replicaSet=rs0`. Kept secret, for it may hold a
    /// password. Empty: the embedded store.
    mongo: Secret = Secret::default();
    /// The database there; it belongs to this node or its cluster alone, and is made if it is empty.
    mongo_database: String = "madang".to_owned();
    /// Redis, by which login limits and who is online count for all nodes together:
    /// `redis://10.0.0.1:6379`, `redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/service` or
    /// `redis+cluster://10.0.0.1:6379,10.0.0.2:6379`; `rediss` for TLS. Kept secret, for it may hold a
    /// password. Empty, and while it is away: each node counts for itself.
    redis: Secret = Secret::default();
    /// File with the certificates, in PEM, of whom those of the Redis servers are. Empty: as the
    /// operating system has it. For MongoDB this is `tlsCAFile` in its URI.
    redis_ca: Option<PathBuf> = None;
    /// Milliseconds to wait at the start for each of the servers. Beyond: the node ends.
    start_wait_ms: u64 = 60_000, in 100..=3_600_000;
}
"Connections" {
    /// Connections of any kind at once. 0 = off: as many as there are file descriptors for, which
    /// holds in any case. Beyond: HTTP 503 `overloaded`.
    max_connections: usize = 100_000, in 0..=10_000_000;
    /// The same, of one address (IPv6: of one /64); behind a trusted proxy only WebSockets count,
    /// to the address that was forwarded. 0 = off.
    max_connections_per_address: usize = 0, in 0..=10_000_000;
    /// Addresses and prefixes of proxies, separated by commas, such as `10.0.0.0/8`: of what they
    /// send, the last entry of `X-Forwarded-For` that is none of them is the client's address.
    trusted_proxies: Vec<IpNet> = Vec::new();
    /// Origins of web pages that may use the node, separated by commas, such as
    /// `https://chat.example.org`; `*` = all. Empty: pages served from the same host. Others are
    /// closed with 4003.
    allowed_origins: Vec<String> = Vec::new();
    /// Milliseconds a connection may take for the TLS handshake. Beyond: closed.
    tls_handshake_timeout_ms: u64 = 10_000, in 10..=3_600_000;
    /// Milliseconds a connection may take to send the head of a request, also the longest pause
    /// between two requests. Beyond: closed.
    header_timeout_ms: u64 = 10_000, in 10..=3_600_000;
    /// Milliseconds a request's body may take to arrive. Beyond: `unavailable`.
    body_timeout_ms: u64 = 10_000, in 10..=3_600_000;
    /// Milliseconds a request may take in all. Beyond: `unavailable`.
    request_timeout_ms: u64 = 30_000, in 10..=3_600_000;
    /// Milliseconds a WebSocket connection may take until `hello`. Beyond: closed with 4001.
    hello_timeout_ms: u64 = 10_000, in 10..=3_600_000;
    /// Whether `/v1/echo` takes WebSockets and says back whatever it is told: for suites that test
    /// framing. Anybody may use it, so not for a node that others reach.
    websocket_echo: bool = false;
    /// Milliseconds between two pings. A connection silent for two of them is closed with 4002.
    heartbeat_ms: u64 = 25_000, in 50..=3_600_000;
}
"Messages" {
    /// Frames a second that one connection may send in the long run. 0 = off. Beyond:
    /// `rate_limited`; 1,000 refusals in 10 s are closed with 4029.
    frames_per_second: u32 = 50, in 0..=1_000_000;
    /// Frames that one connection may send at once before `frames_per_second` holds. 0 counts
    /// as 1.
    frames_burst: u32 = 200, in 0..=10_000_000;
    /// Sends of one connection that wait for their answer. 0 = off. Beyond: `overloaded`.
    in_flight_sends: usize = 32, in 0..=65_536;
    /// Bytes of one message's text. 0 = off: only `frame_bytes_max` holds. Beyond: `too_large`.
    body_bytes_max: usize = 16_384, in 0..=16_777_216;
    /// Bytes of one frame, or of one request's body, from a client. 0 = off: one client can fill
    /// the memory. Beyond: closed with 1009, or `too_large`.
    frame_bytes_max: usize = 131_072, in 0..=67_108_864;
    /// Rooms one connection may be subscribed to. 0 = off. Beyond: `full`; `all` takes the latest.
    subscriptions_max: usize = 1_000, in 0..=1_000_000;
    /// Missed messages of one room that are sent again after a reconnect. 0 = off: all of them.
    /// Beyond: the newest, and the answer says which to read with `history`.
    replay_limit: u64 = 1_000, in 0..=1_000_000;
    /// Milliseconds a send waits for its commit. 0 = off: as long as it takes, over HTTP until
    /// `request_timeout_ms`. Beyond: `unavailable`.
    send_wait_ms: u64 = 15_000, in 0..=3_600_000;
    /// Milliseconds between two writes of read receipts, each all that came in between. A crash loses
    /// no more than that.
    receipt_flush_ms: u64 = 1_000, in 10..=60_000;
    /// Members up to which presence is told in a room. Beyond: `presence` looks at the first so many,
    /// and says `truncated`.
    presence_members_max: usize = 1_000, in 1..=10_000;
    /// Milliseconds a read waits for the store. Beyond: `unavailable`.
    read_wait_ms: u64 = 5_000, in 10..=3_600_000;
    /// Bytes that may wait for one slow reader. 0 = off: one reader can fill the memory. Beyond
    /// three quarters: it gets a room's messages in pages, as fast as it reads. Beyond all, or when it
    /// reads nothing: closed with 4008.
    /// At least 16 times `body_bytes_max`.
    outbox_bytes_max: usize = 1_048_576, in 0..=1_073_741_824;
    /// Frames that may wait for one slow reader. 0 = off. Beyond: as above.
    /// At least 1,024.
    outbox_frames_max: usize = 4_096, in 0..=16_777_216;
}
"Accounts" {
    /// Whether anybody may sign up. `false`: answered `forbidden`.
    signup: bool = true;
    /// Signups from one address within a minute. 0 = off. Beyond: `rate_limited`.
    signups_per_minute: u32 = 20, in 0..=1_000_000;
    /// Logins from one address within a minute, right or wrong; wrong API keys count, too. 0 = off.
    /// Beyond: `blocked`.
    logins_per_minute: u32 = 60, in 0..=1_000_000;
    /// Seconds an address stays blocked that logged in too often. 0 = off: none is blocked.
    login_block_seconds: u64 = 180, in 0..=86_400;
    /// Days after which an unused session ends.
    session_days: u64 = 30, in 1..=3_650;
    /// Milliseconds between two writes of when sessions were used last, each all that came in
    /// between; an open connection is use. A crash forgets no more than that. 0 = off: a session ends
    /// `session_days` after its login, used or not.
    last_seen_flush_ms: u64 = 60_000, in 0..=3_600_000;
    /// Milliseconds between two looks at whether the sessions of open connections are there still, in
    /// one read for all. Those of ended ones are closed with 4001. 0 = off: a connection stays open
    /// whose session expires.
    session_recheck_ms: u64 = 60_000, in 0..=3_600_000;
    /// Whether a user has one session at a time: a login ends the others, whose connections are
    /// closed with 4009.
    single_session: bool = false;
    /// Keys for `POST /v1/tokens`, separated by commas: with one a product that has accounts of
    /// its own starts sessions for its users. Each of at least 16 characters, not to be guessed.
    /// Secret: better in the file or the environment than in a flag, which other users of the
    /// machine can see. Empty: answered `forbidden`.
    api_keys: Secrets = Secrets::default();
    /// Threads that hash passwords, at the lowest priority; each takes 19 MiB while it does, and some
    /// 20 ms of a core for each password. 0 = half as many as there are cores, at least 1, so that
    /// others are not kept waiting.
    hash_threads: usize = 0, in 0..=256;
    /// Passwords that wait for a hashing thread, or behind others of the same account. Beyond:
    /// `overloaded`.
    hash_queue: usize = 128, in 1..=65_536;
}
}

/// What a wait that is switched off still ends after: no wait is without a deadline.
const OFF_WAIT: Duration = Duration::from_hours(24);

impl Settings {
    /// Whether clients come by https and wss.
    pub fn has_tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// The number of edge threads, 0 resolved.
    pub fn edge_arbiter_count(&self) -> usize {
        if self.edge_arbiters > 0 { self.edge_arbiters } else { (cores() - 1).max(1) }
    }

    /// Writes under way at once, each with rooms of its own: MongoDB takes several, the embedded store has
    /// one write transaction.
    pub fn store_writer_count(&self) -> usize {
        if self.mongo.reveal().is_some() { 4 } else { 1 }
    }

    /// The number of store threads, 0 resolved.
    pub fn store_arbiter_count(&self) -> usize {
        if self.store_arbiters > 0 { self.store_arbiters } else { 2 }
    }

    /// How long to wait at the start for each of the servers.
    pub fn start_wait(&self) -> Duration {
        Duration::from_millis(self.start_wait_ms)
    }

    /// The number of hashing threads, 0 resolved.
    pub fn hash_thread_count(&self) -> usize {
        if self.hash_threads > 0 { self.hash_threads } else { (cores() / 2).max(1) }
    }

    /// How long a send waits for its commit, 0 resolved.
    pub fn send_wait(&self) -> Duration {
        match self.send_wait_ms {
            0 => OFF_WAIT,
            wait_ms => Duration::from_millis(wait_ms),
        }
    }

    /// How long a read waits for the store.
    pub fn read_wait(&self) -> Duration {
        Duration::from_millis(self.read_wait_ms)
    }

    /// How often the last use of sessions is written; `None`: use is not noted.
    pub fn last_seen_flush(&self) -> Option<Duration> {
        (self.last_seen_flush_ms > 0).then(|| Duration::from_millis(self.last_seen_flush_ms))
    }

    /// How long a session lives unless used, in milliseconds.
    pub fn session_lifetime_ms(&self) -> u64 {
        self.session_days * 24 * 60 * 60 * 1_000
    }
}

/// A limit that is off at 0, as the number to compare with.
pub fn or_unlimited(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_resolved() {
        let settings = Settings { send_wait_ms: 0, hash_threads: 3, ..Settings::default() };
        assert!(settings.edge_arbiter_count() >= 1);
        assert_eq!(settings.hash_thread_count(), 3);
        assert_eq!(settings.send_wait(), OFF_WAIT);
        assert_eq!(settings.session_lifetime_ms(), 2_592_000_000);
        assert_eq!(or_unlimited(0), usize::MAX);
        assert_eq!(or_unlimited(7), 7);
    }

    #[test]
    fn every_setting_is_explained() {
        for setting in SETTINGS {
            let help = setting.help.trim();
            assert!(help.len() > 20 && help.ends_with('.'), "{}: {help:?}", setting.name);
        }
    }
}
