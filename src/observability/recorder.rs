//! Where metrics are gathered: one recorder per node, never the process-wide one, so that two
//! nodes in one process count apart.

use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{sync::Arc, time::Duration};

/// How often histograms are folded. Between two runs they hold every sample in memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Upper bounds of the buckets of times, in seconds: from a turn to the longest wait of a send.
const SECONDS: [f64; 13] =
    [0.000_01, 0.000_05, 0.000_25, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0];
/// Upper bounds of the buckets of everything else: messages that wait, sizes of batches.
const SIZES: [f64; 11] = [0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1_000.0, 4_000.0];

/// A node's metrics. Cloning shares them.
#[derive(Clone)]
pub struct Recorder {
    recorder: Arc<PrometheusRecorder>,
}

impl Recorder {
    /// One that has counted nothing yet.
    pub fn new() -> Self {
        let seconds = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets(&SIZES);
        let builder = builder.and_then(|builder| builder.set_buckets_for_metric(seconds, &SECONDS));
        let builder = builder.expect("there are buckets");
        Self { recorder: Arc::new(builder.build_recorder()) }
    }

    /// Runs `resolve` with this recorder as the current one: handles resolved in there belong to
    /// this node, wherever they are used later.
    pub fn with<T>(&self, resolve: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.recorder, resolve)
    }

    /// What is gathered, to be rendered.
    pub fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }

    /// Folds histograms for as long as it is polled; give it a task of its own.
    pub async fn upkeep(self) {
        let handle = self.handle();
        let mut timer = tokio::time::interval(UPKEEP_EVERY);
        loop {
            timer.tick().await;
            handle.run_upkeep();
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Metrics, Outcome};

    #[test]
    fn two_nodes_count_apart() {
        let (a, b) = (Recorder::new(), Recorder::new());
        let counts = a.with(|| Metrics::new(&["/v1/me"]));
        let _idle = b.with(|| Metrics::new(&["/v1/me"]));
        counts.login(Outcome::Ok);
        counts.answered("/v1/me", 404, Duration::from_millis(3));
        counts.answered("/not/registered", 200, Duration::ZERO);
        let (shown, idle) = (a.handle().render(), b.handle().render());
        for line in [
            r#"madang_logins_total{outcome="ok"} 1"#,
            r#"madang_http_requests_total{route="/v1/me",status="4xx"} 1"#,
            r#"madang_http_request_seconds_bucket{route="/v1/me",le="0.005"} 1"#,
        ] {
            assert!(shown.contains(line), "no {line} in\n{shown}");
            assert!(!idle.contains(line), "{line} in\n{idle}");
        }
        assert!(!shown.contains("registered"), "{shown}");
    }
}
