//! What a node prints.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Child,
};

/// What a command that has ended left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Both streams, for messages that may be on either.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The standard output of a command that must succeed.
    ///
    /// # Panics
    /// When it did not exit with 0.
    pub fn success(self) -> String {
        assert!(self.status.success(), "{}\n{}{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Lines of a running child, gathered by two tasks so that it never blocks on a full pipe.
#[derive(Debug, Default)]
pub(super) struct Capture {
    text: Mutex<String>,
}

impl Capture {
    /// Takes over both streams of a child that was started with pipes.
    pub(super) fn of(child: &mut Child) -> Arc<Self> {
        let capture = Arc::new(Self::default());
        let stdout = child.stdout.take().expect("started with a pipe");
        let stderr = child.stderr.take().expect("started with a pipe");
        tokio::spawn(gather(stdout, capture.clone()));
        tokio::spawn(gather(stderr, capture.clone()));
        capture
    }

    /// Everything so far.
    pub(super) fn text(&self) -> String {
        self.text.lock().expect("nothing panics holding it").clone()
    }
}

async fn gather(stream: impl AsyncRead + Unpin, capture: Arc<Capture>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut text = capture.text.lock().expect("nothing panics holding it");
        text.push_str(&line);
        text.push('\n');
    }
}
