//! The chat of a school: how many users one machine bears.
//!
//! Users come fifty at a time. Each logs in with a password, lists its 20 rooms of 50 members, and
//! enters one, all members the same; from then on it does something every five seconds: it sends (60 %),
//! reads (30 %) or types (10 %), and asks for a page of history once a minute. Others log in meanwhile,
//! at the last step as well. The number is that of the last step in which the 99th percentile of all
//! answers was below 200 ms and nothing was refused. Logins are timed apart: a password is slow to
//! check on purpose.

use super::{ABREAST, Bench, READY_WITHIN, sends::write_send};
use crate::{
    error::{BenchError, Done},
    generator::{Answered, Crowd, Pace, Span, Turn, ask, histogram},
    result::Row,
    targets::{Dialect, Http, Node, Seat, User, make_room, pause},
};
use hdrhistogram::Histogram;
use serde_json::json;
use std::{
    fmt::Write,
    net::SocketAddr,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Users that come at each step
    #[arg(long, default_value_t = 50)]
    pub step: usize,
    /// Seconds of a step
    #[arg(long, default_value_t = 20.0)]
    pub seconds: f64,
    /// Users to begin with, in steps that are not measured
    #[arg(long, default_value_t = 50)]
    pub from: usize,
    /// Users to end with at the latest
    #[arg(long, default_value_t = 6_300)]
    pub to: usize,
    /// Rooms of each user
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// p99 at most, milliseconds
    #[arg(long, default_value_t = 200.0)]
    pub p99_ms: f64,
}

/// While nobody is there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Members of a room.
const MEMBERS: usize = 50;
/// Seconds between two acts of a user.
const ACTS_EVERY: f64 = 5.0;
/// Acts of a user between two pages of history.
const ACTS_PER_PAGE: u64 = 12;
/// What a chat service on twelve machines is known to have borne, and by how much to exceed it.
const KNOWN: f64 = 630.0;
const TIMES: f64 = 10.0;
const PASSWORD: &str = "correct horse battery";

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.to)?;
    if options.step == 0 || options.rooms == 0 {
        let what = "--step and --rooms must be above 0";
        return Err(BenchError::Options(what.to_owned()));
    }
    let node = bench.launch.start("node", 0)?;
    let crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    let mut school = School { node, crowd, rooms: Vec::new(), entered: Vec::new(), number: 0 };
    let mut best = 0;
    loop {
        let coming = come(school.node.address(), school.crowd.len(), options);
        let mut run = school.spell(options)?;
        while !coming.is_finished() {
            run = school.spell(options)?.or(run);
        }
        let users = school.crowd.len();
        let class = coming.join().unwrap_or_else(|_| Err(gone("somebody could not come")))?;
        if let Some(run) = run.filter(|_| users >= options.from) {
            let is_good = note(bench, users, &run, &class, options);
            if !is_good {
                break;
            }
            best = users;
        }
        if users >= options.to {
            break;
        }
        school.enter(class)?;
    }
    let claim = "users of a school with p99 below 200 ms and no error";
    bench.outcome.at_least("seed", claim, best as f64, KNOWN * TIMES);
    Ok(())
}

fn gone(what: &str) -> BenchError {
    BenchError::target("node", what)
}

/// Adds a row, and says whether the step was good.
fn note(bench: &mut Bench, users: usize, run: &Answered, class: &Class, options: &Options) -> bool {
    let ms = |times: &Histogram<u64>, share| times.value_at_quantile(share) as f64 / 1e3;
    let mut all = run.latency_us.clone();
    let _ = all.add(&class.lists_us);
    let p99 = ms(&all, 0.99);
    bench.progress(&format!("{users} users: p99 {p99:.1} ms, {} errors", run.errors));
    let row = Row::new("seed", &format!("{users} users"), "")
        .with("p50", "ms", vec![ms(&all, 0.5)])
        .with("p99", "ms", vec![p99])
        .with("p99 of logins", "ms", vec![ms(&class.logins_us, 0.99)])
        .with("answers", "1/s", vec![run.per_second()])
        .with("errors", "", vec![run.errors as f64])
        .with(
            "CPU of the node",
            "%",
            vec![run.server.processor_ns as f64 / 1e7 / run.seconds.max(1e-9)],
        )
        .with_latency(&all);
    bench.row(row);
    if let Some(error) = &run.first_error {
        bench.outcome.remarks.push(format!("{users} users: {error}"));
    }
    run.errors == 0 && p99 < options.p99_ms
}

struct School {
    node: Node,
    crowd: Crowd,
    /// The room of each connection, by its place in `entered`.
    rooms: Vec<usize>,
    entered: Vec<Room>,
    number: u64,
}

/// One that was entered.
struct Room {
    name: String,
    /// Messages said in it, and those of them that were before this round of acts: somebody may not
    /// have heard of others yet.
    said: u64,
    before: u64,
    round: u64,
}

impl School {
    /// Everybody acts for a step; `None` while nobody is there.
    fn spell(&mut self, options: &Options) -> Done<Option<Answered>> {
        let measure = Duration::from_secs_f64(options.seconds);
        let span = Span { warm_up: Duration::ZERO, measure };
        if self.crowd.is_empty() {
            pause(LOOK_AGAIN); // those who come share this core
            return Ok(None);
        }
        let rate = self.crowd.len() as f64 / ACTS_EVERY;
        let Self { node, crowd, rooms, entered, number } = self;
        let users = crowd.len() as u64;
        let make = |turn: Turn, out: &mut String| {
            *number += 1;
            act(turn, turn.number / users, &mut entered[rooms[turn.connection]], *number, out);
        };
        ask(crowd, Pace::Rate(rate), span, &node.watch(), make).map(Some)
    }

    /// Those who logged in enter a room each.
    fn enter(&mut self, class: Class) -> Done<()> {
        let first = self.entered.len();
        let new = |name| Room { name, said: 0, before: 0, round: 0 };
        self.entered.extend(class.rooms.into_iter().map(new));
        let seats = class.tokens.into_iter().enumerate().map(|(place, token)| {
            let room = first + place / MEMBERS;
            self.rooms.push(room);
            Seat { room: self.entered[room].name.clone(), token, after_seq: None }
        });
        let seats = seats.collect();
        self.crowd.open(seats, ABREAST, READY_WITHIN).map(drop)
    }
}

/// What a user does, in its round of everybody's acts.
fn act(turn: Turn, round: u64, room: &mut Room, number: u64, out: &mut String) {
    if round != room.round {
        (room.round, room.before) = (round, room.said);
    }
    let (id, readable) = (turn.id, room.before);
    // Spread evenly, the same in every run.
    let chance = number.wrapping_mul(7_919) % 10;
    let name = &room.name;
    let written = if round % ACTS_PER_PAGE == turn.connection as u64 % ACTS_PER_PAGE {
        write!(out, "{{\"op\":\"history\",\"id\":{id},\"room\":\"{name}\"}}")
    } else if chance < 6 {
        write_send(turn, name, number, "what is the homework for tomorrow?", out);
        room.said += 1;
        Ok(())
    } else if chance < 9 && readable > 0 {
        write!(out, "{{\"op\":\"read\",\"id\":{id},\"room\":\"{name}\",\"seq\":{readable}}}")
    } else {
        write!(out, "{{\"op\":\"typing\",\"id\":{id},\"room\":\"{name}\",\"on\":true}}")
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// Those who come at one step.
struct Class {
    tokens: Vec<String>,
    /// Which they enter, one for each [`MEMBERS`] of them.
    rooms: Vec<String>,
    logins_us: Histogram<u64>,
    lists_us: Histogram<u64>,
}

/// A thread in which they sign up, are put into their rooms, log in and list these.
fn come(address: SocketAddr, present: usize, options: &Options) -> JoinHandle<Done<Class>> {
    let missing = options.to.saturating_sub(present);
    let step = if missing == 0 { options.step } else { options.step.min(missing) };
    let rooms = options.rooms;
    thread::spawn(move || {
        let mut http = Http::connect(address)?;
        let names: Vec<String> = (present..present + step).map(|n| format!("pupil{n}")).collect();
        let users =
            names.iter().map(|name| sign_up(&mut http, name)).collect::<Done<Vec<User>>>()?;
        let mut class = Class {
            tokens: Vec::new(),
            rooms: Vec::new(),
            logins_us: histogram(),
            lists_us: histogram(),
        };
        for users in users.chunks(MEMBERS) {
            let members: Vec<&User> = users.iter().collect();
            for room in 0..rooms {
                let made = make_room(&mut http, &format!("class {room}"), &members)?;
                if room == 0 {
                    class.rooms.push(made);
                }
            }
        }
        for name in &names {
            class.log_in(&mut http, name)?;
        }
        Ok(class)
    })
}

fn sign_up(http: &mut Http, name: &str) -> Done<User> {
    let body = json!({"username": name, "password": PASSWORD});
    let user = http.post("/v1/signup", "", &body)?;
    let text = |field: &str| user[field].as_str().unwrap_or_default().to_owned();
    Ok(User { user: text("user"), token: text("token") })
}

impl Class {
    fn log_in(&mut self, http: &mut Http, name: &str) -> Done<()> {
        let begun = Instant::now();
        let body = json!({"username": name, "password": PASSWORD});
        let session = http.post("/v1/login", "", &body)?;
        self.logins_us.saturating_record(begun.elapsed().as_micros() as u64);
        let token = session["token"].as_str().unwrap_or_default().to_owned();
        let begun = Instant::now();
        http.get("/v1/rooms", &token)?;
        self.lists_us.saturating_record(begun.elapsed().as_micros() as u64);
        self.tokens.push(token);
        Ok(())
    }
}
