//! Waiting for sockets: epoll, level triggered, with waits as short as the schedule wants.

use crate::error::{Doing, Done};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::{AsFd, OwnedFd},
    io::Errno,
};

/// Events taken by one call.
const EVENTS_MAX: usize = 1_024;

/// A set of sockets, each known by its index.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What a socket is ready for.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// Which.
    pub index: usize,
    /// It can be read from; also when it is over.
    pub read: bool,
    /// It can be written to.
    pub write: bool,
}

impl Poll {
    /// An empty set.
    pub fn new() -> Done<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).doing(|| "epoll_create".to_owned())?;
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Adds a socket.
    pub fn add(&self, socket: impl AsFd, index: usize, write: bool) -> Done<()> {
        epoll::add(&self.epoll, socket, data(index), interest(write))
            .doing(|| "epoll_ctl".to_owned())
    }

    /// Changes whether a socket that is in the set also waits for being writable.
    pub fn change(&self, socket: impl AsFd, index: usize, write: bool) -> Done<()> {
        epoll::modify(&self.epoll, socket, data(index), interest(write))
            .doing(|| "epoll_ctl".to_owned())
    }

    /// Takes a socket out.
    pub fn forget(&self, socket: impl AsFd) -> Done<()> {
        epoll::delete(&self.epoll, socket).doing(|| "epoll_ctl".to_owned())
    }

    /// Waits for at most so long; 0 only looks, `None` waits for as long as it takes. Returns how
    /// many are ready.
    pub fn wait(&mut self, nanos: Option<u64>) -> Done<usize> {
        self.events.clear();
        let timeout = nanos.map(|nanos| Timespec {
            tv_sec: (nanos / 1_000_000_000) as i64,
            tv_nsec: (nanos % 1_000_000_000) as _,
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(self.events.len()),
            Err(error) => Err(error).doing(|| "epoll_wait".to_owned()),
        }
    }

    /// One of those that the last wait found.
    pub fn ready(&self, place: usize) -> Ready {
        let event = self.events[place];
        let flags = event.flags;
        Ready {
            index: event.data.u64() as usize,
            read: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR),
            write: flags.contains(EventFlags::OUT),
        }
    }
}

fn data(index: usize) -> EventData {
    EventData::new_u64(index as u64)
}

fn interest(write: bool) -> EventFlags {
    if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
}
