//! Requests that are well-formed and wrong: each gets its code, the connection goes on, and
//! nothing is stored.

use crate::launch;
use madang_testkit::{Socket, Stage};
use serde_json::{Value, json};

#[tokio::test]
async fn anything_before_hello_is_refused_and_closed() {
    let stage = Stage::set(launch()).await;
    for op in ["ping", "send", "subscribe", "history", "dance"] {
        let mut socket = Socket::open(stage.address()).await;
        let fields = json!({"room": stage.room, "client_id": "c", "body": "b"});
        let answer = socket.request(op, fields).await;
        assert_eq!(answer["op"], "error", "{op}: {answer}");
        assert_eq!(socket.close_code().await, 4001, "{op}");
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_closed() {
    let stage = Stage::set(launch()).await;
    let almost = format!("{}A", &stage.ann.token[..stage.ann.token.len() - 1]);
    let other = format!("{}B", &stage.ann.token[..stage.ann.token.len() - 1]);
    let wrong = if almost == stage.ann.token { other } else { almost };
    for token in [wrong.as_str(), "", "nonsense", &"x".repeat(10_000)] {
        let mut socket = Socket::open(stage.address()).await;
        socket.refused("hello", json!({"token": token}), "unauthenticated").await;
        assert_eq!(socket.close_code().await, 4001);
    }
}

#[tokio::test]
async fn hello_is_said_once() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    socket.refused("hello", json!({"token": stage.ann.token}), "conflict").await;
    socket.refused("hello", json!({"token": stage.ben.token}), "conflict").await;
    socket.ok("ping", json!({})).await;
}

#[tokio::test]
async fn others_may_follow_hello_at_once() {
    let stage = Stage::set(launch()).await;
    let mut socket = Socket::open(stage.address()).await;
    let hello = socket.begin("hello", json!({"token": stage.ann.token})).await;
    let fields = json!({"room": stage.room, "client_id": "c", "body": "eager"});
    let send = socket.begin("send", fields).await;
    assert_eq!(socket.answer(hello).await["op"], "ok");
    assert_eq!(socket.answer(send).await["seq"], 1);
}

#[tokio::test]
async fn wrong_fields_are_invalid_and_nothing_is_stored() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    let good = json!({"room": stage.room, "client_id": "c", "body": "b"});
    for (field, wrong) in [
        ("room", json!(5)),
        ("room", Value::Null),
        ("client_id", json!("")),
        ("client_id", json!("c".repeat(65))),
        ("client_id", json!(7)),
        ("client_id", Value::Null),
        ("body", json!("")),
        ("body", json!(["b"])),
        ("body", json!({"text": "b"})),
        ("body", Value::Null),
        ("reply_to", json!("1")),
        ("reply_to", json!(-1)),
        ("reply_to", json!(1.5)),
        ("reply_to", json!(1_u64 << 53)),
    ] {
        let mut fields = good.clone();
        fields[field] = wrong;
        socket.refused("send", fields, "invalid").await;
    }
    let mut longest = good;
    longest["client_id"] = json!("c".repeat(64));
    socket.ok("send", longest).await;
    assert_eq!(stage.http.whole_log(&stage.ann, &stage.room).await.len(), 1);
}

#[tokio::test]
async fn a_body_over_its_limit_is_too_large() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    for body in ["a".repeat(16_385), "마".repeat(5_462)] {
        let fields = json!({"room": stage.room, "client_id": "c", "body": body});
        socket.refused("send", fields, "too_large").await;
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn ids_that_are_no_numbers_are_invalid() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    for id in [json!("7"), json!(-1), json!(1.5), json!([]), json!(1_u64 << 53)] {
        socket.say(&json!({"op": "ping", "id": id})).await;
        let error = socket.expect("error").await;
        assert_eq!((&error["code"], error.get("id")), (&json!("invalid"), None), "{error}");
    }
    for id in [0, (1_u64 << 53) - 1] {
        socket.say(&json!({"op": "ping", "id": id})).await;
        assert_eq!(socket.expect("ok").await["id"], json!(id));
    }
}

#[tokio::test]
async fn operations_nobody_knows_are_unknown() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    for op in ["dance", "", "SEND", "HELLO"] {
        let fields = json!({
            "room": stage.room, "seq": 1, "body": "b", "emoji": "x", "on": true, "data": "d",
        });
        socket.refused(op, fields, "unknown_op").await;
    }
    for frame in [json!({"id": 900}), json!({"id": 900, "op": null}), json!({"id": 900, "op": 5})] {
        socket.say(&frame).await;
        assert_eq!(socket.answer(900).await["code"], "invalid", "{frame}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_fields_of_later_versions_are_invalid() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    let resume = json!({"room": stage.room, "after_seq": 0, "after_rev": 1});
    socket.refused("subscribe", resume, "invalid").await;
    let rev_alone = json!({"room": stage.room, "after_rev": 0});
    socket.refused("subscribe", rev_alone, "invalid").await;
    let with_file = json!({
        "room": stage.room, "client_id": "c", "body": "b", "attachments": [{"upload": "u"}],
    });
    socket.refused("send", with_file, "invalid").await;
    let reply = json!({"room": stage.room, "client_id": "c", "body": "b", "reply_to": 1});
    socket.refused("send", reply, "invalid").await;
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_null_is_absent() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    let fields = json!({
        "room": stage.room, "client_id": "c", "body": "b", "reply_to": null, "mood": {"a": [1]},
    });
    assert_eq!(socket.ok("send", fields).await["seq"], 1);
    socket.ok("subscribe", json!({"room": stage.room, "after_seq": null})).await;
    socket.ok("history", json!({"room": stage.room, "before": null, "after": 0})).await;
}

#[tokio::test]
async fn pages_out_of_range_are_invalid() {
    let stage = Stage::set(launch()).await;
    let mut socket = stage.join(&stage.ann).await;
    for fields in [
        json!({"limit": 0}),
        json!({"limit": 201}),
        json!({"limit": "x"}),
        json!({"before": 5, "after": 1}),
        json!({"before": -1}),
    ] {
        let mut fields = fields;
        fields["room"] = json!(stage.room);
        socket.refused("history", fields, "invalid").await;
    }
}

#[tokio::test]
async fn wishes_that_make_no_sense_are_invalid() {
    let stage = Stage::set(launch()).await;
    for wish in [json!("some"), json!(5), json!([5]), json!([{}]), json!([{"room": 5}])] {
        let mut socket = Socket::open(stage.address()).await;
        let fields = json!({"token": stage.ann.token, "subscribe": wish});
        socket.refused("hello", fields, "invalid").await;
    }
}
