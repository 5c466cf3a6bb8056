//! Removals while the removed user sends as fast as it can: what was acknowledged is there, and
//! nothing comes after the end of the membership.

use crate::circle::Circle;
use madang_testkit::{Account, Socket, Stage, wait::{SOON, within}};
use serde_json::{Value, json};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::task::JoinHandle;

/// Connections of the one removed, and requests of each that are under way.
const SENDERS: usize = 4;
const IN_FLIGHT: usize = 20;

/// Sends without a pause until refused; the places of what was acknowledged. Afterwards the
/// connection is a stranger's: each further send is refused too.
fn send_until_refused(
    address: SocketAddr,
    by: &Account,
    room: &str,
    name: usize,
) -> JoinHandle<Vec<u64>> {
    let (by, room) = (by.clone(), room.to_owned());
    tokio::spawn(async move {
        let mut socket = Socket::open(address).await;
        socket.hello(&by.token, Some(json!([]))).await;
        let (mut begun, mut sent, mut acknowledged) = (VecDeque::new(), 0, Vec::new());
        let mut refused = false;
        while !refused || !begun.is_empty() {
            while !refused && begun.len() < IN_FLIGHT {
                sent += 1;
                let fields =
                    json!({"room": room, "client_id": format!("{name}-{sent}"), "body": "x"});
                begun.push_back(socket.begin("send", fields).await);
            }
            let id = begun.pop_front().expect("something is under way");
            let answer = socket.answer(id).await;
            match answer["code"].as_str() {
                None => acknowledged.push(answer["seq"].as_u64().expect("a place")),
                Some("not_found") => refused = true,
                Some("overloaded") => {}
                Some(_) => panic!("{answer}"),
            }
        }
        acknowledged
    })
}

/// Reads to the owner's mark; how many of Ben's messages came after the end of his membership.
async fn told_too_late(circle: &Circle, socket: &mut Socket) -> usize {
    let (mut is_removed, mut count) = (false, 0);
    loop {
        let frame: Value = within("the mark", SOON, socket.frame()).await.expect("connected");
        if frame["body"] == "mark" {
            assert!(is_removed, "the removal was not told");
            return count;
        }
        is_removed |= frame["change"] == "removed";
        let of_ben = frame["op"] == "message" && frame["sender"] == *circle.stage.ben.user;
        count += usize::from(is_removed && of_ben);
    }
}

/// So much that it is not in any buffer on the way.
const MISSED: usize = 1_000;
const LONG: usize = 16_000;

#[tokio::test]
async fn a_slow_reader_is_not_served_beyond_its_membership() {
    let circle = Circle::on(crate::launch().with("frames-per-second", 0), "private group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    let mut writer = circle.stage.join(ann).await;
    let mut begun = VecDeque::new();
    for number in 1..=MISSED {
        let body = "x".repeat(LONG);
        let fields = json!({"room": circle.room, "client_id": number.to_string(), "body": body});
        begun.push_back(writer.begin("send", fields).await);
        if begun.len() == IN_FLIGHT {
            let id = begun.pop_front().expect("just counted");
            assert_eq!(writer.answer(id).await["op"], "ok");
        }
    }
    let mut slow = Socket::open(circle.stage.address()).await;
    slow.hello(&ben.token, Some(json!([{"room": circle.room, "after_seq": 0}]))).await;
    slow.expect("message").await;
    assert_eq!(circle.remove(ann, ben).await.status, 204);
    http.send(ann, &circle.room, "secret", "secret").await;
    let mut seen = 1;
    loop {
        let frame: Value = within("the end", SOON, slow.frame()).await.expect("connected");
        assert_ne!(frame["body"], "secret");
        match frame["op"].as_str() {
            Some("message") => seen += 1,
            Some("member") => break,
            _ => {}
        }
    }
    assert!(seen < MISSED, "all of it was in buffers: {seen}");
}

#[tokio::test]
async fn nothing_of_a_removed_member_is_committed_afterwards() {
    let circle = Circle::on(crate::launch().with("frames-per-second", 0), "private group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    let address = circle.stage.address();
    for round in 1..=3 {
        let mut watcher = circle.stage.join(ann).await;
        let senders: Vec<_> = (0..SENDERS)
            .map(|name| send_until_refused(address, ben, &circle.room, round * 100 + name))
            .collect();
        // Well under way.
        for _ in 0..50 {
            watcher.expect("message").await;
        }
        assert_eq!(circle.remove(ann, ben).await.status, 204);
        let known = http.whole_log(ann, &circle.room).await;
        let mut acknowledged = Vec::new();
        for sender in senders {
            acknowledged.extend(sender.await.expect("it is refused in the end"));
        }
        let log = http.whole_log(ann, &circle.room).await;
        assert_eq!(log.len(), known.len(), "committed after the answer");
        let of_ben = |message: &&Value| message["sender"] == *ben.user;
        let stored: Vec<u64> =
            log.iter().filter(of_ben).filter_map(|message| message["seq"].as_u64()).collect();
        assert!(acknowledged.iter().all(|seq| stored.contains(seq)), "an acknowledged one is lost");

        http.send(ann, &circle.room, &format!("mark {round}"), "mark").await;
        assert_eq!(told_too_late(&circle, &mut watcher).await, 0);
        circle.add(ann, ben).await.expect(200);
    }
}
