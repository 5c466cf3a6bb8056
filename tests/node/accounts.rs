//! Accounts and sessions.

use crate::launch;
use madang_testkit::{
    Http, Launch, Node, Socket, Stage,
    client::{PASSWORD, list, number, text},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn node(launch: Launch) -> (Node, Http) {
    let node = launch.start().await;
    let http = node.http();
    (node, http)
}

fn credentials(username: &str, password: &str) -> Value {
    json!({"username": username, "password": password})
}

#[tokio::test]
async fn a_user_signs_up_and_is_who_they_say() {
    let (_node, http) = node(launch()).await;
    let mut body = credentials("마당지기", PASSWORD);
    body["display_name"] = json!("Keeper of the yard");
    let made = http.post("/v1/signup", body).send().await.expect(201);
    assert!(number(&made, "expires_at") > 1_700_000_000_000);
    let me = http.get("/v1/me").token(text(&made, "token")).send().await.expect(200);
    assert_eq!(me["user"], made["user"]);
    assert_eq!(text(&me, "username"), "마당지기");
    assert_eq!(text(&me, "display_name"), "Keeper of the yard");
    assert!(me["session"].is_string());
    assert_ne!(me["session"], made["token"]);
}

#[tokio::test]
async fn ids_and_tokens_are_plain_words() {
    let stage = Stage::set(launch()).await;
    let plain = |text: &str| {
        let known = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        known && (1..=64).contains(&text.len())
    };
    assert!(plain(&stage.ann.user) && plain(&stage.room));
    // 256 bits need at least 43 characters of 64 kinds.
    assert!(stage.ann.token.len() >= 43, "{}", stage.ann.token.len());
    assert_ne!(stage.ann.token, stage.ben.token);
}

#[tokio::test]
async fn a_name_is_taken_however_it_is_written() {
    let (_node, http) = node(launch()).await;
    http.signup("Straße").await;
    for same in ["straße", "STRASSE", "ｓtraße", "Straße"] {
        let answer = http.post("/v1/signup", credentials(same, PASSWORD)).send().await;
        answer.refused(409, "username_taken");
    }
    let login = http.post("/v1/login", credentials("STRASSE", PASSWORD)).send().await;
    login.expect(200);
}

#[tokio::test]
async fn two_who_want_one_name_at_once_do_not_both_get_it() {
    let (_node, http) = node(launch()).await;
    let asked: Vec<_> =
        (0..4).map(|_| http.post("/v1/signup", credentials("only", PASSWORD)).spawn()).collect();
    let mut statuses = Vec::new();
    for answer in asked {
        statuses.push(answer.await.expect("the task ends").status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn unusable_names_and_passwords_are_named() {
    let (_node, http) = node(launch()).await;
    let long = |length: usize| "x".repeat(length);
    for (field, body) in [
        ("username", credentials("ab", PASSWORD)),
        ("username", credentials(&long(33), PASSWORD)),
        ("username", credentials("with space", PASSWORD)),
        ("username", credentials("semi;colon", PASSWORD)),
        ("username", json!({"password": PASSWORD})),
        ("username", json!({"username": 5, "password": PASSWORD})),
        ("password", credentials("fine", "1234567")),
        ("password", credentials("fine", &long(257))),
        ("password", json!({"username": "fine"})),
        ("display_name", json!({"username": "fine", "password": PASSWORD, "display_name": ""})),
        (
            "display_name",
            json!({"username": "fine", "password": PASSWORD, "display_name": long(65)}),
        ),
    ] {
        let shown = body.to_string();
        let problem = http.post("/v1/signup", body).send().await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{shown} -> {problem}");
        assert!(problem["errors"][0]["reason"].is_string(), "{problem}");
    }
    http.post("/v1/signup", credentials("fine", &long(256))).send().await.expect(201);
}

#[tokio::test]
async fn signup_can_be_closed() {
    let (_node, http) = node(launch().with("signup", false)).await;
    http.post("/v1/signup", credentials("late", PASSWORD)).send().await.refused(403, "forbidden");
}

#[tokio::test]
async fn each_login_is_a_session_of_its_own() {
    let stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    assert_eq!(second.user, stage.ann.user);
    assert_ne!(second.token, stage.ann.token);
    let logout = stage.http.call(Method::POST, "/v1/logout").token(&second.token);
    assert_eq!(logout.send().await.status, 204);
    let me = |token: &str| stage.http.get("/v1/me").token(token);
    me(&second.token).send().await.refused(401, "unauthenticated");
    me(&stage.ann.token).send().await.expect(200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let (_node, http) = node(launch()).await;
    http.signup("known").await;
    let login = |name: &str| http.post("/v1/login", credentials(name, "not the password"));
    let wrong = login("known").send().await.refused(401, "bad_credentials");
    let unknown = login("unknown").send().await.refused(401, "bad_credentials");
    assert_eq!(wrong, unknown);
}

#[tokio::test]
async fn logout_closes_the_sockets_of_its_session_only() {
    let stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let mut ended = [stage.join(&second).await, stage.join(&second).await];
    let mut other = stage.join(&stage.ann).await;
    let logout = stage.http.call(Method::POST, "/v1/logout").token(&second.token);
    assert_eq!(logout.send().await.status, 204);
    for socket in &mut ended {
        assert_eq!(socket.close_code().await, 4001);
    }
    other.ok("ping", json!({})).await;
    let mut refused = Socket::open(stage.address()).await;
    refused.begin("hello", json!({"token": second.token})).await;
    assert_eq!(refused.close_code().await, 4001);
}

#[tokio::test]
async fn sessions_survive_a_kill() {
    let mut stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let logout = stage.http.call(Method::POST, "/v1/logout").token(&second.token);
    assert_eq!(logout.send().await.status, 204);
    stage.node.kill().await;
    stage.node.restart().await;
    let me = |token: &str| stage.http.get("/v1/me").token(token);
    assert_eq!(me(&stage.ann.token).send().await.expect(200)["user"], json!(stage.ann.user));
    me(&second.token).send().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn profiles_are_found_by_id_and_by_name() {
    let stage = Stage::set(launch()).await;
    let find = async |query: &str| {
        let answer = stage.http.get(&format!("/v1/users?{query}")).token(&stage.ben.token);
        list(&answer.send().await.expect(200), "users").to_vec()
    };
    let by_id = find(&format!("ids={},nobody,{}", stage.ann.user, stage.ben.user)).await;
    let names: Vec<&str> = by_id.iter().map(|user| text(user, "username")).collect();
    assert_eq!(names, ["ann", "ben"]);
    assert!(by_id.iter().all(|user| user["user"].is_string() && user["display_name"].is_string()));
    let by_name = find("usernames=BEN,nobody").await;
    assert_eq!(by_name, [by_id[1].clone()]);
    for query in ["", "ids=", "ids=a&usernames=b"] {
        let answer = stage.http.get(&format!("/v1/users?{query}")).token(&stage.ben.token);
        answer.send().await.refused(422, "invalid");
    }
    let many = vec![stage.ann.user.as_str(); 201].join(",");
    let answer = stage.http.get(&format!("/v1/users?ids={many}")).token(&stage.ben.token);
    answer.send().await.refused(422, "invalid");
}
