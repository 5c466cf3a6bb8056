//! What is said to all.

use super::{LOOK_AGAIN, until};
use crate::{
    Bus, Peer,
    bus::{Hear, Heard, Topic},
};
use bytes::Bytes;
use std::sync::{Arc, Mutex};

type Said = Arc<Mutex<Vec<(Peer, Topic, Bytes)>>>;

/// The one that says it hears itself as all hear it, in the order in which it said it.
pub(super) async fn are_heard_by_all(ends: &[impl Bus]) {
    let said: Vec<Said> = ends.iter().map(|_| Said::default()).collect();
    let _hearing: Vec<_> =
        ends.iter().zip(&said).map(|(end, said)| end.hear(record(said))).collect();
    for end in ends {
        end.announce(Topic::Notice, Bytes::from_static(b"one"));
        end.announce(Topic::Notice, Bytes::from_static(b"two"));
        end.announce(Topic::Heartbeat, Bytes::new());
    }
    for said in &said {
        until("all is heard", || said.lock().expect("no panic").len() == 3 * ends.len()).await;
        for end in ends {
            let (me, all) = (end.me(), said.lock().expect("no panic"));
            let notices =
                all.iter().filter(|(from, topic, _)| (from, *topic) == (me, Topic::Notice));
            assert_eq!(notices.map(|(_, _, body)| body).collect::<Vec<_>>(), ["one", "two"]);
            assert!(all.contains(&(me.clone(), Topic::Heartbeat, Bytes::new())));
        }
    }
}

/// The incarnation says which life it was.
pub(super) async fn tell_two_lives_apart(ends: &[impl Bus]) {
    let [old, new] = ends else { panic!("two ends") };
    let said = Said::default();
    let _hearing = old.hear(record(&said));
    old.announce(Topic::Heartbeat, Bytes::new());
    new.announce(Topic::Heartbeat, Bytes::new());
    until("both are heard", || said.lock().expect("no panic").len() == 2).await;
    let said = said.lock().expect("no panic");
    for end in ends {
        assert!(said.iter().any(|(from, ..)| from == end.me()), "{said:?}");
    }
}

/// Who does not listen any more is not called any more.
pub(super) async fn end_with_their_subscription(ends: &[impl Bus]) {
    let [end] = ends else { panic!("one end") };
    let (gone, here) = (Said::default(), Said::default());
    let hearing = end.hear(record(&gone));
    let _here = end.hear(record(&here));
    drop(hearing);
    end.announce(Topic::Notice, Bytes::new());
    until("it is heard", || !here.lock().expect("no panic").is_empty()).await;
    tokio::time::sleep(LOOK_AGAIN).await;
    assert!(gone.lock().expect("no panic").is_empty());
}

fn record(said: &Said) -> Hear {
    let said = said.clone();
    Box::new(move |heard| {
        if let Heard::Said { from, topic, body } = heard {
            said.lock().expect("no panic").push((from, topic, body));
        }
    })
}
