//! Interleaved runs of several subjects and the floor beneath them.
//!
//! One round is a window of the floor, then one of each entrant. An entrant's ratio is to the mean of
//! the floors before and after it; the floor's ratio to itself is that of two floors that follow each
//! other, which is what noise alone makes of a ratio.

use crate::{
    error::Done,
    generator::{Crowd, Deaf, Load, Window, drive, histogram},
    process::Watch,
    result::{Row, median},
};
use std::time::Duration;

/// How long is waited at most until a server has done what connections cause that have just come.
const QUIET_WITHIN: usize = 30;
/// Processor time in a second below which it has, nanoseconds.
const QUIET_NS: u64 = 50_000_000;

/// A server with its connections.
pub struct Server {
    /// Who is connected.
    pub crowd: Crowd,
    /// What it uses.
    pub watch: Watch,
}

/// What one subject does in its window.
#[derive(Debug, Clone)]
pub struct Entrant {
    /// How it is called.
    pub name: String,
    /// What has to be said about it.
    pub note: String,
    /// Its place among the servers.
    pub server: usize,
    /// What is published.
    pub load: Load,
}

impl Entrant {
    /// One that publishes `load` to `server`.
    pub fn new(name: &str, note: &str, server: usize, load: Load) -> Self {
        Self { name: name.to_owned(), note: note.to_owned(), server, load }
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Rounds {
    /// By entrant, in the order of the rounds; the floor is the first.
    pub windows: Vec<Vec<Window>>,
}

/// Runs `pairs` rounds and a last window of the floor, which is `entrants[0]`. What was measured
/// before an error is in `rounds`.
pub fn run(
    servers: &mut [Server],
    entrants: &[Entrant],
    pairs: usize,
    rounds: &mut Rounds,
    mut progress: impl FnMut(&str),
) -> Done<()> {
    rounds.windows = vec![Vec::new(); entrants.len()];
    become_quiet(servers)?;
    for round in 0..=pairs {
        // The last one only closes the bracket.
        let taking_part = if round == pairs { 1 } else { entrants.len() };
        for (place, entrant) in entrants.iter().take(taking_part).enumerate() {
            let server = &mut servers[entrant.server];
            let window = drive(&mut server.crowd, &entrant.load, &server.watch)?;
            progress(&format!("round {} of {pairs}: {}", round + 1, line(entrant, &window)));
            rounds.windows[place].push(window);
            tend(servers)?;
        }
    }
    Ok(())
}

/// Waits until nothing is left to do of what opening connections caused: who came is told, what was
/// used is written. It belongs to no window.
fn become_quiet(servers: &mut [Server]) -> Done<()> {
    for _ in 0..QUIET_WITHIN {
        let before = servers.iter().map(|server| server.watch.usage()).collect::<Done<Vec<_>>>()?;
        let pause = Duration::from_secs(1) / servers.len().max(1) as u32;
        for server in &mut *servers {
            server.crowd.listen_for(pause, &mut Deaf)?;
            server.crowd.all_live()?;
        }
        let mut is_quiet = true;
        for (server, before) in servers.iter().zip(&before) {
            is_quiet &= server.watch.usage()?.since(before).processor_ns < QUIET_NS;
        }
        if is_quiet {
            break;
        }
    }
    Ok(())
}

/// Those that have no window answer their pings, too.
fn tend(servers: &mut [Server]) -> Done<()> {
    for server in servers {
        server.crowd.settle(Duration::from_millis(5), &mut Deaf)?;
        server.crowd.all_live()?;
    }
    Ok(())
}

fn line(entrant: &Entrant, window: &Window) -> String {
    format!(
        "{}: {:.0} deliveries/s, {:.2} us each, p99 {:.1} ms, generator {:.2} us",
        entrant.name,
        window.per_second(),
        window.server_us(),
        window.latency_ms(0.99),
        window.generator_us()
    )
}

impl Rounds {
    /// Processor time by that of the floors around it, round by round.
    pub fn ratios(&self, place: usize) -> Vec<f64> {
        let floors: Vec<f64> = self.windows[0].iter().map(Window::server_us).collect();
        let of = |(round, window): (usize, &Window)| {
            let (before, after) = (floors.get(round)?, floors.get(round + 1).or(floors.last())?);
            Some(window.server_us() / f64::midpoint(*before, *after))
        };
        self.windows[place].iter().enumerate().filter_map(of).collect()
    }

    /// The floor by itself.
    pub fn noise(&self) -> Vec<f64> {
        let floors: Vec<f64> = self.windows[0].iter().map(Window::server_us).collect();
        floors.windows(2).map(|pair| pair[1] / pair[0]).collect()
    }

    /// The median processor time of a delivery, microseconds.
    pub fn server_us(&self, place: usize) -> f64 {
        median(&self.each(place, Window::server_us))
    }

    fn each(&self, place: usize, value: impl Fn(&Window) -> f64) -> Vec<f64> {
        self.windows[place].iter().map(value).collect()
    }

    /// Everything about one entrant.
    pub fn row(&self, group: &str, entrant: &Entrant, place: usize) -> Row {
        let mut all = histogram();
        for window in &self.windows[place] {
            // Both have the same bounds.
            let _ = all.add(&window.latency_us);
        }
        let ratios = if place == 0 { self.noise() } else { self.ratios(place) };
        let lost = |window: &Window| window.expected.saturating_sub(window.arrived) as f64;
        Row::new(group, &entrant.name, &entrant.note)
            .with("CPU per delivery", "us", self.each(place, Window::server_us))
            .with("ratio to the floor", "", ratios)
            .with("p50", "ms", self.each(place, |window| window.latency_ms(0.5)))
            .with("p99", "ms", self.each(place, |window| window.latency_ms(0.99)))
            .with("deliveries", "1/s", self.each(place, Window::per_second))
            .with("missing", "", self.each(place, lost))
            .with(
                "switches",
                "1/s",
                self.each(place, |window| window.server.switches as f64 / window.seconds),
            )
            .with(
                "RSS",
                "MiB",
                self.each(place, |window| window.server.resident_bytes as f64 / f64::from(1 << 20)),
            )
            .with("generator", "us", self.each(place, Window::generator_us))
            .with_latency(&all)
    }
}
