//! Every micro bench, small: it runs and measures something.

use madang_bench::{
    micro::{
        codecs::{decode_json, encode},
        fan_out::to_each,
        kernel::{Distance, messages},
        placement::home,
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
