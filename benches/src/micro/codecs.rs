//! What encoding a message and decoding a send cost, beside copying the same bytes.

use crate::pairs::{Comparison, compare};
use bytes::Bytes;
use madang_protocol::{
    ClientId, Message, RoomId, UserId, codec::Codec, frame::NodeFrame, object::MessageObject,
};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

/// Bytes of the body.
const BODY_BYTES: usize = 128;

/// A delivery, encoded once for all its readers.
pub fn encode(codec: Codec, pairs: usize, operations: u32) -> Comparison {
    let frame = message();
    let bytes = codec.encode(&frame);
    let thing = |operations| times(operations, || drop(black_box(codec.encode(black_box(&frame)))));
    compare(pairs, operations, thing, |operations| copies(&bytes, operations))
}

/// A send as it comes from a client, in JSON.
pub fn decode_json(pairs: usize, operations: u32) -> Comparison {
    let body = "x".repeat(BODY_BYTES);
    let room = RoomId([9; 15]);
    let text = format!(
        "{{\"op\":\"send\",\"id\":7,\"room\":\"{room}\",\"client_id\":\"1-7\",\"body\":\"{body}\"}}"
    );
    let bytes = Bytes::from(text);
    let thing = |operations| times(operations, || drop(black_box(Codec::Json.decode(&bytes))));
    compare(pairs, operations, thing, |operations| copies(&bytes, operations))
}

fn copies(bytes: &Bytes, operations: u32) -> Duration {
    times(operations, || drop(black_box(black_box(bytes).to_vec())))
}

fn times(operations: u32, mut act: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..operations).for_each(|_| act());
    begun.elapsed()
}

fn message() -> NodeFrame {
    let message = Message {
        room: RoomId([9; 15]),
        seq: 123_456,
        ts: 1_790_000_000_123,
        sender: UserId([3; 15]),
        client_id: ClientId::new("1-7").expect("a short text"),
        body: Arc::from("x".repeat(BODY_BYTES)),
        reply_to: None,
        amended: None,
    };
    NodeFrame::Message(MessageObject::seen_by(&message, None))
}
