//! Who runs the node, and who runs the rooms: kills and restarts, joins and removals.

use super::{Phase, Scene, node::NodeLifetime};
use fastrand::Rng;
use madang_protocol::{Role, RoomId, UserId};
use madang_store::rooms::RoomChange;
use std::{rc::Rc, time::Duration};
use tokio::time::sleep;

/// Until trouble is over. When this returns, a node is up.
pub(super) async fn work(scene: Rc<Scene>, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let plan = &scene.plan;
    let mut ends: Vec<bool> = [true].repeat(plan.crashes as usize);
    ends.extend([false].repeat(plan.drains as usize));
    rng.shuffle(&mut ends);
    while scene.phase.get() == Phase::Acting {
        sleep(Duration::from_millis(rng.u64(100..1_500))).await;
        match ends.last() {
            Some(is_kill) if rng.u32(0..8) == 0 => {
                restart(&scene, *is_kill, &mut rng).await;
                ends.pop();
            }
            _ => change(&scene, &mut rng),
        }
    }
}

async fn restart(scene: &Scene, is_kill: bool, rng: &mut Rng) {
    let Some(node) = scene.node.take() else { return };
    if is_kill {
        node.kill();
    } else {
        node.drain(scene.settings.drain).await;
    }
    sleep(Duration::from_millis(rng.u64(0..1_000))).await;
    let Scene { store, settings, trouble, recorder, .. } = scene;
    let node = NodeLifetime::start(store, settings, trouble, recorder).await;
    scene.node.replace(Some(node));
}

/// Somebody wants to change who is in a room. Nobody waits for the answer.
fn change(scene: &Scene, rng: &mut Rng) {
    let (room, by, change) = drawn(scene, rng);
    if let Some(node) = &*scene.node.borrow() {
        drop(node.change(room, by, change));
    }
}

fn drawn(scene: &Scene, rng: &mut Rng) -> (RoomId, UserId, RoomChange) {
    let room = scene.rooms[rng.usize(0..scene.rooms.len())];
    let owner = scene.users[0];
    let user = scene.users[rng.usize(1..scene.users.len())];
    match rng.u32(0..12) {
        0..3 => (room, owner, RoomChange::Remove { user, ban: false }),
        3..7 => (room, owner, RoomChange::Add(user)),
        7 => (room, user, RoomChange::Leave),
        8..10 => (room, user, RoomChange::Join),
        10 => {
            let role = if rng.bool() { Role::Admin } else { Role::Member };
            (room, owner, RoomChange::SetRole { user, role })
        }
        _ => (room, owner, RoomChange::Rename(format!("room {}", rng.u8(..)).into())),
    }
}
