//! What the connections of everybody hear when who is in a room changes.

use crate::circle::{Circle, KINDS};
use madang_testkit::{Account, Socket, Stage, wait::within};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Changes are heard of within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// The next frame about the room, in short.
async fn heard(circle: &Circle, socket: &mut Socket) -> String {
    let next = async {
        loop {
            let frame = socket.frame().await.expect("still connected");
            if frame["room"] == circle.room {
                return frame;
            }
        }
    };
    let frame = within("a frame about the room", HEARD_WITHIN, next).await;
    match frame["op"].as_str() {
        Some("message") => format!("message {}", frame["body"].as_str().unwrap_or_default()),
        Some("room") => format!("room {}", frame["name"].as_str().unwrap_or_default()),
        Some("member") => {
            let text = |field: &str| frame[field].as_str().unwrap_or_default().to_owned();
            let what = format!("{} {} {}", circle.name(&text("user")), text("change"), text("role"));
            match frame["last_seq"].as_u64() {
                Some(last_seq) => format!("{} at {last_seq}", what.trim()),
                None => what.trim().to_owned(),
            }
        }
        _ => frame.to_string(),
    }
}

/// Each connection hears the same next.
async fn all_hear(circle: &Circle, sockets: &mut [&mut Socket], expected: &str) {
    for socket in sockets {
        assert_eq!(heard(circle, socket).await, expected);
    }
}

/// Nothing about the room has arrived, nor does until the node has answered once more.
async fn hears_nothing(circle: &Circle, socket: &mut Socket) {
    socket.ok("ping", json!({})).await;
    let about: Vec<&Value> =
        socket.queued().filter(|frame| frame["room"] == circle.room).collect();
    assert!(about.is_empty(), "{about:?}");
}

async fn refused_everything(circle: &Circle, socket: &mut Socket, code: &str) {
    let room = &circle.room;
    socket.refused("send", json!({"room": room, "client_id": "x", "body": "x"}), code).await;
    socket.refused("subscribe", json!({"room": room}), code).await;
    socket.refused("history", json!({"room": room}), code).await;
}

#[tokio::test]
async fn everybody_there_hears_each_change_once_and_in_order() {
    let circle = Circle::set("private group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    http.send(ann, &circle.room, "c1", "before").await;
    let ((mut ann1, mut ben1), (mut ann2, mut ben2)) =
        tokio::join!(circle.stage.both(), circle.stage.both());
    let mut eve1 = circle.stage.join(&circle.eve).await;
    let mut fay1 = circle.stage.join(&circle.fay).await;
    circle.add(ann, &circle.eve).await.expect(200);
    assert_eq!(heard(&circle, &mut eve1).await, "eve joined member at 1");
    all_hear(&circle, &mut [&mut ann1, &mut ann2, &mut ben1, &mut ben2], "eve joined member").await;
    http.send(ann, &circle.room, "c2", "welcome").await;
    circle.set_role(ann, &circle.eve, "admin").await.expect(200);
    circle.rename(&circle.eve, "eve's").await.expect(200);
    let mut all = [&mut ann1, &mut ann2, &mut ben1, &mut ben2, &mut eve1];
    for expected in ["message welcome", "eve role admin", "room eve's"] {
        all_hear(&circle, &mut all, expected).await;
    }
    assert_eq!(circle.ban(&circle.eve, ben).await.status, 204);
    all_hear(&circle, &mut all, "ben removed").await;
    circle.set_role(ann, &circle.eve, "owner").await.expect(200);
    http.send(ann, &circle.room, "c3", "without ben").await;
    for expected in ["eve role owner", "ann role admin", "message without ben"] {
        all_hear(&circle, &mut [&mut ann1, &mut ann2, &mut eve1], expected).await;
    }
    for socket in [&mut ben1, &mut ben2, &mut fay1] {
        hears_nothing(&circle, socket).await;
        refused_everything(&circle, socket, "not_found").await;
    }
    // Told again, nothing is told.
    circle.ban(&circle.eve, ben).await;
    circle.add(&circle.eve, ann).await.expect(200);
    circle.rename(ann, "eve's").await.expect(200);
    circle.set_role(&circle.eve, &circle.eve, "owner").await.expect(200);
    http.send(ann, &circle.room, "c4", "end").await;
    all_hear(&circle, &mut [&mut ann1, &mut ann2, &mut eve1], "message end").await;
}

#[tokio::test]
async fn who_is_removed_and_added_again_is_back_at_once() {
    for kind in KINDS {
        let circle = Circle::set(kind).await;
        let Stage { ann, ben, http, .. } = &circle.stage;
        let mut socket = circle.stage.join(ben).await;
        for round in 1..=10 {
            assert_eq!(circle.remove(ann, ben).await.status, 204);
            circle.add(ann, ben).await.expect(200);
            let body = format!("round {round}");
            http.send(ann, &circle.room, &body, &body).await;
            assert_eq!(heard(&circle, &mut socket).await, "ben removed");
            let joined = format!("ben joined member at {}", round - 1);
            assert_eq!(heard(&circle, &mut socket).await, joined);
            assert_eq!(heard(&circle, &mut socket).await, format!("message {body}"));
        }
    }
}

#[tokio::test]
async fn a_removed_reader_of_an_open_room_is_an_outsider() {
    for kind in ["open group", "channel"] {
        let circle = Circle::set(kind).await;
        let Stage { ann, ben, .. } = &circle.stage;
        let mut socket = circle.stage.join(ben).await;
        assert_eq!(circle.remove(&circle.cal, ben).await.status, 204);
        assert_eq!(heard(&circle, &mut socket).await, "ben removed");
        refused_everything(&circle, &mut socket, "forbidden").await;
        let whole = format!("/v1/rooms/{}/messages", circle.room);
        let read = circle.stage.http.get(&whole).token(&ben.token).send().await;
        read.refused(403, "forbidden");
        circle.stage.http.send(ann, &circle.room, "c", "gone").await;
        hears_nothing(&circle, &mut socket).await;
    }
}

/// Many at once, each told once to whoever is there, none missing.
#[tokio::test]
async fn changes_at_the_same_time_are_all_heard() {
    let circle = Circle::set("open group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    let mut socket = circle.stage.join(ann).await;
    let begin = |rest: &str, account: &Account| {
        let path = format!("/v1/rooms/{}/{rest}", circle.room);
        http.call(Method::POST, &path).token(&account.token).spawn()
    };
    let everybody = [ben, &circle.cal, &circle.eve, &circle.fay];
    for round in 1..=20 {
        for (rest, told) in [("leave", "left"), ("join", "joined member")] {
            // Each asks several times, over several connections.
            let asked: Vec<_> =
                (0..3).flat_map(|_| everybody.map(|account| begin(rest, account))).collect();
            for answer in asked {
                let status = answer.await.expect("the task ends").status;
                assert!(status == 200 || status == 204, "{rest}: {status}");
            }
            http.send(ann, &circle.room, &format!("{rest} {round}"), "mark").await;
            let mut heard_of = Vec::new();
            loop {
                match heard(&circle, &mut socket).await {
                    mark if mark == "message mark" => break,
                    frame => heard_of.push(frame),
                }
            }
            heard_of.sort();
            let of = if round == 1 && rest == "leave" { &["ben", "cal"][..] } else { &NAMES };
            let expected: Vec<String> = of.iter().map(|name| format!("{name} {told}")).collect();
            assert_eq!(heard_of, expected, "round {round}");
        }
    }
}

const NAMES: [&str; 4] = ["ben", "cal", "eve", "fay"];
