//! What lives whoever dies: messages and commands that are on their way between machines.

use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio::{sync::mpsc, time::sleep};

/// Things on their way at once: far more than a world has.
const UNDER_WAY_MAX: usize = 65_536;

/// Carries things out in the group of tasks of the world itself. Cloning shares it.
#[derive(Clone)]
pub(super) struct Outside(mpsc::Sender<BoxFuture<'static, ()>>);

impl Outside {
    /// Call it where no node is.
    pub(super) fn start() -> Self {
        let (sender, mut receiver) = mpsc::channel::<BoxFuture<'static, ()>>(UNDER_WAY_MAX);
        tokio::task::spawn_local(async move {
            while let Some(task) = receiver.recv().await {
                tokio::task::spawn_local(task);
            }
        });
        Self(sender)
    }

    /// Carries it out, whoever asks.
    pub(super) fn run(&self, task: BoxFuture<'static, ()>) {
        assert!(self.0.try_send(task).is_ok(), "a world has fewer things under way");
    }

    /// Does something after a while.
    pub(super) fn later(&self, after: Duration, act: impl FnOnce() + Send + 'static) {
        self.run(Box::pin(async move {
            sleep(after).await;
            act();
        }));
    }
}
