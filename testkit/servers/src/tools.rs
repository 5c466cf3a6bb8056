//! Programs of others that tests start.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Where `.ci/prepare` puts them: `MADANG_TOOLS`, or `target/tools` of the project.
pub fn folder() -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    project.join(env::var_os("MADANG_TOOLS").unwrap_or_else(|| "target/tools".into()))
}

/// One of them.
///
/// # Panics
/// When it is not there: a test that cannot be run has failed.
pub fn find(name: &str) -> PathBuf {
    let program = folder().join(name);
    assert!(program.exists(), "{} is missing: .ci/prepare gets it", program.display());
    program
}
