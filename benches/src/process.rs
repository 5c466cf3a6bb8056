//! Processes from outside: what they used of the processor and of memory, and on which core they
//! run. Everything comes from the operating system, nothing from the process itself.

use crate::error::{BenchError, Doing, Done};
use rustix::{
    process::{Pid, Resource, Rlimit},
    thread::CpuSet,
};
use serde::Serialize;
use std::{fs, path::Path};

/// What processes have used so far, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Time on all cores, of the threads there are now, nanoseconds.
    pub processor_ns: u64,
    /// Memory resident now, bytes.
    pub resident_bytes: u64,
    /// Times a thread was switched away from, by itself or by force.
    pub switches: u64,
}

impl Usage {
    /// What was used since `before`; memory is what it is now.
    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            processor_ns: self.processor_ns.saturating_sub(before.processor_ns),
            resident_bytes: self.resident_bytes,
            switches: self.switches.saturating_sub(before.switches),
        }
    }
}

/// Looks at some processes that belong together.
#[derive(Debug, Clone)]
pub struct Watch {
    name: String,
    ids: Vec<u32>,
}

impl Watch {
    /// `name` is how they are called when one of them is gone.
    pub fn new(name: &str, ids: Vec<u32>) -> Self {
        Self { name: name.to_owned(), ids }
    }

    /// What they have used so far.
    ///
    /// # Errors
    /// When one has ended.
    pub fn usage(&self) -> Done<Usage> {
        let mut sum = Usage::default();
        for id in &self.ids {
            let of = usage(*id).ok_or_else(|| BenchError::target(&self.name, "it has ended"))?;
            sum.processor_ns += of.processor_ns;
            sum.resident_bytes += of.resident_bytes;
            sum.switches += of.switches;
        }
        Ok(sum)
    }
}

/// `None`: no such process, or one that has ended and was not waited for.
fn usage(id: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let mut used = Usage { resident_bytes: field(&status, "VmRSS:")? * 1_024, ..Usage::default() };
    for task in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        // A thread may end between the listing and the reading.
        used.processor_ns += processor_ns(&task.path()).unwrap_or(0);
        used.switches += switches(&task.path()).unwrap_or(0);
    }
    Some(used)
}

/// Nanoseconds on a core; `stat` would count in hundredths of a second.
fn processor_ns(task: &Path) -> Option<u64> {
    fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
}

fn switches(task: &Path) -> Option<u64> {
    let status = fs::read_to_string(task.join("status")).ok()?;
    Some(
        field(&status, "voluntary_ctxt_switches:")?
            + field(&status, "nonvoluntary_ctxt_switches:")?,
    )
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Cores of this machine.
pub fn cores() -> usize {
    let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    listed.lines().filter(|line| line.starts_with("processor")).count().max(1)
}

/// Puts the calling thread, and the children it starts from now on, on these cores; nothing
/// happens where there is only one.
pub fn pin(to: impl Iterator<Item = usize>) -> Done<()> {
    if cores() < 2 {
        return Ok(());
    }
    let mut set = CpuSet::new();
    to.for_each(|core| set.set(core));
    rustix::thread::sched_setaffinity(None, &set).doing(|| "choosing a core".to_owned())
}

/// Has `start` start a child on the servers' cores, and comes back to the generator's.
pub fn on_server_core<T>(start: impl FnOnce() -> T) -> Done<T> {
    let generator = cores() - 1;
    pin(0..generator.max(1))?;
    let started = start();
    pin(std::iter::once(generator))?;
    Ok(started)
}

/// Descriptors that this process may have open, once it asks for that many.
pub fn allowed_descriptors() -> u64 {
    rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Makes sure that so many descriptors may be open at once, here and in children started later.
///
/// # Errors
/// When the operating system allows fewer.
pub fn need_descriptors(needed: u64) -> Done<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let allowed = allowed_descriptors();
    if needed > allowed {
        let how = "ask for fewer connections, or raise `ulimit -Hn`".to_owned();
        return Err(BenchError::Limit { what: "descriptors", needed, allowed, how });
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised)
        .doing(|| "raising the limit of descriptors".to_owned())
}

/// A process id as system calls want it.
pub fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_until_it_ends() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cat is everywhere");
        let watch = Watch::new("cat", vec![child.id(), std::process::id()]);
        assert!(watch.usage().is_ok_and(|used| used.resident_bytes > 100_000));
        child.kill().expect("a child can be killed");
        child.wait().expect("a child's status");
        let error = watch.usage().expect_err("it has ended");
        assert_eq!(error.to_string(), "cat: it has ended");
    }
}
