//! A panic in the first turn, in a restart, and every time.

use super::pair::{HERE, HOME, Pair, hears, insist};
use crate::rig::gave_up;
use madang_testkit::{
    Socket,
    wait::{SOON, until},
};

/// What begins with the node, or with the first send to a room elsewhere.
const KINDS: [&str; 5] = ["membership", "noticing", "session_check", "remote", "lane"];

#[tokio::test]
async fn parts_of_a_node_in_a_cluster_are_built_again() {
    let pair = Pair::set(&KINDS.map(|kind| format!("{kind}.start=1*panic")).join(";")).await;
    let mut talk = Talk::begin(&pair).await;
    talk.go_on("first").await;
    for kind in KINDS {
        pair.faulted(HERE, kind, (1, 1)).await;
    }
    for kind in KINDS {
        let asked = pair.metric(HERE, "madang_cluster_rooms_asked_about_total").await;
        pair.point(HERE, &format!("{kind}.build"), "2*panic").await;
        pair.point(HERE, &format!("{kind}.handle"), "1*panic").await;
        talk.go_on(kind).await;
        pair.faulted(HERE, kind, (4, 4)).await;
        if kind == "noticing" {
            asks_about_everything(&pair, asked).await;
        }
    }
    talk.go_on("after").await;
    for place in [HERE, HOME] {
        pair.sees(place, 2).await;
    }
}

/// What the earlier one was told is lost, and it may have been of any room.
async fn asks_about_everything(pair: &Pair, asked_before: f64) {
    let asks = || async {
        let asked = pair.metric(HERE, "madang_cluster_rooms_asked_about_total").await;
        (asked > asked_before).then_some(())
    };
    until("rooms with readers are asked about", SOON, asks).await;
}

/// A home that is not heard for so long is none, and is one again when it is heard; should its membership
/// be past help, the node ends, and others go on.
#[tokio::test]
async fn a_home_whose_membership_fails_is_replaced_until_it_is_back() {
    let mut pair = Pair::set("").await;
    let mut talk = Talk::begin(&pair).await;
    talk.go_on("before").await;
    // In the middle of a restart it stands still for longer than others wait.
    pair.point(HOME, "membership.build", "1*sleep(4000)").await;
    pair.point(HOME, "membership.handle", "1*panic").await;
    pair.sees(HERE, 1).await;
    talk.go_on("meanwhile").await;
    for place in [HERE, HOME] {
        pair.sees(place, 2).await;
    }
    talk.go_on("home again").await;
    assert_eq!(pair.metric(HERE, "madang_room_hand_overs_total").await, 1.0);
    assert_eq!(pair.metric(HERE, "madang_lanes").await, 1.0, "it is at home there again");

    pair.point(HOME, "membership.handle", "panic").await;
    gave_up(&mut pair.cluster.nodes[HOME], "membership keeps failing").await;
    let mut ann = pair.join(HERE, &pair.ann).await;
    let seq = insist(&mut ann, &pair.room, "alone").await;
    assert_eq!(seq, talk.seq + 1);
    let log = pair.cluster.http(HERE).whole_log(&pair.ann, &pair.room).await;
    assert_eq!(log.len() as u64, seq, "what was acknowledged is there");
    pair.point(HERE, "noticing.handle", "panic").await;
    gave_up(&mut pair.cluster.nodes[HERE], "noticing keeps failing").await;
}

/// Ann speaks where the room is not at home, Ben hears her where it is, and she hears him.
struct Talk {
    room: String,
    ann: Socket,
    ben: Socket,
    /// Of the last message.
    seq: u64,
}

impl Talk {
    async fn begin(pair: &Pair) -> Self {
        let (ann, ben) = pair.both().await;
        Self { room: pair.room.clone(), ann, ben, seq: 0 }
    }

    /// Each says something, and both hear it, once: neither connection ends, whatever else does.
    async fn go_on(&mut self, name: &str) {
        let Self { room, ann, ben, seq } = self;
        let seq_before = *seq;
        *seq = insist(ann, room, &format!("ann, {name}")).await;
        *seq = insist(ben, room, &format!("ben, {name}")).await.max(*seq);
        assert_eq!(*seq, seq_before + 2);
        for socket in [ann, ben] {
            for seq in seq_before + 1..=*seq {
                hears(socket, seq).await;
            }
        }
    }
}
