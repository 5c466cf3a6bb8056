//! What operators see: metrics and logs.

mod logs;
mod page;
mod recorder;

pub use logs::{LogError, start as start_logs};
pub use page::{Page, Sources};
pub use recorder::Recorder;
