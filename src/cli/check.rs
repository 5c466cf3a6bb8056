//! `madang check`

use super::{DAMAGED, Done, complain, write_out};
use crate::config::Settings;
use madang_store::{Medium, OpenError, check::Report};
use std::{fmt::Write as _, process::ExitCode};

/// Examines the data directory and prints what is in it, and what is wrong with it.
pub(super) fn run(settings: &Settings) -> Done {
    match madang_store::check(Medium::Directory(settings.data_dir.clone())) {
        Ok(report) => {
            write_out(&text(&report))?;
            Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
        }
        // So damaged that nothing can be counted.
        Err(error @ OpenError::Damaged { .. }) => Ok(complain(DAMAGED, &error)),
        Err(error) => Err(error.into()),
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for (what, count) in [
        ("users", report.users),
        ("sessions", report.sessions),
        ("rooms", report.rooms),
        ("members", report.members),
        ("messages", report.messages),
        ("problems", report.problems_found),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what}: {count}");
    }
    for problem in &report.problems {
        let _ = writeln!(text, "  {problem}");
    }
    let untold = report.problems_found.saturating_sub(report.problems.len() as u64);
    if untold > 0 {
        let _ = writeln!(text, "  and {untold} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_problems() {
        let report = Report {
            users: 2,
            problems: vec!["a hole".to_owned()],
            problems_found: 3,
            ..Report::default()
        };
        let text = text(&report);
        assert!(text.starts_with("users: 2\n"), "{text}");
        assert!(text.ends_with("problems: 3\n  a hole\n  and 2 more\n"), "{text}");
    }
}
