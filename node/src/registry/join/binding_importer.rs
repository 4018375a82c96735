//! What is believed of a registry: bindings that the operator's own key has signed, and where such
//! peers can be reached.

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use quorate_proto::{Address, Domain, PeerBinding, wire};

use crate::gossip::Bindings;
use crate::home::HomeHandle;
use crate::network::{NetworkHandle, peer_id_of};

/// Takes over what a registry says.
#[derive(Clone)]
pub(crate) struct BindingImporter {
    domain: Domain,
    home: HomeHandle,
    bindings: Bindings,
    network: NetworkHandle,
}

impl BindingImporter {
    pub(crate) const fn new(
        domain: Domain,
        home: HomeHandle,
        bindings: Bindings,
        network: NetworkHandle,
    ) -> Self {
        Self {
            domain,
            home,
            bindings,
            network,
        }
    }

    pub(crate) const fn home(&self) -> &HomeHandle {
        &self.home
    }

    /// The binding, where the home chain's key of a live epoch made it and no other one counts. Its peer is
    /// dialled.
    pub(crate) async fn adopt(&self, state: &wire::OperatorState) -> Option<PeerBinding> {
        let binding = PeerBinding::try_from(state.binding.as_ref()?).ok()?;
        self.keep(binding)?;
        let peer = peer_id_of(&binding.peer_key)?;
        let addresses = state.addresses.iter().filter_map(|text| text.parse().ok());
        self.network.learn(peer, addresses.collect()).await;
        Some(binding)
    }

    /// Takes a binding over, where the home chain's key of a live epoch made it and no other one counts.
    fn keep(&self, binding: PeerBinding) -> Option<()> {
        if self.bindings.outranks(&binding) {
            return None;
        }
        if self.bindings.of(binding.operator) != Some(binding) {
            let key = self.maker_of(&binding)?;
            self.bindings.keep(binding, key).then_some(())?;
        }
        Some(())
    }

    /// What a peer knows of another operator that speaks by this node's own peer key. No message of that one
    /// comes here by gossip: peers take it for this node's own.
    pub(crate) fn hear_of_twin(&self, binding: PeerBinding) {
        if peer_id_of(&binding.peer_key) == Some(self.network.peer_id()) {
            let _ = self.keep(binding);
        }
    }

    /// The key of a live epoch that made the binding.
    fn maker_of(&self, binding: &PeerBinding) -> Option<Address> {
        let mut keys = self.home.view().keys_of(binding.operator).into_iter();
        keys.find(|key| binding.verify(*key, &self.domain).is_ok())
    }

    /// A peer by its whole address.
    pub(crate) async fn learn(&self, address: &Multiaddr) {
        if let Some((peer, place)) = split_peer(address) {
            self.network.learn(peer, vec![place]).await;
        }
    }
}

/// The peer id at the end of an address, and the address without it.
pub(super) fn split_peer(address: &Multiaddr) -> Option<(PeerId, Multiaddr)> {
    let mut place = address.clone();
    match place.pop() {
        Some(Protocol::P2p(peer)) => Some((peer, place)),
        _ => None,
    }
}
