//! Who is there: pure, time passed in, effects out.

use super::{Announcement, BEAT_EVERY, Kind, SAME_AGE, SILENT_FOR, Terms};
use madang_cluster::{NodeName, Peer, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Announce this to every node.
    Announce(Announcement),
    /// The node heard what it said then, and knows of everything that was said to it before.
    HeardMyself(Instant),
    /// Who is there; empty: nobody knows.
    View(View),
    /// The node is a member, again or for the first time.
    Joined,
    /// This life of a node is not there any more.
    Gone(Peer),
    /// The node does not hear itself any more.
    BusLost,
    /// This node is passed over, because it differs in what all must agree on.
    PassedOver(Peer, String),
    /// This life of the node must end, for this reason.
    GiveUp(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Since then; heard itself first at.
    Joining { since: Instant, heard: Option<Instant> },
    /// Since then; has heard a beat of its own.
    Member { since: Instant, is_heard: bool },
    /// Left, or gave up.
    Over,
}

/// What is known of another node.
#[derive(Debug, Clone)]
struct Seen {
    incarnation: u64,
    age: Duration,
    at: Instant,
    draining: bool,
}

/// The state of the membership. See the module for its invariants.
pub struct Logic {
    me: Peer,
    /// When this life of the node began.
    began: Instant,
    terms: Terms,
    version: String,
    phase: Phase,
    /// Was a member before: it is not for this node to refuse any more.
    was_member: bool,
    /// Those heard within `SILENT_FOR`; bounded by the nodes there are.
    others: BTreeMap<NodeName, Seen>,
    /// Another life of this node's name, to be outlived; heard last at.
    rival: Option<(u64, Instant)>,
    /// Nodes that differ and did not say yet in what.
    unlike: BTreeSet<Peer>,
    /// Those that were passed over; at most [`PASSED_OVER_MAX`].
    passed_over: BTreeSet<Peer>,
    /// The latest of its own announcements that it heard was said then.
    heard: Instant,
    next_beat: Instant,
    is_draining: bool,
    /// As it was told last.
    view: View,
}

/// Nodes that differ of which it is remembered that this was said. Beyond: said again.
const PASSED_OVER_MAX: usize = 64;

impl Logic {
    /// A node whose life began at `began` and that joins now. `was_member`: it was one before.
    pub fn new(
        me: Peer,
        terms: Terms,
        version: &str,
        began: Instant,
        was_member: bool,
        now: Instant,
    ) -> Self {
        Self {
            me,
            began,
            terms,
            version: version.to_owned(),
            phase: Phase::Joining { since: now, heard: None },
            was_member,
            others: BTreeMap::new(),
            rival: None,
            unlike: BTreeSet::new(),
            passed_over: BTreeSet::new(),
            heard: now,
            next_beat: now,
            is_draining: false,
            view: View::default(),
        }
    }

    /// How long ago the node said what it heard last of itself.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// The node is a member now.
    pub fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Member { .. })
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Over {
            return;
        }
        self.rival.take_if(|(_, heard)| *heard + SILENT_FOR <= now);
        let silent = self.others.extract_if(.., |_, seen| seen.at + SILENT_FOR <= now);
        let gone: Vec<Peer> = silent.map(peer).collect();
        self.lose_bus(now, effects);
        if self.is_member() {
            // Who hears nobody, itself included, does not know who went.
            effects.extend(gone.into_iter().map(Effect::Gone));
        }
        self.establish(now, effects);
        if self.next_beat <= now && self.phase != Phase::Over {
            self.beat(now, effects);
        }
        self.tell_view(effects);
    }

    /// A node said something.
    pub fn heard(
        &mut self,
        from: Peer,
        said: &Announcement,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase == Phase::Over {
            return;
        }
        if from == self.me {
            self.heard_myself(said, now, effects);
        } else if from.name == self.me.name {
            self.heard_rival(from.incarnation, said, now, effects);
        } else if said.fingerprint != self.terms.fingerprint() {
            self.heard_unlike(from, said, now, effects);
        } else {
            self.heard_other(from, said, now, effects);
        }
        self.tell_view(effects);
    }

    /// The node is nobody's home from now on, if others are there.
    pub fn drain(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Over && !std::mem::replace(&mut self.is_draining, true) {
            self.beat(now, effects);
            self.tell_view(effects);
        }
    }

    /// The node goes.
    pub fn leave(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Over {
            effects.push(Effect::Announce(self.announcement(Kind::Leave, now)));
            self.end(effects);
        }
    }

    fn heard_myself(&mut self, said: &Announcement, now: Instant, effects: &mut Vec<Effect>) {
        let sent = self.began + Duration::from_millis(said.age_ms);
        if sent > now {
            return; // not ours
        }
        // Ages are told in whole milliseconds.
        let is_after = |since: Instant| sent + Duration::from_millis(1) > since;
        match &mut self.phase {
            Phase::Joining { since, heard } if is_after(*since) => {
                heard.get_or_insert(now);
            }
            Phase::Member { since, is_heard } if said.kind == Kind::Beat && is_after(*since) => {
                let is_first = !std::mem::replace(is_heard, true);
                self.heard = self.heard.max(sent);
                self.was_member = true;
                if is_first {
                    self.tell_view(effects);
                    effects.push(Effect::Joined);
                }
                effects.push(Effect::HeardMyself(sent));
            }
            _ => {}
        }
    }

    /// Another life has this node's name: one of the two must go.
    fn heard_rival(
        &mut self,
        incarnation: u64,
        said: &Announcement,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if said.kind == Kind::Leave {
            self.rival.take_if(|(rival, _)| *rival == incarnation);
            return;
        }
        let ours = (now.saturating_duration_since(self.began), self.me.incarnation);
        if is_earlier(ours, (Duration::from_millis(said.age_ms), incarnation)) {
            let name = &self.me.name;
            let why = format!("another node named {name} has joined the cluster after this one");
            self.give_up(why, now, effects);
        } else {
            self.rival = Some((incarnation, now));
        }
    }

    /// A node that differs in what all must agree on: whoever came later does not stay.
    fn heard_unlike(
        &mut self,
        from: Peer,
        said: &Announcement,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let theirs = (Duration::from_millis(said.age_ms), from.incarnation);
        let ours = (now.saturating_duration_since(self.began), self.me.incarnation);
        if said.kind == Kind::Leave {
            self.unlike.remove(&from);
            return;
        }
        let is_ours_to_go =
            !self.was_member && (said.kind == Kind::Beat || is_earlier(theirs, ours));
        if !is_ours_to_go {
            return self.pass_over(from, said, now, effects);
        }
        match &said.terms {
            Some(terms) => self.refuse(&from, &self.terms.difference(terms), now, effects),
            None => drop(self.unlike.insert(from)), // asked for by joining
        }
    }

    fn heard_other(
        &mut self,
        from: Peer,
        said: &Announcement,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.others.get(&from.name);
        let age = Duration::from_millis(said.age_ms);
        match said.kind {
            Kind::Join if self.is_member() => self.welcome(now, effects),
            Kind::Beat => {
                let theirs = (age, from.incarnation);
                let is_past = known.is_some_and(|seen| {
                    seen.incarnation != from.incarnation
                        && is_earlier(theirs, (seen.age + (now - seen.at), seen.incarnation))
                });
                if !is_past {
                    let Peer { name, incarnation } = from;
                    let seen = Seen { incarnation, age, at: now, draining: said.draining };
                    self.others.insert(name, seen);
                }
            }
            Kind::Leave if known.is_some_and(|seen| seen.incarnation == from.incarnation) => {
                self.others.remove(&from.name);
                effects.push(Effect::Gone(from));
            }
            Kind::Join | Kind::Leave | Kind::Other => {}
        }
    }

    /// Says at once, to one that joins, that it is there.
    fn welcome(&self, now: Instant, effects: &mut Vec<Effect>) {
        let terms = Some(self.terms.told());
        let beat = Announcement { terms, ..self.announcement(Kind::Beat, now) };
        effects.push(Effect::Announce(beat));
    }

    fn pass_over(
        &mut self,
        from: Peer,
        said: &Announcement,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if said.kind == Kind::Join {
            self.welcome(now, effects); // so that it learns what differs
        }
        if self.passed_over.len() >= PASSED_OVER_MAX {
            self.passed_over.clear();
        }
        if let Some(terms) = &said.terms
            && self.passed_over.insert(from.clone())
        {
            effects.push(Effect::PassedOver(from, self.terms.difference(terms)));
        }
    }

    fn refuse(&mut self, other: &Peer, difference: &str, now: Instant, effects: &mut Vec<Effect>) {
        let name = &other.name;
        let why = format!("the settings are not those of node {name}: {difference}");
        self.give_up(why, now, effects);
    }

    /// What it did not hear of itself, nobody else may have heard: it is nobody's home, and joins
    /// again.
    fn lose_bus(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.is_member() && self.silence(now) >= SILENT_FOR {
            self.phase = Phase::Joining { since: now, heard: None };
            self.others.clear();
            effects.push(Effect::BusLost);
        }
    }

    fn establish(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Phase::Joining { heard: Some(heard), .. } = self.phase else {
            return;
        };
        if heard + BEAT_EVERY > now || self.rival.is_some() {
            return;
        }
        if let Some(other) = self.unlike.pop_first() {
            return self.refuse(&other, "it did not say in what they differ", now, effects);
        }
        self.phase = Phase::Member { since: now, is_heard: false };
        (self.heard, self.next_beat) = (now, now);
    }

    fn beat(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.next_beat = now + BEAT_EVERY;
        let announcement = match self.phase {
            Phase::Member { .. } => self.announcement(Kind::Beat, now),
            _ => {
                let terms = Some(self.terms.told());
                Announcement { terms, ..self.announcement(Kind::Join, now) }
            }
        };
        effects.push(Effect::Announce(announcement));
    }

    fn give_up(&mut self, why: String, now: Instant, effects: &mut Vec<Effect>) {
        self.leave(now, effects);
        effects.push(Effect::GiveUp(why));
    }

    fn end(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Over;
        self.others.clear();
        self.tell_view(effects);
    }

    fn tell_view(&mut self, effects: &mut Vec<Effect>) {
        let view = self.present();
        if view != self.view {
            self.view = view.clone();
            effects.push(Effect::View(view));
        }
    }

    /// Those that may be a home. One that drains is not, but where everybody does, each is its own
    /// home: what clients still send is committed.
    fn present(&self) -> View {
        if !matches!(self.phase, Phase::Member { is_heard: true, .. }) {
            return View::default();
        }
        let others = self.others.iter().filter(|(_, seen)| !seen.draining);
        let others = others.map(|(name, seen)| (name.clone(), seen.clone())).map(peer);
        let me = (!self.is_draining).then(|| self.me.clone());
        let view = View::new(others.chain(me));
        if view.nodes().is_empty() { View::new([self.me.clone()]) } else { view }
    }

    fn announcement(&self, kind: Kind, now: Instant) -> Announcement {
        let age = now.saturating_duration_since(self.began).as_millis();
        Announcement {
            kind,
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            draining: self.is_draining,
            version: self.version.clone(),
            fingerprint: self.terms.fingerprint(),
            terms: None,
        }
    }
}

fn peer((name, seen): (NodeName, Seen)) -> Peer {
    Peer { name, incarnation: seen.incarnation }
}

/// Of two lives, by age and incarnation, the first is the one that began before the other. Each of
/// the two comes to the same result, though it hears of the other's age a little later.
fn is_earlier(one: (Duration, u64), other: (Duration, u64)) -> bool {
    if one.0.abs_diff(other.0) < SAME_AGE { one.1 < other.1 } else { one.0 > other.0 }
}
