//! WebSocket bytes by hand, for what no well-behaved client would send.

use crate::{
    contract::Asked,
    tls::Stream,
    variant::Codec,
    wait::{SOON, within},
};
use serde_json::Value;
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Frame types of RFC 6455 section 5.2.
pub mod opcode {
    /// A further part of a fragmented message.
    pub const CONTINUATION: u8 = 0;
    /// Text.
    pub const TEXT: u8 = 1;
    /// Binary.
    pub const BINARY: u8 = 2;
    /// Close.
    pub const CLOSE: u8 = 8;
    /// Ping.
    pub const PING: u8 = 9;
    /// Pong.
    pub const PONG: u8 = 10;
}

/// A frame to be written; every part of it may be wrong on purpose.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The first byte: FIN, reserved bits and opcode.
    first: u8,
    masked: bool,
    /// What the header claims, when that is not the length of the payload.
    claimed: Option<u64>,
    payload: Vec<u8>,
}

impl Frame {
    /// A whole, masked frame.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first: 0x80 | opcode, masked: true, claimed: None, payload: payload.into() }
    }

    /// A frame that says this, in the codec of the process's variant.
    pub fn of(value: &Value) -> Self {
        let codec = Codec::current();
        Self::new(codec.opcode(), codec.encode(value))
    }

    /// A text frame.
    pub fn text(text: &str) -> Self {
        Self::new(opcode::TEXT, text)
    }

    /// More parts follow.
    pub fn unfinished(mut self) -> Self {
        self.first &= 0x7f;
        self
    }

    /// With reserved bits, which need an extension nobody negotiated.
    pub fn reserved_bits(mut self) -> Self {
        self.first |= 0x70;
        self
    }

    /// Without the mask every client must use.
    pub fn unmasked(mut self) -> Self {
        self.masked = false;
        self
    }

    /// Claiming another length than it has.
    pub fn claiming(mut self, length: u64) -> Self {
        self.claimed = Some(length);
        self
    }

    /// Its bytes on the wire.
    pub fn encode(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![self.first];
        bytes.extend(self.length());
        if self.masked {
            bytes.extend(MASK);
            bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }

    fn length(&self) -> Vec<u8> {
        let mask_bit = if self.masked { 0x80 } else { 0 };
        let length = self.claimed.unwrap_or(self.payload.len() as u64);
        if let Ok(short @ ..126) = u8::try_from(length) {
            return vec![mask_bit | short];
        }
        match u16::try_from(length) {
            Ok(medium) => [&[mask_bit | 126][..], &medium.to_be_bytes()].concat(),
            Err(_) => [&[mask_bit | 127][..], &length.to_be_bytes()].concat(),
        }
    }
}

/// A frame as it came from the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its type.
    pub opcode: u8,
    /// Its content.
    pub payload: Vec<u8>,
}

impl Received {
    /// What it says, in the codec of the process's variant.
    ///
    /// # Panics
    /// When it is no frame of that codec.
    pub fn value(&self) -> Value {
        let codec = Codec::current();
        assert_eq!(self.opcode, codec.opcode(), "{self:?}");
        let frame = codec.decode(&self.payload);
        Asked::default().check(&frame);
        frame
    }

    /// The code of a close frame; 1005 of one without, as RFC 6455 calls it.
    pub fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk().map_or(1005, |bytes| u16::from_be_bytes(*bytes));
        (self.opcode == opcode::CLOSE).then_some(code)
    }
}

/// A connection on which the WebSocket handshake is done, or not even begun.
#[derive(Debug)]
pub struct RawSocket {
    stream: Stream,
}

impl RawSocket {
    /// Only TCP, and TLS in the variant that has it.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = within("connecting", SOON, TcpStream::connect(address)).await;
        Self::of(stream).await
    }

    /// Only TCP, whatever the variant.
    pub async fn connect_plain(address: SocketAddr) -> Self {
        let stream = within("connecting", SOON, TcpStream::connect(address)).await;
        Self { stream: Stream::plain(stream.expect("the node listens")) }
    }

    /// TCP with a receive buffer this small, so that a reader who stops is noticed early.
    pub async fn connect_with_buffer(address: SocketAddr, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().expect("an IPv4 socket");
        socket.set_recv_buffer_size(bytes).expect("a small buffer is allowed");
        let stream = within("connecting", SOON, socket.connect(address)).await;
        Self::of(stream).await
    }

    async fn of(stream: io::Result<TcpStream>) -> Self {
        let stream = Stream::of(stream.expect("the node listens")).await;
        Self { stream: stream.expect("the node shakes hands") }
    }

    /// A connection past a correct handshake.
    pub async fn open(address: SocketAddr) -> Self {
        let mut socket = Self::connect(address).await;
        socket.handshake(address, "").await;
        socket
    }

    /// The handshake with more header lines, each ended by CR LF; the codec of the process's
    /// variant is agreed on.
    ///
    /// # Panics
    /// When the node does not upgrade.
    pub async fn handshake(&mut self, address: SocketAddr, more: &str) {
        let offer = Self::offer();
        self.write(Self::handshake_text(address, &format!("{offer}{more}")).as_bytes()).await;
        let head = self.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    }

    /// The header line that offers the codec of the process's variant; empty where none is needed.
    pub fn offer() -> String {
        let line = |name| format!("Sec-WebSocket-Protocol: {name}\r\n");
        Codec::current().offer().map_or_else(String::new, line)
    }

    /// A correct handshake request.
    pub fn handshake_text(address: SocketAddr, more: &str) -> String {
        format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    }

    /// Writes bytes; a node that has closed shows itself on reading.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = within("writing bytes", SOON, self.stream.write_all(bytes)).await;
    }

    /// Writes a frame.
    pub async fn frame(&mut self, frame: Frame) {
        self.write(&frame.encode()).await;
    }

    /// Ends our side; what the node still says can be read.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The head of an HTTP answer, up to its empty line.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let read = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await.expect("an answer to the handshake"));
            }
        };
        within("the head of an answer", SOON, read).await;
        String::from_utf8(head).expect("a head is ASCII")
    }

    /// The next frame; `None` when the connection has ended.
    ///
    /// # Panics
    /// When the node masks or fragments, which it never does.
    pub async fn read(&mut self) -> Option<Received> {
        within("a frame or the end", SOON, self.read_frame()).await.ok()
    }

    async fn read_frame(&mut self) -> io::Result<Received> {
        let first = self.stream.read_u8().await?;
        assert_eq!(first & 0xf0, 0x80, "a node sends whole frames without reserved bits");
        let length = match self.stream.read_u8().await? {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short @ ..126 => u64::from(short),
            _ => panic!("a node does not mask"),
        };
        let mut payload = vec![0; usize::try_from(length).expect("fits into memory")];
        self.stream.read_exact(&mut payload).await?;
        Ok(Received { opcode: first & 0x0f, payload })
    }

    /// Reads to the end, answering a close frame in kind; its code, `None` when the connection
    /// ended without.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(frame) = self.read().await {
            if let Some(closed) = frame.close_code() {
                code = Some(closed);
                self.frame(Frame::new(opcode::CLOSE, frame.payload)).await;
            }
        }
        code
    }

    /// Reads until the node ends the connection; what it said.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ =
            within("the end of the connection", SOON, self.stream.read_to_end(&mut bytes)).await;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_their_three_forms() {
        let head = |length: usize| Frame::new(opcode::BINARY, vec![0; length]).unmasked().encode();
        assert_eq!(head(125)[..2], [0x82, 125]);
        assert_eq!(head(126)[..4], [0x82, 126, 0, 126]);
        assert_eq!(head(65_536)[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_frame_can_lie_about_itself() {
        let frame = Frame::text("a").unfinished().claiming(5).encode();
        assert_eq!(frame[..2], [0x01, 0x85]);
        assert_eq!(frame[6] ^ 0x37, b'a');
    }
}
