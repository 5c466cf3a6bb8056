//! What is asked, by input and exact effects; and the actor against a log, on a stopped clock.

use super::{
    NoticingServices, Readers, SWEEP_EVERY, SWEEP_ROOMS_MAX, TICK,
    logic::{Effect, Logic, Rooms},
    start,
};
use crate::{
    homes::Homes,
    kernel::{Arbiter, Supervisor, arbiter::run_simulated},
    metrics::Metrics,
};
use futures_util::FutureExt;
use madang_cluster::{InProcess, NodeName, Peer, View};
use madang_protocol::{Heads, RoomId};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

fn peer(name: &str) -> Peer {
    Peer { name: NodeName::new(name).unwrap(), incarnation: 1 }
}

fn view(names: &[&str]) -> View {
    View::new(names.iter().map(|name| peer(name)))
}

fn room(number: u32) -> RoomId {
    let mut id = [0; 15];
    id[..4].copy_from_slice(&number.to_be_bytes());
    RoomId(id)
}

fn heads(last_seq: u64) -> Heads {
    Heads { last_seq, ..Heads::default() }
}

/// Rooms 0 and so on, each at 1.
fn known(count: u32) -> Rooms {
    (0..count).map(|number| (room(number), heads(1))).collect()
}

fn ids(rooms: &[(RoomId, Heads)]) -> Vec<RoomId> {
    rooms.iter().map(|(room, _)| *room).collect()
}

fn new() -> Logic {
    let mut effects = Vec::new();
    let logic = Logic::new(0, &mut effects);
    assert_eq!(effects, [Effect::SweepAfter(SWEEP_EVERY)]);
    logic
}

fn tick(logic: &mut Logic, known: &Rooms) -> Vec<Effect> {
    let mut effects = Vec::new();
    logic.tick(known, &mut effects);
    effects
}

#[test]
fn those_whose_home_is_another_are_asked_about_there_and_the_others_are_not() {
    let (mut logic, known) = (new(), known(60));
    logic.view_changed(&view(&["a", "b"]), []);
    assert_eq!(tick(&mut logic, &known), [], "nobody read anything");
    let (before, after) = (view(&["a", "b"]), view(&["a", "c"]));
    logic.view_changed(&after, ids(&known));
    let moved: Vec<RoomId> =
        ids(&known).into_iter().filter(|room| before.home(*room) != after.home(*room)).collect();
    assert!(!moved.is_empty() && moved.len() < known.len());
    let mut asked = Vec::new();
    for effect in tick(&mut logic, &known) {
        let Effect::Ask(home, rooms) = effect else { panic!("{effect:?}") };
        assert!(rooms.iter().all(|(room, _)| after.home(*room) == Some(&home)));
        asked.extend(ids(&rooms));
    }
    asked.sort_unstable();
    assert_eq!(asked, moved);
    assert_eq!(tick(&mut logic, &known), [], "one question to a home at a time");
}

#[test]
fn who_does_not_answer_is_asked_again_and_what_is_told_is_handed_on() {
    let (mut logic, known, mut effects) = (new(), known(3), Vec::new());
    logic.view_changed(&view(&["a"]), ids(&known));
    assert_eq!(tick(&mut logic, &known), [Effect::Ask(peer("a"), known.clone())]);
    let told = vec![(room(1), heads(5)), (room(9), heads(9))];
    logic.answered(&peer("a").name, told, &mut effects);
    assert_eq!(effects, [Effect::Tell(room(1), heads(5))], "what nobody asked is passed over");
    let rest = vec![known[0], known[2]];
    assert_eq!(tick(&mut logic, &known), [Effect::Ask(peer("a"), rest)]);
    logic.answered(&peer("a").name, Vec::new(), &mut effects);
    assert_eq!(tick(&mut logic, &known[..1].to_vec()), [Effect::Ask(peer("a"), vec![known[0]])]);
    logic.answered(&peer("a").name, known.clone(), &mut effects);
    assert_eq!(logic.waiting(), 0, "one that is read no more is not asked about");
}

#[test]
fn while_nobody_is_home_questions_wait_for_one() {
    let (mut logic, known) = (new(), known(2));
    logic.view_changed(&view(&["a"]), []);
    logic.view_changed(&View::default(), ids(&known));
    assert_eq!(tick(&mut logic, &known), []);
    logic.view_changed(&view(&["b"]), ids(&known));
    assert_eq!(tick(&mut logic, &known), [Effect::Ask(peer("b"), known)]);
}

#[test]
fn so_many_are_asked_about_in_a_second() {
    let (mut logic, known, mut asked) = (new(), known(2_000), 0);
    logic.view_changed(&view(&["a"]), []);
    logic.gap(ids(&known));
    for _ in 0..5 {
        let effects = tick(&mut logic, &known);
        let [Effect::Ask(home, rooms)] = &effects[..] else { panic!("{effects:?}") };
        asked += rooms.len();
        logic.answered(&home.name, rooms.clone(), &mut Vec::new());
    }
    assert_eq!((asked, logic.waiting()), (500, 1_500));
}

#[test]
fn a_sweep_looks_at_all_rooms_one_query_at_a_time() {
    let (mut logic, known, mut effects) = (new(), known(1_100), Vec::new());
    logic.sweep(known.clone(), 1, &mut effects);
    let next = Effect::SweepAfter(SWEEP_EVERY - Duration::from_millis(1));
    assert_eq!(effects, [Effect::Look(known[..SWEEP_ROOMS_MAX].to_vec()), next]);
    effects.clear();
    logic.swept(Some(vec![(room(7), heads(9))]), &mut effects);
    let rest = Effect::Look(known[SWEEP_ROOMS_MAX..2 * SWEEP_ROOMS_MAX].to_vec());
    assert_eq!(effects, [Effect::Tell(room(7), heads(9)), rest]);
    effects.clear();
    logic.swept(None, &mut effects);
    assert_eq!(effects, [], "the store is asked no more for now");
    logic.sweep(known.clone(), 0, &mut effects);
    assert_eq!(effects[0], Effect::Look(known[..SWEEP_ROOMS_MAX].to_vec()), "but the next time");
}

/// Readers of some rooms, and what they were told.
#[derive(Default)]
struct Told(Mutex<Rooms>, Mutex<Rooms>);

impl Readers for Told {
    fn known(&self) -> Rooms {
        self.0.lock().unwrap().clone()
    }

    fn tell(&self, room: RoomId, heads: Heads) {
        self.1.lock().unwrap().push((room, heads));
    }
}

/// Nobody is home, nobody sends, every announcement was lost (CE15): the new home is asked, again
/// until it answers.
#[test]
fn a_new_home_is_asked_until_it_answers() {
    run_simulated(1, async {
        let inside = tokio::task::LocalSet::new();
        inside
            .run_until(async {
                let homes = Homes::joining(peer("a"));
                let readers = Arc::new(Told(Mutex::new(known(2)), Mutex::default()));
                let asked = Arc::new(Mutex::new(Vec::new()));
                let noted = asked.clone();
                let ask = move |home: Peer, rooms: Rooms| {
                    noted.lock().unwrap().push(home);
                    let is_deaf = noted.lock().unwrap().len() < 3;
                    let told = rooms.into_iter().map(|(room, _)| (room, heads(4))).collect();
                    async move { if is_deaf { Vec::new() } else { told } }.boxed()
                };
                let metrics = Arc::new(Metrics::new());
                let root = Supervisor::root(metrics.clone(), |cause| panic!("{cause}"));
                let directory =
                    std::env::temp_dir().join(format!("madang-noticing-{}", std::process::id()));
                let options = madang_store::Options::in_directory(&directory);
                let store = madang_store::open(options).expect("an empty store");
                let services = NoticingServices {
                    homes: homes.clone(),
                    readers: readers.clone(),
                    ask: Box::new(ask),
                    log: store.log.clone(),
                    metrics,
                };
                let bus = InProcess::alone();
                let _noticing = start(&Arbiter::here(), &root, &bus, services);
                homes.update(view(&["a", "b"]));
                sleep(TICK * 3).await;
                homes.update(view(&["b"]));
                sleep(TICK * 10).await;
                assert!(asked.lock().unwrap().contains(&peer("b")));
                let told = readers.1.lock().unwrap();
                assert!((0..2).all(|number| told.contains(&(room(number), heads(4)))), "{told:?}");
                drop(store);
                let _ = std::fs::remove_dir_all(&directory);
            })
            .await;
    });
}
