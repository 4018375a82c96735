//! What goes into the membership machine and what comes out.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use quorate_proto::{
    Address, Epoch, LogPosition, Member, OperatorSet, TaskId, Timestamp, Transition, limits,
};

/// What a [`Membership`](super::Membership) is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An operator registered, in a final block, by the home chain's driver.
    Registered {
        /// Who.
        operator: Address,
        /// Where that event is.
        log: LogPosition,
        /// The effective epoch of its block.
        active_epoch: Epoch,
    },
    /// An operator deregistered, in a final block, by the home chain's driver.
    Deregistered {
        /// Who.
        operator: Address,
        /// Where that event is.
        log: LogPosition,
        /// The effective epoch of its block.
        exit_epoch: Epoch,
    },
    /// A peer has proved that it holds the operator's keys, by the driver that checked it.
    Joined {
        /// For whom it speaks.
        operator: Address,
        /// Its Ed25519 public key.
        peer_key: [u8; 32],
        /// A higher one replaces a lower one.
        sequence: u64,
        /// It is the one that counts for this operator: it replaces any other one, since the key that made
        /// that may be gone.
        counts: bool,
    },
    /// An epoch has begun at a final block, by the epoch machine. The events of all blocks before
    /// it must have been told already.
    EpochBegan {
        /// Its operators: who is registered and not among them has too little weight.
        set: Arc<OperatorSet>,
        /// The final block.
        block: u64,
    },
    /// The window of a task is over, by the driver that counted. Once per task.
    TaskClosed(ClosedTask),
    /// What other registries count against an operator, by the driver that hears them.
    Witnessed {
        /// Who missed.
        operator: Address,
        /// The count of each registry that speaks, this one left out.
        misses: Vec<u32>,
        /// How many registries there are, this one and those that are silent included.
        registries: usize,
    },
    /// A suspended operator may answer again, by the administrator of the registry.
    Reinstated {
        /// Who.
        operator: Address,
        /// By whom, for the event log; its first 256 bytes are kept.
        by: String,
    },
}

/// Who answered a task, as this registry heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedTask {
    /// Which task.
    pub task: TaskId,
    /// When this registry first heard of it.
    pub began: Timestamp,
    /// Who was asked: the set of its birth epoch.
    pub asked: Arc<OperatorSet>,
    /// Who signed its statement within the window.
    pub signed: BTreeSet<Address>,
    /// Who refused within the window.
    pub refused: BTreeSet<Address>,
}

/// What a [`Membership`](super::Membership) wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this record: the operator's status, binding, misses or dates have changed.
    Keep(Member),
    /// This peer speaks for the operator from now on; what was agreed with the other one is void.
    Bound {
        /// For whom it speaks.
        operator: Address,
        /// Who speaks.
        peer_key: [u8; 32],
        /// Who spoke until now, where that is another peer.
        replaced: Option<[u8; 32]>,
    },
    /// The status of an operator has changed: append it to the event log and tell the others.
    Transition(Transition),
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No registration of this operator is final.
    #[error(
        "{0} is not registered on the home chain, as far as its final blocks say; register first, or wait until the registration is final"
    )]
    UnknownOperator(Address),
    /// The operator has left.
    #[error("{0} has deregistered; register again first")]
    Deregistered(Address),
    /// A join that was replaced already.
    #[error("a join with sequence {known} is known, {sequence} is not above it")]
    StaleJoin {
        /// Of the newest join.
        known: u64,
        /// Of this one.
        sequence: u64,
    },
    /// There is nothing to reinstate.
    #[error("{0} is not suspended")]
    NotSuspended(Address),
    /// [`limits::MAX_MEMBERS`].
    #[error("{max} operators are known, which is the most this registry keeps", max = limits::MAX_MEMBERS)]
    TooManyMembers,
}

impl Refused {
    /// Whether the same input may succeed later. None of them is the fault of the operator or of the caller.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::UnknownOperator(_))
    }
}

/// How a suspension ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reinstatement {
    /// When the registry says so ([`Input::Reinstated`]).
    #[default]
    Manual,
    /// With the next epoch, which forgives misses to all; or earlier when the registry says so.
    NextEpoch,
}

impl FromStr for Reinstatement {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "manual" => Ok(Self::Manual),
            "next-epoch" => Ok(Self::NextEpoch),
            _ => Err("no such way to end a suspension"),
        }
    }
}

/// The rules of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So many misses suspend an operator; at least 1.
    pub misses: u32,
    /// How a suspension ends.
    pub reinstatement: Reinstatement,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            misses: limits::MAX_MISSES,
            reinstatement: Reinstatement::Manual,
        }
    }
}
