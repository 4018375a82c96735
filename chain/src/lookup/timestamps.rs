//! Finds the last block that is not later than a point in time.

use crate::BlockRef;

/// Blocks that are asked for at once: they share one request, and fewer rounds take less time.
const PROBES: u32 = 4;

/// How far below the head the first probe is; the next ones are 8, 64, 512 times as far.
const FIRST_REACH: u64 = 16;

/// A search between two blocks of known time, most of which time is spent waiting for headers.
///
/// # Design Decisions
///
/// Nodes are asked about the recent past, so the search goes down from the head in growing
/// strides and does not need block 0. Between two blocks it guesses by the average block time,
/// with a safety margin of the square root of the distance on both sides, and always asks for
/// the middle too: about five rounds on a regular chain, and never more than a binary search.
#[derive(Debug)]
pub struct TimestampSearch {
    target: u64,
    /// Highest known block that is not later.
    low: Option<BlockRef>,
    /// Lowest known block that is later.
    high: BlockRef,
    reach: u64,
}

/// What the search needs or has found.
#[derive(Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// These blocks, via [`TimestampSearch::observe`].
    Probe(Vec<u64>),
    /// The block.
    Found(BlockRef),
    /// Even block 0, with this timestamp, is later.
    TooEarly(u64),
}

impl TimestampSearch {
    /// `later` is any block whose time is above `target`.
    #[must_use]
    pub const fn new(target: u64, later: BlockRef) -> Self {
        Self {
            target,
            low: None,
            high: later,
            reach: FIRST_REACH,
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> SearchStep {
        match self.low {
            Some(low) if low.number + 1 >= self.high.number => SearchStep::Found(low),
            Some(low) => SearchStep::Probe(self.between(low)),
            None if self.high.number == 0 => SearchStep::TooEarly(self.high.timestamp),
            None => SearchStep::Probe(self.below()),
        }
    }

    /// A block that was asked for.
    pub fn observe(&mut self, block: BlockRef) {
        if block.timestamp > self.target {
            if block.number < self.high.number {
                self.high = block;
            }
        } else if self.low.is_none_or(|low| block.number > low.number) {
            self.low = Some(block);
        }
    }

    fn below(&mut self) -> Vec<u64> {
        let mut probes = Vec::new();
        for _ in 0..PROBES {
            probes.push(self.high.number.saturating_sub(self.reach));
            self.reach = self.reach.saturating_mul(8);
        }
        probes.dedup();
        probes
    }

    fn between(&self, low: BlockRef) -> Vec<u64> {
        let (first, last) = (low.number + 1, self.high.number - 1);
        let distance = self.high.number - low.number;
        let margin = distance.isqrt();
        let guess = low.number + self.share(low, distance);
        let mut probes: Vec<u64> = [
            guess.saturating_sub(margin),
            guess,
            guess.saturating_add(margin),
            low.number + distance / 2,
        ]
        .iter()
        .map(|probe| (*probe).clamp(first, last))
        .collect();
        probes.sort_unstable();
        probes.dedup();
        probes
    }

    /// The part of `distance` blocks that falls to the time up to the target.
    fn share(&self, low: BlockRef, distance: u64) -> u64 {
        let span = self.high.timestamp.saturating_sub(low.timestamp).max(1);
        let part = self.target.saturating_sub(low.timestamp);
        let share = u128::from(distance) * u128::from(part) / u128::from(span);
        u64::try_from(share).unwrap_or(distance).min(distance)
    }
}

#[cfg(test)]
mod tests;
