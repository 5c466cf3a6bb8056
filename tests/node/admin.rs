//! What operators see and do, and what nobody else does.

use crate::launch;
use madang_testkit::{
    Http, Node, Stage,
    client::{Call, list, number, text},
    launcher::free_address,
    wait::{self, SOON},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

const CALLS: &str = "madang_store_calls_total";

/// A node with an address for operators.
struct Office {
    stage: Stage,
    http: Http,
    token: String,
}

impl Office {
    async fn open() -> Self {
        let address = free_address();
        let launch = launch().with("admin-listen", address).with("drain-timeout-ms", 3_000);
        let stage = Stage::set(launch).await;
        Self { http: Http::plain(address), token: token(&stage.node), stage }
    }

    fn get(&self, path: &str) -> Call {
        self.http.get(path).token(&self.token)
    }

    fn post(&self, path: &str) -> Call {
        self.http.call(Method::POST, path).token(&self.token)
    }

    async fn switches(&self) -> Value {
        self.get("/admin/switches").send().await.expect(200)
    }

    /// Moves one, which the answer must say.
    async fn switch(&self, name: &str, on: bool) {
        let answer = self.post("/admin/switches").json(&json!({name: on})).send().await;
        assert_eq!(answer.expect(200)[name], json!(on));
    }
}

fn token(node: &Node) -> String {
    let file = node.directory().join("data/admin-token");
    std::fs::read_to_string(file).expect("there is a token").trim().to_owned()
}

fn child<'a>(tree: &'a Value, kind: &str) -> &'a Value {
    let found = list(tree, "children").iter().find(|child| child["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {tree}"))
}

fn subtree<'a>(tree: &'a Value, name: &str) -> &'a Value {
    let found = list(tree, "subtrees").iter().find(|subtree| subtree["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {tree}"))
}

#[tokio::test]
async fn the_tree_shows_who_works_and_counts_the_many() {
    let office = Office::open().await;
    let Stage { http, ann, .. } = &office.stage;
    for number in 0..25 {
        let room = http.make_open_group(ann, &format!("room {number}")).await;
        http.send(ann, &room, "c", "hello").await;
    }
    let tree = office.get("/admin/tree").send().await.expect(200);
    assert_eq!((text(&tree, "name"), text(&tree, "state")), ("root", "up"));
    assert!(number(child(&tree, "hub"), "count") >= 1);
    let store = subtree(&tree, "store");
    assert_eq!(text(store, "strategy"), "rest_for_one");
    for kind in ["store_writer", "store_reader"] {
        let actor = child(store, kind);
        assert_eq!((number(actor, "count"), number(actor, "restarts")), (1, 0), "{actor}");
        let [listed] = list(actor, "listed") else { panic!("{actor}") };
        assert_eq!((text(listed, "state"), number(listed, "mailbox")), ("up", 0), "{listed}");
    }
    let rooms = child(subtree(&tree, "rooms"), "room");
    assert!(number(rooms, "count") >= 25, "{rooms}");
    assert_eq!(list(rooms, "listed").len(), 20, "not all of them: {rooms}");
}

#[tokio::test]
async fn switches_move_one_by_one() {
    let office = Office::open().await;
    let on = json!({"presence": true, "typing": true, "receipts": true});
    assert_eq!(office.switches().await, on);
    for (change, after) in [
        (json!({"typing": false}), json!({"presence": true, "typing": false, "receipts": true})),
        (json!({}), json!({"presence": true, "typing": false, "receipts": true})),
        (
            json!({"presence": false, "receipts": null}),
            json!({"presence": false, "typing": false, "receipts": true}),
        ),
        (json!({"presence": true, "typing": true}), on),
    ] {
        let answer = office.post("/admin/switches").json(&change).send().await.expect(200);
        assert_eq!(answer, after, "{change}");
        assert_eq!(office.switches().await, after);
    }
}

#[tokio::test]
async fn typing_is_told_to_nobody_while_it_is_off() {
    let office = Office::open().await;
    let (mut ann, mut ben) = office.stage.both().await;
    let room = &office.stage.room;
    office.switch("typing", false).await;
    ann.ok("typing", json!({"room": room, "on": true})).await;
    ann.send(room, "c", "what was typed").await;
    ben.expect("message").await;
    assert!(!ben.queued().any(|frame| frame["op"] == "typing"));
    office.switch("typing", true).await;
    ann.ok("typing", json!({"room": room, "on": true})).await;
    assert_eq!(ben.expect("typing").await["users"], json!([office.stage.ann.user]));
}

/// Ben reads while nobody is told, then again.
#[tokio::test]
async fn receipts_are_stored_and_told_to_nobody_while_they_are_off() {
    let mut office = Office::open().await;
    office.stage.fill(&office.stage.ann, 5).await;
    let Stage { http, ann: account, ben: reader, room, .. } = &office.stage;
    let aside = http.make_group(account, "aside", &[reader]).await;
    http.send(account, &aside, "c", "x").await;
    let (mut ann, mut ben) = office.stage.both().await;
    let written = async || http.metrics().await.sum(CALLS, &["call=\"put_reads\""]);

    office.switch("receipts", false).await;
    // The second is not written before it was decided whom the first one is told to.
    for (room, seq) in [(room, 3), (&aside, 1)] {
        let before = written().await;
        let ok = ben.ok("read", json!({"room": room, "seq": seq})).await;
        assert_eq!(number(&ok, "read_seq"), seq);
        let stored = async || (written().await > before).then_some(());
        wait::until("it is written", SOON, stored).await;
    }
    let path = format!("/v1/rooms/{room}");
    let seen = http.get(&path).token(&reader.token).send().await.expect(200);
    assert_eq!((number(&seen, "read_seq"), number(&seen, "unread")), (3, 2));
    let path = format!("{path}/messages/3/readers");
    let readers = http.get(&path).token(&account.token).send().await.expect(200);
    assert_eq!(list(&readers, "readers").len(), 2, "{readers}");

    office.switch("receipts", true).await;
    ben.ok("read", json!({"room": room, "seq": 4})).await;
    let told = loop {
        let frame = ann.expect("read").await;
        if frame["room"] == json!(room) {
            break frame;
        }
    };
    assert_eq!(told["reads"], json!([{"user": reader.user, "seq": 4}]));

    office.switch("receipts", false).await;
    let before = written().await;
    ben.ok("read", json!({"room": room, "seq": 5})).await;
    let stored = async || (written().await > before).then_some(());
    wait::until("it is written", SOON, stored).await;
    let node = &mut office.stage.node;
    node.kill().await;
    node.restart().await;
    let path = format!("/v1/rooms/{}", office.stage.room);
    let call = office.stage.http.get(&path).token(&office.stage.ben.token);
    assert_eq!(number(&call.send().await.expect(200), "read_seq"), 5);
    assert_eq!(office.switches().await["receipts"], json!(true), "all are on at start");
}

#[tokio::test]
async fn presence_is_answered_and_told_to_nobody_while_it_is_off() {
    let office = Office::open().await;
    let Stage { http, ann: account, ben: other, room, .. } = &office.stage;
    let (eve, stranger) = (http.signup("eve").await, http.signup("cal").await);
    let body = json!({"user": eve.user});
    let path = format!("/v1/rooms/{room}/members");
    http.post(&path, body).token(&account.token).send().await.expect(200);
    let mut ann = office.stage.join(account).await;
    let frame = ann.expect("presence").await;
    assert_eq!(frame["online"], json!([account.user]));

    office.switch("presence", false).await;
    // The second is not looked at before it was decided whom the first one is told to.
    let mut open = Vec::new();
    for account in [other, &stranger] {
        let looks = async || http.metrics().await.sum(CALLS, &["call=\"rooms_of\""]);
        let before = looks().await;
        open.push(office.stage.join(account).await);
        let looked = async || (looks().await > before).then_some(());
        wait::until("who came is looked at", SOON, looked).await;
    }
    let mut online = [account.user.clone(), other.user.clone()];
    online.sort();
    assert_eq!(ann.ok("presence", json!({"room": room})).await["online"], json!(online));

    office.switch("presence", true).await;
    open.push(office.stage.join(&eve).await);
    let frame = ann.expect("presence").await;
    assert_eq!((&frame["online"], &frame["offline"]), (&json!([eve.user]), &json!([])));
}

#[tokio::test]
async fn wrong_switches_are_named_and_move_nothing() {
    let office = Office::open().await;
    let before = office.switches().await;
    for (wrong, field) in [
        (json!({"typing": false, "dancing": true}), "dancing"),
        (json!({"presence": false, "typing": "off"}), "typing"),
        (json!({"receipts": 0}), "receipts"),
    ] {
        let answer = office.post("/admin/switches").json(&wrong).send().await;
        let problem = answer.refused(422, "invalid");
        assert_eq!(problem["errors"][0]["field"], json!(field), "{problem}");
    }
    for body in [&b""[..], b"{", b"[]", b"true", b"\xff"] {
        let answer = office.post("/admin/switches").bytes(body).send().await;
        answer.refused(422, "invalid");
    }
    let large = vec![b' '; 200_000];
    office.post("/admin/switches").bytes(large).send().await.refused(413, "too_large");
    let no_type = office.post("/admin/switches").send().await;
    no_type.refused(415, "invalid");
    assert_eq!(office.switches().await, before);
}

#[tokio::test]
async fn nobody_without_the_token_sees_or_does_anything() {
    let office = Office::open().await;
    let almost = format!("{}A", &office.token[..office.token.len() - 1]);
    let other = format!("{}E", &office.token[..office.token.len() - 1]);
    let wrong = if almost == office.token { other } else { almost };
    for (method, path) in [
        (Method::GET, "/admin/tree"),
        (Method::GET, "/admin/switches"),
        (Method::POST, "/admin/switches"),
        (Method::POST, "/admin/drain"),
    ] {
        let call = || office.http.call(method.clone(), path);
        for call in [
            call(),
            call().token(""),
            call().token(&wrong),
            call().token(&"x".repeat(5_000)),
            call().token(&office.stage.ann.token),
            call().header("authorization", &format!("Basic {}", office.token)),
            call().header("authorization", "Bearer \u{e4}"),
        ] {
            let answer = call.json(&json!({"typing": false})).send().await;
            assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
            assert!(!answer.text.contains(&office.token));
            answer.refused(401, "unauthenticated");
        }
    }
    assert_eq!(office.switches().await["typing"], json!(true));
    // Still there: no drain has begun.
    office.stage.http.send(&office.stage.ann, &office.stage.room, "c", "still here").await;
}

#[tokio::test]
async fn wrong_methods_and_paths_are_named() {
    let office = Office::open().await;
    for (method, path, allowed) in [
        (Method::POST, "/admin/tree", "GET, HEAD"),
        (Method::GET, "/admin/drain", "POST"),
        (Method::DELETE, "/admin/switches", "GET, HEAD, POST"),
    ] {
        let answer = office.http.call(method, path).token(&office.token).send().await;
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
        answer.refused(405, "invalid");
    }
    // Each address has its own paths.
    for path in ["/admin", "/admin/", "/admin/x", "/admin/tree/x", "/v1/me", "/healthz", "/metrics"]
    {
        office.get(path).send().await.refused(404, "not_found");
    }
    let clients = office.stage.http.get("/admin/tree").token(&office.token);
    clients.send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_wish_to_drain_is_as_good_as_a_signal() {
    let mut office = Office::open().await;
    let (mut ann, mut ben) = office.stage.both().await;
    let begin = Instant::now();
    let answer = office.post("/admin/drain").send().await.expect(202);
    assert_eq!(text(&answer, "status"), "draining");
    ann.expect("goaway").await;
    // Said again it changes nothing: it is no second signal.
    office.post("/admin/drain").send().await.expect(202);
    assert_eq!((ann.close_code().await, ben.close_code().await), (1012, 1012));
    let node = &mut office.stage.node;
    assert!(node.wait_for_exit().await.success(), "{}", node.printed());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn the_token_is_kept_for_its_owner_and_shown_to_nobody() {
    let address = free_address();
    let launch = launch().with("admin-listen", address).with("log", "trace");
    let mut node = launch.start().await;
    let file = node.directory().join("data/admin-token");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = token(&node);
    see_tree(address, &kept).await;
    node.kill().await;
    node.restart().await;
    assert_eq!(token(&node), kept, "a restart keeps it");
    see_tree(address, &kept).await;
    let printed = node.printed();
    assert!(printed.contains("admin-token"), "says where it is: {printed}");
    assert!(printed.contains(&format!("http://{address}/admin/tree")), "{printed}");
    assert!(!printed.contains(&kept), "and not what it is");
}

async fn see_tree(address: SocketAddr, token: &str) {
    Http::plain(address).get("/admin/tree").token(token).send().await.expect(200);
}

#[tokio::test]
async fn a_token_that_could_be_guessed_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("data")).expect("made");
    std::fs::write(directory.path().join("data/admin-token"), "sesame").expect("written");
    let launch = launch().with("admin-listen", free_address());
    let output = launch.fail_in(directory.path(), free_address()).await;
    assert_eq!(output.status.code(), Some(1), "{}", output.text());
    assert!(output.stderr.contains("admin-token") && !output.text().contains("sesame"));
}

#[tokio::test]
async fn without_an_address_for_operators_there_is_no_token() {
    for off in ["off", ""] {
        let node = launch().with("admin-listen", off).start().await;
        assert!(!node.directory().join("data/admin-token").exists());
        assert!(!node.printed().contains("admin"), "{}", node.printed());
    }
}
