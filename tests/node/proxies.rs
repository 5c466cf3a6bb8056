//! Behind a proxy the node trusts, limits count the addresses it forwards.

use crate::launch;
use madang_testkit::{
    Http, Launch, Node, Socket,
    client::{Answer, Call, Door},
    wait,
};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};

const FORWARDED: &str = "x-forwarded-for";

/// The test itself is the proxy.
async fn behind_proxies(launch: Launch) -> (Node, Http) {
    let node = launch.with("trusted-proxies", "127.0.0.0/8, 192.0.2.1").start().await;
    let http = node.http();
    (node, http)
}

/// Each of another name, so that only addresses are counted.
fn login(http: &Http) -> Call {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("nobody{}", NEXT.fetch_add(1, Ordering::Relaxed));
    http.post("/v1/login", json!({"username": name, "password": "whatever it is"}))
}

async fn refused(answer: Answer, limited: bool) {
    match limited {
        true => answer.refused(429, "blocked"),
        false => answer.refused(401, "bad_credentials"),
    };
}

#[tokio::test]
async fn logins_count_to_the_forwarded_address() {
    let (_node, http) = behind_proxies(launch().with("logins-per-minute", 2)).await;
    let from = async |entries: &str, limited: bool| {
        refused(login(&http).header(FORWARDED, entries).send().await, limited).await;
    };
    from("203.0.113.1", false).await;
    // Whatever the client claimed before, and through whichever trusted proxies it came.
    from("198.51.100.7, 203.0.113.1", false).await;
    from("junk, 203.0.113.1", true).await;
    from("203.0.113.1, 192.0.2.1", true).await;
    from("203.0.113.2", false).await;
    // One subscriber has a whole /64.
    from("2001:db8:1:2::1", false).await;
    from("2001:db8:1:2:ffff::9", false).await;
    from("2001:db8:1:2::3", true).await;
    from("2001:db8:1:3::1", false).await;
}

/// As a node that listens on IPv6 sees them.
#[tokio::test]
async fn a_proxy_may_be_named_by_a_mapped_prefix() {
    let launch = launch().with("logins-per-minute", 1);
    let node = launch.with("trusted-proxies", "::ffff:127.0.0.0/104").start().await;
    let http = node.http();
    for (from, limited) in [("203.0.113.1", false), ("203.0.113.2", false), ("203.0.113.1", true)]
    {
        refused(login(&http).header(FORWARDED, from).send().await, limited).await;
    }
}

#[tokio::test]
async fn header_lines_count_as_one_list() {
    let (_node, http) = behind_proxies(launch().with("logins-per-minute", 1)).await;
    let first = login(&http).header(FORWARDED, "203.0.113.1");
    refused(first.send().await, false).await;
    for claim in ["198.51.100.7", "junk", ""] {
        let again = login(&http).header(FORWARDED, claim).header(FORWARDED, "203.0.113.1");
        refused(again.send().await, true).await;
    }
    // What is no address leaves the last one that was: the proxy's own.
    let unknown = || login(&http).header(FORWARDED, "203.0.113.9").header(FORWARDED, "junk");
    refused(unknown().send().await, false).await;
    refused(unknown().send().await, true).await;
    refused(login(&http).send().await, true).await;
}

async fn signup(http: &Http, name: &str, from: &str) -> Answer {
    let body = json!({"username": name, "password": "correct horse"});
    http.post("/v1/signup", body).header(FORWARDED, from).send().await
}

#[tokio::test]
async fn signups_count_to_the_forwarded_address() {
    let (_node, http) = behind_proxies(launch().with("signups-per-minute", 1)).await;
    signup(&http, "ann", "203.0.113.1").await.expect(201);
    signup(&http, "ben", "203.0.113.1").await.refused(429, "rate_limited");
    signup(&http, "ben", "203.0.113.2").await.expect(201);
}

#[tokio::test]
async fn websockets_count_to_the_forwarded_address() {
    let (node, http) = behind_proxies(launch().with("max-connections-per-address", 2)).await;
    let door = |from: &str| Door::new(node.address()).header(FORWARDED, from);
    let open = async |from: &str| door(from).open().await;
    let mut held: Vec<Socket> = Vec::new();
    for from in ["203.0.113.1", "203.0.113.1", "203.0.113.2", "2001:db8::1", "2001:db8::2"] {
        held.push(open(from).await.expect(from));
    }
    for from in ["203.0.113.1", "198.51.100.7, 203.0.113.1", "2001:db8::3"] {
        assert_eq!(open(from).await.err(), Some(503), "{from}");
    }
    held.push(open("203.0.113.2").await.expect("there was one"));
    // Requests of everybody go through the proxy's connections.
    let ann = signup(&http, "ann", "203.0.113.1").await.expect(201);
    held[4].hello(ann["token"].as_str().expect("a token"), None).await;

    held.remove(0).close().await;
    let again = || async { open("203.0.113.1").await.ok() };
    wait::until("room for one more", wait::SOON, again).await;
}

#[tokio::test]
async fn others_than_proxies_count_as_themselves() {
    let launch = launch().with("trusted-proxies", "192.0.2.1");
    let node = launch.with("max-connections-per-address", 2).start().await;
    let source = [127, 0, 0, 85].into();
    let mut held = Vec::new();
    for from in ["203.0.113.1", "203.0.113.2"] {
        let door = Door::new(node.address()).source(source).header(FORWARDED, from);
        held.push(door.open().await.expect(from));
    }
    let door = Door::new(node.address()).source(source).header(FORWARDED, "203.0.113.3");
    assert_eq!(door.open().await.err(), Some(503));
}
