//! One message that makes its room panic, each time it is met.

use crate::rig::{Rig, insist, join};
use madang_testkit::{
    client::number,
    wait::{SOON, until},
};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn poison_is_answered_internal_and_met_once() {
    let rig = Rig::set("").await;
    let stage = &rig.stage;
    let room = &stage.room;
    let other = stage.http.make_group(&stage.ann, "other", &[&stage.ben]).await;
    let mut ann = join(&rig, &stage.ann, room).await;
    let mut neighbour = join(&rig, &stage.ben, &other).await;
    ann.send(room, "before", "before").await;
    rig.point("room.submit", "return(poison)").await;

    let mut asked = Vec::new();
    for number in 0..20 {
        let name = if number == 10 { "poison".to_owned() } else { format!("m{number}") };
        let fields = json!({"room": room, "client_id": name, "body": name});
        asked.push((ann.begin("send", fields).await, name));
    }
    for turn in 0..20 {
        neighbour.ok("ping", json!({})).await;
        neighbour.send(&other, &format!("n{turn}"), "next door").await;
    }
    for (id, name) in asked {
        let answer = ann.answer(id).await;
        if name == "poison" {
            assert_eq!(answer["code"], "internal", "{answer}");
        } else if answer["op"] != "ok" {
            // Taken and not committed when its room was felled by another's message.
            assert_eq!(answer["code"], "unavailable", "{name}: {answer}");
            insist(&rig, room, &name).await;
        }
    }
    rig.faulted("room", 1, 1).await;

    // Only who sends it again meets it again, and once it does no harm it is a message like any.
    let again = json!({"room": room, "client_id": "poison", "body": "poison"});
    ann.refused("send", again.clone(), "internal").await;
    rig.faulted("room", 2, 2).await;
    rig.point("room.submit", "off").await;
    let sent = ann.ok("send", again).await;
    assert_eq!(sent["duplicate"], json!(false), "{sent}");

    let log = stage.http.whole_log(&stage.ann, room).await;
    let seqs: Vec<u64> = log.iter().map(|message| number(message, "seq")).collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<u64>>());
    assert_eq!(rig.faults("room").await, (2, 2));
    assert_eq!(rig.faults("audience").await, (0, 0));
}

/// Sent over HTTP it is a 500.
#[tokio::test]
async fn poison_over_http_is_internal() {
    let rig = Rig::set("room.submit=return(poison)").await;
    let stage = &rig.stage;
    let path = format!("/v1/rooms/{}/messages", stage.room);
    let body = json!({"client_id": "c", "body": "poison"});
    let answer = stage.http.post(&path, body).token(&stage.ann.token).send().await;
    answer.refused(500, "internal");
    assert_eq!(stage.http.send(&stage.ann, &stage.room, "d", "no harm").await, 1);
}

const ROOMS: usize = 20;
/// Restarts before the size is looked at, and between the two looks.
const WARM_UP: usize = 300;
const RESTARTS: usize = 1_000;
const GROWTH_MAX: u64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_restarts_leave_no_memory_behind() {
    let rig = Rig::set("room.submit=return(poison)").await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        let name = format!("room {number}");
        rooms.push(rig.stage.http.make_group(&rig.stage.ann, &name, &[&rig.stage.ben]).await);
    }
    let rooms = poison(&rig, rooms, WARM_UP).await;
    let before = rig.stage.node.usage().resident_bytes;
    let rooms = poison(&rig, rooms, RESTARTS).await;
    // Memory is given back some time after it was freed.
    let settled = || async {
        let grown = rig.stage.node.usage().resident_bytes.saturating_sub(before);
        (grown <= GROWTH_MAX).then_some(grown)
    };
    let what = format!("a node that grew by less than {GROWTH_MAX} bytes");
    let grown = until(&what, Duration::from_secs(5), settled).await;
    println!("{grown} bytes more after {RESTARTS} restarts");
    // The supervisor counts a panic after who met it was answered.
    let all = (WARM_UP + RESTARTS) as u64;
    let counted = || async { (rig.faults("room").await.0 == all).then_some(()) };
    until("every panic counted, none twice", SOON, counted).await;
    rig.point("room.submit", "off").await;
    rig.talk(&rooms[0], "after").await;
}

/// Fells rooms so many times in all; each comes back, or another one in its place.
async fn poison(rig: &Rig, rooms: Vec<String>, times: usize) -> Vec<String> {
    let mut felling = JoinSet::new();
    let each = times / rooms.len();
    for room in rooms {
        let mut socket = join(rig, &rig.stage.ann, &room).await;
        felling.spawn(async move {
            let fields = json!({"room": room, "client_id": "c", "body": "poison"});
            let mut met = 0;
            while met < each {
                let answer = socket.request("send", fields.clone()).await;
                // `unavailable`: it waited in a room that was just given up.
                let code = answer["code"].as_str();
                assert!(matches!(code, Some("internal" | "unavailable")), "{answer}");
                met += usize::from(code == Some("internal"));
            }
            room
        });
    }
    felling.join_all().await
}
