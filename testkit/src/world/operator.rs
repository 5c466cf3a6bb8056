//! Who runs the nodes, and who runs the rooms: kills and restarts, cuts, joins and removals.

use super::{Phase, Scene, node::NodeLifetime, observation::Observation};
use fastrand::Rng;
use madang_protocol::{Role, RoomId, UserId};
use madang_store::rooms::RoomChange;
use std::{rc::Rc, time::Duration};
use tokio::time::sleep;

/// What is done to a node, or to the store.
#[derive(Debug, Clone, Copy)]
enum Blow {
    Kill,
    Drain,
    CutFromBus,
    CutFromStore,
    Pause,
    FailOver,
}

/// Until trouble is over. When this returns, every node is up.
pub(super) async fn work(scene: Rc<Scene>, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut blows = blows(&scene);
    rng.shuffle(&mut blows);
    let mut under_way = Vec::new();
    while scene.phase.get() == Phase::Acting {
        sleep(Duration::from_millis(rng.u64(100..1_500))).await;
        match blows.last() {
            Some(blow) if rng.u32(0..8) == 0 => {
                let (node, blow) = (some_node(&scene, &mut rng), *blow);
                blows.pop();
                if scene.nodes.len() == 1 {
                    strike(&scene, node, blow, &mut rng).await;
                } else {
                    // Beside each other: a node is cut off while another is killed.
                    let (scene, mut rng) = (scene.clone(), Rng::with_seed(rng.u64(..)));
                    under_way.push(tokio::task::spawn_local(async move {
                        strike(&scene, node, blow, &mut rng).await;
                    }));
                }
            }
            _ => change(&scene, &mut rng),
        }
    }
    for blow in under_way {
        let _ = blow.await;
    }
}

fn blows(scene: &Scene) -> Vec<Blow> {
    let plan = &scene.plan;
    let mut blows = [Blow::Kill].repeat(plan.crashes as usize);
    blows.extend([Blow::Drain].repeat(plan.drains as usize));
    if let Some(together) = &plan.together {
        // With more nodes each has its share of what a single one would have.
        blows.extend(blows.clone());
        blows.extend([Blow::CutFromBus].repeat(together.bus_cuts as usize));
        blows.extend([Blow::CutFromStore].repeat(together.store_cuts as usize));
        blows.extend([Blow::Pause].repeat(together.pauses as usize));
        blows.extend([Blow::FailOver].repeat(together.fail_overs as usize));
    }
    blows
}

fn some_node(scene: &Scene, rng: &mut Rng) -> usize {
    let count = scene.nodes.len();
    if count == 1 { 0 } else { rng.usize(0..count) }
}

async fn strike(scene: &Scene, node: usize, blow: Blow, rng: &mut Rng) {
    let trouble = &scene.ground.trouble;
    match blow {
        Blow::Kill | Blow::Drain => restart(scene, node, blow, rng).await,
        Blow::CutFromBus => {
            trouble.cut_from_bus(node, true);
            scene.ground.recorder.note(Observation::CutFromBus(node, true));
            while_it_lasts(scene, rng.u64(500..8_000)).await;
            trouble.cut_from_bus(node, false);
            scene.ground.recorder.note(Observation::CutFromBus(node, false));
            scene.ground.network.reconnected(node);
        }
        Blow::CutFromStore => {
            trouble.cut_from_store(node, true);
            scene.ground.recorder.note(Observation::CutFromStore(node, true));
            while_it_lasts(scene, rng.u64(500..6_000)).await;
            trouble.cut_from_store(node, false);
            scene.ground.recorder.note(Observation::CutFromStore(node, false));
        }
        Blow::Pause => {
            let is_crowded = scene.plan.together.as_ref().is_some_and(|it| it.is_crowded);
            let node = if is_crowded { 0 } else { node };
            pause(scene, node, true);
            while_it_lasts(scene, rng.u64(500..11_000)).await;
            pause(scene, node, false);
        }
        Blow::FailOver => {
            if let Some(set) = &scene.ground.set {
                scene.ground.recorder.note(Observation::FailedOver(set.tail()));
                set.fail_over();
                trouble.elect_for(Duration::from_millis(rng.u64(0..3_000)));
            }
        }
    }
}

fn pause(scene: &Scene, node: usize, pauses: bool) {
    if let Some(node) = &*scene.nodes[node].borrow() {
        node.pause(pauses);
    }
}

/// Some time, but not beyond the end of trouble.
async fn while_it_lasts(scene: &Scene, ms: u64) {
    let end = tokio::time::Instant::now() + Duration::from_millis(ms);
    while scene.phase.get() == Phase::Acting && tokio::time::Instant::now() < end {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn restart(scene: &Scene, number: usize, blow: Blow, rng: &mut Rng) {
    let Some(node) = scene.nodes[number].take() else { return };
    match blow {
        Blow::Drain => node.drain(scene.ground.settings.drain).await,
        _ => node.kill(),
    }
    let longest_ms = if scene.nodes.len() == 1 { 1_000 } else { 6_000 };
    sleep(Duration::from_millis(rng.u64(0..longest_ms))).await;
    let node = NodeLifetime::start(&scene.ground, number).await;
    scene.nodes[number].replace(Some(node));
}

/// Somebody wants to change who is in a room. Nobody waits for the answer.
fn change(scene: &Scene, rng: &mut Rng) {
    let (room, by, change) = drawn(scene, rng);
    let node = some_node(scene, rng);
    if let Some(node) = &*scene.nodes[node].borrow() {
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
