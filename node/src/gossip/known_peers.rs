//! For whom a part of what is limited is kept.
//!
//! Peer ids cost nothing. Whatever is shared by all peers alike, an attacker with enough of them can take
//! altogether, and with it the mesh's way to catch up.

use std::sync::Arc;

use libp2p::PeerId;

use crate::gossip::Bindings;
use crate::home::HomeHandle;

/// Knows the peers that no attacker can make up: those that speak for an operator of a live set, and those
/// from the settings.
#[derive(Clone)]
pub(crate) struct KnownPeers {
    bindings: Bindings,
    home: HomeHandle,
    configured: Arc<[PeerId]>,
}

impl KnownPeers {
    pub(crate) fn new(bindings: Bindings, home: HomeHandle, configured: Vec<PeerId>) -> Self {
        Self {
            bindings,
            home,
            configured: configured.into(),
        }
    }

    /// Where no set is known, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(bindings: Bindings, configured: Vec<PeerId>) -> Self {
        let (_, view) = tokio::sync::watch::channel(crate::home::EpochView::default());
        Self::new(bindings, HomeHandle::of(view), configured)
    }

    /// Whether this peer is one of them. Where no set is known, any peer that spoke for an operator before.
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        if self.configured.contains(peer) {
            return true;
        }
        let view = self.home.view();
        match view.sets() {
            [] => self.bindings.is_peer_bound(peer),
            sets => sets.iter().any(|set| self.bindings.speaks_for(peer, set)),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::{
        Address, Epoch, Operator, OperatorSet, PeerBinding, PeerSecret, SecretKey, U256,
    };
    use quorate_storage::{EngineKind, WriteQueue};
    use tokio::sync::watch;

    use super::*;
    use crate::fixtures;
    use crate::home::EpochView;
    use crate::network::peer_id_of;

    fn bind(bindings: &Bindings, number: u8) -> PeerId {
        let peer_key = PeerSecret::from_bytes(&[number; 32]).public();
        let signing = SecretKey::from_bytes(&[number; 32]).unwrap();
        let binding = PeerBinding {
            operator: Address::repeat_byte(number),
            peer_key,
            sequence: 1,
            signature: signing.sign(quorate_proto::B256::ZERO).unwrap(),
        };
        assert!(bindings.keep(binding, signing.address()));
        peer_id_of(&peer_key).unwrap()
    }

    fn set_of_the_first() -> Arc<OperatorSet> {
        let member = Operator {
            address: Address::repeat_byte(1),
            signing_key: Address::repeat_byte(1),
            weight: U256::from(1),
        };
        let total = U256::from(1);
        let set = OperatorSet::new(Epoch(1), vec![member], total, 0);
        Arc::new(set.unwrap())
    }

    #[test]
    fn they_speak_for_an_operator_or_are_configured() {
        let (store, _folder) = fixtures::store(EngineKind::Sled);
        let (writes, _writer) = WriteQueue::new(store).unwrap();
        let bindings = Bindings::new(writes);
        let (operator, former) = (bind(&bindings, 1), bind(&bindings, 2));
        let (configured, stranger) = (PeerId::random(), PeerId::random());
        let (say, view) = watch::channel(EpochView::default());
        let regulars = KnownPeers::new(bindings, HomeHandle::of(view), vec![configured]);
        let found = || [operator, former, configured, stranger].map(|p| regulars.contains(&p));
        assert_eq!(found(), [true, true, true, false], "no set is known");
        say.send_replace(EpochView::of(vec![set_of_the_first()]));
        assert_eq!(found(), [true, false, true, false]);
    }
}
