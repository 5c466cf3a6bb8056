//! Opening a store.

use crate::{AccountStore, MessageLog, RoomStore};
use std::{path::PathBuf, sync::Arc};

/// Everything a node keeps, behind its traits. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    /// Messages.
    pub log: Arc<dyn MessageLog>,
    /// Rooms and members.
    pub rooms: Arc<dyn RoomStore>,
    /// Users and sessions.
    pub accounts: Arc<dyn AccountStore>,
}
