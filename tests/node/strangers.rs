//! Who may not: nobody, strangers, and members of nothing.

use crate::launch;
use madang_testkit::Stage;
use reqwest::Method;
use serde_json::{Value, json};

/// Every call that needs a session, with a body it would take.
fn calls(room: &str) -> Vec<(Method, String, Value)> {
    let of_room = |rest: &str| format!("/v1/rooms/{room}{rest}");
    let message = json!({"client_id": "c", "body": "b"});
    vec![
        (Method::POST, "/v1/logout".into(), Value::Null),
        (Method::GET, "/v1/me".into(), Value::Null),
        (Method::GET, "/v1/users?ids=x".into(), Value::Null),
        (Method::GET, "/v1/rooms".into(), Value::Null),
        (Method::POST, "/v1/rooms".into(), json!({"kind": "group", "name": "x"})),
        (Method::GET, of_room(""), Value::Null),
        (Method::POST, of_room("/join"), Value::Null),
        (Method::POST, of_room("/leave"), Value::Null),
        (Method::PATCH, of_room(""), json!({"name": "x"})),
        (Method::GET, of_room("/members"), Value::Null),
        (Method::POST, of_room("/members"), json!({"user": "x"})),
        (Method::PATCH, of_room("/members/x"), json!({"role": "admin"})),
        (Method::DELETE, of_room("/members/x"), Value::Null),
        (Method::GET, of_room("/messages"), Value::Null),
        (Method::GET, of_room("/messages/1/readers"), Value::Null),
        (Method::POST, of_room("/messages"), message),
    ]
}

#[tokio::test]
async fn without_a_session_nothing_is_told() {
    let stage = Stage::set(launch()).await;
    for (method, path, body) in calls(&stage.room) {
        for token in [None, Some("nonsense"), Some("")] {
            let mut call = stage.http.call(method.clone(), &path);
            if let Some(token) = token {
                call = call.token(token);
            }
            if !body.is_null() {
                call = call.json(&body);
            }
            let answer = call.send().await;
            let got = (answer.status, answer.body["code"].as_str());
            assert_eq!(got, (401, Some("unauthenticated")), "{method} {path} with {token:?}");
        }
    }
}

#[tokio::test]
async fn a_private_room_does_not_exist_for_strangers() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    for room in [stage.room.as_str(), "AAAAAAAAAAAAAAAAAAAA", "no-such-room", "%00"] {
        for (method, path, body) in calls(room).split_off(5) {
            let mut call = stage.http.call(method.clone(), &path).token(&eve.token);
            if !body.is_null() {
                call = call.json(&body);
            }
            let answer = call.send().await;
            let got = (answer.status, answer.body["code"].as_str());
            assert_eq!(got, (404, Some("not_found")), "{method} {path}");
        }
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn a_private_room_does_not_exist_over_a_socket_either() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    let mut socket = stage.join(&eve).await;
    for room in [stage.room.as_str(), "AAAAAAAAAAAAAAAAAAAA", "no-such-room", ""] {
        let send = json!({"room": room, "client_id": "c", "body": "b"});
        socket.refused("send", send, "not_found").await;
        socket.refused("subscribe", json!({"room": room}), "not_found").await;
        socket.refused("history", json!({"room": room}), "not_found").await;
    }
    stage.http.send(&stage.ann, &stage.room, "c", "secret").await;
    socket.ok("ping", json!({})).await;
    assert_eq!(socket.queued().count(), 0);
    assert_eq!(stage.http.whole_log(&stage.ann, &stage.room).await.len(), 1);
}

#[tokio::test]
async fn an_open_room_must_be_joined_first() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    let room = stage.http.make_open_group(&stage.ann, "open").await;
    let mut socket = stage.join(&eve).await;
    let send = json!({"room": room, "client_id": "c", "body": "b"});
    socket.refused("send", send.clone(), "forbidden").await;
    socket.refused("subscribe", json!({"room": room}), "forbidden").await;
    socket.refused("history", json!({"room": room}), "forbidden").await;
    let path = format!("/v1/rooms/{room}/messages");
    stage.http.post(&path, send).token(&eve.token).send().await.refused(403, "forbidden");
    stage.http.get(&path).token(&eve.token).send().await.refused(403, "forbidden");
}
