//! Settings held against each other.

use super::{HIDDEN, SettingsError, settings::Settings};

/// What a search through all keys cannot find.
const API_KEY_CHARS_MIN: usize = 16;

/// Twice a page of a replay and what an audience keeps for readers that come back.
const OUTBOX_FRAMES_MIN: usize = 1_024;
/// More often than that is a node that does little else.
const PERIOD_MS_MIN: u64 = 10;
/// A page is a quarter of an out-queue and holds at least one body, which escapes may make
/// several times as long.
const OUTBOX_BODIES_MIN: usize = 16;

impl Settings {
    /// Refuses what is unusable by itself in a way a range cannot say, and contradictions.
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.validate_log()?;
        self.validate_origins()?;
        self.validate_addresses()?;
        self.validate_tls()?;
        self.validate_api_keys()?;
        self.validate_waits()?;
        self.validate_periods()?;
        self.validate_out_queue()?;
        self.validate_sizes()?;
        self.validate_surroundings()
    }

    fn validate_log(&self) -> Result<(), SettingsError> {
        match tracing_subscriber::EnvFilter::try_new(&self.log) {
            Ok(_) => Ok(()),
            Err(error) => refuse("log", &self.log, format!("must be a level or a filter: {error}")),
        }
    }

    fn validate_origins(&self) -> Result<(), SettingsError> {
        let bad = self.allowed_origins.iter().find(|origin| !is_origin(origin));
        let reason = "must be `*` or scheme and host without a path, \
                      such as https://chat.example.org";
        bad.map_or(Ok(()), |origin| refuse("allowed_origins", origin, reason))
    }

    fn validate_addresses(&self) -> Result<(), SettingsError> {
        let of_clients = ("listen", Some(self.listen));
        let of_monitoring = ("metrics_listen", self.metrics_listen);
        let of_operators = ("admin_listen", self.admin_listen);
        for ((key, address), (other_key, other)) in
            [(of_monitoring, of_clients), (of_operators, of_clients), (of_operators, of_monitoring)]
        {
            if let (Some(address), Some(other)) = (address, other)
                && address == other
                && address.port() != 0
            {
                let reason = format!("is the same as {other_key} = {other}");
                return refuse(key, address, reason);
            }
        }
        Ok(())
    }

    fn validate_tls(&self) -> Result<(), SettingsError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), None) => refuse("tls_cert", cert.display(), "needs tls_key beside it"),
            (None, Some(key)) => refuse("tls_key", key.display(), "needs tls_cert beside it"),
            _ => Ok(()),
        }
    }

    /// The value is secret, so only the key is named.
    fn validate_api_keys(&self) -> Result<(), SettingsError> {
        let is_usable = |key: &String| {
            key.len() >= API_KEY_CHARS_MIN
                && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
        };
        match self.api_keys.reveal().iter().position(|key| !is_usable(key)) {
            None => Ok(()),
            Some(index) => {
                let reason = format!(
                    "number {} must have at least {API_KEY_CHARS_MIN} characters, only visible \
                     ones of ASCII, no comma",
                    index + 1
                );
                refuse("api_keys", HIDDEN, reason)
            }
        }
    }

    /// What is awaited inside of a request must end before the request does: otherwise the client
    /// is told of the request's deadline, never of what it waited for.
    fn validate_waits(&self) -> Result<(), SettingsError> {
        let whole = self.request_timeout_ms;
        let parts = [
            ("send_wait_ms", self.send_wait_ms),
            ("read_wait_ms", self.read_wait_ms),
            ("body_timeout_ms", self.body_timeout_ms),
        ];
        match parts.into_iter().find(|(_, wait_ms)| *wait_ms >= whole) {
            Some((key, wait_ms)) => {
                refuse(key, wait_ms, format!("must be below request_timeout_ms = {whole}"))
            }
            None => Ok(()),
        }
    }

    /// 0 = off.
    fn validate_periods(&self) -> Result<(), SettingsError> {
        let periods = [
            ("last_seen_flush_ms", self.last_seen_flush_ms),
            ("session_recheck_ms", self.session_recheck_ms),
        ];
        match periods.into_iter().find(|(_, period_ms)| (1..PERIOD_MS_MIN).contains(period_ms)) {
            Some((key, period_ms)) => {
                refuse(key, period_ms, format!("must be 0 or at least {PERIOD_MS_MIN}"))
            }
            None => Ok(()),
        }
    }

    /// A reader that comes back is given pages above the lower half of its out-queue: one that is
    /// too small for that would be closed and come back for ever. 0 = off.
    fn validate_out_queue(&self) -> Result<(), SettingsError> {
        let frames = self.outbox_frames_max;
        if (1..OUTBOX_FRAMES_MIN).contains(&frames) {
            let reason = format!("must be 0 or at least {OUTBOX_FRAMES_MIN}");
            return refuse("outbox_frames_max", frames, reason);
        }
        let (bytes, body) = (self.outbox_bytes_max, self.body_bytes_max);
        if bytes != 0 && bytes / OUTBOX_BODIES_MIN < body {
            let reason = format!("must be at least {OUTBOX_BODIES_MIN} x body_bytes_max = {body}");
            return refuse("outbox_bytes_max", bytes, reason);
        }
        Ok(())
    }

    /// Pairs of (smaller, larger) limits; 0 = off contradicts nothing.
    fn validate_sizes(&self) -> Result<(), SettingsError> {
        let frame = ("frame_bytes_max", self.frame_bytes_max);
        let pairs = [
            (("body_bytes_max", self.body_bytes_max), frame),
            (
                ("max_connections_per_address", self.max_connections_per_address),
                ("max_connections", self.max_connections),
            ),
        ];
        for ((key, smaller), (larger_key, larger)) in pairs {
            if larger != 0 && smaller > larger {
                return refuse(key, smaller, format!("must not exceed {larger_key} = {larger}"));
            }
        }
        Ok(())
    }
}

pub(super) fn refuse(
    key: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> Result<(), SettingsError> {
    Err(SettingsError::Contradiction { key, value: value.to_string(), reason: reason.into() })
}

fn is_origin(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return origin == "*" };
    let names = |text: &str, extra: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    names(scheme, "+-.") && names(host, "-._:[]")
}
