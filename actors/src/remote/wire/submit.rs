//! What is to be committed, and what became of it.

use crate::{
    remote::{Asked, Outcome},
    room::{
        pending::{Submit, Work},
        standing::Change,
    },
    route::Receipt,
};
use madang_protocol::{
    ClientId, Emoji, ErrorCode, Millis, Refusal, Role, RoomId, UserId,
    operation::{Edit, React, Target},
};
use madang_store::rooms::RoomChange;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Something to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireItem {
    /// Its number in the lane.
    pub n: u64,
    /// Who asks.
    by: UserId,
    /// How long an answer is waited for, from now on.
    wait_ms: u64,
    /// Tells it apart in the logs of all nodes.
    #[serde(default)]
    trace: u64,
    work: WireWork,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireWork {
    Send {
        client_id: ClientId,
        body: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u64>,
    },
    Edit {
        seq: u64,
        body: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        if_rev: Option<u64>,
    },
    Delete {
        seq: u64,
    },
    React {
        seq: u64,
        emoji: Emoji,
        on: bool,
    },
    Join {},
    Leave {},
    Add {
        user: UserId,
    },
    Remove {
        user: UserId,
        ban: bool,
    },
    SetRole {
        user: UserId,
        role: Role,
    },
    Rename {
        name: Arc<str>,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireOutcome {
    /// Committed.
    Done {
        /// Its place.
        seq: u64,
        /// Its time.
        ts: Millis,
        /// Of a change.
        #[serde(default)]
        rev: u64,
        /// It was there already.
        #[serde(default)]
        duplicate: bool,
    },
    /// A change of the room was made; the role of the user it concerns.
    Role {
        /// None any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
    },
    /// Not to be.
    Refused {
        /// The name of the code.
        code: String,
        /// The words.
        message: String,
        /// When to try again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// What is wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
    },
    /// Given back.
    Moved {},
}

impl WireItem {
    /// A submit of a lane.
    pub fn of_submit(n: u64, submit: &Submit, now: Instant) -> Self {
        let work = match &submit.work {
            Work::Send { client_id, body, reply_to } => WireWork::Send {
                client_id: client_id.clone(),
                body: body.clone(),
                reply_to: *reply_to,
            },
            Work::Edit(Edit { target, body, if_rev }) => {
                WireWork::Edit { seq: target.seq, body: body.clone(), if_rev: *if_rev }
            }
            Work::Delete(target) => WireWork::Delete { seq: target.seq },
            Work::React(React { target, emoji, on }) => {
                WireWork::React { seq: target.seq, emoji: emoji.clone(), on: *on }
            }
        };
        let wait_ms = millis(submit.deadline.saturating_duration_since(now));
        Self { n, by: submit.sender, wait_ms, trace: submit.trace, work }
    }

    /// A change of a room.
    pub fn of_change(n: u64, change: &Change, wait: Duration) -> Self {
        let work = match &change.change {
            RoomChange::Join => WireWork::Join {},
            RoomChange::Leave => WireWork::Leave {},
            RoomChange::Add(user) => WireWork::Add { user: *user },
            RoomChange::Remove { user, ban } => WireWork::Remove { user: *user, ban: *ban },
            RoomChange::SetRole { user, role } => WireWork::SetRole { user: *user, role: *role },
            RoomChange::Rename(name) => WireWork::Rename { name: name.clone() },
        };
        Self { n, by: change.by, wait_ms: millis(wait), trace: 0, work }
    }

    /// What it asks of `room`; it waits no longer than `wait_max`.
    pub fn read(self, room: RoomId, now: Instant, wait_max: Duration) -> Asked {
        let Self { by, wait_ms, trace, work, .. } = self;
        let target = |seq| Target { room, seq };
        let deadline = now + Duration::from_millis(wait_ms).min(wait_max);
        let submit = |work| Asked::Submit(Submit { sender: by, work, deadline, trace });
        let change = |change| Asked::Change(Change { by, change });
        match work {
            WireWork::Send { client_id, body, reply_to } => {
                submit(Work::Send { client_id, body, reply_to })
            }
            WireWork::Edit { seq, body, if_rev } => {
                submit(Work::Edit(Edit { target: target(seq), body, if_rev }))
            }
            WireWork::Delete { seq } => submit(Work::Delete(target(seq))),
            WireWork::React { seq, emoji, on } => {
                submit(Work::React(React { target: target(seq), emoji, on }))
            }
            WireWork::Join {} => change(RoomChange::Join),
            WireWork::Leave {} => change(RoomChange::Leave),
            WireWork::Add { user } => change(RoomChange::Add(user)),
            WireWork::Remove { user, ban } => change(RoomChange::Remove { user, ban }),
            WireWork::SetRole { user, role } => change(RoomChange::SetRole { user, role }),
            WireWork::Rename { name } => change(RoomChange::Rename(name)),
        }
    }
}

impl From<&Outcome> for WireOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done(Ok(receipt)) => {
                let Receipt { seq, ts, rev, duplicate, .. } = *receipt;
                Self::Done { seq, ts, rev, duplicate }
            }
            Outcome::Role(Ok(role)) => Self::Role { role: *role },
            Outcome::Done(Err(refusal)) | Outcome::Role(Err(refusal)) => Self::Refused {
                code: refusal.code.name().to_owned(),
                message: refusal.message.clone().into_owned(),
                retry_after_ms: refusal.retry_after_ms,
                field: refusal.field.clone().map(Cow::into_owned),
            },
            Outcome::Moved => Self::Moved {},
        }
    }
}

impl WireOutcome {
    /// What became of a submit to `room`.
    pub fn read_done(self, room: RoomId) -> Outcome {
        match self {
            Self::Done { seq, ts, rev, duplicate } => {
                Outcome::Done(Ok(Receipt { room, seq, ts, rev, duplicate }))
            }
            Self::Refused { code, message, retry_after_ms, field } => {
                Outcome::Done(Err(refusal(&code, message, retry_after_ms, field)))
            }
            Self::Role { .. } | Self::Moved {} => Outcome::Moved,
        }
    }

    /// What became of a change of a room.
    pub fn read_role(self) -> Outcome {
        match self {
            Self::Role { role } => Outcome::Role(Ok(role)),
            Self::Refused { code, message, retry_after_ms, field } => {
                Outcome::Role(Err(refusal(&code, message, retry_after_ms, field)))
            }
            Self::Done { .. } | Self::Moved {} => Outcome::Moved,
        }
    }
}

/// A code of a later version is `internal` here.
fn refusal(
    code: &str,
    message: String,
    retry_after_ms: Option<u64>,
    field: Option<String>,
) -> Refusal {
    let known = ErrorCode::ALL.into_iter().find(|known| known.name() == code);
    let code = known.unwrap_or(ErrorCode::Internal);
    Refusal { code, message: message.into(), retry_after_ms, field: field.map(Cow::Owned) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
