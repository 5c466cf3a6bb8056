//! `docs/bounds.md` against the code: every bound is there with its value, every test it names exists.

use madang::config::{SETTINGS, Settings};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// What a bound is called.
const SUFFIXES: [&str; 2] = ["_MAX", "_BOUND"];
/// Where bounds are looked for.
const CODE: [&str; 6] =
    ["src", "actors/src", "cluster/src", "protocol/src", "resilience/src", "store/src"];
/// Test stores are small, and a schema repeats a limit.
const ELSEWHERE: [&str; 1] = ["store/src/conformance/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// One row of a table of the page.
struct Row {
    whole: String,
    place: String,
    default: String,
    tests: String,
}

/// The rows of all tables, without their heads.
fn rows() -> Vec<Row> {
    let page = text("docs/bounds.md");
    let lines = page.lines().filter(|line| line.starts_with("| "));
    let rows = lines.filter(|line| !line.starts_with("| bound |")).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, place, default, _, _, tests] = cells[..] else {
            panic!("not six cells: {line}");
        };
        assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {line}");
        Row {
            whole: line.to_owned(),
            place: place.to_owned(),
            default: default.to_owned(),
            tests: tests.to_owned(),
        }
    });
    rows.collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Pairs of a file and a name: names follow the file they are in.
fn in_files(cell: &str) -> Vec<(String, String)> {
    let (mut file, mut found) = (None, Vec::new());
    for word in quoted(cell) {
        if word.ends_with(".rs") {
            file = Some(word);
        } else if let Some(file) = file {
            found.push((file.to_owned(), word.to_owned()));
        }
    }
    found
}

/// `131,072 bytes` as 131072.
fn number(cell: &str) -> Option<u64> {
    let digits = cell.split(' ').next()?.replace(',', "");
    digits.parse().ok()
}

/// The value of `const NAME: T = ...;`, if it is a product of numbers.
fn value(file: &str, name: &str) -> Option<u64> {
    let source = text(file);
    let declared = format!("const {name}: ");
    let line = source.lines().find(|line| line.contains(&declared));
    let line = line.unwrap_or_else(|| panic!("{file} has no {name}"));
    let (_, expression) = line.split_once(" = ")?;
    let factors = expression.trim_end_matches(';').split(" * ");
    factors.map(|factor| factor.replace('_', "").parse::<u64>().ok()).product()
}

#[test]
fn every_test_that_is_named_exists() {
    for row in rows() {
        let tests = in_files(&row.tests);
        assert!(!tests.is_empty(), "no test: {}", row.whole);
        tests.iter().for_each(exists);
    }
}

/// The page that says what works without what shows each of it by a test.
#[test]
fn every_test_that_operations_names_exists() {
    let page = text("docs/operations.md");
    let (_, without) = page.split_once("| without |").expect("a table");
    let rows = without.lines().skip(2).take_while(|line| line.starts_with("| "));
    for row in rows {
        assert!(!in_files(row).is_empty(), "no test: {row}");
    }
    // A row of a table is about its own tests, prose about those of its paragraph.
    let is_table = |paragraph: &str| paragraph.starts_with("| ");
    let (tables, prose): (Vec<&str>, Vec<&str>) =
        page.split("\n\n").partition(|text| is_table(text));
    let rows = tables.iter().flat_map(|table| table.lines());
    rows.chain(prose).flat_map(in_files).for_each(|named| exists(&named));
}

fn exists((file, name): &(String, String)) {
    assert!(text(file).contains(&format!("fn {name}(")), "{file} has no test {name}");
}

#[test]
fn every_value_is_what_holds() {
    let defaults = Settings::default();
    for row in rows() {
        let constants = in_files(&row.place);
        for (file, name) in &constants {
            let declared = value(file, name);
            if declared.is_some() {
                assert_eq!(number(&row.default), declared, "{name} of {file}");
            }
        }
        if !constants.is_empty() {
            continue;
        }
        for name in quoted(&row.place) {
            let setting = SETTINGS.iter().find(|setting| setting.name == name);
            let setting = setting.unwrap_or_else(|| panic!("no setting {name}"));
            let shown = number(&row.default).map(|number| number.to_string());
            assert_eq!(shown.as_deref(), Some(&*setting.shown(&defaults)), "{name}");
        }
    }
}

#[test]
fn every_setting_with_a_number_is_there() {
    let page = text("docs/bounds.md");
    let is_number = |shown: &str| shown.parse::<u64>().is_ok();
    let defaults = Settings::default();
    let numbers = SETTINGS.iter().filter(|setting| is_number(&setting.shown(&defaults)));
    let missing: Vec<&str> = numbers
        .map(|setting| setting.name)
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/bounds.md: {missing:?}");
}

#[test]
fn every_constant_that_bounds_something_is_there() {
    let page = text("docs/bounds.md");
    let listed: HashSet<(String, String)> = page.split("\n- ").flat_map(in_files).collect();
    let of_rows: HashSet<_> = rows().iter().flat_map(|row| in_files(&row.place)).collect();
    let mut missing = Vec::new();
    for file in CODE.iter().flat_map(|folder| sources(&root().join(folder))) {
        let path = file.strip_prefix(root()).expect("below the root").display().to_string();
        if ELSEWHERE.iter().any(|elsewhere| path.starts_with(elsewhere)) {
            continue;
        }
        for line in text(&path).lines().filter(|line| !line.starts_with("    ")) {
            let Some((before, after)) = line.split_once("const ") else { continue };
            let Some((name, _)) = after.split_once(':') else { continue };
            let is_declared = before.is_empty() || before.starts_with("pub");
            if is_declared && SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
                let found = (path.clone(), name.to_owned());
                if !of_rows.contains(&found) && !listed.contains(&found) {
                    missing.push(found);
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/bounds.md: {missing:?}");
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the project");
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
