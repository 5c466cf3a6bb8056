//! A room's messages: reading and posting.

use super::{
    HttpContext,
    answer::{self, Response},
    body::Fields,
    problem::Problem,
    query::Query,
    room_creation::client_id,
    rooms,
};
use crate::config::or_unlimited;
use hyper::StatusCode;
use madang_actors::Receipt;
use madang_protocol::{
    ErrorCode, Millis, Refusal, RoomId, UserId,
    object::MessageObject,
    operation::{Range, Send},
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Fields of a message that are not offered yet.
const NOT_OFFERED: [&str; 1] = ["attachments"];

/// `GET /v1/rooms/{room}/messages`
pub(super) async fn list(
    user: UserId,
    room: &str,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = rooms::id(room)?;
    let (range, limit) = (query.range()?, query.limit()?);
    rooms::must_be_reader(user, room, context).await?;
    let page = context.reader.page(room, range, limit).await?;
    let objects = page.messages.iter().map(|message| MessageObject::seen_by(message, Some(user)));
    let mut objects: Vec<_> = objects.collect();
    context.reader.add_my_reactions(room, user, &mut objects).await?;
    let messages = match range {
        Range::After(_) => answer::fitting(objects),
        // What does not fit is left out at the far end, so that the next page continues there.
        Range::Newest | Range::Before(_) => {
            let mut messages = answer::fitting(objects.into_iter().rev());
            messages.reverse();
            messages
        }
    };
    Ok(answer::json(StatusCode::OK, &Messages { messages, last_seq: page.last_seq }))
}

/// `POST /v1/rooms/{room}/messages`
pub(super) async fn post(
    user: UserId,
    room: &str,
    body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let body_bytes_max = or_unlimited(context.settings.body_bytes_max);
    let send = parse(rooms::id(room)?, body, body_bytes_max)?;
    let Receipt { room, seq, ts, duplicate, .. } = context.router.send(user, send).await?;
    let status = if duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok(answer::json(status, &Posted { room, seq, ts, duplicate }))
}

fn parse(room: RoomId, mut body: Fields, body_bytes_max: usize) -> Result<Send, Refusal> {
    body.refuse(&NOT_OFFERED)?;
    let client_id = client_id(&body.required_text("client_id")?)?;
    let text = body.required_text("body")?;
    if text.is_empty() {
        return Err(Refusal::invalid("body", "must not be empty"));
    }
    if text.len() > body_bytes_max {
        let message = format!("must be at most {body_bytes_max} bytes long");
        return Err(Refusal {
            field: Some("body".into()),
            ..Refusal::new(ErrorCode::TooLarge, message)
        });
    }
    let reply_to = body.number("reply_to")?;
    Ok(Send { room, client_id, body: text.into(), reply_to })
}

/// A page of a room's messages, ascending.
#[derive(Serialize, ToSchema)]
#[schema(as = MessagePage)]
pub(super) struct Messages {
    #[schema(value_type = Vec<MessageObject>)]
    messages: Vec<Box<RawValue>>,
    last_seq: u64,
}

/// Where a message is.
#[derive(Serialize, ToSchema)]
pub(super) struct Posted {
    room: RoomId,
    seq: u64,
    #[schema(value_type = u64)]
    ts: Millis,
    duplicate: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([7; 15]);

    fn parsed(body: &str) -> Result<Send, Refusal> {
        parse(ROOM, Fields::parse(body.as_bytes()).unwrap(), 8)
    }

    #[test]
    fn a_body_is_kept_byte_for_byte() {
        let send = parsed(r#"{"client_id":"c","body":" a\u0000\n\u00e9 ","x":1}"#).unwrap();
        assert_eq!((&*send.body, send.client_id.as_str()), (" a\0\né ", "c"));
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, code, field) in [
            (r#"{"body":"a"}"#, ErrorCode::Invalid, "client_id"),
            (r#"{"client_id":"","body":"a"}"#, ErrorCode::Invalid, "client_id"),
            (r#"{"client_id":"c"}"#, ErrorCode::Invalid, "body"),
            (r#"{"client_id":"c","body":""}"#, ErrorCode::Invalid, "body"),
            (r#"{"client_id":"c","body":7}"#, ErrorCode::Invalid, "body"),
            (r#"{"client_id":"c","body":"123456789"}"#, ErrorCode::TooLarge, "body"),
            (r#"{"client_id":"c","body":"a","reply_to":"1"}"#, ErrorCode::Invalid, "reply_to"),
            (r#"{"client_id":"c","body":"a","reply_to":-1}"#, ErrorCode::Invalid, "reply_to"),
            (r#"{"client_id":"c","body":"a","attachments":[]}"#, ErrorCode::Invalid, "attachments"),
        ] {
            let refusal = parsed(body).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_deref()), (code, Some(field)), "{body}");
        }
    }

    #[test]
    fn null_is_absent() {
        let send = parsed(r#"{"client_id":"c","body":"a","reply_to":null}"#).unwrap();
        assert_eq!(send.reply_to, None);
        let send = parsed(r#"{"client_id":"c","body":"a","reply_to":7}"#).unwrap();
        assert_eq!(send.reply_to, Some(7));
    }
}
