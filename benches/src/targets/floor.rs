//! The floor as a process: this program, asked to be a server.

use super::Child;
use crate::error::{Doing, Done};
use madang_servers::free_address;
use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running floor; killed when dropped.
#[derive(Debug)]
pub struct Floor {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Floor {
    /// Starts one.
    pub fn start() -> Done<Self> {
        Self::start_with(&[])
    }

    /// Starts one that pings each connection once in `every`.
    pub fn start_pinging(every: Duration) -> Done<Self> {
        Self::start_with(&["--ping-every-ms", &every.as_millis().to_string()])
    }

    fn start_with(arguments: &[&str]) -> Done<Self> {
        let address = free_address();
        let mut command = own_program("floor-server")?;
        command.arg("--listen").arg(address.to_string()).args(arguments);
        let directory = tempfile::tempdir().doing(|| "making a directory".to_owned())?;
        let mut child = Child::start("floor", command, directory)?;
        child.wait_until(READY_WITHIN, || TcpStream::connect(address).is_ok())?;
        Ok(Self { child, address })
    }
}

/// This program with a hidden command.
pub(super) fn own_program(command: &str) -> Done<Command> {
    let program = std::env::current_exe().doing(|| "finding the own program".to_owned())?;
    let mut own = Command::new(program);
    own.arg(command);
    Ok(own)
}
