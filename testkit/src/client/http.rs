//! The HTTP side of the protocol.

use super::{Account, PASSWORD, list, number, text};
use crate::{contract, metrics::Metrics, tls, variant::Variant, wait};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// An answer that has not come by then is a stuck node.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// An idle connection is used again for so long only: the node ends it after `header_timeout_ms`, 10 s,
/// and a request that meets that end is lost.
const IDLE_FOR: Duration = Duration::from_secs(5);

/// An HTTP client for one node; it holds no session.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    client: reqwest::Client,
}

impl Http {
    /// A client for the node at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self::of_variant(address, reqwest::Client::builder())
    }

    /// A client whose connections come from `source`.
    pub fn from_source(address: SocketAddr, source: IpAddr) -> Self {
        Self::of_variant(address, reqwest::Client::builder().local_address(source))
    }

    /// A client for an address that never speaks TLS: that of the monitoring.
    pub fn plain(address: SocketAddr) -> Self {
        Self::build(format!("http://{address}"), reqwest::Client::builder())
    }

    fn of_variant(address: SocketAddr, builder: reqwest::ClientBuilder) -> Self {
        let scheme = if Variant::current().tls { "https" } else { "http" };
        Self::build(format!("{scheme}://{address}"), builder)
    }

    fn build(base: String, builder: reqwest::ClientBuilder) -> Self {
        let builder = builder.tls_backend_preconfigured(tls::client_config());
        let builder = builder.no_proxy().timeout(ANSWER_WITHIN).pool_idle_timeout(IDLE_FOR);
        let client = builder.build();
        Self { base, client: client.expect("a client without options that can fail") }
    }

    /// Begins any call.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let request = self.client.request(method.clone(), format!("{}{path}", self.base));
        Call { method, path: path.to_owned(), request }
    }

    /// Begins a GET.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// Begins a POST with a JSON body.
    pub fn post(&self, path: &str, body: Value) -> Call {
        self.call(Method::POST, path).json(&body)
    }

    /// Begins a PATCH with a JSON body.
    pub fn patch(&self, path: &str, body: Value) -> Call {
        self.call(Method::PATCH, path).json(&body)
    }

    /// True when `/readyz` answers 200; false also when nobody answers.
    pub async fn is_ready(&self) -> bool {
        let probe = self.client.get(format!("{}/readyz", self.base)).send().await;
        probe.is_ok_and(|response| response.status().is_success())
    }

    /// Signs a user up.
    pub async fn signup(&self, username: &str) -> Account {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = self.post("/v1/signup", body).send().await.expect(201);
        account(username, &answer)
    }

    /// Logs a user of [`Http::signup`] in once more.
    pub async fn login(&self, username: &str) -> Account {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = self.post("/v1/login", body).send().await.expect(200);
        account(username, &answer)
    }

    /// Makes a private group; its id.
    pub async fn make_group(&self, owner: &Account, name: &str, members: &[&Account]) -> String {
        let members: Vec<&str> = members.iter().map(|member| member.user.as_str()).collect();
        let body = json!({"kind": "group", "name": name, "members": members});
        let room = self.post("/v1/rooms", body).token(&owner.token).send().await.expect(201);
        text(&room, "room").to_owned()
    }

    /// Makes a group anyone may join; its id.
    pub async fn make_open_group(&self, owner: &Account, name: &str) -> String {
        let body = json!({"kind": "group", "name": name, "private": false});
        let room = self.post("/v1/rooms", body).token(&owner.token).send().await.expect(201);
        text(&room, "room").to_owned()
    }

    /// Posts a message over HTTP; its seq.
    pub async fn send(&self, sender: &Account, room: &str, client_id: &str, body: &str) -> u64 {
        let path = format!("/v1/rooms/{room}/messages");
        let body = json!({"client_id": client_id, "body": body});
        let answer = self.post(&path, body).token(&sender.token).send().await;
        number(&answer.expect(201), "seq")
    }

    /// Every message of a room, oldest first, page by page.
    pub async fn whole_log(&self, reader: &Account, room: &str) -> Vec<Value> {
        let mut log: Vec<Value> = Vec::new();
        loop {
            let after = log.last().map_or(0, |message| number(message, "seq"));
            let path = format!("/v1/rooms/{room}/messages?after={after}&limit=200");
            let page = self.get(&path).token(&reader.token).send().await.expect(200);
            log.extend_from_slice(list(&page, "messages"));
            if list(&page, "messages").is_empty() {
                return log;
            }
        }
    }

    /// The node's counters.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.metrics_page().await)
    }

    /// The same as the node wrote it.
    pub async fn metrics_page(&self) -> String {
        let response = self.client.get(format!("{}/metrics", self.base)).send();
        let response = response.await.expect("the node answers /metrics");
        response.text().await.expect("metrics are text")
    }
}

fn account(username: &str, answer: &Value) -> Account {
    Account {
        user: text(answer, "user").to_owned(),
        username: username.to_owned(),
        token: text(answer, "token").to_owned(),
    }
}

/// A call being put together.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    request: RequestBuilder,
}

impl Call {
    /// With a bearer token.
    pub fn token(self, token: &str) -> Self {
        Self { request: self.request.bearer_auth(token), ..self }
    }

    /// With a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self { request: self.request.json(body), ..self }
    }

    /// With any body, as JSON by its content type only.
    pub fn bytes(self, body: impl Into<Vec<u8>>) -> Self {
        let request = self.request.header("content-type", "application/json").body(body.into());
        Self { request, ..self }
    }

    /// Sends it.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn send(self) -> Answer {
        let name = self.name();
        self.try_send().await.unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Sends it to a node that may be gone.
    ///
    /// # Errors
    /// When no whole answer came.
    ///
    /// # Panics
    /// When the answer is not as the documents have it.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let name = self.name();
        let response = self.request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let answer = Answer { call: name, status, headers, body, text };
        contract::check_answer(contract::Said {
            method: self.method.as_str(),
            path: &self.path,
            status,
            content_type: answer.header("content-type"),
            body: &answer.body,
        });
        Ok(answer)
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Sends it in a task of its own.
    pub fn spawn(self) -> tokio::task::JoinHandle<Answer> {
        tokio::spawn(async move { wait::within("an answer", ANSWER_WITHIN, self.send()).await })
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    call: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// When it has another.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.call, self.text);
        self.body
    }

    /// The problem of an answer that must be refused with this status and code, in the form
    /// RFC 9457 gives it.
    ///
    /// # Panics
    /// When it is anything else.
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, &self.body["code"]), (status, &json!(code)), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], json!(status), "{self:?}");
        assert!(self.body["type"].is_string() && self.body["title"].is_string(), "{self:?}");
        if status == 429 || status == 503 {
            self.assert_retry_after();
        }
        self.body
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Retry-After` is `retry_after_ms` in whole seconds, rounded up.
    fn assert_retry_after(&self) {
        let millis = number(&self.body, "retry_after_ms");
        let seconds: Option<u64> = self.header("retry-after").and_then(|text| text.parse().ok());
        assert_eq!(seconds, Some(millis.div_ceil(1000)), "{self:?}");
    }
}
