//! Does the stored data contradict itself?

use crate::{
    open::{Medium, OpenError},
    redb,
};

/// Problems that are described; more are only counted.
pub const PROBLEMS_MAX: usize = 100;

/// Examines the data on `medium`, which must not be in use: the checksum of every page and
/// record, sequences without holes, and every index and counter against what it stands for.
///
/// Changes nothing, also when the last user of the data crashed. Reads everything: takes seconds
/// for each gigabyte.
pub fn check(medium: Medium) -> Result<Report, OpenError> {
    redb::check(medium)
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Users.
    pub users: u64,
    /// Sessions, expired ones included.
    pub sessions: u64,
    /// Rooms.
    pub rooms: u64,
    /// Memberships.
    pub members: u64,
    /// Messages.
    pub messages: u64,
    /// The first [`PROBLEMS_MAX`] problems, each in one line without user content.
    pub problems: Vec<String>,
    /// How many problems there are.
    pub problems_found: u64,
}

impl Report {
    /// No problem was found.
    pub fn is_sound(&self) -> bool {
        self.problems_found == 0
    }

    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems_found += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_problems_than_are_listed_are_counted() {
        let mut report = Report::default();
        for number in 0..PROBLEMS_MAX + 5 {
            report.problem(number.to_string());
        }
        assert_eq!((report.problems.len(), report.problems_found), (100, 105));
        assert_eq!(report.problems.last().map(String::as_str), Some("99"));
    }
}
