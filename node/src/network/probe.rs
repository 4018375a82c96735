//! AutoNAT and hole punching, with what peers may not do to this node left out.

use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, autonat, dcutr};

use super::ranges::{ip_of, is_local};

/// Peers dial back on request: at most this many in a minute, each at one address of four ports.
const DIALS_PER_MINUTE: usize = 30;
/// Of these for one peer.
const DIALS_PER_PEER: usize = 3;

/// AutoNAT, version 1.
///
/// # Design Decisions
///
/// - Version 1 dials back only to the address that a peer is seen at. Version 2 dials what a peer
///   names, so that unknown peers could look through this node at the network behind it; and it tries each
///   address once only, while reachability changes.
/// - What others claim to have reached is shown, never announced: it is their word alone. Addresses
///   to be announced are set (`external`).
/// - Addresses at which others claim to see this node are not collected: only ports matter here, and
///   the collection has no bound.
pub(crate) type Probe = Filtered<autonat::Behaviour>;

/// Direct connections instead of relayed ones. Peers are told addresses of the internet only, where others
/// see this node: the rest of a network does not concern them.
pub(crate) type Punch = Filtered<dcutr::Behaviour>;

/// A behaviour that neither hears nor says everything.
pub(crate) struct Filtered<B: NetworkBehaviour> {
    inner: B,
    hears: fn(&FromSwarm<'_>) -> bool,
    says: fn(&ToSwarm<B::ToSwarm, THandlerInEvent<B>>) -> bool,
}

impl Probe {
    /// `external`: addresses that are announced, whose ports others try beside those listened on.
    pub(super) fn new(local: PeerId, external: &[Multiaddr]) -> Self {
        let config = autonat::Config {
            boot_delay: Duration::from_secs(2),
            retry_interval: Duration::from_secs(30),
            refresh_interval: Duration::from_secs(5 * 60),
            throttle_server_period: Duration::from_secs(60),
            timeout: Duration::from_secs(15),
            max_peer_addresses: 4,
            throttle_clients_period: Duration::from_secs(60),
            throttle_clients_global_max: DIALS_PER_MINUTE,
            throttle_clients_peer_max: DIALS_PER_PEER,
            // Dials go to where the peer is seen, so they reach no other machine in a private network.
            only_global_ips: false,
            ..autonat::Config::default()
        };
        let mut autonat = autonat::Behaviour::new(local, config);
        for address in external {
            autonat.probe_address(address.clone());
        }
        Self {
            inner: autonat,
            hears: |event| !matches!(event, FromSwarm::NewExternalAddrCandidate(_)),
            says: |event| !matches!(event, ToSwarm::ExternalAddrConfirmed(_)),
        }
    }
}

impl Punch {
    pub(super) fn new(local: PeerId) -> Self {
        Self {
            inner: dcutr::Behaviour::new(local),
            hears: |event| match event {
                FromSwarm::NewExternalAddrCandidate(new) => !ip_of(new.addr).is_some_and(is_local),
                _ => true,
            },
            says: |_| true,
        }
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Filtered<B> {
    type ConnectionHandler = THandler<B>;
    type ToSwarm = B::ToSwarm;

    fn handle_pending_inbound_connection(
        &mut self,
        id: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.inner
            .handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner
            .handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner
            .handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if (self.hears)(&event) {
            self.inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            match self.inner.poll(cx) {
                Poll::Ready(event) if !(self.says)(&event) => {}
                other => return other,
            }
        }
    }
}
