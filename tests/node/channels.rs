//! Channels: anyone joins and reads, owner and admins post.

use crate::circle::{Circle, roles};
use madang_testkit::{Account, Socket, Stage, client::{Answer, list, number}};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(circle: &Circle, by: &Account, client_id: &str) -> Answer {
    let body = json!({"client_id": client_id, "body": "posted"});
    circle.call(by, Method::POST, "/messages", body).await
}

fn send(circle: &Circle, client_id: &str) -> Value {
    json!({"room": circle.room, "client_id": client_id, "body": "sent"})
}

#[tokio::test]
async fn a_channel_is_made_once_and_shown_as_one() {
    let stage = Stage::set(crate::launch()).await;
    let make = |body: Value| stage.http.post("/v1/rooms", body).token(&stage.ann.token).send();
    let body = json!({
        "kind": "channel", "name": "news", "members": [stage.ben.user], "client_id": "make",
    });
    let made = make(body.clone()).await.expect(201);
    assert_eq!((&made["kind"], &made["name"]), (&json!("channel"), &json!("news")));
    assert_eq!((&made["private"], &made["role"]), (&json!(false), &json!("owner")));
    assert_eq!(number(&made, "members"), 2);
    assert_eq!(make(body).await.expect(200), made);

    let rooms = stage.http.get("/v1/rooms").token(&stage.ben.token).send().await.expect(200);
    let seen = list(&rooms, "rooms").iter().find(|room| room["room"] == made["room"]);
    let seen = seen.expect("a named member is in it");
    assert_eq!((&seen["kind"], &seen["role"]), (&json!("channel"), &json!("member")));

    for body in [
        json!({"kind": "channel", "name": "x", "private": true}),
        json!({"kind": "channel", "name": ""}),
        json!({"kind": "channel", "name": "x", "capacity": 5}),
        json!({"kind": "channel", "name": "x", "members": ["nobody"]}),
    ] {
        make(body).await.refused(422, "invalid");
    }
    let open = make(json!({"kind": "channel", "name": "x", "private": false})).await;
    assert_eq!(open.expect(201)["private"], false);
}

#[tokio::test]
async fn owner_and_admins_post_and_members_read() {
    let circle = Circle::set("channel").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    let (mut by_ann, mut by_ben) = circle.stage.both().await;
    let mut by_cal = circle.stage.join(&circle.cal).await;
    by_ann.ok("send", send(&circle, "a1")).await;
    by_cal.ok("send", send(&circle, "c1")).await;
    assert_eq!(post(&circle, ann, "a2").await.status, 201);
    assert_eq!(post(&circle, &circle.cal, "c2").await.status, 201);
    by_ben.refused("send", send(&circle, "b1"), "forbidden").await;
    post(&circle, ben, "b2").await.refused(403, "forbidden");
    for seq in 1..=4 {
        assert_eq!(number(&by_ben.expect("message").await, "seq"), seq);
    }
    for outsider in [&circle.eve, &circle.fay, &circle.gus] {
        post(&circle, outsider, "o").await.refused(403, "forbidden");
        let read = circle.call(outsider, Method::GET, "/messages", Value::Null).await;
        read.refused(403, "forbidden");
    }
    assert_eq!(http.whole_log(ben, &circle.room).await.len(), 4);
}

#[tokio::test]
async fn anyone_joins_reads_everything_and_still_does_not_post() {
    let circle = Circle::set("channel").await;
    let Stage { ann, http, .. } = &circle.stage;
    http.send(ann, &circle.room, "a1", "old").await;
    let mut eve = circle.stage.join(&circle.eve).await;
    for _ in 0..2 {
        assert_eq!(circle.join(&circle.eve).await.expect(200)["role"], "member");
    }
    http.send(ann, &circle.room, "a2", "new").await;
    assert_eq!(eve.expect("message").await["body"], "new");
    assert_eq!(http.whole_log(&circle.eve, &circle.room).await.len(), 2);
    eve.refused("send", send(&circle, "e1"), "forbidden").await;
}

/// A role holds from the answer on, for the connections that are there.
#[tokio::test]
async fn a_role_given_or_taken_counts_at_once() {
    let circle = Circle::set("channel").await;
    let Stage { ann, ben, .. } = &circle.stage;
    let mut socket: Socket = circle.stage.join(ben).await;
    for round in 1..=3 {
        circle.set_role(ann, ben, "admin").await.expect(200);
        socket.ok("send", send(&circle, &format!("yes {round}"))).await;
        circle.set_role(ann, ben, "member").await.expect(200);
        socket.refused("send", send(&circle, &format!("no {round}")), "forbidden").await;
    }
    circle.set_role(ann, ben, "owner").await.expect(200);
    socket.ok("send", send(&circle, "owner")).await;
    let given = [("ann", "admin"), ("ben", "owner"), ("cal", "admin")];
    assert_eq!(circle.roles(ben).await, roles(&given));
    assert_eq!(post(&circle, ann, "still an admin").await.status, 201);
}

/// The home of a channel that nobody used for a while learns what it is before it takes sends.
#[tokio::test]
async fn a_channel_is_one_after_a_crash() {
    let mut circle = Circle::set("channel").await;
    circle.stage.node.kill().await;
    circle.stage.node.restart().await;
    let Stage { ann, ben, .. } = &circle.stage;
    let (refused, taken) = tokio::join!(post(&circle, ben, "b"), post(&circle, ann, "a"));
    refused.refused(403, "forbidden");
    assert_eq!(taken.expect(201)["seq"], 1);
}
