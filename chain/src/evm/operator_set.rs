//! The operators of one epoch, from the registry's state.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use futures::stream::{self, StreamExt, TryStreamExt};
use quorate_proto::{Epoch, Operator, OperatorSet};

use super::EvmClient;
use crate::ChainError;

/// Operators that are asked about at once, three calls each: three full batches.
const AT_ONCE: usize = 64;

pub(super) mod interface {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    alloy::sol! {
        function getOperatorWeightAtEpoch(address operator, uint32 epoch) external view returns (uint256);
        function getOperatorSigningKeyAtEpoch(address operator, uint32 epoch) external view returns (address);
        function getOperatorEd25519KeyAtEpoch(address operator, uint32 epoch) external view returns (bytes32);
        function getTotalWeightAtEpoch(uint32 epoch) external view returns (uint256);
        function getThresholdStake(uint32 epoch) external view returns (uint256);
        function minimumWeight() external view returns (uint256);
    }
}

use interface as abi;

/// Where and when the registry is read.
#[derive(Clone, Copy)]
pub(super) struct RegistryAt<'a> {
    pub client: &'a EvmClient,
    pub registry: Address,
    pub at: B256,
}

impl RegistryAt<'_> {
    /// The set of `epoch`, made of those of `operators` that have weight in it.
    pub(super) async fn operator_set(
        self,
        epoch: Epoch,
        operators: &[Address],
    ) -> Result<OperatorSet, ChainError> {
        let distinct: BTreeSet<Address> = operators.iter().copied().collect();
        let members = stream::iter(distinct)
            .map(|operator| self.member(operator, epoch))
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>();
        let total = self.call(abi::getTotalWeightAtEpochCall { epoch: epoch.0 });
        let threshold = self.call(abi::getThresholdStakeCall { epoch: epoch.0 });
        let (members, total, threshold) = tokio::try_join!(members, total, threshold)?;

        let known = members
            .iter()
            .fold(U256::ZERO, |sum, member| sum.saturating_add(member.weight));
        if known != total {
            tracing::warn!(%epoch, %known, %total, "operators that are not known hold weight");
        }
        OperatorSet::new(epoch, members, total, threshold).map_err(|problem| {
            ChainError::Malformed {
                what: "operator set",
                detail: problem.to_string(),
            }
        })
    }

    /// Keys and weight of one operator.
    pub(super) async fn member(
        self,
        address: Address,
        epoch: Epoch,
    ) -> Result<Operator, ChainError> {
        let epoch = epoch.0;
        let operator = address;
        let (weight, signing_key, ed25519_key) = tokio::try_join!(
            self.call(abi::getOperatorWeightAtEpochCall { operator, epoch }),
            self.call(abi::getOperatorSigningKeyAtEpochCall { operator, epoch }),
            self.ed25519_key(operator, epoch),
        )?;
        Ok(Operator {
            address,
            signing_key,
            ed25519_key,
            weight,
        })
    }

    /// Older registries do not have the function, and revert without data.
    async fn ed25519_key(
        self,
        operator: Address,
        epoch: u32,
    ) -> Result<Option<[u8; 32]>, ChainError> {
        let call = abi::getOperatorEd25519KeyAtEpochCall { operator, epoch };
        match self.call(call).await {
            Ok(key) => Ok(Some(key.0).filter(|_| !key.is_zero())),
            Err(ChainError::Reverted { data }) if data.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn call<C: alloy::sol_types::SolCall>(
        self,
        call: C,
    ) -> Result<C::Return, ChainError> {
        self.client.call(self.registry, &call, self.at).await
    }
}
