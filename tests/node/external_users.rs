//! Users of a product that has accounts of its own.

use crate::launch;
use madang_testkit::{
    Http, Node, Socket, Stage,
    client::{Answer, PASSWORD, number, text},
};
use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef-key-of-a-shop";

async fn node() -> (Node, Http) {
    let keys = format!("another-key-that-is-long,{KEY}");
    let node = launch().with("api-keys", keys).start().await;
    let http = node.http();
    (node, http)
}

async fn start(http: &Http, body: Value) -> Value {
    http.post("/v1/tokens", body).token(KEY).send().await.expect(200)
}

async fn me(http: &Http, started: &Value) -> Value {
    http.get("/v1/me").token(text(started, "token")).send().await.expect(200)
}

#[tokio::test]
async fn a_product_starts_sessions_for_its_users() {
    let (node, http) = node().await;
    let wish = json!({"external_id": "42", "username": "ann", "display_name": "Ann Lee"});
    let first = start(&http, wish).await;
    assert!(first["expires_at"].is_u64(), "{first}");
    let known = me(&http, &first).await;
    assert_eq!((text(&known, "username"), text(&known, "display_name")), ("ann", "Ann Lee"));

    let second = start(&http, json!({"external_id": "42"})).await;
    assert_eq!(second["user"], first["user"]);
    assert_ne!(second["token"], first["token"]);
    assert_ne!(me(&http, &second).await["session"], known["session"]);
    for started in [&first, &second] {
        let mut socket = Socket::open(node.address()).await;
        let hello = socket.hello(text(started, "token"), None).await;
        assert_eq!(hello["user"], first["user"]);
    }
    let other = start(&http, json!({"external_id": "43", "username": null})).await;
    assert_ne!(other["user"], first["user"]);
}

#[tokio::test]
async fn first_calls_at_once_make_one_user() {
    let (_node, http) = node().await;
    let wish = json!({"external_id": "42", "username": "ann"});
    let calls: Vec<_> =
        (0..6).map(|_| http.post("/v1/tokens", wish.clone()).token(KEY).spawn()).collect();
    let mut users = Vec::new();
    for call in calls {
        users.push(call.await.expect("the task ends").expect(200)["user"].clone());
    }
    users.dedup();
    assert_eq!(users.len(), 1, "{users:?}");
}

#[tokio::test]
async fn an_external_id_is_one_user_for_ever() {
    let (mut node, http) = node().await;
    let before = start(&http, json!({"external_id": "42"})).await;
    node.kill().await;
    node.restart().await;
    assert_eq!(start(&http, json!({"external_id": "42"})).await["user"], before["user"]);
    for other in ["4", "42 ", "042", "４２"] {
        let started = start(&http, json!({"external_id": other})).await;
        assert_ne!(started["user"], before["user"], "{other:?}");
    }
}

#[tokio::test]
async fn a_user_without_a_name_gets_one() {
    let (_node, http) = node().await;
    let mut names = Vec::new();
    for external_id in ["1", "2"] {
        let made = start(&http, json!({"external_id": external_id})).await;
        let known = me(&http, &made).await;
        assert_eq!(known["username"], known["display_name"]);
        let name = text(&known, "username").to_owned();
        assert!((3..=32).contains(&name.len()), "{name}");
        names.push(name);
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn the_display_name_follows_the_product_and_the_username_stays() {
    let (_node, http) = node().await;
    let made = start(&http, json!({"external_id": "42", "username": "ann"})).await;
    let path = "/v1/me";
    let mine = json!({"display_name": "Mine"});
    http.patch(path, mine).token(text(&made, "token")).send().await.expect(200);
    http.signup("taken").await;
    for (wish, shown) in [
        (json!({"external_id": "42"}), "Mine"),
        (json!({"external_id": "42", "username": "other", "display_name": "Theirs"}), "Theirs"),
        (json!({"external_id": "42", "username": "taken"}), "Theirs"),
    ] {
        let started = start(&http, wish).await;
        assert_eq!(started["user"], made["user"]);
        let known = me(&http, &started).await;
        assert_eq!((text(&known, "username"), text(&known, "display_name")), ("ann", shown));
    }
}

#[tokio::test]
async fn a_taken_username_makes_nothing() {
    let (_node, http) = node().await;
    http.signup("Straße").await;
    let wish = json!({"external_id": "42", "username": "STRASSE"});
    http.post("/v1/tokens", wish).token(KEY).send().await.refused(409, "username_taken");
    let made = start(&http, json!({"external_id": "42", "username": "free"})).await;
    assert_eq!(text(&me(&http, &made).await, "username"), "free");
    let signup = json!({"username": "FREE", "password": PASSWORD});
    http.post("/v1/signup", signup).send().await.refused(409, "username_taken");
}

#[tokio::test]
async fn what_a_product_may_not_ask() {
    let (_node, http) = node().await;
    let call = |body: Value| http.post("/v1/tokens", body).token(KEY);
    for (field, body) in [
        ("external_id", json!({})),
        ("external_id", json!({"external_id": null})),
        ("external_id", json!({"external_id": ""})),
        ("external_id", json!({"external_id": 42})),
        ("external_id", json!({"external_id": "x".repeat(129)})),
        ("username", json!({"external_id": "1", "username": "a b"})),
        ("username", json!({"external_id": "1", "username": ["ann"]})),
        ("display_name", json!({"external_id": "1", "display_name": ""})),
        ("display_name", json!({"external_id": "1", "display_name": true})),
    ] {
        let shown = body.to_string();
        let problem = call(body).send().await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{shown} -> {problem}");
    }
    let text = http.call(reqwest::Method::POST, "/v1/tokens").token(KEY);
    text.send().await.refused(415, "invalid");
    let longest = json!({"external_id": "é".repeat(64), "and": "more"});
    call(longest).send().await.expect(200);
}

#[tokio::test]
async fn only_a_key_opens_the_door() {
    let (_node, http) = node().await;
    let ann = http.signup("ann").await;
    let body = || json!({"external_id": "42"});
    let junk = [&KEY[1..], &format!("{KEY}x"), &KEY.to_uppercase(), "x", &ann.token];
    for wrong in junk {
        let answer = http.post("/v1/tokens", body()).token(wrong).send().await;
        answer.refused(401, "unauthenticated");
    }
    http.post("/v1/tokens", body()).send().await.refused(401, "unauthenticated");
    let basic = http.post("/v1/tokens", body()).header("authorization", &format!("Basic {KEY}"));
    basic.send().await.refused(401, "unauthenticated");
    // Before the body is looked at.
    http.post("/v1/tokens", json!([])).token("x").send().await.refused(401, "unauthenticated");
    http.get("/v1/me").token(KEY).send().await.refused(401, "unauthenticated");
    let first_key = http.post("/v1/tokens", body()).token("another-key-that-is-long");
    first_key.send().await.expect(200);
}

/// As logins, and together with them.
#[tokio::test]
async fn wrong_keys_count_to_their_address() {
    let launch = launch().with("logins-per-minute", 4).with("api-keys", KEY);
    let node = launch.start().await;
    let thief = Http::from_source(node.address(), [127, 0, 0, 86].into());
    let body = || json!({"external_id": "42"});
    let guess = |key: &str| thief.post("/v1/tokens", body()).token(key).send();
    let login = || thief.post("/v1/login", json!({"username": "ann", "password": PASSWORD})).send();
    guess("guess number one").await.refused(401, "unauthenticated");
    login().await.refused(401, "bad_credentials");
    thief.post("/v1/tokens", body()).send().await.refused(401, "unauthenticated");
    guess(KEY).await.expect(200);
    guess("guess number two").await.refused(401, "unauthenticated");
    for key in ["guess number three", KEY, ""] {
        let blocked = guess(key).await.refused(429, "blocked");
        assert!((1..=180_000).contains(&number(&blocked, "retry_after_ms")), "{blocked}");
    }
    login().await.refused(429, "blocked");
    start(&node.http(), body()).await;
}

#[tokio::test]
async fn without_a_key_nobody_may() {
    let stage = Stage::set(launch()).await;
    for token in ["", KEY, &stage.ann.token] {
        let call = stage.http.post("/v1/tokens", json!({"external_id": "42"})).token(token);
        call.send().await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn such_a_user_has_no_password() {
    let (_node, http) = node().await;
    let made = start(&http, json!({"external_id": "42", "username": "ann"})).await;
    let login = async |name: &str, password: &str| -> Answer {
        let body = json!({"username": name, "password": password});
        http.post("/v1/login", body).send().await
    };
    let unknown = login("nobody", PASSWORD).await.refused(401, "bad_credentials");
    for password in [PASSWORD, ""] {
        let refused = login("ann", password).await.refused(401, "bad_credentials");
        assert_eq!(refused, unknown);
    }
    let change = json!({"old": "", "new": PASSWORD});
    let call = http.post("/v1/password", change).token(text(&made, "token"));
    call.send().await.refused(401, "bad_credentials");
}

#[tokio::test]
async fn a_product_is_not_limited_as_one_client() {
    let launch = launch().with("logins-per-minute", 1).with("signups-per-minute", 1);
    let node = launch.with("api-keys", KEY).with("signup", false).start().await;
    for number in 0..5 {
        start(&node.http(), json!({"external_id": number.to_string()})).await;
    }
}
