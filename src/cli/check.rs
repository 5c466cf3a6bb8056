//! `madang check`

use super::{DAMAGED, Done, complain, write_out};
use crate::{accounts::login_rules, config::Settings, surroundings};
use madang_cluster::nats;
use madang_store::{ClusterReport, Medium, OpenError, check::Report, redis};
use std::{error::Error, fmt::Write as _, process::ExitCode};

/// Examines where the data is, the data directory or MongoDB, and whether the other servers that the
/// settings name can be used.
pub(super) fn run(settings: &Settings) -> Done {
    let Some(uri) = settings.mongo.reveal() else {
        return embedded(settings);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = surroundings::cluster_options(settings, uri);
        let mongo = madang_store::check_cluster(options).await;
        let told = mongo.map(|report| told_of_mongo(&settings.mongo_database, &report));
        let mut failed = tell("MongoDB", told.map_err(Into::into))?;
        if settings.has_nats() {
            let me = surroundings::this_life(settings)?;
            let reached = nats::check(surroundings::nats_options(settings, me)).await;
            let told = reached.map(|reached| told_of_nats(&reached));
            failed |= tell("NATS", told.map_err(Into::into))?;
        }
        failed |= check_redis(settings).await?;
        Ok(ExitCode::from(u8::from(failed)))
    })
}

/// Prints what was found at one kind of servers. True: they cannot be used.
fn tell(what: &str, told: Result<String, Box<dyn Error>>) -> Result<bool, Box<dyn Error>> {
    let failed = told.is_err();
    let text = told.unwrap_or_else(|error| format!("cannot be used: {error}"));
    write_out(&format!("{what}: {text}\n")).map(|()| failed)
}

/// True: it is named and cannot be used.
async fn check_redis(settings: &Settings) -> Result<bool, Box<dyn Error>> {
    let Some(options) = surroundings::redis_options(settings)? else {
        return Ok(false);
    };
    let told = match redis::open(&options, login_rules(settings)) {
        Ok(parts) => match parts.control.inspect(settings.start_wait()).await {
            Ok(report) => Ok(told_of_redis(&report)),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    };
    tell("Redis", told)
}

fn told_of_redis(report: &redis::Report) -> String {
    let redis::Report { version, mode, maxmemory_policy, maxmemory_bytes, .. } = report;
    let mut text = format!("reached, version {version}, {mode}");
    if *maxmemory_bytes > 0 && maxmemory_policy == "noeviction" {
        text.push_str("; refuses writes when full: set maxmemory-policy to volatile-ttl");
    }
    text
}

fn told_of_mongo(database: &str, report: &ClusterReport) -> String {
    let ClusterReport { version, is_ours, missing_indexes } = report;
    let data = if *is_ours { "holds data of madang" } else { "is empty" };
    let mut text = format!("reached, version {version}, database {database} {data}");
    if !missing_indexes.is_empty() {
        let missing = missing_indexes.join(", ");
        // Writing to a string cannot fail.
        let _ = write!(text, "; a node will make the indexes {missing}");
    }
    text
}

fn told_of_nats(reached: &nats::Reached) -> String {
    let nats::Reached { server, version, payload_bytes_max } = reached;
    format!(
        "reached, version {version}, server {server}, messages up to {payload_bytes_max} bytes, \
         permissions suffice"
    )
}

fn embedded(settings: &Settings) -> Done {
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
