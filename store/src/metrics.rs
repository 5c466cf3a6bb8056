//! The store's metrics: their names, and the handles.
//!
//! The handles are taken once, from the recorder that is current while the store is opened (see
//! `metrics::with_local_recorder`), so that two nodes in one process count apart.

use crate::StoreError;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Calls that reached the database, by `call`: one per snapshot read, one per write that took part
/// in a transaction.
pub const CALLS: &str = "madang_store_calls_total";
/// From a call to its answer, by `call`; of a write, with its wait and its commit.
pub const CALL_SECONDS: &str = "madang_store_call_seconds";
/// Calls that failed, by `call` and `error`.
pub const ERRORS: &str = "madang_store_errors_total";
/// Writes that wait for the writer.
pub const WRITES_WAITING: &str = "madang_store_writes_waiting";
/// How long a write waited for its transaction to begin.
pub const WRITE_WAIT_SECONDS: &str = "madang_store_write_wait_seconds";
/// Transactions made durable.
pub const COMMITS: &str = "madang_store_commits_total";
/// Messages made durable by one commit.
pub const COMMIT_MESSAGES: &str = "madang_store_commit_messages";
/// Writes made durable by one commit.
pub const COMMIT_WRITES: &str = "madang_store_commit_writes";
/// From the first job of a transaction to its being durable.
pub const COMMIT_SECONDS: &str = "madang_store_commit_seconds";
/// Times the database was closed and opened again because a commit failed.
pub const REOPENS: &str = "madang_store_reopens_total";
/// Pages of the file that were read, by `from`: `cache` or `file`.
pub const PAGE_READS: &str = "madang_store_page_reads_total";
/// Memory of the page cache.
pub const PAGE_CACHE_BYTES: &str = "madang_store_page_cache_bytes";

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
    News = "news",
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
    Register = "register",
    Probe = "probe",
}

/// The handles of one store.
pub(crate) struct Metrics {
    calls: Vec<CallMetrics>,
    /// Writes that wait for the writer.
    pub(crate) writes_waiting: Gauge,
    write_wait_seconds: Histogram,
    commits: Counter,
    commit_messages: Histogram,
    commit_writes: Histogram,
    commit_seconds: Histogram,
    reopens: Counter,
    pages: Pages,
}

struct CallMetrics {
    calls: Counter,
    seconds: Histogram,
    errors: [Counter; StoreError::LABELS.len()],
}

struct Pages {
    from_cache: Counter,
    from_file: Counter,
    bytes: Gauge,
    /// As told last.
    told: Mutex<PageReads>,
}

/// What a page cache has done since it was opened, and the memory it takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageReads {
    pub(crate) from_cache: u64,
    pub(crate) from_file: u64,
    pub(crate) bytes: u64,
}

impl Metrics {
    /// Takes the handles from the current recorder.
    pub(crate) fn new() -> Self {
        describe();
        Self {
            calls: Call::NAMES.iter().map(|call| CallMetrics::new(call)).collect(),
            writes_waiting: gauge!(WRITES_WAITING),
            write_wait_seconds: histogram!(WRITE_WAIT_SECONDS),
            commits: counter!(COMMITS),
            commit_messages: histogram!(COMMIT_MESSAGES),
            commit_writes: histogram!(COMMIT_WRITES),
            commit_seconds: histogram!(COMMIT_SECONDS),
            reopens: counter!(REOPENS),
            pages: Pages {
                from_cache: counter!(PAGE_READS, "from" => "cache"),
                from_file: counter!(PAGE_READS, "from" => "file"),
                bytes: gauge!(PAGE_CACHE_BYTES),
                told: Mutex::default(),
            },
        }
    }

    /// A call reached the database.
    pub(crate) fn call(&self, call: Call) {
        self.calls[call as usize].calls.increment(1);
    }

    /// A call was answered.
    pub(crate) fn answered(&self, call: Call, took: Duration, error: Option<&StoreError>) {
        let metrics = &self.calls[call as usize];
        metrics.seconds.record(took);
        let label = error
            .and_then(|error| StoreError::LABELS.iter().position(|label| *label == error.label()));
        if let Some(label) = label {
            metrics.errors[label].increment(1);
        }
    }

    /// A transaction takes a write that waited for so long.
    pub(crate) fn write_begins(&self, waited: Duration) {
        self.write_wait_seconds.record(waited);
    }

    /// A transaction is durable.
    pub(crate) fn commit(&self, messages: u64, writes: usize, took: Duration) {
        self.commits.increment(1);
        self.commit_messages.record(messages as f64);
        self.commit_writes.record(writes as f64);
        self.commit_seconds.record(took);
    }

    /// What the page cache has done so far. Looked at under the lock, so that nobody tells an
    /// earlier state after a later one.
    pub(crate) fn pages(&self, look: impl FnOnce() -> PageReads) {
        let mut told = self.pages.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = look();
        self.pages.from_cache.increment(now.from_cache.saturating_sub(told.from_cache));
        self.pages.from_file.increment(now.from_file.saturating_sub(told.from_file));
        self.pages.bytes.set(now.bytes as f64);
        *told = now;
    }

    /// The database is opened again: its page cache begins at zero.
    pub(crate) fn pages_begin_anew(&self) {
        *self.pages.told.lock().unwrap_or_else(PoisonError::into_inner) = PageReads::default();
    }

    /// The database is opened again.
    pub(crate) fn reopen(&self) {
        self.reopens.increment(1);
    }
}

impl CallMetrics {
    fn new(call: &'static str) -> Self {
        Self {
            calls: counter!(CALLS, "call" => call),
            seconds: histogram!(CALL_SECONDS, "call" => call),
            errors: StoreError::LABELS
                .map(|error| counter!(ERRORS, "call" => call, "error" => error)),
        }
    }
}

fn describe() {
    describe_counter!(CALLS, "Calls that reached the database, by call");
    describe_histogram!(CALL_SECONDS, "From a call to its answer, by call");
    describe_counter!(ERRORS, "Calls that failed, by call and error");
    describe_gauge!(WRITES_WAITING, "Writes that wait for the writer");
    describe_histogram!(WRITE_WAIT_SECONDS, "Wait of a write for its transaction to begin");
    describe_counter!(COMMITS, "Transactions made durable");
    describe_histogram!(COMMIT_MESSAGES, "Messages made durable by one commit");
    describe_histogram!(COMMIT_WRITES, "Writes made durable by one commit");
    describe_histogram!(COMMIT_SECONDS, "From the first job to durable");
    describe_counter!(REOPENS, "Times the database was reopened after a failed commit");
    describe_counter!(PAGE_READS, "Pages of the file that were read, by where from");
    describe_gauge!(PAGE_CACHE_BYTES, "Memory of the page cache");
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn a_page_cache_that_began_anew_is_counted_on() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = metrics::with_local_recorder(&recorder, Metrics::new);
        let tell = |from_cache, from_file| {
            metrics.pages(|| PageReads { from_cache, from_file, bytes: 9 });
        };
        tell(10, 1);
        tell(15, 1);
        metrics.pages_begin_anew();
        tell(3, 2);
        let page = recorder.handle().render();
        for line in [
            "madang_store_page_reads_total{from=\"cache\"} 18",
            "madang_store_page_reads_total{from=\"file\"} 3",
            "madang_store_page_cache_bytes 9",
        ] {
            assert!(page.contains(line), "no {line} in\n{page}");
        }
    }
}
