//! What only a node with a certificate does. All other tests run over TLS beside these.

use crate::launch;
use madang_testkit::{
    Http, Stage,
    client::{Door, list, number},
    launcher::free_address,
    raw::{Frame, RawSocket, opcode},
    tls::{client_config, issue, shown_certificate},
    wait::{SOON, until},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};

#[tokio::test]
async fn the_banner_says_https_and_wss() {
    let stage = Stage::set(launch()).await;
    let (printed, address) = (stage.node.printed(), stage.address());
    for url in [format!("https://{address}"), format!("wss://{address}/v1/ws")] {
        assert!(printed.contains(&url), "no {url} in\n{printed}");
    }
}

#[tokio::test]
async fn operators_come_without_tls() {
    let address = free_address();
    let _node = launch().with("admin-listen", address).start().await;
    Http::plain(address).get("/admin/tree").send().await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_connection_takes_one_request_after_the_other() {
    let stage = Stage::set(launch()).await;
    let mut socket = RawSocket::connect(stage.address()).await;
    for _ in 0..3 {
        socket.write(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(socket.read_head().await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn large_frames_pass_both_ways() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    for number in 0..20 {
        let body = format!("{number:02}").repeat(8_192);
        ann.send(&stage.room, &format!("c{number}"), &body).await;
        assert_eq!(ben.expect("message").await["body"], body);
    }
    let history = ann.ok("history", json!({"room": stage.room, "limit": 200})).await;
    let messages = list(&history, "messages");
    assert!(messages.len() > 12, "an answer as large as they get: {}", messages.len());
    assert!(messages.iter().all(|message| message["body"].as_str().unwrap().len() == 16_384));
}

/// What a reader did not take waits: as frames, and encrypted. All of it comes when it reads on.
#[tokio::test]
async fn a_reader_that_pauses_gets_everything() {
    let stage = Stage::set(launch()).await;
    let mut ben = RawSocket::connect_with_buffer(stage.address(), 4_096).await;
    ben.handshake(stage.address(), "").await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ben.token}).to_string();
    ben.frame(Frame::text(&hello)).await;
    assert_eq!(next(&mut ben).await["op"], "ok");
    let mut ann = stage.join(&stage.ann).await;
    let body = "x".repeat(8_000);
    for number in 1..=100 {
        ann.send(&stage.room, &format!("c{number}"), &body).await;
    }
    let begin = Instant::now();
    for seq in 1..=100 {
        assert_eq!(number(&next(&mut ben).await, "seq"), seq);
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "nothing waits for the next ping");
}

/// The next frame that is no ping.
async fn next(socket: &mut RawSocket) -> Value {
    loop {
        let frame = socket.read().await.expect("open");
        if frame.opcode != opcode::PING {
            return serde_json::from_slice(&frame.payload).expect("JSON");
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_forgotten() {
    let stage = Stage::set(launch()).await;
    let open = || async { stage.http.metrics().await.sum("madang_connections", &[]) };
    let sockets = vec![stage.both().await, stage.both().await];
    assert_eq!(open().await, 4.0);
    drop(sockets); // without a goodbye of WebSocket or TLS
    until("nobody is left", SOON, || async { (open().await == 0.0).then_some(()) }).await;
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off() {
    let stage = Stage::set(launch().with("tls-handshake-timeout-ms", 200)).await;
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut slow = RawSocket::connect_plain(stage.address()).await;
        slow.write(begun).await;
        assert_eq!(slow.rest().await, b"", "{begun:?}");
    }
}

#[tokio::test]
async fn what_is_no_tls_ends_the_connection_and_nothing_else() {
    let stage = Stage::set(launch()).await;
    let junk = [0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5];
    let oversized = [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat();
    for bytes in [&b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"[..], &junk, &oversized, &[0; 64]] {
        let mut socket = RawSocket::connect_plain(stage.address()).await;
        socket.write(bytes).await;
        let said = socket.rest().await;
        // Nothing, or an alert: a record of type 21.
        assert!(said.is_empty() || said[0] == 21, "{said:?}");
    }
    stage.http.send(&stage.ann, &stage.room, "c", "still here").await;
}

#[tokio::test]
async fn junk_behind_the_handshake_ends_the_connection_and_nothing_else() {
    let stage = Stage::set(launch()).await;
    let handshake = RawSocket::handshake_text(stage.address(), "");
    for (request, junk) in [
        // A record that does not decrypt, one of a type that does not exist, a second handshake.
        ("", &[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1][..]),
        (
            &handshake,
            &[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1],
        ),
        (&handshake, &[99; 32]),
        (&handshake, &[22, 3, 3, 0, 4, 1, 0, 0, 0]),
    ] {
        let mut stream = shake_hands(stage.address(), client_config()).await;
        stream.write_all(request.as_bytes()).await.expect("written");
        if !request.is_empty() {
            let mut head = [0; 12];
            stream.read_exact(&mut head).await.expect("an answer");
            assert_eq!(&head, b"HTTP/1.1 101");
        }
        let (mut tcp, _) = stream.into_inner();
        tcp.write_all(junk).await.expect("written");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, tcp.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the node ends it: {junk:?}");
    }
    stage.http.send(&stage.ann, &stage.room, "c", "still here").await;
}

async fn shake_hands(address: SocketAddr, config: ClientConfig) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the node listens");
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::from(address.ip()), stream).await.expect("a handshake")
}

#[tokio::test]
async fn only_http_1_is_agreed_on() {
    let stage = Stage::set(launch()).await;
    let mut config = client_config();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = shake_hands(stage.address(), config).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn handshakes_take_the_places_of_connections() {
    let stage = Stage::set(launch().with("max-connections", 8)).await;
    let door = Door::new(stage.address());
    let mut hanging = Vec::new();
    let full = || async { door.open().await.err().filter(|status| *status == 503) };
    for _ in 0..8 {
        hanging.push(RawSocket::connect_plain(stage.address()).await);
    }
    until("the node is full", SOON, full).await;
    hanging.clear();
    until("there is place again", SOON, || async { door.open().await.ok() }).await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_handshakes() {
    let mut stage = Stage::set(launch().with("tls-handshake-timeout-ms", 60_000)).await;
    let mut hanging = RawSocket::connect_plain(stage.address()).await;
    let mut ann = stage.join(&stage.ann).await;
    let begin = Instant::now();
    stage.node.terminate();
    assert_eq!(ann.close_code().await, 1012);
    assert_eq!(hanging.rest().await, b"");
    assert!(stage.node.wait_for_exit().await.success(), "{}", stage.node.printed());
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let stage = Stage::set(launch()).await;
    let address = stage.address();
    let mut ann = stage.join(&stage.ann).await;
    let first = shown_certificate(address).await;
    let files = issue(address.ip(), stage.node.directory());
    stage.node.hang_up();
    let renewed = || async { Some(shown_certificate(address).await).filter(|now| *now != first) };
    let second = until("the new certificate is shown", SOON, renewed).await;

    std::fs::write(&files.cert, "half a certifi").expect("written");
    stage.node.hang_up();
    let complaint = format!("tls_cert = {:?}: holds no certificate in PEM", files.cert);
    let complained = || async { stage.node.printed().contains(&complaint).then_some(()) };
    until("the broken file is named", SOON, complained).await;
    assert_eq!(shown_certificate(address).await, second);
    ann.ok("ping", json!({})).await;
}
