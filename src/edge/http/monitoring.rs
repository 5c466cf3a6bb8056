//! What operators and load balancers ask.

use super::{
    HttpContext,
    answer::{self, Response},
};
use hyper::{
    StatusCode,
    header::{HeaderValue, RETRY_AFTER},
};
use madang_protocol::Millis;
use madang_resilience::{Part, State};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The part that stands for the store. Only a store that is wholly well acknowledges sends.
const STORE: &str = "store";

/// `GET /healthz`: the process answers.
pub(super) fn health() -> Response {
    answer::json(StatusCode::OK, &Alive { status: State::Ok.name() })
}

/// `GET /readyz`: 200 when a send could be acknowledged, else 503.
pub(super) fn ready(context: &HttpContext) -> Response {
    let mut parts: BTreeMap<&str, Part> = context.health.parts().into_iter().collect();
    parts.insert(STORE, context.store.health());
    let (status, state) = verdict(&parts);
    let parts = parts.into_iter().map(|(name, part)| (name, part_object(part))).collect();
    let mut response = answer::json(status, &Readiness { status: state.name(), parts });
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// `GET /metrics`: put together on a thread that may take its time.
pub(super) async fn metrics(context: &HttpContext) -> Response {
    let page = context.page.clone();
    let text = tokio::task::spawn_blocking(move || page.render()).await;
    answer::prometheus(text.unwrap_or_else(|_| context.page.render())) // no such thread any more
}

fn verdict(parts: &BTreeMap<&str, Part>) -> (StatusCode, State) {
    let worst = parts.values().map(|part| part.state).max().unwrap_or(State::Ok);
    let store = parts.get(STORE).map_or(State::Ok, |part| part.state);
    match worst != State::Down && store == State::Ok {
        true => (StatusCode::OK, worst),
        false => (StatusCode::SERVICE_UNAVAILABLE, worst),
    }
}

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    status: &'static str,
}

/// How the parts of a node are.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness<'a> {
    status: &'static str,
    #[schema(value_type = BTreeMap<String, PartObject>)]
    parts: BTreeMap<&'a str, PartObject>,
}

/// How one part is.
#[derive(Serialize, ToSchema)]
#[schema(as = Part)]
pub(super) struct PartObject {
    state: &'static str,
    #[schema(value_type = u64)]
    since: Millis,
}

fn part_object(part: Part) -> PartObject {
    PartObject { state: part.state.name(), since: part.since }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_sends_can_be_acknowledged() {
        for (store, node, status, state) in [
            (State::Ok, State::Ok, 200, State::Ok),
            (State::Ok, State::Degraded, 200, State::Degraded),
            (State::Ok, State::Down, 503, State::Down),
            (State::Degraded, State::Ok, 503, State::Degraded),
            (State::Down, State::Ok, 503, State::Down),
        ] {
            let part = |state| Part { state, since: 1 };
            let parts = BTreeMap::from([(STORE, part(store)), ("node", part(node))]);
            let (found, worst) = verdict(&parts);
            assert_eq!((found.as_u16(), worst), (status, state));
        }
    }
}
