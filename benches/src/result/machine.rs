//! Where a run took place.

use crate::process::cores;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::Path, process::Command};

/// A machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// Runnable threads in the last minute when it began: above 1 it was busy with something else.
    pub load: f64,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |path: &str, name: &str| {
            let text = read(path);
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let kib = line("/proc/meminfo", "MemTotal");
        let first = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: cores(),
            memory_mib: first(&kib).parse().unwrap_or(0) / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: first(&read("/proc/loadavg")).parse().unwrap_or(0.0),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_mib, load, .. } = self;
        write!(f, "{cores} cores of {processor}, {memory_mib} MiB, load {load}")
    }
}

/// The commit of the sources that this program was built from; empty where there is no git.
pub(super) fn commit() -> String {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(sources).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit}+") } else { commit }
}
