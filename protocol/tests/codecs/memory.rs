//! What decoding takes of memory, counted.

use allocation_counter::measure;
use madang_protocol::{
    codec::{Codec, DecodeError},
    limits::FRAME_BYTES_MAX,
};

/// Bytes held at once for each byte of a frame: a value in a tree takes 32 where a frame has one,
/// a list that grows holds its old memory beside the new, and there may be a second tree.
const HELD_PER_BYTE: u64 = 100;
/// Bytes any frame may take: names, an answer.
const HELD_ANYWAY: u64 = 4_096;

/// Decodes the bytes and holds what that took against their number.
pub(super) fn assert_in_proportion(codec: Codec, bytes: &[u8]) {
    let held = measure(|| drop(codec.decode(bytes))).bytes_max;
    let bound = HELD_ANYWAY + HELD_PER_BYTE * bytes.len() as u64;
    assert!(held <= bound, "{held} bytes held for {} of {codec:?}", bytes.len());
}

fn ping_with(value: &[u8]) -> Vec<u8> {
    [&b"\x82\xa2op\xa4ping\xa1x"[..], value].concat()
}

#[test]
fn announced_lengths_take_no_memory() {
    let announced = [
        &[0xdf, 0xff, 0xff, 0xff, 0xff][..],
        &[0xdf, 0xff, 0xff, 0xff, 0xff, 0xa2, b'o', b'p'],
        &[0xde, 0xff, 0xff, 0xa1, b'x', 0xc0],
        &ping_with(&[0xdd, 0xff, 0xff, 0xff, 0xff]),
        &ping_with(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0]),
        &ping_with(&[0xdc, 0xff, 0xff]),
        &ping_with(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'x']),
        &ping_with(&[0xc6, 0xff, 0xff, 0xff, 0xff, 0]),
        &ping_with(&[0xc9, 0xff, 0xff, 0xff, 0xff, 5, 0]),
        &ping_with(&[0xc7, 0xff, 5]),
    ];
    for bytes in announced {
        let taken = measure(|| {
            assert_eq!(Codec::MessagePack.decode(bytes), Err(DecodeError::Undecodable));
        });
        assert_eq!(taken.bytes_total, 0, "{bytes:x?}");
    }
}

#[test]
fn nesting_takes_no_memory() {
    for opening in [&[0x91][..], &[0x81, 0xa1, b'x'], &[0xdd, 0, 0, 0, 1]] {
        let bytes = ping_with(&opening.repeat(100_000 / opening.len()));
        let taken = measure(|| {
            assert_eq!(Codec::MessagePack.decode(&bytes), Err(DecodeError::Undecodable));
        });
        assert_eq!(taken.bytes_total, 0, "{opening:x?}");
    }
    let abyss = [&b"{\"op\":\"ping\",\"x\":"[..], &b"[".repeat(100_000)].concat();
    assert_eq!(measure(|| drop(Codec::Json.decode(&abyss))).bytes_total, 0);
}

/// The largest frames a node takes, filled with what grows most when it is read.
#[test]
fn the_worst_frames_stay_in_proportion() {
    let count = FRAME_BYTES_MAX - 64;
    for op in ["hello", "ping", "dance"] {
        for (text, value) in [("0,", 0x00), ("[],", 0x90), ("\"\",", 0xa0), ("{},", 0x80)] {
            for field in ["subscribe", "id", "x"] {
                let items = text.repeat(count / text.len());
                let items = items.trim_end_matches(',');
                let json = format!("{{\"op\":\"{op}\",\"id\":\"\",\"{field}\":[{items}]}}");
                assert!(json.len() <= FRAME_BYTES_MAX);
                assert_in_proportion(Codec::Json, json.as_bytes());
                let packed = packed_list(op, field, value, count);
                assert!(packed.len() <= FRAME_BYTES_MAX);
                assert_in_proportion(Codec::MessagePack, &packed);
            }
        }
    }
}

/// `{op, id: "", field: [value, value, ...]}`
fn packed_list(op: &str, field: &str, value: u8, count: usize) -> Vec<u8> {
    let text =
        |text: &str| [&[0xa0 | u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let head = [0xdd].into_iter().chain(u32::try_from(count).expect("a frame").to_be_bytes());
    let mut bytes = vec![0x83];
    for part in ["op", op, "id", "", field] {
        bytes.extend(text(part));
    }
    bytes.extend(head);
    bytes.resize(bytes.len() + count, value);
    bytes
}
