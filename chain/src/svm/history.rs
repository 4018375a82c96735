//! The transfers of a route, as far as a quorum is behind them.
//!
//! # Design Decisions
//!
//! Providers are not asked about one slot, which they cannot be, nor for equal answers, which they do not give while
//! transfers are sent: count and hash of each are compared with h of so many transfers. Who said h(n) stands for each of
//! the first n, so a transfer is taken once enough stand for it, like the final head.

use std::collections::VecDeque;

use alloy::primitives::B256;
use sha2::{Digest, Sha256};

use super::calls::Signature;
use crate::quorum::QuorumRule;
use crate::{KnownTransfers, SeenTransfer};

/// Transfers of one page, to which those of its last slot may add: half a megabyte.
const MAX_PAGE: usize = 1_024;

/// Up to where a route is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    /// Its first so many transfers.
    pub(super) count: u64,
    /// h of them.
    pub(super) hash: B256,
    /// No transfer after them is in a slot below this.
    pub(super) slot: u64,
    /// The transaction of the last of them.
    pub(super) signature: Option<Signature>,
}

/// What a provider says that the program's state holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) provider: usize,
    pub(super) count: u64,
    pub(super) hash: B256,
}

/// h(n) = sha256(h(n-1) ‖ fact of transfer n), from some n on.
pub(super) struct RunningHash {
    first: u64,
    hashes: Vec<B256>,
}

impl RunningHash {
    pub(super) fn from(count: u64, hash: B256) -> Self {
        Self {
            first: count,
            hashes: vec![hash],
        }
    }

    /// Adds the next transfer; h with it.
    pub(super) fn add(&mut self, fact: B256) -> B256 {
        let last = self.hashes.last().copied().unwrap_or_default();
        let mut next = Sha256::new();
        next.update(last);
        next.update(fact);
        let next = B256::from(<[u8; 32]>::from(next.finalize()));
        self.hashes.push(next);
        next
    }

    fn at(&self, count: u64) -> Option<B256> {
        let index = usize::try_from(count.checked_sub(self.first)?).ok()?;
        self.hashes.get(index).copied()
    }

    /// Whether a claim holds; `None` where it is about other counts.
    fn holds(&self, claim: &Claim) -> Option<bool> {
        Some(self.at(claim.count)? == claim.hash)
    }

    /// How many transfers enough providers stand for.
    pub(super) fn agreed(&self, rule: &QuorumRule, claims: &[Claim]) -> Option<u64> {
        let mut counts = Vec::new();
        for claim in claims
            .iter()
            .filter(|claim| self.holds(claim) == Some(true))
        {
            counts.resize(counts.len().max(claim.provider + 1), None);
            counts[claim.provider] = Some(claim.count);
        }
        rule.reached(&counts).first().copied()
    }

    /// Who says something else.
    pub(super) fn contradicting(&self, claims: &[Claim]) -> Vec<usize> {
        let differs = claims
            .iter()
            .filter(|claim| self.holds(claim) == Some(false));
        differs.map(|claim| claim.provider).collect()
    }
}

/// The counts that enough of the claims reach, highest first.
pub(super) fn reached(rule: &QuorumRule, claims: &[Claim]) -> Option<u64> {
    let most = claims.iter().map(|claim| claim.provider + 1).max();
    let mut counts = vec![None; most.unwrap_or(0)];
    for claim in claims {
        counts[claim.provider] = Some(claim.count);
    }
    rule.reached(&counts).first().copied()
}

/// A transfer that enough providers stand for, and h with it.
pub(super) struct Kept {
    pub(super) seen: SeenTransfer,
    pub(super) hash: B256,
    pub(super) signature: Signature,
}

/// A route: up to where its transfers were given away, and those after that.
pub(super) struct History {
    settled: Point,
    kept: VecDeque<Kept>,
    /// Given away are all up to this nonce; some may be asked for again.
    given: u64,
    /// From where pages are asked for.
    from: u64,
    /// What enough providers stand for in this slot is here.
    pub(super) read_to: Option<u64>,
    /// No provider counts more transfers in this slot than are here.
    pub(super) floor: u64,
}

impl History {
    pub(super) const fn after(settled: Point) -> Self {
        Self {
            settled,
            kept: VecDeque::new(),
            given: settled.count,
            from: u64::MAX,
            read_to: None,
            floor: 0,
        }
    }

    /// Pages are asked for from this slot on: what was given away below it is on disk. Where that goes back, it begins
    /// anew, with what is `known` below it.
    pub(super) fn ask_from(&mut self, from: u64, known: Point) {
        if from < self.from {
            *self = Self::after(match known.slot < from {
                true => known,
                false => Point::default(),
            });
        }
        self.from = from;
        let is_done = |kept: &Kept, given| kept.seen.block.number < from && kept.nonce() <= given;
        while let Some(kept) = self.kept.pop_front_if(|kept| is_done(kept, self.given)) {
            self.settled = kept.point();
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        let from = self.from;
        *self = Self::after(Point::default());
        self.from = from;
    }

    /// Up to where it is known.
    pub(super) fn end(&self) -> Point {
        let end = self.kept.back().map_or(self.settled, Kept::point);
        Point {
            slot: end.slot.max(self.floor),
            ..end
        }
    }

    pub(super) fn hashes(&self) -> RunningHash {
        let kept = self.kept.iter().map(|kept| kept.hash);
        RunningHash {
            first: self.settled.count,
            hashes: std::iter::once(self.settled.hash).chain(kept).collect(),
        }
    }

    pub(super) fn extend(&mut self, more: Vec<Kept>) {
        for mut kept in more {
            let last = self.kept.back().map(|last| &last.seen);
            let beside = last.filter(|last| last.block == kept.seen.block);
            kept.seen.log_index = beside.map_or(0, |last| last.log_index + 1);
            self.kept.push_back(kept);
        }
    }

    /// Gives away what was not yet, up to this slot, and from where to go on.
    pub(super) fn page(&mut self, to: u64) -> (Vec<SeenTransfer>, u64) {
        let (mut page, mut next) = (Vec::new(), to.saturating_add(1));
        let (mut last, mut given) = (0, self.given);
        for kept in self.up_to(to) {
            let slot = kept.seen.block.number;
            if page.len() >= MAX_PAGE && slot > last {
                next = slot;
                break;
            }
            (last, given) = (slot, kept.nonce());
            page.push(kept.seen.clone());
        }
        self.given = given;
        (page, next)
    }

    /// How many were sent up to this slot.
    pub(super) fn count(&self, to: u64) -> u64 {
        self.settled.count + self.up_to(to).count() as u64
    }

    fn up_to(&self, to: u64) -> impl Iterator<Item = &Kept> {
        let kept = self.kept.iter();
        kept.take_while(move |kept| kept.seen.block.number <= to)
    }

    /// Those with these nonces, if none of them was given away for good.
    pub(super) fn of(&self, nonces: &[u64]) -> Option<Vec<SeenTransfer>> {
        if nonces.iter().any(|nonce| *nonce <= self.settled.count) {
            return None;
        }
        let kept = self
            .kept
            .iter()
            .filter(|kept| nonces.contains(&kept.nonce()));
        Some(kept.map(|kept| kept.seen.clone()).collect())
    }
}

impl Kept {
    const fn nonce(&self) -> u64 {
        self.seen.transfer.nonce
    }

    fn point(&self) -> Point {
        Point {
            count: self.nonce(),
            hash: self.hash,
            slot: self.seen.block.number,
            signature: Some(self.signature),
        }
    }
}

impl From<&KnownTransfers> for Point {
    fn from(known: &KnownTransfers) -> Self {
        let mut running = RunningHash::from(0, B256::ZERO);
        for fact in &known.facts {
            running.add(*fact);
        }
        Self {
            count: known.facts.len() as u64,
            hash: running.hashes.last().copied().unwrap_or_default(),
            slot: known.block,
            signature: known.transaction.as_ref().try_into().ok().map(Signature),
        }
    }
}

#[cfg(test)]
mod tests;
