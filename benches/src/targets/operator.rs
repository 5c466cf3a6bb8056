//! What an operator may do with a node that runs.

use super::{Http, Launch, Node};
use crate::error::{Doing, Done};
use madang_servers::free_address;
use serde_json::json;
use std::net::SocketAddr;

/// Speaks to the operators' address of a node.
#[derive(Debug)]
pub struct Operator {
    http: Http,
    token: String,
}

impl Operator {
    /// Nodes started like this listen to operators at that address: one at a time.
    pub fn allow(launch: &Launch) -> (Launch, SocketAddr) {
        let address = free_address();
        (launch.clone().with("admin-listen", address), address)
    }

    /// Reaches one that does.
    ///
    /// # Errors
    /// When it does not listen, or its token cannot be read.
    pub fn reach(node: &Node, address: SocketAddr) -> Done<Self> {
        let file = node.child().directory().join("data/admin-token");
        let token = std::fs::read_to_string(&file);
        let token = token.doing(|| format!("reading {}", file.display()))?;
        Ok(Self { http: Http::connect(address)?, token: token.trim().to_owned() })
    }

    /// Switches something on or off.
    ///
    /// # Errors
    /// When there is no such switch.
    pub fn switch(&mut self, name: &str, is_on: bool) -> Done<()> {
        self.http.post("/admin/switches", &self.token, &json!({ name: is_on })).map(drop)
    }
}
