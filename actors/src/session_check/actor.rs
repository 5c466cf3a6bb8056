//! Asks the hubs, asks the store, tells the hubs.

use crate::{
    batcher::in_time,
    hub::Identity,
    kernel::{Actor, Clock, Context},
    route::Router,
};
use madang_protocol::{CloseCode, SessionId};
use madang_store::{AccountStore, StoreError};
use std::{sync::Arc, time::Duration};

/// What the check works with.
pub struct SessionCheckServices {
    /// To the hubs.
    pub router: Router,
    /// Knows the sessions.
    pub accounts: Arc<dyn AccountStore>,
    /// By which they expire.
    pub clock: Clock,
    /// From one look to the next.
    pub every: Duration,
}

/// What the check is told.
pub enum SessionCheckMessage {
    /// It is time to look.
    Due,
    /// Which sessions with sockets have ended.
    Looked(Result<Vec<SessionId>, StoreError>),
}

/// See the module.
pub struct SessionCheck {
    services: Arc<SessionCheckServices>,
}

impl SessionCheck {
    /// Looks for as long as the node runs.
    pub fn new(services: Arc<SessionCheckServices>) -> Self {
        Self { services }
    }

    fn looked(&self, ended: Result<Vec<SessionId>, StoreError>) {
        match ended {
            Ok(ended) => self.services.router.close_sessions(ended, CloseCode::Unauthenticated),
            Err(error) => tracing::warn!(%error, "sessions of sockets were not looked at"),
        }
    }
}

impl Actor for SessionCheck {
    type Message = SessionCheckMessage;
    const KIND: &'static str = "session_check";

    fn started(&mut self, context: &mut Context<SessionCheckMessage>) {
        context.after(self.services.every, SessionCheckMessage::Due);
    }

    fn handle(&mut self, message: SessionCheckMessage, context: &mut Context<SessionCheckMessage>) {
        match message {
            SessionCheckMessage::Due => {
                let look = in_time(look(self.services.clone()));
                context.spawn(look, SessionCheckMessage::Looked);
            }
            SessionCheckMessage::Looked(ended) => {
                self.looked(ended);
                context.after(self.services.every, SessionCheckMessage::Due);
            }
        }
    }
}

/// A session is stored before any socket can have it, so one that is not there has ended.
async fn look(services: Arc<SessionCheckServices>) -> Result<Vec<SessionId>, StoreError> {
    let sessions = services.router.sessions().await;
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let sessions = sessions.into_iter().map(|Identity { user, session }| (user, session));
    services.accounts.ended_sessions(sessions.collect(), services.clock.now()).await
}
