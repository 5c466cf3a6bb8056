//! Changing who is in a room, and as what. What is allowed is decided by the store.

use super::{
    HttpContext,
    answer::{self, Response},
    body::Fields,
    problem::Problem,
    query::Query,
    rooms,
};
use hyper::StatusCode;
use madang_protocol::{ErrorCode, Refusal, Role, RoomId, UserId};
use madang_store::{
    cache::{Forget, MemberKey},
    rooms::RoomChange,
};
use serde::Serialize;
use utoipa::ToSchema;

/// `POST /v1/rooms/{room}/join`
pub(super) async fn join(
    user: UserId,
    room: &str,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = rooms::id(room)?;
    let role = change(context, room, user, RoomChange::Join).await?;
    Ok(member(room, None, role))
}

/// `POST /v1/rooms/{room}/leave`
pub(super) async fn leave(
    user: UserId,
    room: &str,
    context: &HttpContext,
) -> Result<Response, Problem> {
    change(context, rooms::id(room)?, user, RoomChange::Leave).await?;
    Ok(answer::empty())
}

/// `POST /v1/rooms/{room}/members`
pub(super) async fn add(
    by: UserId,
    room: &str,
    mut body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let room = rooms::id(room)?;
    let Ok(user) = body.required_text("user")?.parse() else {
        rooms::must_be_member(by, room, context).await?;
        return Err(Refusal::invalid("user", "no such user").into());
    };
    let role = change(context, room, by, RoomChange::Add(user)).await?;
    Ok(member(room, Some(user), role))
}

/// `PATCH /v1/rooms/{room}/members/{user}`
pub(super) async fn set_role(
    by: UserId,
    room: &str,
    user: &str,
    mut body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let (room, role) = (rooms::id(room)?, role(&body.required_text("role")?)?);
    let user = member_id(user, by, room, context).await?;
    let role = change(context, room, by, RoomChange::SetRole { user, role }).await?;
    Ok(member(room, Some(user), role))
}

/// `DELETE /v1/rooms/{room}/members/{user}`
pub(super) async fn remove(
    by: UserId,
    room: &str,
    user: &str,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let (room, ban) = (rooms::id(room)?, query.flag("ban")?);
    let user = member_id(user, by, room, context).await?;
    change(context, room, by, RoomChange::Remove { user, ban }).await?;
    Ok(answer::empty())
}

/// Makes a change; behind the answer no copy of what the users were before is believed here.
async fn change(
    context: &HttpContext,
    room: RoomId,
    by: UserId,
    change: RoomChange,
) -> Result<Option<Role>, Refusal> {
    let mut users = vec![change.concerns(by)];
    // Whoever gives ownership away is something else afterwards, too.
    if users[0] != by {
        users.push(by);
    }
    let role = context.router.change(room, by, change).await?;
    let members = users.into_iter().map(|user| MemberKey { room, user }).collect();
    context.reader.forget(&Forget { members, ..Forget::default() }).await;
    Ok(role)
}

/// The user of a path. A text that is no id of ours names nobody, which is not told to those who
/// may not know of the room.
async fn member_id(
    text: &str,
    by: UserId,
    room: RoomId,
    context: &HttpContext,
) -> Result<UserId, Refusal> {
    match text.parse() {
        Ok(user) => Ok(user),
        Err(_) => {
            rooms::must_be_member(by, room, context).await?;
            Err(Refusal::new(ErrorCode::NotFound, "no such member"))
        }
    }
}

fn role(text: &str) -> Result<Role, Refusal> {
    match text {
        "member" => Ok(Role::Member),
        "admin" => Ok(Role::Admin),
        "owner" => Ok(Role::Owner),
        _ => Err(Refusal::invalid("role", "must be member, admin or owner")),
    }
}

/// `user` where it is not the caller.
fn member(room: RoomId, user: Option<UserId>, role: Option<Role>) -> Response {
    let role = role.unwrap_or(Role::Member);
    answer::json(StatusCode::OK, &Joined { room, user, role, status: "joined" })
}

/// A membership as it is now.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
pub(super) struct Joined {
    room: RoomId,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    role: Role,
    status: &'static str,
}
