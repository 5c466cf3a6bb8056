//! Why settings were refused.

/// Settings that cannot be used. Every message names the key and the value at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The settings file cannot be read, or is not TOML.
    #[error("settings file {path}: {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// There is no setting of that name.
    #[error("{key} = {value} ({place}): no such setting; `madang config` lists them all")]
    Unknown {
        /// The name as given.
        key: String,
        /// Its value.
        value: String,
        /// Where it was given.
        place: Place,
    },
    /// The value is of the wrong type or out of range.
    #[error("{key} = {value} ({place}): {reason}")]
    Unusable {
        /// The setting.
        key: &'static str,
        /// The value as given.
        value: String,
        /// Where it was given.
        place: Place,
        /// What would be usable.
        reason: String,
    },
    /// The value contradicts another one.
    #[error("{key} = {value}: {reason}")]
    Contradiction {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it contradicts, with that value.
        reason: String,
    },
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the settings file.
    File(String),
    /// In the environment.
    Environment(String),
    /// On the command line.
    Flag(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "settings file {path}"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
        }
    }
}
