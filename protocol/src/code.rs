//! Error codes, close codes, and a refusal: what a client is told when it does not get its way.

use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Why a request was not performed. Names and meanings are fixed by `docs/protocol.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// No valid session.
    Unauthenticated,
    /// Wrong username or password.
    BadCredentials,
    /// Known, but not allowed.
    Forbidden,
    /// Unknown, or hidden from the caller.
    NotFound,
    /// Missing, wrong or out of range; also what this version does not offer.
    Invalid,
    /// An `op` this version does not know.
    UnknownOp,
    /// A body or request over its limit.
    TooLarge,
    /// Contradicts the present state.
    Conflict,
    /// Another user has that name.
    UsernameTaken,
    /// No room for one more.
    Full,
    /// Too many logins from this address.
    Blocked,
    /// A fault of the node; the input was dropped.
    Internal,
    /// Too much in too short a time; carries a delay.
    RateLimited,
    /// A queue is full, refused at once; carries a delay.
    Overloaded,
    /// Waited too long; the outcome is unknown, or nothing was committed; carries a delay.
    Unavailable,
}

impl ErrorCode {
    /// Every code, for tests and metric labels.
    pub const ALL: [Self; 15] = [
        Self::Unauthenticated,
        Self::BadCredentials,
        Self::Forbidden,
        Self::NotFound,
        Self::Invalid,
        Self::UnknownOp,
        Self::TooLarge,
        Self::Conflict,
        Self::UsernameTaken,
        Self::Full,
        Self::Blocked,
        Self::Internal,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unavailable,
    ];

    /// The name on the wire, also the metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::BadCredentials => "bad_credentials",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::UnknownOp => "unknown_op",
            Self::TooLarge => "too_large",
            Self::Conflict => "conflict",
            Self::UsernameTaken => "username_taken",
            Self::Full => "full",
            Self::Blocked => "blocked",
            Self::Internal => "internal",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
        }
    }

    /// The HTTP status that carries it.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Unauthenticated | Self::BadCredentials => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::UsernameTaken | Self::Full => 409,
            Self::TooLarge => 413,
            Self::Invalid | Self::UnknownOp => 422,
            Self::RateLimited | Self::Blocked => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::Unavailable => 503,
        }
    }
}

/// An error code with the words and the delay that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// One line for a developer; never a secret, never user content.
    pub message: Cow<'static, str>,
    /// How long to wait before trying again, for the codes that carry one.
    pub retry_after_ms: Option<u64>,
    /// The field at fault, for `invalid`.
    pub field: Option<Cow<'static, str>>,
}

impl Refusal {
    /// A refusal without delay or field.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, field: None }
    }

    /// `invalid`, naming the field.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorCode::Invalid, reason) }
    }

    /// `not_found` for a room: unknown, or a private one of others.
    pub fn no_room() -> Self {
        Self::new(ErrorCode::NotFound, "no such room")
    }

    /// `forbidden` for an open room that was not joined.
    pub fn not_a_member() -> Self {
        Self::new(ErrorCode::Forbidden, "join the room first")
    }

    /// `overloaded`: refused at once, because a queue is full.
    pub fn overloaded(message: &'static str) -> Self {
        Self::new(ErrorCode::Overloaded, message).after(OVERLOADED_RETRY_MS)
    }

    /// `unavailable`: the outcome is unknown, or nothing was committed.
    pub fn unavailable(message: &'static str) -> Self {
        Self::new(ErrorCode::Unavailable, message).after(UNAVAILABLE_RETRY_MS)
    }

    /// The same with a delay in milliseconds.
    pub fn after(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..self }
    }
}

/// Long enough for a full queue to drain by some batches.
const OVERLOADED_RETRY_MS: u64 = 200;
/// Long enough for a store to reopen or a primary to be elected.
const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// Why a WebSocket connection is closed (RFC 6455 section 7.4; 4000 and up are Madang's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal = 1000,
    /// Broken WebSocket framing.
    ProtocolError = 1002,
    /// Wrong frame type for the subprotocol.
    WrongType = 1003,
    /// Not UTF-8, not decodable, or not a map.
    Undecodable = 1007,
    /// A message over `max_frame_bytes`.
    TooBig = 1009,
    /// A fault of the node; resume.
    Internal = 1011,
    /// The node restarts; resume.
    Restart = 1012,
    /// Not authenticated, or the session ended.
    Unauthenticated = 4001,
    /// Silent for two heartbeats.
    Silent = 4002,
    /// `Origin` is not allowed.
    ForbiddenOrigin = 4003,
    /// The out-queue outgrew its bound; resume.
    TooSlow = 4008,
    /// The user has a newer session and may have no more, or just one.
    Replaced = 4009,
    /// Too many refused frames.
    TooManyFrames = 4029,
}

impl CloseCode {
    /// Every code the node sends, for metric labels.
    pub const ALL: [Self; 13] = [
        Self::Normal,
        Self::ProtocolError,
        Self::WrongType,
        Self::Undecodable,
        Self::TooBig,
        Self::Internal,
        Self::Restart,
        Self::Unauthenticated,
        Self::Silent,
        Self::ForbiddenOrigin,
        Self::TooSlow,
        Self::Replaced,
        Self::TooManyFrames,
    ];

    /// The number in the close frame.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The words in the close frame.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::ProtocolError => "broken framing",
            Self::WrongType => "wrong frame type for the subprotocol",
            Self::Undecodable => "not decodable",
            Self::TooBig => "frame too big",
            Self::Internal => "internal error, resume",
            Self::Restart => "node restarts, resume",
            Self::Unauthenticated => "not authenticated or session ended",
            Self::Silent => "silent for two heartbeats",
            Self::ForbiddenOrigin => "origin not allowed",
            Self::TooSlow => "too slow, resume",
            Self::Replaced => "replaced by a newer session",
            Self::TooManyFrames => "too many refused frames",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_with_serde() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }
}
