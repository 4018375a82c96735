//! The operators of one epoch, from the registry's state.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use quorate_proto::{Epoch, Operator, OperatorSet};

use super::EvmClient;
use super::abi::registry as abi;
use crate::ChainError;

/// Where and when the registry is read.
#[derive(Clone, Copy)]
pub(super) struct RegistryAt<'a> {
    pub client: &'a EvmClient,
    pub registry: Address,
    pub at: B256,
}

/// Members with the total weight of their epoch, as the registry tells them.
pub(super) type RawOperatorSet = (abi::Members, U256);

impl RegistryAt<'_> {
    /// All members of `epoch`, in one call whatever their number.
    pub(super) async fn newest(self, epoch: Epoch) -> Result<RawOperatorSet, ChainError> {
        let told = self.call(abi::getOperatorSetCall { epoch: epoch.0 });
        let told = told.await?;
        Ok((told.set, told.total))
    }

    /// Those of `operators` that are members of `epoch`, in one call.
    pub(super) async fn named(
        self,
        epoch: Epoch,
        operators: &[Address],
    ) -> Result<RawOperatorSet, ChainError> {
        let distinct: BTreeSet<Address> = operators.iter().copied().collect();
        let told = self.call(abi::getMembersAtEpochCall {
            operators: distinct.into_iter().collect(),
            epoch: epoch.0,
        });
        let told = told.await?;
        Ok((told.set, told.total))
    }

    /// Key and weight of one operator.
    pub(super) async fn member(
        self,
        address: Address,
        epoch: Epoch,
    ) -> Result<Operator, ChainError> {
        let epoch = epoch.0;
        let operator = address;
        let (weight, signing_key) = tokio::try_join!(
            self.call(abi::getOperatorWeightAtEpochCall { operator, epoch }),
            self.call(abi::getOperatorSigningKeyAtEpochCall { operator, epoch }),
        )?;
        Ok(Operator {
            address,
            signing_key,
            weight,
        })
    }

    pub(super) async fn call<C: alloy::sol_types::SolCall>(
        self,
        call: C,
    ) -> Result<C::Return, ChainError> {
        self.client.call(self.registry, &call, self.at).await
    }
}

/// The set that was told, fixed at this time.
pub(super) fn set_of(
    epoch: Epoch,
    told: RawOperatorSet,
    fixed_at: u64,
) -> Result<OperatorSet, ChainError> {
    let (told, total) = told;
    let malformed = |detail: String| ChainError::Malformed {
        what: "operator set",
        detail,
    };
    let count = told.operators.len();
    if told.signingKeys.len() != count || told.weights.len() != count {
        return Err(malformed("its lists are not of one length".to_owned()));
    }
    let keys = told.signingKeys.into_iter().zip(told.weights);
    let members = told.operators.into_iter().zip(keys);
    let members = members.map(|(address, (signing_key, weight))| Operator {
        address,
        signing_key,
        weight,
    });
    let set = OperatorSet::new(epoch, members.collect(), total, fixed_at);
    set.map_err(|problem| malformed(problem.to_string()))
}
