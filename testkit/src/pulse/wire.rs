//! A connection that blocks its thread.

use crate::raw::{Frame, RawSocket, opcode};
use serde_json::{Value, json};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Cloning shares it: one thread reads, any may write.
#[derive(Clone)]
pub(super) struct Wire {
    stream: Arc<TcpStream>,
    /// Held while a frame is written: pongs come between beats, not into them.
    writing: Arc<Mutex<()>>,
}

impl Wire {
    /// Connects and says `hello` for these rooms.
    pub(super) fn open(address: SocketAddr, token: &str, rooms: &[String]) -> Self {
        let stream = TcpStream::connect(address).expect("the node listens");
        stream.set_nodelay(true).expect("an open socket");
        let wire = Self { stream: Arc::new(stream), writing: Arc::default() };
        let handshake = RawSocket::handshake_text(address, "");
        wire.write(handshake.as_bytes()).expect("the node reads");
        wire.past_head().expect("the node answers");
        let rooms: Vec<Value> = rooms.iter().map(|room| json!({"room": room})).collect();
        let hello = json!({"op": "hello", "id": 0, "token": token, "subscribe": rooms});
        wire.write(&Frame::text(&hello.to_string()).encode()).expect("the node reads");
        let (_, answer) = wire.frame().expect("the answer to hello");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer["op"], "ok", "{answer}");
        let subscribed = answer["rooms"].as_array().expect("a list");
        assert!(subscribed.iter().all(|room| room["error"].is_null()), "{answer}");
        wire
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let _whole = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        (&*self.stream).write_all(bytes)
    }

    /// Reads to the end of the connection: each frame, and when it was there.
    pub(super) fn read(&self, mut heard: impl FnMut(&Value, Instant)) {
        while let Ok((kind, payload)) = self.frame() {
            let at = Instant::now();
            match kind {
                opcode::TEXT => heard(&serde_json::from_slice(&payload).expect("JSON"), at),
                opcode::PING => {
                    let _ = self.write(&Frame::new(opcode::PONG, payload).encode());
                }
                _ => {}
            }
        }
    }

    pub(super) fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn past_head(&self) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            (&*self.stream).read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Ok(())
    }

    /// Its type and its payload.
    fn frame(&self) -> io::Result<(u8, Vec<u8>)> {
        let mut stream = &*self.stream;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                stream.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                stream.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("fits into memory")];
        stream.read_exact(&mut payload)?;
        Ok((head[0] & 0x0f, payload))
    }
}
