//! Who speaks for which operator.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use libp2p::PeerId;
use quorate_proto::{Address, Domain, OperatorSet, PeerBinding};
use quorate_storage::{Batch, Durability, WriteQueue, schema};
use tokio::sync::mpsc;

use crate::clock;
use crate::network::peer_id_of;

/// Who speaks for which operator, as heard; kept in the store, so that an older binding is
/// recognised after a restart. Shared with the parts of the node that show it.
///
/// A binding lives as long as the key that made it: where the newest set has another one for the operator,
/// a holder of the old key could otherwise keep the operator out. Nothing here waits for the disk, since
/// the swarm reads this table.
#[derive(Clone)]
pub(crate) struct Bindings {
    known: Arc<RwLock<BindingTable>>,
    writes: WriteQueue,
    own: Option<Own>,
}

/// What this node itself speaks by, and who wants to know what binds its operator.
#[derive(Clone)]
struct Own {
    binding: PeerBinding,
    heard: mpsc::Sender<PeerBinding>,
}

#[derive(Default)]
struct BindingTable {
    bindings: HashMap<Address, HeldBinding>,
    /// By peer; two operators may share one.
    speakers: HashMap<PeerId, Vec<Address>>,
    /// Whose keys count.
    newest: Option<Arc<OperatorSet>>,
    /// What the log was told of peers that speak for several operators.
    told: Vec<String>,
}

#[derive(Clone, Copy)]
struct HeldBinding {
    binding: PeerBinding,
    /// Which key made it; `None` for one from the store, until a set is known.
    key: Option<Address>,
}

impl BindingTable {
    fn key_of(&self, operator: Address) -> Option<Address> {
        let member = self.newest.as_ref()?.get(operator)?;
        Some(member.signing_key)
    }

    /// The higher one counts: the key of the newest set comes before any sequence.
    fn rank(&self, held: &HeldBinding) -> (bool, u64) {
        let key = self.key_of(held.binding.operator);
        (key.is_some() && held.key == key, held.binding.sequence)
    }

    fn insert(&mut self, held: HeldBinding) {
        let operator = held.binding.operator;
        self.forget(operator);
        self.bindings.insert(operator, held);
        if let Some(peer) = peer_id_of(&held.binding.peer_key) {
            self.speakers.entry(peer).or_default().push(operator);
        }
    }

    fn forget(&mut self, operator: Address) {
        let old = self.bindings.remove(&operator);
        let Some(peer) = old.and_then(|old| peer_id_of(&old.binding.peer_key)) else {
            return;
        };
        if let Some(operators) = self.speakers.get_mut(&peer) {
            operators.retain(|other| *other != operator);
            if operators.is_empty() {
                self.speakers.remove(&peer);
            }
        }
    }

    /// Operators of the newest set for which a peer speaks, ascending. `own`: by what this node speaks, whether
    /// it has heard of that or not.
    fn members_of(&self, peer: &PeerId, own: Option<&PeerBinding>) -> Vec<Address> {
        let own = own.filter(|own| peer_id_of(&own.peer_key).as_ref() == Some(peer));
        let operators = self.speakers.get(peer).into_iter().flatten().copied();
        let operators = operators.chain(own.map(|own| own.operator));
        let mut members: Vec<Address> = operators.filter(|o| self.key_of(*o).is_some()).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// What is wrong where these are several.
    fn shared_by(&self, peer: &PeerId, own: Option<&PeerBinding>) -> Option<String> {
        let operators = self.members_of(peer, own);
        if operators.len() < 2 {
            return None;
        }
        let whose = match own.is_some_and(|own| operators.contains(&own.operator)) {
            true => "another node runs with this node's peer key",
            false => "several nodes run with one peer key",
        };
        let operators: Vec<String> = operators.iter().map(ToString::to_string).collect();
        Some(format!(
            "{whose}: peer {peer} speaks for the operators {}, and their messages get lost. Make a peer key for \
             each of them but one (`node keys new --kind peer --name NAME`), set peer_key, and restart",
            operators.join(" and ")
        ))
    }

    /// Those by a key that is not the one of the newest set.
    fn dead(&self) -> Vec<Address> {
        let is_dead = |(operator, held): (&Address, &HeldBinding)| {
            let key = self.key_of(*operator);
            (key.is_some() && held.key != key).then_some(*operator)
        };
        self.bindings.iter().filter_map(is_dead).collect()
    }
}

impl Bindings {
    pub(crate) fn new(writes: WriteQueue) -> Self {
        let known = Arc::default();
        Self {
            known,
            writes,
            own: None,
        }
    }

    /// Tells `heard` of every new binding of the operator for which this node speaks by `binding`.
    pub(crate) fn telling(self, binding: PeerBinding, heard: mpsc::Sender<PeerBinding>) -> Self {
        let own = Some(Own { binding, heard });
        Self { own, ..self }
    }

    fn known(&self) -> RwLockReadGuard<'_, BindingTable> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, BindingTable> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest binding of an operator.
    pub(crate) fn of(&self, operator: Address) -> Option<PeerBinding> {
        let known = self.known();
        known.bindings.get(&operator).map(|held| held.binding)
    }

    /// Whether this peer speaks for some operator.
    pub(crate) fn is_peer_bound(&self, peer: &PeerId) -> bool {
        self.known().speakers.contains_key(peer)
    }

    /// Whether this peer speaks for an operator of the newest set; for any, where none is known.
    pub(crate) fn serves(&self, peer: &PeerId) -> bool {
        let known = self.known();
        let is_member = |o: &Address| {
            known
                .newest
                .as_ref()
                .is_none_or(|set| set.get(*o).is_some())
        };
        let operators = known.speakers.get(peer);
        operators.is_some_and(|operators| operators.iter().any(is_member))
    }

    /// Whether this peer speaks for a member of the set.
    pub(crate) fn speaks_for(&self, peer: &PeerId, set: &OperatorSet) -> bool {
        let known = self.known();
        let operators = known.speakers.get(peer);
        operators.is_some_and(|operators| operators.iter().any(|o| set.get(*o).is_some()))
    }

    /// By which this peer speaks for another operator of the newest set than this one, too.
    pub(crate) fn other_of(&self, peer: &PeerId, operator: Address) -> Option<PeerBinding> {
        let known = self.known();
        let mut operators = known.members_of(peer, None).into_iter();
        let other = operators.find(|other| *other != operator)?;
        known.bindings.get(&other).map(|held| held.binding)
    }

    /// What is wrong with peers that speak for several operators of the newest set.
    pub(crate) fn shared(&self) -> Vec<String> {
        self.shared_in(&self.known())
    }

    fn shared_in(&self, known: &BindingTable) -> Vec<String> {
        let own = self.own.as_ref().map(|own| &own.binding);
        let peers = known.speakers.keys();
        let mut shared: Vec<String> = peers
            .filter_map(|peer| known.shared_by(peer, own))
            .collect();
        shared.sort_unstable();
        shared
    }

    /// Tells the log what is new of that.
    fn tell(&self, known: &mut BindingTable) {
        let shared = self.shared_in(known);
        let news = shared
            .iter()
            .filter(|problem| !known.told.contains(problem));
        news.for_each(|problem| tracing::error!("{problem}"));
        known.told = shared;
    }

    /// Whether this peer speaks for this operator.
    pub(super) fn is_peer_of(&self, peer: &PeerId, operator: Address) -> bool {
        let known = self.known();
        let operators = known.speakers.get(peer);
        operators.is_some_and(|operators| operators.contains(&operator))
    }

    /// Whether another binding counts, whatever key made this one.
    pub(crate) fn outranks(&self, binding: &PeerBinding) -> bool {
        let known = self.known();
        let Some(held) = known.bindings.get(&binding.operator) else {
            return false;
        };
        let by_newest = known
            .key_of(binding.operator)
            .is_none_or(|key| held.key == Some(key));
        held.binding != *binding && by_newest && held.binding.sequence >= binding.sequence
    }

    /// Takes a binding from the store, or removes it there, if no clock can have made it.
    pub(crate) fn recall(&self, binding: PeerBinding) {
        if clock::is_ahead(binding.sequence) {
            let (operator, sequence) = (binding.operator, binding.sequence);
            tracing::warn!(%operator, sequence, "binding of the future forgotten");
            return self.remove(&[operator]);
        }
        self.known_mut().insert(HeldBinding { binding, key: None });
    }

    /// Keeps a verified binding that `key` made; whether it is the one that counts now. Gossip and
    /// registries bring them at the same time, so this is decided under the lock.
    pub(crate) fn keep(&self, binding: PeerBinding, key: Address) -> bool {
        if clock::is_ahead(binding.sequence) {
            return false;
        }
        let own = self.own.as_ref();
        if let Some(own) = own.filter(|own| own.binding.operator == binding.operator) {
            // A full queue holds more than is needed to find out.
            let _ = own.heard.try_send(binding);
        }
        let key = Some(key);
        let new = HeldBinding { binding, key };
        let mut known = self.known_mut();
        if let Some(held) = known.bindings.get(&binding.operator) {
            if held.binding == binding {
                return true;
            }
            if known.rank(held) >= known.rank(&new) {
                return false;
            }
        }
        known.insert(new);
        self.tell(&mut known);
        let mut batch = Batch::new();
        let row = &binding.operator.into_array();
        batch.put(schema::BINDINGS, row, &(&binding).into());
        // Under the lock, so that the store gets them in this order. A write that fails ends the node
        // elsewhere.
        drop(self.writes.submit(batch, Durability::Buffered));
        true
    }

    /// A new set: what keys made that are not its members' any more is forgotten.
    pub(crate) fn settle(&self, newest: &Arc<OperatorSet>, domain: &Domain) {
        // Not under the lock: after a start these are 500 signatures, some 40 ms.
        let made: Vec<(PeerBinding, Address)> = {
            let known = self.known();
            let unsure = known.bindings.values().filter(|held| held.key.is_none());
            let key = |held: &HeldBinding| {
                Some((held.binding, newest.get(held.binding.operator)?.signing_key))
            };
            unsure.filter_map(key).collect()
        };
        let made = made
            .into_iter()
            .filter(|(binding, key)| binding.verify(*key, domain).is_ok());
        let made: Vec<(PeerBinding, Address)> = made.collect();
        let mut known = self.known_mut();
        for (binding, key) in made {
            let held = known.bindings.get_mut(&binding.operator);
            if let Some(held) = held.filter(|held| held.binding == binding) {
                held.key = Some(key);
            }
        }
        known.newest = Some(newest.clone());
        let dead = known.dead();
        for operator in &dead {
            tracing::info!(%operator, "operator has another key: its old binding is forgotten");
            known.forget(*operator);
        }
        self.tell(&mut known);
        self.remove(&dead);
    }

    fn remove(&self, operators: &[Address]) {
        let mut batch = Batch::new();
        for operator in operators {
            batch.delete(schema::BINDINGS, &operator.into_array());
        }
        if !batch.is_empty() {
            drop(self.writes.submit(batch, Durability::Buffered));
        }
    }
}

#[cfg(test)]
mod tests;
