//! Addresses: who a client is, and as whom limits count it.

use hyper::HeaderMap;
use ipnet::IpNet;
use madang_store::accounts::AddressKey;
use std::net::{IpAddr, SocketAddr};

/// Each proxy on the way appends whom it was connected to.
const FORWARDED: &str = "x-forwarded-for";

/// The key of a peer's address: IPv4 as it is, mapped into IPv6; IPv6 cut to its /64, since that
/// is what one subscriber gets and can pick from at will.
pub fn key(address: IpAddr) -> AddressKey {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            octets
        }
    }
}

/// Whether `address` is one of the `trusted` proxies.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The address of the client that a request of `peer` is from: that of `peer`, unless it is a
/// trusted proxy. Then the entries of `X-Forwarded-For` are believed from the last one on, for as
/// long as they name trusted proxies: the first that does not is the client, since what stands
/// before it is only what it claims. What is no address ends the search at the entry behind it.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer;
    let lines = headers.get_all(FORWARDED).into_iter().rev();
    // Split before it is read as text: what the client wrote may be none.
    let mut entries =
        lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',').map(parse));
    while is_trusted(address, trusted) {
        match entries.next() {
            Some(Some(entry)) => address = entry,
            Some(None) | None => break,
        }
    }
    address
}

/// An address, also with a port, as some proxies write it.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']'));
    let address = bare.unwrap_or(entry).parse();
    address.ok().or_else(|| entry.parse().ok().map(|address: SocketAddr| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn same(a: &str, b: &str) -> bool {
        key(a.parse().unwrap()) == key(b.parse().unwrap())
    }

    #[test]
    fn who_counts_as_one() {
        for (a, b, one) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(same(a, b), one, "{a} {b}");
        }
    }

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"];

    fn found(peer: &str, lines: &[&[u8]]) -> IpAddr {
        let trusted = TRUSTED.map(|network| network.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line).unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted)
    }

    #[test]
    fn whom_a_request_is_from() {
        let cases: &[(&str, &[&[u8]], &str)] = &[
            // Nobody else may speak for others.
            ("198.51.100.1", &[b"203.0.113.9"], "198.51.100.1"),
            ("198.51.100.1", &[], "198.51.100.1"),
            // A proxy, also over IPv6 with a mapped address.
            ("10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("2001:db8::5", &[b"2001:db9::7"], "2001:db9::7"),
            // What the client itself claims stands before.
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"1.1.1.1", b"203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"\xff, 203.0.113.9"], "203.0.113.9"),
            // Proxies behind proxies.
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.9 ,192.0.2.1,10.9.9.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"1.1.1.1,203.0.113.9", b"10.9.9.9", b"192.0.2.1"], "203.0.113.9"),
            ("10.0.0.1", &[b"203.0.113.9,::ffff:192.0.2.1"], "203.0.113.9"),
            // Nobody but proxies: the first of them.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            // What is no address ends it.
            ("10.0.0.1", &[b"203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[b"203.0.113.9", b"\xff", b"10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[b""], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9/24"], "10.0.0.1"),
            // With a port.
            ("10.0.0.1", &[b"203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &[b"[2001:db9::7]:4711"], "2001:db9::7"),
            ("10.0.0.1", &[b"[2001:db9::7]"], "2001:db9::7"),
        ];
        for (peer, lines, expected) in cases {
            let shown: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
            assert_eq!(found(peer, lines).to_string(), *expected, "{peer} {shown:?}");
        }
    }

    /// Whatever a client writes in front, it counts as whom the proxy was connected to.
    #[test]
    fn no_claim_changes_who_a_client_is() {
        const PARTS: [&[u8]; 10] =
            [b"203.0.113.9", b"10.0.0.2", b"::1", b"", b" ", b",", b"junk", b"\xff", b"[", b"\""];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let mut claim = || {
                let parts = (0..random.usize(0..6)).map(|_| PARTS[random.usize(0..PARTS.len())]);
                parts.collect::<Vec<_>>().join(&b","[..])
            };
            let (first, second) = (claim(), claim());
            let appended = [&second[..], b", 198.51.100.1"].concat();
            let lines: [&[&[u8]]; 3] = [
                &[&first, b"198.51.100.1"],
                &[&first, &appended],
                &[&first, &appended, b"10.0.0.3,192.0.2.1"],
            ];
            for lines in lines {
                assert_eq!(found("10.0.0.1", lines).to_string(), "198.51.100.1", "{lines:?}");
            }
        }
    }
}
