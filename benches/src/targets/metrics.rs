//! A node's own counters, as `/metrics` shows them.

use super::Http;
use crate::error::Done;

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Asks for it.
    pub fn of(http: &mut Http) -> Done<Self> {
        Ok(Self { text: http.text("/metrics")? })
    }

    /// The sum of all series of `name` that have this label, such as `call="append"`; an empty one
    /// takes all.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        self.series(name).filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
    }

    /// The percentile of a histogram since `before`: the upper bound of its bucket, seconds. `None`
    /// when nothing was recorded.
    pub fn quantile_since(&self, before: &Self, name: &str, quantile: f64) -> Option<f64> {
        let name = format!("{name}_bucket");
        let earlier: Vec<f64> = before.series(&name).map(|(_, value)| value).collect();
        let buckets: Vec<(f64, f64)> = self
            .series(&name)
            .enumerate()
            .map(|(place, (labels, count))| {
                (bound(labels), count - earlier.get(place).copied().unwrap_or(0.0))
            })
            .collect();
        let all = buckets.last()?.1;
        (all > 0.0)
            .then(|| buckets.iter().find(|(_, count)| *count >= all * quantile))?
            .map(|b| b.0)
    }

    /// Labels and value of each series of this name.
    fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.text.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = rest.rsplit_once(' ')?;
            let is_whole = labels.is_empty() || labels.starts_with('{');
            is_whole.then_some((labels, value.parse().ok()?))
        })
    }
}

fn bound(labels: &str) -> f64 {
    let text = labels.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
    text.and_then(|text| text.parse().ok()).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = |three| Metrics {
            text: format!(
                "# TYPE a counter\na{{x=\"1\"}} 2\na{{x=\"2\"}} {three}\nab 7\n\
                 h_bucket{{le=\"0.1\"}} 1\nh_bucket{{le=\"0.5\"}} {three}\nh_bucket{{le=\"+Inf\"}} {three}\n"
            ),
        };
        let (before, after) = (page(3), page(103));
        assert_eq!((after.sum("a", ""), after.sum("a", "x=\"2\"")), (105.0, 103.0));
        assert_eq!(after.quantile_since(&before, "h", 0.99), Some(0.5));
        assert_eq!(before.quantile_since(&before, "h", 0.99), None);
    }
}
