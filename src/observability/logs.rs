//! Logs: structured events on standard error, as text or JSON.
//!
//! What is logged is decided where it happens; the rule everywhere: ids, codes, sizes and times;
//! never a body, a token, a password or a name a user typed.

use crate::config::{LogFormat, Settings};
use std::io::{self, IsTerminal};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

/// Logs could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start logging: {0}")]
pub struct LogError(String);

/// Starts logging for the whole process; once.
pub fn start(settings: &Settings) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| LogError(error.to_string()))?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|error| LogError(error.to_string()))
}
