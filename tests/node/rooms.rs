//! Rooms: making, joining, leaving, listing.

use crate::launch;
use madang_testkit::{
    Account, Http, Socket, Stage,
    client::{Answer, list, number, text},
    wait::{SOON, within},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn make(http: &Http, owner: &Account, body: Value) -> Answer {
    http.post("/v1/rooms", body).token(&owner.token).send().await
}

async fn join(http: &Http, account: &Account, room: &str) -> Answer {
    let path = format!("/v1/rooms/{room}/join");
    http.call(Method::POST, &path).token(&account.token).send().await
}

async fn leave(http: &Http, account: &Account, room: &str) -> Answer {
    let path = format!("/v1/rooms/{room}/leave");
    http.call(Method::POST, &path).token(&account.token).send().await
}

async fn room_of(http: &Http, account: &Account, room: &str) -> Value {
    http.get(&format!("/v1/rooms/{room}")).token(&account.token).send().await.expect(200)
}

async fn rooms_of(http: &Http, account: &Account, query: &str) -> Value {
    http.get(&format!("/v1/rooms{query}")).token(&account.token).send().await.expect(200)
}

fn names(rooms: &Value) -> Vec<&str> {
    list(rooms, "rooms").iter().map(|room| text(room, "name")).collect()
}

#[tokio::test]
async fn a_room_is_the_same_object_everywhere() {
    let stage = Stage::set(launch()).await;
    let body = json!({"kind": "group", "name": "garden", "members": [stage.ben.user]});
    let made = make(&stage.http, &stage.ann, body).await.expect(201);
    assert_eq!((&made["kind"], &made["name"]), (&json!("group"), &json!("garden")));
    assert_eq!((&made["private"], &made["role"]), (&json!(true), &json!("owner")));
    let numbers = ["last_seq", "last_rev", "read_seq", "unread", "members"];
    assert_eq!(numbers.map(|field| number(&made, field)), [0, 0, 0, 0, 2]);
    assert!(number(&made, "created_at") > 1_700_000_000_000);
    assert!(made.get("last_message").is_none(), "{made}");

    let room = text(&made, "room");
    assert_eq!(room_of(&stage.http, &stage.ann, room).await, made);
    let listed = rooms_of(&stage.http, &stage.ann, "").await;
    // Not the first: the stage's own room may have been made in the same millisecond.
    assert!(list(&listed, "rooms").contains(&made), "{listed}");
    assert_eq!(room_of(&stage.http, &stage.ben, room).await["role"], "member");
}

#[tokio::test]
async fn unread_counts_what_others_said() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 3).await;
    let of_ann = room_of(&stage.http, &stage.ann, &stage.room).await;
    let of_ben = room_of(&stage.http, &stage.ben, &stage.room).await;
    assert_eq!((number(&of_ann, "read_seq"), number(&of_ann, "unread")), (3, 0));
    assert_eq!((number(&of_ben, "read_seq"), number(&of_ben, "unread")), (0, 3));
    assert_eq!(of_ben["last_message"]["body"], "m3");
    assert_eq!(of_ann["last_message"]["client_id"], "m3");
    assert!(of_ben["last_message"].get("client_id").is_none(), "{of_ben}");
}

#[tokio::test]
async fn a_repeated_creation_answers_the_first_room() {
    let mut stage = Stage::set(launch()).await;
    let body = json!({"kind": "group", "name": "garden", "client_id": "make-1"});
    let made = make(&stage.http, &stage.ann, body.clone()).await.expect(201);
    assert_eq!(make(&stage.http, &stage.ann, body.clone()).await.expect(200), made);
    stage.node.kill().await;
    stage.node.restart().await;
    assert_eq!(make(&stage.http, &stage.ann, body.clone()).await.expect(200), made);
    let of_ben = make(&stage.http, &stage.ben, body).await.expect(201);
    assert_ne!(of_ben["room"], made["room"]);
}

#[tokio::test]
async fn unknown_members_are_named_and_nothing_is_made() {
    let stage = Stage::set(launch()).await;
    let body = json!({"kind": "group", "name": "x", "members": [stage.ben.user, "nobody-here"]});
    let problem = make(&stage.http, &stage.ann, body).await.refused(422, "invalid");
    assert!(problem.to_string().contains("nobody-here"), "{problem}");
    assert!(!problem.to_string().contains(&stage.ben.user), "{problem}");
    assert_eq!(list(&rooms_of(&stage.http, &stage.ann, "").await, "rooms").len(), 1);
}

#[tokio::test]
async fn a_pair_has_one_direct_room_even_when_both_ask_at_once() {
    let stage = Stage::set(launch()).await;
    let ask = |from: &Account, to: &Account| {
        let body = json!({"kind": "direct", "members": [to.user]});
        stage.http.post("/v1/rooms", body).token(&from.token).spawn()
    };
    let asked: Vec<_> =
        (0..4).flat_map(|_| [ask(&stage.ann, &stage.ben), ask(&stage.ben, &stage.ann)]).collect();
    let mut statuses = Vec::new();
    let mut rooms = Vec::new();
    for answer in asked {
        let answer = answer.await.expect("the task ends");
        statuses.push(answer.status);
        rooms.push(answer.body["room"].clone());
    }
    statuses.sort_unstable();
    rooms.dedup();
    assert_eq!((rooms.len(), statuses), (1, vec![200, 200, 200, 200, 200, 200, 200, 201]));
    let room = room_of(&stage.http, &stage.ann, rooms[0].as_str().expect("an id")).await;
    assert_eq!((&room["kind"], &room["private"]), (&json!("direct"), &json!(true)));
    assert_eq!((number(&room, "members"), room.get("name")), (2, None));
}

#[tokio::test]
async fn a_direct_room_is_of_exactly_two_for_ever() {
    let stage = Stage::set(launch()).await;
    let third = stage.http.signup("third").await;
    for members in [json!([]), json!([stage.ann.user]), json!([stage.ben.user, third.user])] {
        let body = json!({"kind": "direct", "members": members});
        make(&stage.http, &stage.ann, body).await.refused(422, "invalid");
    }
    let body = json!({"kind": "direct", "members": [stage.ben.user]});
    let made = make(&stage.http, &stage.ann, body).await.expect(201);
    let room = text(&made, "room");
    leave(&stage.http, &stage.ben, room).await.refused(409, "conflict");
    join(&stage.http, &third, room).await.refused(404, "not_found");
    let mut ben = stage.join(&stage.ben).await;
    ben.send(room, "c", "only us").await;
    let mut ann = stage.join(&stage.ann).await;
    ann.send(room, "c", "yes").await;
}

#[tokio::test]
async fn kinds_and_fields_of_later_versions_are_invalid() {
    let stage = Stage::set(launch()).await;
    for body in [
        json!({"kind": "event", "name": "x"}),
        json!({"kind": "party", "name": "x"}),
        json!({"name": "x"}),
        json!({"kind": 5, "name": "x"}),
        json!({"kind": "group", "name": "x", "capacity": 5}),
        json!({"kind": "group", "name": "x", "opens_at": 5}),
        json!({"kind": "group", "name": "x".repeat(129)}),
        json!({"kind": "group", "name": "x", "members": "all"}),
        json!({"kind": "group", "name": "x", "client_id": "c".repeat(65)}),
        json!({"kind": "group", "name": "x", "members": vec![stage.ben.user.clone(); 201]}),
    ] {
        let shown = body.to_string();
        let answer = make(&stage.http, &stage.ann, body).await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid")), "{shown}");
    }
    assert_eq!(list(&rooms_of(&stage.http, &stage.ann, "").await, "rooms").len(), 1);
}

#[tokio::test]
async fn joining_and_leaving_are_never_a_toggle() {
    let stage = Stage::set(launch()).await;
    let room = stage.http.make_open_group(&stage.ann, "open").await;
    stage.http.send(&stage.ann, &room, "c1", "before").await;
    for _ in 0..2 {
        let joined = join(&stage.http, &stage.ben, &room).await.expect(200);
        assert_eq!(joined, json!({"room": room, "role": "member", "status": "joined"}));
    }
    let seen = room_of(&stage.http, &stage.ben, &room).await;
    assert_eq!((number(&seen, "members"), number(&seen, "unread")), (2, 0));
    let log = stage.http.whole_log(&stage.ben, &room).await;
    assert_eq!(log.len(), 1, "a new member sees all history");
    let again = join(&stage.http, &stage.ann, &room).await.expect(200);
    assert_eq!(again["role"], "owner");
    leave(&stage.http, &stage.ann, &room).await.refused(409, "conflict");
    for _ in 0..2 {
        assert_eq!(leave(&stage.http, &stage.ben, &room).await.status, 204);
    }
    assert_eq!(number(&room_of(&stage.http, &stage.ann, &room).await, "members"), 1);
}

#[tokio::test]
async fn members_hear_who_comes_and_goes() {
    let stage = Stage::set(launch()).await;
    let room = stage.http.make_open_group(&stage.ann, "open").await;
    let (mut ann, mut ben) = stage.both().await;
    join(&stage.http, &stage.ben, &room).await.expect(200);
    stage.http.send(&stage.ann, &room, "c1", "welcome").await;
    for socket in [&mut ann, &mut ben] {
        let member = next_of(socket, &room).await;
        assert_eq!((&member["op"], &member["change"]), (&json!("member"), &json!("joined")));
        assert_eq!((text(&member, "user"), &member["role"]), (&*stage.ben.user, &json!("member")));
        assert_eq!(next_of(socket, &room).await["body"], "welcome");
    }
    assert_eq!(leave(&stage.http, &stage.ben, &room).await.status, 204);
    stage.http.send(&stage.ann, &room, "c2", "gone?").await;
    for socket in [&mut ann, &mut ben] {
        let member = next_of(socket, &room).await;
        assert_eq!((&member["op"], &member["change"]), (&json!("member"), &json!("left")));
    }
    assert_eq!(next_of(&mut ann, &room).await["body"], "gone?");
    // The leaver heard its leaving last: what it hears next is of another room.
    stage.http.send(&stage.ann, &stage.room, "c3", "other room").await;
    let next = ben.expect("message").await;
    assert_eq!(next["body"], "other room");
    ben.refused("send", json!({"room": room, "client_id": "x", "body": "x"}), "forbidden").await;
}

/// The next frame about this room.
async fn next_of(socket: &mut Socket, room: &str) -> Value {
    loop {
        let frame = within("a frame about the room", SOON, socket.frame()).await;
        let frame = frame.expect("still connected");
        if frame["room"] == room {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_room_made_meanwhile_is_heard_by_those_who_want_all() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let room = stage.http.make_group(&stage.ann, "new", &[&stage.ben]).await;
    ann.send(&room, "c1", "welcome").await;
    for (socket, account) in [(&mut ann, &stage.ann), (&mut ben, &stage.ben)] {
        let member = next_of(socket, &room).await;
        assert_eq!((&member["op"], &member["change"]), (&json!("member"), &json!("joined")));
        assert_eq!(text(&member, "user"), account.user);
        assert_eq!(socket.expect("message").await["body"], "welcome");
    }
}

/// Whoever named the rooms it wants hears of no other, but may ask for it.
#[tokio::test]
async fn a_room_made_meanwhile_can_be_subscribed_to() {
    let stage = Stage::set(launch()).await;
    let mut ben = Socket::open(stage.address()).await;
    ben.hello(&stage.ben.token, Some(json!([{"room": stage.room}]))).await;
    let room = stage.http.make_group(&stage.ann, "new", &[&stage.ben]).await;
    stage.http.send(&stage.ann, &room, "c1", "first").await;
    stage.http.send(&stage.ann, &stage.room, "c1", "elsewhere").await;
    assert_eq!(ben.expect("message").await["body"], "elsewhere");
    assert!(!ben.queued().any(|frame| frame["room"] == room));
    let subscribed = ben.ok("subscribe", json!({"room": room, "after_seq": 0})).await;
    assert_eq!(number(&subscribed, "last_seq"), 1);
    assert_eq!(ben.expect("message").await["body"], "first");
}

#[tokio::test]
async fn nobody_joins_a_private_room_by_themselves() {
    let stage = Stage::set(launch()).await;
    let third = stage.http.signup("third").await;
    join(&stage.http, &third, &stage.room).await.refused(404, "not_found");
    leave(&stage.http, &third, &stage.room).await.refused(404, "not_found");
    assert_eq!(number(&room_of(&stage.http, &stage.ann, &stage.room).await, "members"), 2);
}

#[tokio::test]
async fn members_are_listed_by_user_page_by_page() {
    let stage = Stage::set(launch()).await;
    let third = stage.http.signup("third").await;
    let room = stage.http.make_group(&stage.ann, "three", &[&stage.ben, &third]).await;
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/rooms/{room}/members?limit=1{cursor}");
        let page = stage.http.get(&path).token(&stage.ben.token).send().await.expect(200);
        listed.extend(list(&page, "members").iter().cloned());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let users: Vec<&str> = listed.iter().map(|member| text(member, "user")).collect();
    let mut expected = [&stage.ann, &stage.ben, &third].map(|account| account.user.as_str());
    expected.sort_unstable();
    assert_eq!(users, expected);
    for member in &listed {
        let owner = member["user"] == stage.ann.user;
        assert_eq!(member["role"], if owner { "owner" } else { "member" });
        assert!(number(member, "joined_at") > 1_700_000_000_000);
        assert_eq!(number(member, "read_seq"), 0);
    }
}

#[tokio::test]
async fn the_list_has_the_latest_activity_first_and_pages() {
    let stage = Stage::set(launch()).await;
    let mut made = vec![stage.room.clone()];
    for name in ["a", "b", "c"] {
        made.push(stage.http.make_group(&stage.ann, name, &[]).await);
    }
    // Two rooms active in one millisecond may stand either way, so the clock must have gone on.
    let ts = number(&room_of(&stage.http, &stage.ann, &made[3]).await, "created_at");
    let mut ann = stage.join(&stage.ann).await;
    while number(&ann.ok("ping", json!({})).await, "server_time") <= ts {}
    let sent = number(&ann.send(&made[1], "c1", "x").await, "ts");
    while number(&ann.ok("ping", json!({})).await, "server_time") <= sent {}
    ann.send(&stage.room, "c2", "x").await;
    let whole = rooms_of(&stage.http, &stage.ann, "").await;
    assert_eq!(names(&whole)[..2], ["courtyard", "a"]);
    assert!(whole.get("cursor").is_none(), "{whole}");

    let first = rooms_of(&stage.http, &stage.ann, "?limit=3").await;
    let cursor = text(&first, "cursor");
    let rest = rooms_of(&stage.http, &stage.ann, &format!("?limit=3&cursor={cursor}")).await;
    assert_eq!([names(&first), names(&rest)].concat(), names(&whole));
    assert!(rest.get("cursor").is_none(), "{rest}");
}

#[tokio::test]
async fn a_page_out_of_range_or_a_foreign_cursor_is_invalid() {
    let stage = Stage::set(launch()).await;
    let members = format!("/v1/rooms/{}/members", stage.room);
    let messages = format!("/v1/rooms/{}/messages", stage.room);
    for path in [
        "/v1/rooms?limit=0".to_owned(),
        "/v1/rooms?limit=201".to_owned(),
        "/v1/rooms?limit=x".to_owned(),
        "/v1/rooms?cursor=x".to_owned(),
        format!("{members}?limit=201"),
        format!("{members}?cursor=!"),
        format!("{messages}?limit=0"),
        format!("{messages}?limit=201"),
        format!("{messages}?before=1&after=1"),
        format!("{messages}?before=x"),
        format!("{messages}?after=-1"),
    ] {
        let answer = stage.http.get(&path).token(&stage.ann.token).send().await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid")), "{path}");
    }
}
