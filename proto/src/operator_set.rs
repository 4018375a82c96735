//! The operators of one epoch.

mod hash;

use alloy_primitives::{Address, B256, U256};

use crate::store::{MemberRecord, OperatorSetRecord};
use crate::wire_error::{WireError, address, u256};
use crate::{Epoch, limits, wire};

/// One operator as the home chain knows it in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Whom the stake belongs to.
    pub address: Address,
    /// The key whose signatures count for it.
    pub signing_key: Address,
    /// Its stake; fits 96 bits.
    pub weight: U256,
}

/// The operator set of one epoch with its threshold. Never changes once the epoch has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSet {
    epoch: Epoch,
    members: Vec<Operator>,
    total_weight: U256,
    fixed_at: u64,
}

/// Weights fit so many bits, in the registry as here.
const WEIGHT_BITS: usize = 96;

/// Why members do not make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The same operator twice.
    #[error("operator {0} appears twice in the set")]
    Duplicate(Address),
    /// More than other chains can take, and than messages have room for.
    #[error("the set has {0} operators, at most {max} are allowed", max = limits::MAX_OPERATORS)]
    TooMany(usize),
    /// No registry gives such a weight.
    #[error("the weight of operator {0} does not fit 96 bits")]
    Weight(Address),
}

impl OperatorSet {
    /// Sorts the members by address and leaves out those without weight. The threshold follows from
    /// the total; where that is zero no signers can certify anything. `fixed_at` is the time, in Unix seconds,
    /// from which on it could not change any more: that of the first block of the grace period before its epoch.
    ///
    /// # Errors
    /// [`SetError`] for a member that appears twice or is too heavy, and for too many of them.
    pub fn new(
        epoch: Epoch,
        mut members: Vec<Operator>,
        total_weight: U256,
        fixed_at: u64,
    ) -> Result<Self, SetError> {
        members.retain(|member| !member.weight.is_zero());
        if members.len() > limits::MAX_OPERATORS {
            return Err(SetError::TooMany(members.len()));
        }
        if let Some(heavy) = members.iter().find(|m| m.weight.bit_len() > WEIGHT_BITS) {
            return Err(SetError::Weight(heavy.address));
        }
        members.sort_by_key(|member| member.address);
        if let Some(pair) = members.windows(2).find(|w| w[0].address == w[1].address) {
            return Err(SetError::Duplicate(pair[0].address));
        }
        Ok(Self {
            epoch,
            members,
            total_weight,
            fixed_at,
        })
    }

    /// The epoch that this set serves.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Ascending by address; every weight is above zero.
    #[must_use]
    pub fn members(&self) -> &[Operator] {
        &self.members
    }

    /// The member with this operator address.
    #[must_use]
    pub fn get(&self, operator: Address) -> Option<&Operator> {
        self.members.get(self.position(operator)?)
    }

    /// Which of the members this operator is, counted from 0.
    #[must_use]
    pub fn position(&self, operator: Address) -> Option<usize> {
        let search = self
            .members
            .binary_search_by_key(&operator, |member| member.address);
        search.ok()
    }

    /// Weight of this operator; zero for strangers.
    #[must_use]
    pub fn weight_of(&self, operator: Address) -> U256 {
        self.get(operator)
            .map_or(U256::ZERO, |member| member.weight)
    }

    /// Weight of all, as the registry counts it.
    #[must_use]
    pub const fn total_weight(&self) -> U256 {
        self.total_weight
    }

    /// A certificate needs at least this weight: [`threshold_of`] the total.
    #[must_use]
    pub fn threshold(&self) -> U256 {
        threshold_of(self.total_weight)
    }

    /// When it was fixed, in Unix seconds on the home chain. Its hash leaves that out; the
    /// [`EpochUpdate`](crate::EpochUpdate) over it has both.
    #[must_use]
    pub const fn fixed_at(&self) -> u64 {
        self.fixed_at
    }

    /// Whether the weights of its members add up to the total, so that no operator is left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let weights = self.members.iter().map(|member| member.weight);
        weights.fold(U256::ZERO, |sum, weight| sum.saturating_add(weight)) == self.total_weight
    }

    /// keccak256(number of members 4 ‖ total 32 ‖ Merkle root of the members 32): what an
    /// [`EpochUpdate`](crate::EpochUpdate) hands over. Neither the epoch nor the time is part of it.
    /// The tree is RFC 6962's, over the members ascending by operator.
    #[must_use]
    pub fn hash(&self) -> B256 {
        hash::of(&self.members, self.total_weight)
    }

    /// The root of that tree.
    #[must_use]
    pub fn root(&self) -> B256 {
        hash::root(&hash::levels(&self.members))
    }

    /// The nodes beside the way to the root, from below, of those `2^height` members of which the first is
    /// `index * 2^height`. Where a node is carried up as it is there is none beside it.
    #[must_use]
    pub fn nodes_beside(&self, height: usize, index: usize) -> Vec<B256> {
        let levels = hash::levels(&self.members);
        let above = levels.iter().skip(height).enumerate();
        let beside = above.filter_map(|(up, level)| level.get((index >> up) ^ 1));
        beside.copied().collect()
    }
}

/// floor(2 * total / 3) + 1, as the registry contract computes it.
#[must_use]
pub fn threshold_of(total: U256) -> U256 {
    // floor(2t / 3) = 2 * floor(t / 3) + floor(2 * (t mod 3) / 3), without overflow.
    let (third, rest) = total.div_rem(U256::from(3));
    let carry = U256::from(u8::from(rest == U256::from(2)));
    third
        .saturating_mul(U256::from(2))
        .saturating_add(carry)
        .saturating_add(U256::ONE)
}

impl From<&OperatorSet> for OperatorSetRecord {
    fn from(set: &OperatorSet) -> Self {
        let member = |m: &Operator| MemberRecord {
            operator: m.address.to_vec(),
            signing_key: m.signing_key.to_vec(),
            weight: m.weight.to_be_bytes_vec(),
        };
        Self {
            epoch: set.epoch.0,
            total_weight: set.total_weight.to_be_bytes_vec(),
            members: set.members.iter().map(member).collect(),
            fixed_at: set.fixed_at,
            ..Self::default()
        }
    }
}

impl TryFrom<&OperatorSetRecord> for OperatorSet {
    type Error = WireError;

    fn try_from(record: &OperatorSetRecord) -> Result<Self, WireError> {
        if record.members.len() > limits::MAX_OPERATORS {
            return Err(WireError::new("members", "must be at most 500"));
        }
        let member = |m: &MemberRecord| {
            Ok(Operator {
                address: address("operator", &m.operator)?,
                signing_key: address("signing_key", &m.signing_key)?,
                weight: u256("weight", &m.weight)?,
            })
        };
        let members = record
            .members
            .iter()
            .map(member)
            .collect::<Result<_, _>>()?;
        let total = u256("total_weight", &record.total_weight)?;
        Self::new(Epoch(record.epoch), members, total, record.fixed_at)
            .map_err(|_| WireError::new("members", "do not make a set"))
    }
}

/// Peer ids and addresses are for others to add.
impl From<&OperatorSet> for wire::OperatorList {
    fn from(set: &OperatorSet) -> Self {
        let entry = |m: &Operator| wire::OperatorEntry {
            operator: m.address.to_vec(),
            signing_key: m.signing_key.to_vec(),
            weight: m.weight.to_be_bytes_vec(),
            ..wire::OperatorEntry::default()
        };
        Self {
            epoch: set.epoch.0,
            total_weight: set.total_weight.to_be_bytes_vec(),
            operators: set.members.iter().map(entry).collect(),
            fixed_at: set.fixed_at,
        }
    }
}

impl TryFrom<&wire::OperatorList> for OperatorSet {
    type Error = WireError;

    fn try_from(list: &wire::OperatorList) -> Result<Self, WireError> {
        if list.operators.len() > limits::MAX_OPERATORS {
            return Err(WireError::new("operators", "must be at most 500"));
        }
        let member = |entry: &wire::OperatorEntry| MemberRecord {
            operator: entry.operator.clone(),
            signing_key: entry.signing_key.clone(),
            weight: entry.weight.clone(),
        };
        Self::try_from(&OperatorSetRecord {
            epoch: list.epoch,
            total_weight: list.total_weight.clone(),
            members: list.operators.iter().map(member).collect(),
            fixed_at: list.fixed_at,
            ..OperatorSetRecord::default()
        })
    }
}

#[cfg(test)]
mod tests;
