//! CORS: pages of listed origins may call the node and read what it answers.

use super::{
    answer::{self, Response},
    problem::Problem,
};
use hyper::{
    Method, Request,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
        HeaderValue, VARY,
    },
};
use madang_protocol::{ErrorCode, Refusal};

/// A browser asks before it calls.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that.
pub(super) fn preflight(is_listed: bool) -> Response {
    if !is_listed {
        let refusal = Refusal::new(ErrorCode::Forbidden, "this origin is not allowed");
        return Problem::from(refusal).into_response();
    }
    let mut response = answer::empty();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PATCH, DELETE"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets pages of `origin` read an answer. Tokens travel in a header, never in a cookie, so no
/// credentials are allowed for.
pub(super) fn share(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    headers.insert(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_pass() {
        assert_eq!(preflight(false).status().as_u16(), 403);
        let response = preflight(true);
        assert_eq!(response.status().as_u16(), 204);
        assert!(response.headers().contains_key("access-control-allow-headers"));
    }
}
