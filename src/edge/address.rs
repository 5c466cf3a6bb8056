//! Addresses as limits count them.

use madang_store::accounts::AddressKey;
use std::net::IpAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
