//! Rooms: making, listing, naming them. [`super::members`] changes who is in them.

use super::{
    HttpContext,
    answer::{self, Response},
    body::Fields,
    cursor,
    problem::Problem,
    query::Query,
    room_creation,
};
use crate::{accounts::token, store_call::within};
use hyper::StatusCode;
use madang_actors::connection::logic::may_read;
use madang_protocol::{
    ErrorCode, Refusal, Role, RoomId, UserId,
    object::{MemberObject, MessageObject, RoomObject},
};
use madang_store::rooms::{Access, Created, Member, RoomChange, RoomView};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// `POST /v1/rooms`
pub(super) async fn create(
    creator: UserId,
    body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let id = RoomId(token::random_id()?);
    let room = room_creation::parse(body, id, creator, context.clock.now())?;
    let members = room.members.clone();
    let created = within(context.settings.send_wait(), context.rooms.create(room)).await?;
    let (status, view) = match created {
        Created::New(view) => {
            announce(&view, creator, members, context);
            (StatusCode::CREATED, view)
        }
        Created::Existing(view) => (StatusCode::OK, context.reader.up_to_date(view, creator)),
        Created::UnknownUsers(users) => return Err(room_creation::unknown_members(users).into()),
        Created::TooManyRooms(user) => {
            let message = format!("user {user} is in too many rooms");
            return Err(Refusal::new(ErrorCode::Full, message).into());
        }
    };
    Ok(answer::json(status, &room_object(view, creator)))
}

/// The connections of the members receive the room from its first message on.
fn announce(view: &RoomView, creator: UserId, members: Vec<UserId>, context: &HttpContext) {
    let others = members.into_iter().filter(|user| *user != creator);
    let mut joined: Vec<_> = others.map(|user| (user, Role::Member)).collect();
    joined.sort_unstable_by_key(|(user, _)| *user);
    joined.dedup();
    joined.push((creator, view.role));
    context.router.announce_joined(view.room, view.heads, joined);
}

/// `GET /v1/rooms`: one store call, whatever the number of rooms.
pub(super) async fn list(
    user: UserId,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let limit = query.limit()?;
    let after = query.cursor().map(|cursor| cursor::rooms(user, cursor)).transpose()?;
    // One more than asked for says whether another page follows.
    let views = context.reader.list(user, after, limit + 1).await?;
    let objects = views.iter().take(limit).map(|view| room_object(view.clone(), user));
    let rooms = answer::fitting(objects);
    let cursor = next_after(&views, rooms.len()).map(|view| cursor::of_rooms(user, view.place()));
    Ok(answer::json(StatusCode::OK, &Rooms { rooms, cursor }))
}

/// `GET /v1/rooms/{room}`
pub(super) async fn view(
    user: UserId,
    room: &str,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = id(room)?;
    match context.reader.view(room, user).await? {
        Some(view) => Ok(answer::json(StatusCode::OK, &room_object(view, user))),
        None => {
            must_be_member(user, room, context).await?;
            // Joined between the two reads: the next request sees it.
            Err(Refusal::unavailable("the room changed just now").into())
        }
    }
}

/// `PATCH /v1/rooms/{room}`
pub(super) async fn rename(
    user: UserId,
    room: &str,
    mut body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let name = body.required_text("name")?;
    room_creation::check_name(&name)?;
    let change = RoomChange::Rename(name.into());
    context.router.change(id(room)?, user, change).await?;
    view(user, room, context).await
}

/// `GET /v1/rooms/{room}/members`
pub(super) async fn members(
    user: UserId,
    room: &str,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = id(room)?;
    let limit = query.limit()?;
    let after = query.cursor().map(|cursor| cursor::members(room, cursor)).transpose()?;
    must_be_member(user, room, context).await?;
    let found = context.reader.members(room, after, limit + 1).await?;
    let users: Vec<UserId> = found.iter().take(limit).map(|member| member.user).collect();
    let online = context.reader.online(&users).await?;
    let objects = found.iter().zip(online).map(|(member, online)| member_object(member, online));
    let members = answer::fitting(objects);
    let next = next_after(&found, members.len());
    let cursor = next.map(|member| cursor::of_members(room, member.user));
    Ok(answer::json(StatusCode::OK, &Members { members, cursor }))
}

/// The room of a path. A text that is no id of ours names a room that does not exist.
pub(super) fn id(text: &str) -> Result<RoomId, Refusal> {
    text.parse().map_err(|_| Refusal::no_room())
}

/// What `user` may do in a room; ends in a refusal unless they are a member: `not_found` where the room must stay hidden,
/// `forbidden` where it may be joined.
pub(super) async fn must_be_member(
    user: UserId,
    room: RoomId,
    context: &HttpContext,
) -> Result<Access, Refusal> {
    match context.reader.access(user, vec![room]).await?.pop().flatten() {
        Some(access) if access.role.is_some() => Ok(access),
        Some(access) if !access.private => Err(Refusal::not_a_member()),
        Some(_) | None => Err(Refusal::no_room()),
    }
}

/// Ends in the same refusals unless `user` may read what is in the room already.
pub(super) async fn must_be_reader(
    user: UserId,
    room: RoomId,
    context: &HttpContext,
) -> Result<(), Refusal> {
    may_read(context.reader.membership(user, room).await?)
}

/// The last item of a page of `kept` items, if more follow.
pub(super) fn next_after<T>(found: &[T], kept: usize) -> Option<&T> {
    (kept < found.len()).then(|| kept.checked_sub(1).and_then(|last| found.get(last))).flatten()
}

fn room_object(view: RoomView, viewer: UserId) -> RoomObject {
    let last_message =
        view.last_message.as_ref().map(|message| MessageObject::seen_by(message, Some(viewer)));
    RoomObject {
        room: view.room,
        kind: view.kind,
        name: view.name,
        private: view.private,
        role: view.role,
        created_at: view.created_at,
        last_seq: view.heads.last_seq,
        last_rev: view.heads.last_rev,
        read_seq: view.read_seq,
        unread: view.heads.last_seq.saturating_sub(view.read_seq),
        members: view.members,
        last_message,
    }
}

fn member_object(member: &Member, online: bool) -> MemberObject {
    let Member { user, role, joined_at, read_seq } = *member;
    MemberObject { user, role, joined_at, read_seq, online }
}

/// A page of rooms, latest activity first.
#[derive(Serialize, ToSchema)]
#[schema(as = RoomPage)]
pub(super) struct Rooms {
    #[schema(value_type = Vec<RoomObject>)]
    rooms: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A page of members, ordered by user.
#[derive(Serialize, ToSchema)]
#[schema(as = MemberPage)]
pub(super) struct Members {
    #[schema(value_type = Vec<MemberObject>)]
    members: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_only_where_more_follow() {
        for (found, kept, next) in [
            (&[][..], 0, None),
            (&[1, 2], 2, None),
            (&[1, 2, 3], 2, Some(2)),
            (&[1, 2], 1, Some(1)),
        ] {
            assert_eq!(next_after(found, kept).copied(), next, "{found:?} {kept}");
        }
    }
}
