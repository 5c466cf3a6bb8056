//! Signup, login, logout, what users change about themselves, and who is who.

use super::{
    HttpContext, Peer, answer, answer::Response, body::Fields, caller, problem::Problem,
    query::Query,
};
use crate::accounts::{ExternalUser, Signup, Started, username};
use hyper::{HeaderMap, StatusCode};
use madang_protocol::{Millis, Refusal, SessionId, UserId, object::UserObject};
use madang_store::accounts::{Profile, Session};
use serde::Serialize;
use utoipa::ToSchema;

/// `POST /v1/signup`
pub(super) async fn signup(
    mut body: Fields,
    context: &HttpContext,
    peer: Peer,
) -> Result<Response, Problem> {
    let wish = Signup {
        username: body.required_text("username")?,
        password: body.required_text("password")?,
        display_name: body.text("display_name")?,
    };
    let started = context.accounts.signup(wish, peer.key).await?;
    Ok(started_answer(StatusCode::CREATED, &started))
}

/// `POST /v1/login`
pub(super) async fn login(
    mut body: Fields,
    context: &HttpContext,
    peer: Peer,
) -> Result<Response, Problem> {
    let (username, password) = (body.required_text("username")?, body.required_text("password")?);
    let started = context.accounts.login(&username, password, peer.key).await?;
    Ok(started_answer(StatusCode::OK, &started))
}

/// Whether who asks has an API key.
pub(super) async fn check_api_key(
    headers: &HeaderMap,
    context: &HttpContext,
    peer: Peer,
) -> Result<(), Refusal> {
    context.accounts.check_api_key(caller::token(headers).ok(), peer.key).await
}

/// `POST /v1/tokens`, by one who has an API key.
pub(super) async fn tokens(mut body: Fields, context: &HttpContext) -> Result<Response, Problem> {
    let wish = ExternalUser {
        external_id: body.required_text("external_id")?,
        username: body.text("username")?,
        display_name: body.text("display_name")?,
    };
    let started = context.accounts.start_external(wish).await?;
    Ok(started_answer(StatusCode::OK, &started))
}

/// `POST /v1/password`
pub(super) async fn password(
    session: Session,
    token: &str,
    mut body: Fields,
    context: &HttpContext,
    peer: Peer,
) -> Result<Response, Problem> {
    let (old, new) = (body.required_text("old")?, body.required_text("new")?);
    context.accounts.change_password(session, token, old, new, peer.key).await?;
    Ok(answer::empty())
}

/// `POST /v1/logout`
pub(super) async fn logout(
    headers: &HeaderMap,
    context: &HttpContext,
) -> Result<Response, Problem> {
    context.accounts.logout(caller::token(headers)?).await?;
    Ok(answer::empty())
}

/// `GET /v1/me`
pub(super) async fn me(headers: &HeaderMap, context: &HttpContext) -> Result<Response, Problem> {
    let session = caller::session(headers, context).await?;
    let profile = context.accounts.profile(session.user).await?;
    Ok(me_answer(session, profile))
}

/// `PATCH /v1/me`
pub(super) async fn change_me(
    session: Session,
    mut body: Fields,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let display_name = body.required_text("display_name")?;
    let profile = context.accounts.change_display_name(session.user, display_name).await?;
    Ok(me_answer(session, profile))
}

/// `GET /v1/users`: one store call however many are asked for.
pub(super) async fn users(
    headers: &HeaderMap,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    caller::session(headers, context).await?;
    let found = context.reader.profiles(query.users(username::fold)?).await?;
    let users = found.into_iter().map(user_object).collect();
    Ok(answer::json(StatusCode::OK, &Users { users }))
}

/// Who a token speaks for.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[serde(flatten)]
    profile: UserObject,
    session: SessionId,
}

/// Users who were looked up.
#[derive(Serialize, ToSchema)]
#[schema(as = UserList)]
pub(super) struct Users {
    users: Vec<UserObject>,
}

/// The one answer that shows a token.
#[derive(Serialize, ToSchema)]
#[schema(as = Started)]
pub(super) struct StartedObject<'a> {
    user: UserId,
    token: &'a str,
    #[schema(value_type = u64)]
    expires_at: Millis,
}

fn started_answer(status: StatusCode, started: &Started) -> Response {
    let Started { user, token, expires_at } = started;
    let object = StartedObject { user: *user, token: token.reveal(), expires_at: *expires_at };
    answer::json(status, &object)
}

fn me_answer(session: Session, profile: Profile) -> Response {
    let me = Me { profile: user_object(profile), session: session.session };
    answer::json(StatusCode::OK, &me)
}

fn user_object(profile: Profile) -> UserObject {
    let Profile { user, username, display_name } = profile;
    UserObject { user, username, display_name }
}
