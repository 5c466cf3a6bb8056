//! Servers of others that some scenarios need.

use crate::error::{BenchError, Doing, Done};
use madang_servers::tools;
use tokio::runtime::{Builder, Runtime};

/// Holds processes of others; it has a thread of its own, which sleeps while nothing happens.
pub fn runtime() -> Done<Runtime> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.doing(|| "starting a runtime".to_owned())
}

/// Makes sure that a program of others is there.
///
/// # Errors
/// When it is not, with what gets it.
pub fn need(name: &str) -> Done<()> {
    let program = tools::folder().join(name);
    if program.exists() {
        return Ok(());
    }
    let what = format!("{name} ({})", program.display());
    Err(BenchError::Missing { what, how: "`.ci/prepare` gets it".to_owned() })
}
