//! A reader of the same room stops reading.

use super::{Scene, Step, launch};
use madang_testkit::{
    Account,
    raw::{Frame, RawSocket},
    wait::{SOON, until},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

const ROUNDS: usize = 3;
/// Two hundred a second: what waits for the reader is full within a second or two.
const BODY_BYTES: usize = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_not_felt() {
    let scene = Scene::set(launch(), ROUNDS, BODY_BYTES).await;
    let (address, http) = (scene.stage.address(), &scene.stage.http);
    let mut stopped = None;
    let mut rounds = 0;
    let disturb = async |step| match step {
        Step::Prepare => {}
        Step::Disturb => {
            rounds += 1;
            stopped = Some(stop_reading(address, &scene.stage.ben, &scene.stage.room).await);
            let is_closed = || async {
                let closes = http.metrics().await.sum("madang_closes_total", &["code=\"4008\""]);
                tokio::time::sleep(Duration::from_millis(100)).await;
                (closes >= f64::from(rounds)).then_some(())
            };
            until("it is closed with 4008", SOON, is_closed).await;
        }
        Step::Clear => drop(stopped.take()),
    };
    scene.judge("a reader that stops, until it is closed", disturb).await;
}

/// Joins and reads nothing but the answer to `hello`.
async fn stop_reading(address: SocketAddr, account: &Account, room: &str) -> RawSocket {
    let mut socket = RawSocket::connect_with_buffer(address, 4_096).await;
    socket.handshake(address, "").await;
    let wish = json!([{"room": room}]);
    let hello = json!({"op": "hello", "id": 1, "token": account.token, "subscribe": wish});
    socket.frame(Frame::text(&hello.to_string())).await;
    let answer = socket.read().await.expect("the answer to hello");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!(answer["op"], "ok", "{answer}");
    socket
}
