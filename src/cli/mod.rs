//! The command line.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done; `serve`: drained and stopped |
//! | 1 | failed: an occupied port, data in use, something that cannot be imported, a second signal |
//! | 2 | the command line or the settings were refused; nothing was done |
//! | 3 | `check` found damage |
//! | 70 | the root supervisor gave up restarting; start the node again |

mod arguments;
mod banner;
mod check;
mod import;
mod transfer;

use crate::{
    config::Settings,
    memory,
    node::{self, Ended},
    observability,
};
use arguments::Action;
use std::{error::Error, process::ExitCode};

const FAILED: u8 = 1;
const REFUSED: u8 = 2;
const DAMAGED: u8 = 3;
const GAVE_UP: u8 = 70;

/// Does what the command line of this process says.
pub fn run() -> ExitCode {
    let (action, given) = match arguments::parse() {
        Ok(parsed) => parsed,
        Err(refused) => return complain(REFUSED, &*refused),
    };
    let settings = match Settings::load(&given) {
        Ok(settings) => settings,
        Err(refused) => return complain(REFUSED, &refused),
    };
    let done = match action {
        Action::Serve => serve(settings),
        Action::Config => write_out(&settings.to_toml()).map(|()| ExitCode::SUCCESS),
        Action::Check => check::run(&settings),
        Action::Export(file) => transfer::export(&file, &settings),
        Action::Import(file) => transfer::import(&file, &settings),
        Action::ImportUsers(file) => import::run(&file, &settings),
    };
    done.unwrap_or_else(|error| complain(FAILED, &*error))
}

/// What a command ends with; an error is shown with its causes, and the exit code is [`FAILED`].
type Done = Result<ExitCode, Box<dyn Error>>;

fn serve(settings: Settings) -> Done {
    observability::start_logs(&settings)?;
    #[cfg(feature = "fail_points")]
    madang_actors::fail_points::listen()?;
    memory::use_small_pages();
    let banner = banner::Banner::new(&settings);
    // A node whose standard output is closed works all the same.
    let ended =
        node::run(settings, |node| drop(write_out(&banner.text(node.address, node.admin))))?;
    Ok(match ended {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::AtOnce => ExitCode::from(FAILED),
        Ended::GaveUp(cause) => complain(GAVE_UP, &*Box::<dyn Error>::from(cause)),
    })
}

/// Prints an error and its causes in one line.
fn complain(code: u8, error: &dyn Error) -> ExitCode {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors tell their cause themselves.
        let text = error.to_string();
        if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    eprintln!("madang: {line}");
    ExitCode::from(code)
}

/// Writes to standard output; unlike `print!`, a closed pipe is an error and no panic.
fn write_out(text: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
