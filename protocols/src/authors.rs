//! What operators may publish, and what became of those that publish more, or what no honest operator signs.
//!
//! The author of a message is who signed its envelope, whichever peer forwarded it. Its messages, its entries
//! and its announcements are each counted against a bucket of its own. What it publishes beyond that is
//! not forwarded; who signs what no honest operator signs is not listened to for a while.
//!
//! # Design Decisions
//!
//! - Totals are for all operators together: what a node can bear does not grow with their number. Half
//!   of a total is split by stake, so that it takes stake to be loud; half of it evenly, because every
//!   operator answers every task, whatever its stake.
//! - Excess is no author's fault: buckets of two nodes are never quite alike. It is counted, and shown.
//! - Faults are counted only against envelopes that were verified: no sender can bring blame on another
//!   operator, nor use its allowance up.

use quorate_proto::{Address, OperatorSet, Timestamp, U256, limits};

use crate::limiter::{Accounts, Bucket, Rate};

/// Shares are counted in millionths.
const WHOLE: u64 = 1_000_000;
/// Seconds of its rate that an operator may use at once: what gathers while a node reads a chain.
const BURST_SECONDS: u32 = 2;
/// Tokens of a full bucket at least: two full batches, for operators with next to no share.
const MIN_BURST: u32 = 512;
const _: () = assert!(MIN_BURST as usize == 2 * limits::MAX_BATCH_ITEMS);
/// Faults within [`FAULT_WINDOW_MS`] for which an operator is not listened to.
const MAX_FAULTS: u32 = 5;
/// Faults are forgotten after this time without a new one.
const FAULT_WINDOW_MS: u64 = 60_000;
/// How long an operator is not listened to the first time; doubled each time, to at most 64 times this.
const MUTE_MS: u64 = 60_000;
/// An operator whose own peer sends this many times its share of messages is not merely busy.
const GROSS: u32 = 4;
/// What a task costs that is not taken because those before it came to nothing, in messages: of a share
/// of 1,000 messages a second, ten such tasks leave nothing.
const DOUBT_COST: u32 = 100;
/// Operators that are remembered: the members of two live sets, and some.
const MAX_AUTHORS: usize = 2 * limits::MAX_OPERATORS + 24;

/// What all operators together may publish per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Messages. One costs about 60 µs to open: 10,000 of them are 0.6 of a core.
    pub messages: u32,
    /// Entries, and signatures recovered for them. One costs about 35 µs: 20,000 are 0.7 of a core.
    pub entries: u32,
    /// Announcements of tasks. Each that is certified is open for 3 s: 2,000 are 6,000 open tasks.
    pub tasks: u32,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            messages: 10_000,
            entries: 20_000,
            tasks: 2_000,
        }
    }
}

/// What one operator may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Messages.
    pub messages: Rate,
    /// Entries, and signatures recovered for them.
    pub entries: Rate,
    /// Announcements of tasks.
    pub tasks: Rate,
}

impl Totals {
    /// The share of a member of the set.
    #[must_use]
    pub fn share(&self, set: &OperatorSet, operator: Address) -> Allowance {
        let millionths = millionths(set, operator);
        let rate = |total: u32| {
            let share = u64::from(total).saturating_mul(millionths) / WHOLE;
            let per_second = u32::try_from(share).unwrap_or(u32::MAX).max(1);
            Rate {
                per_second,
                burst: per_second.saturating_mul(BURST_SECONDS).max(MIN_BURST),
            }
        };
        Allowance {
            messages: rate(self.messages),
            entries: rate(self.entries),
            tasks: rate(self.tasks),
        }
    }
}

/// Half by stake, half by head. All members together have no more than the whole.
#[must_use]
pub fn millionths(set: &OperatorSet, operator: Address) -> u64 {
    let half = WHOLE / 2;
    let Some(member) = set.get(operator) else {
        return 0;
    };
    let heads = u64::try_from(set.members().len()).unwrap_or(u64::MAX);
    let by_head = half.checked_div(heads).unwrap_or_default();
    let scaled = member.weight.saturating_mul(U256::from(half));
    let by_stake = scaled.checked_div(set.total_weight()).unwrap_or_default();
    let by_stake = u64::try_from(by_stake).unwrap_or(half).min(half);
    by_head.saturating_add(by_stake)
}

/// Why a message of an operator is not worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Too many messages.
    #[error("more messages than the author's share")]
    Messages,
    /// Too many entries, or too many signatures in them.
    #[error("more entries than the author's share")]
    Entries,
    /// Too many announcements.
    #[error("more tasks than the author's share")]
    Tasks,
    /// Before, it signed what no honest operator signs.
    #[error("author is not listened to")]
    Muted,
}

const fn gross(rate: Rate) -> Rate {
    Rate {
        per_second: rate.per_second.saturating_mul(GROSS),
        burst: rate.burst.saturating_mul(GROSS),
    }
}

/// What is known of an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Messages that were worked on.
    pub accepted: u64,
    /// Messages that were ignored, because they were more than its share or because it is muted.
    pub ignored: u64,
    /// Messages with its signature that no honest operator signs.
    pub faults: u64,
    /// Until when it is not listened to.
    pub muted_until: Option<Timestamp>,
}

/// All operators that publish.
#[derive(Clone, Debug)]
pub struct Authors {
    totals: Totals,
    known: Accounts<Address, Author>,
}

#[derive(Clone, Copy, Debug)]
struct Author {
    messages: Bucket,
    entries: Bucket,
    tasks: Bucket,
    /// Messages that its own peer sent, at [`GROSS`] times the rate.
    direct: Bucket,
    standing: Standing,
    recent_faults: u32,
    last_fault: Timestamp,
    mutes: u32,
}

impl Author {
    fn new(now: Timestamp, allowance: Allowance) -> Self {
        Self {
            messages: Bucket::full(now, allowance.messages),
            entries: Bucket::full(now, allowance.entries),
            tasks: Bucket::full(now, allowance.tasks),
            direct: Bucket::full(now, gross(allowance.messages)),
            standing: Standing::default(),
            recent_faults: 0,
            last_fault: now,
            mutes: 0,
        }
    }

    fn is_muted(&self, now: Timestamp) -> bool {
        self.standing.muted_until.is_some_and(|until| now < until)
    }
}

impl Authors {
    /// No operator has published yet.
    #[must_use]
    pub fn new(totals: Totals) -> Self {
        Self {
            totals,
            known: Accounts::new(MAX_AUTHORS),
        }
    }

    /// Whether a message in the name of `author` is worth to be verified. Takes nothing: any peer can
    /// write any operator's name on a message.
    ///
    /// # Errors
    /// [`Excess`]; the message is counted as ignored.
    pub fn look(
        &mut self,
        now: Timestamp,
        set: &OperatorSet,
        author: Address,
        tasks: u32,
    ) -> Result<(), Excess> {
        let allowance = self.totals.share(set, author);
        let Some(known) = self.known.get_mut(&author) else {
            return Ok(());
        };
        let excess = if known.is_muted(now) {
            Excess::Muted
        } else if !known.messages.has_any(now, allowance.messages) {
            Excess::Messages
        } else if !known.entries.has_any(now, allowance.entries) {
            Excess::Entries
        } else if tasks > 0 && !known.tasks.has_any(now, allowance.tasks) {
            Excess::Tasks
        } else {
            return Ok(());
        };
        known.standing.ignored = known.standing.ignored.saturating_add(1);
        Err(excess)
    }

    /// Takes a verified message off the author's buckets.
    ///
    /// # Errors
    /// [`Excess`] where it does not fit. What it took before that is gone.
    pub fn admit(
        &mut self,
        now: Timestamp,
        set: &OperatorSet,
        author: Address,
        (tasks, entries): (u32, u32),
    ) -> Result<(), Excess> {
        let allowance = self.totals.share(set, author);
        let known = self.author(now, allowance, author);
        let taken = if known.is_muted(now) {
            Err(Excess::Muted)
        } else if !known.messages.take(now, allowance.messages, 1) {
            Err(Excess::Messages)
        } else if !known.tasks.take(now, allowance.tasks, tasks) {
            Err(Excess::Tasks)
        } else if !known.entries.take(now, allowance.entries, entries) {
            Err(Excess::Entries)
        } else {
            Ok(())
        };
        let count = match taken {
            Ok(()) => &mut known.standing.accepted,
            Err(_) => &mut known.standing.ignored,
        };
        *count = count.saturating_add(1);
        taken
    }

    /// Charges signatures that were recovered for a message of `author`.
    pub fn charge(&mut self, now: Timestamp, set: &OperatorSet, author: Address, recovered: u32) {
        let allowance = self.totals.share(set, author);
        let known = self.author(now, allowance, author);
        known.entries.charge(now, allowance.entries, recovered);
    }

    /// A task of `author` was not taken, because those before it came to nothing. Who goes on is heard less.
    pub fn doubt(&mut self, now: Timestamp, set: &OperatorSet, author: Address) {
        let allowance = self.totals.share(set, author);
        let known = self.author(now, allowance, author);
        if known.messages.has_any(now, allowance.messages) {
            known.messages.charge(now, allowance.messages, DOUBT_COST);
        }
    }

    /// A verified message of `author` that no honest operator signs. True where it is not listened to
    /// from now on.
    pub fn fault(&mut self, now: Timestamp, set: &OperatorSet, author: Address) -> bool {
        let allowance = self.totals.share(set, author);
        let known = self.author(now, allowance, author);
        if now.micros_since(known.last_fault) > FAULT_WINDOW_MS.saturating_mul(1_000) {
            known.recent_faults = 0;
        }
        known.last_fault = now;
        known.standing.faults = known.standing.faults.saturating_add(1);
        known.recent_faults = known.recent_faults.saturating_add(1);
        if known.recent_faults < MAX_FAULTS || known.is_muted(now) {
            return false;
        }
        known.recent_faults = 0;
        let factor = 1_u64.checked_shl(known.mutes.min(6)).unwrap_or(1);
        known.mutes = known.mutes.saturating_add(1);
        known.standing.muted_until = Some(now.plus_millis(MUTE_MS.saturating_mul(factor)));
        true
    }

    /// Takes a message that came over its author's own connection. True where these are far beyond its
    /// share, which the peer answers for; no other peer could have sent them.
    pub fn is_gross(&mut self, now: Timestamp, set: &OperatorSet, author: Address) -> bool {
        let allowance = self.totals.share(set, author);
        let known = self.author(now, allowance, author);
        !known.direct.take(now, gross(allowance.messages), 1)
    }

    /// What is known of an operator.
    #[must_use]
    pub fn standing(&self, now: Timestamp, operator: Address) -> Standing {
        let known = self.known.get(&operator).map(|known| known.standing);
        let mut standing = known.unwrap_or_default();
        standing.muted_until = standing.muted_until.filter(|until| now < *until);
        standing
    }

    /// Makes room by forgetting who was silent for longest; members of live sets are fewer than there
    /// are places.
    fn author(&mut self, now: Timestamp, allowance: Allowance, author: Address) -> &mut Author {
        let is_idle = |known: &Author| {
            known.messages.is_full(now, allowance.messages) && !known.is_muted(now)
        };
        let new = || Author::new(now, allowance);
        self.known.open_always(author, is_idle, new)
    }
}

#[cfg(test)]
mod tests;
