//! The real node, as a process on a directory of its own.

use super::{Child, Http, Tls};
use crate::{
    error::{BenchError, Doing, Done},
    process::Watch,
};
use madang_servers::free_address;
use serde_json::{Value, json};
use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use tokio_rustls::rustls::ClientConfig;

/// Recovery of a store that was killed is in it.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Limits that would stand in the way of a generator, which is one client for a thousand.
const UNLIMITED: [(&str, &str); 4] = [
    ("logins-per-minute", "0"),
    ("signups-per-minute", "0"),
    ("frames-per-second", "0"),
    ("admin-listen", "off"),
];

/// How nodes are started.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    settings: Vec<(String, String)>,
}

/// A user with a session.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub user: String,
    /// The session.
    pub token: String,
}

impl Launch {
    /// By `--node`, or the binary that was built beside this one.
    ///
    /// # Errors
    /// When it is not there, with the command that builds it.
    pub fn find(given: Option<&Path>) -> Done<Self> {
        let beside = env::current_exe().doing(|| "finding the own program".to_owned())?;
        let binary = given.map_or_else(|| beside.with_file_name("madang"), Path::to_owned);
        let Ok(binary) = binary.canonicalize() else {
            let what = format!("the node ({})", binary.display());
            let how = "build it with `cargo build --release`, or name one with --node PATH";
            return Err(BenchError::Missing { what, how: how.to_owned() });
        };
        let settings = UNLIMITED.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self { binary, settings: settings.to_vec() }.with("edge-arbiters", 1))
    }

    /// Adds or replaces `--name value`.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Which program it is.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// What `madang --version` says.
    pub fn version(&self) -> String {
        let said = Command::new(&self.binary).arg("--version").output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        said.unwrap_or_default()
    }

    /// Starts one in which there are so many users, and waits until it is ready.
    pub fn start(&self, name: &str, users: usize) -> Done<Node> {
        let directory = tempfile::tempdir().doing(|| "making a directory".to_owned())?;
        let users = self.import(users, directory.path())?;
        self.start_in(name, users, directory)
    }

    /// The same in a directory that may hold data.
    pub fn start_in(
        &self,
        name: &str,
        users: Vec<User>,
        directory: tempfile::TempDir,
    ) -> Done<Node> {
        let address = free_address();
        let child = Child::start(name, self.command(address), directory)?;
        let launch = self.clone();
        let mut node = Node { launch, child, address, tls: None, monitoring: address, users };
        node.ready()?;
        Ok(node)
    }

    /// Users with sessions and without passwords, so that none has to be hashed.
    pub fn import(&self, count: usize, directory: &Path) -> Done<Vec<User>> {
        let lines: Vec<String> = (0..count)
            .map(|number| json!({"username": format!("user{number}")}).to_string())
            .collect();
        let file = directory.join("users.jsonl");
        std::fs::write(&file, lines.join("\n")).doing(|| format!("writing {}", file.display()))?;
        let mut command = self.bare_command("user");
        let output = command.arg("import").arg(&file).current_dir(directory).output();
        let output = output.doing(|| format!("starting {}", self.binary.display()))?;
        let users: Vec<User> =
            String::from_utf8_lossy(&output.stdout).lines().filter_map(user).collect();
        if users.len() < count {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(BenchError::target("madang user import", said));
        }
        Ok(users)
    }

    fn command(&self, address: SocketAddr) -> Command {
        let mut command = self.bare_command("serve");
        command.arg("--listen").arg(address.to_string());
        command
    }

    /// With the settings given here and no others: none of the caller's environment leaks in.
    fn bare_command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("MADANG_") {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.settings {
            command.arg(format!("--{name}")).arg(value);
        }
        command.arg("--data-dir").arg("data").arg(action);
        command
    }
}

fn user(line: &str) -> Option<User> {
    let user: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| user[name].as_str().map(str::to_owned);
    Some(User { user: text("user")?, token: text("token")? })
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    child: Child,
    address: SocketAddr,
    tls: Option<Tls>,
    /// Where it says whether it is ready.
    monitoring: SocketAddr,
    /// Who is there.
    pub users: Vec<User>,
}

impl Node {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How clients come to it; `None`: by plain TCP.
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.tls.as_ref().map(|tls| tls.trusting.clone())
    }

    /// Starts it again so that clients come over TLS. There are no calls any more.
    pub fn restart_over_tls(&mut self) -> Done<()> {
        let tls = Tls::make(self.address, self.child.directory())?;
        self.monitoring = free_address();
        let launch = self.launch.clone().with("metrics-listen", self.monitoring);
        self.launch =
            launch.with("tls-cert", tls.cert.display()).with("tls-key", tls.key.display());
        self.tls = Some(tls);
        self.kill_and_restart().map(drop)
    }

    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// What it uses.
    pub fn watch(&self) -> Watch {
        self.child.watch()
    }

    /// A connection for calls.
    pub fn http(&self) -> Done<Http> {
        Http::connect(self.address)
    }

    /// kill -9, and a start on the same data and address. Returns how long it took to be ready.
    pub fn kill_and_restart(&mut self) -> Done<Duration> {
        self.child.kill();
        let begun = std::time::Instant::now();
        self.child.again(self.launch.command(self.address))?;
        self.ready()?;
        Ok(begun.elapsed())
    }

    fn ready(&mut self) -> Done<()> {
        let address = self.monitoring;
        self.child.wait_until(READY_WITHIN, || Http::is_ready(address))
    }
}
