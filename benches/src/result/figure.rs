//! One number, measured several times.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number with its spread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// In what.
    pub unit: String,
    /// The middle of the values.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// In the order they were measured in.
    pub values: Vec<f64>,
}

impl Figure {
    /// Of at least one value.
    pub fn of(name: &str, unit: &str, values: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            median: median(&values),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            values,
        }
    }
}

/// The middle value; of an even number the mean of the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", short(self.median))?;
        if self.values.len() > 1 {
            write!(f, " ({}-{})", short(self.low), short(self.high))?;
        }
        Ok(())
    }
}

/// Three digits that count, whole numbers whole.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == value.trunc() => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let figure = Figure::of("x", "us", vec![3.0, 1.0, 2.0, 10.0]);
        assert_eq!((figure.median, figure.low, figure.high), (2.5, 1.0, 10.0));
        assert_eq!(figure.to_string(), "2.50 (1-10)");
        assert_eq!(median(&[]), 0.0);
    }
}
