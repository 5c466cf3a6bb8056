//! Files that cannot be used, each refused by name, with the store left empty.

use super::{check, export, filled, import, open};
use madang_store::{
    OpenError,
    conformance::fixtures::{make_users, room, user},
    transfer::TransferError,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A good export.
async fn good() -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    filled::fill(&store, 3).await;
    store.control.close().await;
    export(directory.path())
}

/// A directory to import into.
struct Target(TempDir);

impl Target {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Refuses the text, naming this line and these words, and keeps nothing of it.
    fn refuses(&self, text: &str, line: usize, words: &str) {
        let error = import(self.0.path(), text).expect_err(words);
        let TransferError::Line { number, reason } = &error else { panic!("{words}: {error:?}") };
        assert_eq!((*number, reason.contains(words)), (line as u64, true), "{error}, not {words}");
        let left: Vec<PathBuf> = fs::read_dir(self.0.path())
            .expect("readable")
            .map(|e| e.expect("readable").path())
            .collect();
        let only_the_lock = left.iter().all(|path| path.ends_with("madang.lock"));
        assert!(only_the_lock, "left behind after {words:?}: {left:?}");
    }
}

/// The lines of an export, to be edited, without its last one.
struct Edited(Vec<String>);

impl Edited {
    fn new(text: &str) -> Self {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.pop();
        Self(lines)
    }

    /// The place of the first line with all of these parts, from 0.
    fn find(&self, parts: &[&str]) -> usize {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        self.0.iter().position(has_all).unwrap_or_else(|| panic!("no line has {parts:?}"))
    }

    /// With a last line that agrees.
    fn sealed(&self) -> String {
        let lines = self.0.len() + 1;
        format!("{}\n{{\"end\":true,\"lines\":{lines}}}\n", self.0.join("\n"))
    }
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_refused() {
    let text = good().await;
    let target = Target::new();
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let reason = if index == 0 { "empty" } else { "cut short: its last line is missing" };
        target.refuses(&text[..start], index + 1, reason);
        let middle = (start..start + line.len() / 2).rfind(|at| text.is_char_boundary(*at));
        let reason = if index == 0 { "not an export" } else { "cut short, in the middle" };
        target.refuses(&text[..middle.expect("a place in the line")], index + 1, reason);
        start += line.len();
    }
    // The line end behind the last line says nothing that is missed.
    import(target.0.path(), text.trim_end()).expect("imported");
}

#[tokio::test]
async fn a_file_that_was_damaged_or_put_together_is_refused() {
    let text = good().await;
    let target = Target::new();
    let lines = text.lines().count();
    let other = text.replacen("The user 2", "The user 3", 1);
    target.refuses(&other, lines, "not those that were written");
    target.refuses(&format!("{text}{text}"), lines + 1, "behind the end");
    let last = text.rfind("{\"end\"").expect("a last line");
    let shorter = format!("{}{{\"end\":true,\"lines\":{}}}\n", &text[..last], lines - 1);
    target.refuses(&shorter, lines, "had");
    let newer = text.replacen("\"madang_export\":1", "\"madang_export\":2", 1);
    target.refuses(&newer, 1, "version 2");
    for first in ["{\"user\":{}}", "hello", "[]", "{\"madang_export\":\"1\"}"] {
        target.refuses(first, 1, "not an export");
    }
    target.refuses("{\"madang_export\":0}", 1, "version 0");
    target.refuses(&format!("{{{}", "x".repeat(17 * 1024 * 1024)), 1, "longer than");
    import(target.0.path(), &text).expect("imported");
}

#[tokio::test]
async fn lines_that_cannot_be_read_are_refused() {
    let text = good().await;
    let target = Target::new();
    for (broken, words) in [
        ("", "not a JSON object"),
        ("not JSON", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("\"secret\"", "not a JSON object"),
        ("{\"user\":{\"user\":1}} x", "not a JSON object"),
        ("{}", "an empty object"),
        ("{\"poll\":{\"secret\":1}}", "\"poll\" is no kind of line"),
        ("{\"user\":{\"user\":\"secret\"}}", "user: a field is missing"),
        ("{\"ban\":{\"user\":\"secret\"}}", "ban: a field is missing"),
        ("{\"ban\":{\"user\":7,\"secret\":7}}", "ban: a field is missing"),
    ] {
        let mut edited = Edited::new(&text);
        edited.0.insert(3, broken.to_owned());
        target.refuses(&edited.sealed(), 4, words);
        let error = import(target.0.path(), &edited.sealed()).expect_err(words).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let mut edited = Edited::new(&text);
    let at = edited.find(&["{\"message\"", "\"body\":\"plain\""]);
    edited.0[at] = edited.0[at].replace("\"ts\"", "\"colour\":\"red\",\"ts\"");
    target.refuses(&edited.sealed(), at + 1, "not known");
}

/// What must be there once, and is there twice.
#[tokio::test]
async fn repeated_lines_are_refused() {
    let text = good().await;
    let target = Target::new();
    for (parts, words) in [
        (vec!["{\"user\""], "twice"),
        (vec!["{\"session\""], "another's"),
        (vec!["{\"login\""], "twice"),
        (vec!["{\"member\""], "twice"),
        (vec!["{\"ban\""], "twice"),
        (vec!["{\"message\""], "seq 1 follows 1"),
        (vec!["{\"reaction\""], "twice"),
        (vec!["{\"change\""], "rev 1 follows 1"),
        (vec!["{\"creation\""], "twice"),
    ] {
        let mut edited = Edited::new(&text);
        let at = edited.find(&parts);
        edited.0.insert(at, edited.0[at].clone());
        target.refuses(&edited.sealed(), at + 2, words);
    }
}

/// What belongs to something, or is counted by it, and is not there.
#[tokio::test]
async fn missing_lines_are_refused() {
    let text = good().await;
    let target = Target::new();
    let original = Edited::new(&text);
    let first_room = original.find(&["{\"room\""]);
    let is_room = |line: &String| line.starts_with("{\"room\"");
    let second_room = first_room
        + 1
        + original.0[first_room + 1..].iter().position(is_room).expect("another room");
    // The line that goes, the place of the one that is then refused, and why.
    for (gone, noticed, words) in [
        (original.find(&["{\"message\"", "\"seq\":2,"]), None, "seq 3 follows 1"),
        (original.find(&["{\"change\"", "\"rev\":2,"]), None, "rev 3 follows 1"),
        (original.find(&["{\"member\""]), Some(second_room), "members 3, and has 2"),
        (second_room - 1, Some(second_room), "last_rev"),
        (original.find(&["{\"user\"", "\"User1\""]), None, "belongs to no user"),
        (first_room, None, "belongs to no room"),
    ] {
        let mut edited = Edited::new(&text);
        edited.0.remove(gone);
        target.refuses(&edited.sealed(), noticed.unwrap_or(gone + 1), words);
    }
    for (parts, words) in
        [(["{\"user\"", "\"User6\""], "no user"), (["{\"reaction\"", ""], "lacks reactions")]
    {
        let mut edited = Edited::new(&text);
        edited.0.remove(original.find(&parts));
        let error = import(target.0.path(), &edited.sealed()).expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn an_external_id_is_one_users() {
    let text = good().await;
    let mut edited = Edited::new(&text);
    let of_another = edited.find(&["{\"user\"", "\"external_id\":\""]);
    let at = edited.find(&["{\"user\"", "\"User2\""]);
    let line = edited.0[of_another].clone();
    let field = &line[line.find(",\"external_id\"").expect("found")..];
    let end = edited.0[at].len() - "}}".len();
    edited.0[at].replace_range(end.., field);
    Target::new().refuses(&edited.sealed(), of_another + 1, "external_id is another's");
}

/// What contradicts other lines.
#[tokio::test]
async fn lines_that_contradict_others_are_refused() {
    let text = good().await;
    let target = Target::new();
    let nobody = user(99).to_string();
    let (one, two) = (user(1).to_string(), user(2).to_string());
    let first = room(1).to_string();
    for (parts, from, to, words) in [
        (vec!["{\"user\"", "\"User2\""], "\"user2\"", "\"user1\"", "username is another's"),
        (vec!["{\"room\"", first.as_str()], one.as_str(), nobody.as_str(), "creator is no user"),
        (vec!["{\"member\"", two.as_str()], two.as_str(), nobody.as_str(), "is no user"),
        (vec!["{\"ban\""], "\"user\":\"", "\"user\":\"x", "ban: a field"),
        (vec!["{\"message\"", "\"seq\":1,"], "\"sender\":\"", "\"sender\":\"x", "message: a field"),
        (vec!["{\"message\"", "\"seq\":2,"], "\"ts\":1002", "\"ts\":7", "time runs back"),
        (vec!["{\"message\"", "\"reply_to\":"], "\"reply_to\":", "\"reply_to\":9", "no earlier"),
        (vec!["{\"message\"", "\"rev\":"], "\"rev\":", "\"rev\":999", "beyond its room's"),
        (vec!["{\"message\"", "\"deleted\":true"], "\"body\":\"\"", "\"body\":\"x\"", "not erased"),
        (
            vec!["{\"message\""],
            "\"client_id\":\"",
            "\"client_id\":\"\",\"x\":\"",
            "message: a field",
        ),
        (vec!["{\"message\""], "{\"message\":{", "{\"reaction\":{", "reaction: a field"),
        (vec!["{\"creation\""], first.as_str(), nobody.as_str(), "no room of that creator"),
        (vec!["{\"member\""], "\"read_seq\":", "\"read_seq\":99", "more than there is"),
    ] {
        let mut edited = Edited::new(&text);
        let at = edited.find(&parts);
        let line = edited.0[at].replacen(from, to, 1);
        assert_ne!(line, edited.0[at], "{words}: {from} is not in the line");
        edited.0[at] = line;
        target.refuses(&edited.sealed(), at + 1, words);
    }
}

#[tokio::test]
async fn sections_keep_their_order() {
    let text = good().await;
    let target = Target::new();
    for (moved, before, words) in [
        ("{\"session\"", "{\"user\"", "belongs to no user"),
        ("{\"member\"", "{\"room\"", "belongs to no room"),
        ("{\"member\"", "{\"message\"", "too late in its room"),
        ("{\"user\"", "{\"creation\"", "too late in the file"),
        ("{\"ban\"", "{\"member\"", "too late in its room"),
        ("{\"reaction\"", "{\"message\"", "not counted"),
    ] {
        let mut edited = Edited::new(&text);
        let at = edited.find(&[before]);
        let line = edited.0[edited.find(&[moved])].clone();
        edited.0.insert(at, line);
        let refused_at = if moved == "{\"ban\"" { at + 2 } else { at + 1 };
        target.refuses(&edited.sealed(), refused_at, words);
    }
}

#[tokio::test]
async fn only_an_empty_store_is_filled() {
    let text = good().await;
    let target = Target::new();
    let directory: &Path = target.0.path();
    let store = open(directory);
    let in_use = import(directory, &text).expect_err("in use");
    assert!(matches!(in_use, TransferError::Open(OpenError::InUse { .. })), "{in_use:?}");
    make_users(&store, [1]).await;
    store.control.close().await;
    let before = fs::read(directory.join("madang.redb")).expect("a file");
    let refused = import(directory, &text).expect_err("not empty");
    assert!(matches!(refused, TransferError::NotEmpty { .. }), "{refused:?}");
    assert!(fs::read(directory.join("madang.redb")).expect("a file") == before);
    assert_eq!(check(directory).users, 1);
}
