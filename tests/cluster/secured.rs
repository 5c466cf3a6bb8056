//! A cluster whose servers speak TLS alone to it, and want to know who asks.

use crate::launch;
use madang_testkit::{
    Launch, Socket,
    servers::{
        Nats, free_address,
        mongo::{Guarded, PASSWORD},
        redis,
    },
    tls::{authority_pem, issue},
};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The key pair of a node at NATS, made for this test and used nowhere else.
const NKEY_SEED: &str = "SUAC2EBKWBFPZUHH7MEAW2KA7TJH47CEGSYUKTMOF4VZOVVI4YDEJHQAFE";
const NKEY: &str = "UBCOYLDCJXQPMBNUCZEHPPWUDHQ6H2HB6SJXLITRGDQLDAEFQCZB4SCB";
/// The password of Redis.
const REDIS_PASSWORD: &str = "battery-staple";

/// Files for the server at `address`, in a folder of its own: certificate, key, both in one, and who
/// vouches for them.
struct Files {
    cert: String,
    key: String,
    both: String,
    authority: String,
}

fn files(folder: &Path, address: SocketAddr) -> Files {
    let folder = folder.join(address.port().to_string());
    fs::create_dir_all(&folder).expect("a folder");
    let made = issue(address.ip(), &folder);
    let read = |path: &PathBuf| fs::read_to_string(path).expect("just written");
    let both = folder.join("both.pem");
    fs::write(&both, read(&made.cert) + &read(&made.key)).expect("written");
    let authority = folder.join("authority.pem");
    fs::write(&authority, authority_pem()).expect("written");
    let text = |path: PathBuf| path.display().to_string();
    Files {
        cert: text(made.cert),
        key: text(made.key),
        both: text(both),
        authority: text(authority),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_speak_tls_and_say_who_they_are() {
    let folder = tempfile::tempdir().expect("a directory");
    let mongo = Guarded::made_for(|address| {
        let files = files(folder.path(), address);
        let plain = ["--tlsMode", "preferTLS", "--tlsAllowConnectionsWithoutCertificates"];
        let own = ["--tlsCertificateKeyFile", &files.both, "--tlsCAFile", &files.authority];
        plain.iter().chain(&own).map(ToString::to_string).collect()
    });
    let nats = Nats::made_for(|address| {
        let files = files(folder.path(), address);
        format!(
            "tls {{ cert_file: {:?}, key_file: {:?} }}\n\
             authorization {{ users: [ {{ nkey: {NKEY} }} ] }}",
            files.cert, files.key
        )
    });
    let (mongo, nats) = tokio::join!(mongo, nats);
    let secured = free_address();
    let redis = redis::made_for(|address| {
        let files = files(folder.path(), address);
        let port = secured.port().to_string();
        let words = ["--tls-port", &port, "--tls-auth-clients", "no"];
        let own = ["--tls-cert-file", &files.cert, "--tls-key-file", &files.key];
        let who = ["--tls-ca-cert-file", &files.authority, "--requirepass", REDIS_PASSWORD];
        words.iter().chain(&own).chain(&who).map(ToString::to_string).collect()
    })
    .await;
    mongo.add_user("madang", "readWrite", "secured").await;
    let (ca, nkey) = (folder.path().join("ca.pem"), folder.path().join("node.nk"));
    fs::write(&ca, authority_pem()).expect("written");
    fs::write(&nkey, NKEY_SEED).expect("written");
    let mongo = format!("{}&tls=true&tlsCAFile={}", mongo.uri("madang", PASSWORD), ca.display());
    let redis_at = SocketAddr::new(redis.address().ip(), secured.port());
    let launch = launch()
        .with("mongo", mongo)
        .with("mongo-database", "secured")
        .with("nats", format!("tls://{}", nats.server(0).address()))
        .with("nats-ca", ca.display())
        .with("nats-nkey", nkey.display())
        .with("redis", format!("rediss://:{REDIS_PASSWORD}@{redis_at}"))
        .with("redis-ca", ca.display());
    works(launch).await;
}

/// Two nodes hear each other and say that all is well, Redis included.
async fn works(launch: Launch) {
    let node = |name: &str| launch.clone().with("node-name", name).start();
    let (first, second) = tokio::join!(node("n1"), node("n2"));
    let ann = first.http().signup("ann").await;
    let room = first.http().make_open_group(&ann, "courtyard").await;
    let mut there = Socket::join(second.address(), &ann).await;
    let mut here = Socket::join(first.address(), &ann).await;
    here.send(&room, "1", "hello").await;
    assert_eq!(there.expect("message").await["body"], json!("hello"));
    let ready = first.http().get("/readyz").send().await.expect(200);
    for part in ["store", "nats", "redis"] {
        assert_eq!(ready["parts"][part]["state"], json!("ok"), "{ready}");
    }
}
