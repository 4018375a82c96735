//! The calls of `Bridge.sol`, and of the registries that it asks.

use alloy::primitives::U256;
use alloy::sol;
use alloy::sol_types::{SolCall, SolError};
use quorate_proto::{Address, B256, Epoch, OperatorSet, Transfer};

use crate::ContractCall;
use crate::bridge::{BridgeCalls, CallMeaning};

sol! {
    struct SentTransfer {
        uint64 sourceChain;
        bytes32 sourceContract;
        uint64 targetChain;
        bytes32 targetContract;
        uint64 nonce;
        bytes32 sender;
        bytes receiver;
        bytes32 token;
        uint256 amount;
        uint64 deadline;
    }
    struct SetMembers {
        address[] operators;
        address[] signingKeys;
        uint256[] weights;
    }
    function deliver(SentTransfer transfer, bytes certificate);
    function statusOf(bytes32 route, uint64 nonce) returns (uint8);
    function registry() returns (address);
    function newestEpoch() returns (uint32);
    function sealedSet(uint32 epoch) returns (address);
    function updateEpoch(uint32 epoch, uint32 nextEpoch, uint64 time, SetMembers set, bytes certificate);

    error NonceTaken(bytes32 route, uint64 nonce);
    error EpochKnown(uint32 epoch);
    error EpochSkipped(uint32 epoch, uint32 newest);
    error CertificateExpired(uint32 epoch);
    error InvalidReceiver();
    error InvalidAmount(uint256 unit);
    error OtherTarget();
    error UnknownToken(bytes32 id);
    error RouteShort(uint256 held);
    error IsPaused();
    error InvalidSignature();
}

/// What an error of these contracts means, by its selector; `None` for one that may pass, or is not known.
#[must_use]
pub fn meaning_of(selector: [u8; 4]) -> Option<CallMeaning> {
    Some(match selector {
        NonceTaken::SELECTOR | EpochKnown::SELECTOR | EpochSkipped::SELECTOR => CallMeaning::Done,
        CertificateExpired::SELECTOR | InvalidReceiver::SELECTOR | InvalidAmount::SELECTOR => {
            CallMeaning::Never
        }
        // A matter of one token, of a vault that is filled again, of a bridge that goes on again.
        UnknownToken::SELECTOR | RouteShort::SELECTOR | IsPaused::SELECTOR => CallMeaning::NotNow,
        OtherTarget::SELECTOR | InvalidSignature::SELECTOR => CallMeaning::Configuration,
        _ => return None,
    })
}

/// Those of EVM chains.
#[derive(Clone, Copy, Debug)]
pub(super) struct EvmBridgeCalls;

fn call_of<C: SolCall>(name: &'static str, contract: B256, call: &C) -> ContractCall {
    ContractCall {
        name,
        from: None,
        contract,
        data: call.abi_encode().into(),
        value: U256::ZERO,
    }
}

impl BridgeCalls for EvmBridgeCalls {
    fn deliver(&self, transfer: &Transfer, certificate: Vec<u8>, sender: B256) -> ContractCall {
        let call = deliverCall {
            transfer: SentTransfer {
                sourceChain: transfer.route.source_chain,
                sourceContract: transfer.route.source_contract,
                targetChain: transfer.route.target_chain,
                targetContract: transfer.route.target_contract,
                nonce: transfer.nonce,
                sender: transfer.sender,
                receiver: transfer.receiver.clone(),
                token: transfer.token,
                amount: transfer.amount,
                deadline: transfer.deadline,
            },
            certificate: certificate.into(),
        };
        ContractCall {
            from: Some(sender),
            ..call_of("deliver", transfer.route.target_contract, &call)
        }
    }

    fn status(&self, transfer: &Transfer) -> ContractCall {
        let call = statusOfCall {
            route: transfer.route.id(),
            nonce: transfer.nonce,
        };
        call_of("statusOf", transfer.route.target_contract, &call)
    }

    fn registry(&self, bridge: B256) -> ContractCall {
        call_of("registry", bridge, &registryCall {})
    }

    fn newest_epoch(&self, registry: B256) -> ContractCall {
        call_of("newestEpoch", registry, &newestEpochCall {})
    }

    fn sealed_set(&self, registry: B256, epoch: Epoch) -> ContractCall {
        call_of("sealedSet", registry, &sealedSetCall { epoch: epoch.0 })
    }

    fn update_epoch(
        &self,
        registry: B256,
        (by, time): (Epoch, u64),
        next: &OperatorSet,
        certificate: Vec<u8>,
        sender: B256,
    ) -> ContractCall {
        let members = || next.members().iter();
        let call = updateEpochCall {
            epoch: by.0,
            nextEpoch: next.epoch().0,
            time,
            set: SetMembers {
                operators: members()
                    .map(|member| member.address)
                    .collect::<Vec<Address>>(),
                signingKeys: members().map(|member| member.signing_key).collect(),
                weights: members().map(|member| member.weight).collect(),
            },
            certificate: certificate.into(),
        };
        ContractCall {
            from: Some(sender),
            ..call_of("updateEpoch", registry, &call)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_mean_what_a_relayer_does_about_them() {
        assert_eq!(meaning_of(NonceTaken::SELECTOR), Some(CallMeaning::Done));
        assert_eq!(
            meaning_of(InvalidReceiver::SELECTOR),
            Some(CallMeaning::Never)
        );
        assert_eq!(meaning_of(IsPaused::SELECTOR), Some(CallMeaning::NotNow));
        assert_eq!(
            meaning_of(UnknownToken::SELECTOR),
            Some(CallMeaning::NotNow)
        );
        assert_eq!(meaning_of([0; 4]), None);
    }
}
