//! A simulated world: the node's own actors, a store, a bus and clients, in one thread whose clock
//! stands still while something can be done and then jumps to the next timer.
//!
//! Everything follows from one seed: the settings, the plan of trouble, what clients do and when.
//! The same seed gives the same history, observation by observation, so whatever is found can be
//! looked at again. There is no second scheduler and no copy of the node's logic: what runs is what
//! is shipped, below HTTP and WebSocket framing.
//!
//! ```text
//! clients ─ link ─▶ Connection ─▶ Room ─▶ StoreWriter ─▶ faulty store ─▶ store in memory
//!    ▲                                │
//!    └─ link ◀─ Hub ◀─ Audience ◀─ faulty bus
//! ```
//!
//! A world begins with trouble: calls that are slow, refused, stalled, in doubt or panic;
//! publications that are lost, late or doubled; links that are cut, readers that stop, a node that
//! is killed, or ended and started again. Then all of it heals, and in the end everybody has to
//! have everything. [`Invariant`]s look at every observation on the way.

mod bus;
mod client;
mod gate;
mod ground;
mod link;
mod mutation;
mod node;
mod observation;
mod operator;
mod outside;
mod profile;
mod settings;
mod together;
mod trouble;

pub use mutation::Mutation;
pub use observation::{
    Answer, Ask, End, EndOfClient, EndOfRoom, Held, Invariant, LinkId, Observation, Recorder, Seen,
    Violation,
};
pub use profile::Profile;
pub use settings::Settings;
pub use together::Together;
pub use trouble::Plan;

use client::Client;
use fastrand::Rng;
use ground::Ground;
use madang_actors::kernel::arbiter::run_simulated;
use madang_protocol::{
    ClientId, Millis, RoomId, RoomKind, SessionId, UserId,
    operation::{self, Range},
};
use madang_store::{
    accounts::{NewSession, NewUser},
    faulty::replica_set::Reads,
    rooms::NewRoom,
};
use node::NodeLifetime;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use trouble::Trouble;

/// How long trouble lasts.
const TROUBLE: Duration = Duration::from_secs(20);
/// How long everything may take to heal: sends wait 15 s, leases and audiences 10.
const HEALING: Duration = Duration::from_secs(60);
/// How long what was settled must stay so.
const CALM: Duration = Duration::from_secs(2);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Messages of a room that are read at the end: more than a world makes.
const ALL: usize = 1_000_000;

/// One world to be run.
#[derive(Debug, Clone)]
pub struct World {
    /// Everything follows from it.
    pub seed: u64,
    /// A fault that is put back into the node.
    pub mutation: Option<Mutation>,
    /// Every observation is printed.
    pub prints: bool,
    /// Nothing goes wrong.
    pub is_quiet: bool,
    /// What goes wrong otherwise.
    pub profile: Profile,
}

/// What became of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What did not hold first.
    pub violation: Option<Violation>,
    /// How much was observed.
    pub observations: u64,
    /// A sum of it: two histories with the same are the same.
    pub sum: u64,
    /// How long it took by its own clock.
    pub lasted: Duration,
}

impl World {
    /// The world of a seed, as it should be.
    pub fn new(seed: u64) -> Self {
        Self { seed, mutation: None, prints: false, is_quiet: false, profile: Profile::Drawn }
    }

    /// Runs it on this thread, under the eyes of `invariants`.
    pub fn run(&self, invariants: Vec<Box<dyn Invariant>>) -> Outcome {
        Mutation::put_back(self.mutation);
        let outcome = run_simulated(self.seed, self.clone().happen(invariants));
        Mutation::put_back(None);
        outcome
    }

    async fn happen(self, invariants: Vec<Box<dyn Invariant>>) -> Outcome {
        let recorder = Recorder::new(invariants, self.prints);
        let mut rng = Rng::with_seed(self.seed);
        let (settings, drawn) = (Settings::drawn(&mut rng), Plan::drawn(&mut rng));
        let planned = self.profile.plan(self.seed, drawn);
        let plan = if self.is_quiet {
            Plan { together: planned.together.map(Together::quiet), ..Plan::quiet() }
        } else {
            planned
        };
        if self.prints {
            println!("{plan:?}\n{settings:?}");
        }
        let is_dirty = self.mutation == Some(Mutation::NonMajorityRead);
        let trouble = Trouble::new(plan.clone(), self.seed, is_dirty, recorder.clone());
        let reads = self.mutation.map_or(Reads::Majority, Mutation::reads);
        let ground = Ground::new(settings, trouble, recorder, reads);
        let scene = Scene::set(plan, ground, &mut rng).await;
        scene.play(&mut rng).await;
        let recorder = &scene.ground.recorder;
        let (observations, sum) = recorder.sum();
        let lasted = recorder.now();
        Outcome { violation: recorder.violation(), observations, sum, lasted }
    }
}

/// How far a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Clients act, and things go wrong.
    Acting,
    /// Clients only finish what they began.
    Healing,
}

/// What all who live in a world share.
struct Scene {
    plan: Plan,
    ground: Ground,
    users: Vec<UserId>,
    rooms: Vec<RoomId>,
    /// Those that are up.
    nodes: Vec<RefCell<Option<NodeLifetime>>>,
    phase: Cell<Phase>,
    links: Cell<u64>,
}

impl Scene {
    /// Users, rooms, and nodes.
    async fn set(plan: Plan, ground: Ground, rng: &mut Rng) -> Rc<Self> {
        let store = &ground.store;
        let users: Vec<UserId> = (1..=rng.u8(2..6)).map(|number| UserId([number; 15])).collect();
        let new = users.iter().map(|user| new_user(*user)).collect();
        store.accounts.create_users(new).await.expect("nothing goes wrong yet");
        let rooms: Vec<RoomId> = (1..=rng.u8(1..4)).map(|number| RoomId([number; 15])).collect();
        for (place, room) in rooms.iter().enumerate() {
            let new = new_room(*room, place, &users, rng);
            store.rooms.create(new).await.expect("nothing goes wrong yet");
        }
        let mut nodes = Vec::new();
        for number in 0..plan.together.as_ref().map_or(1, |together| together.nodes) {
            nodes.push(RefCell::new(Some(NodeLifetime::start(&ground, number).await)));
        }
        let (phase, links) = (Cell::new(Phase::Acting), Cell::new(0));
        Rc::new(Self { plan, ground, users, rooms, nodes, phase, links })
    }

    /// From the first word to the last.
    async fn play(self: &Rc<Self>, rng: &mut Rng) {
        let mut clients = Vec::new();
        for user in &self.users {
            for device in 0..rng.usize(1..3) {
                let client = Client::new(self.clone(), *user, device, rng.u64(..));
                let client = Rc::new(RefCell::new(client));
                tokio::task::spawn_local(client::live(client.clone()));
                clients.push(client);
            }
        }
        let operator = tokio::task::spawn_local(operator::work(self.clone(), rng.u64(..)));
        self.wait_until(Instant::now() + TROUBLE).await;
        self.ground.trouble.end();
        self.phase.set(Phase::Healing);
        self.ground.recorder.note(Observation::Healed);
        // The operator finishes what it began, so that every node is up.
        let _ = operator.await;
        // Nobody has to say anything for everybody to have everything.
        let end = self.settle(&clients).await;
        self.ground.recorder.healed(&end);
        self.probe().await;
        let end = self.settle(&clients).await;
        self.ground.recorder.healed(&end);
        for node in &self.nodes {
            let node = node.take();
            if let Some(node) = node {
                node.drain(self.ground.settings.drain).await;
            }
        }
    }

    /// Lets time pass, but not after something was found.
    async fn wait_until(&self, end: Instant) {
        while Instant::now() < end && self.ground.recorder.violation().is_none() {
            sleep(LOOK).await;
            self.look_at_queues();
        }
    }

    /// Waits until nothing is left to happen, and stays so; or until it has taken too long.
    async fn settle(&self, clients: &[Rc<RefCell<Client>>]) -> End {
        let deadline = Instant::now() + HEALING;
        let mut calm_since = None;
        loop {
            self.wait_until(Instant::now() + LOOK).await;
            let end = self.end(clients).await;
            let now = Instant::now();
            if !end.is_settled() {
                calm_since = None;
            }
            let is_calm = end.is_settled() && now >= *calm_since.get_or_insert(now) + CALM;
            if is_calm || now >= deadline || self.ground.recorder.violation().is_some() {
                return end;
            }
        }
    }

    async fn end(&self, clients: &[Rc<RefCell<Client>>]) -> End {
        let mut rooms = BTreeMap::new();
        for room in &self.rooms {
            let log = &self.ground.store.log;
            let page = log.page(*room, Range::After(0), ALL, usize::MAX).await;
            let page = page.expect("nothing goes wrong any more");
            let members = self.ground.store.rooms.members(*room, None, ALL).await;
            let members = members.expect("nothing goes wrong any more");
            let (messages, last_rev) = (page.messages, page.last_rev);
            rooms.insert(*room, EndOfRoom { messages, last_rev, members });
        }
        End { rooms, clients: clients.iter().map(|client| client.borrow().end()).collect() }
    }

    /// One more message for every room: who is thought to be no reader any more must not get it,
    /// everybody else must.
    async fn probe(&self) {
        for (place, room) in self.rooms.iter().enumerate() {
            let client_id = ClientId::new(&format!("probe-{place}")).expect("short");
            let probe = operation::Send {
                room: *room,
                client_id,
                body: "is anybody there?".into(),
                reply_to: None,
            };
            let owner = self.users[0];
            let node = &self.nodes[place % self.nodes.len()];
            let sent = node.borrow().as_ref().map(|node| node.send(owner, probe));
            let Some(sent) = sent else { return };
            if !matches!(sent.await, Ok(Ok(_))) && self.ground.recorder.violation().is_none() {
                self.ground
                    .recorder
                    .fail("probe", format!("{room} takes no messages after healing"));
            }
        }
    }

    fn look_at_queues(&self) {
        self.nodes.iter().for_each(|node| self.look_at_queues_of(node));
    }

    fn look_at_queues_of(&self, node: &RefCell<Option<NodeLifetime>>) {
        let tree = node.borrow().as_ref().map(NodeLifetime::tree);
        for tree in tree.iter().flat_map(|tree| std::iter::once(tree).chain(&tree.subtrees)) {
            for kind in &tree.children {
                let longest = kind.listed.iter().map(|(_, vitals)| vitals.mailbox).max();
                if let Some(longest) = longest.filter(|longest| *longest > 0) {
                    self.ground.recorder.note(Observation::Depth(kind.kind, longest));
                }
            }
        }
    }

    /// A connection to one of the nodes, and which.
    fn connect(&self, rng: &mut Rng) -> Option<(usize, link::ClientEnd)> {
        let is_crowded = self.plan.together.as_ref().is_some_and(|together| together.is_crowded);
        let count = if is_crowded { 1 } else { self.nodes.len() };
        let number = if count == 1 { 0 } else { rng.usize(0..count) };
        let end = self.nodes[number].borrow().as_ref().map(NodeLifetime::connect)?;
        Some((number, end))
    }

    fn next_link(&self) -> LinkId {
        self.links.set(self.links.get() + 1);
        LinkId(self.links.get())
    }
}

fn new_user(user: UserId) -> NewUser {
    let name = user.to_string();
    NewUser {
        user,
        username: name.clone(),
        username_folded: name.clone(),
        display_name: name,
        password_hash: None,
        created_at: 1,
        session: NewSession {
            session: SessionId(user.0),
            user,
            token_hash: [user.0[0]; 32],
            created_at: 1,
            expires_at: Millis::MAX,
            address: None,
        },
    }
}

/// The first user owns all rooms. The first room has everybody in it, others some.
fn new_room(room: RoomId, place: usize, users: &[UserId], rng: &mut Rng) -> NewRoom {
    let others = users.iter().skip(1).filter(|_| place == 0 || rng.bool());
    let members = others.copied().collect();
    NewRoom {
        room,
        kind: RoomKind::Group,
        name: Some(format!("room {place}")),
        private: rng.bool(),
        creator: users[0],
        members,
        client_id: None,
        created_at: 1,
    }
}
