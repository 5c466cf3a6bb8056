//! Who has read a message.

use super::{
    HttpContext,
    answer::{self, Response},
    cursor,
    problem::Problem,
    query::Query,
    rooms::{self, must_be_member, next_after},
};
use hyper::StatusCode;
use madang_protocol::{ErrorCode, Refusal, UserId, object::ReaderObject};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// `GET /v1/rooms/{room}/messages/{seq}/readers`
pub(super) async fn list(
    user: UserId,
    room: &str,
    seq: &str,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = rooms::id(room)?;
    let limit = query.limit()?;
    let access = must_be_member(user, room, context).await?;
    let seq = message(seq, access.heads.last_seq)?;
    let after = query.cursor().map(|cursor| cursor::readers(room, seq, cursor)).transpose()?;
    // One more than asked for says whether another page follows.
    let found = context.reader.readers(room, seq, after, limit + 1).await?;
    let objects = found.iter().take(limit);
    let objects =
        objects.map(|member| ReaderObject { user: member.user, read_seq: member.read_seq });
    let readers = answer::fitting(objects);
    let next = next_after(&found, readers.len());
    let cursor = next.map(|member| cursor::of_readers(room, seq, member.user));
    Ok(answer::json(StatusCode::OK, &Readers { readers, cursor }))
}

/// The message of a path: one that is not there is not found, like anything else.
fn message(text: &str, last_seq: u64) -> Result<u64, Refusal> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let seq = text.parse().ok().filter(|seq| is_plain && (1..=last_seq).contains(seq));
    seq.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "no such message"))
}

/// A page of members who have read a message, ordered by user.
#[derive(Serialize, ToSchema)]
#[schema(as = ReaderPage)]
pub(super) struct Readers {
    #[schema(value_type = Vec<ReaderObject>)]
    readers: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_named_by_their_place() {
        for (text, seq) in [("1", Some(1)), ("5", Some(5)), ("6", None), ("0", None), ("", None)] {
            assert_eq!(message(text, 5).ok(), seq, "{text}");
        }
        for text in ["-1", "+1", "01", "1.0", "x", "99999999999999999999999"] {
            assert_eq!(message(text, 5).unwrap_err().code, ErrorCode::NotFound, "{text}");
        }
    }
}
