//! What MessagePack can say and JSON cannot, and what neither may say.

use madang_protocol::{
    ErrorCode, Operation,
    codec::{Codec, DecodeError},
};

fn decode(bytes: &[u8]) -> Result<Operation, DecodeError> {
    Codec::MessagePack.decode(bytes).map(|request| request.operation)
}

/// `{"op": "ping", "x": value}`
fn ping_with(value: &[u8]) -> Vec<u8> {
    [&b"\x82\xa2op\xa4ping\xa1x"[..], value].concat()
}

fn field_refused(bytes: &[u8]) -> (Option<u64>, ErrorCode, Option<String>) {
    match decode(bytes) {
        Err(DecodeError::Refused { id, refusal }) => {
            (id, refusal.code, refusal.field.map(|field| field.into_owned()))
        }
        other => panic!("{bytes:x?}: {other:?}"),
    }
}

/// Bytes, extensions of every length, numbers with a point.
const FOREIGN: &[&[u8]] = &[
    b"\xc4\x03abc",
    b"\xc5\x00\x03abc",
    b"\xc6\x00\x00\x00\x03abc",
    b"\xc4\x02\xff\xfe",
    b"\xc7\x02\x05ab",
    b"\xc8\x00\x02\x05ab",
    b"\xc9\x00\x00\x00\x02\x05ab",
    b"\xd4\x05a",
    b"\xd5\x05ab",
    b"\xd6\xffabcd",
    b"\xd7\x05abcdefgh",
    b"\xd8\x05abcdefghabcdefgh",
    b"\xca\x40\xe0\x00\x00",
    b"\xcb\x40\x1c\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
];

#[test]
fn a_foreign_value_is_ignored_in_an_unknown_field() {
    for value in FOREIGN {
        assert_eq!(decode(&ping_with(value)), Ok(Operation::Ping), "{value:x?}");
        let nested = [&[0x91, 0x81, 0xa1, b'y'], *value].concat();
        assert_eq!(decode(&ping_with(&nested)), Ok(Operation::Ping), "{value:x?}");
    }
}

#[test]
fn a_foreign_value_is_wrong_in_every_known_field() {
    let wrong = |field: &str| Some(field.to_owned());
    for value in FOREIGN {
        let id = [&b"\x82\xa2op\xa4ping\xa2id"[..], value].concat();
        assert_eq!(field_refused(&id), (None, ErrorCode::Invalid, wrong("id")), "{value:x?}");
        let op = [&b"\x82\xa2id\x07\xa2op"[..], value].concat();
        assert_eq!(field_refused(&op), (Some(7), ErrorCode::Invalid, wrong("op")), "{value:x?}");
        let token = [&b"\x83\xa2op\xa5hello\xa2id\x07\xa5token"[..], value].concat();
        assert_eq!(field_refused(&token), (Some(7), ErrorCode::Invalid, wrong("token")));
        let room = [&b"\x83\xa2op\xabunsubscribe\xa2id\x07\xa4room"[..], value].concat();
        assert_eq!(field_refused(&room), (Some(7), ErrorCode::Invalid, wrong("room")));
        let list = [&b"\x84\xa2op\xa5hello\xa2id\x07\xa5token\xa1t\xa9subscribe\x91"[..], value];
        let list = list.concat();
        assert_eq!(field_refused(&list), (Some(7), ErrorCode::Invalid, wrong("subscribe")));
    }
}

#[test]
fn nil_is_absent() {
    assert_eq!(decode(b"\x82\xa2op\xa4ping\xa2id\xc0"), Ok(Operation::Ping));
    let no_op = field_refused(b"\x82\xa2op\xc0\xa2id\x07");
    assert_eq!(no_op, (Some(7), ErrorCode::Invalid, Some("op".to_owned())));
}

#[test]
fn of_a_key_that_is_there_twice_the_last_counts() {
    let packed = b"\x83\xa2op\xa5dance\xa2id\x07\xa2op\xa4ping";
    let json = br#"{"op":"dance","id":7,"op":"ping"}"#;
    let request = Codec::Json.decode(json).expect("a ping");
    assert_eq!((request.id, &request.operation), (Some(7), &Operation::Ping));
    assert_eq!(Codec::MessagePack.decode(packed), Ok(request));
}

#[test]
fn what_is_no_map_with_text_keys_is_undecodable() {
    for bytes in [
        &b""[..],
        b"\xc0",
        b"\x05",
        b"\xa4ping",
        b"\x92\xa4ping\x01",
        b"\xc1",
        b"junk",
        b"{\"op\":\"ping\"}",
        b"\x81\xa2op\xa4ping\xc0",
        b"\x81\xa2op\xa4ping\x80",
        b"\x82\xa2op\xa4ping\x01\x01",
        b"\x82\xa2op\xa4ping\xc0\x01",
        b"\x82\xa2op\xa4ping\xc4\x01x\x01",
        &ping_with(b"\xc1"),
        &ping_with(b"\x91\xc1"),
        &ping_with(b"\x81\x00\x00"),
        &ping_with(b"\xa2\xff\xfe"),
        &ping_with(b"\xd9\x02\xc3\x28"),
        &ping_with(b"\xa3\xed\xa0\x80"),
        b"\x82\xa2op\xa4ping\xa2\xff\xfe\x01",
    ] {
        assert_eq!(decode(bytes), Err(DecodeError::Undecodable), "{bytes:x?}");
    }
    assert_eq!(decode(b"\x80"), field_missing());
}

fn field_missing() -> Result<Operation, DecodeError> {
    Codec::Json.decode(b"{}").map(|request| request.operation)
}

#[test]
fn what_breaks_off_is_undecodable() {
    let whole = ping_with(b"\x92\xd6\x05abcd\xcb\x40\x1c\x00\x00\x00\x00\x00\x00");
    assert_eq!(decode(&whole), Ok(Operation::Ping));
    for length in 0..whole.len() {
        assert_eq!(decode(&whole[..length]), Err(DecodeError::Undecodable), "{length} bytes");
    }
}

#[test]
fn sixteen_levels_are_read_and_seventeen_are_not() {
    let deep = |levels: usize, opening: &[u8]| {
        ping_with(&[&opening.repeat(levels - 1)[..], b"\x01"].concat())
    };
    for opening in [&[0x91][..], &[0x81, 0xa1, b'x']] {
        assert_eq!(decode(&deep(16, opening)), Ok(Operation::Ping));
        assert_eq!(decode(&deep(17, opening)), Err(DecodeError::Undecodable));
    }
}
