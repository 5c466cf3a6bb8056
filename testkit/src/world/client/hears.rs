//! What a client hears, and what it makes of it.

use super::{Client, RETRY_MS};
use crate::world::observation::{Answer, Ask, Held, Observation, Seen};
use madang_protocol::{Place, RoomId};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

impl Client {
    pub(super) fn hear(&mut self, text: &[u8]) {
        let Ok(frame) = serde_json::from_slice::<Value>(text) else {
            return self.scene.ground.recorder.fail("framing", "the node says no JSON".into());
        };
        let op = frame["op"].as_str().unwrap_or_default().to_owned();
        match op.as_str() {
            "ok" | "error" => self.answered(&op, &frame),
            "message" => self.message(&frame),
            "changed" => self.changed(&frame),
            "member" => self.member(&frame),
            _ => self.other(op),
        }
    }

    fn other(&self, op: String) {
        if let Some(link) = &self.link {
            self.note(Observation::Other(link.id, op));
        }
    }

    fn answered(&mut self, op: &str, frame: &Value) {
        let Some(link) = &mut self.link else { return };
        let (id, link_id) = (frame["id"].as_u64().unwrap_or_default(), link.id);
        let Some(asked) = link.asked.remove(&id) else {
            let what = format!("an answer to nothing, or a second one: {frame}");
            return self.scene.ground.recorder.fail("answers", what);
        };
        let number = |name: &str| frame[name].as_u64();
        let answer = if op == "ok" {
            let messages = frame["messages"].as_array().into_iter().flatten();
            Answer::Ok {
                seq: number("seq"),
                rev: number("rev"),
                read_seq: number("read_seq"),
                duplicate: frame["duplicate"].as_bool().unwrap_or_default(),
                messages: messages.filter_map(seen).collect(),
            }
        } else {
            Answer::Error(frame["code"].as_str().unwrap_or_default().to_owned())
        };
        self.note(Observation::Answered(link_id, id, answer.clone()));
        match (&asked.ask, &answer) {
            (Ask::Hello, Answer::Ok { .. }) => self.entered(frame, &asked.wished),
            (Ask::Subscribe(room), Answer::Ok { .. }) => {
                self.began(*room, asked.wished.get(room).copied(), frame);
            }
            (Ask::Unsubscribe(room), Answer::Ok { .. }) => self.left(*room),
            (Ask::Send(_, client_id, _), answer) => self.sent(client_id.as_str(), answer),
            _ => {}
        }
    }

    /// A message is settled, or has to be tried again.
    fn sent(&mut self, client_id: &str, answer: &Answer) {
        let place = self.unsent.iter().position(|unsent| unsent.client_id.as_str() == client_id);
        let Some(place) = place else { return };
        let may_pass = match answer {
            Answer::Ok { .. } => false,
            Answer::Error(code) => {
                ["unavailable", "overloaded", "rate_limited", "internal"].contains(&code.as_str())
            }
        };
        if may_pass {
            let wait = Duration::from_millis(self.rng.u64(0..2 * RETRY_MS));
            let unsent = &mut self.unsent[place];
            (unsent.is_out, unsent.due) = (false, Instant::now() + wait);
        } else {
            self.unsent.remove(place);
        }
    }

    fn entered(&mut self, frame: &Value, wished: &BTreeMap<RoomId, Place>) {
        if let Some(link) = &mut self.link {
            link.is_live = true;
        }
        let before = std::mem::take(&mut self.held);
        for entry in frame["rooms"].as_array().into_iter().flatten() {
            let Some(room) = room_of(entry) else { continue };
            if entry["error"].is_string() {
                continue; // out of it, for all it knows
            }
            if let Some(held) = before.get(&room) {
                self.held.insert(room, held.clone());
            }
            self.began(room, wished.get(&room).copied(), entry);
        }
    }

    /// It receives a room from now on, after `wished`, or after its present.
    fn began(&mut self, room: RoomId, wished: Option<Place>, entry: &Value) {
        let number = |name: &str| entry[name].as_u64().unwrap_or_default();
        let Some(link) = &mut self.link else { return };
        let is_new = !link.rooms.contains(&room);
        if wished.is_none() && !is_new {
            return; // nothing changes
        }
        if is_new {
            link.rooms.push(room);
        }
        let present = Place { seq: number("last_seq"), rev: number("last_rev") };
        let mut held = match (wished, self.held.remove(&room)) {
            // What came since it asked is not what it asked for.
            (Some(place), Some(held)) => Held { place, ..held },
            (place, _) => Held { place: place.unwrap_or(present), messages: BTreeMap::new() },
        };
        held.messages.retain(|seq, _| *seq <= held.place.seq);
        if let Some(from) = entry["replay_from"].as_u64() {
            held = Held { place: Place { seq: from - 1, ..held.place }, messages: BTreeMap::new() };
        }
        if entry["truncated_changes"].as_bool() == Some(true) {
            held.messages.clear(); // to be read again
        }
        let (link, place) = (link.id, held.place);
        self.held.insert(room, held);
        self.note(Observation::Began(link, room, place));
    }

    fn left(&mut self, room: RoomId) {
        let Some(link) = &mut self.link else { return };
        if let Some(place) = link.rooms.iter().position(|other| *other == room) {
            link.rooms.remove(place);
            let link = link.id;
            self.note(Observation::Ended(link, room));
        }
    }

    fn message(&mut self, frame: &Value) {
        let (Some(seen), Some(link)) = (seen(frame), &self.link) else { return };
        self.note(Observation::Message(link.id, seen.clone()));
        if let Some(held) = self.received(seen.room) {
            held.place.seq = held.place.seq.max(seen.seq);
            held.messages.insert(seen.seq, seen);
        }
    }

    fn changed(&mut self, frame: &Value) {
        let (Some(seen), Some(link)) = (seen(frame), &self.link) else { return };
        self.note(Observation::ChangedMessage(link.id, seen.clone()));
        if let Some(held) = self.received(seen.room) {
            held.place.rev = held.place.rev.max(seen.rev);
            if let Some(known) = held.messages.get_mut(&seen.seq) {
                *known = seen;
            }
        }
    }

    /// What it has of a room that it receives now.
    fn received(&mut self, room: RoomId) -> Option<&mut Held> {
        let is_received = self.link.as_ref().is_some_and(|link| link.rooms.contains(&room));
        if is_received { self.held.get_mut(&room) } else { None }
    }

    fn member(&mut self, frame: &Value) {
        let Some(room) = room_of(frame) else { return };
        let is_me = frame["user"].as_str() == Some(&self.user.to_string());
        match frame["change"].as_str() {
            Some("left" | "removed") if is_me => {
                self.left(room);
                self.held.remove(&room);
                if let Some(link) = &self.link {
                    self.note(Observation::Out(link.id, room));
                }
            }
            Some("joined") if is_me && frame["last_seq"].is_u64() => {
                self.left(room); // its present membership began just now
                self.held.remove(&room);
                self.began(room, None, frame);
            }
            _ => self.other("member".into()),
        }
    }
}

fn room_of(value: &Value) -> Option<RoomId> {
    value["room"].as_str()?.parse().ok()
}

fn seen(value: &Value) -> Option<Seen> {
    let reactions = value["reactions"].as_object().into_iter().flatten();
    Some(Seen {
        room: room_of(value)?,
        seq: value["seq"].as_u64()?,
        sender: value["sender"].as_str()?.parse().ok()?,
        body: value["body"].as_str()?.to_owned(),
        rev: value["rev"].as_u64().unwrap_or_default(),
        deleted: value["deleted"].as_bool().unwrap_or_default(),
        reactions: reactions
            .map(|(kind, count)| (kind.clone(), count.as_u64().unwrap_or(0)))
            .collect(),
        client_id: value["client_id"].as_str().map(str::to_owned),
    })
}
