//! What a client does of its own accord.

use super::{Client, Unsent, subscription};
use crate::world::observation::{Ask, Observation};
use madang_protocol::{ClientId, Emoji, RoomId};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// What users react with. Each client has its own first one.
const EMOJIS: [&str; 4] = ["+1", "heart", "eyes", "party"];

impl Client {
    /// One thing, by chance.
    pub(super) fn do_something(&mut self) {
        let plan = &self.scene.plan;
        let (cuts, naps) = (plan.cuts, plan.naps);
        let drawn = self.rng.u32(0..1_000);
        if drawn < cuts {
            return self.hang_up();
        }
        if drawn < cuts + naps {
            return self.nap();
        }
        match self.rng.u32(0..100) {
            0..45 => self.write(),
            45..57 => self.change(),
            57..67 => self.react(),
            67..77 => self.read_up_to(),
            77..82 => self.history(),
            82..86 => self.subscribe(),
            86..88 => self.unsubscribe(),
            88..95 => self.live_word(),
            _ => self.ask(Ask::Ping, json!({"op": "ping"}), BTreeMap::new()),
        }
    }

    fn nap(&mut self) {
        let time = Duration::from_millis(self.rng.u64(200..4_000));
        self.naps_until = Some(Instant::now() + time);
        if let Some(link) = &self.link {
            self.note(Observation::Naps(link.id, true));
        }
    }

    /// One or several messages at once, mostly to a room that it receives.
    fn write(&mut self) {
        let count = if self.rng.u32(0..5) == 0 { self.rng.u64(2..8) } else { 1 };
        let Some(room) = self.some_room() else { return };
        for _ in 0..count {
            self.sent += 1;
            let name = format!("{}-{}-{}", self.user.0[0], self.device, self.sent);
            let client_id = ClientId::new(&name).expect("short");
            let width = if self.rng.u32(0..20) == 0 { 4_000 } else { self.rng.usize(0..60) };
            let newest = self.held.get(&room).map_or(0, |held| held.place.seq);
            let replies = newest > 0 && self.rng.u32(0..10) == 0;
            self.unsent.push(Unsent {
                room,
                client_id,
                body: format!("{name} {}", "x".repeat(width)),
                reply_to: replies.then(|| self.rng.u64(1..=newest)),
                is_first: true,
                is_out: false,
                due: Instant::now(),
            });
        }
        self.send_due();
    }

    /// Edits or deletes, mostly something of its own.
    fn change(&mut self) {
        let of_others = self.rng.u32(0..10) == 0;
        let Some((room, seq)) = self.some_message(!of_others) else { return };
        let (place, ask) = (place(room, seq), Ask::Change(room, seq));
        let frame = if self.rng.u32(0..4) == 0 {
            merged(json!({"op": "delete"}), place)
        } else {
            let body = format!("edited {} by {}", self.next_id, self.device);
            merged(json!({"op": "edit", "body": body}), place)
        };
        self.ask(ask, frame, BTreeMap::new());
    }

    fn react(&mut self) {
        let Some((room, seq)) = self.some_message(false) else { return };
        let (text, on) = (EMOJIS[self.rng.usize(0..EMOJIS.len())], self.rng.u32(0..3) > 0);
        let emoji = Emoji::new(text).expect("short");
        let frame = merged(json!({"op": "react", "emoji": text, "on": on}), place(room, seq));
        self.ask(Ask::React(room, seq, emoji, on), frame, BTreeMap::new());
    }

    /// Says how far it has read: mostly all, sometimes less than it said before.
    fn read_up_to(&mut self) {
        let Some(room) = self.received_room() else { return };
        let newest = self.held.get(&room).map_or(0, |held| held.place.seq);
        if newest == 0 {
            return;
        }
        let seq = if self.rng.bool() { newest } else { self.rng.u64(1..=newest) };
        let frame = merged(json!({"op": "read"}), place(room, seq));
        self.ask(Ask::Read(room, seq), frame, BTreeMap::new());
    }

    fn history(&mut self) {
        let Some(room) = self.some_room() else { return };
        let newest = self.held.get(&room).map_or(0, |held| held.place.seq);
        let mut frame =
            json!({"op": "history", "room": room.to_string(), "limit": self.rng.u32(1..50)});
        match self.rng.u32(0..3) {
            0 => frame["after"] = json!(self.rng.u64(0..=newest)),
            1 => frame["before"] = json!(self.rng.u64(1..=newest + 1)),
            _ => {}
        }
        self.ask(Ask::History(room), frame, BTreeMap::new());
    }

    /// Begins to receive a room, or begins again: where it is, or at the present.
    fn subscribe(&mut self) {
        let Some(room) = self.some_room() else { return };
        let is_received = self.link.as_ref().is_some_and(|link| link.rooms.contains(&room));
        let place = self.held.get(&room).map(|held| held.place);
        let place = place.filter(|_| is_received || self.rng.bool());
        let frame = merged(json!({"op": "subscribe"}), subscription(room, place));
        let wished = place.into_iter().map(|place| (room, place)).collect();
        self.ask(Ask::Subscribe(room), frame, wished);
    }

    fn unsubscribe(&mut self) {
        // One that wants all its rooms keeps them, so that the end can tell which it lacks.
        if self.wants_all {
            return;
        }
        let Some(room) = self.received_room() else { return };
        let frame = json!({"op": "unsubscribe", "room": room.to_string()});
        self.ask(Ask::Unsubscribe(room), frame, BTreeMap::new());
    }

    /// Something that nobody keeps.
    fn live_word(&mut self) {
        let Some(room) = self.some_room() else { return };
        let text = room.to_string();
        let frame = match self.rng.u32(0..3) {
            0 => json!({"op": "typing", "room": text, "on": self.rng.bool()}),
            1 => json!({"op": "signal", "room": text, "data": "wave"}),
            _ => json!({"op": "presence", "room": text}),
        };
        self.ask(Ask::Live(room), frame, BTreeMap::new());
    }

    /// Mostly one it receives; else any, whether it may or not.
    fn some_room(&mut self) -> Option<RoomId> {
        let received = self.received_room();
        if received.is_some() && self.rng.u32(0..10) > 0 {
            return received;
        }
        let rooms = &self.scene.rooms;
        Some(rooms[self.rng.usize(0..rooms.len())])
    }

    fn received_room(&mut self) -> Option<RoomId> {
        let rooms = &self.link.as_ref()?.rooms;
        let count = rooms.len();
        (count > 0).then(|| rooms[self.rng.usize(0..count)])
    }

    /// A late message that it has, of its own or anybody's.
    fn some_message(&mut self, own: bool) -> Option<(RoomId, u64)> {
        let room = self.received_room()?;
        let late = self.held.get(&room)?.messages.values().rev().take(30);
        let fitting: Vec<u64> = late
            .filter(|message| !own || message.sender == self.user)
            .map(|message| message.seq)
            .collect();
        (!fitting.is_empty()).then(|| (room, fitting[self.rng.usize(0..fitting.len())]))
    }
}

fn place(room: RoomId, seq: u64) -> Value {
    json!({"room": room.to_string(), "seq": seq})
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
