//! Loopback addresses that nobody else uses.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
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
    let probe = TcpListener::bind((ip, 0)).expect("a loopback address can be bound");
    probe.local_addr().expect("a bound socket has an address")
}
