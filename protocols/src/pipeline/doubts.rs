//! Whose tasks came to nothing here, and so have fewer places.
//!
//! A task costs its author one signature and every other operator a read, a signature and room in its
//! store. An honest operator reads before it announces, so others read the same.
//!
//! # Design Decisions
//!
//! - It is a limit, no punishment: answers of a doubted operator count as before, no operator is told, and
//!   nothing of it outlives a minute and a half. Whose providers lied for a while is believed again when its
//!   tasks are.
//! - This node may be the one that is wrong. A certificate for what it refused shows it, and ends all of
//!   its doubts.

use quorate_proto::{Address, Timestamp, limits};

use crate::limiter::{Accounts, Bucket, Rate};

/// A full bucket is no doubt; it is full again 64 s after the last task that came to nothing, or a little
/// later.
const RATE: Rate = Rate {
    per_second: 1,
    burst: 64,
};
/// What a task that came to nothing costs, and an open one takes as long as there is a doubt: the 16th in a
/// row is the last one.
const COST: u32 = 4;
/// Tokens from which on nothing more is taken, so that the next task has a place after 12 s at the latest.
const FEWEST: i64 = -4;
/// Operators that are doubted: the members of two live sets, and some.
const MAX_DOUBTED: usize = 2 * limits::MAX_OPERATORS + 24;

/// Operators whose tasks came to nothing lately.
#[derive(Clone, Debug)]
pub(super) struct Doubts(Accounts<Address, Bucket>);

impl Default for Doubts {
    fn default() -> Self {
        Self(Accounts::new(MAX_DOUBTED))
    }
}

impl Doubts {
    /// How many tasks of this operator may be open without certificate; `None` where it is not doubted.
    pub(super) fn places(&self, now: Timestamp, author: Address) -> Option<usize> {
        let bucket = self.0.get(&author)?;
        if bucket.is_full(now, RATE) {
            return None;
        }
        let tokens = usize::try_from(bucket.tokens(now, RATE)).unwrap_or_default();
        tokens.checked_div(COST as usize)
    }

    /// A task of this operator came to nothing.
    pub(super) fn failed(&mut self, now: Timestamp, author: Address) {
        let is_idle = |bucket: &Bucket| bucket.is_full(now, RATE);
        let bucket = self.0.open(author, is_idle, || Bucket::full(now, RATE));
        if let Some(bucket) = bucket.filter(|bucket| bucket.tokens(now, RATE) > FEWEST) {
            bucket.charge(now, RATE, COST);
        }
    }

    /// This node read the same as this operator.
    pub(super) fn agreed(&mut self, now: Timestamp, author: Address) {
        if let Some(bucket) = self.0.get_mut(&author) {
            bucket.give(now, RATE, COST);
        }
    }

    /// Others certified what this node refused.
    pub(super) fn was_wrong(&mut self) {
        self.0.clear();
    }
}
