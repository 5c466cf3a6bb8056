//! The node's counters, read from the Prometheus text of `/metrics`.

/// One scrape.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Name with labels, as written, and value.
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Parses the text format; comments and what is no sample are skipped.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample);
        Self { samples: samples.collect() }
    }

    /// The sum over all samples called `name` whose labels contain every one of `labels`
    /// (written as in the text: `call="insert"`). 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// True when the node shows a sample of this name at all.
    pub fn has(&self, name: &str) -> bool {
        self.matching(name, &[]).next().is_some()
    }

    fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&str],
    ) -> impl Iterator<Item = &'a (String, f64)> {
        self.samples.iter().filter(move |(sample, _)| {
            sample.split('{').next() == Some(name)
                && labels.iter().all(|label| sample.contains(label))
        })
    }
}

fn sample(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_name_and_label() {
        let metrics = Metrics::parse(
            "# TYPE calls counter\ncalls{call=\"a\",ok=\"1\"} 2\ncalls{call=\"b\"} 3\ncalls_total 9\n",
        );
        assert_eq!(metrics.sum("calls", &[]), 5.0);
        assert_eq!(metrics.sum("calls", &["call=\"a\""]), 2.0);
        assert_eq!(metrics.sum("missing", &[]), 0.0);
        assert!(metrics.has("calls_total") && !metrics.has("call"));
    }
}
