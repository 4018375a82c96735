//! Where the node listens, and why it does not. It does its work without: others reach it by the connections
//! that it makes. So an address that is taken or absent is told, and tried again.

use std::io;
use std::net::SocketAddr;

use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Swarm};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

use super::NetworkError;
use super::behaviour::Behaviour;

/// Between two tries.
pub(super) const RETRY_MS: u64 = 5_000;

/// The addresses of the settings.
#[derive(Default)]
pub(super) struct Listening(Vec<ListenTarget>);

struct ListenTarget {
    address: Multiaddr,
    listener: Option<ListenerId>,
    problem: Option<String>,
}

impl Listening {
    pub(super) fn new(addresses: Vec<Multiaddr>) -> Self {
        let wanted = |address| ListenTarget {
            address,
            listener: None,
            problem: None,
        };
        Self(addresses.into_iter().map(wanted).collect())
    }

    /// Begins to listen where the node does not yet.
    ///
    /// # Errors
    /// An address of a kind that it does not know.
    pub(super) fn listen(&mut self, swarm: &mut Swarm<Behaviour>) -> Result<(), NetworkError> {
        for wanted in self.0.iter_mut().filter(|wanted| wanted.listener.is_none()) {
            let address = wanted.address.clone();
            let begun = match probe(&address) {
                Ok(()) => swarm.listen_on(address.clone()),
                Err(error) => Err(TransportError::Other(error)),
            };
            match begun {
                Ok(listener) => wanted.listener = Some(listener),
                Err(TransportError::Other(error)) => wanted.fail(&error),
                Err(error @ TransportError::MultiaddrNotSupported(_)) => {
                    let reason = error.to_string();
                    return Err(NetworkError::Listen { address, reason });
                }
            }
        }
        Ok(())
    }

    /// A listener does.
    pub(super) fn began(&mut self, listener: ListenerId) {
        if let Some(wanted) = self.of(listener) {
            wanted.problem = None;
        }
    }

    /// A listener has ended.
    pub(super) fn ended(&mut self, listener: ListenerId, error: &io::Error) {
        if let Some(wanted) = self.of(listener) {
            wanted.listener = None;
            wanted.fail(error);
        }
    }

    fn of(&mut self, listener: ListenerId) -> Option<&mut ListenTarget> {
        let mut all = self.0.iter_mut();
        all.find(|wanted| wanted.listener == Some(listener))
    }

    /// Whether there is something to try again.
    pub(super) fn lacks_some(&self) -> bool {
        self.0.iter().any(|wanted| wanted.listener.is_none())
    }

    /// Why it does not listen, for each address where it does not.
    pub(super) fn problems(&self) -> Vec<String> {
        let problems = self.0.iter().filter_map(|wanted| wanted.problem.clone());
        problems.collect()
    }
}

impl ListenTarget {
    fn fail(&mut self, error: &io::Error) {
        let problem = describe(&self.address, error);
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!("{problem}");
            self.problem = Some(problem);
        }
    }
}

/// Why nothing could listen there now, and what to do.
#[must_use]
pub fn listen_problem(address: &Multiaddr) -> Option<String> {
    probe(address).err().map(|error| describe(address, &error))
}

fn describe(address: &Multiaddr, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has that port: stop it, or choose another port (listen)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: correct listen, or write 0.0.0.0 or :: for all that it has"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not: choose a port from 1024 on (listen), or allow it (CAP_NET_BIND_SERVICE)"
        }
        _ => "choose another address (listen)",
    };
    format!("cannot listen on {address}: {error}; {cure}")
}

/// Binds the address once, all by itself: the transport shares a TCP port with any process that shares it, too, so
/// that two nodes would each get a part of the connections.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let Some((at, kind)) = place(address) else {
        return Ok(());
    };
    let family = match at {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let probe = socket(family, kind, None)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&probe, true)?;
    }
    if kind == SocketType::DGRAM {
        return Ok(bind(&probe, &at)?);
    }
    // Connections of a process that is gone do no harm.
    sockopt::set_socket_reuseaddr(&probe, true)?;
    bind(&probe, &at)?;
    Ok(listen(&probe, 1)?)
}

/// Where exactly, if it says so.
fn place(address: &Multiaddr) -> Option<(SocketAddr, SocketType)> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let (port, kind) = match parts.next()? {
        Protocol::Tcp(port) => (port, SocketType::STREAM),
        Protocol::Udp(port) => (port, SocketType::DGRAM),
        _ => return None,
    };
    (port > 0).then(|| (SocketAddr::new(ip, port), kind))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    fn told(address: &str) -> Option<String> {
        listen_problem(&address.parse().unwrap())
    }

    #[test]
    fn an_address_that_is_taken_or_absent_is_told_with_its_cure() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp_port = tcp.local_addr().unwrap().port();
        let udp_port = udp.local_addr().unwrap().port();
        let cases = [
            (format!("/ip4/127.0.0.1/tcp/{tcp_port}"), "another process"),
            (format!("/ip4/0.0.0.0/tcp/{tcp_port}"), "another process"),
            (
                format!("/ip4/127.0.0.1/udp/{udp_port}/quic-v1"),
                "another process",
            ),
            ("/ip4/203.0.113.7/tcp/9000".to_owned(), "no such address"),
            (
                "/ip4/203.0.113.7/udp/9000/quic-v1".to_owned(),
                "no such address",
            ),
        ];
        for (address, cure) in &cases {
            let told = told(address).expect("a problem");
            assert!(told.contains(address) && told.contains(cure), "{told}");
            assert!(told.contains("(os error "), "the system's cause: {told}");
        }
        drop((tcp, udp));
        for (address, _) in &cases[..3] {
            assert_eq!(told(address), None);
        }
        assert_eq!(told("/ip4/127.0.0.1/tcp/0"), None);
        assert_eq!(told("/dns4/localhost/tcp/9000"), None);
    }

    #[test]
    fn both_families_may_have_one_port() {
        let v4 = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = v4.local_addr().unwrap().port();
        let text = told(&format!("/ip6/::/tcp/{port}"));
        // A machine without IPv6 says that.
        assert!(text.is_none_or(|text| !text.contains("another process")));
    }
}
