//! What clients ask of a Redis.

use crate::{redis, wait};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// Every command that clients send to one server, as its `MONITOR` tells. What a script does there
/// is not among them.
pub struct Monitor {
    server: SocketAddr,
    lines: BufReader<TcpStream>,
    /// Looks so far: each ends with a command of ours that nobody else sends.
    looks: u32,
}

/// One command of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The client's address: one for each connection.
    pub client: String,
    /// The command's name and arguments, as the server shows them.
    pub words: Vec<String>,
}

impl Asked {
    /// The command's name, in small letters.
    pub fn name(&self) -> String {
        self.words.first().map(|word| word.to_lowercase()).unwrap_or_default()
    }
}

impl Monitor {
    /// Sees everything from now on.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn start(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).await.expect("the server is there");
        stream.write_all(b"*1\r\n$7\r\nMONITOR\r\n").await.expect("it takes a command");
        let mut monitor = Self { server, lines: BufReader::new(stream), looks: 0 };
        assert_eq!(monitor.line().await, "+OK");
        monitor
    }

    /// What was asked since the last look, in order.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn seen(&mut self) -> Vec<Asked> {
        self.looks += 1;
        let end = format!("look {} of a test", self.looks);
        redis::command(self.server, &["ECHO", &end]).await;
        let mut seen = Vec::new();
        loop {
            match asked(&self.line().await) {
                Some(Asked { words, .. }) if words.contains(&end) => return seen,
                asked => seen.extend(asked),
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line);
        wait::within("a line of MONITOR", wait::SOON, read).await.expect("it goes on");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }
}

/// `+1700000000.123456 [0 127.0.0.1:5000] "GET" "key"`; in place of the address `lua` in a script.
fn asked(line: &str) -> Option<Asked> {
    let (head, words) = line.split_once("] ")?;
    let (_, client) = head.rsplit_once(' ')?;
    let words = words.trim_matches('"').split("\" \"").map(str::to_owned).collect();
    (client != "lua").then(|| Asked { client: client.to_owned(), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sees_clients_and_not_their_scripts() {
        let server = redis::alone().await;
        let mut monitor = Monitor::start(server.address()).await;
        redis::command(server.address(), &["EVAL", "redis.call('SET', 'a', 1)", "0"]).await;
        redis::command(server.address(), &["get", "a"]).await;
        let seen = monitor.seen().await;
        let names: Vec<String> = seen.iter().map(Asked::name).collect();
        assert_eq!(names, ["eval", "get"], "{seen:?}");
        assert_eq!(seen[1].words, ["get", "a"]);
        assert_eq!(monitor.seen().await, []);
    }
}
