//! A hot room, and a crowd at the door, must not be felt in a quiet room. The bound is loose,
//! because clients and node share the machine; what is meant is "goes on", not "how fast".

use crate::{alone, launch};
use madang_testkit::{
    Socket, Stage,
    client::PASSWORD,
    history::{ACKNOWLEDGED_MIN, Stored, check},
    load::{Load, WriterPlan},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const BUSY_SENDERS: usize = 100;
const QUIET_MESSAGES: usize = 100;
const QUIET_P99_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_room_leaves_a_quiet_one_alone() {
    let _machine = alone().await;
    let stage = Stage::set(launch()).await;
    let hot = stage.http.make_group(&stage.ann, "hot", &[&stage.ben]).await;
    let mut load = Load::new(stage.address(), &hot);
    for _ in 0..BUSY_SENDERS {
        load.write(&stage.ann, WriterPlan { in_flight: 30, ..WriterPlan::default() });
    }
    load.acknowledged(ACKNOWLEDGED_MIN).await;
    let took = talk_quietly(&stage).await;
    let journal = load.finish().await;
    println!("beside a hot room: p50 {:?} p99 {:?}", took[took.len() / 2], took[took.len() - 2]);
    assert!(took[took.len() - 2] < QUIET_P99_MAX, "{took:?}");

    let log = stage.http.whole_log(&stage.ben, &hot).await;
    let logs = BTreeMap::from([(hot, log.iter().map(Stored::of).collect())]);
    let judged = check(&journal.events(), &logs, ACKNOWLEDGED_MIN);
    assert!(judged.is_ok(), "{judged:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_the_door_is_not_felt_inside() {
    let _machine = alone().await;
    let stage = Stage::set(launch()).await;
    // Names nobody has cost a hash like any other; one account's logins would queue for their turn.
    let login = |number: u32| {
        let body = json!({"username": format!("stranger{number}"), "password": PASSWORD});
        stage.http.post("/v1/login", body).spawn()
    };
    let logins: Vec<_> = (0..300).map(login).collect();
    let took = talk_quietly(&stage).await;
    println!("beside 300 logins: p50 {:?} p99 {:?}", took[took.len() / 2], took[took.len() - 2]);
    assert!(took[took.len() - 2] < QUIET_P99_MAX, "{took:?}");
    for login in logins {
        let answer = login.await.expect("the task ends");
        match answer.status {
            401 => drop(answer.refused(401, "bad_credentials")),
            // Refused at once, or not worked off in time.
            _ => assert_eq!(answer.status, 503, "{answer:?}"),
        }
    }
}

/// Two people in a quiet room; how long each message took from one to the other, sorted.
async fn talk_quietly(stage: &Stage) -> Vec<Duration> {
    let wish = json!([{"room": stage.room}]);
    let mut ann = Socket::open(stage.address()).await;
    let mut ben = Socket::open(stage.address()).await;
    ann.hello(&stage.ann.token, Some(json!([]))).await;
    ben.hello(&stage.ben.token, Some(wish)).await;
    let mut took = Vec::new();
    for turn in 0..QUIET_MESSAGES {
        let begin = Instant::now();
        ann.send(&stage.room, &format!("quiet{turn}"), "psst").await;
        ben.expect("message").await;
        took.push(begin.elapsed());
    }
    took.sort_unstable();
    took
}
