//! Suites that others wrote to judge servers: WebSocket framing, calls by their description, a
//! crowd of scripted users. `.ci/prepare` gets them; without them these tests fail.

mod autobahn;
mod schemathesis;
mod seed;

use madang_testkit::{Launch, launcher::Output, tools, wait};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    process::Command,
    sync::{Mutex, MutexGuard},
};

/// The node under test.
fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_madang"))
}

/// Waits for the machine: some cases are about time.
async fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::const_new(());
    MACHINE.lock().await
}

/// Runs one of the suites to its end, in a directory it may fill.
async fn suite(name: &str, arguments: &[&str], directory: &Path, limit: Duration) -> Output {
    let python = tools::find("python");
    let mut command = Command::new(python.join("bin").join(name));
    command.args(arguments).current_dir(directory).env("PYTHONPATH", python);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let finished = wait::within(name, limit, command.output()).await;
    finished.expect("a program that is there can be started").into()
}
