//! Asks a provider for what will be asked of it at the final head.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;

use super::super::operator_set::interface::minimumWeightCall;
use super::super::registrations::TOPICS;
use super::super::rpc::Failure;
use super::super::state::interface::getHistoryAtBlockCall;
use super::Provider;
use crate::{BlockRef, RequestOutcome};

/// What a node needs of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Need {
    /// Proofs of this contract's storage, and its words.
    Proofs(Address),
    /// Calls of this state manager.
    Calls(Address),
    /// Calls of this registry, and its events.
    Registry(Address),
}

/// Why something that was asked for did not come.
pub(super) struct Lack {
    what: &'static str,
    failure: Failure,
}

impl Lack {
    /// Whether it may be a matter of the moment: then the next one like it tells.
    pub(super) fn may_pass(&self) -> bool {
        let refused = self.failure.outcome() == RequestOutcome::Refused;
        !refused || matches!(self.failure, Failure::Unknown(_)) || self.is_missing()
    }

    fn is_missing(&self) -> bool {
        self.failure.is_missing() && !self.failure.is_about_state()
    }

    pub(super) fn told(&self) -> String {
        let Self { what, failure } = self;
        format!("does not serve {what} at the final block, which is needed of it: it {failure}")
    }
}

fn lacks<T>(what: &'static str) -> impl Fn(Result<T, Failure>) -> Option<Lack> {
    move |answer| answer.err().map(|failure| Lack { what, failure })
}

impl Provider {
    /// Asks for what is needed at `head`, which has this state root where that is proven; what it knows of it
    /// is remembered.
    pub(in super::super) async fn probe(&self, need: Need, head: BlockRef, root: Option<B256>) {
        let lack = match need {
            Need::Proofs(contract) => self.lacks_proofs(contract, head, root).await,
            Need::Calls(contract) => {
                let call = getHistoryAtBlockCall {
                    user: Address::ZERO,
                    key: U256::ZERO,
                    blockNumber: U256::ZERO,
                };
                let call = call.abi_encode();
                let answer = self.eth_call(contract, &call, head.hash).await;
                lacks("eth_call")(answer)
            }
            Need::Registry(registry) => self.lacks_registry(registry, head).await,
        };
        self.facts().probed(lack);
        self.judge();
    }

    /// Both at once, so that they share a request where it takes batches.
    async fn lacks_proofs(
        &self,
        contract: Address,
        head: BlockRef,
        root: Option<B256>,
    ) -> Option<Lack> {
        let proof = async {
            let answer = self.proof(contract, &[U256::ZERO], head.hash).await?;
            let Some(root) = root else {
                return Ok(());
            };
            let forged =
                |forged: super::super::proof::answer::Forged| Failure::False(forged.to_string());
            if let Some(found) = answer.contract(root, contract).map_err(forged)? {
                answer.values(found, &[U256::ZERO]).map_err(forged)?;
            }
            Ok(())
        };
        let word = self.word(contract, U256::ZERO, head.hash);
        let (proof, word) = tokio::join!(proof, word);
        self.tried_to_prove(proof.as_ref().err());
        lacks("eth_getProof")(proof).or_else(|| lacks("eth_getStorageAt")(word))
    }

    async fn lacks_registry(&self, registry: Address, head: BlockRef) -> Option<Lack> {
        let call = minimumWeightCall {}.abi_encode();
        let call = self.eth_call(registry, &call, head.hash);
        let range = (head.number, head.number);
        let logs = self.logs(registry, &TOPICS, range, head);
        let (call, logs) = tokio::join!(call, logs);
        lacks("eth_call")(call).or_else(|| lacks("eth_getLogs")(logs))
    }
}
