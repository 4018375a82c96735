//! Who speaks for which operator.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use libp2p::PeerId;
use quorate_proto::{Address, OperatorSet, PeerBinding};
use quorate_storage::{Batch, Durability, Store, schema};
use tokio::sync::mpsc;

use crate::network::peer_id_of;

/// Who speaks for which operator, as heard; kept in the store, so that an older binding is
/// recognised after a restart. Shared with whoever shows it.
#[derive(Clone)]
pub(crate) struct Bindings {
    known: Arc<RwLock<Known>>,
    store: Store,
    /// This node's own operator, and who wants to know what binds it.
    own: Option<(Address, mpsc::Sender<PeerBinding>)>,
}

#[derive(Default)]
struct Known {
    bindings: HashMap<Address, PeerBinding>,
    /// By peer; two operators may share one.
    speakers: HashMap<PeerId, Vec<Address>>,
}

impl Known {
    fn insert(&mut self, binding: PeerBinding) {
        if let Some(old) = self.bindings.insert(binding.operator, binding) {
            self.forget_speaker(&old);
        }
        if let Some(peer) = peer_id_of(&binding.peer_key) {
            let operators = self.speakers.entry(peer).or_default();
            operators.push(binding.operator);
        }
    }

    fn forget_speaker(&mut self, old: &PeerBinding) {
        let Some(peer) = peer_id_of(&old.peer_key) else {
            return;
        };
        if let Some(operators) = self.speakers.get_mut(&peer) {
            operators.retain(|operator| *operator != old.operator);
            if operators.is_empty() {
                self.speakers.remove(&peer);
            }
        }
    }
}

impl Bindings {
    pub(crate) fn new(store: Store) -> Self {
        let known = Arc::default();
        Self {
            known,
            store,
            own: None,
        }
    }

    /// Tells `heard` of every new binding of `operator`.
    pub(crate) fn telling(self, operator: Address, heard: mpsc::Sender<PeerBinding>) -> Self {
        Self {
            own: Some((operator, heard)),
            ..self
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest binding of an operator.
    pub(crate) fn of(&self, operator: Address) -> Option<PeerBinding> {
        self.known().bindings.get(&operator).copied()
    }

    /// Whether this peer speaks for some operator.
    pub(crate) fn is_peer_bound(&self, peer: &PeerId) -> bool {
        self.known().speakers.contains_key(peer)
    }

    /// Whether this peer speaks for a member of the set.
    pub(crate) fn speaks_for(&self, peer: &PeerId, set: &OperatorSet) -> bool {
        let known = self.known();
        let operators = known.speakers.get(peer);
        operators.is_some_and(|operators| operators.iter().any(|o| set.get(*o).is_some()))
    }

    /// Whether this peer speaks for this operator.
    pub(super) fn is_peer_of(&self, peer: &PeerId, operator: Address) -> bool {
        let known = self.known();
        let operators = known.speakers.get(peer);
        operators.is_some_and(|operators| operators.contains(&operator))
    }

    /// Takes a binding from the store.
    pub(crate) fn recall(&self, binding: PeerBinding) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(binding);
    }

    /// Keeps a verified binding, unless a newer one is known. Gossip and registries bring them at the
    /// same time, so this is decided under the lock.
    pub(crate) fn keep(&self, binding: PeerBinding) {
        if let Some((_, heard)) = self.own.as_ref().filter(|own| own.0 == binding.operator) {
            // A full queue holds more than is needed to find out.
            let _ = heard.try_send(binding);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.bindings.get(&binding.operator);
        if newest.is_some_and(|newest| newest.sequence >= binding.sequence) {
            return;
        }
        let mut batch = Batch::new();
        batch.put(
            schema::BINDINGS,
            &binding.operator.into_array(),
            &(&binding).into(),
        );
        if let Err(error) = self.store.write(&batch, Durability::Buffered) {
            tracing::warn!(%error, "binding not kept");
        }
        known.insert(binding);
    }
}
