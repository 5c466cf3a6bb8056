//! Loopback addresses that nobody else uses.

use rustix::{
    io,
    net::{
        AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with,
        sockopt::set_socket_reuseaddr,
    },
};
use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::atomic::{AtomicU32, Ordering},
};

/// An address nobody else uses: the host part from the process and a counter, the port from the
/// operating system. Tests running side by side, in one process or in many, never meet.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let host = std::process::id().wrapping_mul(61) + NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, a, b, c] = host.to_be_bytes();
    // 127.0.x.y stays free for clients that bind a source address.
    let ip = Ipv4Addr::new(127, a.max(1), b, c.clamp(1, 254));
    probe(ip).expect("a loopback address can be bound")
}

/// Never listens: a process that is being started just now holds a copy of the socket until it runs its
/// own program, and one that listened would keep the address from whoever it was looked up for.
fn probe(ip: Ipv4Addr) -> io::Result<SocketAddr> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(ip, 0))?;
    getsockname(&socket)?.try_into()
}
