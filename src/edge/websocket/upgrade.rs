//! The opening handshake (RFC 6455 section 4.2).

use super::{
    socket::{Stream, Transport},
    source::FrameSource,
};
use crate::{
    config::or_unlimited,
    edge::{
        accept::Edge,
        http::{Problem, Response},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Incoming,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    upgrade::Upgraded,
};
use madang_actors::connection::{self, Speech};
use madang_protocol::{CloseCode, Refusal, codec::Codec};
use sha1::{Digest, Sha1};
use std::{any::Any, io, rc::Rc};

/// Appended to the client's key before it is hashed (RFC 6455 section 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a client's key.
const KEY_BYTES: usize = 16;
/// The path of the WebSocket endpoint.
const PATH: &str = "/v1/ws";
/// The path of the one that says back what it is told.
const ECHO_PATH: &str = "/v1/echo";

/// A request that asks for a WebSocket, answered.
pub struct Handshake {
    /// The answer to send.
    pub response: Response,
    /// What is spoken on it.
    pub speech: Speech,
}

/// Answers a request for a WebSocket; `None`: it asks for something else. `has_echo`: see the
/// setting `websocket_echo`.
pub fn handshake(
    request: &Request<Incoming>,
    has_echo: bool,
) -> Option<Result<Handshake, Problem>> {
    let headers = request.headers();
    let is_echo = has_echo && request.uri().path() == ECHO_PATH;
    let asks = (is_echo || request.uri().path() == PATH)
        && request.method() == Method::GET
        && has_token(headers, UPGRADE.as_str(), "websocket");
    asks.then(|| answer(headers, is_echo))
}

fn answer(headers: &HeaderMap, is_echo: bool) -> Result<Handshake, Problem> {
    if !has_token(headers, CONNECTION.as_str(), "upgrade") {
        return Err(Refusal::invalid("connection", "must be upgrade").into());
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::invalid("sec-websocket-version", "must be 13").into());
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == KEY_BYTES));
    let Some(key) = key else {
        return Err(Refusal::invalid("sec-websocket-key", "must be 16 bytes of base64").into());
    };
    let chosen = if is_echo { None } else { subprotocol(headers) };
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept_value(key.as_bytes()));
    if let Some(codec) = chosen {
        let name = HeaderValue::from_static(codec.subprotocol());
        answer.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    let codec = chosen.unwrap_or(Codec::Json);
    let speech = if is_echo { Speech::Echo } else { Speech::Protocol(codec) };
    Ok(Handshake { response, speech })
}

/// Starts the connection's actor once hyper gives the stream back. `lease` counts the connection
/// for as long as it lives.
pub async fn start(
    request: Request<Incoming>,
    speech: Speech,
    is_allowed: bool,
    edge: Rc<Edge>,
    lease: Box<dyn Any>,
) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else {
        return; // the peer was gone before the answer was written
    };
    let (socket, read_ahead) = match take_over(upgraded, &edge) {
        Ok(taken) => taken,
        Err(error) => return tracing::error!(%error, "an upgraded stream cannot be used"),
    };
    let frame_bytes_max = or_unlimited(edge.settings().frame_bytes_max);
    let turnstile = edge.thread.turnstile.clone();
    let source = FrameSource::new(socket.clone(), frame_bytes_max, &read_ahead, turnstile);
    let refused = (!is_allowed).then_some(CloseCode::ForbiddenOrigin);
    let (services, hub) = (edge.connections(), edge.thread.hub.clone());
    connection::start(services, hub, socket, Box::new(source), speech, refused, lease);
}

/// The stream, and the bytes that were read behind the request.
fn take_over(upgraded: Upgraded, edge: &Edge) -> io::Result<(Rc<Transport>, Vec<u8>)> {
    let (stream, read_ahead) = Stream::of(upgraded)?;
    Ok((edge.thread.poller.add(stream)?, read_ahead))
}

/// The first codec the client offers that we know.
fn subprotocol(headers: &HeaderMap) -> Option<Codec> {
    let known = |name: &str| Codec::ALL.into_iter().find(|codec| codec.subprotocol() == name);
    tokens(headers, SEC_WEBSOCKET_PROTOCOL.as_str()).find_map(known)
}

fn has_token(headers: &HeaderMap, name: &str, token: &str) -> bool {
    tokens(headers, name).any(|other| other.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn accept_value(key: &[u8]) -> HeaderValue {
    let hash = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    HeaderValue::try_from(STANDARD.encode(hash)).expect("base64 is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let value = accept_value(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(value, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    fn offered(protocols: &[&'static str]) -> Option<Codec> {
        let mut headers = HeaderMap::new();
        for protocol in protocols {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        subprotocol(&headers)
    }

    #[test]
    fn a_known_subprotocol_among_others() {
        assert_eq!(offered(&["chat, madang.v1.json"]), Some(Codec::Json));
        assert_eq!(offered(&["chat", "madang.v1.json"]), Some(Codec::Json));
        assert_eq!(offered(&["madang.v1.msgpack, madang.v1.json"]), Some(Codec::MessagePack));
        assert_eq!(offered(&["madang.v1.json", "madang.v1.msgpack"]), Some(Codec::Json));
        assert_eq!(offered(&["chat"]), None);
        assert_eq!(offered(&[]), None);
    }

    #[test]
    fn tokens_are_told_apart_from_parts_of_them() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(has_token(&headers, "connection", "upgrade"));
        assert!(!has_token(&headers, "connection", "grade"));
    }
}
