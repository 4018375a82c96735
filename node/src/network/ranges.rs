//! Address ranges: who can rent one address can usually rent its neighbours.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The neighbourhood of an address: an IPv4 /24 or an IPv6 /48, which is what one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Range {
    /// The first three bytes.
    V4([u8; 3]),
    /// The first six bytes.
    V6([u8; 6]),
    /// Any peer that comes through a relay, from wherever.
    Relayed,
}

/// Which ranges are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    /// Those of the internet: loopback, private and link-local addresses are exempt.
    Global,
    /// All of them.
    All,
}

impl Range {
    /// The range of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Self::of_v4(address),
                None => {
                    let [a, b, c, d, e, f, ..] = address.octets();
                    Self::V6([a, b, c, d, e, f])
                }
            },
        }
    }

    const fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        Self::V4([a, b, c])
    }

    /// The range at the beginning of a multiaddr; `None` for names, and for what is exempt.
    pub(crate) fn limited(address: &Multiaddr, limited: Limited) -> Option<Self> {
        if is_relayed(address) {
            return Some(Self::Relayed);
        }
        let address = ip_of(address)?;
        match limited {
            Limited::Global if is_local(address) => None,
            Limited::Global | Limited::All => Some(Self::of(address)),
        }
    }
}

/// The address at the beginning of a multiaddr, as IPv4 where it is; `None` for names.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(address) => Some(IpAddr::V4(address)),
        Protocol::Ip6(address) => Some(IpAddr::V6(address).to_canonical()),
        _ => None,
    }
}

/// Whether a multiaddr is one of a relay, or ends there.
pub(super) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::V6(bytes) => {
                let mut octets = [0; 16];
                octets[..6].copy_from_slice(bytes);
                write!(f, "{}/48", Ipv6Addr::from(octets))
            }
            Self::Relayed => f.write_str("of all that come through relays"),
        }
    }
}

/// Loopback, private or link-local: a peer that calls from there is on this machine or network.
pub(super) fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => is_local(IpAddr::V4(address)),
            None => {
                address.is_loopback()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(text: &str, limited: Limited) -> Option<String> {
        let address: Multiaddr = text.parse().unwrap();
        Range::limited(&address, limited).map(|range| range.to_string())
    }

    #[test]
    fn neighbours_share_a_range() {
        for (address, range) in [
            ("/ip4/203.0.113.7/tcp/1", "203.0.113.0/24"),
            ("/ip4/203.0.113.255/udp/1/quic-v1", "203.0.113.0/24"),
            ("/ip4/203.0.114.7/tcp/1", "203.0.114.0/24"),
            ("/ip6/2001:db8:7:1::1/tcp/1", "2001:db8:7::/48"),
            ("/ip6/2001:db8:7:ffff::1/tcp/1", "2001:db8:7::/48"),
            ("/ip6/2001:db8:8::1/tcp/1", "2001:db8:8::/48"),
            // A peer that is seen through an IPv6 socket is the same customer.
            ("/ip6/::ffff:203.0.113.9/tcp/1", "203.0.113.0/24"),
        ] {
            assert_eq!(limited(address, Limited::Global).as_deref(), Some(range));
        }
    }

    #[test]
    fn local_ranges_are_exempt_unless_told_otherwise() {
        for address in [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/10.1.2.3/tcp/1",
            "/ip4/172.16.0.1/tcp/1",
            "/ip4/192.168.1.1/tcp/1",
            "/ip4/169.254.1.1/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
            "/ip6/::ffff:127.0.0.1/tcp/1",
        ] {
            assert_eq!(limited(address, Limited::Global), None, "{address}");
            assert!(limited(address, Limited::All).is_some(), "{address}");
        }
        assert_eq!(limited("/dns4/example.org/tcp/1", Limited::All), None);
    }
}
