//! Answers, as bytes.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use madang_protocol::limits::ANSWER_BYTES_MAX;
use serde::Serialize;
use serde_json::value::RawValue;

/// An answer; its body is in memory, at most [`ANSWER_BYTES_MAX`] for lists.
pub type Response = hyper::Response<Full<Bytes>>;

/// What an answer holds beside its list: keys, a cursor, `last_seq`.
const ENVELOPE_BYTES: usize = 512;

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    with_type(status, "application/json", encode(body))
}

/// An answer in JSON that is a problem.
pub(super) fn problem(status: StatusCode, body: &impl Serialize) -> Response {
    with_type(status, "application/problem+json", encode(body))
}

/// An answer in the Prometheus text format.
pub(super) fn prometheus(text: String) -> Response {
    with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

/// 204, without a body.
pub(super) fn empty() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    private(&mut response);
    response
}

/// The JSON of as many items as fit one answer, from the first on; at least one, if there is one.
pub(super) fn fitting<T: Serialize>(items: impl IntoIterator<Item = T>) -> Vec<Box<RawValue>> {
    let mut left = ANSWER_BYTES_MAX - ENVELOPE_BYTES;
    let mut kept: Vec<Box<RawValue>> = Vec::new();
    for item in items {
        let Ok(text) = serde_json::value::to_raw_value(&item) else { continue };
        let size = text.get().len() + 1;
        if size > left && !kept.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        kept.push(text);
    }
    kept
}

fn with_type(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    private(&mut response);
    response
}

/// Answers belong to one caller at one time: no cache may keep them, no browser guess their type.
fn private(response: &mut Response) {
    let headers: [(HeaderName, &str); 2] =
        [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// Our own types have string keys and no failing serialiser.
fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("answers are maps with string keys")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// The body of an answer.
    pub(in crate::edge::http) fn text_of(response: Response) -> String {
        let body = futures_util::FutureExt::now_or_never(response.into_body().collect());
        String::from_utf8(body.unwrap().unwrap().to_bytes().into()).unwrap()
    }

    #[test]
    fn as_many_as_fit() {
        let half = "x".repeat(ANSWER_BYTES_MAX / 2 - 1_000);
        for (items, kept) in [
            (vec![], 0),
            (vec!["a"; 200], 200),
            (vec![&*half; 3], 2),
            (vec![&*half.repeat(3), "a"], 1),
        ] {
            assert_eq!(fitting(items).len(), kept);
        }
    }

    #[test]
    fn nothing_is_cached() {
        for response in [empty(), json(StatusCode::OK, &1), prometheus(String::new())] {
            assert_eq!(response.headers()["cache-control"], "no-store");
        }
    }
}
