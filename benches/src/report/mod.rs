//! `report`: one page of HTML, with plots, from files of results.

use crate::error::Done;
use std::path::PathBuf;

/// What to make a page of.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Files of results
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where the page goes
    #[arg(long, default_value = "report.html", value_name = "FILE")]
    pub out: PathBuf,
}

/// Makes it.
pub fn run(_options: &Options) -> Done<()> {
    Ok(())
}
