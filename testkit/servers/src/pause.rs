//! Stopping the clock of a process.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Until every thread of a process stands still, however busy the machine.
const STANDS_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// Stops a process and returns when all of its threads stand still: the signal itself returns when
/// it is on its way, and threads that run meanwhile may still do much.
///
/// # Panics
/// When it is not there, or does not stop.
pub fn pause(process: u32) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).expect("an id of a process");
    kill_process(id, Signal::STOP).expect("the process can be signalled");
    let threads = format!("/proc/{process}/task");
    let until = Instant::now() + STANDS_WITHIN;
    while !stands_still(Path::new(&threads)) {
        assert!(Instant::now() < until, "process {process} does not stop");
        thread::sleep(LOOK_AGAIN);
    }
}

fn stands_still(threads: &Path) -> bool {
    let all = fs::read_dir(threads).expect("a running process");
    all.flatten().all(|thread| {
        // `id (name) state ...`; a thread that is gone does nothing either.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_until_it_may_go_on() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        let threads = format!("/proc/{id}/task");
        assert!(!stands_still(Path::new(&threads)));
        pause(id);
        assert!(stands_still(Path::new(&threads)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
