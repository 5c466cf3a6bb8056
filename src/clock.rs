//! The wall clock, as an argument: what reads the time can be tested at any time.

use madang_protocol::Millis;

/// Where the time comes from.
pub type Clock = fn() -> Millis;

/// The machine's clock, milliseconds since the Unix epoch; 0 for one set before it.
pub fn system() -> Millis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
