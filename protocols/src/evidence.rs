//! What a node holds against operators that signed two facts for one slot.
//!
//! # Design Decisions
//!
//! - Evidence that comes in is checked by the driver first ([`EquivocationEvidence::verify`]).
//! - One case per operator and slot, whatever pair of attestations proves it: what came first stands.
//! - An operator that equivocates can sign as many pairs as it likes, and every one of them is true. So it is
//!   not how many there are that counts, and the books are bounded per operator: by the hour, so that
//!   no operator spreads a flood against itself, and in all, where a new case replaces the oldest.
//! - Every node publishes what it found itself, and none what it heard: the mesh forwards that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use quorate_proto::{Address, EquivocationEvidence, EvidenceId, SlotId, Timestamp};

/// Cases against one operator within [`HOUR_MS`]. One is enough to jail it; the others show how far
/// it went.
pub const MAX_PER_HOUR: usize = 16;

/// Cases against one operator that are kept: four hours of a flood.
pub const MAX_PER_OPERATOR: usize = 64;

/// Cases that are kept: 500 operators, of whom all equivocate, and half again. At 800 bytes on disk
/// and 110 in memory they are 39 MB and 5 MB.
pub const MAX_CASES: usize = 49_152;

/// Milliseconds that [`MAX_PER_HOUR`] is about.
pub const HOUR_MS: u64 = 3_600_000;

/// What a [`Docket`] is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This node heard both facts, by the driver of the pipeline.
    Found(EquivocationEvidence),
    /// Another node published it; verified, by the gossip driver.
    Heard(EquivocationEvidence),
}

/// What a [`Docket`] wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Take this case out of the store: it makes room.
    Forget(SlotId, Address),
    /// Write it.
    Keep(EquivocationEvidence),
    /// Tell the mesh, once it is written.
    Publish(EquivocationEvidence),
}

/// Why evidence changes nothing. No operator and no peer is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// That case is known.
    #[error("this case is known")]
    Known,
    /// Enough is held against this operator for now.
    #[error("{MAX_PER_HOUR} cases against {0} came within an hour; more are left out")]
    TooMany(Address),
    /// The books are full.
    #[error("{MAX_CASES} cases are held; more are left out")]
    Full,
}

/// One case in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the two facts are about.
    pub slot: SlotId,
    /// Who signed both.
    pub operator: Address,
    /// When this node found it or heard of it.
    pub since: Timestamp,
}

/// The books: which cases there are. The evidence itself is in the store.
#[derive(Clone, Debug, Default)]
pub struct Docket {
    cases: BTreeMap<EvidenceId, Case>,
    /// In the order of their coming.
    against: HashMap<Address, Vec<EvidenceId>>,
}

impl Docket {
    /// Takes one input.
    ///
    /// # Errors
    /// [`Ignored`]; the input then changed nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<Vec<Output>, Ignored> {
        let is_found = matches!(input, Input::Found(_));
        let (Input::Found(evidence) | Input::Heard(evidence)) = input;
        let (slot, operator) = (evidence.slot(), evidence.operator());
        self.admits(now, evidence.id(), operator)?;
        let mut outputs = Vec::with_capacity(3);
        if let Some(oldest) = self.oldest_of_many(operator) {
            self.remove(oldest);
            outputs.push(Output::Forget(oldest.slot, oldest.operator));
        }
        self.restore(Case {
            slot,
            operator,
            since: now,
        });
        outputs.push(Output::Keep(evidence.clone()));
        if is_found {
            outputs.push(Output::Publish(evidence));
        }
        Ok(outputs)
    }

    /// Whether a case would be taken now: to be asked before its signatures are checked.
    ///
    /// # Errors
    /// [`Ignored`].
    pub fn admits(&self, now: Timestamp, id: EvidenceId, operator: Address) -> Result<(), Ignored> {
        if self.cases.contains_key(&id) {
            return Err(Ignored::Known);
        }
        let fresh = |case: &&Case| now < case.since.plus_millis(HOUR_MS);
        if self.against(operator).filter(fresh).count() >= MAX_PER_HOUR {
            return Err(Ignored::TooMany(operator));
        }
        if self.cases.len() >= MAX_CASES && self.oldest_of_many(operator).is_none() {
            return Err(Ignored::Full);
        }
        Ok(())
    }

    /// Enters a case that the store holds.
    pub fn restore(&mut self, case: Case) {
        let id = EquivocationEvidence::id_of(case.slot, case.operator);
        if self.cases.insert(id, case).is_none() {
            self.against.entry(case.operator).or_default().push(id);
        }
    }

    /// The case with this id.
    #[must_use]
    pub fn get(&self, id: EvidenceId) -> Option<&Case> {
        self.cases.get(&id)
    }

    /// Cases with a higher id than `after`, ascending.
    pub fn after(&self, after: Option<EvidenceId>) -> impl Iterator<Item = (&EvidenceId, &Case)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.cases
            .range((after.map_or(Unbounded, Excluded), Unbounded))
    }

    /// The newest cases, at most `limit`, newest first.
    #[must_use]
    pub fn newest(&self, limit: usize) -> Vec<Case> {
        let mut cases: Vec<Case> = self.cases.values().copied().collect();
        cases.sort_by_key(|case| Reverse(case.since));
        cases.truncate(limit);
        cases
    }

    /// Cases against one operator, in the order of their coming.
    pub fn against(&self, operator: Address) -> impl Iterator<Item = &Case> {
        let ids = self.against.get(&operator).into_iter().flatten();
        ids.filter_map(|id| self.cases.get(id))
    }

    /// How many cases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    fn oldest_of_many(&self, operator: Address) -> Option<Case> {
        let ids = self.against.get(&operator)?;
        if ids.len() < MAX_PER_OPERATOR {
            return None;
        }
        self.against(operator)
            .min_by_key(|case| case.since)
            .copied()
    }

    fn remove(&mut self, case: Case) {
        let id = EquivocationEvidence::id_of(case.slot, case.operator);
        self.cases.remove(&id);
        if let Some(ids) = self.against.get_mut(&case.operator) {
            ids.retain(|known| *known != id);
        }
    }
}

#[cfg(test)]
mod tests;
