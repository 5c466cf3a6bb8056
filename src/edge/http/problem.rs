//! Every error, as RFC 9457 has it.

use super::answer::{self, Response};
use hyper::{
    StatusCode,
    header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use madang_protocol::{ErrorCode, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not performed, and how to say so over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    refusal: Refusal,
    status: u16,
    /// The `Allow` header of a 405.
    allow: Option<&'static str>,
    /// The rest of the request was not read: nothing can follow it on this connection.
    closes: bool,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.code.http_status(), refusal, allow: None, closes: false }
    }
}

impl Problem {
    /// 404: nothing is at this path.
    pub fn no_path() -> Self {
        Refusal::new(ErrorCode::NotFound, "nothing is at this path").into()
    }

    /// 405 with what would be allowed.
    pub fn method(allow: &'static str) -> Self {
        let refusal = Refusal::new(ErrorCode::Invalid, "this path does not take this method");
        Self { status: 405, allow: Some(allow), ..refusal.into() }
    }

    /// 415: the body is not JSON.
    pub fn content_type() -> Self {
        let reason = "must be application/json, without an encoding";
        Self { status: 415, ..Refusal::invalid("content-type", reason).into() }.closing()
    }

    /// The same, and the connection ends with it.
    pub fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// The answer.
    pub fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer::problem(status, &self.body());
        response.extensions_mut().insert(self.refusal.code); // for metrics
        let headers = response.headers_mut();
        // Seconds rounded up: who comes back that late does not come too early.
        if let Some(retry_after_ms) = self.retry_after_ms() {
            headers.insert(RETRY_AFTER, retry_after_ms.div_ceil(1_000).into());
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn body(&self) -> Body<'_> {
        let code = self.refusal.code;
        let reason = &*self.refusal.message;
        let field = self.refusal.field.as_deref();
        Body {
            kind: format!("urn:madang:error:{}", code.name()),
            title: title(code),
            status: self.status,
            detail: field.map_or(reason.to_owned(), |field| format!("{field}: {reason}")),
            code,
            retry_after_ms: self.retry_after_ms(),
            errors: field.map(|field| FieldError { field, reason }).into_iter().collect(),
        }
    }

    /// A 429 or 503 always carries one.
    fn retry_after_ms(&self) -> Option<u64> {
        let must = matches!(self.status, 429 | 503);
        self.refusal.retry_after_ms.or(must.then_some(RETRY_AFTER_DEFAULT_MS))
    }
}

/// For a refusal that should say when to come back and does not.
const RETRY_AFTER_DEFAULT_MS: u64 = 1_000;

/// Why a call was refused (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: ErrorCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
}

/// A field at fault, and why.
#[derive(Serialize, ToSchema)]
pub(super) struct FieldError<'a> {
    field: &'a str,
    reason: &'a str,
}

/// What a code means, the same in every answer.
fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unauthenticated => "No valid session",
        ErrorCode::BadCredentials => "Wrong username or password",
        ErrorCode::Forbidden => "Not allowed",
        ErrorCode::NotFound => "Not found",
        ErrorCode::Invalid => "Invalid request",
        ErrorCode::UnknownOp => "Unknown operation",
        ErrorCode::TooLarge => "Too large",
        ErrorCode::Conflict => "Contradicts the present state",
        ErrorCode::UsernameTaken => "Username taken",
        ErrorCode::Full => "Full",
        ErrorCode::Blocked => "Too many logins",
        ErrorCode::Internal => "Internal error",
        ErrorCode::RateLimited => "Too many requests",
        ErrorCode::Overloaded => "Overloaded",
        ErrorCode::Unavailable => "Unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::http::answer::tests::text_of;

    fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_field_is_named() {
        let response = Problem::from(Refusal::invalid("limit", "must be from 1 to 200"));
        assert_eq!(
            text_of(response.into_response()),
            r#"{"type":"urn:madang:error:invalid","title":"Invalid request","status":422,"detail":"limit: must be from 1 to 200","code":"invalid","errors":[{"field":"limit","reason":"must be from 1 to 200"}]}"#
        );
    }

    #[test]
    fn delays_are_rounded_up() {
        for (refusal, seconds) in [
            (Refusal::new(ErrorCode::Blocked, "x").after(179_001), "180"),
            (Refusal::overloaded("x"), "1"),
            (Refusal::new(ErrorCode::RateLimited, "x"), "1"),
        ] {
            let response = Problem::from(refusal).into_response();
            assert_eq!(header(&response, "retry-after"), Some(seconds));
            assert!(text_of(response).contains("\"retry_after_ms\":"));
        }
    }

    #[test]
    fn every_code_has_its_status() {
        for code in ErrorCode::ALL {
            let response = Problem::from(Refusal::new(code, "x")).into_response();
            assert_eq!(response.status().as_u16(), code.http_status());
            assert_eq!(header(&response, "content-type"), Some("application/problem+json"));
        }
    }

    #[test]
    fn some_carry_more() {
        let method = Problem::method("GET, HEAD").into_response();
        assert_eq!((method.status().as_u16(), header(&method, "allow")), (405, Some("GET, HEAD")));
        let kind = Problem::content_type().into_response();
        assert_eq!((kind.status().as_u16(), header(&kind, "connection")), (415, Some("close")));
        let who = Problem::from(Refusal::new(ErrorCode::Unauthenticated, "x")).into_response();
        assert_eq!(header(&who, "www-authenticate"), Some("Bearer"));
    }
}
