//! One message that makes its lane panic, and lanes that panic every time.

use super::pair::{HERE, HOME, Pair, hears, insist, saying};
use madang_testkit::{Socket, client::number, wait::until};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

#[tokio::test]
async fn poison_in_a_lane_is_answered_internal_and_met_once() {
    let pair = Pair::set("").await;
    let (room, next_door) = (&pair.room, pair.make_room(HOME).await);
    let (mut ann, mut ben) = pair.both().await;
    let mut neighbour = pair.join(HERE, &pair.ben).await;
    insist(&mut ann, room, "before").await;
    pair.point(HERE, "lane.submit", "return(poison)").await;

    let mut asked = Vec::new();
    for number in 0..20 {
        let name = if number == 10 { "poison".to_owned() } else { format!("m{number}") };
        asked.push((ann.begin("send", saying(room, &name)).await, name));
    }
    for turn in 0..20 {
        neighbour.send(&next_door, &format!("n{turn}"), "next door").await;
    }
    let (mut last, mut again) = (1, Vec::new());
    for (id, name) in asked {
        let answer = ann.answer(id).await;
        if answer["op"] == "ok" {
            assert!(number(&answer, "seq") > last, "in order: {answer}");
            last = number(&answer, "seq");
        } else {
            let code = if name == "poison" { "internal" } else { "unavailable" };
            assert_eq!(answer["code"], code, "{name}: {answer}");
            again.extend((name != "poison").then_some(name));
        }
    }
    for name in again {
        insist(&mut ann, room, &name).await;
    }
    pair.faulted(HERE, "lane", (1, 1)).await;
    for seq in 1..=20 {
        heard_beside(&mut ben, room, seq).await;
    }
    ann.refused("send", saying(room, "poison"), "internal").await;
    pair.point(HERE, "lane.submit", "off").await;
    assert_eq!(insist(&mut ann, room, "poison").await, 21);
    assert_eq!(pair.faults(HERE, "lane").await, (2, 2));
    assert_eq!(pair.faults(HOME, "room").await, (0, 0));
}

/// The next message of this room, past those of others.
async fn heard_beside(socket: &mut Socket, room: &str, seq: u64) {
    loop {
        let message = socket.expect("message").await;
        if message["room"] == room {
            return assert_eq!(number(&message, "seq"), seq, "{message}");
        }
    }
}

/// Nobody gets to the room from there, but everything else goes on.
#[tokio::test]
async fn a_lane_that_panics_every_time_harms_no_other_room() {
    let pair = Pair::set("").await;
    let at_home = pair.make_room(HERE).await;
    let (mut ann, mut ben) = pair.both().await;
    insist(&mut ann, &at_home, "begins").await;
    pair.point(HERE, "lane.start", "panic").await;
    for turn in 0..2 {
        ann.refused("send", saying(&pair.room, "c"), "unavailable").await;
        ann.send(&at_home, &format!("here {turn}"), "here").await;
        ben.send(&pair.room, &format!("there {turn}"), "there").await;
    }
    pair.point(HERE, "lane.start", "off").await;
    assert_eq!(insist(&mut ann, &pair.room, "c").await, 3);
}

const ROOMS: usize = 10;
/// Restarts before the size is looked at, and between the two looks.
const WARM_UP: usize = 300;
const RESTARTS: usize = 1_000;
const GROWTH_MAX: u64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_restarts_of_lanes_leave_no_memory_behind() {
    let pair = Pair::set("lane.submit=return(poison)").await;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(pair.make_room(HOME).await);
    }
    let rooms = poison(&pair, rooms, WARM_UP).await;
    let before = pair.cluster.nodes[HERE].usage().resident_bytes;
    let rooms = poison(&pair, rooms, RESTARTS).await;
    // Memory is given back some time after it was freed.
    let settled = || async {
        let grown = pair.cluster.nodes[HERE].usage().resident_bytes.saturating_sub(before);
        (grown <= GROWTH_MAX).then_some(grown)
    };
    let what = format!("a node that grew by less than {GROWTH_MAX} bytes");
    let grown = until(&what, Duration::from_secs(5), settled).await;
    println!("{grown} bytes more after {RESTARTS} restarts of lanes");
    assert_eq!(pair.faults(HERE, "lane").await.0 as usize, WARM_UP + RESTARTS);
    pair.point(HERE, "lane.submit", "off").await;
    let (mut ann, mut ben) = pair.both().await;
    ben.ok("ping", json!({})).await;
    insist(&mut ann, &rooms[0], "after").await;
    hears(&mut ben, 1).await;
}

/// Fells lanes so many times in all; each comes back, or another one in its place.
async fn poison(pair: &Pair, rooms: Vec<String>, times: usize) -> Vec<String> {
    let mut felling = JoinSet::new();
    let each = times / rooms.len();
    for room in rooms {
        let mut socket = pair.join(HERE, &pair.ann).await;
        felling.spawn(async move {
            let mut met = 0;
            while met < each {
                let answer = socket.request("send", saying(&room, "poison")).await;
                // `unavailable`: it waited in a lane that was just given up.
                let code = answer["code"].as_str();
                assert!(matches!(code, Some("internal" | "unavailable")), "{answer}");
                met += usize::from(code == Some("internal"));
            }
            room
        });
    }
    felling.join_all().await
}
