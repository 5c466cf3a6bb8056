//! `report`: one page of HTML, with plots, from files of results. It needs nothing beside itself: no
//! script, no font, no net.
//!
//! * `page` writes tables and text.
//! * `figures` chooses what to plot.
//! * `plot` draws it.

mod figures;
mod page;
mod plot;

use crate::{
    error::{Doing, Done},
    result::Outcome,
};
use std::{fs, path::PathBuf};

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
///
/// # Errors
/// When a file is not a result, before anything is written.
pub fn run(options: &Options) -> Done<()> {
    let outcomes: Vec<Outcome> =
        options.files.iter().map(|file| Outcome::read(file)).collect::<Done<_>>()?;
    let page = page::page(&outcomes);
    fs::write(&options.out, page).doing(|| format!("writing {}", options.out.display()))?;
    println!("written to {}", options.out.display());
    Ok(())
}
