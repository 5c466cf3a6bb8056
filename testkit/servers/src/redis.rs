//! Redis: alone, with Sentinels, as a cluster.

use crate::{Server, free_address, tools, wait};
use std::{ffi::OsString, net::SocketAddr, path::Path, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a Sentinel hears nothing of a master before it holds it for down.
pub const DOWN_AFTER: Duration = Duration::from_millis(500);
/// A cluster's nodes likewise; longer, since nobody takes the place of a master there, and one that
/// had to wait for a busy machine would stop them all.
const GONE_AFTER: Duration = Duration::from_secs(2);
/// The name of the master among the Sentinels.
pub const SERVICE: &str = "madang";
/// A question to a healthy server is answered within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const SLOTS: usize = 16_384;

/// One server that keeps nothing on disk.
pub async fn alone() -> Server {
    with(&[]).await
}

/// One server of a version that is too old for a node.
pub async fn old() -> Server {
    let address = free_address();
    let [ip, port] = parts(address);
    let words = ["--bind", &ip, "--port", &port, "--save", "", "--protected-mode", "no"];
    let arguments = words.map(OsString::from).to_vec();
    let server = Server::start(tools::find("redis-server-old"), address, |_| arguments).await;
    answers(&server).await;
    server
}

/// One server with further settings, each with its value.
pub async fn with(settings: &[&str]) -> Server {
    server(free_address(), settings).await
}

/// One server with settings that depend on where it listens.
pub async fn made_for(settings: impl FnOnce(SocketAddr) -> Vec<String>) -> Server {
    let address = free_address();
    let settings = settings(address);
    server(address, &settings.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// A master, a replica, and three Sentinels that watch them.
#[derive(Debug)]
pub struct Sentinels {
    /// The first master.
    pub master: Server,
    /// Its replica.
    pub replica: Server,
    /// Those who decide.
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// Started, in step, and the Sentinels know each other.
    pub async fn start() -> Self {
        let master = alone().await;
        let [ip, port] = parts(master.address());
        let replica = with(&["--replicaof", &ip, &port, "--repl-diskless-sync-delay", "0"]).await;
        wait::until("the replica is in step", wait::SOON, || async {
            let said = command(replica.address(), &["info", "replication"]).await;
            said.contains("master_link_status:up").then_some(())
        })
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(master.address()).await);
        }
        for sentinel in &sentinels {
            wait::until("the Sentinels know each other", wait::SOON, || async {
                let said = command(sentinel.address(), &["sentinel", "master", SERVICE]).await;
                let said = said.replace("\r\n", " ");
                let knows_all = said.contains("num-other-sentinels $1 2 ");
                (knows_all && said.contains("num-slaves $1 1 ")).then_some(())
            })
            .await;
        }
        Self { master, replica, sentinels }
    }

    /// `redis+sentinel://...`
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{SERVICE}", addresses(&self.sentinels))
    }
}

/// Three masters that share the slots.
#[derive(Debug)]
pub struct Cluster {
    /// The masters.
    pub masters: Vec<Server>,
}

impl Cluster {
    /// Started, and every slot is served.
    pub async fn start() -> Self {
        let mut masters = Vec::new();
        let timeout = GONE_AFTER.as_millis().to_string();
        for _ in 0..3 {
            let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout];
            masters.push(server(bus_address(), &settings).await);
        }
        for (number, master) in masters.iter().enumerate() {
            let [first, next] = [number, number + 1].map(|number| number * SLOTS / 3);
            let (first, last) = (first.to_string(), (next - 1).to_string());
            let said =
                command(master.address(), &["cluster", "addslotsrange", &first, &last]).await;
            assert!(said.starts_with("+OK"), "{said}");
            if number > 0 {
                let [ip, port] = parts(masters[0].address());
                command(master.address(), &["cluster", "meet", &ip, &port]).await;
            }
        }
        let cluster = Self { masters };
        cluster.is_whole().await;
        cluster
    }

    /// Waits until every master says that all slots are served.
    ///
    /// # Panics
    /// When that does not come.
    pub async fn is_whole(&self) {
        for master in &self.masters {
            wait::until("the cluster is whole", wait::SOON, || async {
                let said = command(master.address(), &["cluster", "info"]).await;
                let whole = said.contains("cluster_state:ok");
                (whole && said.contains("cluster_known_nodes:3")).then_some(())
            })
            .await;
        }
    }

    /// `redis+cluster://...`
    pub fn url(&self) -> String {
        format!("redis+cluster://{}", addresses(&self.masters))
    }
}

/// `redis://...`
pub fn url(server: &Server) -> String {
    format!("redis://{}", server.address())
}

/// Asks a server on a connection of its own; the answer as it came over the wire.
///
/// # Panics
/// When there is none in time.
pub async fn command(server: SocketAddr, words: &[&str]) -> String {
    let ask = async {
        let mut stream = TcpStream::connect(server).await?;
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text += &format!("${}\r\n{word}\r\n", word.len()));
        stream.write_all(text.as_bytes()).await?;
        // The end of what we say: it answers, then closes.
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = wait::within("an answer of Redis", ANSWER_WITHIN, ask).await;
    answer.unwrap_or_else(|error| format!("-{error}"))
}

/// How often a server was asked for this command since it was started.
pub async fn calls(server: SocketAddr, name: &str) -> u64 {
    let said = command(server, &["info", "commandstats"]).await;
    let line = said.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

async fn server(address: SocketAddr, settings: &[&str]) -> Server {
    let [ip, port] = parts(address);
    let own = ["--bind", &ip, "--port", &port, "--save", "", "--appendonly", "no"];
    // Others know a server by the address it speaks from. Protected mode takes nothing but
    // 127.0.0.1 for this machine.
    let open = ["--bind-source-addr", &ip, "--protected-mode", "no"];
    let arguments = own.iter().chain(&open).chain(settings).map(OsString::from).collect();
    let server = Server::start(tools::find("redis-server"), address, |_| arguments).await;
    answers(&server).await;
    server
}

/// A Sentinel keeps what it learns in its file, so it is made anew for each.
async fn sentinel(master: SocketAddr) -> Server {
    let ([ip, port], address) = (parts(master), free_address());
    let [own_ip, own_port] = parts(address);
    let down_after = DOWN_AFTER.as_millis();
    let text = format!(
        "bind {own_ip}\nbind-source-addr {own_ip}\nport {own_port}\nprotected-mode no\nsentinel monitor {SERVICE} {ip} {port} 2\n\
         sentinel down-after-milliseconds {SERVICE} {down_after}\n\
         sentinel failover-timeout {SERVICE} 3000\n"
    );
    let arguments = |directory: &Path| {
        let file = directory.join("sentinel.conf");
        std::fs::write(&file, text).expect("a file of the test");
        vec![file.into()]
    };
    let server = Server::start(tools::find("redis-sentinel"), address, arguments).await;
    answers(&server).await;
    server
}

async fn answers(server: &Server) {
    wait::until("Redis answers", wait::SOON, || async {
        let said = command(server.address(), &["ping"]).await;
        (said.starts_with("+PONG") || said.starts_with("-NOAUTH")).then_some(())
    })
    .await;
}

/// A cluster's nodes talk on a port 10,000 above their own, which has to exist.
fn bus_address() -> SocketAddr {
    let mut address = free_address();
    while address.port() > 55_000 {
        address = free_address();
    }
    address
}

fn parts(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

fn addresses(servers: &[Server]) -> String {
    let addresses: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    addresses.join(",")
}
