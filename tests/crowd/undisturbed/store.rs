//! A store that stands still: its thread, and its disk.

use super::{Scene, Step, launch};
use madang_testkit::{Account, Socket, client::number};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::timeout;

const ROUNDS: usize = 3;
const STALL: Duration = Duration::from_secs(5);
/// Asked for while nothing moves.
const SENDS: usize = 30;

/// Who needs no store does not notice, who needs it waits, and nothing is refused or lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stalls_is_felt_by_those_alone_who_need_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let brake = Brake::build(&directory);
    let launch = launch()
        .with("read-wait-ms", 20_000)
        .environment("LD_PRELOAD", brake.library.to_str().expect("a path of ours"))
        .environment("STORE_STALLS_WHILE_THERE_IS", brake.file.to_str().expect("a path of ours"));
    let scene = Scene::set(launch, ROUNDS, 0).await;
    let stage = &scene.stage;
    let room = stage.http.make_group(&stage.ann, "waits", &[&stage.ben]).await;
    let mut sender = deaf(stage.address(), &stage.ann).await;
    let mut reader = deaf(stage.address(), &stage.ben).await;
    sender.send(&room, "first", "the room has begun").await;
    let mut sent = 1;
    let disturb = async |step| match step {
        Step::Prepare => {}
        Step::Clear => scene.pulse.send_messages(true),
        Step::Disturb => {
            scene.pulse.send_messages(false);
            tokio::time::sleep(Duration::from_millis(50)).await; // the last one is committed
            brake.pull();
            let mut asked = Vec::new();
            for _ in 0..SENDS {
                sent += 1;
                let fields = json!({"room": room, "client_id": format!("s{sent}"), "body": "s"});
                asked.push(sender.begin("send", fields).await);
            }
            let history = json!({"room": room, "limit": 200});
            let page = reader.begin("history", history).await;
            let nothing =
                tokio::join!(timeout(STALL, sender.frame()), timeout(STALL, reader.frame()));
            assert!(
                nothing.0.is_err() && nothing.1.is_err(),
                "the store stands still: {nothing:?}"
            );
            brake.release();
            assert_eq!(reader.answer(page).await["op"], "ok");
            for (id, seq) in asked.into_iter().zip(sent as u64 - SENDS as u64 + 1..) {
                let answer = sender.answer(id).await;
                assert_eq!((answer["op"].as_str(), number(&answer, "seq")), (Some("ok"), seq));
            }
        }
    };
    scene.judge("a store that stands still for 5 s", disturb).await;
}

/// A connection that hears answers and nothing else.
async fn deaf(address: SocketAddr, account: &Account) -> Socket {
    let mut socket = Socket::open(address).await;
    socket.hello(&account.token, Some(json!([]))).await;
    socket
}

/// Holds the store of a node for as long as a file is there.
struct Brake {
    library: PathBuf,
    file: PathBuf,
}

impl Brake {
    fn build(directory: &TempDir) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crowd/undisturbed/brake.c");
        let library = directory.path().join("brake.so");
        let compiler = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .status();
        assert!(compiler.expect("there is a C compiler").success(), "{source:?} compiles");
        Self { library, file: directory.path().join("stalls") }
    }

    fn pull(&self) {
        std::fs::write(&self.file, "").expect("a file of ours");
    }

    fn release(&self) {
        std::fs::remove_file(&self.file).expect("a file of ours");
    }
}
