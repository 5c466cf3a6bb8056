//! Operations that are told to those who listen.

use super::{Answer, ConnectionActor, ConnectionMessage};
use crate::{
    connection::logic::{Effect, Live},
    kernel::Context,
};

impl ConnectionActor {
    pub(super) fn live(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        match self.hub.delivered(self.slot, live.room()) {
            Some(_) => self.logic.live(id, live, effects),
            None => self.logic.ask_live(id, live, effects),
        }
    }

    pub(super) fn ask_live(
        &self,
        id: Option<u64>,
        live: Live,
        context: &mut Context<ConnectionMessage>,
    ) {
        let access = self.access(live.room());
        context
            .spawn(access, move |access| ConnectionMessage::Answer(Answer::Live(id, live, access)));
    }
}
