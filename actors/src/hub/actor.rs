//! A hub as an actor: jobs in, a flush at the end of each turn.

use super::{HubLimits, HubMessage, INBOX_BOUND, JOBS_MAX, local::LocalHub};
use crate::{
    batcher::Connected,
    kernel::{Actor, Address, Arbiter, Context, Exhausted, Supervisor, start_supervised_with},
    metrics::Metrics,
};
use std::{
    sync::Arc,
    task::{self, Poll},
};
use tokio::time::Instant;

/// Starts the hub of an arbiter. `on_arbiter` gets its local side, on that thread, once: it
/// outlives restarts.
pub fn start(
    arbiter: &Arbiter,
    supervisor: &Supervisor,
    index: usize,
    limits: HubLimits,
    metrics: Arc<Metrics>,
    connected: Connected,
    on_arbiter: impl FnOnce(LocalHub) + Send + 'static,
) -> Address<HubMessage> {
    start_supervised_with(arbiter, INBOX_BOUND, supervisor, Exhausted::Escalate, move || {
        let local = LocalHub::new(index, limits, metrics, connected);
        on_arbiter(local.clone());
        move |_: &Address<HubMessage>| {
            local.core().reset();
            Hub { local: local.clone() }
        }
    })
}

/// See the module.
struct Hub {
    local: LocalHub,
}

impl Actor for Hub {
    type Message = HubMessage;
    const KIND: &'static str = "hub";

    fn started(&mut self, context: &mut Context<HubMessage>) {
        context.after(self.local.core().liveness.tick(), HubMessage::Tick);
    }

    fn handle(&mut self, message: HubMessage, context: &mut Context<HubMessage>) {
        let mut core = self.local.core();
        match core.jobs.add(message) {
            Some(HubMessage::EndSessions(sessions, code)) => core.end_sessions(&sessions, code),
            Some(HubMessage::Joined(joined)) => core.joined(&joined),
            Some(HubMessage::WhoWantsAll(reply)) => reply.send(core.who_want_all()),
            Some(HubMessage::Found(rooms_of)) => core.found(&rooms_of),
            Some(HubMessage::Sessions(reply)) => reply.send(core.identities()),
            Some(HubMessage::Goaway(within)) => core.goaway(within, Instant::now()),
            Some(HubMessage::Tick) => {
                core.tick(Instant::now());
                context.after(core.liveness.tick(), HubMessage::Tick);
            }
            _ => {}
        }
    }

    fn is_ready(&self) -> bool {
        self.local.core().jobs.waiting() < JOBS_MAX
    }

    fn poll_input(
        &mut self,
        task: &mut task::Context<'_>,
        _context: &mut Context<HubMessage>,
    ) -> Poll<()> {
        let mut core = self.local.core();
        let writable = core.ready.take(task.waker());
        core.unblock(writable);
        Poll::Pending
    }

    fn turn_ended(&mut self, context: &mut Context<HubMessage>) {
        let mut core = self.local.core();
        let is_behind = core.work();
        if core.flush() || is_behind {
            context.yield_turn();
        }
        let index = core.index;
        core.jobs.report_left(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batcher::LastSeen;
    use madang_protocol::RoomId;
    use std::time::Duration;

    #[test]
    fn so_many_jobs_are_taken_in_and_the_others_wait_in_the_inbox() {
        let limits = HubLimits {
            outbox_bytes_max: 0,
            outbox_frames_max: 0,
            heartbeat: Duration::from_secs(1),
            hello_timeout: Duration::from_secs(1),
        };
        let connected = Connected::new(LastSeen::off());
        let hub = Hub { local: LocalHub::new(0, limits, Arc::new(Metrics::new()), connected) };
        for _ in 0..JOBS_MAX {
            assert!(hub.is_ready());
            hub.local.core().jobs.add(HubMessage::Recheck(RoomId([1; 15])));
        }
        assert!(!hub.is_ready());
        hub.local.core().work();
        assert!(hub.is_ready());
    }
}
