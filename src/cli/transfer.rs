//! `madang export` and `madang import`: all data as JSON lines.

use super::Done;
use crate::{config::Settings, surroundings};
use madang_store::{
    Medium, Transfer,
    transfer::{TransferError, jsonl, transfer, transfer_cluster},
};
use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Stands for standard input or output.
const STANDARD: &str = "-";
/// Bytes read or written at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Whoever waits for longer than this hears how far it is, as often as this.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Writes everything to `file`, which must not be there yet.
pub(super) fn export(file: &Path, settings: &Settings) -> Done {
    let store = data(settings);
    let progress = &mut progress("exported");
    let lines = if file == Path::new(STANDARD) {
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        jsonl::write(&*store, &mut out, progress)?
    } else {
        // As secret as the data directory.
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        let new = new.map_err(|error| format!("cannot make {}: {error}", file.display()))?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, &new);
        let written = jsonl::write(&*store, &mut out, progress);
        drop(out);
        let synced = written.and_then(|lines| new.sync_all().map(|()| lines).map_err(Into::into));
        // A part of an export is none.
        synced.inspect_err(|_| drop(std::fs::remove_file(file)))?
    };
    eprintln!("madang: exported {lines} lines");
    Ok(ExitCode::SUCCESS)
}

/// Reads everything from `file`.
pub(super) fn import(file: &Path, settings: &Settings) -> Done {
    let store = data(settings);
    let progress = &mut progress("imported");
    let done = if file == Path::new(STANDARD) {
        let mut from = BufReader::with_capacity(BUFFER_BYTES, io::stdin().lock());
        jsonl::read(&*store, &mut from, progress)
    } else {
        let opened = File::open(file);
        let opened = opened.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        jsonl::read(&*store, &mut BufReader::with_capacity(BUFFER_BYTES, opened), progress)
    };
    let lines = done.map_err(|error| nothing_imported(error, file))?;
    eprintln!("madang: imported {lines} lines");
    Ok(ExitCode::SUCCESS)
}

/// All of it, wherever the settings say it is.
fn data(settings: &Settings) -> Box<dyn Transfer> {
    match settings.mongo.reveal() {
        Some(uri) => transfer_cluster(surroundings::cluster_options(settings, uri)),
        None => transfer(Medium::Directory(settings.data_dir.clone())),
    }
}

fn nothing_imported(error: TransferError, file: &Path) -> Box<dyn Error> {
    match error {
        TransferError::Line { .. } => {
            format!("nothing was imported: {}, {error}", file.display()).into()
        }
        error => error.into(),
    }
}

/// Says on standard error now and then how far it is.
fn progress(what: &'static str) -> impl FnMut(u64) {
    let mut told = Instant::now();
    move |lines| {
        if lines.is_multiple_of(1_024) && told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            eprintln!("madang: {what} {lines} lines so far");
        }
    }
}
