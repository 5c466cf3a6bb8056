//! The documents for programs, against the types they are made from.

use serde_json::Value;
use std::{env, fs, path::Path};

/// Rewrites both.
const REWRITE: &str = "WRITE_DOCUMENTS=1 cargo test --test documents";

#[test]
fn the_openapi_document_is_made_of_the_types() {
    let document = madang::edge::http::openapi::document();
    let text = serde_json::to_string_pretty(&document).expect("a document is a map") + "\n";
    is_written("docs/openapi.json", &text);
}

#[test]
fn the_asyncapi_document_is_made_of_the_types() {
    let document = madang_protocol::schema::asyncapi::document();
    let text = serde_saphyr::to_string(&document).expect("a document is a map");
    let read: Value = serde_saphyr::from_str(&text).expect("what was written is YAML");
    assert_eq!(read, document, "YAML and back");
    is_written("docs/asyncapi.yaml", &text);
}

/// The file holds this; it does so from now on, where that is wished.
fn is_written(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("WRITE_DOCUMENTS").is_some() {
        fs::write(&path, text).expect("the folder is there");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let different = written.lines().zip(text.lines()).position(|(written, made)| written != made);
    assert!(
        written == text,
        "{file} is not what the types say, from line {} on; `{REWRITE}` rewrites it",
        different.map_or(0, |line| line + 1)
    );
}
