//! What is asked of whom, and when: pure, chance passed in, effects out.

use super::{ASKED_A_SECOND_MAX, SWEEP_EVERY, SWEEP_ROOMS_MAX, TICK};
use madang_cluster::{NodeName, Peer, View};
use madang_protocol::{Heads, RoomId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Rooms asked about at each tick.
const ASKED_A_TICK_MAX: usize = ASKED_A_SECOND_MAX * TICK.as_millis() as usize / 1_000;

/// Rooms, and how far each is, as one who asks or answers knows.
pub type Rooms = Vec<(RoomId, Heads)>;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask this node where these rooms stand; `answered` tells.
    Ask(Peer, Rooms),
    /// Ask the store which of these are further; `swept` tells.
    Look(Rooms),
    /// A room is at least so far.
    Tell(RoomId, Heads),
    /// Call `sweep` after this time.
    SweepAfter(Duration),
}

/// What is to be asked.
#[derive(Default)]
pub struct Logic {
    view: View,
    /// Rooms whose home is to be asked; those with readers at most.
    due: BTreeSet<RoomId>,
    /// Those that were asked about, by home.
    asking: BTreeMap<NodeName, BTreeSet<RoomId>>,
    /// Rooms of this sweep that were not looked at yet.
    sweeping: VecDeque<Rooms>,
    is_looking: bool,
}

impl Logic {
    /// Sees nobody yet; `random` is any number.
    pub fn new(random: u64, effects: &mut Vec<Effect>) -> Self {
        effects.push(Effect::SweepAfter(sweep_after(random)));
        Self::default()
    }

    /// Rooms that are to be asked about, or are being.
    pub fn waiting(&self) -> usize {
        self.due.len() + self.asking.values().map(BTreeSet::len).sum::<usize>()
    }

    /// Other nodes are there than before; these rooms have readers here. Those with another home,
    /// or another life of it, are asked about.
    pub fn view_changed(&mut self, view: &View, readers: impl IntoIterator<Item = RoomId>) {
        let moved = readers.into_iter().filter(|room| view.home(*room) != self.view.home(*room));
        self.due.extend(moved);
        self.view = view.clone();
    }

    /// Anything may have been missed in all of these.
    pub fn gap(&mut self, readers: impl IntoIterator<Item = RoomId>) {
        self.due.extend(readers);
    }

    /// Asks what is due. `known`: the rooms with readers here, by id.
    pub fn tick(&mut self, known: &[(RoomId, Heads)], effects: &mut Vec<Effect>) {
        let mut by_home: BTreeMap<&Peer, Rooms> = BTreeMap::new();
        let mut left = ASKED_A_TICK_MAX;
        let (view, asking) = (&self.view, &self.asking);
        self.due.retain(|room| {
            let Ok(place) = known.binary_search_by(|(other, _)| other.cmp(room)) else {
                return false; // nobody reads it any more
            };
            let home = view.home(*room).filter(|home| !asking.contains_key(&home.name));
            let Some(home) = home.filter(|_| left > 0) else {
                return true;
            };
            left -= 1;
            by_home.entry(home).or_default().push(known[place]);
            false
        });
        for (home, rooms) in by_home {
            let asked = rooms.iter().map(|(room, _)| *room).collect();
            effects.push(Effect::Ask(home.clone(), rooms));
            self.asking.insert(home.name.clone(), asked);
        }
    }

    /// A node told where rooms stand. Those it was asked about and did not tell are asked about again.
    pub fn answered(&mut self, home: &NodeName, told: Rooms, effects: &mut Vec<Effect>) {
        let mut asked = self.asking.remove(home).unwrap_or_default();
        for (room, heads) in told {
            if asked.remove(&room) {
                effects.push(Effect::Tell(room, heads));
            }
        }
        self.due.append(&mut asked);
    }

    /// The time of a `SweepAfter` has come. What an earlier sweep did not get to comes first.
    pub fn sweep(&mut self, known: Rooms, random: u64, effects: &mut Vec<Effect>) {
        if self.sweeping.is_empty() {
            self.sweeping.extend(known.chunks(SWEEP_ROOMS_MAX).map(<[_]>::to_vec));
        }
        self.look(effects);
        effects.push(Effect::SweepAfter(sweep_after(random)));
    }

    /// The store told which rooms are further. `None`: it did not, and is asked the next time.
    pub fn swept(&mut self, news: Option<Rooms>, effects: &mut Vec<Effect>) {
        self.is_looking = false;
        match news {
            Some(news) => {
                effects.extend(news.into_iter().map(|(room, heads)| Effect::Tell(room, heads)));
                self.look(effects);
            }
            None => self.sweeping.clear(),
        }
    }

    fn look(&mut self, effects: &mut Vec<Effect>) {
        if !self.is_looking
            && let Some(rooms) = self.sweeping.pop_front()
        {
            self.is_looking = true;
            effects.push(Effect::Look(rooms));
        }
    }
}

/// `SWEEP_EVERY`, or up to a tenth less.
fn sweep_after(random: u64) -> Duration {
    let jitter = SWEEP_EVERY.as_millis() as u64 / 10;
    SWEEP_EVERY - Duration::from_millis(random % jitter)
}
