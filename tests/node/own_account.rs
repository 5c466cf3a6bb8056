//! What users change about themselves.

use crate::launch;
use madang_testkit::{
    Account, Http, Stage,
    client::{Answer, Call, PASSWORD, number, text},
};
use serde_json::{Value, json};

const NEW: &str = "a quite different one";

fn change(http: &Http, account: &Account, old: &str, new: &str) -> Call {
    http.post("/v1/password", json!({"old": old, "new": new})).token(&account.token)
}

async fn login(http: &Http, password: &str) -> Answer {
    http.post("/v1/login", json!({"username": "ann", "password": password})).send().await
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let (mut own, mut other) = tokio::join!(stage.join(&stage.ann), stage.join(&second));
    let mut ben = stage.join(&stage.ben).await;

    let answer = change(&stage.http, &stage.ann, PASSWORD, NEW).send().await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(other.close_code().await, 4001);
    let me = |token: &str| stage.http.get("/v1/me").token(token);
    me(&second.token).send().await.refused(401, "unauthenticated");
    me(&stage.ann.token).send().await.expect(200);
    own.ok("ping", json!({})).await;
    ben.ok("ping", json!({})).await;
    login(&stage.http, PASSWORD).await.refused(401, "bad_credentials");
    login(&stage.http, NEW).await.expect(200);
}

#[tokio::test]
async fn a_new_password_survives_a_kill() {
    let mut stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let answer = change(&stage.http, &second, PASSWORD, NEW).send().await;
    assert_eq!(answer.status, 204);
    stage.node.kill().await;
    stage.node.restart().await;
    login(&stage.http, PASSWORD).await.refused(401, "bad_credentials");
    login(&stage.http, NEW).await.expect(200);
    let me = |account: &Account| stage.http.get("/v1/me").token(&account.token);
    me(&second).send().await.expect(200);
    me(&stage.ann).send().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_wrong_old_password_changes_nothing() {
    let stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let mut other = stage.join(&second).await;
    for wrong in ["", "correct horse", NEW] {
        let answer = change(&stage.http, &stage.ann, wrong, NEW).send().await;
        answer.refused(401, "bad_credentials");
    }
    other.ok("ping", json!({})).await;
    login(&stage.http, NEW).await.refused(401, "bad_credentials");
    login(&stage.http, PASSWORD).await.expect(200);
}

/// A stolen token is no way around the limits of logins.
#[tokio::test]
async fn wrong_old_passwords_count_as_wrong_logins() {
    let stage = Stage::set(launch()).await;
    let thief = Http::from_source(stage.address(), [127, 0, 0, 84].into());
    for _ in 0..4 {
        let answer = change(&thief, &stage.ann, "guess number one", NEW).send().await;
        answer.refused(401, "bad_credentials");
    }
    let limited = change(&thief, &stage.ann, PASSWORD, NEW).send().await;
    let limited = limited.refused(429, "rate_limited");
    assert!((1..=60_000).contains(&number(&limited, "retry_after_ms")), "{limited}");
    login(&thief, PASSWORD).await.refused(429, "rate_limited");
    // Where this user has logged in before, they may.
    assert_eq!(change(&stage.http, &stage.ann, PASSWORD, NEW).send().await.status, 204);
}

#[tokio::test]
async fn old_passwords_count_to_their_address() {
    let stage = Stage::set(launch().with("logins-per-minute", 3)).await;
    for _ in 0..3 {
        let answer = change(&stage.http, &stage.ann, "wrong", NEW).send().await;
        answer.refused(401, "bad_credentials");
    }
    change(&stage.http, &stage.ann, PASSWORD, NEW).send().await.refused(429, "blocked");
}

/// Each with a right old password when it began, and each ending the session of the other.
#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let stage = Stage::set(launch()).await;
    let second = stage.http.login("ann").await;
    let changes = [(&stage.ann, NEW), (&second, "yet another one")];
    let asked =
        changes.map(|(account, new)| change(&stage.http, account, PASSWORD, new).spawn());
    let mut made = Vec::new();
    for (answer, (account, new)) in asked.into_iter().zip(changes) {
        match answer.await.expect("the task ends").status {
            204 => made.push((account, new)),
            status => assert_eq!(status, 401),
        }
    }
    let [(kept, new)] = made[..] else { panic!("{} were made", made.len()) };
    stage.http.get("/v1/me").token(&kept.token).send().await.expect(200);
    login(&stage.http, new).await.expect(200);
}

#[tokio::test]
async fn unusable_passwords_are_named() {
    let stage = Stage::set(launch()).await;
    let call = |body: Value| stage.http.post("/v1/password", body).token(&stage.ann.token);
    for (field, body) in [
        ("old", json!({"new": NEW})),
        ("old", json!({"old": 5, "new": NEW})),
        ("new", json!({"old": PASSWORD})),
        ("new", json!({"old": PASSWORD, "new": null})),
        ("new", json!({"old": PASSWORD, "new": {"x": 1}})),
        ("new", json!({"old": PASSWORD, "new": "1234567"})),
        ("new", json!({"old": PASSWORD, "new": "x".repeat(257)})),
    ] {
        let shown = body.to_string();
        let problem = call(body).send().await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{shown} -> {problem}");
    }
    login(&stage.http, PASSWORD).await.expect(200);
    let with_more = json!({"old": PASSWORD, "new": NEW, "username": "eve"});
    assert_eq!(call(with_more).send().await.status, 204);
}

#[tokio::test]
async fn a_stranger_changes_nothing() {
    let stage = Stage::set(launch()).await;
    let ended = stage.http.login("ann").await;
    let logout = stage.http.call(reqwest::Method::POST, "/v1/logout").token(&ended.token);
    assert_eq!(logout.send().await.status, 204);
    for token in ["", "junk", &format!("mdg_{}", "A".repeat(43)), &ended.token] {
        let password = json!({"old": PASSWORD, "new": NEW});
        let password = stage.http.post("/v1/password", password).token(token);
        password.send().await.refused(401, "unauthenticated");
        let name = stage.http.patch("/v1/me", json!({"display_name": "Eve"})).token(token);
        name.send().await.refused(401, "unauthenticated");
    }
    login(&stage.http, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_changed_display_name_is_shown_at_once() {
    let stage = Stage::set(launch()).await;
    let before = stage.http.get("/v1/me").token(&stage.ann.token).send().await.expect(200);
    for name in ["Ann Ångström 👋", "A", "A"] {
        let body = json!({"display_name": name, "username": "eve", "session": 5});
        let call = stage.http.patch("/v1/me", body).token(&stage.ann.token);
        let changed = call.send().await.expect(200);
        let mut expected = before.clone();
        expected["display_name"] = json!(name);
        assert_eq!(changed, expected);
        let me = stage.http.get("/v1/me").token(&stage.ann.token).send().await;
        assert_eq!(me.expect(200), expected);
        let path = format!("/v1/users?ids={}", stage.ann.user);
        let seen = stage.http.get(&path).token(&stage.ben.token).send().await.expect(200);
        assert_eq!(text(&seen["users"][0], "display_name"), name);
    }
}

#[tokio::test]
async fn unusable_display_names_are_named() {
    let stage = Stage::set(launch()).await;
    for body in [
        json!({}),
        json!({"display_name": null}),
        json!({"display_name": ""}),
        json!({"display_name": " "}),
        json!({"display_name": 5}),
        json!({"display_name": "x".repeat(65)}),
        json!({"display_name": "two\nlines"}),
    ] {
        let call = stage.http.patch("/v1/me", body).token(&stage.ann.token);
        let problem = call.send().await.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], "display_name", "{problem}");
    }
    let me = stage.http.get("/v1/me").token(&stage.ann.token).send().await.expect(200);
    assert_eq!(text(&me, "display_name"), "ann");
}
