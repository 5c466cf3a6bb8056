//! The list of a user's rooms (P8): how long it takes on a schedule, and whether the calls of the
//! store that it needs depend on the number of rooms.

use super::Bench;
use crate::{
    clock::now_ns,
    error::Done,
    generator::histogram,
    result::Row,
    targets::{Http, Metrics, Node, User, make_room, pause},
};
use hdrhistogram::Histogram;
use serde_json::json;
use std::time::Duration;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Rooms of the user; another one has a tenth of them
    #[arg(long, default_value_t = 200)]
    pub rooms: usize,
    /// Messages in each
    #[arg(long, default_value_t = 3)]
    pub messages: usize,
    /// Lists a second
    #[arg(long, default_value_t = 50.0)]
    pub rate: f64,
    /// Lists of each user
    #[arg(long, default_value_t = 500)]
    pub lists: usize,
}

/// The largest page there is.
const PAGE: usize = 200;

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    let node = bench.launch.start("node", 2)?;
    let mut http = node.http()?;
    let few = (options.rooms / 10).max(1);
    bench.progress("making rooms");
    fill(&mut http, &node.users[0], options.rooms, options.messages)?;
    fill(&mut http, &node.users[1], few, options.messages)?;
    let mut calls = Vec::new();
    for (user, rooms) in [(0, options.rooms), (1, few)] {
        bench.progress(&format!("lists of {rooms} rooms"));
        let (row, each, p99_ms) = measure(&node, &node.users[user], rooms, options)?;
        bench.row(row);
        calls.push(each);
        if user == 0 {
            bench.outcome.at_most("P8", "p99 of a list, ms", p99_ms, 5.0);
        }
    }
    let claim = "calls of the store for a long list by those for a short one";
    bench.outcome.at_most("P8", claim, calls[0] / calls[1].max(1e-9), 1.05);
    Ok(())
}

fn fill(http: &mut Http, user: &User, rooms: usize, messages: usize) -> Done<()> {
    for number in 0..rooms {
        let room = make_room(http, &format!("room {number}"), &[user])?;
        let path = format!("/v1/rooms/{room}/messages");
        for message in 0..messages {
            let body = json!({"client_id": format!("m{message}"), "body": "x".repeat(100)});
            http.post(&path, &user.token, &body)?;
        }
    }
    Ok(())
}

/// The row, store calls of one list, and the 99th percentile.
fn measure(node: &Node, user: &User, rooms: usize, options: &Options) -> Done<(Row, f64, f64)> {
    let mut http = node.http()?;
    list(&mut http, user, rooms.min(PAGE))?;
    let before = (Metrics::of(&mut http)?, node.watch().usage()?);
    let mut times = histogram();
    let begun = now_ns();
    for number in 0..options.lists {
        let due = begun + (number as f64 * 1e9 / options.rate) as u64;
        wait_until(due);
        list(&mut http, user, rooms.min(PAGE))?;
        times.saturating_record((now_ns() - due) / 1_000);
    }
    let used = node.watch().usage()?.since(&before.1);
    let calls = store_calls(&Metrics::of(&mut http)?) - store_calls(&before.0);
    let each = calls / options.lists as f64;
    let p99_ms = percentile(&times, 0.99);
    let row = Row::new("room list", &format!("{rooms} rooms"), "")
        .with("p50", "ms", vec![percentile(&times, 0.5)])
        .with("p99", "ms", vec![p99_ms])
        .with("store calls of one", "", vec![each])
        .with("CPU of one", "us", vec![used.processor_ns as f64 / 1e3 / options.lists as f64])
        .with_latency(&times);
    Ok((row, each, p99_ms))
}

fn percentile(times: &Histogram<u64>, share: f64) -> f64 {
    times.value_at_quantile(share) as f64 / 1e3
}

/// The node's probes of its own store, and rooms that look where they stand some times after they
/// began, go on meanwhile and do not count.
fn store_calls(metrics: &Metrics) -> f64 {
    let name = "madang_store_calls_total";
    let others = ["probe", "activate"].map(|call| metrics.sum(name, &format!("call=\"{call}\"")));
    metrics.sum(name, "") - others.iter().sum::<f64>()
}

fn list(http: &mut Http, user: &User, wanted: usize) -> Done<()> {
    let page = http.get(&format!("/v1/rooms?limit={PAGE}"), &user.token)?;
    let found = page["rooms"].as_array().map_or(0, Vec::len);
    if found != wanted {
        let what = format!("a list has {found} rooms instead of {wanted}");
        return Err(crate::error::BenchError::target("node", what));
    }
    Ok(())
}

fn wait_until(due: u64) {
    while let Some(left) = due.checked_sub(now_ns()).filter(|left| *left > 0) {
        pause(Duration::from_nanos(left));
    }
}
