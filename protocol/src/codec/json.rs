//! JSON text frames.

use super::{DecodeError, fields::Fields, tree};
use crate::{Request, frame::NodeFrame, limits::DEPTH_MAX};
use serde_json::{Value, error::Category};

/// Appends the frame's JSON.
pub fn encode(frame: &NodeFrame, buffer: &mut Vec<u8>) {
    serde_json::to_writer(buffer, frame).expect("frames are maps with string keys");
}

/// Reads one client frame.
///
/// The fast way fills all fields in one pass. Only when a field has the wrong type, or is there
/// twice, is the frame read again, as a tree.
pub fn decode(bytes: &[u8]) -> Result<Request, DecodeError> {
    let is_map = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_map || is_too_deep(bytes) {
        return Err(DecodeError::Undecodable);
    }
    match serde_json::from_slice::<Fields<'_>>(bytes) {
        Ok(fields) => fields.into_request(),
        Err(error) if error.classify() == Category::Data => decode_tree(bytes),
        Err(_) => Err(DecodeError::Undecodable),
    }
}

fn decode_tree(bytes: &[u8]) -> Result<Request, DecodeError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => tree::decode(map),
        Ok(_) | Err(_) => Err(DecodeError::Undecodable),
    }
}

/// Nested deeper than `DEPTH_MAX`. Frames with fewer brackets than that, nearly all, are told
/// apart by counting alone.
fn is_too_deep(bytes: &[u8]) -> bool {
    let opening = bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    opening > DEPTH_MAX && depth(bytes) > DEPTH_MAX
}

fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Emoji, ErrorCode, Operation, Refusal,
        operation::{Edit, History, Range, React, Signal, Subscription, Target, Typing, Wish},
    };

    const ROOM: &str = "AAAAAAAAAAAAAAAAAAAA";

    fn operation(text: &str) -> Operation {
        decode(text.as_bytes()).expect(text).operation
    }

    fn refused(text: &str) -> (Option<u64>, ErrorCode, Option<String>) {
        match decode(text.as_bytes()) {
            Err(DecodeError::Refused { id, refusal }) => {
                (id, refusal.code, refusal.field.map(|field| field.into_owned()))
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_operation() {
        let room = ROOM.parse().unwrap();
        assert_eq!(
            decode(br#"{"op":"ping","id":7}"#).unwrap(),
            Request { id: Some(7), operation: Operation::Ping }
        );
        let Operation::Send(send) = operation(&format!(
            r#" {{"op":"send","room":"{ROOM}","client_id":"a","body":"\u00e9\n","extra":[1]}} "#
        )) else {
            panic!("not a send");
        };
        assert_eq!((&*send.body, send.client_id.as_str(), send.reply_to), ("é\n", "a", None));
        assert_eq!(
            operation(&format!(
                r#"{{"op":"subscribe","room":"{ROOM}","after_seq":3,"after_rev":2}}"#
            )),
            Operation::Subscribe(Subscription { room, after_seq: Some(3), after_rev: Some(2) })
        );
        assert_eq!(
            operation(&format!(r#"{{"op":"unsubscribe","room":"{ROOM}"}}"#)),
            Operation::Unsubscribe(room)
        );
        assert_eq!(
            operation(&format!(r#"{{"op":"history","room":"{ROOM}","before":9,"after":null}}"#)),
            Operation::History(History { room, range: Range::Before(9), limit: 50 })
        );
    }

    #[test]
    fn operations_on_a_message() {
        let target = Target { room: ROOM.parse().unwrap(), seq: 4 };
        let on_four = |op: &str, rest: &str| {
            operation(&format!(r#"{{"op":"{op}","room":"{ROOM}","seq":4{rest}}}"#))
        };
        assert_eq!(
            on_four("edit", r#","body":"b","if_rev":0"#),
            Operation::Edit(Edit { target, body: "b".into(), if_rev: Some(0) })
        );
        assert_eq!(on_four("delete", ""), Operation::Delete(target));
        assert_eq!(on_four("read", ""), Operation::Read(target));
        assert_eq!(
            on_four("react", r#","emoji":"👍","on":false"#),
            Operation::React(React { target, emoji: Emoji::new("👍").unwrap(), on: false })
        );
    }

    #[test]
    fn operations_on_those_who_listen() {
        let room = ROOM.parse().unwrap();
        let in_room =
            |op: &str, rest: &str| operation(&format!(r#"{{"op":"{op}","room":"{ROOM}"{rest}}}"#));
        assert_eq!(
            in_room("typing", r#","on":true"#),
            Operation::Typing(Typing { room, on: true })
        );
        assert_eq!(
            in_room("signal", r#","data":"d""#),
            Operation::Signal(Signal { room, data: "d".into() })
        );
        assert_eq!(in_room("presence", ""), Operation::Presence(room));
        let long = format!(r#"{{"op":"signal","room":"{ROOM}","data":"{}"}}"#, "d".repeat(1_025));
        assert_eq!(refused(&long), (None, ErrorCode::TooLarge, Some("data".to_owned())));
    }

    #[test]
    fn hello_with_its_wishes() {
        let wish = |text: &str| match operation(text) {
            Operation::Hello(hello) => hello.subscribe,
            other => panic!("{other:?}"),
        };
        assert_eq!(wish(r#"{"op":"hello","token":"t"}"#), Wish::All);
        assert_eq!(wish(r#"{"op":"hello","token":"t","subscribe":"all"}"#), Wish::All);
        let room = ROOM.parse().unwrap();
        assert_eq!(
            wish(&format!(
                r#"{{"op":"hello","token":"t","subscribe":[{{"room":"{ROOM}","after_seq":1}},{{"room":"x"}}]}}"#
            )),
            Wish::Rooms(vec![
                Ok(Subscription { room, after_seq: Some(1), after_rev: None }),
                Err("x".into())
            ])
        );
    }

    #[test]
    fn what_is_refused_and_how() {
        use ErrorCode::*;
        let field = |name: &str| Some(name.to_owned());
        let cases: &[(&str, ErrorCode, Option<String>)] = &[
            (r#"{"id":1}"#, Invalid, field("op")),
            (r#"{"id":1,"op":5}"#, Invalid, field("op")),
            (r#"{"id":1,"op":"dance"}"#, UnknownOp, None),
            (r#"{"id":1,"op":"dance","room":5}"#, UnknownOp, None),
            (r#"{"id":1,"op":"hello"}"#, Invalid, field("token")),
            (r#"{"id":1,"op":"hello","token":5}"#, Invalid, field("token")),
            (
                r#"{"id":1,"op":"hello","token":"t","subscribe":"some"}"#,
                Invalid,
                field("subscribe"),
            ),
            (
                r#"{"id":1,"op":"hello","token":"t","subscribe":[{"room":1}]}"#,
                Invalid,
                field("subscribe"),
            ),
            (r#"{"id":1,"op":"subscribe"}"#, Invalid, field("room")),
            (r#"{"id":1,"op":"subscribe","room":"x"}"#, NotFound, None),
            (
                r#"{"id":1,"op":"subscribe","room":"AAAAAAAAAAAAAAAAAAAA","after_rev":0}"#,
                Invalid,
                field("after_rev"),
            ),
            (
                r#"{"id":1,"op":"subscribe","room":"AAAAAAAAAAAAAAAAAAAA","after_seq":-1}"#,
                Invalid,
                field("after_seq"),
            ),
            (
                r#"{"id":1,"op":"subscribe","room":"AAAAAAAAAAAAAAAAAAAA","after_seq":9007199254740992}"#,
                Invalid,
                field("after_seq"),
            ),
            (
                r#"{"id":1,"op":"send","room":"AAAAAAAAAAAAAAAAAAAA","client_id":"","body":"b"}"#,
                Invalid,
                field("client_id"),
            ),
            (
                r#"{"id":1,"op":"send","room":"AAAAAAAAAAAAAAAAAAAA","client_id":"c"}"#,
                Invalid,
                field("body"),
            ),
            (
                r#"{"id":1,"op":"send","room":"AAAAAAAAAAAAAAAAAAAA","client_id":"c","body":"b","reply_to":-1}"#,
                Invalid,
                field("reply_to"),
            ),
            (
                r#"{"id":1,"op":"edit","room":"AAAAAAAAAAAAAAAAAAAA","body":"b"}"#,
                Invalid,
                field("seq"),
            ),
            (
                r#"{"id":1,"op":"edit","room":"AAAAAAAAAAAAAAAAAAAA","seq":1}"#,
                Invalid,
                field("body"),
            ),
            (r#"{"id":1,"op":"delete","room":"AAAAAAAAAAAAAAAAAAAA"}"#, Invalid, field("seq")),
            (
                r#"{"id":1,"op":"react","room":"AAAAAAAAAAAAAAAAAAAA","seq":1,"emoji":"","on":true}"#,
                Invalid,
                field("emoji"),
            ),
            (
                r#"{"id":1,"op":"react","room":"AAAAAAAAAAAAAAAAAAAA","seq":1,"emoji":"x"}"#,
                Invalid,
                field("on"),
            ),
            (r#"{"id":1,"op":"read","room":"x","seq":1}"#, NotFound, None),
            (
                r#"{"id":1,"op":"typing","room":"AAAAAAAAAAAAAAAAAAAA","on":1}"#,
                Invalid,
                field("on"),
            ),
            (r#"{"id":1,"op":"signal","room":"AAAAAAAAAAAAAAAAAAAA"}"#, Invalid, field("data")),
            (r#"{"id":1,"op":"presence"}"#, Invalid, field("room")),
            (
                r#"{"id":1,"op":"history","room":"AAAAAAAAAAAAAAAAAAAA","before":1,"after":1}"#,
                Invalid,
                field("before"),
            ),
            (
                r#"{"id":1,"op":"history","room":"AAAAAAAAAAAAAAAAAAAA","limit":201}"#,
                Invalid,
                field("limit"),
            ),
            (
                r#"{"id":1,"op":"history","room":"AAAAAAAAAAAAAAAAAAAA","limit":1.5}"#,
                Invalid,
                field("limit"),
            ),
        ];
        for (text, code, field) in cases {
            assert_eq!(refused(text), (Some(1), *code, field.clone()), "{text}");
        }
        assert_eq!(refused(r#"{"id":"x","op":"ping"}"#), (None, Invalid, field("id")));
        assert_eq!(refused(r#"{"id":9007199254740992,"op":"ping"}"#), (None, Invalid, field("id")));
    }

    #[test]
    fn fields_of_other_operations_are_unknown_and_ignored() {
        assert_eq!(operation(r#"{"op":"ping","room":5,"limit":"x","body":[[]]}"#), Operation::Ping);
    }

    #[test]
    fn what_is_no_map_is_undecodable() {
        let deep = |depth: usize| {
            format!(r#"{{"op":"ping","x":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        for text in [
            "",
            "5",
            "[]",
            r#"["ping",1]"#,
            "{",
            r#"{"op":"ping"}x"#,
            r#"{"op":"ping",}"#,
            r#"{"room":5,"#,
            &deep(17),
        ] {
            assert_eq!(decode(text.as_bytes()), Err(DecodeError::Undecodable), "{text}");
        }
        assert_eq!(operation(&deep(16)), Operation::Ping);
        assert_eq!(
            operation(r#"{"op":"ping","x":"[[[[[[[[[[[[[[[[[[[[[[[[\"[["}"#),
            Operation::Ping
        );
    }

    #[test]
    fn an_absent_field_is_not_written() {
        let frame = NodeFrame::refusal(None, Refusal::new(ErrorCode::Forbidden, "no"));
        let mut text = Vec::new();
        encode(&frame, &mut text);
        assert_eq!(text, br#"{"op":"error","code":"forbidden","message":"no"}"#);
    }
}
