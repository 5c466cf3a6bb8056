//! The store's metrics: their names, and the handles.
//!
//! The handles are taken once, from the recorder that is current while the store is opened (see
//! `metrics::with_local_recorder`), so that two nodes in one process count apart.

use crate::StoreError;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use std::time::Duration;

/// Calls that reached the database, by `call`: one per snapshot read, one per write that took part
/// in a transaction.
pub const CALLS: &str = "madang_store_calls_total";
/// Calls that failed, by `error`.
pub const ERRORS: &str = "madang_store_errors_total";
/// Transactions made durable.
pub const COMMITS: &str = "madang_store_commits_total";
/// Messages made durable by one commit.
pub const COMMIT_MESSAGES: &str = "madang_store_commit_messages";
/// From the first job of a transaction to its being durable.
pub const COMMIT_SECONDS: &str = "madang_store_commit_seconds";
/// Times the database was closed and opened again because a commit failed.
pub const REOPENS: &str = "madang_store_reopens_total";

macro_rules! calls {
    ($($call:ident = $name:literal,)*) => {
        /// What was asked of the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Call { $($call),* }

        impl Call {
            /// The labels, by number.
            const NAMES: &[&str] = &[$($name),*];
        }
    };
}

calls! {
    Append = "append",
    Activate = "activate",
    FindSent = "find_sent",
    Page = "page",
    Changed = "changed",
    Marks = "marks",
    Target = "target",
    MyReactions = "my_reactions",
    CreateRoom = "create_room",
    View = "view",
    List = "list",
    Access = "access",
    AccessAll = "access_all",
    ChangeRoom = "change_room",
    Members = "members",
    MembersAmong = "members_among",
    RoomsOf = "rooms_of",
    PutReads = "put_reads",
    Readers = "readers",
    CreateUsers = "create_users",
    Credentials = "credentials",
    Profiles = "profiles",
    StartSession = "start_session",
    StartExternalSession = "start_external_session",
    TouchSessions = "touch_sessions",
    Session = "session",
    EndedSessions = "ended_sessions",
    ExpireSession = "expire_session",
    EndSession = "end_session",
    SetPassword = "set_password",
    SetDisplayName = "set_display_name",
    LastLogin = "last_login_from",
    Probe = "probe",
}

/// The handles of one store.
pub(crate) struct Metrics {
    calls: Vec<Counter>,
    errors: Vec<(&'static str, Counter)>,
    commits: Counter,
    commit_messages: Histogram,
    commit_seconds: Histogram,
    reopens: Counter,
}

impl Metrics {
    /// Takes the handles from the current recorder.
    pub(crate) fn new() -> Self {
        describe();
        Self {
            calls: Call::NAMES.iter().map(|name| counter!(CALLS, "call" => *name)).collect(),
            errors: StoreError::LABELS
                .iter()
                .map(|label| (*label, counter!(ERRORS, "error" => *label)))
                .collect(),
            commits: counter!(COMMITS),
            commit_messages: histogram!(COMMIT_MESSAGES),
            commit_seconds: histogram!(COMMIT_SECONDS),
            reopens: counter!(REOPENS),
        }
    }

    /// A call reached the database.
    pub(crate) fn call(&self, call: Call) {
        self.calls[call as usize].increment(1);
    }

    /// A call failed.
    pub(crate) fn error(&self, error: &StoreError) {
        for (label, counter) in &self.errors {
            if *label == error.label() {
                counter.increment(1);
            }
        }
    }

    /// A transaction is durable.
    pub(crate) fn commit(&self, messages: u64, took: Duration) {
        self.commits.increment(1);
        self.commit_messages.record(messages as f64);
        self.commit_seconds.record(took.as_secs_f64());
    }

    /// The database is opened again.
    pub(crate) fn reopen(&self) {
        self.reopens.increment(1);
    }
}

fn describe() {
    describe_counter!(CALLS, "Calls that reached the database, by call");
    describe_counter!(ERRORS, "Calls that failed, by error");
    describe_counter!(COMMITS, "Transactions made durable");
    describe_histogram!(COMMIT_MESSAGES, "Messages made durable by one commit");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "From the first job to durable");
    describe_counter!(REOPENS, "Times the database was reopened after a failed commit");
}
