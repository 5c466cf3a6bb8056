//! One session a user, where the setting says so.

use crate::launch;
use madang_testkit::{
    Launch, Socket, Stage,
    client::{PASSWORD, text},
};
use serde_json::json;

const KEY: &str = "0123456789abcdef-key-of-a-shop";

fn single() -> Launch {
    launch().with("single-session", true).with("api-keys", KEY)
}

#[tokio::test]
async fn a_newer_session_replaces_the_others() {
    let stage = Stage::set(single()).await;
    let (mut first, mut ben) = stage.both().await;
    let mut unidentified = Socket::open(stage.address()).await;
    let second = stage.http.login("ann").await;
    assert_eq!(first.close_code().await, 4009);
    let me = |token: &str| stage.http.get("/v1/me").token(token);
    me(&stage.ann.token).send().await.refused(401, "unauthenticated");
    me(&second.token).send().await.expect(200);

    // Several connections of one session are fine, and nobody else is concerned.
    let mut newer = [stage.join(&second).await, stage.join(&second).await];
    for socket in newer.iter_mut().chain([&mut ben]) {
        socket.ok("ping", json!({})).await;
    }
    unidentified.begin("hello", json!({"token": stage.ann.token})).await;
    assert_eq!(unidentified.close_code().await, 4001);
}

#[tokio::test]
async fn a_failed_login_replaces_nothing() {
    let stage = Stage::set(single()).await;
    let mut socket = stage.join(&stage.ann).await;
    let body = json!({"username": "ann", "password": "not the password"});
    stage.http.post("/v1/login", body).send().await.refused(401, "bad_credentials");
    socket.ok("ping", json!({})).await;
}

#[tokio::test]
async fn a_session_a_product_asked_for_replaces_the_others() {
    let stage = Stage::set(single()).await;
    let start = async || {
        let call = stage.http.post("/v1/tokens", json!({"external_id": "42"})).token(KEY);
        call.send().await.expect(200)
    };
    let first = start().await;
    let mut socket = Socket::open(stage.address()).await;
    socket.hello(text(&first, "token"), None).await;
    start().await;
    assert_eq!(socket.close_code().await, 4009);
}

#[tokio::test]
async fn logins_at_once_leave_exactly_one_session() {
    let stage = Stage::set(single()).await;
    let body = json!({"username": "ann", "password": PASSWORD});
    let asked: Vec<_> =
        (0..6).map(|_| stage.http.post("/v1/login", body.clone()).spawn()).collect();
    let mut tokens = vec![stage.ann.token.clone()];
    for answer in asked {
        let started = answer.await.expect("the task ends").expect(200);
        tokens.push(text(&started, "token").to_owned());
    }
    let mut valid = 0;
    for token in &tokens {
        valid += usize::from(stage.http.get("/v1/me").token(token).send().await.status == 200);
    }
    assert_eq!(valid, 1);
}
