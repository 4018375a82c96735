//! What is checked of a gossip message, in the order of its cost: size, form, author, epoch,
//! replay, signatures.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use libp2p::PeerId;
use quorate_proto::{
    Address, Certificate, CertificateError, Domain, Envelope, Epoch, OperatorSet, PeerBinding,
    Response, ResponseError, Statement, U256,
};
use quorate_storage::{Batch, Durability, Store, schema};

use super::known::KnownSignatures;
use super::window::{Seen, Window};
use super::{Verdict, Verified};
use crate::home::EpochView;
use crate::network::{GossipMessage, peer_id_of};

/// Who speaks for which operator, as heard; kept in the store, so that an older binding is
/// recognised after a restart. Shared with whoever shows it.
#[derive(Clone)]
pub(crate) struct Bindings {
    known: Arc<RwLock<HashMap<Address, PeerBinding>>>,
    store: Store,
}

impl Bindings {
    pub(crate) fn new(store: Store) -> Self {
        let known = Arc::default();
        Self { known, store }
    }

    /// The newest binding of an operator.
    pub(crate) fn of(&self, operator: Address) -> Option<PeerBinding> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&operator).copied()
    }

    /// Whether a peer speaks for some operator.
    fn is_bound(&self, peer_key: &[u8; 32]) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|binding| binding.peer_key == *peer_key)
    }

    /// Whether this peer speaks for some operator.
    fn is_peer_bound(&self, peer: &PeerId) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .values()
            .any(|binding| peer_id_of(&binding.peer_key).as_ref() == Some(peer))
    }

    /// Whether this peer speaks for a member of the set.
    pub(crate) fn speaks_for(&self, peer: &PeerId, set: &OperatorSet) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().any(|binding| {
            set.get(binding.operator).is_some()
                && peer_id_of(&binding.peer_key).as_ref() == Some(peer)
        })
    }

    /// Takes a binding from the store.
    pub(crate) fn recall(&self, binding: PeerBinding) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(binding.operator, binding);
    }

    /// Keeps a verified binding, unless a newer one is known. Gossip and registries bring them at the
    /// same time, so this is decided under the lock.
    pub(crate) fn keep(&self, binding: PeerBinding) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let newest = known.get(&binding.operator);
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
        known.insert(binding.operator, binding);
    }
}

/// Validates messages one after the other. Owns what must be remembered between them.
pub(crate) struct Validator {
    domain: Domain,
    bindings: Bindings,
    windows: HashMap<[u8; 32], Window>,
    known: KnownSignatures,
}

impl Validator {
    pub(crate) fn new(domain: Domain, bindings: Bindings, known: KnownSignatures) -> Self {
        Self {
            domain,
            bindings,
            windows: HashMap::new(),
            known,
        }
    }

    pub(super) fn validate(&mut self, view: &EpochView, message: &GossipMessage) -> Verdict {
        let GossipMessage {
            source, kind, data, ..
        } = message;
        let kind = *kind;
        let topic = self.domain.network().topic(kind);
        let envelope = match Envelope::open(data, &topic, kind) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::debug!(%error, "invalid envelope");
                return Verdict::Bad("envelope");
            }
        };
        if let Some(verdict) = check_epochs(view, &envelope) {
            return verdict;
        }
        if let Some(verdict) = self.check_author(view, &envelope.author) {
            return verdict;
        }
        let tag = tag_of(data);
        let window = self
            .windows
            .entry(envelope.author.peer_key)
            .or_insert_with(Window::new);
        match window.look(envelope.batch.sequence, tag) {
            Seen::New => {}
            // Gossipsub forgets contents only after 15 s: who repeats one then does it on purpose.
            Seen::Same if !self.bindings.is_peer_bound(source) => return Verdict::Bad("replay"),
            // The author's doing. Whoever forwards it may have seen this one first.
            Seen::Same | Seen::Spent => return Verdict::Useless("sequence number was used"),
        }
        let verdict = self.check_entries(view, &envelope);
        if let (Verdict::Good(_), Some(window)) =
            (&verdict, self.windows.get_mut(&envelope.author.peer_key))
        {
            window.mark(envelope.batch.sequence, tag);
        }
        verdict
    }

    /// The binding: by the signing key of an operator of a live set, and not an older one than
    /// that which is known.
    fn check_author(&mut self, view: &EpochView, author: &PeerBinding) -> Option<Verdict> {
        let is_member = |set: &&Arc<OperatorSet>| set.get(author.operator).is_some();
        if !view.sets().iter().any(|set| is_member(&set)) {
            return Some(Verdict::Bad("author is no operator"));
        }
        let known = self.bindings.of(author.operator);
        if known.as_ref() == Some(author) {
            return None;
        }
        if known.is_some_and(|known| known.sequence >= author.sequence) {
            // Its operator has moved to another peer; who forwards it may not know that yet.
            return Some(Verdict::Useless("binding was replaced"));
        }
        let keys = view
            .sets()
            .iter()
            .rev()
            .filter_map(|set| set.get(author.operator));
        let mut keys: Vec<Address> = keys.map(|member| member.signing_key).collect();
        keys.dedup();
        if !keys
            .into_iter()
            .any(|key| author.verify(key, &self.domain).is_ok())
        {
            return Some(Verdict::Bad("binding"));
        }
        self.bindings.keep(*author);
        self.windows
            .retain(|peer_key, _| *peer_key == author.peer_key || self.bindings.is_bound(peer_key));
        None
    }

    fn check_entries(&mut self, view: &EpochView, envelope: &Envelope) -> Verdict {
        let batch = &envelope.batch;
        let author = envelope.author.operator;
        let mut good = Vec::new();
        for task in &batch.tasks {
            let Some(set) = view.set(task.statement.epoch()) else {
                continue;
            };
            if set.get(author).is_none() {
                return Verdict::Bad("author is no operator of that epoch");
            }
            let (statement, attempt, set) = (task.statement, task.attempt, set.clone());
            good.push(Verified::Task {
                author,
                statement,
                attempt,
                set,
            });
        }
        for response in &batch.responses {
            let Some(set) = view.set(response.statement.epoch()) else {
                continue;
            };
            if response.operator != author {
                return Verdict::Bad("response of another operator");
            }
            if let Err(error) = self.check_response(response, set) {
                tracing::debug!(%author, %error, "invalid response");
                return Verdict::Bad("response signature");
            }
            let (response, set) = (response.clone(), set.clone());
            good.push(Verified::Response { response, set });
        }
        for certificate in &batch.results {
            let Some(set) = view.set(certificate.statement().epoch()) else {
                continue;
            };
            if let Err(error) = self.check_certificate(certificate, set) {
                tracing::debug!(%author, %error, "invalid certificate");
                return Verdict::Bad("certificate");
            }
            let (certificate, set) = (certificate.clone(), set.clone());
            good.push(Verified::Result { certificate, set });
        }
        Verdict::Good(good)
    }

    fn check_response(&self, response: &Response, set: &OperatorSet) -> Result<(), ResponseError> {
        let domain = &self.domain;
        response.verify_with(set, domain, |signature, digest| {
            self.known.recover(*signature, digest)
        })
    }

    fn check_certificate(
        &self,
        certificate: &Certificate,
        set: &OperatorSet,
    ) -> Result<U256, CertificateError> {
        let domain = &self.domain;
        certificate.verify_with(set, domain, |signer, digest| {
            self.known.recover(signer.signature, digest)
        })
    }
}

/// A part of a content's hash, to tell it from another one.
fn tag_of(data: &[u8]) -> u32 {
    let hash = quorate_proto::keccak256(data);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// Entries of an epoch that is over are left out; a batch of nothing else is useless, and bad where
/// its epoch has been over for long: no honest node still forwards it.
fn check_epochs(view: &EpochView, envelope: &Envelope) -> Option<Verdict> {
    let batch = &envelope.batch;
    let tasks = batch.tasks.iter().map(|task| &task.statement);
    let responses = batch.responses.iter().map(|response| &response.statement);
    let results = batch.results.iter().map(Certificate::statement);
    let epochs: Vec<Epoch> = tasks
        .chain(responses)
        .chain(results)
        .map(Statement::epoch)
        .collect();
    if let Some(ahead) = epochs.iter().find(|epoch| view.is_behind(**epoch)) {
        return Some(Verdict::Ahead(*ahead));
    }
    if epochs.iter().any(|epoch| view.set(*epoch).is_some()) {
        return None;
    }
    let current = view.current.as_ref().map_or(Epoch(0), |set| set.epoch());
    let long_over = |epoch: &Epoch| epoch.next() < current;
    if epochs.iter().all(long_over) {
        return Some(Verdict::Bad("epoch is long over"));
    }
    Some(Verdict::Useless("epoch is over"))
}

#[cfg(test)]
mod tests;
