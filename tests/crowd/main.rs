//! Many connections at once, measured: what one costs, and what a hot room, a crowd at the door, a
//! thousand readers of one page, a fifth that dies or a reader that stops does to the others. A binary
//! of its own, one test at a time, so that nothing else disturbs the numbers. What is promised is held to
//! in the build that tests have, which is slower than the one that users have.

mod idle;
mod isolation;
mod stopped_reader;
mod undisturbed;

use madang_testkit::{Account, Launch, launcher::raise_descriptor_limit};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// Waits for the machine: tests of one binary run side by side otherwise.
async fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::const_new(());
    raise_descriptor_limit();
    MACHINE.lock().await
}

/// The binary under test.
fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_madang"))
}

/// A data directory with so many users in it.
async fn users(count: usize) -> (Arc<TempDir>, Vec<Account>) {
    let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let accounts = users_in(&directory, count).await;
    (directory, accounts)
}

/// Makes so many users, each with a session and none with a password.
async fn users_in(directory: &TempDir, count: usize) -> Vec<Account> {
    let lines: Vec<String> =
        (0..count).map(|number| json!({"username": format!("user{number}")}).to_string()).collect();
    std::fs::write(directory.path().join("users.jsonl"), lines.join("\n")).expect("written");
    let import = ["user", "import", "users.jsonl", "--data-dir", "data"];
    let printed = launch().command(&import, directory.path()).await.success();
    let accounts: Vec<Account> = printed.lines().map(account).collect();
    assert_eq!(accounts.len(), count, "{printed}");
    accounts
}

fn account(line: &str) -> Account {
    use madang_testkit::client::text;
    let user: Value = serde_json::from_str(line).expect(line);
    Account {
        user: text(&user, "user").to_owned(),
        username: text(&user, "username").to_owned(),
        token: text(&user, "token").to_owned(),
    }
}
