//! Asks a provider for what will be asked of it at the final head.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;

use super::abi::registry::minimumWeightCall;
use super::abi::state_manager::getHistoryAtBlockCall;
use super::errors::{failed, is_about_state, is_missing};
use super::proof::answer::Forged;
use super::provider::EvmProvider;
use super::registrations::TOPICS;
use crate::providers::UnmetNeed;
use crate::rpc::ProviderError;
use crate::{BlockRef, RequestOutcome};

/// What a node needs of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Proofs of this contract's storage, and its words.
    Proofs(Address),
    /// Calls of this state manager.
    Calls(Address),
    /// Calls of this registry, and its events.
    Registry(Address),
}

fn unmet<T>(what: &'static str) -> impl Fn(Result<T, ProviderError>) -> Option<UnmetNeed> {
    move |answer| {
        let error = answer.err()?;
        let refused = error.outcome() == RequestOutcome::Refused;
        let is_missing = failed(&error, is_missing) && !failed(&error, is_about_state);
        Some(UnmetNeed {
            what,
            may_pass: !refused || matches!(error, ProviderError::Unknown(_)) || is_missing,
            error,
        })
    }
}

impl EvmProvider {
    /// Asks for what is needed at `head`, which has this state root where that is proven; what it does not serve
    /// is remembered.
    pub(super) async fn probe(&self, need: Need, head: BlockRef, root: Option<B256>) {
        let unmet = match need {
            Need::Proofs(contract) => self.probe_proofs(contract, head, root).await,
            Need::Calls(contract) => {
                let call = getHistoryAtBlockCall {
                    user: Address::ZERO,
                    key: U256::ZERO,
                    blockNumber: U256::ZERO,
                };
                let call = call.abi_encode();
                let answer = self.eth_call(contract, &call, head.hash).await;
                unmet("eth_call")(answer)
            }
            Need::Registry(registry) => self.probe_registry(registry, head).await,
        };
        self.as_ref().probed(unmet);
    }

    /// Both at once, so that they share a request where it takes batches.
    async fn probe_proofs(
        &self,
        contract: Address,
        head: BlockRef,
        root: Option<B256>,
    ) -> Option<UnmetNeed> {
        let proof = async {
            let answer = self.proof(contract, &[U256::ZERO], head.hash).await?;
            let Some(root) = root else {
                return Ok(());
            };
            let forged = |forged: Forged| ProviderError::FalseProof(forged.to_string());
            if let Some(found) = answer.contract(root, contract).map_err(forged)? {
                answer.values(found, &[U256::ZERO]).map_err(forged)?;
            }
            Ok(())
        };
        let word = self.word(contract, U256::ZERO, head.hash);
        let (proof, word) = tokio::join!(proof, word);
        self.as_ref().tried_to_prove(proof.as_ref().err());
        unmet("eth_getProof")(proof).or_else(|| unmet("eth_getStorageAt")(word))
    }

    async fn probe_registry(&self, registry: Address, head: BlockRef) -> Option<UnmetNeed> {
        let call = minimumWeightCall {}.abi_encode();
        let call = self.eth_call(registry, &call, head.hash);
        let range = (head.number, head.number);
        let topics = [TOPICS.to_vec()];
        let logs = self.logs(registry, &topics, range, head);
        let (call, logs) = tokio::join!(call, logs);
        unmet("eth_call")(call).or_else(|| unmet("eth_getLogs")(logs))
    }
}
