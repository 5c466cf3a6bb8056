//! What `/metrics` shows: against `docs/metrics.md`, by promtool, and whoever comes, the same series.

use crate::launch;
use madang_testkit::{
    Http, Node, Socket, Stage,
    client::{Door, PASSWORD},
    tools, wait,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Families by name: their type, and the values of each of their labels.
type Families = BTreeMap<String, Family>;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The suffixes of a histogram's series.
const OF_HISTOGRAMS: [&str; 3] = ["_bucket", "_sum", "_count"];

#[tokio::test]
async fn the_page_of_the_docs_is_what_a_node_shows() {
    let stage = Stage::set(launch()).await;
    let (shown, told) = (families(&stage.http.metrics_page().await), told());
    let names = |families: &Families| families.keys().cloned().collect::<BTreeSet<_>>();
    let (shown_names, told_names) = (names(&shown), names(&told));
    assert_eq!(shown_names, told_names, "left: shown, right: in docs/metrics.md");
    for (name, family) in shown {
        assert_eq!(family, told[&name], "{name}; left: shown, right: in docs/metrics.md");
    }
}

#[test]
fn expressions_of_the_docs_name_what_there_is() {
    let (page, told) = (page_of_docs(), told());
    let words = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("madang_")) {
        let of_histogram = |suffix: &&str| {
            let family = word.strip_suffix(*suffix).and_then(|name| told.get(name));
            family.is_some_and(|family| family.kind == "histogram")
        };
        assert!(told.contains_key(word) || OF_HISTOGRAMS.iter().any(of_histogram), "{word}");
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say() {
    let stage = Stage::set(launch()).await;
    traffic(&stage).await;
    let page = stage.http.metrics_page().await;
    let mut promtool = Command::new(tools::find("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    let mut input = promtool.stdin.take().expect("it was asked for");
    input.write_all(page.as_bytes()).expect("promtool reads all of it");
    drop(input);
    let said = promtool.wait_with_output().expect("promtool ends");
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(said.status.success() && text.is_empty(), "{}: {text}", said.status);
}

/// Every series is there before anybody came, and nobody adds one.
#[tokio::test]
async fn no_client_makes_a_series() {
    let node = launch().start().await;
    let http = node.http();
    let before = series(&http.metrics_page().await);
    let stage = on(node, http).await;
    traffic(&stage).await;
    junk(&stage).await;
    let after = series(&stage.http.metrics_page().await);
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(before.len(), after.len());
}

#[tokio::test]
async fn what_happens_is_counted() {
    let stage = Stage::set(launch()).await;
    let _open = traffic(&stage).await;
    for (name, labels, least) in [
        ("madang_received_frames_total", &["op=\"send\""][..], 3.0),
        ("madang_received_bytes_total", &["op=\"send\""], 100.0),
        ("madang_received_frames_total", &["op=\"invalid\""], 1.0),
        ("madang_sent_frames_total", &["op=\"message\""], 4.0),
        ("madang_sent_bytes_total", &["op=\"message\""], 200.0),
        ("madang_sent_frames_total", &["op=\"error\""], 1.0),
        ("madang_deliveries_total", &[], 4.0),
        ("madang_connections_opened_total", &[], 3.0),
        ("madang_users_connected", &[], 2.0),
        ("madang_tcp_connections", &[], 2.0),
        ("madang_refusals_total", &["code=\"unknown_op\"", "via=\"websocket\""], 1.0),
        ("madang_refusals_total", &["code=\"bad_credentials\"", "via=\"http\""], 1.0),
        ("madang_logins_total", &["outcome=\"refused\""], 1.0),
        ("madang_hash_wait_seconds_count", &[], 3.0),
        ("madang_login_wait_seconds_count", &[], 1.0),
        ("madang_cache_hits_total", &["cache=\"room_retries\""], 1.0),
        ("madang_cache_hits_total", &["cache=\"room_members\""], 2.0),
        ("madang_cache_misses_total", &["cache=\"room_members\""], 1.0),
        ("madang_cache_hits_total", &["cache=\"audience_window\""], 1.0),
        ("madang_cache_misses_total", &["cache=\"read_positions\""], 1.0),
        ("madang_coalesced_inputs_total", &["kind=\"receipts\""], 1.0),
        ("madang_coalesced_outputs_total", &["kind=\"receipts\""], 1.0),
        ("madang_coalesced_inputs_total", &["kind=\"presence\""], 1.0),
        ("madang_coalesced_inputs_total", &["kind=\"typing\""], 2.0),
        ("madang_coalesced_outputs_total", &["kind=\"typing\""], 1.0),
        ("madang_coalesced_inputs_total", &["kind=\"reactions\""], 1.0),
        ("madang_coalesced_outputs_total", &["kind=\"reactions\""], 1.0),
        ("madang_coalesced_inputs_total", &["kind=\"reads\""], 3.0),
        ("madang_store_call_seconds_count", &["call=\"append\""], 3.0),
        ("madang_store_write_wait_seconds_count", &[], 3.0),
        ("madang_store_read_wait_seconds_count", &[], 3.0),
        ("madang_store_commit_writes_count", &[], 3.0),
        ("madang_store_page_reads_total", &["from=\"cache\""], 1.0),
        ("madang_room_commit_seconds_count", &[], 3.0),
        ("madang_repairs_total", &["cause=\"start\""], 1.0),
        ("madang_actor_turn_seconds_count", &[], 1.0),
        ("madang_actor_mailbox_depth_count", &["actor=\"hub\""], 1.0),
        ("madang_actor_mailbox_wait_seconds_count", &[], 1.0),
        ("madang_arbiter_busy_seconds_total", &["arbiter=\"edge-0\""], 0.000_1),
        ("madang_arbiter_busy_seconds_total", &["arbiter=\"store-0\""], 0.000_1),
    ] {
        let counted = || async {
            let counted = stage.http.metrics().await.sum(name, labels);
            (counted >= least).then_some(())
        };
        wait::until(&format!("{name} {labels:?} is {least}"), wait::SOON, counted).await;
    }
    let metrics = stage.http.metrics().await;
    assert_eq!(metrics.sum("madang_hash_waiting", &[]), 0.0);
    assert_eq!(metrics.sum("madang_store_writes_waiting", &[]), 0.0);
    let busy = metrics.sum("madang_arbiter_busy_seconds_total", &[]);
    assert!(busy < 100.0, "{busy} seconds, not microseconds");
}

#[tokio::test]
async fn what_is_refused_for_want_of_place_names_its_bound() {
    let bounds = launch().with("in-flight-sends", 1).with("max-connections-per-address", 10);
    let stage = Stage::set(bounds).await;
    let mut ann = stage.join(&stage.ann).await;
    let mut begun = Vec::new();
    for number in 0..20 {
        let send = json!({"room": stage.room, "client_id": format!("c{number}"), "body": "x"});
        begun.push(ann.begin("send", send).await);
    }
    for id in begun {
        ann.answer(id).await;
    }
    let (door, mut open) = (Door::new(stage.address()), Vec::new());
    let refused = loop {
        match door.open().await {
            Ok(socket) => open.push(socket),
            Err(status) => break status,
        }
        assert!(open.len() < 10, "there are no places left");
    };
    assert_eq!(refused, 503);
    let metrics = stage.http.metrics().await;
    let refused = |bound: &str| metrics.sum("madang_overloaded_total", &[bound]);
    assert!(refused("bound=\"in_flight_sends\"") >= 1.0);
    assert!(refused("bound=\"connections\"") >= 1.0);
    let told = ["code=\"overloaded\"", "via=\"http\""];
    assert!(metrics.sum("madang_refusals_total", &told) >= 1.0);
}

/// Something of everything; the connections it took.
async fn traffic(stage: &Stage) -> [Socket; 3] {
    let (mut ann, mut ben) = stage.both().await;
    let room = stage.room.as_str();
    for number in 1..=3 {
        ann.send(room, &format!("c{number}"), "hello").await;
        ben.expect("message").await;
    }
    ann.ok("send", json!({"room": room, "client_id": "c3", "body": "again"})).await;
    ben.ok("react", json!({"room": room, "seq": 1, "emoji": "+", "on": true})).await;
    ann.expect("changed").await;
    ben.ok("read", json!({"room": room, "seq": 2})).await;
    ann.expect("read").await;
    for on in [true, false] {
        ben.ok("typing", json!({"room": room, "on": on})).await;
    }
    ann.expect("typing").await;
    ann.ok("history", json!({"room": room, "limit": 10})).await;
    ann.ok("presence", json!({"room": room})).await;
    ann.refused("dance", json!({}), "unknown_op").await;
    let mut back = Socket::open(stage.address()).await;
    let from = json!([{"room": room, "after_seq": 1}]);
    back.hello(&stage.ben.token, Some(from)).await;
    back.expect("message").await;
    let wrong = json!({"username": "ann", "password": format!("{PASSWORD}?")});
    stage.http.post("/v1/login", wrong).send().await.refused(401, "bad_credentials");
    [ann, ben, back]
}

/// What only a stranger would say, with words of its own everywhere.
async fn junk(stage: &Stage) {
    for number in 0..20 {
        let word = format!("junk{number}");
        let name = format!("{word}\"}} 1");
        let login = json!({"username": name, "password": PASSWORD});
        let calls = [
            stage.http.get(&format!("/{word}")),
            stage.http.get(&format!("/v1/rooms/{word}/{word}?{word}={word}")),
            stage.http.get(&format!("/v1/rooms/{word}")).token(&word),
            stage.http.call(word.to_uppercase().parse().expect("a method"), "/v1/me"),
            stage.http.post("/v1/login", login),
            stage.http.post("/v1/tokens", json!({"external_id": word})).token(&word),
        ];
        for call in calls {
            assert!(call.send().await.status >= 400, "{word}");
        }
        let mut ann = stage.join(&stage.ann).await;
        ann.request(&word, json!({"room": word})).await;
        ann.request("send", json!({"room": word, "client_id": word, "body": word})).await;
        ann.request("react", json!({"room": stage.room, "seq": 1, "emoji": word, "on": 1})).await;
    }
}

async fn on(node: Node, http: Http) -> Stage {
    let (ann, ben) = tokio::join!(http.signup("ann"), http.signup("ben"));
    let room = http.make_group(&ann, "courtyard", &[&ben]).await;
    Stage { node, http, ann, ben, room }
}

/// What the page of a node shows.
fn families(page: &str) -> Families {
    let mut families = Families::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect(line);
        let family = Family { kind: kind.to_owned(), ..Family::default() };
        assert_eq!(families.insert(name.to_owned(), family), None, "{name} twice");
        assert!(page.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    for series in series(page) {
        let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
        let of_histogram = OF_HISTOGRAMS.iter().find_map(|suffix| name.strip_suffix(suffix));
        let family = of_histogram.filter(|name| families.contains_key(*name)).unwrap_or(name);
        let family = families.get_mut(family).expect(family);
        for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").expect(label);
            if label != "le" {
                let values = family.labels.entry(label.to_owned()).or_default();
                values.insert(without_number(value.trim_end_matches('"')));
            }
        }
    }
    families
}

/// Threads are numbered, and how many there are depends on the machine.
fn without_number(value: &str) -> String {
    match value.rsplit_once('-') {
        Some((name, number)) if number.parse::<u32>().is_ok() => format!("{name}-N"),
        _ => value.to_owned(),
    }
}

/// Names with labels, as written.
fn series(page: &str) -> BTreeSet<String> {
    let samples = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples.map(|line| line.rsplit_once(' ').expect(line).0.to_owned()).collect()
}

/// What the docs tell: in each section rows of metrics, and the values of the labels they have.
fn told() -> Families {
    let page = page_of_docs();
    let mut families = Families::new();
    for section in page.split("\n## ") {
        let values = section.lines().filter_map(|line| line.strip_prefix("- `")?.split_once("`: "));
        let values: BTreeMap<&str, BTreeSet<String>> =
            values.map(|(label, values)| (label, in_backticks(values))).collect();
        let mut used = BTreeSet::new();
        for row in section.lines().filter(|line| line.starts_with("| `madang_")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, name, kind, labels, meaning, _] = cells[..] else { panic!("{row}") };
            assert!(!meaning.is_empty(), "{row}");
            let labels = in_backticks(labels);
            used.extend(labels.clone());
            let of_label = |label: String| {
                let values = values.get(label.as_str()).expect(row).clone();
                (label, values)
            };
            let labels = labels.into_iter().map(of_label).collect();
            let family = Family { kind: kind.to_owned(), labels };
            assert_eq!(families.insert(name.trim_matches('`').to_owned(), family), None, "{row}");
        }
        assert_eq!(used.iter().collect::<Vec<_>>(), values.keys().collect::<Vec<_>>(), "{section}");
    }
    families
}

fn in_backticks(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn page_of_docs() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    fs::read_to_string(path).expect("the page is there")
}
