//! The scene most tests begin with: a node, two users, a private room of both.

use crate::{Account, Http, Launch, Node, Socket};
use std::net::SocketAddr;

/// Two users who share a room on a node of their own.
#[derive(Debug)]
pub struct Stage {
    /// The node.
    pub node: Node,
    /// A client of it.
    pub http: Http,
    /// Owner of the room.
    pub ann: Account,
    /// Its other member.
    pub ben: Account,
    /// A private group.
    pub room: String,
}

impl Stage {
    /// Starts the node and sets the scene.
    pub async fn set(launch: Launch) -> Self {
        Self::on(launch.start().await).await
    }

    /// Sets the scene on a node that knows neither of the two.
    pub async fn on(node: Node) -> Self {
        let http = node.http();
        let (ann, ben) = tokio::join!(http.signup("ann"), http.signup("ben"));
        let room = http.make_group(&ann, "courtyard", &[&ben]).await;
        Self { node, http, ann, ben, room }
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// A connection of this user, past `hello`, subscribed to everything.
    pub async fn join(&self, account: &Account) -> Socket {
        Socket::join(self.address(), account).await
    }

    /// Connections of both users.
    pub async fn both(&self) -> (Socket, Socket) {
        tokio::join!(self.join(&self.ann), self.join(&self.ben))
    }

    /// Sends `count` messages of one user, pipelined over one connection; `m1`, `m2`, ... are
    /// their client ids and bodies.
    pub async fn fill(&self, sender: &Account, count: u64) {
        let mut socket = Socket::open(self.address()).await;
        socket.hello(&sender.token, Some(serde_json::json!([]))).await;
        let mut begun = std::collections::VecDeque::new();
        for number in 1..=count {
            let name = format!("m{number}");
            let fields = serde_json::json!({"room": self.room, "client_id": name, "body": name});
            begun.push_back(socket.begin("send", fields).await);
            if begun.len() == FILL_IN_FLIGHT {
                let id = begun.pop_front().expect("just counted");
                assert_eq!(socket.answer(id).await["op"], "ok");
            }
        }
        for id in begun {
            assert_eq!(socket.answer(id).await["op"], "ok");
        }
    }
}

/// Below the 32 unanswered sends a connection may have.
const FILL_IN_FLIGHT: usize = 30;
