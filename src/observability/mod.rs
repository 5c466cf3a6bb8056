//! What operators see: metrics and logs.

mod logs;
mod recorder;

pub use logs::{LogError, start as start_logs};
pub use recorder::Recorder;
