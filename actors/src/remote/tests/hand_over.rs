//! Sends, changes and questions from any node, while homes move.

use super::nodes::{ANN, BOB, Node, Nodes, ROOM, SEND_WAIT, with_nodes};
use crate::{
    kernel::Reply,
    remote::{ROOMS_ASKED_MAX, USERS_ASKED_MAX},
    room::pending::Work,
};
use madang_protocol::{
    ErrorCode, Heads, Place, UserId,
    operation::{Edit, Target},
};
use madang_store::rooms::RoomChange;
use std::{cell::Cell, collections::HashSet, rc::Rc, sync::atomic::Ordering, time::Duration};
use tokio::time::Instant;

#[test]
fn any_node_takes_a_send_and_a_repeated_one_is_found() {
    with_nodes(1, 3, |nodes| async move {
        for (seq, node) in (1..).zip(&nodes.nodes) {
            let receipt = node.send(ANN, &format!("message {seq}")).await.unwrap();
            assert_eq!((receipt.seq, receipt.duplicate), (seq, false));
        }
        for node in &nodes.nodes {
            let receipt = node.send(ANN, "message 2").await.unwrap();
            assert_eq!((receipt.seq, receipt.duplicate), (2, true));
        }
    });
}

#[test]
fn what_the_home_refuses_is_refused() {
    with_nodes(1, 2, |nodes| async move {
        let other = &nodes.nodes[nodes.other()];
        let gone = other.router.change(ROOM, ANN, RoomChange::Remove { user: BOB, ban: false });
        assert_eq!(gone.await, Ok(None));
        let refusal = other.send(BOB, "too late").await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Forbidden);
        let refusal = other.router.change(ROOM, BOB, RoomChange::Rename("mine".into())).await;
        assert!(refusal.is_err());
    });
}

#[test]
fn an_audience_is_told_by_the_home_on_another_node() {
    with_nodes(1, 2, |nodes| async move {
        let other = &nodes.nodes[nodes.other()];
        other.send(ANN, "one").await.unwrap();
        other.send(ANN, "two").await.unwrap();
        let (reply, answer) = Reply::channel();
        let has = Heads { last_seq: 1, ..Heads::default() };
        other.router.catch_up(ROOM, has, Place::default(), reply);
        let caught = answer.await.unwrap().unwrap();
        assert_eq!(caught.heads.last_seq, 2);
        let missed: Vec<u64> = caught.messages.iter().map(|message| message.seq).collect();
        assert_eq!(missed, [2]);
        let heads = other.heads_at(&nodes.nodes[nodes.home()], Heads::default()).await.unwrap();
        assert_eq!(heads, caught.heads);
    });
}

#[test]
fn a_home_that_is_behind_reads_before_it_tells() {
    with_nodes(1, 2, |nodes| async move {
        let (home, other) = (nodes.home(), nodes.other());
        nodes.nodes[home].send(ANN, "one").await.unwrap();
        // The home does not hear that it is none any more, and the other commits.
        nodes.nodes[other]
            .homes
            .update(madang_cluster::View::new([nodes.nodes[other].homes.me().clone()]));
        let seq = nodes.nodes[other].send(ANN, "two").await.unwrap().seq;
        let known = Heads { last_seq: seq, ..Heads::default() };
        let told = nodes.nodes[other].heads_at(&nodes.nodes[home], known).await.unwrap();
        assert_eq!(told.last_seq, seq);
    });
}

/// For a node that cannot read of it whether a user whose last connection to it ended is gone.
#[test]
fn nodes_tell_each_other_who_is_online_by_them() {
    with_nodes(1, 3, |mut nodes| async move {
        let mut number = 0_u64;
        let mut many: Vec<UserId> = Vec::new();
        many.resize_with(USERS_ASKED_MAX + 1, || {
            number += 1;
            let mut id = [7; 15];
            id[..8].copy_from_slice(&number.to_be_bytes());
            UserId(id)
        });
        let (first, last) = (many[0], many[USERS_ASKED_MAX]);
        nodes.nodes[0].connected.came(BOB, Instant::now());
        nodes.nodes[1].connected.came(first, Instant::now());
        nodes.nodes[2].connected.came(last, Instant::now());
        let mut users = many.clone();
        nodes.nodes[0].router.retain_elsewhere_offline(&mut users).await;
        assert_eq!(users, many[1..USERS_ASKED_MAX]);
        nodes.nodes[1].serving = None;
        let mut users = vec![first, last, BOB];
        nodes.nodes[0].router.retain_elsewhere_offline(&mut users).await;
        assert_eq!(users, [first, BOB], "who does not answer holds nobody");
    });
}

#[test]
fn of_a_question_about_many_rooms_the_first_are_answered() {
    with_nodes(1, 2, |nodes| async move {
        let (home, other) = (&nodes.nodes[nodes.home()], &nodes.nodes[nodes.other()]);
        home.send(ANN, "one").await.unwrap();
        let known = |_| (ROOM, Heads::default());
        let rooms: Vec<_> = (0..=ROOMS_ASKED_MAX).map(known).collect();
        let told = other.router.ask_heads(home.homes.me().clone(), rooms).await;
        assert_eq!(told.len(), ROOMS_ASKED_MAX);
    });
}

#[test]
fn while_nobody_is_home_a_send_waits() {
    with_nodes(1, 2, |nodes| async move {
        nodes.view(&[]);
        let other = &nodes.nodes[0];
        let back = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            nodes.view(&[0, 1]);
        };
        let (sent, ()) = futures_util::future::join(other.send(ANN, "patience"), back).await;
        assert_eq!(sent.unwrap().seq, 1);
        nodes.view(&[]);
        let begun = Instant::now();
        let refusal = other.send(ANN, "too long").await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::Unavailable);
        assert!(begun.elapsed() < SEND_WAIT + Duration::from_secs(1), "{:?}", begun.elapsed());
    });
}

/// An edit waits for the message it is about to be read, as a send does for its sender's membership.
#[test]
fn while_its_message_cannot_be_read_an_edit_waits() {
    with_nodes(1, 2, |nodes| async move {
        let other = &nodes.nodes[nodes.other()];
        let seq = other.send(ANN, "first words").await.unwrap().seq;
        nodes.is_silent.store(true, Ordering::Relaxed);
        let target = Target { room: ROOM, seq };
        let edit = || Work::Edit(Edit { target, body: "better".into(), if_rev: None });
        let heals = async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            nodes.is_silent.store(false, Ordering::Relaxed);
        };
        let (edited, ()) = futures_util::future::join(other.ask(ANN, edit()), heals).await;
        assert_eq!(edited.unwrap().rev, 1);
        assert_eq!(*nodes.log().await[0].body, *"better");
    });
}

#[test]
fn a_home_that_cannot_be_asked_is_waited_for_until_another_is_there() {
    with_nodes(1, 3, |mut nodes| async move {
        let home = nodes.home();
        nodes.nodes[home].serving = None;
        let left: Vec<usize> = (0..3).filter(|place| *place != home).collect();
        let sent = nodes.nodes[left[0]].send(ANN, "one");
        let goes = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            nodes.view(&left);
        };
        let (sent, ()) = futures_util::future::join(sent, goes).await;
        assert_eq!(sent.unwrap().seq, 1);
    });
}

/// Two users each send from two nodes, one message after the other and some at once, while homes
/// move: nothing is lost, nothing is there twice, each one's order holds.
#[test]
fn order_and_once_hold_while_homes_move() {
    for seed in 0..40 {
        with_nodes(seed, 3, |nodes| async move {
            let trouble = if seed % 2 == 0 { 0 } else { 15 };
            nodes.trouble.store(trouble, Ordering::Relaxed);
            run_load(&nodes, 120).await;
            nodes.trouble.store(0, Ordering::Relaxed);
            check_log(&nodes, 120).await;
        });
    }
}

async fn run_load(nodes: &Nodes, count: usize) {
    let is_over = Rc::new(Cell::new(false));
    let senders = async {
        let one = |node, user, name| send_all(&nodes.nodes[node], user, name, count);
        let all = [one(0, ANN, "a"), one(1, ANN, "b"), one(2, BOB, "c"), one(0, BOB, "d")];
        futures_util::future::join_all(all).await;
        is_over.set(true);
    };
    let views = async {
        while !is_over.get() {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(20..400))).await;
            let view: &[usize] = match fastrand::u8(..5) {
                0 => &[0, 1, 2],
                1 => &[0, 1],
                2 => &[1, 2],
                3 => &[0, 2],
                _ => &[],
            };
            nodes.view(view);
            if view.is_empty() {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..300))).await;
                nodes.view(&[0, 1, 2]);
            }
        }
        nodes.view(&[0, 1, 2]);
    };
    futures_util::future::join(senders, views).await;
}

/// As a connection does: a few unanswered at a time, in order.
async fn send_all(node: &Node, user: madang_protocol::UserId, name: &str, count: usize) {
    let mut waiting = std::collections::VecDeque::new();
    for number in 0..count {
        let name = format!("{name}-{number}");
        let (reply, answer) = Reply::channel();
        let client_id = madang_protocol::ClientId::new(&name).unwrap();
        let work = Work::Send { client_id, body: name.as_str().into(), reply_to: None };
        node.router.submit(user, ROOM, work, reply);
        waiting.push_back(answer);
        if waiting.len() >= 8 {
            waiting.pop_front().unwrap().await.unwrap().unwrap().expect("committed");
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..15))).await;
    }
    for answer in waiting {
        answer.await.unwrap().unwrap().expect("committed");
    }
}

async fn check_log(nodes: &Nodes, count: usize) {
    let log = nodes.log().await;
    assert_eq!(log.len(), 4 * count, "all, once");
    for (seq, message) in (1..).zip(&log) {
        assert_eq!(message.seq, seq, "no hole");
    }
    for sender in ["a", "b", "c", "d"] {
        let of_sender = log.iter().filter(|message| message.body.starts_with(sender));
        let numbers: Vec<usize> = of_sender
            .map(|message| message.body.split_once('-').unwrap().1.parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "the order of {sender}");
    }
    let names: HashSet<_> = log.iter().map(|message| message.client_id.clone()).collect();
    assert_eq!(names.len(), log.len());
}

/// An edit is not the same twice when another came between.
#[test]
fn an_edit_is_made_once_however_often_it_is_sent() {
    for seed in 0..20 {
        with_nodes(seed, 2, |nodes| async move {
            let other = &nodes.nodes[nodes.other()];
            other.send(ANN, "one").await.unwrap();
            nodes.trouble.store(30, Ordering::Relaxed);
            for rev in 1..=20 {
                let target = Target { room: ROOM, seq: 1 };
                let body = if rev % 2 == 0 { "even" } else { "odd" };
                let edit = Edit { target, body: body.into(), if_rev: Some(rev - 1) };
                let receipt = other.ask(ANN, Work::Edit(edit)).await.expect("no conflict");
                assert_eq!(receipt.rev, rev);
            }
        });
    }
}

#[test]
fn a_node_that_drains_gives_its_rooms_up_and_goes_on_taking_sends() {
    with_nodes(1, 2, |nodes| async move {
        let home = &nodes.nodes[nodes.home()];
        home.send(ANN, "one").await.unwrap();
        let (reply, answer) = Reply::channel();
        let work = Work::send(madang_protocol::operation::Send {
            room: ROOM,
            client_id: madang_protocol::ClientId::new("two").unwrap(),
            body: "two".into(),
            reply_to: None,
        });
        home.router.submit(ANN, ROOM, work.1, reply);
        let left = nodes.other();
        let view = madang_cluster::View::new([nodes.nodes[left].homes.me().clone()]);
        nodes.nodes[left].homes.update(view);
        home.homes.drain();
        assert!(home.router.hand_over_all(Instant::now() + Duration::from_secs(2)).await);
        assert_eq!(answer.await.unwrap().unwrap().unwrap().seq, 2);
        assert_eq!(home.send(ANN, "three").await.unwrap().seq, 3);
    });
}
