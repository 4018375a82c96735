//! What is checked of a gossip message, in the order of its cost: size, form, author, epoch,
//! allowance, replay, then the signatures of the envelope, the binding and the entries.
//!
//! Who forwards a message answers for what is cheap to see and for the envelope's signature. Whose
//! signature the envelope has answers for what is in it.

mod entries;
mod epochs;

use std::collections::HashMap;
use std::sync::Arc;

use libp2p::PeerId;
use quorate_proto::{
    Address, Domain, Epoch, EquivocationEvidence, Kind, OperatorSet, PeerBinding, Sealed,
};
use quorate_protocols::authors::Excess;

use self::epochs::{check_epochs, epochs, set_of};
use super::allowances::Allowances;
use super::bindings::Bindings;
use super::signature_cache::SignatureCache;
use super::unknown_peers::UnknownPeers;
use super::verified::{Blame, ValidationOutcome, Verified};
use super::window::{Seen, Window};
use crate::clock;
use crate::gossip::known_peers::KnownPeers;
use crate::home::EpochView;
use crate::network::GossipMessage;
use crate::tasks::evidence::EvidenceStore;

/// Of the useless messages that known peers forward, every so many is verified nevertheless,
/// so that a peer which makes them up is found out.
const SAMPLE: u32 = 16;

/// Of an epoch whose tasks this node does not finish any more.
const OVER: &str = "epoch is over";
/// Of an epoch after the coming one: to wait for it would take longer than any user waits.
const FAR: &str = "epoch is far away";

/// No clock that an operator looks after has made it.
const FUTURE: &str = "binding is of the future";
/// Its operator has moved to another peer, or to another key.
const REPLACED: &str = "binding was replaced";

/// By an unknown peer.
const WASTE: &str = "too much of no use";

/// Validates messages one after the other. Owns what must be remembered between them.
pub(crate) struct Validator {
    domain: Domain,
    bindings: Bindings,
    regulars: KnownPeers,
    allowances: Allowances,
    windows: HashMap<Address, Bound>,
    known: SignatureCache,
    book: EvidenceStore,
    useless: u32,
    strangers: UnknownPeers,
    /// The first and last of the sets whose tasks may be under way, and the first of those before.
    turned: [Option<Epoch>; 3],
}

/// The batches seen of an operator under one of its bindings. The numbers of another one are others:
/// where the clock was set back between two starts of a node, they may begin below. None of the batches
/// before can be passed off under the new one, since their signatures cover the old one's sequence.
struct Bound {
    binding: PeerBinding,
    window: Window,
}

/// A message on its way through the checks.
struct Case<'a> {
    view: &'a EpochView,
    source: &'a PeerId,
    kind: Kind,
    sealed: Sealed,
    /// The newest set that the author is in.
    set: &'a Arc<OperatorSet>,
    tag: u32,
}

impl Case<'_> {
    fn author(&self) -> &PeerBinding {
        self.sealed.author()
    }

    /// Its announcements, and all its entries.
    fn counts(&self) -> (u32, u32) {
        let batch = self.sealed.batch();
        let count = |entries: usize| u32::try_from(entries).unwrap_or(u32::MAX);
        let all = [
            batch.tasks.len(),
            batch.responses.len(),
            batch.results.len(),
            batch.evidence.len(),
        ];
        (count(batch.tasks.len()), count(all.iter().sum()))
    }
}

type Checked = Result<(), ValidationOutcome>;

impl Validator {
    pub(crate) fn new(
        domain: Domain,
        bindings: Bindings,
        regulars: KnownPeers,
        allowances: Allowances,
        known: SignatureCache,
        book: EvidenceStore,
    ) -> Self {
        Self {
            domain,
            bindings,
            regulars,
            allowances,
            windows: HashMap::new(),
            known,
            book,
            useless: 0,
            strangers: UnknownPeers::new(),
            turned: [None; 3],
        }
    }

    /// Looks whether sets have come or gone: forgets what keys made that count no more, and what was seen
    /// of operators that are in no set any more, 64 KiB each.
    pub(super) fn turn(&mut self, view: &EpochView) {
        let epoch = |set: Option<&Arc<OperatorSet>>| set.map(|set| set.epoch());
        let (live, past) = (view.sets(), view.past_sets());
        let turned = [live.first(), live.last(), past.first()].map(epoch);
        let Some(newest) = live.last().filter(|_| turned != self.turned) else {
            return;
        };
        self.turned = turned;
        self.bindings.settle(newest, &self.domain);
        let serves = |operator| {
            live.iter()
                .chain(past)
                .any(|set| set.get(operator).is_some())
        };
        self.windows.retain(|operator, _| serves(*operator));
    }

    pub(super) fn validate(
        &mut self,
        view: &EpochView,
        message: &GossipMessage,
    ) -> ValidationOutcome {
        let sealed = match Sealed::decode(&message.data, message.kind) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::debug!(%error, "invalid envelope");
                return ValidationOutcome::Bad("envelope");
            }
        };
        let author = sealed.author().operator;
        let Some(set) = set_of(view, author, &sealed) else {
            return self.of_no_member(view, message, &sealed);
        };
        let case = Case {
            view,
            source: &message.source,
            kind: message.kind,
            sealed,
            set,
            tag: tag_of(&message.data),
        };
        match self.check(&case) {
            Ok(entries) => ValidationOutcome::Good(entries),
            Err(verdict @ (ValidationOutcome::Useless(_) | ValidationOutcome::Excess(..))) => {
                self.useless(&case, verdict)
            }
            Err(verdict) => verdict,
        }
    }

    /// The checks, each cheaper than the next.
    fn check(&mut self, case: &Case<'_>) -> Result<Vec<Verified>, ValidationOutcome> {
        self.check_allowance(case)?;
        check_epochs(case.view, &case.sealed)?;
        self.check_new(case)?;
        self.check_sequence(case)?;
        self.check_envelope(case)?;
        if let Some(ahead) = epochs(&case.sealed).find(|epoch| case.view.is_coming(*epoch)) {
            return Err(ValidationOutcome::Ahead(ahead));
        }
        self.check_binding(case)?;
        let operator = case.author().operator;
        let admitted = self
            .allowances
            .admit(case.kind, case.set, operator, case.counts());
        admitted.map_err(|excess| ValidationOutcome::Excess(operator, reason_of(excess)))?;
        let entries = self.check_entries(case)?;
        if let Some(bound) = self.windows.get_mut(&operator) {
            bound.window.mark(case.sealed.batch().sequence, case.tag);
        }
        Ok(entries)
    }

    /// Of an author who is in no set that is known here. It may be in the coming one.
    fn of_no_member(
        &mut self,
        view: &EpochView,
        message: &GossipMessage,
        sealed: &Sealed,
    ) -> ValidationOutcome {
        let verdict = if let Some(epoch) = epochs(sealed).find(|epoch| view.is_coming(*epoch)) {
            ValidationOutcome::Ahead(epoch)
        } else if epochs(sealed).any(|epoch| view.is_far(epoch)) {
            // This node may be far behind, so no peer is to blame.
            ValidationOutcome::Useless(FAR)
        } else if epochs(sealed).any(|epoch| view.has_turned() && view.may_end(epoch)) {
            ValidationOutcome::Useless(OVER)
        } else if message.kind == Kind::Evidence {
            // It has no epoch of its own: its author may have left, or be of an epoch to come.
            ValidationOutcome::Useless("author is no operator here")
        } else {
            return ValidationOutcome::Bad("author is no operator");
        };
        if !self.regulars.contains(&message.source) {
            if self.strangers.wastes(message.source) {
                return ValidationOutcome::Bad(WASTE);
            }
            if !self.strangers.may_be_unknown() {
                return ValidationOutcome::Useless("too many of unknown authors");
            }
        }
        match self.verify(sealed, message.kind) {
            Ok(()) => verdict,
            Err(()) => ValidationOutcome::Bad("envelope"),
        }
    }

    fn check_allowance(&self, case: &Case<'_>) -> Checked {
        let operator = case.author().operator;
        if self.bindings.is_peer_of(case.source, operator)
            && self.allowances.is_gross(case.kind, case.set, operator)
        {
            return Err(ValidationOutcome::Bad("far more than the author's share"));
        }
        let (tasks, _) = case.counts();
        let look = self.allowances.look(case.kind, case.set, operator, tasks);
        look.map_err(|excess| ValidationOutcome::Excess(operator, reason_of(excess)))
    }

    /// What is known of evidence need not be looked at.
    fn check_new(&self, case: &Case<'_>) -> Checked {
        let evidence = &case.sealed.batch().evidence;
        let known = |one: &EquivocationEvidence| self.book.admits(one).is_err();
        match !evidence.is_empty() && evidence.iter().all(known) {
            true => Err(ValidationOutcome::Useless(
                "evidence is known, or too much of it",
            )),
            false => Ok(()),
        }
    }

    fn check_sequence(&mut self, case: &Case<'_>) -> Checked {
        let author = case.author();
        if clock::is_ahead(author.sequence) {
            // The clocks of others may allow it.
            return Err(ValidationOutcome::Useless(FUTURE));
        }
        if self.bindings.outranks(author) {
            // Who forwards it may not know that yet.
            return Err(ValidationOutcome::Useless(REPLACED));
        }
        let bound = self.windows.get(&author.operator);
        let Some(bound) = bound.filter(|bound| bound.binding == *author) else {
            return Ok(());
        };
        match bound.window.look(case.sealed.batch().sequence, case.tag) {
            Seen::New => Ok(()),
            // Gossipsub forgets contents only after 15 s. Who repeats one then does it on purpose, or got
            // it late, since a process was paused or a line was cut: unknown peers have no such excuse.
            Seen::Same if !self.regulars.contains(case.source) => {
                Err(ValidationOutcome::Bad("replay"))
            }
            // Of another content it is the author's doing. The peer that forwards it may have seen it first.
            Seen::Same | Seen::Spent => Err(ValidationOutcome::Useless("sequence number was used")),
        }
    }

    fn check_envelope(&self, case: &Case<'_>) -> Checked {
        let verified = self.verify(&case.sealed, case.kind);
        verified.map_err(|()| ValidationOutcome::Bad("envelope"))
    }

    fn verify(&self, sealed: &Sealed, kind: Kind) -> Result<(), ()> {
        let topic = self.domain.network().topic(kind);
        sealed.verify(&topic).map_err(|error| {
            tracing::debug!(%error, "invalid envelope");
        })
    }

    /// A new binding is by the signing key of an operator of a live set; of one that may still name another,
    /// where the operator is in none of those.
    fn check_binding(&mut self, case: &Case<'_>) -> Checked {
        let author = case.author();
        if self.bindings.of(author.operator).as_ref() != Some(author) {
            let mut keys = case.view.keys_of(author.operator);
            if keys.is_empty() {
                keys = case.view.past_keys_of(author.operator);
            }
            let bound = |key: &Address| author.verify(*key, &self.domain).is_ok();
            let key = keys.into_iter().find(bound);
            let key = key.ok_or(ValidationOutcome::Bad("binding"))?;
            if !self.bindings.keep(*author, key) {
                return Err(ValidationOutcome::Useless(REPLACED));
            }
        }
        let bound = self.windows.get(&author.operator);
        if bound.is_none_or(|bound| bound.binding != *author) {
            let (binding, window) = (*author, Window::new());
            let bound = Bound { binding, window };
            self.windows.insert(author.operator, bound);
        }
        Ok(())
    }

    /// Whether the sender made a useless message up: unknown peers are not believed, known ones at times.
    /// Nor may unknown peers send what is useless without end, genuine as it may be.
    fn useless(&mut self, case: &Case<'_>, verdict: ValidationOutcome) -> ValidationOutcome {
        self.useless = self.useless.wrapping_add(1);
        let is_stranger = !self.regulars.contains(case.source);
        if is_stranger
            && matches!(verdict, ValidationOutcome::Useless(_))
            && self.strangers.wastes(*case.source)
        {
            return ValidationOutcome::Bad(WASTE);
        }
        let believed = !is_stranger && !self.useless.is_multiple_of(SAMPLE);
        if !believed && self.verify(&case.sealed, case.kind).is_err() {
            return ValidationOutcome::Bad("envelope");
        }
        verdict
    }

    /// The author has signed what is wrong here. Its peer is to blame where it came from there; others
    /// may have been told otherwise.
    fn guilty(&self, case: &Case<'_>, reason: &'static str) -> ValidationOutcome {
        let author = case.author().operator;
        let muted = self.allowances.fault(case.kind, case.set, author);
        if muted {
            tracing::warn!(%author, reason, "operator is not listened to for a while");
        }
        ValidationOutcome::Guilty(Box::new(Blame {
            author: *case.author(),
            muted,
            reason,
        }))
    }
}

const fn reason_of(excess: Excess) -> &'static str {
    match excess {
        Excess::Messages => "more messages than the author's share",
        Excess::Entries => "more entries than the author's share",
        Excess::Tasks => "more tasks than the author's share",
        Excess::Muted => "author is not listened to",
    }
}

/// A part of a content's hash, to tell it from another one.
fn tag_of(data: &[u8]) -> u32 {
    let hash = quorate_proto::keccak256(data);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

#[cfg(test)]
mod tests;
