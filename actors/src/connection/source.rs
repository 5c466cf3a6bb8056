//! Where a connection's frames come from.

use crate::hub::Identity;
use madang_protocol::{CloseCode, Refusal};
use std::{
    pin::Pin,
    task::{self, Poll},
};

/// The reading side of a connection's transport.
pub trait Source {
    /// Reads once and calls `each` for everything that is complete, as long as it says
    /// [`Flow::More`]; the rest is kept for the next call. Ready: call again, there may be more.
    fn poll_read(
        &mut self,
        task: &mut task::Context<'_>,
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<()>;
}

/// What a source finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message, checked to be UTF-8.
    Text(&'a [u8]),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with its payload.
    Ping(&'a [u8]),
    /// An answer to a ping.
    Pong,
    /// The peer said goodbye.
    Close,
    /// The peer broke the rules: close with this code. Nothing more is read but the end.
    Broken(CloseCode),
    /// The transport ended.
    End,
}

/// Whether a source goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Give me the next one.
    More,
    /// Not now.
    Pause,
}

/// Finds the session a token speaks for.
pub trait Authenticator {
    /// `None`: unknown or expired. The token is secret.
    fn authenticate(&self, token: Box<str>) -> Authentication;
}

/// A search for a session.
pub type Authentication = Pin<Box<dyn Future<Output = Result<Option<Identity>, Refusal>>>>;
