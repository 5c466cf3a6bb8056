//! Who the server is.

use super::link::{Batch, Link};
use std::{sync::Arc, time::Duration};

/// The oldest server that we work with.
const OLDEST: (&str, (u64, u64)) = ("6.2", (6, 2));

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its version, as `7.0.15`.
    pub version: String,
    /// `standalone` or `cluster`.
    pub mode: String,
    /// `master` or `slave`.
    pub role: String,
    /// What it forgets when its memory is full. Anything but `noeviction` is well: all keys of a
    /// node have an end.
    pub maxmemory_policy: String,
    /// Its bound of memory, bytes; 0: none.
    pub maxmemory_bytes: u64,
}

/// Why there is no [`Report`]. Names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// No answer in time, or the server refuses: wrong password, no permission, still loading.
    #[error("redis at {servers}: {why}")]
    NoAnswer {
        /// The servers as the URL names them.
        servers: String,
        /// What was the matter.
        why: String,
    },
    /// The URL names a cluster and the server is none, or the reverse.
    #[error("redis at {servers} runs as {mode}, which the URL does not say")]
    OtherMode {
        /// The servers as the URL names them.
        servers: String,
        /// How it runs.
        mode: String,
    },
    /// It lacks what we rest on.
    #[error("redis at {servers} is {found}, {needed} or newer is needed")]
    TooOld {
        /// The servers as the URL names them.
        servers: String,
        /// Its version.
        found: String,
        /// The oldest this version works with.
        needed: &'static str,
    },
}

pub(super) async fn inspect(link: &Arc<Link>, wait: Duration) -> Result<Report, InspectError> {
    let servers = || link.servers().to_owned();
    let no_answer = |why: String| InspectError::NoAnswer { servers: servers(), why };
    let (bucket, _) = link.keys().of("look", &[]);
    let batch = Batch { prelude: None, commands: vec![(bucket, ::redis::cmd("INFO"))] };
    let mut answers = link.ask_anyway(batch, wait).await.map_err(no_answer)?;
    let text = answers.pop().and_then(|answer| ::redis::from_redis_value::<String>(answer).ok());
    let text = text.ok_or_else(|| no_answer("it says nothing of itself".to_owned()))?;
    let report = read(&text);
    if (report.mode == "cluster") != link.is_cluster() {
        return Err(InspectError::OtherMode { servers: servers(), mode: report.mode });
    }
    if !is_new_enough(&report.version) {
        let (found, needed) = (report.version, OLDEST.0);
        return Err(InspectError::TooOld { servers: servers(), found, needed });
    }
    Ok(report)
}

/// One that cannot be read is.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) >= OLDEST.1,
        _ => true,
    }
}

fn read(text: &str) -> Report {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.split_once(':'));
        values.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
    };
    Report {
        version: field("redis_version").unwrap_or_default(),
        mode: field("redis_mode").unwrap_or_else(|| "standalone".to_owned()),
        role: field("role").unwrap_or_default(),
        maxmemory_policy: field("maxmemory_policy").unwrap_or_default(),
        maxmemory_bytes: field("maxmemory").and_then(|bytes| bytes.parse().ok()).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_known_by_its_version() {
        for (version, fits) in
            [("6.2.0", true), ("7.0.15", true), ("10.0", true), ("6.0.16", false), ("5.0.6", false)]
        {
            assert_eq!(is_new_enough(version), fits, "{version}");
        }
        assert!(is_new_enough("odd"));
    }
}
