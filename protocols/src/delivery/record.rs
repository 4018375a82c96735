//! What is written, and what the machine is built of again after a restart.

use std::fmt;

use quorate_proto::{B256, Timestamp};

use super::bounds::MAX_REASON_BYTES;
use super::fees::Fees;

/// Names a delivery: one certificate's way to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub B256);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A target chain and the key that sends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// The target chain.
    pub chain: u64,
    /// The sender: a public key, or an address with zeros on the left.
    pub sender: B256,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sender {} on chain {}", self.sender, self.chain)
    }
}

/// Names what several deliveries have in common: a bridge's route, a feed. What the contract refuses to its sender stops one route, not
/// the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(pub B256);

/// What is to be delivered. The payload is the shell's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Names it.
    pub id: DeliveryId,
    /// Where to, and by whom.
    pub lane: LaneId,
    /// What it belongs to.
    pub route: Route,
    /// Higher ones go first; among equals those that came first.
    pub priority: u8,
    /// Not sent earlier: this relayer's stage ([`stage_delay`](super::stage_delay)).
    pub not_before: Timestamp,
    /// Not sent later.
    pub deadline: Option<Timestamp>,
    /// Waits until this one is done or dead. What is not known when this one is queued is not waited for, so no circle
    /// can be made.
    pub needs: Option<DeliveryId>,
    /// What all of its transactions together may cost, in the smallest unit of the chain's coin.
    pub budget: u128,
}

/// Why something did not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What it means.
    pub class: Class,
    /// What was said; the first 256 bytes are kept. For people.
    pub text: String,
}

impl Reason {
    /// A reason of this class.
    #[must_use]
    pub fn new(class: Class, text: &str) -> Self {
        let end = text.floor_char_boundary(MAX_REASON_BYTES);
        let text = text[..end].to_owned();
        Self { class, text }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.as_str() {
            "" => f.write_str(self.class.describe()),
            text => write!(f, "{}: {text}", self.class.describe()),
        }
    }
}

/// What a reason means. The shell tells the classes of the first group: contract errors by their selector, and what
/// a provider says by its code and text, which is a hint and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// No provider answered.
    Unreachable,
    /// The limit of gas is too low.
    GasTooLow,
    /// The fee is too low, for the pool or for a replacement.
    Underpriced,
    /// The nonce was used, or the very transaction is known.
    NonceUsed,
    /// The sender has too little.
    Funds,
    /// The provider does not take this transaction.
    Rejected,
    /// The contract refuses, which may pass (an empty vault).
    Reverted,
    /// The contract says that it was executed already.
    Taken,
    /// The contract refuses for good (a receiver that is unreadable).
    Hopeless,
    /// The contract refuses this sender or this route: nothing goes on until its operator has looked.
    Misconfigured,

    /// Its deadline is over.
    Expired,
    /// Fees are above its budget.
    OverBudget,
    /// The contract's record says that it can never be executed any more.
    Gone,
    /// It was executed and confirmed, and the contract's record does not show it.
    NoEffect,
    /// It was not mined in the lifetime of its transaction, or for long though it pays what blocks take.
    Lapsed,
    /// Its operator withdrew it.
    Withdrawn,
    /// Its operator stopped the lane or the route.
    Paused,
}

impl Class {
    /// Whether another attempt may do better, without anybody's help.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        !matches!(
            self,
            Self::Hopeless | Self::Misconfigured | Self::Expired | Self::Gone | Self::Withdrawn
        )
    }

    /// For people.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Unreachable => "no provider answered",
            Self::GasTooLow => "the limit of gas is too low",
            Self::Underpriced => "the fee is too low",
            Self::NonceUsed => "the nonce was used",
            Self::Funds => "the sender has too little",
            Self::Rejected => "the providers do not take it",
            Self::Reverted => "the contract refuses it now",
            Self::Taken => "the contract says that it was executed, its record does not",
            Self::Hopeless => "the contract refuses it for good",
            Self::Misconfigured => "the contract refuses this sender or route",
            Self::Expired => "its deadline is over",
            Self::OverBudget => "fees are above its budget",
            Self::Gone => "it can never be executed any more",
            Self::NoEffect => "it was executed without effect",
            Self::Lapsed => "it was not mined in time",
            Self::Withdrawn => "it was withdrawn",
            Self::Paused => "it was stopped by its operator",
        }
    }
}

/// What is kept of a delivery that is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// What it is.
    pub delivery: Delivery,
    /// Its place among those of its priority.
    pub place: u64,
    /// Not looked at earlier: its stage, or the pause after an attempt.
    pub until: Timestamp,
    /// Attempts that have failed.
    pub failures: u32,
    /// What they cost.
    pub spent: u128,
    /// The gas that it took at the last estimate, or must get since it ran out of it; 0 before.
    pub gas: u64,
    /// Since when fees are above its budget.
    pub dear_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub last: Option<Reason>,
    /// An attempt is over for this reason, unless the contract's record says that it is done.
    pub verdict: Option<Reason>,
}

/// What is kept of a reserved nonce until its end is confirmed. On chains without nonces it is a serial number of
/// this sender's transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonceRecord {
    /// Whose.
    pub lane: LaneId,
    /// Which one.
    pub nonce: u64,
    /// What it is for; `None` where it only fills a gap.
    pub delivery: Option<DeliveryId>,
    /// The last transaction, counted from 0. Each replaces the one before.
    pub attempt: u32,
    /// Since which attempt they are cancelling ones, and why.
    pub cancel: Option<(u32, Reason)>,
    /// When the last one was made.
    pub made: Timestamp,
    /// Since when, and which head, it is the next one to be mined.
    pub leads: Option<(Timestamp, u64)>,
    /// What the last one pays.
    pub fees: Fees,
    /// The last one's limit of gas.
    pub gas: u64,
    /// The height after which it cannot be mined any more, on chains with lifetimes; `None` until it is signed.
    pub valid_until: Option<u64>,
}

/// A record to be written. It replaces the one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A delivery that is not done.
    Delivery(DeliveryRecord),
    /// A nonce that is reserved.
    Nonce(NonceRecord),
    /// A lane, or one route of it, that was stopped.
    Stopped(LaneId, Option<Route>, Reason),
}

impl Record {
    /// Under which it is written.
    #[must_use]
    pub const fn key(&self) -> RecordKey {
        match self {
            Self::Delivery(record) => RecordKey::Delivery(record.delivery.id),
            Self::Nonce(record) => RecordKey::Nonce(record.lane, record.nonce),
            Self::Stopped(lane, route, _) => RecordKey::Stopped(*lane, *route),
        }
    }
}

/// Names a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// Of a delivery.
    Delivery(DeliveryId),
    /// Of a nonce.
    Nonce(LaneId, u64),
    /// Of a lane that was stopped, or a route of it.
    Stopped(LaneId, Option<Route>),
}
