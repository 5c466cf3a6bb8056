//! Who goes first where several want the processor.
//!
//! Other programs on the machine are not what a test measures. Threads that are preferred run as soon
//! as they can, whatever else does; threads that stand back take what is left. Preferring needs the
//! rights of root and the program `chrt`; without them it does nothing, and figures are those of
//! everybody together.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The lowest there is.
const NICENESS: i32 = 19;
/// Levels of those who are preferred: the higher goes first.
const IS_MEASURED: &str = "1";
const MEASURES: &str = "2";

/// Prefers the calling thread, which measures, also to threads that are preferred: what it waits for the
/// processor would count as theirs.
pub fn prefer_this_thread() {
    prefer(&rustix::thread::gettid().as_raw_nonzero().to_string(), MEASURES);
}

/// Prefers the threads of a process whose names begin like this.
pub fn prefer_threads(process: u32, names: &[&str]) {
    for thread in names.iter().flat_map(|begin| threads(process, begin)) {
        prefer(&thread.file_name().unwrap_or_default().to_string_lossy(), IS_MEASURED);
    }
}

/// The niceness of each thread of a process whose name begins like this.
pub fn niceness(process: u32, name: &str) -> Vec<i32> {
    let of = |thread: PathBuf| {
        let line = fs::read_to_string(thread.join("stat")).ok()?;
        // The name, which may have spaces in it, ends with a parenthesis; this is 17 further on.
        line.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
    };
    threads(process, name).into_iter().filter_map(of).collect()
}

/// Where the system tells about each of them.
fn threads(process: u32, name: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let is_meant = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|called| called.starts_with(name))
    };
    all.map(|thread| thread.path()).filter(is_meant).collect()
}

/// Lets the calling thread stand back.
pub fn stand_back() {
    rustix::process::nice(NICENESS).expect("anybody may stand back");
}

/// First in, first out, at that level of those who are preferred.
fn prefer(thread: &str, level: &str) {
    let mut program = Command::new("chrt");
    program.args(["--fifo", "--pid", level, thread]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = program.status(); // see above: it may not be there, or not be allowed
}
