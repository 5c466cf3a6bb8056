//! The store on MongoDB while its primary is killed, or stands still.

use madang_protocol::{ClientId, Entry, Message, operation::Range};
use madang_resilience::State;
use madang_servers::{ReplicaSet, wait};
use madang_store::{
    ClusterOptions, Store,
    conformance::fixtures::{make_room, make_users, message, new_group, room, user},
    log::{Appended, Stopped},
    open_cluster,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Messages sent by one command.
const BATCH: usize = 5;
/// Long enough for an election on a busy machine.
const ELECTED: Duration = Duration::from_secs(60);

async fn open(set: &ReplicaSet, write_timeout: Duration) -> Store {
    let options = ClusterOptions {
        connections_warm: 2,
        write_timeout,
        ..ClusterOptions::at(set.uri(), "chat")
    };
    open_cluster(options).await.expect("a store")
}

/// One of two that believe to be a room's home: it sends what it was given, in order, by the rules
/// of a home, and remembers what it was told.
struct Home {
    store: Store,
    in_room: u64,
    sender: u64,
    last: u64,
    next_name: u64,
    waiting: VecDeque<ClientId>,
    told: HashMap<ClientId, u64>,
    doubts: u64,
}

impl Home {
    fn new(store: &Store, in_room: u64, sender: u64) -> Self {
        let (last, next_name, doubts) = (0, 0, 0);
        let (waiting, told) = (VecDeque::new(), HashMap::new());
        Self { store: store.clone(), in_room, sender, last, next_name, waiting, told, doubts }
    }

    async fn run(mut self, goes_on: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Self {
        while goes_on.load(Ordering::Relaxed) || !self.waiting.is_empty() {
            while self.waiting.len() < BATCH && goes_on.load(Ordering::Relaxed) {
                let name = format!("{}-{}", self.sender, self.next_name);
                self.waiting.push_back(ClientId::new(&name).expect("a name"));
                self.next_name += 1;
            }
            let before = self.told.len();
            self.send().await;
            sent.fetch_add((self.told.len() - before) as u64, Ordering::Relaxed);
        }
        self
    }

    async fn send(&mut self) {
        let command: Vec<Entry> =
            (self.last + 1..).zip(&self.waiting).map(|(seq, name)| self.entry(seq, name)).collect();
        let answer = self.store.log.append(command).await;
        for _ in 0..answer.committed {
            self.last += 1;
            let name = self.waiting.pop_front().expect("it was sent");
            self.told.insert(name, self.last);
        }
        match answer.stopped {
            None => {}
            Some(Stopped::Unknown(_)) => {
                self.doubts += 1;
                self.resync().await;
            }
            Some(_) => self.resync().await,
        }
    }

    /// Looks up what was sent, then reads on.
    async fn resync(&mut self) {
        let names: Vec<_> =
            self.waiting.iter().map(|name| (user(self.sender), name.clone())).collect();
        let found = wait::until("what was sent", ELECTED, async || {
            self.store.log.find_sent(room(self.in_room), names.clone()).await.ok()
        });
        let found = found.await;
        let page = wait::until("the messages", ELECTED, async || {
            let after = Range::After(self.last);
            self.store.log.page(room(self.in_room), after, 10_000, usize::MAX).await.ok()
        });
        self.last = page.await.last_seq;
        for (name, found) in names.into_iter().zip(found) {
            if let Some(found) = found.filter(|found| found.seq <= self.last) {
                self.told.insert(name.1.clone(), found.seq);
                self.waiting.retain(|waiting| *waiting != name.1);
            }
        }
    }

    fn entry(&self, seq: u64, name: &ClientId) -> Entry {
        let message = message(self.in_room, seq, self.sender);
        Entry::Message(Arc::new(Message { client_id: name.clone(), ..message }))
    }
}

/// No hole, nothing twice, and everything that somebody was told is where they were told.
async fn assert_kept(store: &Store, homes: &[Home]) {
    for in_room in homes.iter().map(|home| home.in_room).collect::<HashSet<_>>() {
        let page = store.log.page(room(in_room), Range::Newest, usize::MAX, usize::MAX).await;
        let page = page.expect("a page");
        let seqs: Vec<_> = page.messages.iter().map(|message| message.seq).collect();
        assert_eq!(seqs, (1..=page.last_seq).collect::<Vec<_>>());
        let names: HashSet<_> = page.messages.iter().map(|message| &message.client_id).collect();
        assert_eq!(names.len(), seqs.len(), "nothing is there twice");
        for home in homes.iter().filter(|home| home.in_room == in_room) {
            for (name, seq) in &home.told {
                let found = &page.messages[*seq as usize - 1];
                assert_eq!(
                    (&found.client_id, found.sender),
                    (name, user(home.sender)),
                    "seq {seq}"
                );
            }
        }
    }
}

/// Two homes for each of two rooms go on sending while the primary is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_with_the_primary() {
    let mut set = ReplicaSet::start().await;
    let store = open(&set, Duration::from_secs(10)).await;
    make_users(&store, 1..=4).await;
    let (goes_on, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
    let mut homes = Vec::new();
    for number in 1..=4 {
        let in_room = number % 2 + 1;
        if number <= 2 {
            make_room(&store, new_group(in_room, number, &[])).await;
        }
        let home = Home::new(&store, in_room, number);
        homes.push(tokio::spawn(home.run(goes_on.clone(), sent.clone())));
    }
    let reaches = async |count: u64| {
        let is_sent = || async { (sent.load(Ordering::Relaxed) >= count).then_some(()) };
        wait::until("so many are sent", ELECTED, is_sent).await;
    };
    reaches(200).await;
    let primary = set.primary().await;
    set.member(primary).kill().await;
    let is_not_ok = || async { (store.control.health().state != State::Ok).then_some(()) };
    wait::until("the loss is noticed", wait::SOON, is_not_ok).await;
    set.takes_writes().await;
    let before = sent.load(Ordering::Relaxed);
    reaches(before + 200).await;
    goes_on.store(false, Ordering::Relaxed);
    let mut ended = Vec::new();
    for home in homes {
        ended.push(wait::within("the rest is sent", ELECTED, home).await.expect("no panic"));
    }
    assert_kept(&store, &ended).await;
    let is_ok = || async { (store.control.health().state == State::Ok).then_some(()) };
    wait::until("it works again", wait::SOON, is_ok).await;
    set.member(primary).restart().await;
    store.control.close().await;
}

/// What is in doubt is told as such within its time, and found out when there is a primary again;
/// what the frozen one does when it wakes up changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_leaves_doubt_and_no_hole() {
    let set = ReplicaSet::start().await;
    let store = open(&set, Duration::from_secs(2)).await;
    make_users(&store, 1..=1).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let mut home = Home::new(&store, 1, 1);
    home.waiting = names(0..5);
    home.send().await;
    assert_eq!(home.told.len(), 5);

    let primary = set.primary().await;
    set.members()[primary].pause();
    let began = Instant::now();
    let command = names(5..10).iter().zip(6..).map(|(name, seq)| home.entry(seq, name)).collect();
    let answer = store.log.append(command).await;
    assert!(
        matches!(answer, Appended { committed: 0, stopped: Some(Stopped::Unknown(_)) }),
        "{answer:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_ne!(store.control.health().state, State::Ok);

    home.waiting = names(5..10);
    home.resync().await;
    wait::within("the rest is sent", ELECTED, async {
        while !home.waiting.is_empty() {
            home.send().await;
        }
    })
    .await;
    set.members()[primary].resume();
    home.waiting = names(10..20);
    wait::within("more is sent", ELECTED, async {
        while !home.waiting.is_empty() {
            home.send().await;
        }
    })
    .await;
    assert_eq!(home.told.len(), 20);
    assert_kept(&store, &[home]).await;
    let is_ok = || async { (store.control.health().state == State::Ok).then_some(()) };
    wait::until("it works again", wait::SOON, is_ok).await;
    store.control.close().await;
}

fn names(numbers: std::ops::Range<u64>) -> VecDeque<ClientId> {
    let name = |number| ClientId::new(&format!("1-{number}")).expect("a name");
    numbers.map(name).collect()
}
