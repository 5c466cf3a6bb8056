//! Servers that a user might pick instead, on Node. They are installed from their registry when they
//! are asked for, into `target/peers`.

use super::{Child, Dialect};
use crate::error::{BenchError, Doing, Done};
use madang_servers::free_address;
use std::{
    env, fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const READY_WITHIN: Duration = Duration::from_secs(30);
/// What is installed, and the servers made of it: part of this program, so that it needs no sources.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../peers/package.json")),
    ("ws.js", include_str!("../../peers/ws.js")),
    ("socketio.js", include_str!("../../peers/socketio.js")),
];

/// One that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PeerKind {
    /// `ws` on Node.
    Ws,
    /// Socket.IO 4 on Node.
    SocketIo,
    /// The same with its Redis adapter, one server of it.
    SocketIoRedis,
}

/// A running peer; killed when dropped.
#[derive(Debug)]
pub struct Peer {
    /// The process.
    pub child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is.
    pub kind: PeerKind,
}

impl PeerKind {
    /// How it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws on Node",
            Self::SocketIo => "Socket.IO 4",
            Self::SocketIoRedis => "Socket.IO 4 + Redis",
        }
    }

    /// How to talk with it.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Ws => Dialect::Plain,
            Self::SocketIo | Self::SocketIoRedis => Dialect::SocketIo,
        }
    }

    /// What it does not do that the node does.
    pub fn note(self) -> &'static str {
        match self {
            Self::Ws => {
                "no accounts, no order across connections, no store, no resume, no limits, no bound \
                 on what waits for a slow reader; rooms are a Set of ours"
            }
            Self::SocketIo => {
                "no accounts, no numbers, no store, no resume, no limits; heartbeats off; one process"
            }
            Self::SocketIoRedis => {
                "as Socket.IO, and every message goes through Redis to be told by any process; Redis's \
                 own processor time is not counted"
            }
        }
    }

    /// Starts it; see [`need`]. `redis` is the address for the one that needs it.
    pub fn start(self, redis: Option<SocketAddr>) -> Done<Peer> {
        let folder = folder()?;
        let address = free_address();
        let script = if self == Self::Ws { "ws.js" } else { "socketio.js" };
        let mut command = Command::new("node");
        command.arg(folder.join(script));
        command.arg(address.port().to_string()).arg(address.ip().to_string());
        if let (Self::SocketIoRedis, Some(redis)) = (self, redis) {
            command.arg(format!("redis://{redis}"));
        }
        let directory = tempfile::tempdir().doing(|| "making a directory".to_owned())?;
        let mut child = Child::start(self.name(), command, directory)?;
        child.wait_until(READY_WITHIN, || TcpStream::connect(address).is_ok())?;
        Ok(Peer { child, address, kind: self })
    }
}

/// Where the peers are: `target/peers`, beside the folder of this program.
fn folder() -> Done<PathBuf> {
    let program = env::current_exe().doing(|| "finding the own program".to_owned())?;
    let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
    Ok(target.join("peers"))
}

/// Makes sure that these can be started, before anything is: installs them if need be.
///
/// # Errors
/// When there is no Node, or they cannot be installed.
pub fn need(peers: &[PeerKind]) -> Done<()> {
    if peers.is_empty() {
        return Ok(());
    }
    let version = Command::new("node").arg("--version").output();
    version.map_err(|error| missing(&format!("it needs Node on the path ({error})")))?;
    install()
}

fn missing(why: &str) -> BenchError {
    let how = format!("{why}; or leave --peers out");
    BenchError::Missing { what: "a peer".to_owned(), how }
}

fn install() -> Done<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).doing(|| format!("making {}", folder.display()))?;
    let mut changed = !folder.join("node_modules").exists();
    for (name, text) in FILES {
        let path = folder.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            changed = true;
            fs::write(&path, text).doing(|| format!("writing {}", path.display()))?;
        }
    }
    if changed { npm_install(&folder) } else { Ok(()) }
}

fn npm_install(folder: &Path) -> Done<()> {
    eprintln!("installing the peers into {}", folder.display());
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(folder);
    let output = npm.output();
    let output = output.map_err(|error| missing(&format!("it needs npm on the path ({error})")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        // Half an installation would look like a whole one next time.
        let _ = fs::remove_dir_all(folder.join("node_modules"));
        return Err(missing(&format!("npm could not install it: {}", said.trim())));
    }
    Ok(())
}

/// The versions that are installed, for the result.
pub fn versions() -> String {
    let text = FILES[0].1.lines().filter(|line| line.contains("\": \"") && line.contains('.'));
    text.map(|line| line.trim().trim_end_matches(',')).collect::<Vec<_>>().join(", ")
}
