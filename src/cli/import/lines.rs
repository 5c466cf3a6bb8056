//! The file of users: one JSON object per line.

use crate::accounts::{rules, username::Username};
use serde::Deserialize;
use std::{
    collections::{HashMap, hash_map::Entry},
    error::Error,
    fmt,
};

/// Problems shown; more are only counted.
const PROBLEMS_SHOWN: usize = 20;

/// One usable line. Its password is secret: `Display` shows where it stands, and there is no
/// `Debug`.
pub(super) struct Line {
    number: usize,
    pub(super) username: Username,
    pub(super) password: Option<String>,
    pub(super) display_name: String,
}

/// A line as it may be written. A misspelt field would be lost without a word, hence the refusal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    username: String,
    password: Option<String>,
    display_name: Option<String>,
}

/// Every line of the file, or what is wrong with any of them. Empty lines are passed over.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, Box<dyn Error>> {
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    let mut known: HashMap<String, usize> = HashMap::new();
    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    for (index, text) in written {
        match parse_line(index + 1, text) {
            Ok(line) => match known.entry(line.username.folded.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(line.number);
                    lines.push(line);
                }
                Entry::Occupied(first) => {
                    problems.push(format!("{line}: the same username as line {}", first.get()));
                }
            },
            Err(problem) => problems.push(format!("line {}: {problem}", index + 1)),
        }
    }
    refuse(problems)?;
    Ok(lines)
}

/// An error that tells of these problems, if there are any.
pub(super) fn refuse(mut problems: Vec<String>) -> Result<(), Box<dyn Error>> {
    if problems.is_empty() {
        return Ok(());
    }
    let count = problems.len();
    problems.truncate(PROBLEMS_SHOWN);
    if count > PROBLEMS_SHOWN {
        problems.push(format!("and {} more", count - PROBLEMS_SHOWN));
    }
    Err(format!("nothing was imported:\n  {}", problems.join("\n  ")).into())
}

fn parse_line(number: usize, text: &str) -> Result<Line, String> {
    // The parser's own words could quote a password.
    let wrong = |error: serde_json::Error| match error.is_data() {
        true => "must have the fields username, password? and display_name?, all strings".into(),
        false => format!("not JSON at column {}", error.column()),
    };
    let Written { username, password, display_name } = serde_json::from_str(text).map_err(wrong)?;
    let display_name = display_name.unwrap_or_else(|| username.clone());
    let username = Username::parse(&username).map_err(|reason| format!("username {reason}"))?;
    if let Some(password) = &password {
        rules::check_password(password).map_err(|reason| format!("password {reason}"))?;
    }
    rules::check_display_name(&display_name).map_err(|reason| format!("display_name {reason}"))?;
    Ok(Line { number, username, password, display_name })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ({})", self.number, self.username.typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_lines() {
        let text = "{\"username\":\"Ann\",\"password\":\"12345678\",\"display_name\":\"A\"}\r\n\n\
                    {\"username\":\"bob\",\"password\":null}";
        let lines = parse(text).unwrap_or_else(|error| panic!("{error}"));
        let read: Vec<_> = lines
            .iter()
            .map(|line| (&*line.username.folded, line.password.as_deref(), &*line.display_name))
            .collect();
        assert_eq!(read, [("ann", Some("12345678"), "A"), ("bob", None, "bob")]);
    }

    #[test]
    fn every_bad_line_is_told_and_no_secret_is() {
        let text = "{\"username\":\"ann\",\"password\":\"s3cret-a\"}\n\
                    {\"username\":\"ANN\",\"password\":\"s3cret-b\"}\n\
                    {\"username\":\"bob\",\"pasword\":\"s3cret-c\"}\n\
                    {\"username\":\"bob\",\"password\":\"s3cret-d\"\n\
                    {\"username\":\"a b\"}\n\
                    {\"username\":\"eve\",\"password\":\"s3cret\"}";
        let error = parse(text).err().map(|error| error.to_string()).unwrap_or_default();
        for words in [
            "nothing was imported",
            "line 2 (ANN): the same username as line 1",
            "line 3: must have the fields",
            "line 4: not JSON",
            "line 5: username may only have",
            "line 6: password must be 8",
        ] {
            assert!(error.contains(words), "no {words:?} in {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn long_lists_of_problems_are_cut() {
        let error = refuse((0..25).map(|number| format!("p{number}")).collect()).unwrap_err();
        assert!(error.to_string().ends_with("p19\n  and 5 more"), "{error}");
    }
}
