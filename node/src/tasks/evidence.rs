//! The evidence store: who signed two facts for one slot, and what proves it.
//!
//! Shared by the gossip task, which checks what others publish before it is forwarded, the task driver,
//! which finds evidence itself and writes all of it, and the pages and requests that show it. What the evidence
//! store says is decided by [`Docket`]; the evidence itself is in the node's store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_proto::store::Evidence as Record;
use quorate_proto::{
    Address, Domain, Epoch, EquivocationEvidence, EvidenceError, EvidenceId, OperatorSet, Response,
    Timestamp, wire,
};
use quorate_protocols::evidence::{Case, Docket, Ignored, Input, Output};
use quorate_storage::{Batch, Store, schema};

use crate::home::EpochView;
use crate::{NodeError, clock};
use quorate_client::record;

/// The evidence store. Clones share it.
#[derive(Clone)]
pub(crate) struct EvidenceStore {
    docket: Arc<Mutex<Docket>>,
    store: Store,
    domain: Domain,
}

/// Evidence, and when this node came by it.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceEntry {
    pub(crate) evidence: EquivocationEvidence,
    pub(crate) found_ms: u64,
    /// Who published it; `None` where this node found it itself.
    pub(crate) heard_from: Option<Address>,
}

impl EvidenceStore {
    /// Reads what is in the store.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn open(store: Store, domain: Domain) -> Result<Self, NodeError> {
        let mut docket = Docket::default();
        for row in store.rows(schema::EVIDENCE, &()) {
            let (_, record) = row?;
            let entry = entry_of(&record)?;
            docket.restore(Case {
                slot: entry.evidence.slot(),
                operator: entry.evidence.operator(),
                since: Timestamp(entry.found_ms.saturating_mul(1_000)),
            });
        }
        let docket = Arc::new(Mutex::new(docket));
        Ok(Self {
            docket,
            store,
            domain,
        })
    }

    /// Whether it would be taken now; asked before signatures are checked.
    pub(crate) fn admits(&self, evidence: &EquivocationEvidence) -> Result<(), Ignored> {
        self.docket()
            .admits(clock::now(), evidence.id(), evidence.operator())
    }

    /// Checks it with the sets that the home chain had for its epochs, as far as they are kept here.
    pub(crate) fn verify(
        &self,
        view: &EpochView,
        evidence: &EquivocationEvidence,
    ) -> Result<(), EvidenceError> {
        evidence.verify(&self.domain, |epoch| self.set_of(view, epoch))
    }

    /// What two responses that this node heard amount to; `None` where the case would not be taken,
    /// which is seen before any signature is looked at.
    pub(crate) fn between(
        &self,
        view: &EpochView,
        first: &Response,
        second: &Response,
    ) -> Result<Option<EquivocationEvidence>, EvidenceError> {
        let operator = first.operator;
        let id = EquivocationEvidence::id_of(first.statement.slot(), operator);
        if self.docket().admits(clock::now(), id, operator).is_err() {
            return Ok(None);
        }
        let evidence = EquivocationEvidence::between(first, second)?;
        self.verify(view, &evidence)?;
        Ok(Some(evidence))
    }

    /// Enters it; what comes back is to be written, then published.
    pub(crate) fn take(&self, input: Input) -> Result<Vec<Output>, Ignored> {
        self.docket().handle(clock::now(), input)
    }

    /// The evidence with this id, once it is written.
    pub(crate) fn get(&self, id: EvidenceId) -> Result<Option<EvidenceEntry>, NodeError> {
        let case = self.docket().get(id).copied();
        case.map_or(Ok(None), |case| self.read(&case))
    }

    /// Up to `limit` entries with a higher id than `after`, ascending, and whether there are more.
    pub(crate) fn page(
        &self,
        after: Option<EvidenceId>,
        operator: Option<Address>,
        limit: usize,
    ) -> Result<(Vec<EvidenceEntry>, bool), NodeError> {
        let mut cases: Vec<Case> = {
            let docket = self.docket();
            let cases = docket.after(after).map(|(_, case)| *case);
            let wanted = |case: &Case| operator.is_none_or(|operator| case.operator == operator);
            cases.filter(wanted).take(limit + 1).collect()
        };
        let more = cases.len() > limit;
        cases.truncate(limit);
        let mut entries = Vec::with_capacity(cases.len());
        for case in cases {
            entries.extend(self.read(&case)?);
        }
        Ok((entries, more))
    }

    /// The newest evidence, at most `limit`.
    pub(crate) fn newest(&self, limit: usize) -> Result<Vec<EquivocationEvidence>, NodeError> {
        let cases = self.docket().newest(limit);
        let mut newest = Vec::with_capacity(cases.len());
        for case in cases {
            newest.extend(self.read(&case)?.map(|entry| entry.evidence));
        }
        Ok(newest)
    }

    /// How many cases there are against an operator in which this signing key signed.
    pub(crate) fn against(
        &self,
        operator: Address,
        signing_key: Address,
    ) -> Result<usize, NodeError> {
        let cases: Vec<Case> = self.docket().against(operator).copied().collect();
        let mut count = 0;
        for case in cases {
            let entry = self.read(&case)?;
            let signed = |e: &EvidenceEntry| e.evidence.is_signed_by(signing_key, &self.domain);
            count += usize::from(entry.as_ref().is_some_and(signed));
        }
        Ok(count)
    }

    /// How many cases there are.
    pub(crate) fn len(&self) -> usize {
        self.docket().len()
    }

    fn read(&self, case: &Case) -> Result<Option<EvidenceEntry>, NodeError> {
        let key = (case.slot.0.0, case.operator.into_array());
        let record = self.store.get(schema::EVIDENCE, &key)?;
        record.as_ref().map(entry_of).transpose()
    }

    fn set_of(&self, view: &EpochView, epoch: Epoch) -> Option<Arc<OperatorSet>> {
        if let Some(set) = view.set(epoch) {
            return Some(set.clone());
        }
        let record = self.store.get(schema::SETS, &epoch.0).ok()??;
        OperatorSet::try_from(&record).ok().map(Arc::new)
    }

    fn docket(&self) -> MutexGuard<'_, Docket> {
        self.docket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what the evidence store decided to a batch; what is to be published is returned.
pub(crate) fn write(
    outputs: Vec<Output>,
    heard_from: Option<Address>,
    batch: &mut Batch,
) -> Vec<EquivocationEvidence> {
    let mut publish = Vec::new();
    for output in outputs {
        match output {
            Output::Forget(slot, operator) => {
                batch.delete(schema::EVIDENCE, &(slot.0.0, operator.into_array()));
            }
            Output::Keep(evidence) => {
                let key = (evidence.slot().0.0, evidence.operator().into_array());
                batch.put(schema::EVIDENCE, &key, &record_of(&evidence, heard_from));
            }
            Output::Publish(evidence) => publish.push(evidence),
        }
    }
    publish
}

fn record_of(evidence: &EquivocationEvidence, heard_from: Option<Address>) -> Record {
    Record {
        evidence: Some(evidence.into()),
        found_ms: clock::now().millis(),
        heard_from: heard_from.map(|by| by.to_vec()).unwrap_or_default(),
    }
}

fn entry_of(record: &Record) -> Result<EvidenceEntry, NodeError> {
    let message = record.evidence.clone().unwrap_or_default();
    let evidence = EquivocationEvidence::try_from(&message).map_err(NodeError::damaged)?;
    Ok(EvidenceEntry {
        evidence,
        found_ms: record.found_ms,
        heard_from: Address::try_from(record.heard_from.as_slice()).ok(),
    })
}

impl EvidenceEntry {
    pub(crate) fn into_wire(self) -> wire::EvidenceEntry {
        wire::EvidenceEntry {
            evidence: Some((&self.evidence).into()),
            found_ms: self.found_ms,
        }
    }

    pub(crate) fn report(&self, domain: &Domain) -> crate::api::EvidenceReport {
        let evidence = &self.evidence;
        let [first, second] = evidence
            .attestations()
            .map(|signed| crate::api::SignedReport {
                epoch: signed.attestation().epoch.0,
                fact: signed.attestation().fact.to_string(),
                signature: format!("0x{}", hex::encode(signed.signature().as_bytes())),
                statement: signed
                    .statement()
                    .map(|statement| record::statement_report(statement, domain)),
            });
        crate::api::EvidenceReport {
            id: evidence.id().to_string(),
            network: domain.network().to_string(),
            operator: evidence.operator().to_string(),
            slot: evidence.slot().to_string(),
            first,
            second,
            found_ms: Some(self.found_ms),
            heard_from: self.heard_from.map(|by| by.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
