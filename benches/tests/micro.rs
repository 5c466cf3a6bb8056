//! Every micro bench, small: it runs and measures something.

use madang_bench::{
    micro::{
        audience::to_readers,
        batcher::receipts,
        codecs::{decode_json, encode},
        fan_out::to_each,
        kernel::{Distance, messages},
        outbox::{gathered, gathered_or_vectored},
        placement::home,
        room, store,
        supervisor::restarts,
    },
    pairs::Comparison,
};
use madang_protocol::codec::Codec;

fn measures_something(found: Comparison) {
    assert!(found.thing_ns > 0.0 && found.floor_ns > 0.0, "{found}");
}

#[test]
fn kernel() {
    for distance in [Distance::SameThread, Distance::AcrossThreads] {
        measures_something(messages(distance, 1, 5_000));
    }
    measures_something(to_each(10, 1, 100));
}

#[test]
fn codecs() {
    measures_something(encode(Codec::Json, 1, 100));
    measures_something(encode(Codec::MessagePack, 1, 100));
    measures_something(decode_json(1, 100));
}

#[test]
fn placement() {
    measures_something(home(1_000, 1, 10));
}

#[test]
fn room_core() {
    measures_something(room::commits(1, 1, 10));
    measures_something(room::commits(16, 1, 100));
}

#[test]
fn audience() {
    measures_something(to_readers(10, 1, 100));
}

#[test]
fn outbox() {
    measures_something(gathered(1, 1, 100));
    measures_something(gathered(8, 1, 100));
    measures_something(gathered_or_vectored(8, 1, 100));
}

#[test]
fn supervisor() {
    measures_something(restarts(10, 1));
}

#[test]
fn batcher() {
    measures_something(receipts(100, 3, 1, 2));
}

#[test]
fn commits_of_the_store() {
    measures_something(store::commits(4, 1, 8));
}
