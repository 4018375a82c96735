//! Limits by key: how much per second, and how much at a time.
//!
//! Whatever is kept for a key has a bound on the number of keys, because keys are mostly free to make.
//! Time is an argument.
//!
//! # Design Decisions
//!
//! - The crate `governor` counts by key as well, but bounds no number of keys, and knows neither rates that
//!   change with the operator set nor tokens that are owed or given back.
//! - An account that is idle is as good as a new one. So it is forgotten first, and who is forgotten gains
//!   nothing by it.

mod accounts;
mod bucket;
mod shares;

use std::hash::Hash;

use quorate_proto::Timestamp;

pub use self::accounts::Accounts;
pub use self::bucket::{Bucket, Rate};
pub use self::shares::Shares;

/// A bucket for each key, all of one rate.
#[derive(Clone, Debug)]
pub struct RateLimiter<K> {
    rate: Rate,
    buckets: Accounts<K, Bucket>,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The key has used its rate up.
    Rate,
    /// Too many other keys are busy.
    Accounts,
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// For at most `most` keys at a time.
    #[must_use]
    pub fn new(rate: Rate, most: usize) -> Self {
        let buckets = Accounts::new(most);
        Self { rate, buckets }
    }

    /// Changes the rate of all keys; what they have in hand stays, up to the new burst.
    pub const fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    /// Takes `tokens` of a key, or nothing.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn take(&mut self, now: Timestamp, key: K, tokens: u32) -> Result<(), Exceeded> {
        let rate = self.rate;
        let bucket = self.bucket(now, key).ok_or(Exceeded::Accounts)?;
        match bucket.take(now, rate, tokens) {
            true => Ok(()),
            false => Err(Exceeded::Rate),
        }
    }

    /// The bucket of a key; `None` where too many others are in use.
    pub fn bucket(&mut self, now: Timestamp, key: K) -> Option<&mut Bucket> {
        let rate = self.rate;
        let is_idle = |bucket: &Bucket| bucket.is_full(now, rate);
        self.buckets.open(key, is_idle, || Bucket::full(now, rate))
    }

    /// Keys that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests;
