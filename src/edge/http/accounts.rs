//! Signup, login, logout, and who is who.

use super::{
    HttpContext, Peer, answer, answer::Response, body::Fields, caller, problem::Problem,
    query::Query,
};
use crate::accounts::{Signup, Started, username};
use hyper::{HeaderMap, StatusCode};
use madang_protocol::{Millis, SessionId, UserId, object::UserObject};
use madang_store::accounts::Profile;
use serde::Serialize;

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
    let profile = user_object(context.accounts.profile(session.user).await?);
    Ok(answer::json(StatusCode::OK, &Me { profile, session: session.session }))
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

#[derive(Serialize)]
struct Me {
    #[serde(flatten)]
    profile: UserObject,
    session: SessionId,
}

#[derive(Serialize)]
struct Users {
    users: Vec<UserObject>,
}

/// The one answer that shows a token.
#[derive(Serialize)]
struct StartedObject<'a> {
    user: UserId,
    token: &'a str,
    expires_at: Millis,
}

fn started_answer(status: StatusCode, started: &Started) -> Response {
    let Started { user, token, expires_at } = started;
    let object = StartedObject { user: *user, token: token.reveal(), expires_at: *expires_at };
    answer::json(status, &object)
}

fn user_object(profile: Profile) -> UserObject {
    let Profile { user, username, display_name } = profile;
    UserObject { user, username, display_name }
}
