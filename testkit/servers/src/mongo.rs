//! MongoDB: a replica set of three members, and a server that is in none.

use crate::{
    Server, free_address,
    proxy::{Mode, Proxy},
    tools, wait,
};
use mongodb::{
    Client,
    bson::{Bson, Document, doc},
    options::{ClientOptions, ServerAddress},
};
use std::{
    ffi::OsString,
    fs::{self, Permissions},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

/// The name of every set that is started here.
const SET: &str = "madang";
/// Without a word from the primary for so long the others elect another one, milliseconds.
const ELECTION_TIMEOUT_MS: i64 = 2_000;
/// The same where no member is ever lost, and only a busy machine could make it look so.
const STEADY_MS: i64 = 120_000;
/// Between two words, milliseconds.
const HEARTBEAT_MS: i64 = 500;
/// Until a member answers a question of ours.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Until a member that is there is found.
const FOUND_WITHIN: Duration = Duration::from_secs(1);
/// Until a set that was started, or lost a member, takes majority writes again.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// Three `mongod` that are one replica set; ended when dropped.
#[derive(Debug)]
pub struct ReplicaSet {
    members: Vec<Server>,
    /// Before each member, if the set was started so: everybody comes through, other members too.
    proxies: Vec<Proxy>,
    election_timeout_ms: i64,
}

impl ReplicaSet {
    /// Starts three members and makes them one set. Returns once all three hold what the others
    /// hold and a write was acknowledged by each.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn start() -> Self {
        Self::of(three().await, Vec::new(), ELECTION_TIMEOUT_MS).await
    }

    /// The same, for tests that leave the members alone: the first one stays primary, however long
    /// the machine lets it wait.
    ///
    /// # Panics
    /// As [`ReplicaSet::start`].
    pub async fn steady() -> Self {
        Self::of(three().await, Vec::new(), STEADY_MS).await
    }

    /// The same with a [`Proxy`] before each member, so that it can be cut off from the others, and
    /// from single clients that give their application names.
    ///
    /// # Panics
    /// As [`ReplicaSet::start`].
    pub async fn behind_proxies() -> Self {
        let members = three().await;
        let mut proxies = Vec::new();
        for member in &members {
            proxies.push(Proxy::of_member(member.address()).await);
        }
        Self::of(members, proxies, ELECTION_TIMEOUT_MS).await
    }

    async fn of(members: Vec<Server>, proxies: Vec<Proxy>, election_timeout_ms: i64) -> Self {
        let set = Self { members, proxies, election_timeout_ms };
        set.initiate().await;
        set.is_whole().await;
        // Only now all follow the first. One that has just begun to waits for a minute for its first
        // answer, and if the first is frozen meanwhile, there is no majority without it.
        set.written(Bson::Int32(3)).await;
        set
    }

    /// How a driver finds the set.
    pub fn uri(&self) -> String {
        let hosts: Vec<_> = (0..self.members.len()).map(|place| self.host(place)).collect();
        format!("mongodb://{}/?replicaSet={SET}", hosts.join(","))
    }

    /// Where everybody finds a member.
    fn host(&self, place: usize) -> String {
        let behind = self.proxies.get(place).map(Proxy::address);
        behind.unwrap_or_else(|| self.members[place].address()).to_string()
    }

    /// The members, in the order they were started in.
    pub fn members(&self) -> &[Server] {
        &self.members
    }

    /// One of them, to be killed, paused or started again.
    pub fn member(&mut self, place: usize) -> &mut Server {
        &mut self.members[place]
    }

    /// What passes between one client and the set of [`ReplicaSet::behind_proxies`] from now on.
    pub fn set_for(&self, application: &str, mode: Mode) {
        self.proxies.iter().for_each(|proxy| proxy.set_for(application, mode));
    }

    /// How often this was said by those to whom such a set was a blackhole.
    pub fn swallowed(&self, what: &[u8]) -> usize {
        self.proxies.iter().map(|proxy| proxy.swallowed(what)).sum()
    }

    /// What passes between one member of such a set and the others from now on.
    pub fn set_among(&self, place: usize, mode: Mode) {
        let port = |place: usize| self.members[place].address().port().to_string();
        for other in (0..self.members.len()).filter(|other| *other != place) {
            self.proxies[other].set_for(&port(place), mode);
            self.proxies[place].set_for(&port(other), mode);
        }
    }

    /// How often each of these commands was asked of the primary since it was started.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn asked<const N: usize>(&self, commands: [&str; N]) -> [u64; N] {
        self.asked_at(self.primary().await, commands).await
    }

    /// The same of one member.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn asked_at<const N: usize>(&self, place: usize, commands: [&str; N]) -> [u64; N] {
        let member = self.members[place].address();
        let status = ask(member, doc! { "serverStatus": 1 }).await.expect("its status");
        let all = status.get_document("metrics").and_then(|all| all.get_document("commands"));
        let all = all.expect("commands are counted");
        commands.map(|name| {
            let one = all.get_document(name).expect("a command");
            one.get_i64("total").expect("a count").unsigned_abs()
        })
    }

    /// The place of the member that is primary and that a majority follows.
    ///
    /// # Panics
    /// When there is none for a minute.
    pub async fn primary(&self) -> usize {
        wait::until("a primary", WRITES_WITHIN, async || {
            for (place, member) in self.members.iter().enumerate() {
                let answer = ask(member.address(), doc! { "hello": 1 }).await;
                let is_primary = |answer: &Document| answer.get_bool("isWritablePrimary");
                if answer.is_some_and(|answer| is_primary(&answer).unwrap_or(false)) {
                    return Some(place);
                }
            }
            None
        })
        .await
    }

    /// Waits until a majority write is acknowledged.
    ///
    /// # Panics
    /// When none is for a minute.
    pub async fn takes_writes(&self) {
        self.written("majority".into()).await;
    }

    /// Waits until so many members have a write that is made now.
    async fn written(&self, members: Bson) {
        let write = doc! {
            "update": "written",
            "updates": [{ "q": { "_id": 1 }, "u": { "$inc": { "times": 1 } }, "upsert": true }],
            "writeConcern": { "w": members, "j": true, "wtimeout": 1_000 },
        };
        wait::until("a write", WRITES_WITHIN, async || {
            let primary = self.members[self.primary().await].address();
            let answer = ask_of(primary, "test_kit", write.clone()).await?;
            (!answer.contains_key("writeConcernError")).then_some(())
        })
        .await;
    }

    /// Has a member fail commands as `data` of the server's fail point `failCommand` says, so many
    /// `times`.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn fail_commands(&self, place: usize, times: i32, data: Document) {
        let point = doc! {
            "configureFailPoint": "failCommand",
            "mode": { "times": times },
            "data": data,
        };
        let answer = ask(self.members[place].address(), point).await;
        assert!(answer.is_some(), "a fail point could not be set");
    }

    /// Has every member take so long for each read of a collection, from now on.
    ///
    /// # Panics
    /// When one does not answer.
    pub async fn slow_reads(&self, database: &str, collection: &str, by: Duration) {
        let millis = i32::try_from(by.as_millis()).expect("seconds");
        let data = doc! {
            "failCommands": ["find", "aggregate"], "namespace": format!("{database}.{collection}"),
            "blockConnection": true, "blockTimeMS": millis,
        };
        for place in 0..self.members.len() {
            self.fail_commands(place, i32::MAX, data.clone()).await;
        }
    }

    /// Has a secondary fetch nothing more of what is written, while it goes on to answer; or has it
    /// go on with that.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn hold_back(&self, place: usize, holds: bool) {
        let mode = if holds { "alwaysOn" } else { "off" };
        let point = doc! { "configureFailPoint": "stopReplProducer", "mode": mode };
        let answer = ask(self.members[place].address(), point).await;
        assert!(answer.is_some(), "a fail point could not be set");
    }

    /// Has every member refuse queries that would read a whole collection because no index fits.
    ///
    /// # Panics
    /// When one does not answer.
    pub async fn refuse_scans(&self) {
        for member in &self.members {
            let refuse = doc! { "setParameter": 1, "notablescan": true };
            assert!(ask(member.address(), refuse).await.is_some(), "a parameter could not be set");
        }
    }

    /// How often all members together were asked to find something in a collection since they were
    /// started: counted by the servers.
    ///
    /// # Panics
    /// When one does not answer.
    pub async fn reads(&self, database: &str, collection: &str) -> u64 {
        let mut reads = 0;
        for member in &self.members {
            let answer = ask(member.address(), doc! { "top": 1 }).await.expect("an answer");
            let totals = answer.get_document("totals").expect("totals of all collections");
            let Ok(of_it) = totals.get_document(format!("{database}.{collection}")) else {
                continue; // never asked for
            };
            let kinds = ["queries", "commands"];
            let counts =
                kinds.iter().filter_map(|kind| of_it.get_document(kind).ok()?.get("count"));
            reads += counts.filter_map(count_of).sum::<u64>();
        }
        reads
    }

    /// The set begins with one member, which is primary at once because nobody else could be; the
    /// others are added to it, one by one as the server wants it.
    async fn initiate(&self) {
        let first = self.members[0].address();
        let initiate = doc! { "replSetInitiate": self.configuration(1, 1) };
        wait::until("a set of one", WRITES_WITHIN, async || ask(first, initiate.clone()).await)
            .await;
        for count in 2..=self.members.len() {
            wait::until("one member more", WRITES_WITHIN, async || {
                let version = count as i64 * 1_000 + version_of(first).await?;
                let configuration = self.configuration(count, version);
                ask(first, doc! { "replSetReconfig": configuration }).await
            })
            .await;
        }
    }

    /// Waits until every member has a vote, which it gets once it holds what the first one holds.
    async fn is_whole(&self) {
        let first = self.members[0].address();
        wait::until("votes for all", WRITES_WITHIN, async || {
            let answer = ask(first, doc! { "hello": 1 }).await?;
            let voting = answer.get_array("hosts").ok()?.len();
            (voting == self.members.len()).then_some(())
        })
        .await;
    }

    fn configuration(&self, count: usize, version: i64) -> Document {
        let members: Vec<_> =
            (0..count).map(|id| doc! { "_id": id as i32, "host": self.host(id) }).collect();
        doc! {
            "_id": SET,
            "version": version,
            "members": members,
            "settings": {
                // Everybody fetches from the primary: one that is held back holds nobody else back.
                "chainingAllowed": false,
                "electionTimeoutMillis": self.election_timeout_ms,
                "heartbeatIntervalMillis": HEARTBEAT_MS,
                // A new primary asks even one that is cut off how far it is, and waits so long.
                "heartbeatTimeoutSecs": self.election_timeout_ms / 1_000,
            },
        }
    }
}

/// Servers write small numbers as they like.
fn count_of(value: &Bson) -> Option<u64> {
    let count = value.as_i64().or_else(|| value.as_i32().map(i64::from));
    u64::try_from(count?).ok()
}

async fn version_of(address: SocketAddr) -> Option<i64> {
    let answer = ask(address, doc! { "replSetGetConfig": 1 }).await?;
    let version = answer.get_document("config").ok()?.get("version")?.clone();
    version.as_i64().or_else(|| version.as_i32().map(i64::from))
}

/// A set of one member of a version that is too old for a node; ended when dropped.
#[derive(Debug)]
pub struct Old {
    server: Server,
}

/// Starts it.
///
/// # Panics
/// When that takes longer than a minute.
pub async fn old() -> Old {
    let server = start_of("mongod-old", free_address(), &["--replSet", SET]).await;
    initiate_alone(server.address()).await;
    Old { server }
}

impl Old {
    /// How a driver finds it.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet={SET}", self.server.address())
    }
}

/// A set of one member that wants credentials; ended when dropped.
#[derive(Debug)]
pub struct Guarded {
    server: Server,
}

/// The password of every user of a [`Guarded`] set.
pub const PASSWORD: &str = "correct horse";
/// The user who may do everything there.
pub const ROOT: &str = "root";

impl Guarded {
    /// Starts it, with [`ROOT`] as its only user.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn start() -> Self {
        Self::made_for(|_| Vec::new()).await
    }

    /// The same with further arguments, which depend on where it listens.
    ///
    /// # Panics
    /// As [`Guarded::start`].
    pub async fn made_for(further: impl FnOnce(SocketAddr) -> Vec<String>) -> Self {
        let address = free_address();
        let further = further(address);
        let mut arguments = vec!["--replSet", SET, "--auth", "--keyFile", "key"];
        arguments.extend(further.iter().map(String::as_str));
        let server = start_at(address, &arguments).await;
        let guarded = Self { server };
        let address = guarded.server.address();
        initiate_alone(address).await;
        let first_user = doc! { "createUser": ROOT, "pwd": PASSWORD, "roles": [{ "role": "root", "db": "admin" }] };
        wait::until("a user", WRITES_WITHIN, async || ask(address, first_user.clone()).await).await;
        guarded
    }

    /// How a driver finds it as this user.
    pub fn uri(&self, user: &str, password: &str) -> String {
        let password = password.replace(' ', "%20");
        let address = self.server.address();
        format!("mongodb://{user}:{password}@{address}/?replicaSet={SET}&authSource=admin")
    }

    /// Makes a user with [`PASSWORD`] who has one role on one database.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn add_user(&self, user: &str, role: &str, database: &str) {
        let root = Client::with_uri_str(self.uri(ROOT, PASSWORD)).await.expect("a URI");
        let role = doc! { "role": role, "db": database };
        let user = doc! { "createUser": user, "pwd": PASSWORD, "roles": [role] };
        root.database("admin").run_command(user).await.expect("root may make users");
    }
}

/// Makes a member a set of its own.
async fn initiate_alone(address: SocketAddr) {
    let member = doc! { "_id": 0, "host": address.to_string() };
    let initiate = doc! { "replSetInitiate": { "_id": SET, "members": [member] } };
    wait::until("a set of one", WRITES_WITHIN, async || ask(address, initiate.clone()).await).await;
}

/// Starts a `mongod` that is in no set.
pub async fn standalone() -> Server {
    start(&[]).await
}

async fn three() -> Vec<Server> {
    let (first, second, third) = tokio::join!(member(), member(), member());
    vec![first, second, third]
}

async fn member() -> Server {
    start(&["--replSet", SET]).await
}

async fn start(further: &[&str]) -> Server {
    start_at(free_address(), further).await
}

async fn start_at(address: SocketAddr, further: &[&str]) -> Server {
    start_of("mongod", address, further).await
}

async fn start_of(program: &str, address: SocketAddr, further: &[&str]) -> Server {
    let arguments = |directory: &Path| {
        write_key(&directory.join("key"));
        arguments(directory, address, further)
    };
    Server::start(tools::find(program), address, arguments).await
}

/// What members of a set that wants credentials know each other by; others do not look at it.
fn write_key(path: &Path) {
    fs::write(path, "bm90aGluZyBzZWNyZXQ=").expect("a file");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("permissions");
}

/// Small, and without what a test never looks at.
fn arguments(directory: &Path, address: SocketAddr, further: &[&str]) -> Vec<OsString> {
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let fixed = [
        "--bind_ip",
        &ip,
        "--port",
        &port,
        "--wiredTigerCacheSizeGB",
        "0.25",
        "--oplogSize",
        "64",
        "--nounixsocket",
        "--noscripting",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        "--setParameter",
        "enableTestCommands=1",
    ];
    let mut arguments: Vec<OsString> = fixed.iter().chain(further).map(OsString::from).collect();
    arguments.extend(["--dbpath".into(), directory.into()]);
    arguments
}

async fn ask(address: SocketAddr, question: Document) -> Option<Document> {
    ask_of(address, "admin", question).await
}

/// What this very member answers; `None`: nothing, or an error.
async fn ask_of(address: SocketAddr, database: &str, question: Document) -> Option<Document> {
    let host = ServerAddress::parse(address.to_string()).expect("an address");
    let options = ClientOptions::builder()
        .hosts(vec![host])
        .direct_connection(true)
        .connect_timeout(ANSWERS_WITHIN)
        .server_selection_timeout(FOUND_WITHIN);
    let client = Client::with_options(options.build()).expect("options of our own");
    let database = client.database(database);
    let answer = tokio::time::timeout(ANSWERS_WITHIN, database.run_command(question)).await;
    answer.ok()?.ok()
}
