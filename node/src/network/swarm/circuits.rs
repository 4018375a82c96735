//! Places at relays, places here, and what the router forwards.

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, dcutr, relay, upnp};
use quorate_proto::Timestamp;

use super::super::dialer::place_of;
use super::super::handle::dialable;
use super::super::ranges::is_relayed;
use super::super::relays::MAX_STRANGERS;
use super::Network;

impl Network {
    /// Asks for places that are needed, gives up those that are not.
    pub(super) fn look_at_relays(&mut self, now: Timestamp) {
        for listener in self.relays.needless(now, &self.reachability) {
            self.swarm.remove_listener(listener);
        }
        let offers = self.connections.iter().filter(|(_, known)| known.relays);
        let offers = offers.filter_map(|(peer, _)| Some((*peer, self.circuit_by(peer)?)));
        let offers: Vec<(PeerId, Multiaddr)> = offers.collect();
        let peers = offers.iter().map(|(peer, _)| *peer).collect();
        let due = self.relays.due(now, &self.reachability, peers);
        for (relay, address) in offers.into_iter().filter(|(peer, _)| due.contains(peer)) {
            let asked = self.swarm.listen_on(address);
            if let Err(error) = &asked {
                tracing::warn!(%relay, %error, "no place at this relay");
            }
            self.relays.asked(now, relay, asked.ok());
        }
    }

    /// Where a relay from the settings takes connections for this node.
    fn circuit_by(&self, relay: &PeerId) -> Option<Multiaddr> {
        let address = self.dialer.configured_at(relay)?;
        let direct = Some(address).filter(|address| !is_relayed(address))?;
        let there = direct.with(Protocol::P2p(*relay));
        Some(there.with(Protocol::P2pCircuit))
    }

    /// A peer has a place here. Operators and configured peers may; of others only some: who sits here costs
    /// little, but each place is one less for others.
    fn keeps_place(&mut self, peer: PeerId) {
        if let Some(known) = self.connections.get_mut(&peer) {
            known.kept = true;
        }
        let is_stranger =
            |peer: &PeerId| !self.dialer.is_configured(peer) && !self.bindings.is_peer_bound(peer);
        let kept = self.connections.iter().filter(|(_, known)| known.kept);
        let strangers = kept.filter(|(peer, _)| is_stranger(peer)).count();
        if is_stranger(&peer) && strangers > MAX_STRANGERS {
            metrics::counter!("quorate_relay_places_refused_total").increment(1);
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    pub(super) fn on_relay(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => {
                self.keeps_place(*src_peer_id);
            }
            relay::Event::ReservationTimedOut { src_peer_id } => {
                if let Some(known) = self.connections.get_mut(src_peer_id) {
                    known.kept = false;
                }
            }
            relay::Event::CircuitReqAccepted { .. } => {
                metrics::counter!("quorate_relay_circuits_total", "outcome" => "carried")
                    .increment(1);
            }
            relay::Event::CircuitReqDenied { .. } => {
                metrics::counter!("quorate_relay_circuits_total", "outcome" => "refused")
                    .increment(1);
            }
            _ => {}
        }
    }

    pub(super) fn on_upnp(&mut self, event: upnp::Event) {
        let cause = match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                self.upnp_problem = None;
                return self.listens(external_addr);
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                self.listens_no_more(&external_addr);
                "the router forwards a port no more"
            }
            upnp::Event::GatewayNotFound => "no router answers",
            upnp::Event::NonRoutableGateway => "the router has no address of the internet itself",
        };
        let problem = format!(
            "no port is forwarded: {cause}; switch UPnP on there, or forward the ports of listen by hand (external) and set upnp = false"
        );
        tracing::warn!("{problem}");
        self.upnp_problem = Some(problem);
    }

    pub(super) fn on_punch(event: &dcutr::Event) {
        let outcome = if event.result.is_ok() {
            "made"
        } else {
            "failed"
        };
        metrics::counter!("quorate_hole_punches_total", "outcome" => outcome).increment(1);
        tracing::debug!(peer = %event.remote_peer_id, result = ?event.result, "direct connection");
    }

    /// Names where this registry listens to those for whom it relays.
    pub(super) fn announce(&mut self) {
        if !self.announces {
            return;
        }
        let mut listens = self.listen.borrow().clone();
        listens.retain(|address| !is_relayed(address));
        let wanted = dialable(&listens, *self.swarm.local_peer_id());
        let wanted: Vec<Multiaddr> = wanted.iter().map(place_of).collect();
        let known = self.swarm.external_addresses().cloned();
        let gone = known.filter(|address| !is_relayed(address) && !wanted.contains(address));
        for address in gone.collect::<Vec<_>>() {
            self.swarm.remove_external_address(&address);
        }
        for address in wanted {
            self.swarm.add_external_address(address);
        }
    }
}
