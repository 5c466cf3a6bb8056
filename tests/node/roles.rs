//! What owners, admins, members and everybody else may do to a room and to who is in it.

use crate::circle::{Circle, KINDS, roles};
use madang_testkit::{Account, Stage, client::{Answer, number}};
use reqwest::Method;
use serde_json::{Value, json};

/// Everything only owner or admins may do, to Ben or for Eve.
async fn try_everything(circle: &Circle, by: &Account) -> Vec<Answer> {
    let ben = &circle.stage.ben;
    vec![
        circle.rename(by, "mine").await,
        circle.add(by, &circle.eve).await,
        circle.add(by, by).await,
        circle.remove(by, ben).await,
        circle.ban(by, ben).await,
        circle.set_role(by, ben, "admin").await,
        circle.set_role(by, by, "owner").await,
    ]
}

const STAFF: [(&str, &str); 3] = [("ann", "owner"), ("ben", "member"), ("cal", "admin")];

#[tokio::test]
async fn who_may_not_changes_nothing() {
    let mut circle = Circle::set(KINDS[0]).await;
    for kind in KINDS {
        circle.make(kind).await;
        let hidden = if kind == KINDS[0] { (404, "not_found") } else { (403, "forbidden") };
        for (by, (status, code)) in [
            (&circle.stage.ben, (403, "forbidden")),
            (&circle.eve, hidden),
            (&circle.fay, hidden),
            (&circle.gus, hidden),
        ] {
            for answer in try_everything(&circle, by).await {
                answer.refused(status, code);
            }
        }
        let Stage { ann, ben, .. } = &circle.stage;
        for role in ["member", "admin", "owner"] {
            circle.set_role(&circle.cal, ben, role).await.refused(403, "forbidden");
            circle.set_role(&circle.cal, &circle.cal, role).await.refused(403, "forbidden");
            circle.set_role(ann, &circle.eve, role).await.refused(404, "not_found");
        }
        circle.remove(&circle.cal, ann).await.refused(403, "forbidden");
        circle.ban(&circle.cal, ann).await.refused(403, "forbidden");
        circle.remove(ann, ann).await.refused(409, "conflict");
        circle.set_role(ann, ann, "admin").await.refused(409, "conflict");
        assert_eq!(circle.roles(ann).await, roles(&STAFF), "{kind}");
        assert_eq!(circle.seen(ben).await.expect(200)["name"], "circle", "{kind}");
    }
}

#[tokio::test]
async fn owner_and_admins_say_who_is_in_and_how_it_is_called() {
    let mut circle = Circle::set(KINDS[0]).await;
    for kind in KINDS {
        circle.make(kind).await;
        let Stage { ann, ben, .. } = &circle.stage;
        for (by, name) in [(ann, "by ann"), (&circle.cal, "by cal")] {
            for _ in 0..2 {
                let renamed = circle.rename(by, name).await.expect(200);
                assert_eq!(renamed, circle.seen(by).await.expect(200));
                assert_eq!(renamed["name"], name);
            }
            for whom in [&circle.eve, &circle.fay, &circle.gus] {
                for _ in 0..2 {
                    let added = circle.add(by, whom).await.expect(200);
                    let (room, user) = (&circle.room, &whom.user);
                    let expected =
                        json!({"room": room, "user": user, "role": "member", "status": "joined"});
                    assert_eq!(added, expected);
                }
                assert_eq!(circle.seen(whom).await.expect(200)["role"], "member");
                for _ in 0..2 {
                    assert_eq!(circle.remove(by, whom).await.status, 204);
                }
                assert_ne!(circle.seen(whom).await.status, 200);
            }
        }
        for role in ["admin", "member"] {
            for _ in 0..2 {
                let given = circle.set_role(ann, ben, role).await.expect(200);
                assert_eq!((&given["role"], &given["user"]), (&json!(role), &json!(ben.user)));
            }
            assert_eq!(circle.seen(ben).await.expect(200)["role"], role);
        }
        assert_eq!(circle.roles(ben).await, roles(&STAFF), "{kind}");
    }
}

#[tokio::test]
async fn an_owner_gives_the_room_away_before_leaving() {
    let circle = Circle::set("open group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    http.send(ann, &circle.room, "c", "kept").await;
    circle.leave(ann).await.refused(409, "conflict");
    assert_eq!(circle.set_role(ann, ben, "owner").await.expect(200)["role"], "owner");
    let given = [("ann", "admin"), ("ben", "owner"), ("cal", "admin")];
    assert_eq!(circle.roles(ann).await, roles(&given));
    circle.set_role(ann, ann, "owner").await.refused(403, "forbidden");
    circle.leave(ben).await.refused(409, "conflict");
    for leaver in [ann, &circle.cal] {
        assert_eq!(circle.leave(leaver).await.status, 204);
        circle.seen(leaver).await.refused(403, "forbidden");
    }
    assert_eq!(circle.leave(ben).await.status, 204, "nobody is left to give it to");
    assert_eq!(circle.join(&circle.fay).await.expect(200)["role"], "owner");
    assert_eq!(circle.join(ben).await.expect(200)["role"], "member");
    assert_eq!(http.whole_log(ben, &circle.room).await[0]["body"], "kept");
}

#[tokio::test]
async fn who_is_kept_out_stays_out_until_added() {
    for kind in ["open group", "channel"] {
        let circle = Circle::set(kind).await;
        let Stage { ann, ben, .. } = &circle.stage;
        circle.join(&circle.gus).await.refused(403, "forbidden");
        circle.seen(&circle.gus).await.refused(403, "forbidden");
        assert_eq!(circle.leave(&circle.gus).await.status, 204);
        assert_eq!(circle.ban(&circle.cal, &circle.eve).await.status, 204, "before ever coming");
        circle.join(&circle.eve).await.refused(403, "forbidden");
        assert_eq!(circle.join(&circle.fay).await.expect(200)["role"], "member");
        assert_eq!(circle.remove(ann, ben).await.status, 204);
        assert_eq!(circle.join(ben).await.expect(200)["role"], "member", "only put out");

        circle.add(&circle.cal, &circle.gus).await.expect(200);
        assert_eq!(circle.leave(&circle.gus).await.status, 204);
        assert_eq!(circle.join(&circle.gus).await.expect(200)["role"], "member", "forgiven");
    }
}

#[tokio::test]
async fn bans_and_roles_outlive_a_crash() {
    let mut circle = Circle::set("open group").await;
    circle.stage.node.kill().await;
    circle.stage.node.restart().await;
    circle.join(&circle.gus).await.refused(403, "forbidden");
    assert_eq!(circle.roles(&circle.stage.ann).await, roles(&STAFF));
}

#[tokio::test]
async fn a_direct_room_stays_as_it_is() {
    let mut circle = Circle::set("open group").await;
    let Stage { ann, ben, http, .. } = &circle.stage;
    let body = json!({"kind": "direct", "members": [ben.user]});
    let made = http.post("/v1/rooms", body).token(&ann.token).send().await.expect(201);
    circle.room = made["room"].as_str().expect("an id").to_owned();
    let Stage { ann, .. } = &circle.stage;
    for answer in try_everything(&circle, ann).await {
        answer.refused(409, "conflict");
    }
    circle.leave(ann).await.refused(409, "conflict");
    for answer in try_everything(&circle, &circle.eve).await {
        answer.refused(404, "not_found");
    }
    let seen = circle.seen(ann).await.expect(200);
    assert_eq!((number(&seen, "members"), seen.get("name")), (2, None));
}

#[tokio::test]
async fn what_makes_no_sense_is_invalid_and_changes_nothing() {
    let circle = Circle::set("private group").await;
    let Stage { ann, ben, .. } = &circle.stage;
    let member = format!("/members/{}", ben.user);
    let nobody = "A".repeat(ben.user.len());
    for (method, rest, body) in [
        (Method::PATCH, "", json!({})),
        (Method::PATCH, "", json!({"name": null})),
        (Method::PATCH, "", json!({"name": ""})),
        (Method::PATCH, "", json!({"name": " "})),
        (Method::PATCH, "", json!({"name": 5})),
        (Method::PATCH, "", json!({"name": "a\nb"})),
        (Method::PATCH, "", json!({"name": "x".repeat(129)})),
        (Method::PATCH, "", json!(["name"])),
        (Method::POST, "/members", json!({})),
        (Method::POST, "/members", json!({"user": 5})),
        (Method::POST, "/members", json!({"user": "nobody"})),
        (Method::POST, "/members", json!({"user": nobody})),
        (Method::PATCH, &member, json!({})),
        (Method::PATCH, &member, json!({"role": "king"})),
        (Method::PATCH, &member, json!({"role": ["admin"]})),
        (Method::DELETE, &format!("{member}?ban=maybe"), Value::Null),
    ] {
        let shown = format!("{method} {rest} {body}");
        let answer = circle.call(ann, method, rest, body).await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid")), "{shown}");
    }
    for whom in ["nobody", &nobody, "%00"] {
        let rest = format!("/members/{whom}");
        circle.call(ann, Method::DELETE, &rest, Value::Null).await.refused(404, "not_found");
        let role = json!({"role": "admin"});
        circle.call(ann, Method::PATCH, &rest, role).await.refused(404, "not_found");
    }
    assert_eq!(circle.roles(ann).await, roles(&STAFF));
    assert_eq!(circle.seen(ann).await.expect(200)["name"], "circle");
}
