//! Places where a test makes an actor panic or stand still.
//!
//! Every actor has those of its shell, named after its kind: `room.build` (its factory), `room.start`,
//! `room.handle` (before each message), `room.input`, `room.end_of_turn`. Some have one in the middle
//! of what they do, named where it is. Without the feature `fail_points` nothing of this is compiled;
//! with it, and as long as no point is set, passing one is a look at one atomic.
//!
//! What a point does is written as in the crate `fail`: `1*panic`, `3*off->1*panic`, `sleep(5000)`,
//! `off`. The points are those of the process: of two nodes in one, either meets them.

#[cfg(feature = "fail_points")]
pub use armed::listen;
#[cfg(feature = "fail_points")]
pub(crate) use armed::{pass, pass_saying};

/// Passes the point `place` of an actor of this kind.
#[cfg(not(feature = "fail_points"))]
#[inline(always)]
pub(crate) fn pass(_kind: &'static str, _place: &'static str) {}

/// Passes a point with something in hand: `return(poison)` makes it panic over what says `poison`.
#[cfg(not(feature = "fail_points"))]
#[inline(always)]
pub(crate) fn pass_saying(_kind: &'static str, _place: &'static str, _said: &str) {}

#[cfg(feature = "fail_points")]
mod armed {
    use std::{
        io::{self, BufRead, BufReader, Write},
        os::unix::net::{UnixListener, UnixStream},
        sync::atomic::{AtomicBool, Ordering},
    };

    /// Points that are set before anything begins: `name=actions;name=actions`.
    const AT_START: &str = "FAILPOINTS";
    /// Where a socket is made that takes more of them, `name=actions` a line, each answered by `ok`
    /// or what is wrong with it.
    const SOCKET: &str = "FAILPOINTS_SOCKET";

    /// Whether any point was ever set.
    static ARMED: AtomicBool = AtomicBool::new(false);

    pub(crate) fn pass(kind: &'static str, place: &'static str) {
        if ARMED.load(Ordering::Relaxed) {
            fail::eval(&format!("{kind}.{place}"), |_| ());
        }
    }

    pub(crate) fn pass_saying(kind: &'static str, place: &'static str, said: &str) {
        if ARMED.load(Ordering::Relaxed) {
            fail::eval(&format!("{kind}.{place}"), |poison| {
                let met = poison.is_none_or(|poison| said.contains(&poison));
                assert!(!met, "fail point {kind}.{place}: poison");
            });
        }
    }

    /// Sets the points of the environment, and listens for more.
    pub fn listen() -> io::Result<()> {
        let at_start = std::env::var(AT_START).unwrap_or_default();
        for line in at_start.split(';').filter(|line| !line.is_empty()) {
            set(line).map_err(io::Error::other)?;
        }
        if let Some(path) = std::env::var_os(SOCKET) {
            let listener = UnixListener::bind(path)?;
            // A caller that hangs up early is no concern of the next one.
            std::thread::spawn(move || {
                listener.incoming().flatten().map(take_lines).for_each(drop);
            });
        }
        Ok(())
    }

    fn take_lines(stream: UnixStream) -> io::Result<()> {
        let mut answers = stream.try_clone()?;
        for line in BufReader::new(stream).lines() {
            match set(&line?) {
                Ok(()) => writeln!(answers, "ok")?,
                Err(error) => writeln!(answers, "{error}")?,
            }
        }
        Ok(())
    }

    fn set(line: &str) -> Result<(), String> {
        let (name, actions) = line.split_once('=').ok_or("a line is name=actions")?;
        fail::cfg(name, actions)?;
        ARMED.store(true, Ordering::Relaxed);
        Ok(())
    }
}
