//! One process.

use crate::{pause, wait};
use rustix::process::{Pid, Signal};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    mem,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::{Child, ChildStdin, Command},
};

/// Until it takes connections. Some read what they wrote before they were killed.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server of others: killed when dropped, also by a failing test, and when the process that
/// started it ends without dropping it, as one does that holds it in a static. It keeps its
/// address, its directory and its arguments when it is started again.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: TempDir,
    address: SocketAddr,
    child: Child,
    /// Of the guard of `child`; closed when this process ends, however it does.
    guard: ChildStdin,
}

impl Server {
    /// Starts `program` with what `arguments` makes of its directory, and waits until it takes
    /// connections at `address`.
    ///
    /// # Panics
    /// When it ends, or takes none within a minute; with what it printed.
    pub async fn start(
        program: PathBuf,
        address: SocketAddr,
        arguments: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = arguments(directory.path());
        let child = spawn(&program, &arguments, directory.path());
        let guard = guard(&child, directory.path());
        let mut server = Self { program, arguments, directory, address, child, guard };
        server.takes_connections().await;
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its working directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it has printed so far, in all its lives.
    pub fn printed(&self) -> String {
        fs::read_to_string(printed(self.directory.path())).unwrap_or_default()
    }

    /// kill -9.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Stops its clock: connections to it stay and are not answered until [`Server::resume`].
    pub fn pause(&self) {
        pause(self.child.id().expect("the server is running"));
    }

    /// For a server that is never dropped, since all tests of a program share it: it is killed when
    /// the program ends, however that is. Not after a restart.
    pub fn end_with_program(&self) {
        let id = self.child.id().expect("the server is running");
        let script = format!("cat; kill -9 {id}");
        let mut watcher = std::process::Command::new("sh");
        watcher.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::null());
        // Its input ends when the kernel closes what we leave open.
        std::mem::forget(watcher.spawn().expect("a shell"));
    }

    /// Lets a paused one go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts one that was killed again, as it was.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.program, &self.arguments, self.directory.path());
        let before = mem::replace(&mut self.guard, guard(&self.child, self.directory.path()));
        dismiss(before).await;
        self.takes_connections().await;
    }

    async fn takes_connections(&mut self) {
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while TcpStream::connect(self.address).await.is_err() {
            let ended = self.child.try_wait().expect("a child's status");
            let late = tokio::time::Instant::now() > deadline;
            let name = self.program.display();
            assert!(ended.is_none() && !late, "{name} {ended:?}:\n{}", self.printed());
            tokio::time::sleep(wait::LOOK_AGAIN).await;
        }
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let id = id.expect("the server is running");
        rustix::process::kill_process(id, signal).expect("a child can be signalled");
    }
}

fn spawn(program: &Path, arguments: &[OsString], directory: &Path) -> Child {
    let path = printed(directory);
    let printed = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).kill_on_drop(true).stdin(Stdio::null());
    command.stderr(printed.try_clone().expect("a file")).stdout(printed);
    command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// A process that kills `child` and removes its directory when nobody holds its standard input any
/// more; told anything, it ends and does neither.
fn guard(child: &Child, directory: &Path) -> ChildStdin {
    let id = child.id().expect("a child that was just started").to_string();
    let mut guard = Command::new("sh");
    let script = "read -r _ && exit; kill -9 \"$0\" 2>&-; rm -rf \"$1\"";
    guard.args(["-c", script, &id]).arg(directory).stdin(Stdio::piped());
    let guard = guard.spawn().expect("a shell");
    guard.stdin.expect("a pipe")
}

/// One that is not there any more has nothing to do either.
async fn dismiss(mut guard: ChildStdin) {
    let _ = guard.write_all(b"dismissed\n").await;
}

fn printed(directory: &Path) -> PathBuf {
    directory.join("printed")
}
