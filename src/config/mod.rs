//! Settings: where they come from, and which of several values holds.
//!
//! A flag `--frames-per-second` goes before the environment variable `MADANG_FRAMES_PER_SECOND`,
//! which goes before the key `frames_per_second` of the settings file, which goes before the
//! default. The file is TOML, named by `--config` or `MADANG_CONFIG`. What nobody can have meant is
//! refused before a port is bound: unknown keys, unknown `MADANG_*` variables, values of the wrong
//! type or out of range (also where another place overrides them), and contradictions.
//!
//! Secret settings are shown to nobody: [`Settings::to_toml`] leaves their values out, and errors
//! name only the key.

mod error;
mod settings;
mod surroundings;
mod validate;
mod value;

pub use error::{Place, SettingsError};
pub use settings::{SETTINGS, Setting, Settings, or_unlimited};
pub use value::{LogFormat, Secret, Secrets};

use std::fmt::Write as _;

/// The variable that names the settings file.
pub const FILE_VARIABLE: &str = "MADANG_CONFIG";
const VARIABLE_PREFIX: &str = "MADANG_";
/// What stands in for a value that is secret.
const HIDDEN: &str = "(not shown)";

/// What was given, by place. Names of flags are those of the settings.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// The file named on the command line.
    pub file: Option<String>,
    /// The whole environment; only `MADANG_*` is looked at.
    pub environment: Vec<(String, String)>,
    /// Flags, by setting name.
    pub flags: Vec<(String, String)>,
}

impl Settings {
    /// The settings that hold. Reads the settings file, if one is named.
    pub fn load(given: &Given) -> Result<Self, SettingsError> {
        let named = given.environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        let file = match given.file.as_ref().or(named.map(|(_, path)| path)) {
            Some(path) => Some((path.as_str(), read_file(path)?)),
            None => None,
        };
        let file = file.as_ref().map(|(path, text)| (*path, text.as_str()));
        Self::merge(file, &given.environment, &given.flags)
    }

    /// As [`Settings::load`], with the file's path and text.
    fn merge(
        file: Option<(&str, &str)>,
        environment: &[(String, String)],
        flags: &[(String, String)],
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        if let Some((path, text)) = file {
            settings.take_file(path, text)?;
        }
        settings.take_environment(environment)?;
        for (name, text) in flags {
            settings.take_text(name, text, Place::Flag(name.replace('_', "-")))?;
        }
        settings.validate()?;
        Ok(settings)
    }

    fn take_file(&mut self, path: &str, text: &str) -> Result<(), SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            // Its own words would quote the line, which may hold a secret.
            let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or(text));
            let line = before.matches('\n').count() + 1;
            let reason = format!("not TOML at line {line}: {}", error.message());
            SettingsError::File { path: path.to_owned(), reason }
        })?;
        for (key, value) in &table {
            let place = Place::File(path.to_owned());
            let setting = find(key, &value.to_string(), &place)?;
            let read = (setting.read_toml)(self, value);
            setting.check(read, || value.to_string(), place)?;
        }
        Ok(())
    }

    fn take_environment(&mut self, variables: &[(String, String)]) -> Result<(), SettingsError> {
        for (variable, text) in variables {
            let Some(upper) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
            if variable == FILE_VARIABLE {
                continue;
            }
            // Only upper case names a setting, so that a variable has one spelling.
            let name = if upper.chars().any(char::is_lowercase) { variable } else { upper };
            let place = Place::Environment(variable.clone());
            self.take_text(&name.to_ascii_lowercase(), text, place)?;
        }
        Ok(())
    }

    fn take_text(&mut self, name: &str, text: &str, place: Place) -> Result<(), SettingsError> {
        let setting = find(name, &format!("{text:?}"), &place)?;
        let read = (setting.read_text)(self, text);
        setting.check(read, || format!("{text:?}"), place)
    }

    /// All settings as a settings file; reading it gives the same settings, but for those that are
    /// secret.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut group = "";
        for setting in SETTINGS {
            if setting.group != group {
                let blank = if group.is_empty() { "" } else { "\n" };
                group = setting.group;
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{blank}# {group}");
            }
            let _ = match setting.is_hidden(self) {
                true => writeln!(text, "# {} is set, and not shown", setting.name),
                false => writeln!(text, "{} = {}", setting.name, setting.shown(self)),
            };
        }
        text
    }
}

impl Setting {
    /// Puts key, value and place to a reason, and holds a number against its range.
    fn check(
        &self,
        read: Result<Option<u64>, String>,
        value: impl Fn() -> String,
        place: Place,
    ) -> Result<(), SettingsError> {
        let reason = match (read, &self.range) {
            (Err(reason), _) => reason,
            (Ok(Some(number)), Some(range)) if !range.contains(&number) => {
                format!("must be from {} to {}", range.start(), range.end())
            }
            _ => return Ok(()),
        };
        let value = if self.is_secret { HIDDEN.to_owned() } else { value() };
        Err(SettingsError::Unusable { key: self.name, value, place, reason })
    }
}

fn find(name: &str, value: &str, place: &Place) -> Result<&'static Setting, SettingsError> {
    SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| SettingsError::Unknown {
        key: name.to_owned(),
        value: unless_secret(name, value).to_owned(),
        place: place.clone(),
    })
}

/// What the name of a setting with a secret may contain, however it is spelt.
const SECRET_WORDS: [&str; 7] = ["key", "pass", "token", "secret", "nats", "mongo", "redis"];

/// The value given under a name that may be misspelt, unless it could be a secret.
pub fn unless_secret<'a>(name: &str, value: &'a str) -> &'a str {
    let name = name.to_ascii_lowercase();
    if SECRET_WORDS.iter().any(|word| name.contains(word)) { HIDDEN } else { value }
}

fn read_file(path: &str) -> Result<String, SettingsError> {
    std::fs::read_to_string(path)
        .map_err(|error| SettingsError::File { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests;
