//! An operator's place in the network: plain data that a registry decides about, keeps and tells.

use alloy_primitives::Address;

use crate::store::{self, MembershipRecord};
use crate::wire_error::{address, b256};
use crate::{Epoch, Timestamp, WireError, limits, wire};

/// Where an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorStatus {
    /// Registered on the home chain, but no peer has joined for it yet.
    WaitingJoin,
    /// Joined; its first epoch has not begun.
    WaitingActive,
    /// In the set of the current epoch, and expected to answer.
    Active,
    /// Out of the set; the cause says whether by its exit or for want of weight.
    Unactive,
    /// In the set, but it missed too many tasks.
    Suspended,
}

/// Why an operator's status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LifecycleCause {
    /// It registered on the home chain, or did so again.
    Registered,
    /// It proved to a registry that it holds its keys.
    Joined,
    /// An epoch began whose set it belongs to.
    EpochBegan,
    /// An epoch began whose set it does not belong to, although it is registered.
    BelowMinimum,
    /// It deregistered on the home chain, and the epoch has begun from which that counts.
    Deregistered,
    /// It missed too many tasks.
    Missed,
    /// The registry let it answer again.
    Reinstated,
}

/// Where on the home chain an event is. Later events are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Number of its block.
    pub block: u64,
    /// Its place among the events of that block.
    pub index: u32,
}

/// From this epoch on an operator is registered, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationChange {
    /// The first epoch for which it counts.
    pub epoch: Epoch,
    /// Registered, or not.
    pub registered: bool,
}

/// The peer that speaks for an operator since its join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its Ed25519 public key.
    pub peer_key: [u8; 32],
    /// A join with a higher one replaces this one.
    pub sequence: u64,
    /// When it joined, on the registry's clock.
    pub at: Timestamp,
}

/// All that a registry knows of one operator's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub operator: Address,
    /// Where it stands.
    pub status: OperatorStatus,
    /// Why.
    pub cause: LifecycleCause,
    /// Since when, on the registry's clock.
    pub since: Timestamp,
    /// Strictly ascending by epoch: the change in effect, then those to come.
    pub changes: Vec<RegistrationChange>,
    /// The newest event of it that was taken from the home chain.
    pub log: LogPosition,
    /// Who speaks for it.
    pub binding: Option<Binding>,
    /// Tasks that it missed and that count.
    pub misses: u32,
    /// The epoch of the newest of them.
    pub missed_in: Epoch,
    /// Signatures within the window on statements that were certified.
    pub successful_responses: u64,
}

/// One change of an operator's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whose.
    pub operator: Address,
    /// `None` where it was not known before; the same as `to` where only the cause changed.
    pub from: Option<OperatorStatus>,
    /// What it is now.
    pub to: OperatorStatus,
    /// Why.
    pub cause: LifecycleCause,
    /// Who reinstated it, or the last task that it missed; empty for other causes.
    pub note: String,
    /// When, on the registry's clock.
    pub at: Timestamp,
    /// The newest block of the home chain that the registry had followed.
    pub block: u64,
}

impl OperatorStatus {
    /// The status in a word, as people and JSON have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingJoin => "waitingJoin",
            Self::WaitingActive => "waitingActive",
            Self::Active => "active",
            Self::Unactive => "unactive",
            Self::Suspended => "suspended",
        }
    }
}

impl LifecycleCause {
    /// The cause in a few words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Joined => "joined the network",
            Self::EpochBegan => "an epoch began in which it serves",
            Self::BelowMinimum => "its weight is below the minimum",
            Self::Deregistered => "deregistered",
            Self::Missed => "missed too many tasks",
            Self::Reinstated => "reinstated",
        }
    }
}

impl Transition {
    /// The event for the log and for other registries. `sequence` is its number there, from 1.
    #[must_use]
    pub fn to_event(&self, sequence: u64) -> wire::LifecycleEvent {
        let status = |status: OperatorStatus| wire::OperatorStatus::from(status).into();
        let end = self.note.floor_char_boundary(limits::MAX_DETAIL_BYTES);
        wire::LifecycleEvent {
            sequence,
            operator: self.operator.to_vec(),
            from: self.from.map_or(0, status),
            to: status(self.to),
            cause: wire::LifecycleCause::from(self.cause).into(),
            note: self.note[..end].to_owned(),
            at_micros: self.at.0,
            block_number: self.block,
        }
    }
}

impl TryFrom<&wire::LifecycleEvent> for Transition {
    type Error = WireError;

    fn try_from(event: &wire::LifecycleEvent) -> Result<Self, WireError> {
        if event.note.len() > limits::MAX_DETAIL_BYTES {
            return Err(WireError::new("note", "must have at most 256 bytes"));
        }
        let from = (event.from != 0).then(|| status("from", event.from));
        Ok(Self {
            operator: address("operator", &event.operator)?,
            from: from.transpose()?,
            to: status("to", event.to)?,
            cause: cause("cause", event.cause)?,
            note: event.note.clone(),
            at: Timestamp(event.at_micros),
            block: event.block_number,
        })
    }
}

/// What the registry tells of a member. Its signed binding and its addresses are for the caller to
/// add.
impl From<&Member> for wire::OperatorState {
    fn from(member: &Member) -> Self {
        let last = |registered| {
            let mut changes = member.changes.iter();
            let change = changes.rfind(|change| change.registered == registered);
            change.map(|change| change.epoch.0).unwrap_or_default()
        };
        let (active_epoch, exit_epoch) = (last(true), last(false));
        Self {
            operator: member.operator.to_vec(),
            status: wire::OperatorStatus::from(member.status).into(),
            cause: wire::LifecycleCause::from(member.cause).into(),
            since_micros: member.since.0,
            binding: None,
            addresses: Vec::new(),
            misses: member.misses,
            successful_responses: member.successful_responses,
            active_epoch,
            exit_epoch: if exit_epoch > active_epoch {
                exit_epoch
            } else {
                0
            },
        }
    }
}

impl From<&Member> for MembershipRecord {
    fn from(member: &Member) -> Self {
        let change = |change: &RegistrationChange| store::RegistrationChange {
            epoch: change.epoch.0,
            registered: change.registered,
        };
        let binding = member.binding;
        Self {
            operator: member.operator.to_vec(),
            status: wire::OperatorStatus::from(member.status).into(),
            cause: wire::LifecycleCause::from(member.cause).into(),
            since_micros: member.since.0,
            changes: member.changes.iter().map(change).collect(),
            log_block: member.log.block,
            log_index: member.log.index,
            peer_key: binding.map(|b| b.peer_key.to_vec()).unwrap_or_default(),
            join_sequence: binding.map(|b| b.sequence).unwrap_or_default(),
            joined_micros: binding.map(|b| b.at.0).unwrap_or_default(),
            misses: member.misses,
            missed_in: member.missed_in.0,
            successful_responses: member.successful_responses,
        }
    }
}

impl TryFrom<&MembershipRecord> for Member {
    type Error = WireError;

    fn try_from(record: &MembershipRecord) -> Result<Self, WireError> {
        let change = |change: &store::RegistrationChange| RegistrationChange {
            epoch: Epoch(change.epoch),
            registered: change.registered,
        };
        let changes: Vec<_> = record.changes.iter().map(change).collect();
        if !changes.is_sorted_by(|a, b| a.epoch < b.epoch) {
            return Err(WireError::new("changes", "must ascend by epoch"));
        }
        Ok(Self {
            operator: address("operator", &record.operator)?,
            status: status("status", record.status)?,
            cause: cause("cause", record.cause)?,
            since: Timestamp(record.since_micros),
            changes,
            log: LogPosition {
                block: record.log_block,
                index: record.log_index,
            },
            binding: binding(record)?,
            misses: record.misses,
            missed_in: Epoch(record.missed_in),
            successful_responses: record.successful_responses,
        })
    }
}

fn binding(record: &MembershipRecord) -> Result<Option<Binding>, WireError> {
    if record.peer_key.is_empty() {
        return Ok(None);
    }
    Ok(Some(Binding {
        peer_key: b256("peer_key", &record.peer_key)?.0,
        sequence: record.join_sequence,
        at: Timestamp(record.joined_micros),
    }))
}

fn status(field: &'static str, number: i32) -> Result<OperatorStatus, WireError> {
    let status = wire::OperatorStatus::try_from(number).unwrap_or_default();
    OperatorStatus::from_wire(status).ok_or_else(|| WireError::new(field, "is not a status"))
}

impl OperatorStatus {
    /// As it was sent; `None` where the sender knows of none.
    #[must_use]
    pub const fn from_wire(status: wire::OperatorStatus) -> Option<Self> {
        use wire::OperatorStatus as Wire;
        match status {
            Wire::Unspecified => None,
            Wire::WaitingJoin => Some(Self::WaitingJoin),
            Wire::WaitingActive => Some(Self::WaitingActive),
            Wire::Active => Some(Self::Active),
            Wire::Unactive => Some(Self::Unactive),
            Wire::Suspended => Some(Self::Suspended),
        }
    }
}

fn cause(field: &'static str, number: i32) -> Result<LifecycleCause, WireError> {
    use wire::LifecycleCause as Wire;
    match Wire::try_from(number) {
        Ok(Wire::Registered) => Ok(LifecycleCause::Registered),
        Ok(Wire::Joined) => Ok(LifecycleCause::Joined),
        Ok(Wire::EpochBegan) => Ok(LifecycleCause::EpochBegan),
        Ok(Wire::BelowMinimum) => Ok(LifecycleCause::BelowMinimum),
        Ok(Wire::Deregistered) => Ok(LifecycleCause::Deregistered),
        Ok(Wire::Missed) => Ok(LifecycleCause::Missed),
        Ok(Wire::Reinstated) => Ok(LifecycleCause::Reinstated),
        Ok(Wire::Unspecified) | Err(_) => Err(WireError::new(field, "is not a cause")),
    }
}

impl From<OperatorStatus> for wire::OperatorStatus {
    fn from(status: OperatorStatus) -> Self {
        match status {
            OperatorStatus::WaitingJoin => Self::WaitingJoin,
            OperatorStatus::WaitingActive => Self::WaitingActive,
            OperatorStatus::Active => Self::Active,
            OperatorStatus::Unactive => Self::Unactive,
            OperatorStatus::Suspended => Self::Suspended,
        }
    }
}

impl From<LifecycleCause> for wire::LifecycleCause {
    fn from(cause: LifecycleCause) -> Self {
        match cause {
            LifecycleCause::Registered => Self::Registered,
            LifecycleCause::Joined => Self::Joined,
            LifecycleCause::EpochBegan => Self::EpochBegan,
            LifecycleCause::BelowMinimum => Self::BelowMinimum,
            LifecycleCause::Deregistered => Self::Deregistered,
            LifecycleCause::Missed => Self::Missed,
            LifecycleCause::Reinstated => Self::Reinstated,
        }
    }
}

#[cfg(test)]
mod tests;
