//! Request bodies: JSON objects, within a size and a time.

use super::problem::Problem;
use bytes::{Buf, BufMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Request,
    body::Body,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use madang_protocol::{ErrorCode, Refusal, limits::NUMBER_END};
use serde_json::{Map, Value};
use std::{pin::pin, time::Duration};

/// Bytes of a body that is too large which are read all the same, and thrown away: a client that is
/// still writing when its connection is closed loses the answer. Beyond it does.
const DISCARDED_BYTES_MAX: usize = 1024 * 1024;

/// How much of a body is read, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes. Beyond: `too_large`, before the memory is taken.
    pub bytes_max: usize,
    /// From the end of the head to the end of the body. Beyond: `unavailable`.
    pub wait: Duration,
}

/// The fields of a JSON object. A null counts as absent; unknown ones are ignored.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

/// Reads the whole body as a JSON object.
pub(super) async fn read<B>(request: Request<B>, limits: Limits) -> Result<Fields, Problem>
where
    B: Body<Error: std::error::Error + Send + Sync + 'static>,
{
    if !is_json(request.headers()) {
        return Err(Problem::content_type());
    }
    let body = gather(request.into_body(), limits.bytes_max);
    match tokio::time::timeout(limits.wait, body).await {
        Ok(Ok(Some(body))) => Fields::parse(&body).map_err(Problem::from),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(_)) => {
            Err(Problem::from(Refusal::new(ErrorCode::Invalid, "the body broke off")).closing())
        }
        Err(_) => Err(Problem::from(Refusal::unavailable("the body took too long")).closing()),
    }
}

/// The whole body; `None`: it is too large.
async fn gather<B: Body>(body: B, bytes_max: usize) -> Result<Option<Vec<u8>>, B::Error> {
    let read_max = bytes_max.saturating_add(DISCARDED_BYTES_MAX);
    if body.size_hint().lower() > read_max as u64 {
        return Ok(None);
    }
    let mut body = pin!(body);
    let (mut bytes, mut size) = (Vec::new(), 0_usize);
    while size <= read_max
        && let Some(frame) = body.frame().await
    {
        let Ok(data) = frame?.into_data() else { continue }; // trailers
        size = size.saturating_add(data.remaining());
        if size > bytes_max {
            bytes = Vec::new();
        } else {
            bytes.put(data);
        }
    }
    Ok((size <= bytes_max).then_some(bytes))
}

impl Fields {
    /// From the bytes of a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::new(ErrorCode::Invalid, "the body must be a JSON object")),
            // The parser's own words could quote the body.
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let message = format!("the body is not JSON at line {line}, column {column}");
                Err(Refusal::new(ErrorCode::Invalid, message))
            }
        }
    }

    /// A string that may be absent.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::invalid(name, "must be a string")),
        }
    }

    /// A string that must be there.
    pub(super) fn required_text(&mut self, name: &'static str) -> Result<String, Refusal> {
        self.text(name)?.ok_or_else(|| Refusal::invalid(name, "must be there"))
    }

    /// True or false, or absent.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Refusal::invalid(name, "must be true or false")),
        }
    }

    /// An integer from 0 below 2^53, or absent.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u64>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if number < NUMBER_END => Ok(Some(number)),
                _ => Err(Refusal::invalid(name, "must be an integer below 2^53")),
            },
        }
    }

    /// A list of strings; absent = empty.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Refusal> {
        let wrong = || Refusal::invalid(name, "must be a list of strings");
        let items = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(wrong()),
        };
        let texts = items.into_iter().map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(wrong()),
        });
        texts.collect()
    }

    /// Refuses what was not asked for by name before.
    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            Some(name) => Err(Refusal::invalid(name.clone(), "is not known")),
            None => Ok(()),
        }
    }

    /// Refuses fields that the protocol names and this version does not offer: ignoring them would
    /// do something else than was asked.
    pub(super) fn refuse(&self, names: &[&'static str]) -> Result<(), Refusal> {
        let given = |name: &&&str| self.0.get(**name).is_some_and(|value| !value.is_null());
        match names.iter().find(given) {
            Some(name) => Err(Refusal::invalid(*name, "is not offered")),
            None => Ok(()),
        }
    }
}

fn too_large() -> Problem {
    Problem::from(Refusal::new(ErrorCode::TooLarge, "the body is too large")).closing()
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(CONTENT_TYPE).and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let encoding = text(CONTENT_ENCODING).unwrap_or("identity");
    kind.trim().eq_ignore_ascii_case("application/json")
        && encoding.eq_ignore_ascii_case("identity")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    const LIMITS: Limits = Limits { bytes_max: 100, wait: Duration::from_secs(1) };

    async fn status(kind: &str, body: &str) -> u16 {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let request = Request::builder().header("content-type", kind).body(body).unwrap();
        match read(request, LIMITS).await {
            Ok(_) => 200,
            Err(problem) => problem.into_response().status().as_u16(),
        }
    }

    #[tokio::test]
    async fn what_is_read() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100));
        for (kind, body, expected) in [
            ("application/json", "{}", 200),
            ("Application/JSON; charset=utf-8", "{\"a\":1}", 200),
            ("text/plain", "{}", 415),
            ("application/jsonp", "{}", 415),
            ("application/json", "", 422),
            ("application/json", "{", 422),
            ("application/json", "[]", 422),
            ("application/json", "{} {}", 422),
            ("application/json", r#"{"a":"\ud800"}"#, 422),
            ("application/json", &long, 413),
        ] {
            assert_eq!(status(kind, body).await, expected, "{kind} {body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_ends() {
        let frames =
            futures_util::stream::pending::<Result<hyper::body::Frame<Bytes>, hyper::Error>>();
        let body = http_body_util::StreamBody::new(frames);
        let request =
            Request::builder().header("content-type", "application/json").body(body).unwrap();
        let response = read(request, LIMITS).await.unwrap_err().into_response();
        assert_eq!(response.status().as_u16(), 503);
    }

    fn fields(text: &str) -> Fields {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn null_is_absent() {
        let mut body = fields(r#"{"a":null,"b":null,"c":null,"d":null}"#);
        assert_eq!(body.refuse(&["a", "z"]), Ok(()));
        assert_eq!(body.text("a"), Ok(None));
        assert_eq!(body.flag("b"), Ok(None));
        assert_eq!(body.texts("c"), Ok(vec![]));
        assert_eq!(body.required_text("d"), Err(Refusal::invalid("d", "must be there")));
    }

    #[test]
    fn wrong_types_are_named() {
        let mut body = fields(r#"{"a":1,"b":"true","c":["x",1],"d":{}}"#);
        let field = |refusal: Refusal| refusal.field.unwrap_or_default().into_owned();
        assert_eq!(body.refuse(&["z", "d"]).map_err(field), Err("d".to_owned()));
        assert_eq!(body.text("a").map_err(field), Err("a".to_owned()));
        assert_eq!(body.flag("b").map_err(field), Err("b".to_owned()));
        assert_eq!(body.texts("c").map_err(field), Err("c".to_owned()));
        assert_eq!(body.texts("d").map_err(field), Err("d".to_owned()));
    }
}
