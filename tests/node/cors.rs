//! What a browser lets a page of another host do: `allowed_origins`, in the words of the Fetch
//! standard.

use crate::launch;
use madang_testkit::{
    Stage,
    client::{Answer, Call},
    raw::RawSocket,
    wait::{SOON, until},
};
use reqwest::Method;
use serde_json::json;

const LISTED: &str = "https://chat.example.org";

async fn stage() -> Stage {
    Stage::set(launch().with("allowed-origins", LISTED)).await
}

fn preflight(stage: &Stage, path: &str, method: &str) -> Call {
    stage
        .http
        .call(Method::OPTIONS, path)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
}

/// Whether a page of this origin gets to see the answer.
fn is_readable(answer: &Answer, origin: &str) -> bool {
    // Where it depends on the origin, nobody may keep it for another.
    let vary = answer.header("vary").unwrap_or_default().to_lowercase();
    assert!(vary.split(',').any(|name| name.trim() == "origin"), "{answer:?}");
    // No cookie is involved, so a page must not be told that it may send any.
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    answer.header("access-control-allow-origin") == Some(origin)
}

#[tokio::test]
async fn a_listed_origin_may_ask_for_every_call() {
    let stage = stage().await;
    let room = format!("/v1/rooms/{}", stage.room);
    for (path, method) in [
        ("/v1/me", "GET"),
        ("/v1/rooms", "POST"),
        (room.as_str(), "PATCH"),
        ("/v1/rooms/r/members/u", "DELETE"),
        ("/v1/nowhere", "GET"),
    ] {
        let answer = preflight(&stage, path, method).header("origin", LISTED).send().await;
        assert!((200..300).contains(&answer.status) && is_readable(&answer, LISTED), "{answer:?}");
        let listed = |name: &str, wanted: &str| {
            let value = answer.header(name).unwrap_or_default().to_lowercase();
            value.split(',').any(|item| item.trim() == wanted)
        };
        assert!(listed("access-control-allow-methods", &method.to_lowercase()), "{answer:?}");
        assert!(listed("access-control-allow-headers", "authorization"), "{answer:?}");
        assert!(listed("access-control-allow-headers", "content-type"), "{answer:?}");
        assert!(answer.header("access-control-max-age").is_some(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_listed_origin_reads_answers_and_problems() {
    let stage = stage().await;
    let get = |path: &str| stage.http.get(path).header("origin", LISTED);
    let me = get("/v1/me").token(&stage.ann.token).send().await;
    assert!(me.status == 200 && is_readable(&me, LISTED), "{me:?}");
    let wrong_method = stage.http.call(Method::PUT, "/v1/rooms").header("origin", LISTED);
    for (call, status) in [
        (get("/v1/me"), 401),
        (get("/v1/rooms/nowhere").token(&stage.ann.token), 404),
        (get("/v1/nowhere"), 404),
        (wrong_method, 405),
        (stage.http.post("/v1/login", json!({})).header("origin", LISTED), 422),
        (get("/v1/ws").header("upgrade", "websocket"), 422),
    ] {
        let answer = call.send().await;
        assert!(answer.status == status && is_readable(&answer, LISTED), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn others_are_not_told() {
    let stage = stage().await;
    let own = format!("http://{}", stage.address());
    for origin in ["https://evil.example", "http://chat.example.org", "null", "nonsense", &own] {
        let answer = preflight(&stage, "/v1/me", "GET").header("origin", origin).send().await;
        assert!(!is_readable(&answer, origin), "{answer:?}");
        answer.refused(403, "forbidden");
        let call = stage.http.get("/v1/me").token(&stage.ann.token).header("origin", origin);
        let answer = call.send().await;
        assert!(answer.status == 200 && !is_readable(&answer, origin), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn programs_say_no_origin_and_are_served() {
    let stage = stage().await;
    let answer = stage.http.get("/v1/me").token(&stage.ann.token).send().await;
    assert!(answer.status == 200 && answer.header("access-control-allow-origin").is_none());
    assert!(!is_readable(&answer, LISTED));
    let answer = preflight(&stage, "/v1/me", "GET").send().await;
    assert_eq!(answer.status, 405, "without an origin it is no preflight: {answer:?}");
}

#[tokio::test]
async fn without_the_setting_only_the_own_host_is_served_to_pages() {
    let stage = Stage::set(launch()).await;
    let own = format!("http://{}", stage.address());
    for origin in [LISTED, &own] {
        let answer = stage.http.get("/healthz").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
}

#[tokio::test]
async fn all_origins_can_be_let_in() {
    let stage = Stage::set(launch().with("allowed-origins", "*")).await;
    for origin in [LISTED, "null", "http://localhost:3000"] {
        let answer = preflight(&stage, "/v1/me", "GET").header("origin", origin).send().await;
        assert!(answer.status == 204 && is_readable(&answer, origin), "{answer:?}");
    }
}

/// A page learns when to come back, also from a node that has no place for it.
#[tokio::test]
async fn a_full_node_says_so_to_pages() {
    let launch = launch().with("allowed-origins", LISTED).with("max-connections", 12);
    let stage = Stage::set(launch).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(RawSocket::connect(stage.address()).await);
    }
    let full = || async {
        // A client of its own: a connection that is kept open has its place.
        let call = stage.node.http().get("/v1/me").header("origin", LISTED);
        Some(call.send().await).filter(|answer| answer.status == 503)
    };
    let answer = until("the node is full", SOON, full).await;
    assert!(is_readable(&answer, LISTED), "{answer:?}");
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.to_lowercase().contains("retry-after"), "{answer:?}");
    answer.refused(503, "overloaded");
}
