//! A room at ten times its capacity.

use super::{Scene, Step, flood::Flood, launch};
use madang_testkit::{Stage, client::number};
use std::time::Duration;

const ROUNDS: usize = 3;
const LASTS: Duration = Duration::from_secs(1);
const TIMES_CAPACITY: usize = 10;

/// What the room has taken is all there; the rest was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_room_is_not_felt_in_a_quiet_one() {
    // Senders that do not keep up with their refusals are not what this is about.
    let launch = launch().with("outbox-frames-max", 1_000_000).with("outbox-bytes-max", 1 << 30);
    let scene = Scene::set(launch, ROUNDS, 0).await;
    let Stage { http, ann, ben, .. } = &scene.stage;
    let room = http.make_group(ann, "hot", &[ben]).await;
    let address = scene.stage.address();
    let flood = Flood::new(address, ann, &room, LASTS);
    let found = scene.background.run(flood.clone().at_its_pace()).await;
    let capacity = found.taken;
    let (mut offered, mut taken) = (0, capacity);
    let disturb = async |step| {
        if step == Step::Disturb {
            let flood = flood.clone().offering(TIMES_CAPACITY * capacity);
            let outcome = scene.background.run(flood).await;
            offered += outcome.offered;
            taken += outcome.taken;
        }
    };
    scene.judge("a room at ten times its capacity", disturb).await;
    println!("  {capacity} in {LASTS:?} are its capacity; {offered} offered, {taken} taken");
    let view = http.get(&format!("/v1/rooms/{room}")).token(&ann.token).send().await.expect(200);
    assert_eq!(number(&view, "last_seq"), taken as u64);
}
