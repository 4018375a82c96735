//! The operators of one epoch.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolValue;

use crate::Epoch;
use crate::store::{MemberRecord, OperatorSetRecord};
use crate::wire;
use crate::wire_error::{WireError, address, b256, u256};

/// One operator as the home chain knows it in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Whom the stake belongs to.
    pub address: Address,
    /// The key whose signatures count for it.
    pub signing_key: Address,
    /// Its key for SVM chains, where the registry knows one.
    pub ed25519_key: Option<[u8; 32]>,
    /// Its stake.
    pub weight: U256,
}

/// The operator set of one epoch with its threshold. Never changes once the epoch has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorSet {
    epoch: Epoch,
    members: Vec<Operator>,
    total_weight: U256,
    threshold: U256,
}

/// Why members do not make a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The same operator twice.
    #[error("operator {0} appears twice in the set")]
    Duplicate(Address),
    /// A threshold of zero would certify anything.
    #[error("the threshold of epoch {0} is zero: the registry has no stake for it")]
    NoThreshold(Epoch),
}

impl OperatorSet {
    /// Sorts the members by address and leaves out those without weight.
    ///
    /// # Errors
    /// [`SetError`] for a member that appears twice and for a threshold of zero.
    pub fn new(
        epoch: Epoch,
        mut members: Vec<Operator>,
        total_weight: U256,
        threshold: U256,
    ) -> Result<Self, SetError> {
        if threshold.is_zero() {
            return Err(SetError::NoThreshold(epoch));
        }
        members.retain(|member| !member.weight.is_zero());
        members.sort_by_key(|member| member.address);
        if let Some(pair) = members.windows(2).find(|w| w[0].address == w[1].address) {
            return Err(SetError::Duplicate(pair[0].address));
        }
        Ok(Self {
            epoch,
            members,
            total_weight,
            threshold,
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

    /// A certificate needs at least this weight.
    #[must_use]
    pub const fn threshold(&self) -> U256 {
        self.threshold
    }

    /// Whether the weights of its members add up to the total, so that nobody is left out.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let weights = self.members.iter().map(|member| member.weight);
        weights.fold(U256::ZERO, |sum, weight| sum.saturating_add(weight)) == self.total_weight
    }

    /// keccak256(abi.encode(address[] operators, address[] signingKeys, bytes32[] ed25519Keys,
    /// uint256[] weights, uint256 threshold)), ascending by operator, an absent Ed25519 key as
    /// zero: what an [`EpochUpdate`](crate::EpochUpdate) hands over. The epoch is not part of it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(self.abi_encoded())
    }

    fn abi_encoded(&self) -> Vec<u8> {
        let members = || self.members.iter();
        let ed25519_key = |m: &Operator| B256::from(m.ed25519_key.unwrap_or_default());
        (
            members().map(|m| m.address).collect::<Vec<Address>>(),
            members().map(|m| m.signing_key).collect::<Vec<Address>>(),
            members().map(ed25519_key).collect::<Vec<B256>>(),
            members().map(|m| m.weight).collect::<Vec<U256>>(),
            self.threshold,
        )
            .abi_encode_params()
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
            ed25519_key: m.ed25519_key.map(Vec::from).unwrap_or_default(),
            weight: m.weight.to_be_bytes_vec(),
        };
        Self {
            epoch: set.epoch.0,
            total_weight: set.total_weight.to_be_bytes_vec(),
            threshold: set.threshold.to_be_bytes_vec(),
            members: set.members.iter().map(member).collect(),
        }
    }
}

impl TryFrom<&OperatorSetRecord> for OperatorSet {
    type Error = WireError;

    fn try_from(record: &OperatorSetRecord) -> Result<Self, WireError> {
        let member = |m: &MemberRecord| {
            Ok(Operator {
                address: address("operator", &m.operator)?,
                signing_key: address("signing_key", &m.signing_key)?,
                ed25519_key: match m.ed25519_key.is_empty() {
                    true => None,
                    false => Some(b256("ed25519_key", &m.ed25519_key)?.0),
                },
                weight: u256("weight", &m.weight)?,
            })
        };
        let members = record
            .members
            .iter()
            .map(member)
            .collect::<Result<_, _>>()?;
        let total = u256("total_weight", &record.total_weight)?;
        let threshold = u256("threshold", &record.threshold)?;
        Self::new(Epoch(record.epoch), members, total, threshold)
            .map_err(|_| WireError::new("members", "do not make a set"))
    }
}

/// Peer ids and addresses are for others to add.
impl From<&OperatorSet> for wire::OperatorList {
    fn from(set: &OperatorSet) -> Self {
        let entry = |m: &Operator| wire::OperatorEntry {
            operator: m.address.to_vec(),
            signing_key: m.signing_key.to_vec(),
            ed25519_key: m.ed25519_key.map(Vec::from).unwrap_or_default(),
            weight: m.weight.to_be_bytes_vec(),
            ..wire::OperatorEntry::default()
        };
        Self {
            epoch: set.epoch.0,
            total_weight: set.total_weight.to_be_bytes_vec(),
            threshold: set.threshold.to_be_bytes_vec(),
            operators: set.members.iter().map(entry).collect(),
        }
    }
}

impl TryFrom<&wire::OperatorList> for OperatorSet {
    type Error = WireError;

    fn try_from(list: &wire::OperatorList) -> Result<Self, WireError> {
        let member = |entry: &wire::OperatorEntry| MemberRecord {
            operator: entry.operator.clone(),
            signing_key: entry.signing_key.clone(),
            ed25519_key: entry.ed25519_key.clone(),
            weight: entry.weight.clone(),
        };
        Self::try_from(&OperatorSetRecord {
            epoch: list.epoch,
            total_weight: list.total_weight.clone(),
            threshold: list.threshold.clone(),
            members: list.operators.iter().map(member).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
