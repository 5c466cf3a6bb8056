//! How far everybody has read.

use crate::launch;
use madang_testkit::{
    Account, Http, Socket, Stage,
    client::{list, number},
    wait::{self, SOON},
};
use serde_json::{Value, json};

const CALLS: &str = "madang_store_calls_total";
const WRITES: &[&str] = &["call=\"put_reads\""];

fn up_to(stage: &Stage, seq: u64) -> Value {
    json!({"room": stage.room, "seq": seq})
}

/// Says how far it has read; how far it has by now.
async fn read(socket: &mut Socket, stage: &Stage, seq: u64) -> u64 {
    let answer = socket.ok("read", up_to(stage, seq)).await;
    assert_eq!(answer["room"], stage.room);
    number(&answer, "read_seq")
}

async fn get(http: &Http, account: &Account, path: &str) -> Value {
    http.get(path).token(&account.token).send().await.expect(200)
}

/// What every answer says about how far a user has read, which must be the same.
async fn read_seq_everywhere(stage: &Stage, account: &Account) -> u64 {
    let room = get(&stage.http, account, &format!("/v1/rooms/{}", stage.room)).await;
    let rooms = get(&stage.http, account, "/v1/rooms").await;
    let members = get(&stage.http, account, &format!("/v1/rooms/{}/members", stage.room)).await;
    let mut socket = Socket::open(stage.address()).await;
    let hello = socket.hello(&account.token, None).await;
    let subscribed = socket.ok("subscribe", json!({"room": stage.room})).await;
    let member = list(&members, "members").iter().find(|member| member["user"] == account.user);
    let found = [
        number(&room, "read_seq"),
        number(&list(&rooms, "rooms")[0], "read_seq"),
        number(member.expect("a member"), "read_seq"),
        number(&list(&hello, "rooms")[0], "read_seq"),
        number(&subscribed, "read_seq"),
    ];
    assert_eq!(found, [found[0]; 5]);
    assert_eq!(number(&room, "unread"), number(&room, "last_seq") - found[0]);
    found[0]
}

/// Who has read a message, and how far.
async fn readers(stage: &Stage, seq: u64) -> Vec<(String, u64)> {
    let path = format!("/v1/rooms/{}/messages/{seq}/readers", stage.room);
    let answer = get(&stage.http, &stage.ann, &path).await;
    let reader = |reader: &Value| (reader["user"].to_string(), number(reader, "read_seq"));
    list(&answer, "readers").iter().map(reader).collect()
}

fn named(account: &Account, seq: u64) -> (String, u64) {
    (json!(account.user).to_string(), seq)
}

#[tokio::test]
async fn a_receipt_shows_at_once_in_every_answer() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 60_000)).await;
    stage.fill(&stage.ann, 5).await;
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 0);
    let mut ben = stage.join(&stage.ben).await;
    assert_eq!(read(&mut ben, &stage, 3).await, 3);
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 3);
    assert_eq!(read(&mut ben, &stage, 2).await, 3, "a lower one changes nothing");
    assert_eq!(read(&mut ben, &stage, 0).await, 3);
    assert_eq!(read(&mut ben, &stage, 5).await, 5);
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 5);
    let written = stage.http.metrics().await.sum(CALLS, WRITES);
    assert_eq!(written, 0.0, "long before it is stored");
}

#[tokio::test]
async fn beyond_the_present_is_invalid_and_changes_nothing() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 2).await;
    let mut ben = stage.join(&stage.ben).await;
    for seq in [3, 1 << 40] {
        let error = ben.refused("read", up_to(&stage, seq), "invalid").await;
        assert!(error["message"].as_str().is_some_and(|text| text.contains("seq")), "{error}");
    }
    for fields in [json!({"room": stage.room}), json!({"room": stage.room, "seq": "1"})] {
        ben.refused("read", fields, "invalid").await;
    }
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 0);
    assert_eq!(read(&mut ben, &stage, 2).await, 2);
    ben.refused("read", up_to(&stage, 3), "invalid").await;
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 2);
}

#[tokio::test]
async fn a_message_of_ones_own_is_read() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 60_000)).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "a", "one").await;
    assert_eq!(read(&mut ben, &stage, 1).await, 1);
    assert_eq!(number(&ben.send(&stage.room, "b", "two").await, "seq"), 2);
    assert_eq!(read(&mut ben, &stage, 1).await, 2, "what is remembered does not hide it");
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 2);
    let seq = stage.http.send(&stage.ben, &stage.room, "c", "three").await;
    assert_eq!((seq, read(&mut ben, &stage, 1).await), (3, 3));
}

#[tokio::test]
async fn others_hear_of_it_in_one_frame_a_flush() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 1_000)).await;
    stage.fill(&stage.ann, 50).await;
    let (mut ann, mut ben) = stage.both().await;
    let mut second_of_ann = stage.join(&stage.ann).await;
    let before = stage.http.metrics().await.sum(CALLS, WRITES);
    for seq in 1..=50 {
        ben.begin("read", up_to(&stage, seq)).await;
        ben.begin("read", up_to(&stage, seq)).await;
    }
    let (mut frames, mut newest) = (0, 0);
    while newest < 50 {
        let frame = ann.expect("read").await;
        frames += 1;
        let [of_ben] = list(&frame, "reads") else { panic!("one reader: {frame}") };
        assert_eq!((&frame["room"], &of_ben["user"]), (&json!(stage.room), &json!(stage.ben.user)));
        assert!(number(of_ben, "seq") > newest, "only up: {frame}");
        newest = number(of_ben, "seq");
    }
    second_of_ann.expect("read").await;
    let written = stage.http.metrics().await.sum(CALLS, WRITES) - before;
    assert!(frames as f64 <= written && written <= 4.0, "{frames} frames, {written} writes");
}

#[tokio::test]
async fn receipts_cost_no_read_and_one_write_a_flush() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 200)).await;
    stage.fill(&stage.ann, 200).await;
    let mut ben = stage.join(&stage.ben).await;
    assert_eq!(read(&mut ben, &stage, 1).await, 1);
    ben.expect("read").await;
    let (before, since) = (stage.http.metrics().await, std::time::Instant::now());
    for seq in 2..=200 {
        ben.begin("read", up_to(&stage, seq)).await;
    }
    while ben.expect("read").await["reads"][0]["seq"] != 200 {}
    let (after, took) = (stage.http.metrics().await, since.elapsed());
    let calls = |labels| after.sum(CALLS, labels) - before.sum(CALLS, labels);
    assert_eq!(calls(&["call=\"access\""]), 0.0);
    let flushes = took.as_secs_f64() / 0.2 + 1.0;
    assert!(calls(WRITES) >= 1.0 && calls(WRITES) <= flushes, "{} in {took:?}", calls(WRITES));
}

#[tokio::test]
async fn an_orderly_stop_loses_nothing() {
    let mut stage = Stage::set(launch().with("receipt-flush-ms", 60_000)).await;
    stage.fill(&stage.ann, 9).await;
    let mut ben = stage.join(&stage.ben).await;
    assert_eq!(read(&mut ben, &stage, 7).await, 7);
    stage.node.terminate();
    assert_eq!(stage.node.wait_for_exit().await.code(), Some(0));
    stage.node.restart().await;
    assert_eq!(read_seq_everywhere(&stage, &stage.ben).await, 7);
}

#[tokio::test]
async fn a_kill_loses_no_more_than_what_was_not_flushed() {
    let mut stage = Stage::set(launch().with("receipt-flush-ms", 100)).await;
    stage.fill(&stage.ann, 9).await;
    let mut ben = stage.join(&stage.ben).await;
    assert_eq!(read(&mut ben, &stage, 5).await, 5);
    ben.expect("read").await;
    assert_eq!(read(&mut ben, &stage, 7).await, 7);
    stage.node.kill().await;
    stage.node.restart().await;
    let kept = read_seq_everywhere(&stage, &stage.ben).await;
    assert!(kept == 5 || kept == 7, "{kept}: what others were told is kept");
}

#[tokio::test]
async fn who_has_read_a_message() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 60_000)).await;
    let eve = stage.http.signup("eve").await;
    let path = format!("/v1/rooms/{}/members", stage.room);
    let add = json!({"user": eve.user});
    stage.http.post(&path, add).token(&stage.ann.token).send().await.expect(200);
    stage.fill(&stage.ann, 4).await;
    assert_eq!(readers(&stage, 4).await, [named(&stage.ann, 4)], "the sender");
    let mut ben = stage.join(&stage.ben).await;
    let mut of_eve = stage.join(&eve).await;
    read(&mut ben, &stage, 2).await;
    read(&mut of_eve, &stage, 3).await;
    let mut expected = [named(&stage.ann, 4), named(&stage.ben, 2), named(&eve, 3)];
    expected.sort();
    assert_eq!(readers(&stage, 2).await, expected, "not stored yet");
    expected.sort_by_key(|(_, seq)| *seq);
    let mut of_three = expected[1..].to_vec();
    of_three.sort();
    assert_eq!(readers(&stage, 3).await, of_three);

    // Page by page.
    let path = format!("/v1/rooms/{}/messages/1/readers?limit=1", stage.room);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&stage.http, &stage.ben, &format!("{path}{cursor}")).await;
        found.extend(list(&page, "readers").iter().map(|reader| number(reader, "read_seq")));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort_unstable();
    assert_eq!(found, [2, 3, 4]);

    for seq in ["0", "5", "x", "-1"] {
        let path = format!("/v1/rooms/{}/messages/{seq}/readers", stage.room);
        let answer = stage.http.get(&path).token(&stage.ann.token).send().await;
        answer.refused(404, "not_found");
    }
}

#[tokio::test]
async fn strangers_and_former_members_read_nothing() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 50)).await;
    let eve = stage.http.signup("eve").await;
    let open = stage.http.make_open_group(&stage.ann, "open").await;
    stage.http.send(&stage.ann, &open, "c", "x").await;
    let mut ann = stage.join(&stage.ann).await;
    let mut socket = stage.join(&eve).await;
    for room in [stage.room.as_str(), "AAAAAAAAAAAAAAAAAAAA", "no-such-room"] {
        socket.refused("read", json!({"room": room, "seq": 0}), "not_found").await;
    }
    let in_open = json!({"room": open, "seq": 1});
    socket.refused("read", in_open.clone(), "forbidden").await;
    let post = async |rest: &str| {
        let path = format!("/v1/rooms/{open}/{rest}");
        stage.http.post(&path, json!({})).token(&eve.token).send().await.status
    };
    assert_eq!(post("join").await, 200);
    stage.http.send(&stage.ann, &open, "d", "y").await;
    socket.expect("message").await;
    let in_open = json!({"room": open, "seq": 2});
    assert_eq!(number(&socket.ok("read", in_open.clone()).await, "read_seq"), 2);
    assert_eq!(ann.expect("read").await["reads"][0]["user"], json!(eve.user));
    assert_eq!(post("leave").await, 204);
    socket.refused("read", in_open, "forbidden").await;
    let path = format!("/v1/rooms/{open}/messages/1/readers");
    stage.http.get(&path).token(&eve.token).send().await.refused(403, "forbidden");
    let found = get(&stage.http, &stage.ann, &path).await;
    assert_eq!(list(&found, "readers").len(), 1, "a former member is no reader: {found}");
}

#[tokio::test]
async fn many_readers_share_a_write() {
    let stage = Stage::set(launch().with("receipt-flush-ms", 300)).await;
    stage.fill(&stage.ann, 20).await;
    let mut users = Vec::new();
    for turn in 0..20 {
        let user = stage.http.signup(&format!("user{turn}")).await;
        let path = format!("/v1/rooms/{}/members", stage.room);
        let add = json!({"user": user.user});
        stage.http.post(&path, add).token(&stage.ann.token).send().await.expect(200);
        users.push(stage.join(&user).await);
    }
    let (before, since) = (stage.http.metrics().await.sum(CALLS, WRITES), std::time::Instant::now());
    for seq in 1..=20 {
        for socket in &mut users {
            socket.begin("read", up_to(&stage, seq)).await;
        }
    }
    let all_have_read = async || (readers(&stage, 20).await.len() == 21).then_some(());
    wait::until("all have read all", SOON, all_have_read).await;
    let written = stage.http.metrics().await.sum(CALLS, WRITES) - before;
    let flushes = since.elapsed().as_secs_f64() / 0.3 + 1.0;
    assert!(written <= flushes, "{written} writes in {flushes} flushes for 400 receipts");
}
