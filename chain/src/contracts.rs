//! Bindings of the contracts in `contracts/`, made from their committed artifacts.
//!
//! For deployments and transactions. What a node reads, it reads through the smaller interfaces
//! in [`crate::evm`], which older deployments have too.

use alloy::contract::{CallBuilder, CallDecoder};
use alloy::network::Ethereum;
use alloy::providers::{PendingTransactionBuilder, Provider};

macro_rules! bindings {
    ($(#[$doc:meta])* $module:ident, $name:ident, $artifact:literal) => {
        #[allow(missing_docs, unreachable_pub, clippy::all)]
        mod $module {
            alloy::sol!(#[sol(rpc)] $name, $artifact);
        }
        $(#[$doc])*
        pub use $module::$name;
    };
}

bindings!(
    /// The schedule of epochs.
    epoch_manager, EpochManager, "artifacts/EpochManager.json"
);
bindings!(
    /// Operators, their keys and weights per epoch, and the check of certificates.
    stake_registry, StakeRegistry, "artifacts/StakeRegistry.json"
);
bindings!(
    /// The operator sets of the home chain on another chain, and the check of certificates there.
    light_stake_registry, LightStakeRegistry, "artifacts/LightStakeRegistry.json"
);
bindings!(
    /// Native coin staked to operators.
    stake_vault, StakeVault, "artifacts/StakeVault.json"
);
bindings!(
    /// Jails operators that signed two facts for one slot.
    equivocation_judge, EquivocationJudge, "artifacts/EquivocationJudge.json"
);
bindings!(
    /// An owner's verdicts on frozen stake.
    owner_slashing_decider, OwnerSlashingDecider, "artifacts/OwnerSlashingDecider.json"
);
bindings!(
    /// Which chains there are, and which contract is read on each.
    chain_directory, ChainDirectory, "artifacts/ChainDirectory.json"
);
bindings!(
    /// Key/value pairs with history.
    state_manager, StateManager, "artifacts/StateManager.json"
);
bindings!(
    /// Takes transfers in, and pays those that come from its peers.
    bridge, Bridge, "artifacts/Bridge.json"
);
bindings!(
    /// A dapp that uses certified values.
    example_consumer, ExampleConsumer, "artifacts/ExampleConsumer.json"
);

/// Gas that a transaction gets beyond a quarter more than it takes now: two new words of storage.
const GAS_TO_SPARE: u64 = 50_000;

/// Sends a call as a transaction, with more gas than it takes now. Until it is mined it may take more:
/// what counts from another epoch than at the estimate writes words that were not there. Gas that is
/// not used is not paid for.
///
/// # Errors
/// The contract would revert, or the provider does not take the transaction.
pub async fn send<P: Provider, D: CallDecoder>(
    call: CallBuilder<P, D>,
) -> alloy::contract::Result<PendingTransactionBuilder<Ethereum>> {
    let gas = call.estimate_gas().await?;
    let gas = gas.saturating_add(gas / 4).saturating_add(GAS_TO_SPARE);
    call.gas(gas).send().await
}

impl From<&quorate_proto::OperatorSet> for LightStakeRegistry::OperatorSet {
    fn from(set: &quorate_proto::OperatorSet) -> Self {
        let members = || set.members().iter();
        Self {
            operators: members().map(|m| m.address).collect(),
            signingKeys: members().map(|m| m.signing_key).collect(),
            weights: members().map(|m| m.weight).collect(),
        }
    }
}
