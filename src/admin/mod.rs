//! What an operator may see and do while the node runs, over HTTP on an address of its own
//! (`edge::http` has the paths): the tree of actors, switches, a drain. All of it asks for the
//! token in the data directory.

mod token;
mod tree;

pub use token::{FILE as TOKEN_FILE, TokenError};

use madang_actors::{kernel::Supervisor, switches::Switches};
use serde::Serialize;
use std::{path::Path, sync::Arc};
use token::AdminToken;
use tokio::sync::mpsc;

/// The operator's side of a node.
pub struct Admin {
    token: AdminToken,
    root: Supervisor,
    switches: Arc<Switches>,
    drain: mpsc::Sender<()>,
}

impl Admin {
    /// For the token of this data directory, which is made if there is none. `drain` has place for
    /// one wish: further ones change nothing.
    pub fn new(
        data_dir: &Path,
        root: Supervisor,
        switches: Arc<Switches>,
        drain: mpsc::Sender<()>,
    ) -> Result<Self, TokenError> {
        Ok(Self { token: AdminToken::in_directory(data_dir)?, root, switches, drain })
    }

    /// Whether this is the operator's token.
    pub fn knows(&self, token: &str) -> bool {
        self.token.is(token)
    }

    /// The switches.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// The tree of actors as it is now, to be shown. `None`: the node is ending.
    pub async fn tree(&self) -> Option<impl Serialize + use<>> {
        let root = self.root.clone();
        // It looks at every room: not on a thread that holds connections.
        tokio::task::spawn_blocking(move || tree::Tree::from(root.tree())).await.ok()
    }

    /// Lets the node drain and end, as on SIGTERM. Again: nothing.
    pub fn drain(&self) {
        let _ = self.drain.try_send(());
    }
}
