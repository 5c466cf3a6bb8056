//! Results as text.

use super::{Outcome, Row, figure::short};
use std::fmt;

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {:.0} s at {}, {}",
            self.scenario, self.seconds, self.commit, self.machine
        )?;
        let mut groups: Vec<&str> = self.rows.iter().map(|row| row.group.as_str()).collect();
        groups.dedup();
        for group in groups {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.group == group).collect();
            writeln!(f, "\n{group}")?;
            write_table(f, &rows)?;
        }
        write_checks(f, self)?;
        self.remarks.iter().try_for_each(|remark| writeln!(f, "note: {remark}"))?;
        match &self.problem {
            None => Ok(()),
            Some(problem) => writeln!(f, "INCOMPLETE: {problem}"),
        }
    }
}

/// One line for each row, one column for each number that any of them has.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[&Row]) -> fmt::Result {
    let mut columns: Vec<(String, String)> = Vec::new();
    for figure in rows.iter().flat_map(|row| &row.figures) {
        let column = (figure.name.clone(), figure.unit.clone());
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let heads = columns.iter().map(|(name, unit)| match unit.as_str() {
        "" => name.clone(),
        unit => format!("{name}, {unit}"),
    });
    let mut lines = vec![std::iter::once(String::new()).chain(heads).collect::<Vec<_>>()];
    for row in rows {
        let cell = |(name, _): &(String, String)| {
            let figure = row.figures.iter().find(|figure| figure.name == *name);
            figure.map_or_else(|| "-".to_owned(), ToString::to_string)
        };
        lines.push(std::iter::once(row.subject.clone()).chain(columns.iter().map(cell)).collect());
    }
    write_aligned(f, &lines)?;
    let noted = rows.iter().filter(|row| !row.note.is_empty());
    noted.into_iter().try_for_each(|row| writeln!(f, "  {}: {}", row.subject, row.note))
}

fn write_aligned(f: &mut fmt::Formatter<'_>, lines: &[Vec<String>]) -> fmt::Result {
    let count = lines.first().map_or(0, Vec::len);
    let widest = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| widest(column).unwrap_or(0)).collect();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            match column {
                0 => write!(f, "  {cell:<width$}", width = widths[column])?,
                _ => write!(f, "  {cell:>width$}", width = widths[column])?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_checks(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    if !outcome.checks.is_empty() {
        writeln!(f)?;
    }
    for check in &outcome.checks {
        let verdict = if check.met { "met" } else { "NOT MET" };
        let (value, limit) = (short(check.value), short(check.limit));
        writeln!(f, "  {} {}: {value} (limit {limit}): {verdict}", check.target, check.claim)?;
    }
    Ok(())
}
