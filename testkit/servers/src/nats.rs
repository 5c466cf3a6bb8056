//! NATS: one server, or three that form a cluster.

use crate::{Server, free_address, tools, wait};
use std::{ffi::OsString, fmt::Write, fs, net::SocketAddr, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Of which three form a cluster: two survive.
const CLUSTER_SIZE: usize = 3;

/// Servers of one NATS. Killed when dropped.
#[derive(Debug)]
pub struct Nats {
    servers: Vec<Server>,
    monitors: Vec<SocketAddr>,
}

impl Nats {
    /// One server that takes everybody.
    pub async fn one() -> Self {
        Self::configured("").await
    }

    /// One server with these lines in its settings, such as an `authorization` block.
    pub async fn configured(more: &str) -> Self {
        Self::made_for(|_| more.to_owned()).await
    }

    /// The same with lines that depend on where it listens.
    pub async fn made_for(more: impl FnOnce(SocketAddr) -> String) -> Self {
        let (address, monitor) = (free_address(), free_address());
        let lines = format!("{}{}\n", listening("only", address, monitor), more(address));
        Self { servers: vec![start("nats-server", address, lines).await], monitors: vec![monitor] }
    }

    /// One server of a version that is too old for a node.
    pub async fn old() -> Self {
        let (address, monitor) = (free_address(), free_address());
        let server = start("nats-server-old", address, listening("only", address, monitor)).await;
        Self { servers: vec![server], monitors: vec![monitor] }
    }

    /// Three servers, each with routes to the others.
    pub async fn cluster() -> Self {
        let routes: Vec<SocketAddr> = (0..CLUSTER_SIZE).map(|_| free_address()).collect();
        let (mut servers, mut monitors) = (Vec::new(), Vec::new());
        for (number, route) in routes.iter().enumerate() {
            let (address, monitor) = (free_address(), free_address());
            let mut lines = listening(&format!("s{number}"), address, monitor);
            let others: Vec<String> =
                routes.iter().map(|route| format!("\"nats-route://{route}\"")).collect();
            let others = others.join(", ");
            // Clients keep to the addresses they were given.
            let cluster = format!(
                "cluster {{ name: \"test\", listen: \"{route}\", no_advertise: true, \
                 routes: [{others}] }}"
            );
            writeln!(lines, "{cluster}").expect("a string takes everything");
            servers.push(start("nats-server", address, lines).await);
            monitors.push(monitor);
        }
        let nats = Self { servers, monitors };
        nats.is_whole().await;
        nats
    }

    /// Waits until every server has a route to every other.
    pub async fn is_whole(&self) {
        let others = self.servers.len() - 1;
        for monitor in &self.monitors {
            wait::until("a NATS server has its routes", wait::SOON, || async {
                let page = page(*monitor, "/routez").await?;
                let names = page.lines().filter(|line| line.contains("\"remote_name\""));
                let names: std::collections::BTreeSet<&str> = names.map(str::trim).collect();
                (names.len() >= others).then_some(())
            })
            .await;
        }
    }

    /// Where clients come, of every server.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("nats://{}", server.address())).collect()
    }

    /// One of them.
    pub fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// One of them, to be killed or started again.
    pub fn server_mut(&mut self, number: usize) -> &mut Server {
        &mut self.servers[number]
    }

    /// Messages that a server was sent by clients, and that it sent them, since it was started.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn messages(&self, number: usize) -> (u64, u64) {
        let page = self.monitored(number, "/varz").await.expect("it is monitored");
        let count = |name: &str| {
            let line = page.lines().find(|line| line.contains(name)).expect("a count");
            let digits = line.chars().filter(char::is_ascii_digit);
            digits.collect::<String>().parse().expect("a number")
        };
        (count("\"in_msgs\""), count("\"out_msgs\""))
    }

    /// What a server says of itself at `path` of its monitoring address; `None` while it does not.
    pub async fn monitored(&self, number: usize, path: &str) -> Option<String> {
        page(self.monitors[number], path).await
    }
}

fn listening(name: &str, address: SocketAddr, monitor: SocketAddr) -> String {
    format!("server_name: \"{name}\"\nlisten: \"{address}\"\nhttp: \"{monitor}\"\n")
}

async fn start(program: &str, address: SocketAddr, settings: String) -> Server {
    let arguments = move |directory: &Path| {
        let path = directory.join("nats.conf");
        fs::write(&path, settings).expect("a file");
        vec![OsString::from("-c"), path.into()]
    };
    Server::start(tools::find(program), address, arguments).await
}

async fn page(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await.ok()?;
    Some(page)
}
