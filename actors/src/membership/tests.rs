//! The membership's decisions, by input and exact effects; and several of them on one bus, on a
//! stopped clock.

mod cluster;

use super::{
    Announcement, BEAT_EVERY, Kind, SILENT_FOR, Terms,
    logic::{Effect, Logic},
};
use madang_cluster::{NodeName, Peer, View};
use std::time::Duration;
use tokio::time::Instant;

fn peer(name: &str, incarnation: u64) -> Peer {
    Peer { name: NodeName::new(name).unwrap(), incarnation }
}

fn terms() -> Terms {
    Terms::new([("cluster", "test")])
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A node's logic on a clock of its own.
struct Node {
    logic: Logic,
    start: Instant,
}

impl Node {
    /// Node `a`, life 5, which joins at 0.
    fn joining() -> Self {
        let start = Instant::now();
        let logic = Logic::new(peer("a", 5), terms(), "1", start, false, start);
        Self { logic, start }
    }

    /// Alone in its view since 500.
    fn member() -> Self {
        let mut node = Self::joining();
        node.tick(0);
        node.says("a", 5, said(Kind::Join, 0), 0);
        node.tick(500);
        let effects = node.says("a", 5, said(Kind::Beat, 500), 500);
        let heard = Effect::HeardMyself(node.start + ms(500));
        assert_eq!(effects, [view(&[("a", 5)]), Effect::Joined, heard]);
        node
    }

    fn tick(&mut self, at: u64) -> Vec<Effect> {
        let (now, mut effects) = (self.start + ms(at), Vec::new());
        self.logic.tick(now, &mut effects);
        effects
    }

    fn says(&mut self, name: &str, life: u64, said: Announcement, at: u64) -> Vec<Effect> {
        let (now, mut effects) = (self.start + ms(at), Vec::new());
        self.logic.heard(peer(name, life), &said, now, &mut effects);
        effects
    }

    fn drain(&mut self, at: u64) -> Vec<Effect> {
        let (now, mut effects) = (self.start + ms(at), Vec::new());
        self.logic.drain(now, &mut effects);
        effects
    }
}

/// By a node that lives for `age_ms`.
fn said(kind: Kind, age_ms: u64) -> Announcement {
    let (version, fingerprint) = ("1".to_owned(), terms().fingerprint());
    let told = (kind == Kind::Join).then(|| terms().told());
    Announcement { kind, age_ms, draining: false, version, fingerprint, terms: told }
}

fn announce(kind: Kind, age_ms: u64) -> Effect {
    Effect::Announce(said(kind, age_ms))
}

fn welcome(age_ms: u64) -> Effect {
    Effect::Announce(Announcement { terms: Some(terms().told()), ..said(Kind::Beat, age_ms) })
}

fn view(nodes: &[(&str, u64)]) -> Effect {
    Effect::View(View::new(nodes.iter().map(|(name, life)| peer(name, *life))))
}

#[test]
fn a_node_is_home_a_round_after_it_heard_itself() {
    let mut node = Node::joining();
    assert_eq!(node.tick(0), [announce(Kind::Join, 0)]);
    assert_eq!(node.tick(400), []);
    assert_eq!(node.tick(500), [announce(Kind::Join, 500)], "nobody hears it");
    assert_eq!(node.says("a", 5, said(Kind::Join, 500), 600), []);
    assert_eq!(node.says("b", 1, said(Kind::Beat, 90_000), 610), [], "not before it is a member");
    assert_eq!(node.tick(1_000), [announce(Kind::Join, 1_000)]);
    assert_eq!(node.tick(1_100), [announce(Kind::Beat, 1_100)]);
    let effects = node.says("a", 5, said(Kind::Beat, 1_100), 1_110);
    let heard = Effect::HeardMyself(node.start + ms(1_100));
    assert_eq!(effects, [view(&[("a", 5), ("b", 1)]), Effect::Joined, heard]);
}

#[test]
fn one_that_joins_is_answered_at_once_and_is_there_when_it_beats() {
    let mut node = Node::member();
    assert_eq!(node.says("b", 1, said(Kind::Join, 0), 700), [welcome(700)]);
    assert_eq!(node.says("b", 1, said(Kind::Beat, 500), 1_200), [view(&[("a", 5), ("b", 1)])]);
    assert_eq!(node.says("b", 1, said(Kind::Beat, 1_000), 1_700), []);
}

#[test]
fn silence_ends_a_node() {
    let mut node = Node::member();
    node.says("b", 1, said(Kind::Beat, 500), 600);
    for at in (1_000..3_600).step_by(500) {
        node.says("a", 5, said(Kind::Beat, at), at);
        let effects = node.tick(at);
        assert!(effects.iter().all(|effect| matches!(effect, Effect::Announce(_))), "{effects:?}");
    }
    node.says("a", 5, said(Kind::Beat, 3_590), 3_595);
    let gone = Effect::Gone(peer("b", 1));
    assert_eq!(node.tick(3_600), [gone, view(&[("a", 5)])]);
}

#[test]
fn a_node_that_says_it_goes_is_gone_at_once_and_its_earlier_life_is_not_it() {
    let mut node = Node::member();
    node.says("b", 1, said(Kind::Beat, 500), 600);
    assert_eq!(node.says("b", 7, said(Kind::Leave, 500), 700), []);
    let effects = node.says("b", 1, said(Kind::Leave, 700), 800);
    assert_eq!(effects, [Effect::Gone(peer("b", 1)), view(&[("a", 5)])]);
}

#[test]
fn a_node_that_does_not_hear_itself_is_nobodys_home_and_joins_again() {
    let mut node = Node::member();
    node.says("b", 1, said(Kind::Beat, 500), 600);
    for at in [1_000, 1_500, 2_000, 2_500, 3_000] {
        node.tick(at);
        node.says("b", 1, said(Kind::Beat, at), at);
    }
    let lost = [Effect::BusLost, announce(Kind::Join, 3_500), view(&[])];
    assert_eq!(node.tick(3_500), lost, "heard last at 500");
    assert_eq!(node.says("a", 5, said(Kind::Beat, 3_000), 3_600), [], "said before that");
    assert_eq!(node.says("a", 5, said(Kind::Join, 3_500), 3_700), []);
    assert_eq!(node.says("b", 1, said(Kind::Beat, 3_700), 3_700), []);
    node.tick(4_200);
    let effects = node.says("a", 5, said(Kind::Beat, 4_200), 4_200);
    let heard = Effect::HeardMyself(node.start + ms(4_200));
    assert_eq!(effects, [view(&[("a", 5), ("b", 1)]), Effect::Joined, heard]);
}

/// A process that was stopped goes on in the middle of what it did, with what came meanwhile in its
/// inbox: its own announcements of before are not what makes it fresh.
#[test]
fn what_was_said_long_ago_does_not_make_a_node_fresh() {
    let mut node = Node::member();
    node.tick(1_000);
    let effects = node.says("a", 5, said(Kind::Beat, 1_000), 10_000);
    assert_eq!(effects, [Effect::HeardMyself(node.start + ms(1_000))], "then, not now");
    assert!(matches!(
        node.tick(10_000)[..],
        [Effect::BusLost, Effect::Announce(_), Effect::View(_)]
    ));
}

#[test]
fn of_two_lives_of_one_name_the_earlier_gives_up_and_the_later_waits() {
    let mut node = Node::member();
    let effects = node.says("a", 9, said(Kind::Join, 0), 5_000);
    let [Effect::Announce(left), Effect::View(none), Effect::GiveUp(why)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((left.kind, none.nodes().len()), (Kind::Leave, 0));
    assert!(why.contains("another node named a"), "{why}");
    assert_eq!(node.tick(6_000), [], "it is over");

    let mut later = Node::joining();
    later.tick(0);
    later.says("a", 5, said(Kind::Join, 0), 0);
    assert_eq!(later.says("a", 1, said(Kind::Beat, 60_000), 400), []);
    assert_eq!(later.tick(600), [announce(Kind::Join, 600)], "the other is there still");
    later.says("a", 1, said(Kind::Leave, 60_300), 700);
    assert_eq!(later.tick(800), [announce(Kind::Beat, 800)]);
}

#[test]
fn of_two_that_begin_together_the_same_one_gives_up_on_both_sides() {
    for (mine, other) in [(5, 9), (5, 1)] {
        let mut node = Node::joining();
        node.tick(0);
        let effects = node.says("a", other, said(Kind::Join, 20), 100);
        let gives_up = effects.iter().any(|effect| matches!(effect, Effect::GiveUp(_)));
        assert_eq!(gives_up, mine < other, "{other}");
    }
}

#[test]
fn a_life_that_wakes_up_does_not_take_the_place_of_the_later_one() {
    let mut node = Node::member();
    node.says("b", 1, said(Kind::Beat, 60_000), 600);
    assert_eq!(
        node.says("b", 2, said(Kind::Beat, 600), 2_000),
        [view(&[("a", 5), ("b", 2)])],
        "a new life"
    );
    assert_eq!(node.says("b", 1, said(Kind::Beat, 62_000), 2_100), [], "of the old one");
}

#[test]
fn a_node_that_joins_with_other_settings_is_refused_by_name() {
    let theirs = Terms::new([("cluster", "other")]);
    let unlike = |kind, age_ms, told: bool| Announcement {
        fingerprint: theirs.fingerprint(),
        terms: told.then(|| theirs.told()),
        ..said(kind, age_ms)
    };
    let mut node = Node::joining();
    node.tick(0);
    assert_eq!(node.says("b", 1, unlike(Kind::Beat, 60_000, false), 10), []);
    let effects = node.says("b", 1, unlike(Kind::Beat, 60_000, true), 20);
    let Some(Effect::GiveUp(why)) = effects.last() else { panic!("{effects:?}") };
    assert_eq!(
        why,
        "the settings are not those of node b: cluster is \"test\" here and \"other\" there"
    );

    let mut member = Node::member();
    let effects = member.says("b", 1, unlike(Kind::Join, 0, true), 600);
    let [answer, Effect::PassedOver(passed, _)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((answer, passed), (&welcome(600), &peer("b", 1)));
    assert_eq!(member.says("b", 1, unlike(Kind::Join, 500, true), 700), [welcome(700)]);
    assert_eq!(member.says("b", 1, unlike(Kind::Beat, 500, false), 1_100), [], "not in the view");
}

#[test]
fn a_node_that_drains_is_no_home_and_where_all_do_each_is_its_own() {
    let mut node = Node::member();
    node.says("b", 1, said(Kind::Beat, 0), 600);
    let leaving = Announcement { draining: true, ..said(Kind::Beat, 100) };
    assert_eq!(node.says("b", 1, leaving, 700), [view(&[("a", 5)])]);
    let mine = Announcement { draining: true, ..said(Kind::Beat, 800) };
    assert_eq!(node.drain(800), [Effect::Announce(mine)], "the same view");
    assert_eq!(node.says("b", 1, said(Kind::Beat, 300), 900), [view(&[("b", 1)])]);
}

#[test]
fn what_a_later_version_says_changes_nothing() {
    let mut node = Node::member();
    assert_eq!(node.says("b", 1, said(Kind::Other, 0), 600), []);
    assert_eq!(node.says("a", 5, said(Kind::Beat, u64::MAX / 2), 600), [], "from the future");
    assert!(SILENT_FOR > BEAT_EVERY * 4);
}
