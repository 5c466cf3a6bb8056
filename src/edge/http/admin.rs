//! The operator's calls.

use super::{
    HttpContext,
    answer::{self, Response},
    body::{self, Fields, Limits},
    caller,
    problem::Problem,
};
use crate::{accounts::unauthenticated, admin::Admin};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Body};
use madang_actors::switches::{Positions, Switches};
use madang_protocol::Refusal;
use serde::Serialize;

/// A path for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `/admin/tree`
    Tree,
    /// `/admin/switches`
    Switches,
    /// `/admin/drain`
    Drain,
}

impl Call {
    /// The call of the segment behind `/admin/`.
    pub(super) fn of(segment: &str) -> Option<Self> {
        [Self::Tree, Self::Switches, Self::Drain]
            .into_iter()
            .find(|call| call.template().strip_prefix("/admin/") == Some(segment))
    }

    /// Its path.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Tree => "/admin/tree",
            Self::Switches => "/admin/switches",
            Self::Drain => "/admin/drain",
        }
    }

    /// The methods it takes.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Tree => "GET, HEAD",
            Self::Switches => "GET, HEAD, POST",
            Self::Drain => "POST",
        }
    }
}

/// Answers a call by a method it takes.
pub(super) async fn answer<B>(
    call: Call,
    request: Request<B>,
    limits: Limits,
    context: &HttpContext,
) -> Result<Response, Problem>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let admin = operator(request.headers(), context)?;
    match call {
        Call::Tree => tree(admin).await,
        Call::Switches if *request.method() == Method::POST => {
            switch(body::read(request, limits).await?, admin)
        }
        Call::Switches => Ok(switches(admin)),
        Call::Drain => Ok(drain(admin)),
    }
}

/// The operator's side of the node, for who has the token.
fn operator<'a>(headers: &HeaderMap, context: &'a HttpContext) -> Result<&'a Admin, Refusal> {
    let token = caller::token(headers)?;
    let admin = context.admin.as_deref().filter(|admin| admin.knows(token));
    admin.ok_or_else(unauthenticated)
}

/// `GET /admin/tree`
async fn tree(admin: &Admin) -> Result<Response, Problem> {
    let tree = admin.tree().await.ok_or_else(|| Refusal::unavailable("the node is ending"))?;
    Ok(answer::json(StatusCode::OK, &tree))
}

/// `GET /admin/switches`
fn switches(admin: &Admin) -> Response {
    answer::json(StatusCode::OK, &SwitchesObject::from(admin.switches()))
}

/// `POST /admin/switches`: those that are not named stay as they are. A name that is no switch is
/// refused: to an operator it would look as if something had been switched.
fn switch(mut body: Fields, admin: &Admin) -> Result<Response, Problem> {
    let change = Positions {
        presence: body.flag("presence")?,
        typing: body.flag("typing")?,
        receipts: body.flag("receipts")?,
    };
    body.finish()?;
    admin.switches().set(change);
    let now = SwitchesObject::from(admin.switches());
    tracing::info!(now.presence, now.typing, now.receipts, "switches");
    Ok(answer::json(StatusCode::OK, &now))
}

/// `POST /admin/drain`
fn drain(admin: &Admin) -> Response {
    admin.drain();
    answer::json(StatusCode::ACCEPTED, &Draining { status: "draining" })
}

#[derive(Serialize)]
struct SwitchesObject {
    presence: bool,
    typing: bool,
    receipts: bool,
}

impl From<&Switches> for SwitchesObject {
    fn from(switches: &Switches) -> Self {
        Self {
            presence: switches.presence(),
            typing: switches.typing(),
            receipts: switches.receipts(),
        }
    }
}

#[derive(Serialize)]
struct Draining {
    status: &'static str,
}
