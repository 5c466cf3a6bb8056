//! A client: asks for all kinds of things at all times, tries again what was not answered, comes
//! back and resumes.

mod acts;
mod hears;

use super::{
    Phase, Scene,
    link::{ClientEnd, Frame},
    observation::{Ask, EndOfClient, Held, LinkId, Observation},
};
use fastrand::Rng;
use madang_protocol::{ClientId, Place, RoomId, UserId};
use serde_json::{Value, json};
use std::{cell::RefCell, collections::BTreeMap, future::pending, rc::Rc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// Wait before a send that failed is tried again, about.
const RETRY_MS: u64 = 300;
/// Sends under way at most: the node's bound is 32.
const IN_FLIGHT_MAX: usize = 24;

/// See the module.
pub(super) struct Client {
    scene: Rc<Scene>,
    rng: Rng,
    user: UserId,
    /// Tells its messages from those of the same user's other clients.
    device: usize,
    link: Option<Link>,
    held: BTreeMap<RoomId, Held>,
    /// Wants every room of its user, by its last `hello`.
    wants_all: bool,
    unsent: Vec<Unsent>,
    sent: u64,
    next_id: u64,
    /// Does not read until then.
    naps_until: Option<Instant>,
    acts_at: Instant,
}

struct Link {
    id: LinkId,
    end: Rc<ClientEnd>,
    /// `hello` was answered.
    is_live: bool,
    asked: BTreeMap<u64, Asked>,
    /// What it receives on this link.
    rooms: Vec<RoomId>,
}

struct Asked {
    ask: Ask,
    /// For `hello` and `subscribe`: where from.
    wished: BTreeMap<RoomId, Place>,
}

/// A message that is not known to be committed, nor refused for good.
struct Unsent {
    room: RoomId,
    client_id: ClientId,
    body: String,
    reply_to: Option<u64>,
    is_first: bool,
    is_out: bool,
    due: Instant,
}

impl Client {
    pub(super) fn new(scene: Rc<Scene>, user: UserId, device: usize, seed: u64) -> Self {
        Self {
            scene,
            rng: Rng::with_seed(seed),
            user,
            device,
            link: None,
            held: BTreeMap::new(),
            wants_all: true,
            unsent: Vec::new(),
            sent: 0,
            next_id: 0,
            naps_until: None,
            acts_at: Instant::now(),
        }
    }

    /// How it is now.
    pub(super) fn end(&self) -> EndOfClient {
        let link = self.link.as_ref().filter(|link| link.is_live);
        let receives = |room: &RoomId| link.is_some_and(|link| link.rooms.contains(room));
        let rooms = self.held.iter().filter(|(room, _)| receives(room));
        let asked = self.link.iter().flat_map(|link| link.asked.values());
        EndOfClient {
            link: link.map(|link| link.id),
            user: self.user,
            wants_all: self.wants_all,
            rooms: rooms.map(|(room, held)| (*room, held.clone())).collect(),
            unanswered: asked.map(|asked| asked.ask.clone()).collect(),
            unsent: self.unsent.iter().map(|unsent| unsent.client_id.clone()).collect(),
        }
    }

    fn note(&self, seen: Observation) {
        self.scene.ground.recorder.note(seen);
    }

    /// Waits for what comes: something to read, or its own time to act.
    fn next(&self) -> (Option<Rc<ClientEnd>>, Instant) {
        let end = self.link.as_ref().map(|link| link.end.clone());
        match self.naps_until {
            Some(until) => (None, until),
            None => (end, self.acts_at),
        }
    }

    /// Its time has come.
    fn act(&mut self) {
        if self.naps_until.take().is_some() {
            if let Some(link) = &self.link {
                self.note(Observation::Naps(link.id, false));
            }
            return;
        }
        let is_acting = self.scene.phase.get() == Phase::Acting;
        let pause_ms = if is_acting { self.rng.u64(5..300) * self.scene.plan.pace } else { 100 };
        self.acts_at = Instant::now() + Duration::from_millis(pause_ms);
        match &self.link {
            None => self.connect(),
            Some(link) if !link.is_live => {
                if link.asked.is_empty() {
                    self.hello(); // the last one failed
                }
            }
            Some(_) => {
                self.send_due();
                if is_acting {
                    self.do_something();
                }
            }
        }
    }

    fn connect(&mut self) {
        let Some((node, end)) = self.scene.connect(&mut self.rng) else {
            return; // it is not up
        };
        let id = self.scene.next_link();
        let (asked, rooms) = (BTreeMap::new(), Vec::new());
        self.link = Some(Link { id, end: Rc::new(end), is_live: false, asked, rooms });
        self.note(Observation::Opened(id, self.user, node));
        self.hello();
    }

    fn hello(&mut self) {
        self.wants_all = self.held.is_empty() || self.rng.u32(0..10) < 2;
        let mut wished = BTreeMap::new();
        let subscribe = if self.wants_all {
            json!("all")
        } else {
            wished.extend(self.held.iter().map(|(room, held)| (*room, held.place)));
            wished.iter().map(|(room, place)| subscription(*room, Some(*place))).collect()
        };
        let frame = json!({"op": "hello", "token": self.user.to_string(), "subscribe": subscribe});
        self.ask(Ask::Hello, frame, wished);
    }

    /// Sends what was not sent yet, or has to be tried again, in the order it was made.
    fn send_due(&mut self) {
        let now = Instant::now();
        let mut room_left =
            IN_FLIGHT_MAX.saturating_sub(self.unsent.iter().filter(|unsent| unsent.is_out).count());
        for place in 0..self.unsent.len() {
            let unsent = &mut self.unsent[place];
            if unsent.is_out || unsent.due > now || room_left == 0 {
                continue;
            }
            room_left -= 1;
            unsent.is_out = true;
            let is_first = std::mem::take(&mut unsent.is_first);
            let Unsent { room, client_id, body, reply_to, .. } = unsent;
            let mut frame = json!({
                "op": "send", "room": room.to_string(), "client_id": client_id.as_str(), "body": body,
            });
            if let Some(seq) = reply_to {
                frame["reply_to"] = json!(seq);
            }
            let ask = Ask::Send(*room, client_id.clone(), is_first);
            self.ask(ask, frame, BTreeMap::new());
        }
    }

    fn ask(&mut self, ask: Ask, mut frame: Value, wished: BTreeMap<RoomId, Place>) {
        self.next_id += 1;
        let id = self.next_id;
        frame["id"] = json!(id);
        let Some(link) = &mut self.link else { return };
        link.asked.insert(id, Asked { ask: ask.clone(), wished });
        let (link, end) = (link.id, link.end.clone());
        self.note(Observation::Asked(link, id, ask));
        end.say(frame.to_string());
    }

    /// Breaks the link off, without a word.
    fn hang_up(&mut self) {
        if let Some(link) = self.link.take() {
            self.note(Observation::HungUp(link.id));
            self.lost();
        }
    }

    /// The link is gone: what was under way has to be tried again.
    fn lost(&mut self) {
        self.naps_until = None;
        for unsent in &mut self.unsent {
            unsent.is_out = false;
            unsent.due = Instant::now();
        }
        let pause = Duration::from_millis(self.rng.u64(0..500));
        self.acts_at = Instant::now() + pause;
    }

    /// Reads all that is there.
    fn read(&mut self) {
        while let Some(link) = &self.link {
            let (id, end) = (link.id, link.end.clone());
            match end.take() {
                Some(Frame::Text(text)) => self.hear(&text),
                Some(Frame::Ping) => end.pong(),
                Some(Frame::Close(code)) => {
                    end.close();
                    self.closed(id, Some(code));
                }
                Some(Frame::Broken) => {
                    self.scene.ground.recorder.fail("framing", "the node broke the framing".into());
                    return self.closed(id, None);
                }
                None if end.is_over() => self.closed(id, None),
                None => return,
            }
        }
    }

    fn closed(&mut self, link: LinkId, code: Option<u16>) {
        self.link = None;
        self.note(Observation::Closed(link, code));
        self.lost();
    }
}

/// Lives as long as the world.
pub(super) async fn live(client: Rc<RefCell<Client>>) {
    loop {
        let (end, at) = client.borrow().next();
        let readable = async {
            match end {
                Some(end) => end.readable().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = readable => {
                let delay = Duration::from_micros(client.borrow_mut().rng.u64(0..4_000));
                sleep(delay).await;
                client.borrow_mut().read();
            }
            () = sleep_until(at) => client.borrow_mut().act(),
        }
    }
}

/// How a room is named in `hello` and `subscribe`.
fn subscription(room: RoomId, after: Option<Place>) -> Value {
    match after {
        Some(Place { seq, rev }) => {
            json!({"room": room.to_string(), "after_seq": seq, "after_rev": rev})
        }
        None => json!({"room": room.to_string()}),
    }
}
