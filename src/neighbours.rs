//! That no two nodes use one store without hearing each other.
//!
//! Each node keeps itself on a list in the store. One that starts and finds others there that go on,
//! while it does not hear them, does not start: their users would not hear each other.

use crate::node::StartError;
use madang_actors::homes::Homes;
use madang_store::{Neighbour, StoreControl, presence::NodeLife};
use std::{cell::Cell, collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

/// How often a node says that it goes on: often enough that one that starts need not wait for long,
/// and that a lease outlives some that fail.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a neighbour is watched. One that did not say once that it goes on has ended.
const WATCH_FOR: Duration = Duration::from_secs(3);
/// How often it is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long to try to take the node off the list. Beyond: its lease ends by itself.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// The node's place on the list, for as long as this is held.
pub(crate) struct Registration {
    control: Arc<dyn StoreControl>,
    life: NodeLife,
    renewal: AbortHandle,
    has_ended: Cell<bool>,
}

impl Registration {
    /// Comes onto the list; inside a group of local tasks. Waits while it is not clear whether
    /// somebody else goes on, but not for a store that answers errors for `patience`.
    pub(crate) async fn begin(
        control: Arc<dyn StoreControl>,
        life: NodeLife,
        homes: &Homes,
        patience: Duration,
    ) -> Result<Self, StartError> {
        if let Err(error) = come_in(&*control, &life, homes, patience).await {
            let _ = timeout(LEAVE_WITHIN, control.unregister(&life)).await;
            return Err(error);
        }
        let renewal = tokio::task::spawn_local(renew(control.clone(), life.clone()));
        let renewal = renewal.abort_handle();
        Ok(Self { control, life, renewal, has_ended: Cell::new(false) })
    }

    /// Leaves the list: from now on others may start that do not hear this node.
    pub(crate) async fn end(&self) {
        if self.has_ended.replace(true) {
            return;
        }
        self.renewal.abort();
        let left = timeout(LEAVE_WITHIN, self.control.unregister(&self.life)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!("the store was not told that the node ends; its lease will");
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(control: Arc<dyn StoreControl>, life: NodeLife) {
    loop {
        sleep(RENEW_EVERY).await;
        // What fails is tried again, and shown as the health of the store.
        let _ = control.register(&life).await;
    }
}

async fn come_in(
    control: &dyn StoreControl,
    life: &NodeLife,
    homes: &Homes,
    patience: Duration,
) -> Result<(), StartError> {
    let (began, mut watch) = (Instant::now(), Watch::default());
    loop {
        let listed = control.register(life).await;
        match listed {
            Ok(listed) => {
                let strangers = listed.into_iter().filter(|other| !is_known(other, life, homes));
                match watch.look(strangers.collect(), began.elapsed()) {
                    Verdict::Alone => return Ok(()),
                    Verdict::Stranger(node) => return Err(StartError::Neighbour { node }),
                    Verdict::Unclear => {}
                }
            }
            Err(error) if began.elapsed() > patience => return Err(StartError::List(error)),
            Err(_) => {}
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A node in a cluster knows those it hears, and that an earlier life under its name has ended or
/// will: of two that hear each other the later stays.
fn is_known(other: &Neighbour, me: &NodeLife, homes: &Homes) -> bool {
    let NodeLife { node, incarnation } = &other.life;
    let hears = || {
        let view = homes.view();
        view.nodes()
            .iter()
            .any(|peer| peer.name.as_str() == node && peer.incarnation == *incarnation)
    };
    !homes.is_alone() && (*node == me.node || hears())
}

/// What became of the neighbours that are not known.
#[derive(Default)]
struct Watch {
    /// When the lease of each ended as it was seen first.
    first: HashMap<NodeLife, i64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Alone,
    /// This node goes on.
    Stranger(String),
    Unclear,
}

impl Watch {
    fn look(&mut self, strangers: Vec<Neighbour>, watched: Duration) -> Verdict {
        if strangers.is_empty() {
            return Verdict::Alone;
        }
        let mut going_on = None;
        for Neighbour { life, until } in strangers {
            let first = *self.first.entry(life.clone()).or_insert(until);
            if until > first {
                going_on = Some(life.node);
            }
        }
        // Even one that goes on may be heard a moment later, or end.
        match going_on {
            _ if watched < WATCH_FOR => Verdict::Unclear,
            Some(node) => Verdict::Stranger(node),
            None => Verdict::Alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(node: &str, until: i64) -> Neighbour {
        Neighbour { life: NodeLife { node: node.to_owned(), incarnation: 7 }, until }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn nobody_there_is_clear_at_once() {
        assert_eq!(Watch::default().look(Vec::new(), Duration::ZERO), Verdict::Alone);
    }

    #[test]
    fn one_that_goes_on_is_a_stranger_and_one_that_does_not_has_ended() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(vec![other("a", 10), other("b", 10)], seconds(0)), Verdict::Unclear);
        assert_eq!(watch.look(vec![other("a", 10), other("b", 11)], seconds(1)), Verdict::Unclear);
        let found = watch.look(vec![other("a", 10), other("b", 12)], seconds(3));
        assert_eq!(found, Verdict::Stranger("b".to_owned()));
        assert_eq!(watch.look(vec![other("a", 10)], seconds(3)), Verdict::Alone);
    }

    #[test]
    fn one_that_leaves_need_not_be_watched_to_the_end() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(vec![other("a", 10)], seconds(0)), Verdict::Unclear);
        assert_eq!(watch.look(Vec::new(), seconds(1)), Verdict::Alone);
    }
}
