//! One input, the exact state after it.

use super::{
    BreakerState::{Closed, HalfOpen, Open},
    Outcome::{Abandoned, Failure, Success},
    *,
};

fn breaker() -> Breaker {
    Breaker::new(BreakerRules::default())
}

fn call(breaker: &mut Breaker, outcome: Outcome, now_ms: u64) {
    let ticket = breaker.admit(now_ms).expect("it lets calls through");
    breaker.settle(ticket, outcome, now_ms);
}

/// Open since `now_ms`.
fn opened(now_ms: u64) -> Breaker {
    let mut breaker = breaker();
    for _ in 0..5 {
        call(&mut breaker, Failure, now_ms);
    }
    assert_eq!(breaker.state(), Open);
    breaker
}

fn refused(breaker: &mut Breaker, now_ms: u64) -> Option<u64> {
    breaker.admit(now_ms).err()
}

#[test]
fn five_failures_in_a_row_open_it() {
    let mut breaker = breaker();
    for outcome in [Failure, Failure, Failure, Failure, Success, Failure, Failure, Failure, Failure]
    {
        call(&mut breaker, outcome, 100);
        assert_eq!(breaker.state(), Closed);
        if outcome == Success {
            // Eight of nine would be half of ten with the next one.
            breaker.window = Window::default();
        }
    }
    call(&mut breaker, Failure, 100);
    assert_eq!(breaker.state(), Open);
}

#[test]
fn half_of_ten_calls_open_it() {
    let mut breaker = breaker();
    for number in 0..9 {
        call(&mut breaker, if number % 2 == 0 { Failure } else { Success }, 100);
        assert_eq!(breaker.state(), Closed, "{number}");
    }
    call(&mut breaker, Success, 100);
    assert_eq!(breaker.state(), Closed, "a success opens nothing");
    call(&mut breaker, Failure, 100);
    assert_eq!(breaker.state(), Open);
}

#[test]
fn fewer_than_half_leave_it_closed() {
    let mut breaker = breaker();
    for number in 0..1_000 {
        call(&mut breaker, if number % 5 > 2 { Failure } else { Success }, 100);
        assert_eq!(breaker.state(), Closed, "{number}");
    }
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut breaker = breaker();
    for number in 0..9 {
        call(&mut breaker, if number % 2 == 0 { Failure } else { Success }, 500);
    }
    // The step of 500 ms is the tenth before 10,500 ms.
    call(&mut breaker, Failure, 10_500);
    assert_eq!(breaker.state(), Closed);
    assert_eq!(breaker.window.count(false, 10), (2, 1));
}

#[test]
fn it_is_open_for_a_second_then_one_call_finds_out() {
    let mut breaker = opened(1_000);
    assert_eq!(refused(&mut breaker, 1_000), Some(1_000));
    assert_eq!(refused(&mut breaker, 1_999), Some(1));
    let probe = breaker.admit(2_000).expect("the probe");
    assert!(probe.is_probe());
    assert_eq!(breaker.state(), HalfOpen);
    for now_ms in [2_000, 2_500, 6_999] {
        assert_eq!(refused(&mut breaker, now_ms), Some(7_000 - now_ms));
    }
    breaker.settle(probe, Success, 6_999);
    assert_eq!(breaker.state(), Closed);
    for _ in 0..4 {
        call(&mut breaker, Failure, 7_000);
    }
    assert_eq!(breaker.state(), Closed, "what was before is forgotten");
}

#[test]
fn each_failed_probe_doubles_the_time_up_to_the_longest() {
    let (mut breaker, mut now_ms) = (opened(0), 0);
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        assert_eq!(refused(&mut breaker, now_ms), Some(seconds * 1_000));
        now_ms += seconds * 1_000;
        assert_eq!(refused(&mut breaker, now_ms - 1), Some(1));
        call(&mut breaker, Failure, now_ms);
    }
    now_ms += 30_000;
    call(&mut breaker, Success, now_ms);
    for _ in 0..5 {
        call(&mut breaker, Failure, now_ms);
    }
    assert_eq!(refused(&mut breaker, now_ms), Some(1_000), "a success makes it begin anew");
}

#[test]
fn a_stuck_probe_has_failed_after_its_time() {
    let mut breaker = opened(0);
    let stuck = breaker.admit(1_000).expect("the probe");
    assert_eq!(refused(&mut breaker, 5_999), Some(1));
    assert_eq!(refused(&mut breaker, 6_000), Some(2_000), "open since 6,000, twice as long");
    let second = breaker.admit(8_000).expect("the next probe");
    breaker.settle(stuck, Success, 8_001);
    assert_eq!(breaker.state(), HalfOpen, "the stuck one says nothing any more");
    breaker.settle(second, Success, 8_002);
    assert_eq!(breaker.state(), Closed);
}

#[test]
fn a_probe_nobody_waited_for_lets_another_try_without_doubling() {
    let mut breaker = opened(0);
    call(&mut breaker, Abandoned, 1_000);
    assert_eq!(refused(&mut breaker, 1_000), Some(1_000));
    assert!(breaker.admit(2_000).is_ok());
}

#[test]
fn calls_begun_before_it_opened_change_nothing() {
    let mut breaker = breaker();
    let late: Vec<_> = (0..20).map(|_| breaker.admit(0).expect("closed")).collect();
    for _ in 0..5 {
        call(&mut breaker, Failure, 0);
    }
    for (number, ticket) in late.into_iter().enumerate() {
        breaker.settle(ticket, if number % 2 == 0 { Success } else { Failure }, 10);
    }
    assert_eq!(refused(&mut breaker, 10), Some(990));
}

#[test]
fn abandoned_calls_say_nothing() {
    let mut breaker = breaker();
    for _ in 0..100 {
        call(&mut breaker, Abandoned, 0);
    }
    assert_eq!(breaker.state(), Closed);
}
