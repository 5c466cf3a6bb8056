//! The real node as a child process.
//!
//! Every node gets a loopback address of its own (127.x.y.z) and a port that was free on it, so
//! tests running side by side, in one process or in many, never meet; a node that is restarted
//! keeps its address. A node is killed when its [`Node`] is dropped, also by a failing test.

mod output;
mod process;

pub use output::Output;
pub use process::{Limits, Usage, raise_descriptor_limit};

use crate::{
    client::Http,
    tls::{self, Certificate},
    variant::Variant,
    wait,
};
pub use madang_servers::free_address;
use output::Capture;
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A debug build on a busy machine starts slowly; recovery of a killed store comes on top.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A one-shot command such as `madang check`.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

/// How to start a node. Limits that would stand in the way of a test (logins, signups and frames a
/// second) are off unless the test sets them, and so is the operators' address, of which there is
/// one a machine by default.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    /// Setting name without dashes, value; later ones win.
    settings: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    limits: Limits,
}

impl Launch {
    /// A node from this binary: `env!("CARGO_BIN_EXE_madang")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let quiet = ["logins-per-minute", "signups-per-minute", "frames-per-second"];
        let launch = Self {
            binary: binary.into(),
            settings: quiet.map(|name| (name.to_owned(), "0".to_owned())).to_vec(),
            environment: Vec::new(),
            limits: Limits::default(),
        };
        launch.with("admin-listen", "off")
    }

    /// Adds or replaces the flag `--name value`.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// What a flag was set to.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Leaves a flag out, so that the node's default holds.
    pub fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    /// Sets an environment variable of the node.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Limits of the operating system the node starts under.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts it on a fresh data directory and waits until it is ready.
    pub async fn start(self) -> Node {
        self.start_in(Arc::new(tempfile::tempdir().expect("a temporary directory"))).await
    }

    /// Starts it in a working directory that may hold data of an earlier node.
    pub async fn start_in(self, directory: Arc<TempDir>) -> Node {
        let address = free_address();
        let (child, output) = self.spawn(&directory, address);
        let mut node = Node { launch: self, directory, address, child, output };
        node.ready().await;
        node
    }

    /// Starts it and waits until it is ready at another address than it listens on, one of the
    /// monitoring.
    pub async fn start_ready_at(self, probe: SocketAddr) -> Node {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let address = free_address();
        let (child, output) = self.spawn(&directory, address);
        let mut node = Node { launch: self, directory, address, child, output };
        node.ready_by(&Http::plain(probe)).await;
        node
    }

    /// Starts it and waits until it has ended by itself, as one that is refused must.
    pub async fn fail(self) -> Output {
        let directory = tempfile::tempdir().expect("a temporary directory");
        self.fail_in(directory.path(), free_address()).await
    }

    /// The same in this directory, at this address.
    pub async fn fail_in(self, directory: &Path, address: SocketAddr) -> Output {
        let arguments = self.arguments(directory, address);
        self.run(&arguments, directory).await
    }

    /// Runs a one-shot command of the binary (`madang check ...`) to its end.
    pub async fn command(&self, arguments: &[&str], directory: &Path) -> Output {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        self.run(&arguments, directory).await
    }

    async fn run(&self, arguments: &[OsString], directory: &Path) -> Output {
        let mut command = self.bare_command(directory);
        let finished = command.args(arguments).stdin(Stdio::null()).output();
        let output = wait::within("the command ends", COMMAND_WITHIN, finished).await;
        Output::from(output.expect("the binary can be started"))
    }

    fn spawn(&self, directory: &TempDir, address: SocketAddr) -> (Child, Arc<Capture>) {
        let mut command = self.bare_command(directory.path());
        command.args(self.arguments(directory.path(), address));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary can be started");
        let output = Capture::of(&mut child);
        (child, output)
    }

    /// The command without arguments: no setting of the caller's environment leaks in.
    fn bare_command(&self, directory: &Path) -> Command {
        let mut command = self.limits.command(&self.binary);
        command.current_dir(directory).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MADANG_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn arguments(&self, directory: &Path, address: SocketAddr) -> Vec<OsString> {
        let mut arguments = vec!["serve".into()];
        let mut flag = |name: &str, value: OsString| {
            arguments.push(format!("--{name}").into());
            arguments.push(value);
        };
        flag("listen", address.to_string().into());
        flag("data-dir", directory.join("data").into());
        let has_own = self.settings.iter().any(|(name, _)| name == "tls-cert");
        if Variant::current().tls && !has_own {
            let Certificate { cert, key } = tls::issue(address.ip(), directory);
            flag("tls-cert", cert.into());
            flag("tls-key", key.into());
        }
        for (name, value) in &self.settings {
            flag(name, value.into());
        }
        arguments
    }
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    directory: Arc<TempDir>,
    address: SocketAddr,
    child: Child,
    output: Arc<Capture>,
}

impl Node {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its working directory; the data is in `data` below it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// An HTTP client for it.
    pub fn http(&self) -> Http {
        Http::new(self.address)
    }

    /// What it has printed so far, standard output and standard error in one.
    pub fn printed(&self) -> String {
        self.output.text()
    }

    async fn ready(&mut self) {
        self.ready_by(&self.http()).await;
    }

    /// Waits until `/readyz` says 200 to this client.
    async fn ready_by(&mut self, http: &Http) {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while !http.is_ready().await {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the node ended with {status} before it was ready:\n{}", self.printed());
            }
            let late = tokio::time::Instant::now() > deadline;
            assert!(!late, "not ready within {READY_WITHIN:?}:\n{}", self.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// kill -9: no clean-up of any kind.
    pub async fn kill(&mut self) {
        self.signal(process::Signal::KILL);
        self.wait_for_exit().await;
    }

    /// Asks it to end, as an operator does.
    pub fn terminate(&self) {
        self.signal(process::Signal::TERM);
    }

    /// Asks it to read its certificate again.
    pub fn hang_up(&self) {
        self.signal(process::Signal::HUP);
    }

    /// Stops its clock: it neither reads nor writes until [`Node::resume`].
    pub fn pause(&self) {
        madang_servers::pause(self.id());
    }

    /// Lets a paused node go on.
    pub fn resume(&self) {
        self.signal(process::Signal::CONT);
    }

    /// Waits until the process has ended.
    pub async fn wait_for_exit(&mut self) -> ExitStatus {
        let exit = self.child.wait();
        wait::within("the node ends", Duration::from_secs(30), exit)
            .await
            .expect("a child's status")
    }

    /// Starts it again at its address and on its data, after it was killed or has ended.
    pub async fn restart(&mut self) {
        let (child, output) = self.launch.spawn(&self.directory, self.address);
        (self.child, self.output) = (child, output);
        self.ready().await;
    }

    /// The same with other settings.
    pub async fn restart_as(&mut self, launch: Launch) {
        self.launch = launch;
        self.restart().await;
    }

    /// Memory and processor time of the process.
    pub fn usage(&self) -> Usage {
        Usage::of(self.id())
    }

    /// Lets files of the node grow again after a limit set by [`Limits`].
    pub fn lift_file_limit(&self) {
        process::lift_file_limit(self.id());
    }

    fn signal(&self, signal: process::Signal) {
        process::signal(self.id(), signal);
    }

    fn id(&self) -> u32 {
        self.child.id().expect("the node is running")
    }
}
