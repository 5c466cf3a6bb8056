//! A small HTTP client: one connection that is kept, one call at a time, bodies of known length.

use crate::error::{BenchError, Doing, Done};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// An answer that has not come by then is a stuck server.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// After a pause of this a connection is made anew: servers close those that are silent.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A connection for calls.
#[derive(Debug)]
pub struct Http {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    /// When it was of use last.
    used: Instant,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Done<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN);
        let stream = stream.doing(|| format!("connecting to {address}"))?;
        let ready =
            stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(ANSWER_WITHIN)));
        ready.doing(|| format!("connecting to {address}"))?;
        Ok(Self { address, stream: BufReader::new(stream), used: Instant::now() })
    }

    /// Whether `/readyz` answers 200; false also when nobody does.
    pub fn is_ready(address: SocketAddr) -> bool {
        let asked =
            Self::connect(address).and_then(|mut http| http.call("GET", "/readyz", "", None));
        asked.is_ok_and(|answer| answer.status == 200)
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// When the answer is not a good one.
    pub fn get(&mut self, path: &str, token: &str) -> Done<Value> {
        let answer = self.call("GET", path, token, None)?;
        self.good("GET", path, &answer)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// When the answer is not a good one.
    pub fn post(&mut self, path: &str, token: &str, body: &Value) -> Done<Value> {
        let answer = self.call("POST", path, token, Some(&body.to_string()))?;
        self.good("POST", path, &answer)
    }

    /// Any text.
    pub fn text(&mut self, path: &str) -> Done<String> {
        let answer = self.call("GET", path, "", None)?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Any call, with any answer.
    ///
    /// # Errors
    /// When none came whole in time.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&str>,
    ) -> Done<Answer> {
        let address = self.address;
        if self.used.elapsed() > PAUSE_MAX {
            *self = Self::connect(address)?;
        }
        self.used = Instant::now();
        self.exchange(method, path, token, body).doing(|| format!("{method} {path} at {address}"))
    }

    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&str>,
    ) -> std::io::Result<Answer> {
        let bearer = match token {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{bearer}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, length) = self.head()?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }

    /// Status and length of the body.
    fn head(&mut self) -> std::io::Result<(u16, usize)> {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if status == 0 {
                status = line.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
            } else if let Some((name, value)) = line.split_once(':') {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap_or(0);
                }
            } else {
                return Ok((status, length));
            }
        }
    }

    fn good(&self, method: &str, path: &str, answer: &Answer) -> Done<Value> {
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(&answer.body);
            let what = format!("{method} {path} was answered {}: {said}", answer.status);
            return Err(BenchError::target(&self.address.to_string(), what));
        }
        Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }
}
