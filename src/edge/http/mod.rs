//! HTTP: one request in, one answer out.
//!
//! [`handle`] finds the route, reads the body if there is one, asks the accounts, the reader or
//! the router, and turns what comes back into JSON. Every refusal is an RFC 9457 problem. A request
//! has one deadline for all of this, and a panic inside it is answered `internal`.
//!
//! Upgrades to a WebSocket are taken before this: `GET /v1/ws` that arrives here is none.

mod accounts;
mod admin;
mod answer;
mod body;
mod caller;
mod cors;
mod cursor;
mod members;
mod messages;
mod monitoring;
pub mod openapi;
mod problem;
mod query;
mod readers;
mod room_creation;
mod rooms;
mod route;

pub use answer::Response;
pub use problem::Problem;
pub use route::TEMPLATES;

use crate::{
    accounts::Accounts,
    admin::Admin,
    config::{Settings, or_unlimited},
    edge::origin::Origins,
    metrics::Metrics,
    observability::Page,
};
use body::Limits;
use caller::Peer;
use futures_util::FutureExt;
use hyper::{HeaderMap, Method, Request, body::Body};
use madang_actors::{Reader, Router, kernel::Clock};
use madang_protocol::{ErrorCode, Refusal};
use madang_resilience::Health;
use madang_store::{RoomStore, StoreControl};
use query::Query;
use route::Route;
use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

/// Everything requests are answered from. Cloning shares it.
#[derive(Clone)]
pub struct HttpContext {
    /// What operators may see and do; `None`: there is no address for it.
    pub admin: Option<Arc<Admin>>,
    /// Signup, login, sessions.
    pub accounts: Arc<Accounts>,
    /// Reads.
    pub reader: Reader,
    /// Sends, and changes of a room, go to its home.
    pub router: Router,
    /// Rooms are made here: a room has no home before it exists.
    pub rooms: Arc<dyn RoomStore>,
    /// How the store is.
    pub store: Arc<dyn StoreControl>,
    /// How the other parts of the node are.
    pub health: Health,
    /// What `/metrics` shows.
    pub page: Page,
    /// Counts what is answered.
    pub metrics: Metrics,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Which pages may read the answers.
    pub origins: Origins,
    /// The time.
    pub clock: Clock,
    /// Which paths exist here.
    pub surface: Surface,
}

/// Which paths one listening address offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Those of clients and monitoring.
    Whole,
    /// Those of clients; monitoring has moved to another address.
    Clients,
    /// `/healthz`, `/readyz`, `/metrics`, and `/openapi.json`, which clients keep too.
    Monitoring,
    /// Those of operators.
    Admin,
}

impl Surface {
    fn has(self, route: &Route<'_>) -> bool {
        match self {
            Self::Whole => !matches!(route, Route::Admin(_)),
            Self::Clients => Self::Whole.has(route) && !route.is_monitoring(),
            Self::Monitoring => route.is_monitoring() || *route == Route::OpenApi,
            Self::Admin => matches!(route, Route::Admin(_)),
        }
    }
}

/// Answers one request that came over a connection of `peer`. Never fails: what goes wrong is in
/// the answer.
pub async fn handle<B>(request: Request<B>, context: &HttpContext, peer: SocketAddr) -> Response
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let started = Instant::now();
    let path = request.uri().path().to_owned();
    let route = Route::of(&path).filter(|route| context.surface.has(route));
    let shared_with = context.origins.shared_with(request.headers()).cloned();
    let mut response = match route {
        _ if cors::is_preflight(&request) => cors::preflight(shared_with.is_some()),
        None => Problem::no_path().into_response(),
        Some(route) => {
            let peer = Peer::of(peer, request.headers(), &context.settings.trusted_proxies);
            guarded(route, request, context, peer).await
        }
    };
    cors::share(&mut response, shared_with);
    let template = route.map_or(route::UNKNOWN, |route| route.template());
    count_refusal(&response, context);
    context.metrics.answered(template, response.status().as_u16(), started.elapsed());
    response
}

/// Answers a request that is refused whatever it asks for.
pub fn refuse<B>(request: &Request<B>, context: &HttpContext, problem: Problem) -> Response {
    let shared_with = context.origins.shared_with(request.headers()).cloned();
    let mut response = match cors::is_preflight(request) {
        true => cors::preflight(shared_with.is_some()),
        false => problem.into_response(),
    };
    cors::share(&mut response, shared_with);
    count_refusal(&response, context);
    response
}

/// An answer that is a problem carries its code.
fn count_refusal(response: &Response, context: &HttpContext) {
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        context.metrics.refusal(*code);
    }
}

/// The answer in time and without a panic, or a problem.
async fn guarded<B>(
    route: Route<'_>,
    request: Request<B>,
    context: &HttpContext,
    peer: Peer,
) -> Response
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let deadline = Duration::from_millis(context.settings.request_timeout_ms);
    let answer = AssertUnwindSafe(dispatch(route, request, context, peer)).catch_unwind();
    let answer = match tokio::time::timeout(deadline, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            tracing::error!(route = route.template(), "a request panicked");
            Err(Refusal::new(ErrorCode::Internal, "the request was dropped").into())
        }
        Err(_) => Err(Refusal::unavailable("the request took too long").into()),
    };
    answer.unwrap_or_else(Problem::into_response)
}

async fn dispatch<B>(
    route: Route<'_>,
    request: Request<B>,
    context: &HttpContext,
    peer: Peer,
) -> Result<Response, Problem>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    if !route.takes(request.method()) {
        return Err(Problem::method(route.methods()));
    }
    if let Route::Admin(call) = route {
        return admin::answer(call, request, body_limits(&context.settings), context).await;
    }
    match *request.method() {
        // Without its body; hyper leaves that out.
        Method::GET | Method::HEAD => {
            let query = Query::parse(request.uri().query());
            read(route, request.headers(), query, context).await
        }
        _ => write(route, request, context, peer).await,
    }
}

/// GET.
async fn read(
    route: Route<'_>,
    headers: &HeaderMap,
    query: Query,
    context: &HttpContext,
) -> Result<Response, Problem> {
    let user = || caller::user(headers, context);
    match route {
        Route::Health => Ok(monitoring::health()),
        Route::Ready => Ok(monitoring::ready(context)),
        Route::Metrics => Ok(monitoring::metrics(context).await),
        Route::OpenApi => Ok(openapi::serve()),
        Route::Me => accounts::me(headers, context).await,
        Route::Users => accounts::users(headers, query, context).await,
        Route::Rooms => rooms::list(user().await?, query, context).await,
        Route::Room(room) => rooms::view(user().await?, room, context).await,
        Route::Members(room) => rooms::members(user().await?, room, query, context).await,
        Route::Messages(room) => messages::list(user().await?, room, query, context).await,
        Route::Readers(room, seq) => readers::list(user().await?, room, seq, query, context).await,
        Route::Socket => Err(Refusal::invalid("upgrade", "must ask for a WebSocket").into()),
        Route::Signup
        | Route::Login
        | Route::Tokens
        | Route::Logout
        | Route::Password
        | Route::Join(_)
        | Route::Leave(_)
        | Route::Member(..)
        | Route::Admin(_) => Err(Problem::method(route.methods())),
    }
}

/// POST, PATCH and DELETE. Who asks is known before a body is read.
async fn write<B>(
    route: Route<'_>,
    request: Request<B>,
    context: &HttpContext,
    peer: Peer,
) -> Result<Response, Problem>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    let headers = request.headers();
    let limits = body_limits(&context.settings);
    match route {
        Route::Signup => accounts::signup(body::read(request, limits).await?, context, peer).await,
        Route::Login => accounts::login(body::read(request, limits).await?, context, peer).await,
        Route::Tokens => {
            accounts::check_api_key(headers, context, peer).await?;
            accounts::tokens(body::read(request, limits).await?, context).await
        }
        Route::Logout => accounts::logout(headers, context).await,
        Route::Password => {
            let token = caller::token(headers)?.to_owned();
            let session = caller::session(headers, context).await?;
            let body = body::read(request, limits).await?;
            accounts::password(session, &token, body, context, peer).await
        }
        Route::Me => {
            let session = caller::session(headers, context).await?;
            accounts::change_me(session, body::read(request, limits).await?, context).await
        }
        Route::Join(room) => {
            members::join(caller::user(headers, context).await?, room, context).await
        }
        Route::Leave(room) => {
            members::leave(caller::user(headers, context).await?, room, context).await
        }
        Route::Room(room) => {
            let user = caller::user(headers, context).await?;
            rooms::rename(user, room, body::read(request, limits).await?, context).await
        }
        Route::Members(room) => {
            let user = caller::user(headers, context).await?;
            members::add(user, room, body::read(request, limits).await?, context).await
        }
        Route::Member(room, member) if *request.method() == Method::DELETE => {
            let user = caller::user(headers, context).await?;
            let query = Query::parse(request.uri().query());
            members::remove(user, room, member, query, context).await
        }
        Route::Member(room, member) => {
            let user = caller::user(headers, context).await?;
            let body = body::read(request, limits).await?;
            members::set_role(user, room, member, body, context).await
        }
        Route::Rooms => {
            let user = caller::user(headers, context).await?;
            rooms::create(user, body::read(request, limits).await?, context).await
        }
        Route::Messages(room) => {
            let user = caller::user(headers, context).await?;
            messages::post(user, room, body::read(request, limits).await?, context).await
        }
        Route::Users
        | Route::Readers(..)
        | Route::Socket
        | Route::Health
        | Route::Ready
        | Route::Metrics
        | Route::OpenApi
        | Route::Admin(_) => Err(Problem::method(route.methods())),
    }
}

fn body_limits(settings: &Settings) -> Limits {
    Limits {
        bytes_max: or_unlimited(settings.frame_bytes_max),
        wait: Duration::from_millis(settings.body_timeout_ms),
    }
}
