//! The page around the plots.

use super::figures::figures;
use crate::result::{Check, Outcome, Row};
use std::fmt::Write;

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: 13px; }
td, th { border: 1px solid #ccc; padding: .2rem .5rem; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.bad { color: #b00020; font-weight: bold; } .note { color: #555; }
svg { max-width: 100%; height: auto; }
";

/// Everything about these runs.
pub(super) fn page(outcomes: &[Outcome]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>Madang benches</title><style>{STYLE}</style></head><body>\n<h1>Madang benches</h1>\n"
    );
    for outcome in outcomes {
        section(outcome, &mut out);
    }
    out.push_str("</body></html>\n");
    out
}

fn section(outcome: &Outcome, out: &mut String) {
    let command = outcome.parameters["command"].as_str().unwrap_or_default();
    put(out, &format!("<h2>{}</h2>\n", escape(&outcome.scenario)));
    let line = format!(
        "madang-bench {command}; {:.0} s at {}; {}",
        outcome.seconds, outcome.commit, outcome.machine
    );
    put(out, &format!("<p class=\"note\">{}</p>\n", escape(&line)));
    if let Some(problem) = &outcome.problem {
        put(out, &format!("<p class=\"bad\">Incomplete: {}</p>\n", escape(problem)));
    }
    checks(&outcome.checks, out);
    for plot in figures(outcome) {
        out.push_str(&plot);
    }
    let mut groups: Vec<&str> = outcome.rows.iter().map(|row| row.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        let rows: Vec<&Row> = outcome.rows.iter().filter(|row| row.group == group).collect();
        put(out, &format!("<h3>{}</h3>\n", escape(group)));
        table(&rows, out);
    }
    for remark in &outcome.remarks {
        put(out, &format!("<p class=\"note\">{}</p>\n", escape(remark)));
    }
}

fn checks(checks: &[Check], out: &mut String) {
    if checks.is_empty() {
        return;
    }
    out.push_str("<table><tr><th>target</th><th>value</th><th>limit</th><th></th></tr>\n");
    for check in checks {
        let (class, verdict) = if check.met { ("", "met") } else { ("bad", "not met") };
        let name = escape(&format!("{} {}", check.target, check.claim));
        let line = format!(
            "<tr><td>{name}</td><td>{:.3}</td><td>{:.3}</td><td class=\"{class}\">{verdict}</td></tr>\n",
            check.value, check.limit
        );
        put(out, &line);
    }
    out.push_str("</table>\n");
}

/// One line for each subject, one column for each number.
fn table(rows: &[&Row], out: &mut String) {
    let mut columns: Vec<(&str, &str)> = Vec::new();
    for figure in rows.iter().flat_map(|row| &row.figures) {
        if !columns.contains(&(&figure.name, &figure.unit)) {
            columns.push((&figure.name, &figure.unit));
        }
    }
    out.push_str("<table><tr><th></th>");
    for (name, unit) in &columns {
        put(out, &format!("<th>{}<br>{}</th>", escape(name), escape(unit)));
    }
    out.push_str("</tr>\n");
    for row in rows {
        put(out, &format!("<tr><td>{}</td>", escape(&row.subject)));
        for (name, _) in &columns {
            let figure = row.figures.iter().find(|figure| figure.name == *name);
            let text = figure.map_or_else(String::new, ToString::to_string);
            put(out, &format!("<td>{text}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    for row in rows.iter().filter(|row| !row.note.is_empty()) {
        let note = format!("{}: {}", row.subject, row.note);
        put(out, &format!("<p class=\"note\">{}</p>\n", escape(&note)));
    }
}

fn put(out: &mut String, text: &str) {
    let written = out.write_str(text);
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// As text between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_is_whole_and_shows_what_is_missing() {
        let mut outcome = Outcome::new("fanout", json!({"command": "fanout <x>"}));
        outcome.problem = Some("node: it has ended".to_owned());
        let mut row = Row::new("W1", "node", "").with("CPU per delivery", "us", vec![9.0, 8.0]);
        row.latency = vec![(0.5, 0.3), (0.99, 1.0), (1.0, 2.0)];
        outcome.rows.push(row);
        outcome.at_most("P1", "ratio", 1.3, 1.12);
        let page = page(&[outcome]);
        for words in
            ["fanout &lt;x&gt;", "Incomplete: node: it has ended", "not met", "<svg", "8.50"]
        {
            assert!(page.contains(words), "no {words:?} in {page}");
        }
        assert!(!page.contains("<script") && !page.contains("http://www.example"));
    }
}
