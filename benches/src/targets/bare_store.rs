//! The bare store: a loop that commits messages and does nothing else, in a process of its own.
//!
//! It is the node's own embedded store with the same records, keys and indexes, called without a node
//! around it. *Paced* commits each message when it is due, those that became due meanwhile together.
//! *Bulk* commits as much as it can, so many messages at a time, one commit under way.

use super::floor::own_program;
use crate::{
    error::{BenchError, Doing, Done},
    process::on_server_core,
};
use hdrhistogram::Histogram;
use madang_protocol::{ClientId, Entry, Message, RoomId, RoomKind, SessionId, UserId};
use madang_store::{
    Options, Store,
    accounts::{NewSession, NewUser},
    rooms::NewRoom,
};
use serde::{Deserialize, Serialize};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What to commit.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct BareStore {
    /// Rooms that take turns.
    #[arg(long, default_value_t = 100)]
    pub rooms: usize,
    /// Messages of one commit.
    #[arg(long, default_value_t = 1_000)]
    pub bulk: usize,
    /// Messages a second; 0: as many as can be.
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// How long.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
}

/// What became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreRun {
    /// Messages committed.
    pub messages: u64,
    /// Commits waited for.
    pub commits: u64,
    /// How long it took.
    pub seconds: f64,
    /// Processor time of the process, nanoseconds.
    pub processor_ns: u64,
    /// From a message's being due until it was durable, microseconds: the median.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

impl BareStore {
    /// Runs it in a process on the servers' cores.
    ///
    /// # Errors
    /// When that fails; with what it said.
    pub fn run(&self) -> Done<StoreRun> {
        let directory = tempfile::tempdir().doing(|| "making a directory".to_owned())?;
        let mut command = own_program("bare-store")?;
        for (name, value) in [
            ("--rooms", self.rooms.to_string()),
            ("--bulk", self.bulk.to_string()),
            ("--rate", self.rate.to_string()),
            ("--payload", self.payload.to_string()),
            ("--seconds", self.seconds.to_string()),
        ] {
            command.arg(name).arg(value);
        }
        command.current_dir(directory.path());
        let output = on_server_core(|| command.output())?;
        let output = output.doing(|| "starting the bare store".to_owned())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| BenchError::target("bare store", String::from_utf8_lossy(&output.stderr)))
    }
}

/// What the process does: commits in the working directory, and prints a [`StoreRun`].
pub fn serve(wanted: &BareStore) -> Done<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let run = runtime.doing(|| "starting a runtime".to_owned())?.block_on(run(wanted))?;
    let text = serde_json::to_string(&run).unwrap_or_default();
    println!("{text}");
    Ok(())
}

async fn run(wanted: &BareStore) -> Done<StoreRun> {
    let failed = |what: String| BenchError::target("bare store", what);
    let store = madang_store::open(Options::in_directory("data"));
    let store = store.map_err(|error| failed(error.to_string()))?;
    let mut room_heads = make_rooms(&store, wanted.rooms).await.map_err(failed)?;
    let begun = (Instant::now(), processor_ns());
    let (mut messages, mut commits) = (0, 0);
    let mut latency = crate::generator::histogram();
    while begun.0.elapsed().as_secs_f64() < wanted.seconds {
        let (from, count) = next(wanted, messages, begun.0).await;
        let batch = batch(&mut room_heads, messages, count, wanted.payload);
        commit(&store, batch).await.map_err(failed)?;
        (messages, commits) = (messages + count, commits + 1);
        note(&mut latency, begun.0.elapsed(), from, count, wanted.rate);
    }
    store.control.close().await;
    Ok(StoreRun {
        messages,
        commits,
        seconds: begun.0.elapsed().as_secs_f64(),
        processor_ns: processor_ns() - begun.1,
        p50_us: latency.value_at_quantile(0.5),
        p99_us: latency.value_at_quantile(0.99),
    })
}

/// When the next commit's first message is due, seconds after the begin, and how many are.
async fn next(wanted: &BareStore, done: u64, begun: Instant) -> (f64, u64) {
    if wanted.rate <= 0.0 {
        return (begun.elapsed().as_secs_f64(), wanted.bulk as u64);
    }
    let due = done as f64 / wanted.rate;
    tokio::time::sleep_until((begun + Duration::from_secs_f64(due)).into()).await;
    let are_due = (begun.elapsed().as_secs_f64() * wanted.rate) as u64 + 1;
    (due, are_due.saturating_sub(done).clamp(1, wanted.bulk.max(1) as u64))
}

fn note(latency: &mut Histogram<u64>, now: Duration, from: f64, count: u64, rate: f64) {
    for number in 0..count {
        let due = if rate > 0.0 { from + number as f64 / rate } else { from };
        latency.saturating_record(((now.as_secs_f64() - due).max(0.0) * 1e6) as u64);
    }
}

/// One user, in so many rooms; each with the last seq of its room.
pub(crate) async fn make_rooms(store: &Store, count: usize) -> Result<Vec<(RoomId, u64)>, String> {
    let made = store.accounts.create_users(vec![sender()]).await;
    made.map_err(|error| error.to_string())?;
    let mut rooms = Vec::with_capacity(count);
    for number in 0..count {
        let mut id = [0; 15];
        id[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let room = NewRoom {
            room: RoomId(id),
            kind: RoomKind::Group,
            name: Some(format!("room {number}")),
            private: true,
            creator: SENDER,
            members: Vec::new(),
            client_id: None,
            created_at: 1,
        };
        store.rooms.create(room).await.map_err(|error| error.to_string())?;
        rooms.push((RoomId(id), 0));
    }
    Ok(rooms)
}

const SENDER: UserId = UserId([7; 15]);

fn sender() -> NewUser {
    NewUser {
        user: SENDER,
        username: "sender".to_owned(),
        username_folded: "sender".to_owned(),
        display_name: "sender".to_owned(),
        password_hash: None,
        created_at: 1,
        session: NewSession {
            session: SessionId([1; 15]),
            user: SENDER,
            token_hash: [1; 32],
            created_at: 1,
            expires_at: u64::MAX,
            address: None,
        },
    }
}

/// So many messages, of room after room in turn.
pub(crate) fn batch(
    rooms: &mut [(RoomId, u64)],
    done: u64,
    count: u64,
    payload_bytes: usize,
) -> Vec<Entry> {
    let body: Arc<str> = "x".repeat(payload_bytes).into();
    let message = |number: u64| {
        let place = (number % rooms.len() as u64) as usize;
        let (room, seq) = &mut rooms[place];
        *seq += 1;
        Entry::Message(Arc::new(Message {
            room: *room,
            seq: *seq,
            ts: number,
            sender: SENDER,
            client_id: client_id(number),
            body: body.clone(),
            reply_to: None,
            amended: None,
        }))
    };
    (done..done + count).map(message).collect()
}

fn client_id(number: u64) -> ClientId {
    ClientId::new(&format!("bench-{number}")).expect("a short text")
}

/// All of them in one commit.
pub(crate) async fn commit(store: &Store, entries: Vec<Entry>) -> Result<(), String> {
    let appended = store.log.append(entries).await;
    appended.stopped.map_or(Ok(()), |stopped| Err(format!("{stopped:?}")))
}

fn processor_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
