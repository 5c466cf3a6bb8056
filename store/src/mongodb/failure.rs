//! What the driver says, as the caller may understand it.
//!
//! Errors of the driver quote documents: the values of a duplicate key, hosts, what was sent. None
//! of that is passed on; what is passed on are names and numbers of errors.

use crate::StoreError;
use ::mongodb::error::{Error, ErrorKind, WriteFailure};
use std::time::Duration;

/// The server's code for a value that a unique index has already.
pub(super) const DUPLICATE_KEY: i32 = 11_000;
/// The server's code for what another transaction holds.
pub(super) const WRITE_CONFLICT: i32 = 112;
/// The server's code for what cannot be read yet because it was only just made.
pub(super) const SNAPSHOT_UNAVAILABLE: i32 = 246;
/// The server's code for what this user may not do.
pub(super) const UNAUTHORIZED: i32 = 13;
/// The server's code for credentials it does not accept.
const AUTHENTICATION_FAILED: i32 = 18;

/// Why a call did not get through.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver, or the server through it.
    Driver(Error),
    /// Its time is over.
    Late(Duration),
    /// What we found, or decided, ourselves.
    Ours(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    /// Before anything was written, in a call that may write.
    pub(super) fn unwritten(self) -> Self {
        Self::Ours(self.of_read())
    }

    /// After something was written, whatever it says about what came behind.
    pub(super) fn in_doubt(self) -> Self {
        Self::Ours(StoreError::Unknown(self.of_read().to_string()))
    }

    /// For a call that only read.
    pub(super) fn of_read(self) -> StoreError {
        match self {
            Self::Driver(error) => StoreError::Unavailable(describe(&error)),
            Self::Late(after) => StoreError::Unavailable(late(after)),
            Self::Ours(error) => error,
        }
    }

    /// For a call that may have written: in doubt, but where nothing was sent.
    pub(super) fn of_write(self) -> StoreError {
        match self {
            Self::Driver(error) if is_unsent(&error) => StoreError::Unavailable(describe(&error)),
            Self::Driver(error) => StoreError::Unknown(describe(&error)),
            Self::Late(after) => StoreError::Unknown(late(after)),
            Self::Ours(error) => error,
        }
    }
}

/// The index whose value is there already, if that is what the server refuses. It says so in its
/// words only: `... collection: NAME index: NAME dup key: ...`.
pub(super) fn duplicate(error: &Error) -> Option<&str> {
    let message = match &*error.kind {
        ErrorKind::Command(command) if command.code == DUPLICATE_KEY => &command.message,
        ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == DUPLICATE_KEY => {
            &write.message
        }
        ErrorKind::InsertMany(many) => {
            let errors = many.write_errors.as_deref().unwrap_or_default();
            &errors.iter().find(|error| error.code == DUPLICATE_KEY)?.message
        }
        _ => return None,
    };
    index_of(message)
}

/// The index whose key was taken, which the server tells in words only. The words end with the
/// key, which is whatever a client sent.
pub(super) fn index_of(message: &str) -> Option<&str> {
    let (before_key, _) = message.split_once(" dup key:")?;
    let (_, index) = before_key.rsplit_once(" index: ")?;
    Some(index.trim())
}

fn late(after: Duration) -> String {
    format!("no answer within {after:?}")
}

/// No server was found to send it to. When a first try was sent and a second one found nobody,
/// the driver reports the first.
fn is_unsent(error: &Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::ServerSelection { .. }
            | ErrorKind::Shutdown
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::Authentication { .. }
    )
}

/// The server's code, if it is the server that refused.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(many) => {
            let first = many.write_errors.as_ref().and_then(|errors| errors.first());
            first.map(|error| error.code)
        }
        _ => None,
    }
}

/// The server does not accept the credentials.
pub(super) fn is_credentials(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Authentication { .. })
        || code(error) == Some(AUTHENTICATION_FAILED)
}

/// The error without what it quotes.
pub(super) fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => format!("error {} {}", command.code, command.code_name),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            format!("write concern error {} {}", concern.code, concern.code_name)
        }
        ErrorKind::InsertMany(many) if many.write_concern_error.is_some() => {
            let code = many.write_concern_error.as_ref().map_or(0, |concern| concern.code);
            format!("write concern error {code}")
        }
        ErrorKind::Io(io) => format!("network: {}", io.kind()),
        ErrorKind::ServerSelection { .. } => "no primary is known".into(),
        ErrorKind::ConnectionPoolCleared { .. } => "the connections were closed".into(),
        ErrorKind::Authentication { .. } => "the credentials are not accepted".into(),
        ErrorKind::Shutdown => "closed".into(),
        _ => match code(error) {
            Some(code) => format!("write error {code}"),
            None => "the driver failed".into(),
        },
    }
}
