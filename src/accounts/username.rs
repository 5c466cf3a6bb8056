//! Usernames: which are allowed, and which are the same.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Letters, digits, `.` `_` `-` of any script: at least this many after normalisation.
const CHARS_MIN: usize = 3;
/// And at most this many, after normalisation and as typed.
const CHARS_MAX: usize = 32;
/// Marks one letter may carry beyond what NFKC composes into it: enough for vowel signs and tones
/// of every living script, too few to paint over neighbouring lines.
const MARKS_MAX: usize = 2;

/// A name that may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    /// As typed; shown to others.
    pub typed: String,
    /// What makes it unique; see [`fold`].
    pub folded: String,
}

impl Username {
    /// The name, or why it cannot be one.
    pub fn parse(typed: &str) -> Result<Self, &'static str> {
        let normal: String = typed.nfkc().take(CHARS_MAX + 1).collect();
        let length = normal.chars().count();
        if length > CHARS_MAX || typed.chars().nth(CHARS_MAX).is_some() || length < CHARS_MIN {
            return Err("must be 3 to 32 characters long");
        }
        if !has_only_allowed(&normal) {
            return Err("may only have letters, digits, '.', '_' and '-'");
        }
        Ok(Self { typed: typed.to_owned(), folded: fold(typed) })
    }
}

/// The form in which two spellings of one name are equal: NFKC and full case folding. Folding can
/// undo normalisation and the other way round, hence twice (Unicode 3.13, D146).
///
/// Any text has one; a text that is no username folds to a name nobody has.
pub fn fold(typed: &str) -> String {
    let once: String = caseless::default_case_fold_str(&typed.nfkc().collect::<String>());
    let twice = caseless::default_case_fold_str(&once.nfkc().collect::<String>());
    twice.nfkc().collect()
}

fn has_only_allowed(normal: &str) -> bool {
    // Marks that the present letter may still carry; none where there is no letter.
    let mut marks = 0;
    for c in normal.chars() {
        let allowed = if is_invisible(c) {
            false
        } else if c.is_alphanumeric() && !is_combining_mark(c) {
            marks = MARKS_MAX;
            true
        } else if is_combining_mark(c) {
            let carried = marks > 0;
            marks = marks.saturating_sub(1);
            carried
        } else {
            marks = 0;
            matches!(c, '.' | '_' | '-')
        };
        if !allowed {
            return false;
        }
    }
    true
}

/// Letters and marks that show nothing: with them two names could look the same.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0100}'..='\u{E01EF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_in_any_script() {
        for name in [
            "ann",
            "a.b_c-9",
            "Ångström",
            "이순신",
            "ΝΊΚΗ",
            "иван",
            "हिन्दी",
            "ไก่ย่าง",
            "םולש",
            "e\u{301}e\u{301}e\u{301}",
            &"x".repeat(32),
        ] {
            assert_eq!(Username::parse(name).map(|name| name.typed), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refused() {
        for name in [
            "",
            "ab",
            &"x".repeat(33),
            "a b c",
            "a\u{a0}bc",
            "a@bc",
            "a/bc",
            "a\u{200b}bc",
            "a\u{202e}bc",
            "abc\u{fe0f}",
            "ab\u{3164}c",
            "\u{301}abc",
            "abc\u{334}\u{335}\u{336}",
            "abc👍",
            "½½½",
            "\u{fdfa}",
            "a\0bc",
        ] {
            assert!(Username::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn spellings_of_one_name() {
        for (a, b) in [
            ("Ann", "aNN"),
            ("ＡＮＮ", "ann"),
            ("Straße", "STRASSE"),
            ("\u{c5}ngström", "A\u{30a}ngstro\u{308}m"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("ﬁsh", "FISH"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
            assert_eq!(Username::parse(a).unwrap().folded, fold(b));
        }
        assert_ne!(fold("ann"), fold("anna"));
    }

    #[test]
    fn folding_is_stable() {
        for name in ["Straße", "İstanbul", "ＡＮＮ", "ᾳΣς", "ﬁsh"] {
            assert_eq!(fold(&fold(name)), fold(name), "{name}");
        }
    }
}
