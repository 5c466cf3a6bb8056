//! A crowd at the door.

use super::{Scene, Step, in_memory, launch};
use madang_testkit::{
    Http,
    client::PASSWORD,
    wait::{self, SOON},
};
use serde_json::json;

const AT_ONCE: usize = 100;
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_logins_are_not_felt() {
    // Of a hundred names some share a turn, which comes when the first of them is hashed.
    let scene = Scene::set(launch().with("read-wait-ms", 20_000), ROUNDS, 0).await;
    at_the_door(scene, "login").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_signups_are_not_felt() {
    at_the_door(Scene::set(launch(), ROUNDS, 0).await, "signup").await;
}

/// Other names each time: a scene may be tried again, and an account takes only so many wrong
/// passwords, and one signup.
async fn at_the_door(scene: Scene, call: &'static str) {
    let http = scene.stage.http.clone();
    let mut round = 0;
    let disturb = async |step| {
        if step == Step::Disturb {
            round += 1;
            scene.background.run(knock(http.clone(), call, round)).await;
        }
    };
    scene.judge(&format!("100 {call}s"), disturb).await;
}

/// What the scenes above cannot tell where the threads that serve are preferred by the test.
#[tokio::test]
async fn hashing_stands_back() {
    let node = launch().start_in(in_memory()).await;
    let cores = std::thread::available_parallelism().expect("known").get();
    // A thread names itself and stands back when it first runs, which may be after the node is ready.
    let stood_back = async || {
        let threads = node.threads("hash-");
        let have_all = threads.iter().all(|niceness| *niceness == 19);
        (have_all && !threads.is_empty()).then_some(threads)
    };
    let threads = wait::until("those that hash have the lowest priority", SOON, stood_back).await;
    assert!(threads.len() <= (cores / 2).max(1), "{threads:?}");
    assert!(node.threads("edge-").iter().all(|niceness| *niceness < 19));
}

/// Names nobody has: they cost a hash like any other, and one account's logins would queue for their
/// turn.
async fn knock(http: Http, call: &'static str, round: usize) {
    let knock = |number: usize| {
        let name = format!("stranger{round}x{number}");
        http.post(&format!("/v1/{call}"), json!({"username": name, "password": PASSWORD})).spawn()
    };
    for answer in (0..AT_ONCE).map(knock).collect::<Vec<_>>() {
        let answer = answer.await.expect("the task ends");
        match call {
            "signup" => drop(answer.expect(201)),
            _ => drop(answer.refused(401, "bad_credentials")),
        }
    }
}
