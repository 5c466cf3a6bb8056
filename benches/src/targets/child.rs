//! A process that is measured: started on the servers' cores, killed when it is let go.

use crate::{
    error::{BenchError, Doing, Done},
    process::{Watch, on_server_core},
};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child as Process, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Between two looks at a process that is about to be ready.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Lines of what it printed that an error shows.
const LINES_SHOWN: usize = 8;

/// A child process with a directory of its own.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    directory: TempDir,
    /// Kills the process when this program ends without dropping it, as one that is killed does.
    guard: Process,
}

impl Child {
    /// Starts `command` in a directory that may hold data already; what it prints goes to a file
    /// there.
    pub fn start(name: &str, command: Command, directory: TempDir) -> Done<Self> {
        let process = spawn(name, command, directory.path())?;
        let guard = guard(process.id(), directory.path())?;
        Ok(Self { name: name.to_owned(), process, directory, guard })
    }

    /// How it is called in tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What it uses.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.name, vec![self.id()])
    }

    /// Waits until `is_ready`.
    ///
    /// # Errors
    /// When the process ends before, or is not ready within `limit`; with what it printed last.
    pub fn wait_until(&mut self, limit: Duration, mut is_ready: impl FnMut() -> bool) -> Done<()> {
        let deadline = Instant::now() + limit;
        while !is_ready() {
            if let Ok(Some(status)) = self.process.try_wait() {
                let what = format!("ended with {status} before it was ready: {}", self.printed());
                return Err(BenchError::target(&self.name, what));
            }
            if Instant::now() > deadline {
                let what = format!("not ready within {limit:?}: {}", self.printed());
                return Err(BenchError::target(&self.name, what));
            }
            pause(LOOK_AGAIN);
        }
        Ok(())
    }

    /// The last lines that it printed.
    pub fn printed(&self) -> String {
        let text = fs::read_to_string(printed(self.directory.path())).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// kill -9, and the end of it seen; the directory stays for the next one.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Ends it and starts another process in its place, in the same directory.
    pub fn again(&mut self, command: Command) -> Done<()> {
        self.kill();
        self.process = spawn(&self.name, command, self.directory.path())?;
        dismiss(&mut self.guard);
        self.guard = guard(self.process.id(), self.directory.path())?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        dismiss(&mut self.guard);
    }
}

fn spawn(name: &str, mut command: Command, directory: &Path) -> Done<Process> {
    let path = printed(directory);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let out = file.doing(|| format!("making {}", path.display()))?;
    let copy = out.try_clone().doing(|| format!("making {}", path.display()))?;
    command.current_dir(directory).stdin(Stdio::null()).stdout(out).stderr(copy);
    on_server_core(|| command.spawn())?.doing(|| format!("starting {name}"))
}

/// A process that kills another and removes its directory once nobody holds its standard input; told
/// anything, it ends and does neither.
fn guard(id: u32, directory: &Path) -> Done<Process> {
    let script = "read -r _ && exit; kill -9 \"$0\"; rm -rf \"$1\"";
    let mut guard = Command::new("sh");
    guard.args(["-c", script, &id.to_string()]).arg(directory).stdin(Stdio::piped());
    guard.spawn().doing(|| "starting a shell".to_owned())
}

/// One that is not there any more has nothing to do either.
fn dismiss(guard: &mut Process) {
    if let Some(mut input) = guard.stdin.take() {
        let _ = input.write_all(b"dismissed\n");
    }
    let _ = guard.wait();
}

/// Where what it prints is kept.
fn printed(directory: &Path) -> PathBuf {
    directory.join("printed")
}

/// Lets time pass without a thread of its own: between looks at a condition with a deadline.
pub fn pause(time: Duration) {
    std::thread::park_timeout(time);
}
