//! What goes into the delivery machine and what comes out.

use super::fees::Fees;
use super::record::{
    Delivery, DeliveryId, DeliveryRecord, LaneId, Reason, Record, RecordKey, Route,
};

/// What a [`Dispatcher`](super::Dispatcher) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Something is to be delivered, by the service that has its certificate. Again for a dead letter that is to be
    /// tried again.
    Queue(Delivery),
    /// A lane's chain at a head: the answer to [`Output::Look`], and of its own accord with every new head.
    Viewed(LaneId, View),
    /// The contract's own record of a delivery: the answer to [`Output::AskRecord`], or what the shell has seen of others'
    /// deliveries.
    Judged(DeliveryId, OnChain),
    /// The answer to [`Output::Estimate`]: the gas that it takes, or what was said instead.
    Estimated(DeliveryId, Result<u64, Reason>),
    /// The answer to [`Output::Send`].
    Sent {
        /// Which transaction.
        tx: TxKey,
        /// The height after which it cannot be mined, where transactions have a lifetime; also where the provider
        /// refused what was signed.
        valid_until: Option<u64>,
        /// Whether a provider took it. What it says otherwise decides nothing alone.
        answer: Result<(), Reason>,
    },
    /// The answer to [`Output::AskReceipt`].
    Receipt {
        /// Whose nonce.
        lane: LaneId,
        /// Which nonce.
        nonce: u64,
        /// What became of the transactions with this nonce.
        found: Found,
    },
    /// A delivery does not wait for its pause any more, and has all its attempts again, by its operator.
    Retry(DeliveryId),
    /// A delivery is not wanted any more, by its operator. It is a dead letter once it cannot be mined.
    Withdraw(DeliveryId),
    /// Nothing new is sent in a lane, or for one route of it, by its operator; what was sent is still brought to its end.
    Pause(LaneId, Option<Route>),
    /// A lane or a route goes on, by its operator.
    Resume(LaneId, Option<Route>),
    /// The time that [`Dispatcher::next_wake`](super::Dispatcher::next_wake) named has come.
    Wake,
}

/// What a lane's chain looks like at a head, as enough of its providers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The head's height.
    pub height: u64,
    /// The sender's next nonce at the head.
    pub nonce: u64,
    /// The sender's next nonce at the newest confirmed block: so many blocks below the head, or the final one.
    pub confirmed_nonce: u64,
    /// What the sender has.
    pub balance: u128,
    /// The base fee of the next block; 0 where there is none.
    pub base_fee: u128,
    /// What gets a transaction into the next blocks on top of it.
    pub tip: u128,
}

/// What the contract's record says of a delivery. Read anew, at the head and at the newest confirmed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnChain {
    /// Not executed: it may be sent.
    Open,
    /// Executed, by whomever; or what this relayer has to add is there.
    Done {
        /// Also at the newest confirmed block.
        confirmed: bool,
    },
    /// It can never be executed any more, and why; at the newest confirmed block.
    Gone(String),
}

/// Names one signed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxKey {
    /// Whose.
    pub lane: LaneId,
    /// Its nonce, or serial number where there are none.
    pub nonce: u64,
    /// Which of the transactions with this nonce.
    pub attempt: u32,
}

/// What became of the transactions with one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// One of them was executed in a confirmed block.
    Mined {
        /// Which one.
        attempt: u32,
        /// How that ended.
        effect: Effect,
        /// What it cost.
        cost: u128,
    },
    /// One of them was executed in a block that is not confirmed.
    Unconfirmed,
    /// None is known at this height, which is a confirmed one.
    Missing {
        /// Which one.
        height: u64,
        /// The height after which what was signed cannot be mined, where transactions have a lifetime.
        valid_until: Option<u64>,
    },
    /// None was signed, and none will be for what was asked until now.
    Unsigned,
}

/// How an executed transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Well.
    Success,
    /// It was undone.
    Reverted,
    /// It was undone as it ran out of gas.
    OutOfGas,
}

/// What a [`Dispatcher`](super::Dispatcher) wants done.
///
/// What is to be written comes first: all of it goes to disk at once and is synced before anything else of the same
/// outputs is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this record.
    Keep(Record),
    /// Delete this record; with a nonce also the transactions that were signed for it.
    Forget(RecordKey),
    /// Delete the delivery's record and note that it is done: the contract's record says so at a confirmed block.
    Done(DeliveryRecord),
    /// Move the delivery's record to the dead letters. It is tried again by [`Input::Queue`].
    DeadLetter(DeliveryRecord, Reason),
    /// Find out how a lane's chain looks.
    Look(LaneId),
    /// Find out what the contract's record says of a delivery.
    AskRecord(DeliveryId),
    /// Find out how much gas a delivery takes.
    Estimate {
        /// Which one.
        id: DeliveryId,
        /// The limit that the estimate gets.
        limit: u64,
    },
    /// Send the transaction that was signed under this key. Where there is none, sign it, write it, then send it.
    Send {
        /// Which transaction.
        tx: TxKey,
        /// What it does; `None` for one that does nothing and closes its nonce.
        delivery: Option<DeliveryId>,
        /// What it pays.
        fees: Fees,
        /// Its limit of gas.
        gas: u64,
        /// How often it was sent: by the first provider, then by the next one, and so on in a circle.
        round: u32,
    },
    /// Find out what became of all transactions that were signed with a nonce.
    AskReceipt(LaneId, u64),
    /// Tell the operator.
    Alert(Alert),
}

impl Output {
    /// Whether it is written, before anything else is done.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Keep(_) | Self::Forget(_) | Self::Done(_) | Self::DeadLetter(..)
        )
    }
}

/// What an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// The sender has too little for what waits. Said once, until something can be sent again.
    Starved {
        /// Whose.
        lane: LaneId,
        /// What it has.
        balance: u128,
        /// What it needs.
        needed: u128,
    },
    /// A lane or a route was stopped, until [`Input::Resume`].
    Stopped(LaneId, Option<Route>, Reason),
    /// A nonce is held up, and with it all behind it: twice the lane's limit, or the funds, are not enough to close it, or
    /// the providers refuse even the cancelling transaction. Said once for a nonce.
    Stuck(LaneId, u64, Reason),
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No key sends there.
    #[error("no lane is configured for {0}; configure the chain and its sender")]
    UnknownLane(LaneId),
    /// [`LanePolicy::queued`](super::LanePolicy::queued).
    #[error(
        "{most} deliveries wait for {lane}, which is the most it takes; try again when some are done"
    )]
    Full {
        /// Where.
        lane: LaneId,
        /// Its bound.
        most: usize,
    },
    /// It is under way already.
    #[error("delivery {0} is under way already")]
    Known(DeliveryId),
    /// It is not under way.
    #[error("delivery {0} is not under way; if it is a dead letter, queue it again")]
    UnknownDelivery(DeliveryId),
}

impl Refused {
    /// Whether the same input may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
