//! What the swarm says, and what is done about it.

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, gossipsub, identify, kad, ping, relay};
use quorate_proto::limits;

use super::super::Range;
use super::super::behaviour::BehaviourEvent;
use super::super::handle::{Acceptance, GossipMessage};
use super::super::peer_store::Haste;
use super::super::ranges::is_relayed;
use super::{LOOKUP_MS, Network};
use crate::clock;
use quorate_client::swarm::AGENT;

/// Characters of a version that are kept: three numbers and a word.
const MAX_VERSION: usize = 32;

impl Network {
    pub(super) fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                self.listening.began(listener_id);
                self.relays.began(listener_id);
                self.listens(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.listens_no_more(&address),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.connected(peer_id, connection_id, &endpoint),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => self.disconnected(peer_id, connection_id, &endpoint, num_established),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "dial failed");
                if self.dialer.failed(clock::now(), peer) {
                    self.look_up(peer);
                }
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                addresses,
                reason,
            } => {
                self.relays.ended(clock::now(), listener_id);
                let error = reason
                    .err()
                    .unwrap_or_else(|| std::io::ErrorKind::NotConnected.into());
                self.listening.ended(listener_id, &error);
                addresses
                    .iter()
                    .for_each(|address| self.listens_no_more(address));
            }
            _ => {}
        }
    }

    /// Others may know where a peer is that was not reached, such as a place at a relay that it has got since.
    /// Kademlia dials whom it looks for, at once where it has an address, so what it has is forgotten.
    fn look_up(&mut self, peer: PeerId) {
        let now = clock::now();
        if self.next_lookup <= now {
            self.next_lookup = now.plus_millis(LOOKUP_MS);
            let kad = &mut self.swarm.behaviour_mut().kad;
            kad.remove_peer(&peer);
            kad.get_closest_peers(peer);
        }
    }

    /// An address with the id of this node.
    fn named(&self, address: Multiaddr) -> Multiaddr {
        let peer = *self.swarm.local_peer_id();
        address.with_p2p(peer).unwrap_or_else(|address| address)
    }

    pub(super) fn listens(&mut self, address: Multiaddr) {
        let address = self.named(address);
        // Relays tell it again with each renewal.
        if self.listen.borrow().contains(&address) {
            return;
        }
        tracing::info!(%address, "listening");
        self.listen.send_modify(|addresses| addresses.push(address));
        self.announce();
    }

    pub(super) fn listens_no_more(&mut self, address: &Multiaddr) {
        let address = self.named(address.clone());
        tracing::warn!(%address, "listens there no more");
        let kept = |addresses: &mut Vec<Multiaddr>| addresses.retain(|other| *other != address);
        self.listen.send_modify(kept);
        self.announce();
    }

    fn connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let address = endpoint.get_remote_address();
        let known = self.connections.entry(peer).or_default();
        known.runs.connected(connection);
        known.addresses.push(address.clone());
        known.dialled |= endpoint.is_dialer();
        let from = match endpoint {
            ConnectedPoint::Listener { local_addr, .. } if endpoint.is_relayed() => local_addr,
            _ => address,
        };
        self.callers.note(peer, Range::limited(from, self.limited));
        self.dialer.connected(peer, address);
        metrics::gauge!("quorate_peers").set(to_f64(self.connections.len()));
    }

    fn disconnected(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        endpoint: &ConnectedPoint,
        left: u32,
    ) {
        let address = endpoint.get_remote_address();
        let Some(known) = self.connections.get_mut(&peer) else {
            return;
        };
        if let Some(index) = known.addresses.iter().position(|a| a == address) {
            known.addresses.swap_remove(index);
        }
        if known.runs.disconnected(connection) {
            tracing::debug!(%peer, "peer was started again; both sides begin anew");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        if left == 0 {
            self.connections.remove(&peer);
            self.callers.note(peer, None);
            self.dialer.disconnected(clock::now(), peer);
        }
        metrics::gauge!("quorate_peers").set(to_f64(self.connections.len()));
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossipsub(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            }) => self.gossip(propagation_source, message_id, message),
            BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                connection_id,
                info,
            }) => self.identified(peer_id, connection_id, info),
            BehaviourEvent::Kad(kad::Event::RoutingUpdated {
                peer, addresses, ..
            }) => {
                let addresses: Vec<Multiaddr> = addresses.into_vec();
                self.dialer.learn(clock::now(), peer, &addresses);
            }
            // Nothing else tells of a peer that was cut off or has another address now: over TCP its
            // connection stands for many minutes.
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            }) => {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Probe(event) => self.reachability.note(clock::now(), &event),
            BehaviourEvent::Relay(event) => self.on_relay(&event),
            BehaviourEvent::Upnp(event) => self.on_upnp(event),
            BehaviourEvent::Punch(event) => Self::on_punch(&event),
            _ => {}
        }
    }

    fn gossip(&mut self, source: PeerId, id: gossipsub::MessageId, message: gossipsub::Message) {
        let Some(kind) = self.topics.get(&message.topic).copied() else {
            return self.validated(source, &id, Acceptance::Ignore);
        };
        let data = message.data;
        metrics::counter!("quorate_gossip_messages_total", "kind" => kind.name()).increment(1);
        if data.len() > limits::MAX_GOSSIP_BYTES {
            // Nothing is cheaper to see, and nothing takes more room in the inbox.
            metrics::counter!("quorate_gossip_rejected_total", "kind" => kind.name(), "reason" => "envelope")
                .increment(1);
            return self.validated(source, &id, Acceptance::Reject("envelope"));
        }
        let message = GossipMessage {
            source,
            id: id.clone(),
            kind,
            data,
            place: None,
        };
        if !self.inbox.put(message) {
            metrics::counter!("quorate_gossip_dropped_total").increment(1);
            self.validated(source, &id, Acceptance::Ignore);
        }
    }

    /// A node of this network: here it can be reached. Users are not dialled.
    fn identified(&mut self, peer: PeerId, connection: ConnectionId, mut info: identify::Info) {
        if let Some(known) = self.connections.get_mut(&peer) {
            known.version = version_of(&info.agent_version);
            known.runs.identified(connection, info.agent_version);
            known.relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        }
        if !info.protocols.contains(&self.kad_protocol) || info.listen_addrs.is_empty() {
            return;
        }
        // Few are kept. Who has some at relays is not reached elsewhere.
        info.listen_addrs
            .sort_by_key(|address| !is_relayed(address));
        self.learn(peer, &info.listen_addrs, Haste::Calm);
        if let Some(known) = self.connections.get_mut(&peer) {
            known.listens = info.listen_addrs;
            known.listens.truncate(limits::MAX_ADDRESSES);
            for address in known.addresses.clone() {
                self.dialer.connected(peer, &address);
            }
        }
    }

    pub(super) fn learn(&mut self, peer: PeerId, listens: &[Multiaddr], haste: Haste) {
        let stranger = !self.swarm.behaviour().gate.allows(&peer);
        if stranger || peer == *self.swarm.local_peer_id() || listens.is_empty() {
            return;
        }
        for address in listens {
            let kad = &mut self.swarm.behaviour_mut().kad;
            kad.add_address(&peer, address.clone());
        }
        self.dialer.learn(clock::now(), peer, listens);
        self.remember(peer, listens, haste);
    }
}

/// The version in what a peer calls itself by identify, before the number of its run. It is shown to
/// people, so that it has to look like one.
fn version_of(agent: &str) -> Option<String> {
    let version = agent.strip_prefix(AGENT)?;
    let version = version.split('/').next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let good = !version.is_empty() && version.len() <= MAX_VERSION && version.chars().all(plain);
    good.then(|| version.to_owned())
}

fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_of_this_program_and_fit_to_be_shown() {
        assert_eq!(version_of("quorate/0.1.0").as_deref(), Some("0.1.0"));
        assert_eq!(version_of("quorate/0.1.0/00ff").as_deref(), Some("0.1.0"));
        assert_eq!(
            version_of("quorate/1.2.3-rc.1+7").as_deref(),
            Some("1.2.3-rc.1+7")
        );
        for agent in [
            "",
            "quorate/",
            "rust-libp2p/0.1.0",
            "quorate/\u{1b}[31m",
            "quorate/1 2",
        ] {
            assert_eq!(version_of(agent), None, "{agent:?}");
        }
        assert_eq!(version_of(&format!("{AGENT}{}", "1".repeat(33))), None);
    }
}
