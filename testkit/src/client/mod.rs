//! An independent client of a node: what an app would write against the protocol page, with plain
//! JSON values.

mod http;
mod socket;

pub use http::{Answer, Call, Http};
pub use socket::{Door, Socket};

/// A user with a session.
#[derive(Debug, Clone)]
pub struct Account {
    /// The id.
    pub user: String,
    /// The name used to log in.
    pub username: String,
    /// The bearer token of the newest login.
    pub token: String,
}

/// The password of every user the kit signs up.
pub const PASSWORD: &str = "correct horse battery";

/// The text of a field that must be one.
///
/// # Panics
/// When it is missing or no text, showing the whole value.
pub fn text<'a>(value: &'a serde_json::Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {value}"))
}

/// The number of a field that must be one.
///
/// # Panics
/// When it is missing or no number, showing the whole value.
pub fn number(value: &serde_json::Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("no number {field:?} in {value}"))
}

/// The items of a field that must be a list.
///
/// # Panics
/// When it is missing or no list, showing the whole value.
pub fn list<'a>(value: &'a serde_json::Value, field: &str) -> &'a [serde_json::Value] {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field:?} in {value}"))
}
