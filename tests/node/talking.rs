//! The main job: people talk, everybody sees the same, and nothing acknowledged is lost.

use crate::launch;
use madang_testkit::{
    Account, Stage,
    client::{Door, list, number, text},
    raw::{Frame, RawSocket},
    variant::Codec,
};
use serde_json::{Value, json};

#[tokio::test]
async fn two_people_talk_and_a_kill_loses_nothing_acknowledged() {
    let mut stage = Stage::set(launch()).await;
    let mut ann = RawTalker::hello(&stage, &stage.ann, 0).await;
    let mut ben = RawTalker::hello(&stage, &stage.ben, 0).await;
    for turn in 1..=10 {
        let (talker, body) = if turn % 2 == 1 { (&mut ann, "hi") } else { (&mut ben, "hello") };
        assert_eq!(talker.send(&stage.room, &format!("t{turn}"), body).await, turn);
    }
    assert_eq!(ben.read_up_to(5).await, [1, 2, 3, 4, 5]);

    stage.node.kill().await;
    stage.node.restart().await;

    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    let bodies: Vec<&str> = log.iter().map(|message| text(message, "body")).collect();
    assert_eq!(bodies, ["hi", "hello"].repeat(5));
    let mut ben = RawTalker::hello(&stage, &stage.ben, 5).await;
    let mut ann = RawTalker::hello(&stage, &stage.ann, 10).await;
    assert_eq!(ann.send(&stage.room, "t11", "still here?").await, 11);
    assert_eq!(ben.read_up_to(11).await, [6, 7, 8, 9, 10, 11]);
    assert_eq!(ann.read_up_to(11).await, [11]);
}

/// A client that writes its own WebSocket bytes.
struct RawTalker {
    socket: RawSocket,
    /// Places of the messages seen so far and not handed out.
    seen: Vec<u64>,
}

impl RawTalker {
    async fn hello(stage: &Stage, account: &Account, after_seq: u64) -> Self {
        let socket = RawSocket::open(stage.address()).await;
        let mut talker = Self { socket, seen: Vec::new() };
        let subscribe = json!([{"room": stage.room, "after_seq": after_seq}]);
        let hello = json!({"op": "hello", "id": 1, "token": account.token, "subscribe": subscribe});
        assert_eq!(talker.ask(hello).await["user"], json!(account.user));
        talker
    }

    async fn send(&mut self, room: &str, client_id: &str, body: &str) -> u64 {
        let send =
            json!({"op": "send", "id": 2, "room": room, "client_id": client_id, "body": body});
        number(&self.ask(send).await, "seq")
    }

    async fn ask(&mut self, request: Value) -> Value {
        self.socket.frame(Frame::of(&request)).await;
        loop {
            let frame = self.read().await;
            if frame["op"] == "ok" {
                return frame;
            }
            assert_eq!(frame["op"], "message", "{frame}");
        }
    }

    async fn read_up_to(&mut self, seq: u64) -> Vec<u64> {
        while self.seen.last() < Some(&seq) {
            self.read().await;
        }
        let end = self.seen.iter().position(|seen| *seen == seq).expect("no place is left out");
        self.seen.drain(..=end).collect()
    }

    async fn read(&mut self) -> Value {
        let frame = self.socket.read().await.expect("the node goes on talking");
        let value = frame.value();
        if value["op"] == "message" {
            self.seen.push(number(&value, "seq"));
        }
        value
    }
}

#[tokio::test]
async fn a_message_reaches_every_member_and_names_itself_to_its_sender_only() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let mut second_of_ann = stage.join(&stage.ann).await;
    let answer = ann.send(&stage.room, "c-1", "hello all").await;
    assert_eq!((number(&answer, "seq"), &answer["duplicate"]), (1, &json!(false)));
    for socket in [&mut ann, &mut second_of_ann] {
        assert_eq!(socket.expect("message").await["client_id"], "c-1");
    }
    let message = ben.expect("message").await;
    let fields: Vec<&String> = message.as_object().expect("a map").keys().collect();
    assert_eq!(fields, ["body", "op", "room", "sender", "seq", "ts"]);
    assert_eq!(message["sender"], json!(stage.ann.user));
    assert_eq!((&message["body"], &message["ts"]), (&json!("hello all"), &answer["ts"]));
}

#[tokio::test]
async fn hello_tells_who_where_and_what() {
    let stage = Stage::set(launch()).await;
    stage.http.send(&stage.ann, &stage.room, "c-1", "early").await;
    let mut socket = madang_testkit::Socket::open(stage.address()).await;
    let hello = socket.hello(&stage.ben.token, None).await;
    assert_eq!(hello["user"], json!(stage.ben.user));
    assert!(hello["session"].is_string() && hello["node"].is_string(), "{hello}");
    assert_eq!(hello["heartbeat_ms"], 25_000);
    assert_eq!(hello["max_frame_bytes"], 131_072);
    assert!(number(&hello, "server_time") > 1_700_000_000_000);
    let [room] = list(&hello, "rooms") else { panic!("one room: {hello}") };
    assert_eq!(room["room"], json!(stage.room));
    let heads = ["last_seq", "last_rev", "read_seq"].map(|field| number(room, field));
    assert_eq!(heads, [1, 0, 0]);
}

#[tokio::test]
async fn sends_of_one_connection_keep_their_order() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let mut ids = Vec::new();
    for turn in 1..=30 {
        let body = format!("m{turn}");
        let fields = json!({"room": stage.room, "client_id": body, "body": body});
        ids.push(ann.begin("send", fields).await);
    }
    for (id, seq) in ids.into_iter().zip(1..) {
        assert_eq!(number(&ann.answer(id).await, "seq"), seq);
    }
    for seq in 1..=30_u64 {
        let message = ben.expect("message").await;
        assert_eq!((number(&message, "seq"), text(&message, "body")), (seq, &*format!("m{seq}")));
    }
}

#[tokio::test]
async fn a_retry_is_the_same_message_by_any_way_and_with_any_body() {
    let mut stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    assert_eq!(number(&ann.send(&stage.room, "once", "first").await, "seq"), 1);
    let again = ann.send(&stage.room, "once", "other").await;
    assert_eq!((number(&again, "seq"), &again["duplicate"]), (1, &json!(true)));

    let path = format!("/v1/rooms/{}/messages", stage.room);
    let body = json!({"client_id": "once", "body": "third"});
    let over_http = stage.http.post(&path, body).token(&stage.ann.token).send().await.expect(200);
    assert_eq!((number(&over_http, "seq"), &over_http["duplicate"]), (1, &json!(true)));

    stage.node.kill().await;
    stage.node.restart().await;
    let mut ann = stage.join(&stage.ann).await;
    let after_a_kill = ann.send(&stage.room, "once", "fourth").await;
    assert_eq!((number(&after_a_kill, "seq"), &after_a_kill["duplicate"]), (1, &json!(true)));
    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    assert_eq!(log.iter().map(|message| text(message, "body")).collect::<Vec<_>>(), ["first"]);
}

#[tokio::test]
async fn a_client_id_belongs_to_its_sender_and_room() {
    let stage = Stage::set(launch()).await;
    let other = stage.http.make_group(&stage.ann, "other", &[]).await;
    let (mut ann, mut ben) = stage.both().await;
    assert_eq!(number(&ann.send(&stage.room, "c", "a").await, "seq"), 1);
    assert_eq!(number(&ben.send(&stage.room, "c", "b").await, "seq"), 2);
    assert_eq!(number(&ann.send(&other, "c", "c").await, "seq"), 1);
}

#[tokio::test]
async fn bodies_are_kept_byte_for_byte() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let longest = "a".repeat(16_384);
    let bodies =
        ["마당", "e\u{301} é", "\r\n\t\" \\ /", "\u{0}\u{7f}\u{feff}", " ", "👩‍👩‍👧", &longest];
    for (body, turn) in bodies.into_iter().zip(0..) {
        ann.send(&stage.room, &format!("c{turn}"), body).await;
        assert_eq!(text(&ben.expect("message").await, "body"), body);
    }
    let log = stage.http.whole_log(&stage.ben, &stage.room).await;
    assert_eq!(log.iter().map(|message| text(message, "body")).collect::<Vec<_>>(), bodies);
}

#[tokio::test]
async fn without_an_id_only_failures_are_answered() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    let send = json!({"op": "send", "room": stage.room, "client_id": "c", "body": "quiet"});
    ann.say(&send).await;
    assert_eq!(ann.expect("message").await["body"], "quiet");
    let refused = json!({"op": "send", "room": stage.room, "client_id": "c", "body": ""});
    ann.say(&refused).await;
    let error = ann.expect("error").await;
    assert_eq!((error["id"].clone(), &error["code"]), (Value::Null, &json!("invalid")));
    ann.ok("ping", json!({})).await;
    assert!(!ann.queued().any(|frame| frame["op"] == "ok"));
}

/// Who writes in one codec is read in the other, live, from the window and from the store.
#[tokio::test]
async fn both_codecs_meet_in_one_room() {
    let mut stage = Stage::set(launch()).await;
    let open = async |stage: &Stage, codec, account: &Account| {
        let mut socket = Door::new(stage.address()).codec(codec).open().await.expect("upgraded");
        let wish = json!([{"room": stage.room, "after_seq": 0}]);
        socket.hello(&account.token, Some(wish)).await;
        socket
    };
    let mut ann = open(&stage, Codec::Json, &stage.ann).await;
    ann.send(&stage.room, "c1", "마당 \u{1}\"").await;
    let mut ben = open(&stage, Codec::Msgpack, &stage.ben).await;
    ben.send(&stage.room, "c2", "마당 \u{1}\"").await;
    let mut seen = Vec::new();
    for socket in [&mut ann, &mut ben] {
        seen.push([socket.expect("message").await, socket.expect("message").await]);
    }
    stage.node.kill().await;
    stage.node.restart().await;
    for (codec, account, seen) in
        [(Codec::Msgpack, &stage.ann, &seen[0]), (Codec::Json, &stage.ben, &seen[1])]
    {
        let mut socket = open(&stage, codec, account).await;
        assert_eq!([socket.expect("message").await, socket.expect("message").await], *seen);
        assert_eq!([1, 2].map(|seq| json!(seq)), [0, 1].map(|index| seen[index]["seq"].clone()));
    }
    assert_eq!(seen[0][0]["body"], seen[1][1]["body"]);
    assert_eq!((&seen[0][0]["client_id"], seen[1][0].get("client_id")), (&json!("c1"), None));
    assert_eq!((&seen[1][1]["client_id"], seen[0][1].get("client_id")), (&json!("c2"), None));
}

#[tokio::test]
async fn the_reader_chooses_what_to_hear() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    assert_eq!(ben.ok("unsubscribe", json!({"room": stage.room})).await["room"], stage.room);
    ann.send(&stage.room, "c1", "unheard").await;
    let subscribed = ben.ok("subscribe", json!({"room": stage.room})).await;
    assert_eq!(number(&subscribed, "last_seq"), 1);
    ann.send(&stage.room, "c2", "heard").await;
    assert_eq!(text(&ben.expect("message").await, "body"), "heard");
}

#[tokio::test]
async fn ping_tells_the_time() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    let first = number(&ann.ok("ping", json!({})).await, "server_time");
    assert!(number(&ann.ok("ping", json!({})).await, "server_time") >= first);
}

#[tokio::test]
async fn history_is_the_same_over_both_ways() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 120).await;
    let mut ben = stage.join(&stage.ben).await;
    for (query, fields, first, last) in [
        ("", json!({}), 71, 120),
        ("?limit=3", json!({"limit": 3}), 118, 120),
        ("?before=60&limit=10", json!({"before": 60, "limit": 10}), 50, 59),
        ("?after=60&limit=10", json!({"after": 60, "limit": 10}), 61, 70),
        ("?after=0&limit=200", json!({"after": 0, "limit": 200}), 1, 120),
        ("?before=4", json!({"before": 4}), 1, 3),
    ] {
        let path = format!("/v1/rooms/{}/messages{query}", stage.room);
        let over_http = stage.http.get(&path).token(&stage.ben.token).send().await.expect(200);
        let mut fields = fields;
        fields["room"] = json!(stage.room);
        let over_socket = ben.ok("history", fields).await;
        assert_eq!(over_http["messages"], over_socket["messages"], "{query}");
        assert_eq!((&over_http["last_seq"], &over_socket["last_seq"]), (&json!(120), &json!(120)));
        let found: Vec<u64> =
            list(&over_http, "messages").iter().map(|message| number(message, "seq")).collect();
        assert_eq!(found, (first..=last).collect::<Vec<u64>>(), "{query}");
    }
}

#[tokio::test]
async fn reading_beyond_either_end_finds_nothing() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 3).await;
    let mut ben = stage.join(&stage.ben).await;
    for fields in [json!({"before": 1}), json!({"after": 3})] {
        let mut fields = fields;
        fields["room"] = json!(stage.room);
        assert!(list(&ben.ok("history", fields).await, "messages").is_empty());
    }
}
