//! The WebSocket side of the protocol, in the codec of the process's variant.

use super::Account;
use crate::{
    contract::Asked,
    tls::Stream,
    variant::Codec,
    wait::{SOON, within},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};
use tokio::net::TcpSocket;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, protocol::CloseFrame},
};

/// How a connection is opened: where to, from where, with which headers.
#[derive(Debug, Clone)]
pub struct Door {
    address: SocketAddr,
    source: Option<IpAddr>,
    headers: Vec<(&'static str, String)>,
    codec: Codec,
}

impl Door {
    /// The plain way in.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, source: None, headers: Vec::new(), codec: Codec::current() }
    }

    /// From this address of ours.
    pub fn source(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// With one more header in the handshake.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// In this codec, whatever the variant.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Opens a connection; no `hello` is said.
    ///
    /// # Errors
    /// The HTTP status, when the node does not upgrade; 0 when it cannot be reached.
    pub async fn open(&self) -> Result<Socket, u16> {
        let stream = within("connecting", SOON, self.connect()).await.map_err(|_| 0_u16)?;
        let handshake = client_async(self.request(), stream);
        match within("the handshake", SOON, handshake).await {
            Ok((stream, response)) => {
                Ok(Socket::new(stream, self.codec, response.headers().clone()))
            }
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    async fn connect(&self) -> std::io::Result<Stream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_nodelay(true)?;
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        Stream::of(socket.connect(self.address).await?).await
    }

    fn request(&self) -> tungstenite::handshake::client::Request {
        let url = format!("ws://{}/v1/ws", self.address);
        let mut request = url.into_client_request().expect("a plain URL");
        let offer = self.codec.offer().map(|name| ("sec-websocket-protocol", name.to_owned()));
        for (name, value) in offer.iter().chain(&self.headers) {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        request
    }
}

/// One WebSocket connection. Frames that arrive while something else is awaited are kept in
/// order and handed out later.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Stream>,
    /// What the node answered to the handshake.
    pub handshake: reqwest::header::HeaderMap,
    codec: Codec,
    queued: VecDeque<Value>,
    /// Kept apart: they come whenever somebody comes or goes, whatever else a test is about.
    presence: VecDeque<Value>,
    asked: Asked,
    last_id: u64,
    closed: Option<u16>,
}

impl Socket {
    fn new(
        stream: WebSocketStream<Stream>,
        codec: Codec,
        handshake: reqwest::header::HeaderMap,
    ) -> Self {
        Self {
            stream,
            handshake,
            codec,
            queued: VecDeque::new(),
            presence: VecDeque::new(),
            asked: Asked::default(),
            last_id: 0,
            closed: None,
        }
    }

    /// Opens a connection; no `hello` is said.
    ///
    /// # Panics
    /// When the node does not upgrade it.
    pub async fn open(address: SocketAddr) -> Self {
        let opened = Door::new(address).open().await;
        opened.unwrap_or_else(|status| panic!("not upgraded, status {status}"))
    }

    /// Opens a connection and says `hello` for all rooms of the user.
    pub async fn join(address: SocketAddr, account: &Account) -> Self {
        let mut socket = Self::open(address).await;
        socket.hello(&account.token, None).await;
        socket
    }

    /// Says `hello`; the `ok`.
    pub async fn hello(&mut self, token: &str, subscribe: Option<Value>) -> Value {
        let mut fields = json!({"token": token});
        if let Some(subscribe) = subscribe {
            fields["subscribe"] = subscribe;
        }
        self.ok("hello", fields).await
    }

    /// Sends a request without waiting; its id.
    pub async fn begin(&mut self, op: &str, mut fields: Value) -> u64 {
        self.last_id += 1;
        fields["op"] = json!(op);
        fields["id"] = json!(self.last_id);
        self.say(&fields).await;
        self.last_id
    }

    /// Sends a frame as it is, without an `id` of ours.
    pub async fn say(&mut self, frame: &Value) {
        self.asked.note(frame);
        let payload = self.codec.encode(frame);
        self.write(match self.codec {
            Codec::Json => Message::text(String::from_utf8(payload).expect("JSON is text")),
            Codec::Msgpack => Message::binary(payload),
        })
        .await;
    }

    /// Sends any WebSocket message.
    pub async fn write(&mut self, message: Message) {
        // A connection the node has closed shows itself on reading, with its code.
        let _ = within("writing a frame", SOON, self.stream.send(message)).await;
    }

    /// Waits for the answer of a request begun earlier.
    pub async fn answer(&mut self, id: u64) -> Value {
        let answers = |frame: &Value| {
            frame["id"] == json!(id) && (frame["op"] == "ok" || frame["op"] == "error")
        };
        self.take(&format!("the answer to request {id}"), answers).await
    }

    /// Sends a request and waits for its answer, `ok` or `error`.
    pub async fn request(&mut self, op: &str, fields: Value) -> Value {
        let id = self.begin(op, fields).await;
        self.answer(id).await
    }

    /// A request that must succeed.
    pub async fn ok(&mut self, op: &str, fields: Value) -> Value {
        let answer = self.request(op, fields).await;
        assert_eq!(answer["op"], "ok", "{op}: {answer}");
        answer
    }

    /// A request that must be refused with this code.
    pub async fn refused(&mut self, op: &str, fields: Value, code: &str) -> Value {
        let answer = self.request(op, fields).await;
        assert_eq!((&answer["op"], &answer["code"]), (&json!("error"), &json!(code)), "{answer}");
        assert!(answer["message"].is_string(), "an error says something to a developer: {answer}");
        answer
    }

    /// Sends a message and waits for its `ok`.
    pub async fn send(&mut self, room: &str, client_id: &str, body: &str) -> Value {
        self.ok("send", json!({"room": room, "client_id": client_id, "body": body})).await
    }

    /// The next frame of this kind; others before it stay queued.
    pub async fn expect(&mut self, op: &str) -> Value {
        self.take(&format!("a frame {op:?}"), |frame| frame["op"] == op).await
    }

    /// The next frame of any kind but `presence`; `None` when the connection has ended.
    pub async fn frame(&mut self) -> Option<Value> {
        while self.queued.is_empty() {
            let frame = self.read().await?;
            self.keep(frame);
        }
        self.queued.pop_front()
    }

    /// The next frame as it came, JSON, without looking into it: for readers of many frames. `None`
    /// when the connection has ended.
    pub async fn text(&mut self) -> Option<tungstenite::Utf8Bytes> {
        debug_assert!(self.queued.is_empty(), "frames kept for later would be passed over");
        let message = self.read_message().await?;
        Some(message.into_text().expect("text frames"))
    }

    /// What has been received and not yet been asked for, but for `presence`.
    pub fn queued(&self) -> impl Iterator<Item = &Value> {
        self.queued.iter()
    }

    /// The `presence` received and not yet asked for.
    pub fn presence(&self) -> impl Iterator<Item = &Value> {
        self.presence.iter()
    }

    /// Reads to the end of the connection; the code it was closed with, 1006 without one.
    pub async fn close_code(&mut self) -> u16 {
        let end = async {
            while let Some(frame) = self.read().await {
                self.keep(frame);
            }
        };
        within("the connection is closed", SOON, end).await;
        self.closed.unwrap_or(1006)
    }

    /// Says goodbye and waits for the node's answer.
    pub async fn close(mut self) -> u16 {
        let _ = self.stream.close(None::<CloseFrame>).await;
        self.close_code().await
    }

    async fn take(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for kept in [&mut self.queued, &mut self.presence] {
            if let Some(index) = kept.iter().position(&wanted) {
                return kept.remove(index).expect("found at this index");
            }
        }
        let read = async {
            while let Some(frame) = self.read().await {
                if wanted(&frame) {
                    return Some(frame);
                }
                self.keep(frame);
            }
            None
        };
        let frame = within(what, SOON, read).await;
        frame.unwrap_or_else(|| panic!("closed with {:?}, no {what}", self.closed))
    }

    fn keep(&mut self, frame: Value) {
        let is_presence = frame["op"] == "presence";
        let kept = if is_presence { &mut self.presence } else { &mut self.queued };
        kept.push_back(frame);
    }

    async fn read(&mut self) -> Option<Value> {
        let message = self.read_message().await?;
        assert_eq!(message.is_text(), self.codec == Codec::Json, "the frame type of the codec");
        let frame = self.codec.decode(&message.into_data());
        self.asked.check(&frame);
        Some(frame)
    }

    /// One frame from the wire; pings are answered on the way.
    async fn read_message(&mut self) -> Option<Message> {
        loop {
            match self.stream.next().await? {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => return Some(message),
                Ok(Message::Close(close)) => {
                    // 1005 is what RFC 6455 calls a close without a code.
                    self.closed = Some(close.map_or(1005, |frame| frame.code.into()));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}
