//! What a run leaves behind: a file of JSON with everything that was measured, and a table for
//! reading.

mod figure;
mod machine;
mod table;

pub use figure::{Figure, median};
pub use machine::Machine;

use crate::error::{BenchError, Doing, Done};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::Path};

/// The form of the files. Raised when a reader of the one before would misread it.
const FORMAT: u32 = 1;

/// A run, finished or not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: u32,
    /// Which scenario.
    pub scenario: String,
    /// Whether everything that was asked for was measured.
    pub complete: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When it began, seconds since the Unix epoch.
    pub began: u64,
    /// How long it took.
    pub seconds: f64,
    /// The options, defaults included.
    pub parameters: Value,
    /// Where it ran.
    pub machine: Machine,
    /// What was measured, by name.
    pub versions: BTreeMap<String, String>,
    /// The commit of this program's sources; `+`: they were changed since.
    pub commit: String,
    /// What was found.
    pub rows: Vec<Row>,
    /// Targets, and whether they were met.
    pub checks: Vec<Check>,
    /// What the reader should know, such as why a number is none.
    pub remarks: Vec<String>,
}

/// One subject in one situation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The situation: rows of one are shown together, such as "W1" or "100 rooms".
    pub group: String,
    /// What was measured.
    pub subject: String,
    /// What it does not do that the node does, or else that has to be said.
    pub note: String,
    /// The numbers.
    pub figures: Vec<Figure>,
    /// Share of deliveries and how long these took at most, milliseconds.
    pub latency: Vec<(f64, f64)>,
}

/// A target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// Its name, such as "P1".
    pub target: String,
    /// What is promised.
    pub claim: String,
    /// What it may be at most, or at least.
    pub limit: f64,
    /// What it was.
    pub value: f64,
    /// Whether that is good.
    pub met: bool,
}

impl Outcome {
    /// Nothing measured yet.
    pub fn new(scenario: &str, parameters: Value) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            format: FORMAT,
            scenario: scenario.to_owned(),
            complete: false,
            problem: None,
            began: now.unwrap_or_default().as_secs(),
            seconds: 0.0,
            parameters,
            machine: Machine::this(),
            versions: BTreeMap::new(),
            commit: machine::commit(),
            rows: Vec::new(),
            checks: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Notes that `value` is promised to be at most `limit`.
    pub fn at_most(&mut self, target: &str, claim: &str, value: f64, limit: f64) {
        self.checks.push(check(target, claim, value, limit, value <= limit));
    }

    /// Notes that `value` is promised to be at least `limit`.
    pub fn at_least(&mut self, target: &str, claim: &str, value: f64, limit: f64) {
        self.checks.push(check(target, claim, value, limit, value >= limit));
    }

    /// Reads a file of an earlier run.
    ///
    /// # Errors
    /// When there is none, or it is something else.
    pub fn read(path: &Path) -> Done<Self> {
        let text = fs::read_to_string(path).doing(|| format!("reading {}", path.display()))?;
        let not = |why: String| BenchError::NotAResult { path: path.to_owned(), why };
        let found: Self = serde_json::from_str(&text).map_err(|error| not(error.to_string()))?;
        if found.format != FORMAT {
            return Err(not(format!("format {}, this version knows {FORMAT}", found.format)));
        }
        Ok(found)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Done<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(|| format!("making {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        fs::write(path, text).doing(|| format!("writing {}", path.display()))
    }
}

fn check(target: &str, claim: &str, value: f64, limit: f64, met: bool) -> Check {
    Check { target: target.to_owned(), claim: claim.to_owned(), limit, value, met }
}

impl Row {
    /// Nothing about a subject yet.
    pub fn new(group: &str, subject: &str, note: &str) -> Self {
        let [group, subject, note] = [group, subject, note].map(str::to_owned);
        Self { group, subject, note, figures: Vec::new(), latency: Vec::new() }
    }

    /// With a number, or several of the same thing.
    pub fn with(mut self, name: &str, unit: &str, values: Vec<f64>) -> Self {
        if !values.is_empty() {
            self.figures.push(Figure::of(name, unit, values));
        }
        self
    }

    /// With a distribution of microseconds.
    pub fn with_latency(mut self, times: &hdrhistogram::Histogram<u64>) -> Self {
        const QUANTILES: [f64; 11] =
            [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];
        if !times.is_empty() {
            let point = |share| (share, times.value_at_quantile(share) as f64 / 1e3);
            self.latency = QUANTILES.map(point).to_vec();
        }
        self
    }
}
