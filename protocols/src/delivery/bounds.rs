//! Numbers of the delivery machine, with their arithmetic.

/// Pauses before the first and each later attempt, in milliseconds; 510 s in all, then a dead letter.
pub const RETRY_PAUSES_MS: [u64; 5] = [0, 30_000, 60_000, 120_000, 300_000];

/// Deliveries of one lane that are not done. 16 nonces in each block of 12 s take 1,000 through in 13 minutes; at about
/// 400 bytes each they are 400 kB.
pub const MAX_QUEUED: usize = 1_000;

/// Nonces of one lane that are sent and not mined. Geth keeps 16 executable transactions for each account (`accountslots`)
/// whatever else is in its pool, and no pool less.
pub const MAX_IN_FLIGHT: usize = 16;

/// Deliveries of one lane that are looked up or estimated at a time: enough to fill [`MAX_IN_FLIGHT`] at once.
pub const MAX_PREPARING: usize = 16;

/// Nonces below a reserved one that are closed at a time where another process used the key and a reorg undid it.
pub const MAX_GAPS: usize = 16;

/// A question without answer is asked again, or its attempt given up, after this many milliseconds: a slow provider and
/// the next one take 2 s each, and there may be seven of them.
pub const ANSWER_MS: u64 = 15_000;

/// What was read of the contract's record counts for so long, in milliseconds: less than a block of 12 s.
pub const FRESH_MS: u64 = 10_000;

/// A delivery that another sender made is looked at again after this many milliseconds, until that is confirmed: a block.
pub(super) const SETTLE_MS: u64 = 12_000;

/// After a refusal the next provider is tried, or a higher fee, after this many milliseconds.
pub(super) const SOON_MS: u64 = 3_000;

/// Refusals of one transaction, by one provider after the other, that give its nonce to a cancelling one: three, so that
/// neither one provider nor its second request decides.
pub(super) const MAX_REJECTIONS: u32 = 3;

/// Questions for the contract's record without answer that give the nonce to a cancelling transaction: 45 s.
pub(super) const MAX_UNREAD: u32 = 3;

/// A delivery whose nonce is the next one to be mined, and is not for so many milliseconds, is cancelled: 25 blocks of
/// 12 s. Those behind it wait no longer than that and for the cancelling transaction.
pub const STUCK_MS: u64 = 300_000;

/// At least so many blocks have to pass in that time: a chain that stands still is no fault of a transaction.
pub(super) const STUCK_BLOCKS: u64 = 5;

/// Nonces below a reserved one that no process seems to use are closed after this many milliseconds: 5 blocks of 12 s, in
/// which what a reorg undid is usually mined again.
pub const GAP_MS: u64 = 60_000;

/// Where fees are above a delivery's budget it looks again after this many milliseconds.
pub(super) const FEES_MS: u64 = 30_000;

/// Where fees stay above a delivery's budget for so long it is a dead letter: spikes pass within hours.
pub const FEES_PATIENCE_MS: u64 = 6 * 3_600_000;

/// Where the sender has too little it looks again after this many milliseconds.
pub(super) const FUNDS_MS: u64 = 60_000;

/// A replacement pays an eighth more, and at least one unit: Geth and Nethermind ask for a tenth, others for an eighth.
pub(super) const BUMP_EIGHTHS: u128 = 9;

/// Percent of the estimate that a transaction may use: others may change the state in between.
pub(super) const GAS_MARGIN_PERCENT: u64 = 120;

/// Routes of one lane that can be stopped at a time; a route's record takes 300 bytes.
pub(super) const MAX_STOPPED: usize = 256;

/// Bytes that are kept of what a provider or contract said.
pub(super) const MAX_REASON_BYTES: usize = 256;

/// What a sender may spend, and how a chain is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePolicy {
    /// How transactions are kept from being executed twice.
    pub scheme: Scheme,
    /// Deliveries that are not done; more are refused.
    pub queued: usize,
    /// Transactions that are not mined.
    pub in_flight: usize,
    /// The price of a unit of gas that no delivery exceeds. Cancelling transactions may pay twice as much, so that
    /// whatever stands in the way of another delivery can be replaced.
    pub max_fee: u128,
    /// The first limit that an estimate gets; doubled where it is too low.
    pub first_gas: u64,
    /// The highest limit: half of a block at most.
    pub max_gas: u64,
    /// What a cancelling transaction takes.
    pub cancel_gas: u64,
    /// The chain is looked at so often, in milliseconds, while something is queued.
    pub poll_ms: u64,
    /// The same bytes are sent again so often, in milliseconds, each time by the next provider.
    pub resend_ms: u64,
    /// A transaction that is not mined is replaced after this many milliseconds.
    pub bump_ms: u64,
}

/// How a chain keeps transactions of one sender apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By nonces without gaps: each is mined once, and what is sent can be replaced (EVM).
    Nonces,
    /// By lifetimes: what is sent can be executed until a height, and not be replaced before (SVM).
    Lifetimes,
}

impl LanePolicy {
    /// For EVM chains: blocks of 12 s, 30 M gas in each, at most 500 gwei.
    #[must_use]
    pub const fn evm() -> Self {
        Self {
            scheme: Scheme::Nonces,
            queued: MAX_QUEUED,
            in_flight: MAX_IN_FLIGHT,
            max_fee: 500_000_000_000,
            first_gas: 1_000_000,
            max_gas: 15_000_000,
            cancel_gas: 21_000,
            poll_ms: 12_000,
            resend_ms: 15_000,
            bump_ms: 36_000,
        }
    }

    /// For SVM chains. Gas is compute units; fees, budgets and balances are in millionths of a lamport.
    #[must_use]
    pub const fn svm() -> Self {
        Self {
            scheme: Scheme::Lifetimes,
            max_fee: 10_000_000,
            first_gas: 400_000,
            max_gas: 1_400_000,
            cancel_gas: 0,
            poll_ms: 4_000,
            resend_ms: 2_000,
            ..Self::evm()
        }
    }
}
