//! House rules no compiler checks, as ordinary tests: who may import whom, what may not be named
//! where, how folders and files are shaped. Each test lists every offender.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A crate of the workspace, where it is, and which of ours it may import.
struct Crate {
    name: &'static str,
    folder: &'static str,
    imports: &'static [&'static str],
}

/// The import table.
const CRATES: &[Crate] = &[
    Crate { name: "protocol", folder: "protocol", imports: &[] },
    Crate { name: "resilience", folder: "resilience", imports: &[] },
    Crate { name: "store", folder: "store", imports: &["protocol", "resilience"] },
    Crate { name: "cluster", folder: "cluster", imports: &["protocol", "resilience"] },
    Crate {
        name: "actors",
        folder: "actors",
        imports: &["protocol", "resilience", "store", "cluster"],
    },
    Crate {
        name: "node",
        folder: ".",
        imports: &["protocol", "resilience", "store", "cluster", "actors"],
    },
    Crate {
        name: "bench",
        folder: "benches",
        imports: &["protocol", "resilience", "store", "cluster", "actors", "servers"],
    },
    Crate {
        name: "testkit",
        folder: "testkit",
        imports: &["protocol", "resilience", "store", "cluster", "actors", "servers"],
    },
    Crate { name: "servers", folder: "testkit/servers", imports: &[] },
];

/// A word that may be named in code below some folders only.
struct Fenced {
    word: &'static str,
    allowed: &'static [&'static str],
    reason: &'static str,
}

const FENCED: &[Fenced] = &[
    Fenced { word: "actix", allowed: &["actors/src/kernel"], reason: "the kernel hides it" },
    Fenced { word: "redb", allowed: &["store"], reason: "drivers stay behind the store's traits" },
    Fenced { word: "mongodb", allowed: &["store", "testkit/servers"], reason: "as redb" },
    Fenced { word: "async_nats", allowed: &["cluster"], reason: "drivers stay behind the bus" },
];

/// Drivers that share their name with something of ours: kept behind the manifests.
const DRIVERS: &[(&str, &[&str])] = &[("redis", &["store"]), ("bb8-redis", &["store"])];

/// What a file called `logic.rs` never names: it gets input and time, and gives effects.
const IMPURE: &[&str] =
    &["tokio", "actix", "Instant::now", "SystemTime", "fastrand", "getrandom", "async", "await"];

/// Actors whose decisions are apart from their actor.
const WITH_LOGIC: &[&str] =
    &["connection", "room", "audience", "store_writer", "batcher", "membership", "lane", "remote"];

/// Files that may be longer than [`LINES_MAX`], each with the reason.
const LONG_FILES: &[(&str, &str)] = &[];
const LINES_MAX: usize = 500;

#[test]
fn crates_import_only_what_the_table_allows() {
    let mut offenders = Vec::new();
    for member in CRATES {
        let manifest = read(&root().join(member.folder).join("Cargo.toml"));
        let direct = dependencies(&manifest, "[dependencies]");
        for name in direct.iter().filter_map(|line| line.strip_prefix("madang-")) {
            let name = name.split(['.', ' ']).next().unwrap_or(name);
            if !member.imports.contains(&name) {
                offenders.push(format!("{} imports {name}", member.name));
            }
        }
    }
    none(offenders);
}

#[test]
fn words_stay_behind_their_fences() {
    let mut offenders = Vec::new();
    for file in sources() {
        for fence in FENCED {
            let inside = fence.allowed.iter().any(|folder| file.path.starts_with(folder));
            if !inside && !is_this_file(&file) {
                offenders.extend(file.naming(fence.word, fence.reason));
            }
        }
    }
    none(offenders);
}

#[test]
fn drivers_are_dependencies_of_their_crate_alone() {
    let mut offenders = Vec::new();
    for member in CRATES {
        let manifest = read(&root().join(member.folder).join("Cargo.toml"));
        for section in ["[dependencies]", "[dev-dependencies]"] {
            for line in dependencies(&manifest, section) {
                let name = line.split(['.', ' ']).next().unwrap_or(line);
                let driver = DRIVERS.iter().find(|(driver, _)| *driver == name);
                if driver.is_some_and(|(_, allowed)| !allowed.contains(&member.folder)) {
                    offenders.push(format!("{} depends on {name}", member.name));
                }
            }
        }
    }
    none(offenders);
}

#[test]
fn the_protocol_has_no_runtime_and_no_clock() {
    let protocol = sources().into_iter().filter(|file| file.path.starts_with("protocol"));
    let words = ["tokio", "Instant", "SystemTime"];
    none(protocol.flat_map(|file| file.naming_any(&words, "pure data and functions")).collect());
}

#[test]
fn decisions_are_pure() {
    let logic = sources().into_iter().filter(|file| file.path.ends_with("logic.rs"));
    let offenders = logic.map(without_tests).flat_map(|mut file| {
        // The type of the time that is handed in; asking a clock for it is still found.
        file.text = file.text.replace("use tokio::time::Instant;", "");
        file.naming_any(IMPURE, "logic.rs is pure")
    });
    none(offenders.collect());
}

/// Tests make up the time they hand in, so they may ask a clock.
fn without_tests(mut file: Source) -> Source {
    let end = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
    file.text.truncate(end);
    file
}

#[test]
fn every_actor_folder_has_its_files() {
    let mut offenders = Vec::new();
    for folder in folders(&root().join("actors/src")) {
        let name = folder.file_name().and_then(|name| name.to_str()).expect("ASCII names");
        let mut wanted = vec!["mod.rs"];
        if name != "kernel" {
            wanted.push("actor.rs");
        }
        if WITH_LOGIC.contains(&name) {
            wanted.push("logic.rs");
        }
        let missing = wanted.into_iter().filter(|file| !has(&folder, file));
        offenders.extend(missing.map(|file| format!("actors/src/{name} has no {file}")));
    }
    none(offenders);
}

/// `logic.rs`, or a folder `logic` where it outgrew one file.
fn has(folder: &Path, file: &str) -> bool {
    folder.join(file).exists() || folder.join(file.trim_end_matches(".rs")).join("mod.rs").exists()
}

#[test]
fn queues_are_bounded() {
    let words = [
        concat!("do", "_send"),
        concat!("unbounded", "_channel"),
        concat!("Unbounded", "Sender"),
        concat!("mpsc::", "channel()"),
        concat!("un", "bounded()"),
    ];
    let shipped = sources().into_iter().filter(|file| !file.path.ends_with("tests.rs"));
    let files = shipped.map(without_tests);
    none(files.flat_map(|file| file.naming_any(&words, "every queue has a bound")).collect());
}

#[test]
fn nothing_is_left_for_later() {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("#[ign", "ore")];
    let found = sources().into_iter().flat_map(|file| {
        let lines = file.text.lines().enumerate();
        let hits = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        hits.map(|(index, line)| file.at(index, line.trim())).collect::<Vec<_>>()
    });
    none(found.collect());
}

#[test]
fn dependencies_come_from_the_workspace_table() {
    let mut offenders = Vec::new();
    for member in CRATES {
        let manifest = read(&root().join(member.folder).join("Cargo.toml"));
        for section in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            let lines = dependencies(&manifest, section);
            let own = lines.into_iter().filter(|line| !line.contains("workspace = true"));
            offenders.extend(own.map(|line| format!("{}: {line}", member.name)));
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            offenders.push(format!("{} does not take the lints of the workspace", member.name));
        }
    }
    none(offenders);
}

#[test]
fn one_library_does_the_cryptography_of_tls() {
    let lock = read(&root().join("Cargo.lock"));
    for other in ["aws-lc-rs", "aws-lc-sys", "openssl-sys"] {
        assert!(!lock.contains(&format!("name = \"{other}\"")), "{other} is in the tree");
    }
}

#[test]
fn every_member_is_in_the_import_table() {
    let manifest = read(&root().join("Cargo.toml"));
    let line = manifest.lines().find(|line| line.starts_with("members")).expect("a workspace");
    let members: BTreeSet<&str> = line.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, CRATES.iter().map(|member| member.folder).collect());
}

#[test]
fn files_stay_readable() {
    let mut offenders = Vec::new();
    for file in sources() {
        let lines = file.text.lines().count();
        let known = LONG_FILES.iter().any(|(path, _)| file.path == Path::new(path));
        if lines > LINES_MAX && !known {
            offenders.push(format!("{} has {lines} lines", file.path.display()));
        }
    }
    none(offenders);
}

fn none(offenders: Vec<String>) {
    assert!(offenders.is_empty(), "\n{}", offenders.join("\n"));
}

/// A Rust file, its path relative to the workspace.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Lines of code, comments apart, that name this word as a whole.
    fn naming(&self, word: &str, reason: &str) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        let named = lines.filter(|(_, line)| names(code_of(line), word));
        named.map(|(index, _)| self.at(index, &format!("{word}: {reason}"))).collect()
    }

    fn naming_any(&self, words: &[&str], reason: &str) -> Vec<String> {
        words.iter().flat_map(|word| self.naming(word, reason)).collect()
    }

    fn at(&self, index: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path.display(), index + 1)
    }
}

/// The part of a line before its comment.
fn code_of(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.split(" // ").next().unwrap_or(line)
}

/// True when `word` stands in `code` with no letter, digit or underscore around it. What is a text of
/// its own or begins a URL names nothing.
fn names(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let behind = &code[at + word.len()..];
        let (before, after) = (code[..at].chars().next_back(), behind.chars().next());
        let is_scheme = behind.starts_with("://") || behind.starts_with("+srv://");
        let is_text = before == Some('"') && after == Some('"') || is_scheme;
        !is_text && !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

#[test]
fn words_are_found_as_wholes_and_not_in_comments() {
    assert!(names("use actix::Actor;", "actix"));
    assert!(!names("my_actix_like()", "actix"));
    assert!(!names("let url = \"redb://host\"; let words = [\"redb\"];", "redb"));
    assert!(!names(code_of("    // actix does this"), "actix"));
    assert!(!names(code_of("call(); // as actix does"), "actix"));
}

/// The lines of one section of a manifest.
fn dependencies<'a>(manifest: &'a str, section: &str) -> Vec<&'a str> {
    let lines = manifest.lines().skip_while(|line| *line != section).skip(1);
    let section = lines.take_while(|line| !line.starts_with('['));
    section.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

fn is_this_file(file: &Source) -> bool {
    file.path == Path::new("tests/tidy.rs")
}

/// Every Rust file of every member.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for member in CRATES {
        for folder in ["src", "tests", "benches", "examples"] {
            collect(&root().join(member.folder).join(folder), &mut found);
        }
    }
    assert!(found.len() > 20, "the workspace has many files; found {}", found.len());
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path);
            let path = path.strip_prefix(root()).expect("below the workspace");
            // The root's own folder is ".", which is no part of a path worth showing.
            found.push(Source { path: path.components().collect(), text });
        }
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the workspace");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.filter(|path| path.is_dir()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
