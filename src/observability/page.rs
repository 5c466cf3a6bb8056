//! What `/metrics` shows.

use super::Recorder;
use crate::{edge::capacity::Capacity, gathered::Gathered, metrics::Looks};
use madang_actors::kernel::arbiter::BusyTimes;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{fmt::Write, sync::Arc};

/// Names of counters that hold microseconds: counters are whole numbers, and the unit of time is the
/// second for whoever reads them.
const IN_MICROSECONDS: &str = "_seconds_total";
const MICROSECONDS: f64 = 1e6;

/// A node's metrics as text. Cloning shares them.
#[derive(Clone)]
pub struct Page {
    handle: PrometheusHandle,
    looks: Arc<(Looks, Sources)>,
}

/// Where those metrics come from that nobody counts as they happen.
pub struct Sources {
    /// How long the threads of actors were at work.
    pub busy: [BusyTimes; 3],
    /// How many connections there are.
    pub capacity: Capacity,
    /// Who is connected, and what waits to be written.
    pub(crate) gathered: Gathered,
}

impl Page {
    /// What `recorder` gathers, and what `sources` show.
    pub fn new(recorder: &Recorder, sources: Sources) -> Self {
        let looks = recorder.with(Looks::new);
        Self { handle: recorder.handle(), looks: Arc::new((looks, sources)) }
    }

    /// In the Prometheus text format. Some milliseconds: not on a thread that others wait for.
    pub fn render(&self) -> String {
        let (looks, Sources { busy, capacity, gathered }) = &*self.looks;
        busy.iter().for_each(BusyTimes::collect);
        looks.tcp_connections.set(capacity.taken() as f64);
        looks.users_connected.set(gathered.connected.count() as f64);
        looks.reads_waiting.set(gathered.positions.waiting() as f64);
        in_seconds(&self.handle.render())
    }
}

fn in_seconds(page: &str) -> String {
    let mut text = String::with_capacity(page.len());
    for line in page.lines() {
        let name = line.split(['{', ' ']).next().unwrap_or(line);
        let sample = line.rsplit_once(' ').filter(|_| name.ends_with(IN_MICROSECONDS));
        let value = sample.and_then(|(series, value)| Some((series, value.parse::<f64>().ok()?)));
        // Writing to a string does not fail.
        let _ = match value {
            Some((series, value)) => writeln!(text, "{series} {}", value / MICROSECONDS),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_seconds_are_written_as_seconds() {
        let page = "# HELP a_seconds_total about 5 seconds\n\
                    # TYPE a_seconds_total counter\n\
                    a_seconds_total{arbiter=\"edge-0\"} 1250000\n\
                    a_seconds_total 7\n\
                    \n\
                    a_total 3000000\n\
                    b_seconds_bucket{le=\"+Inf\"} 4\n";
        let expected = page.replace("1250000", "1.25").replace("total 7", "total 0.000007");
        assert_eq!(in_seconds(page), expected);
    }
}
