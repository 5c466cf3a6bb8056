//! What is taken out of a store and into another is the same there; what cannot be used leaves
//! the store empty.

mod bad_files;
mod filled;
mod round_trip;

use madang_store::{
    Medium, Options, Store,
    check::Report,
    transfer::{TransferError, jsonl, transfer},
};
use std::path::Path;

fn medium(directory: &Path) -> Medium {
    Medium::Directory(directory.into())
}

fn open(directory: &Path) -> Store {
    madang_store::open(Options::in_directory(directory)).expect("a store")
}

fn check(directory: &Path) -> Report {
    madang_store::check(medium(directory)).expect("a store")
}

fn try_export(directory: &Path) -> Result<String, TransferError> {
    let mut bytes = Vec::new();
    let lines = jsonl::write(&*transfer(medium(directory)), &mut bytes, &mut |_| {})?;
    let text = String::from_utf8(bytes).expect("JSON is UTF-8");
    assert_eq!(lines, text.lines().count() as u64);
    Ok(text)
}

fn export(directory: &Path) -> String {
    try_export(directory).expect("exported")
}

fn import(directory: &Path, text: &str) -> Result<u64, TransferError> {
    jsonl::read(&*transfer(medium(directory)), &mut text.as_bytes(), &mut |_| {})
}
