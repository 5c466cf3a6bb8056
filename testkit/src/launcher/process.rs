//! A process from outside: signals, limits, memory and processor time.

use rustix::process::{Pid, Resource, Rlimit};
use std::{path::Path, time::Duration};
use tokio::process::Command;

pub(super) use rustix::process::Signal;

/// Limits of the operating system a node starts under.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// No file may grow beyond so many KiB: a full disk without a disk. Lifted again by
    /// [`super::Node::lift_file_limit`].
    pub file_kib: Option<u64>,
    /// So many files and sockets may be open.
    pub open_files: Option<u64>,
}

impl Limits {
    /// A command that starts `binary` under these limits.
    ///
    /// The signal that would kill a process writing beyond the limit is ignored, which survives
    /// `exec`: the write fails instead, as it does on a full disk.
    pub(super) fn command(&self, binary: &Path) -> Command {
        let file = self.file_kib.map(|kib| format!("trap '' XFSZ; ulimit -S -f {kib}; "));
        let open = self.open_files.map(|count| format!("ulimit -n {count}; "));
        if file.is_none() && open.is_none() {
            return Command::new(binary);
        }
        let mut command = Command::new("bash");
        let script = format!("{}{}exec \"$@\"", file.unwrap_or_default(), open.unwrap_or_default());
        command.arg("-c").arg(script).arg("bash").arg(binary);
        command
    }
}

/// What a process has and has used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory resident now, bytes.
    pub resident_bytes: u64,
    /// Time on all cores of the threads it has, to the nanosecond (`/proc/<id>/task/*/schedstat`).
    pub processor: Duration,
    /// Times that its threads, those it has, went to sleep: had nothing to do, or waited for something.
    pub sleeps: u64,
}

impl Usage {
    pub(super) fn of(id: u32) -> Self {
        let nanos = of_threads(id, "schedstat", |times| times.split(' ').next());
        let sleeps = of_threads(id, "status", |status| named(status, "voluntary_ctxt_switches:"));
        Self { resident_bytes: resident_bytes(id), processor: Duration::from_nanos(nanos), sleeps }
    }
}

pub(super) fn signal(id: u32, signal: Signal) {
    rustix::process::kill_process(pid(id), signal).expect("the node can be signalled");
}

/// Lets this process, and nodes started after, hold as many descriptors as the system allows it:
/// a thousand connections need more than the usual 1,024.
pub fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised)
        .expect("a process may raise its own soft limit");
}

pub(super) fn lift_file_limit(id: u32) {
    let unlimited = Rlimit { current: None, maximum: None };
    rustix::process::prlimit(Some(pid(id)), Resource::Fsize, unlimited)
        .expect("the soft limit of a child may be raised to its hard limit");
}

fn pid(id: u32) -> Pid {
    let id = i32::try_from(id).expect("process ids are positive i32");
    Pid::from_raw(id).expect("process ids are not zero")
}

fn resident_bytes(id: u32) -> u64 {
    let status = read(id, "status");
    let kib: u64 =
        named(&status, "VmRSS:").and_then(|kib| kib.parse().ok()).expect("Linux names it");
    kib * 1024
}

/// The value of that name in a `status` file, without its unit.
fn named<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

/// The sum of a number in a file that each thread has.
fn of_threads(id: u32, file: &str, number: impl Fn(&str) -> Option<&str>) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("the node is running");
    let of_one = |task: std::io::Result<std::fs::DirEntry>| {
        // A thread may end between the listing and the reading.
        let text = std::fs::read_to_string(task.ok()?.path().join(file)).ok()?;
        number(&text)?.parse::<u64>().ok()
    };
    tasks.filter_map(of_one).sum()
}

fn read(id: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{file}")).expect("the node is running")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_process() {
        let usage = Usage::of(std::process::id());
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        let processor = usage.processor;
        assert!(!processor.is_zero() && processor < Duration::from_secs(600), "{usage:?}");
        let (_nobody_sends, waits) = std::sync::mpsc::channel::<()>();
        let _ = waits.recv_timeout(Duration::from_millis(1));
        assert!(Usage::of(std::process::id()).sleeps > usage.sleeps, "that was one");
    }
}
