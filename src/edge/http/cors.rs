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
        HeaderValue, ORIGIN, VARY,
    },
};
use madang_protocol::{ErrorCode, Refusal};

/// A browser asks before it calls. Whether the path exists, or the node has place, is said to the
/// call itself: a page cannot read why a preflight was refused.
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    *request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
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

/// Lets pages of `origin` read an answer, when there is one they may. Tokens travel in a header,
/// never in a cookie, so no credentials are allowed for.
pub(super) fn share(response: &mut Response, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    // Also without an origin: what is kept of this answer is no answer for another page.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("retry-after"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, headers: &[&'static str]) -> Request<()> {
        let request = Request::builder().method(method);
        let with = |request: hyper::http::request::Builder, name: &&'static str| {
            request.header(*name, "x")
        };
        headers.iter().fold(request, with).body(()).unwrap()
    }

    #[test]
    fn what_is_a_preflight() {
        const METHOD: &str = "access-control-request-method";
        for (method, headers, expected) in [
            (Method::OPTIONS, &["origin", METHOD][..], true),
            (Method::OPTIONS, &["origin"], false),
            (Method::OPTIONS, &[METHOD], false),
            (Method::POST, &["origin", METHOD], false),
        ] {
            assert_eq!(is_preflight(&request(method, headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn only_listed_origins_pass() {
        assert_eq!(preflight(false).status().as_u16(), 403);
        let response = preflight(true);
        assert_eq!(response.status().as_u16(), 204);
        assert!(response.headers().contains_key("access-control-allow-headers"));
    }
}
