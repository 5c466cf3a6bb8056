//! Which plots a result makes.

use super::plot::{Axis, Line, bars, lines};
use crate::result::{Outcome, Row};

/// Drawn, as parts of a page.
pub(super) fn figures(outcome: &Outcome) -> Vec<String> {
    let mut plots = Vec::new();
    let mut groups: Vec<&str> = outcome.rows.iter().map(|row| row.group.as_str()).collect();
    groups.dedup();
    for group in &groups {
        let rows: Vec<&Row> = outcome.rows.iter().filter(|row| row.group == *group).collect();
        plots.extend(latency(group, &rows));
        plots.extend(processor(group, &rows));
    }
    plots.extend(memory(outcome));
    plots.extend(growth(outcome));
    plots
}

/// How much of all took how long: the share without counts in nines, so that the slow ones show.
fn latency(group: &str, rows: &[&Row]) -> Option<String> {
    let series: Vec<Line> = rows
        .iter()
        .filter(|row| row.latency.len() > 1)
        .map(|row| Line { name: row.subject.clone(), points: nines(&row.latency) })
        .collect();
    let title = format!("{group}: latency by share");
    let (x, y) = (Axis { name: "share", labels: share }, Axis { name: "ms", labels: number });
    (!series.is_empty()).then(|| lines(&title, &x, &y, &series))
}

/// The highest share has no place on a scale of nines; it stands one step behind the last.
fn nines(latency: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const LAST: f64 = 5.0;
    let at = |share: f64| if share >= 1.0 { LAST } else { -(1.0 - share).log10() };
    latency.iter().map(|(share, ms)| (at(*share), ms.max(1e-3))).collect()
}

fn share(nines: f64) -> String {
    if nines > 4.5 {
        return "all".to_owned();
    }
    let percent = 100.0 * (1.0 - 10_f64.powf(-nines));
    format!("{}%", (percent * 1e3).round() / 1e3)
}

fn number(value: f64) -> String {
    format!("{value}")
}

fn processor(group: &str, rows: &[&Row]) -> Option<String> {
    let values: Vec<(String, f64)> = rows
        .iter()
        .filter_map(|row| Some((row.subject.clone(), value(row, "CPU per delivery")?)))
        .collect();
    let title = format!("{group}: CPU per delivery, us");
    (values.len() > 1).then(|| bars(&title, &values))
}

/// Bytes of a connection by how many there are.
fn memory(outcome: &Outcome) -> Option<String> {
    let points: Vec<(f64, f64)> = outcome
        .rows
        .iter()
        .filter_map(|row| Some((connections(row)?, value(row, "RSS each")?)))
        .collect();
    by_connections("memory of a connection", "bytes", points)
}

fn growth(outcome: &Outcome) -> Option<String> {
    if outcome.scenario != "growth" {
        return None;
    }
    let points: Vec<(f64, f64)> = outcome
        .rows
        .iter()
        .filter(|row| row.subject.starts_with("node"))
        .filter_map(|row| Some((connections(row)?, value(row, "ratio to the floor")?)))
        .collect();
    by_connections("ratio to the floor at the same size", "", points)
}

fn by_connections(title: &str, unit: &'static str, points: Vec<(f64, f64)>) -> Option<String> {
    let x = Axis { name: "connections", labels: number };
    let line = Line { name: "node".to_owned(), points };
    let is_line = line.points.len() > 1;
    is_line.then(|| lines(title, &x, &Axis { name: unit, labels: number }, &[line]))
}

/// A number of its own, or the one in "100 rooms, 1000 connections".
fn connections(row: &Row) -> Option<f64> {
    let in_group = || row.group.split(", ").nth(1)?.split(' ').next()?.parse().ok();
    value(row, "connections").or_else(in_group)
}

fn value(row: &Row, name: &str) -> Option<f64> {
    row.figures.iter().find(|figure| figure.name == name).map(|figure| figure.median)
}
