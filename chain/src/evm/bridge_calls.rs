//! The calls of `Bridge.sol`, and of the registries that it asks.

use alloy::primitives::U256;
use alloy::sol;
use alloy::sol_types::{SolCall, SolError};
use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{Address, B256, BridgePause, Epoch, OperatorSet, Transfer};

use super::EvmSubmitter;
use crate::{
    BridgeAction, BridgeOrder, BridgeSender, BridgeStep, CallMeaning, ChainError, ContractCall,
    RecordRule, Submitter,
};

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
    function refund(SentTransfer transfer, uint64 time, bytes certificate);
    function sentFact(bytes32 route, uint64 nonce) returns (bytes32);
    function setPaused(bool isPaused, uint64 number, uint64 time, bytes certificate);
    function sequence() returns (uint64);
    function registry() returns (address);
    function newestEpoch() returns (uint32);
    function sealedSet(uint32 epoch) returns (address);
    function updateEpoch(uint32 epoch, uint32 nextEpoch, uint64 time, SetMembers set, bytes certificate);

    error NonceTaken(bytes32 route, uint64 nonce);
    error EpochKnown(uint32 epoch);
    error EpochSkipped(uint32 epoch, uint32 newest);
    error WrongSequence(uint64 expected);
    error NotSent();
    error OtherSource();
    error CertificateExpired(uint32 epoch);
    error InvalidReceiver();
    error InvalidAmount(uint256 unit);
    error OtherTarget();
    error UnknownToken(bytes32 id);
    error RouteShort(uint256 held);
    error IsPaused();
    error InvalidSignature();
}

/// What an error of these contracts means, by its selector.
fn meaning_of(selector: [u8; 4]) -> Option<CallMeaning> {
    Some(match selector {
        NonceTaken::SELECTOR
        | EpochKnown::SELECTOR
        | EpochSkipped::SELECTOR
        | WrongSequence::SELECTOR
        | NotSent::SELECTOR => CallMeaning::Done,
        CertificateExpired::SELECTOR | InvalidReceiver::SELECTOR | InvalidAmount::SELECTOR => {
            CallMeaning::Never
        }
        // A matter of one token, of a vault that is filled again, of a bridge that goes on again.
        UnknownToken::SELECTOR | RouteShort::SELECTOR | IsPaused::SELECTOR => CallMeaning::NotNow,
        OtherTarget::SELECTOR | OtherSource::SELECTOR | InvalidSignature::SELECTOR => {
            CallMeaning::Configuration
        }
        _ => return None,
    })
}

fn call_of<C: SolCall>(name: &'static str, contract: B256, call: &C) -> ContractCall {
    ContractCall {
        name,
        from: None,
        contract,
        data: call.abi_encode().into(),
        value: U256::ZERO,
    }
}

fn deliver(transfer: &Transfer, certificate: Vec<u8>) -> ContractCall {
    let call = deliverCall {
        transfer: sent(transfer),
        certificate: certificate.into(),
    };
    call_of("deliver", transfer.route.target_contract, &call)
}

fn refund(transfer: &Transfer, time: u64, certificate: Vec<u8>) -> ContractCall {
    let call = refundCall {
        transfer: sent(transfer),
        time,
        certificate: certificate.into(),
    };
    call_of("refund", transfer.route.source_contract, &call)
}

fn sent_fact(transfer: &Transfer) -> ContractCall {
    let call = sentFactCall {
        route: transfer.route.id(),
        nonce: transfer.nonce,
    };
    call_of("sentFact", transfer.route.source_contract, &call)
}

fn sent(transfer: &Transfer) -> SentTransfer {
    SentTransfer {
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
    }
}

fn status(transfer: &Transfer) -> ContractCall {
    let call = statusOfCall {
        route: transfer.route.id(),
        nonce: transfer.nonce,
    };
    call_of("statusOf", transfer.route.target_contract, &call)
}

fn update_epoch(
    registry: B256,
    by: Epoch,
    (next, time): (&OperatorSet, u64),
    certificate: Vec<u8>,
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
    call_of("updateEpoch", registry, &call)
}

fn set_paused(bridge: B256, vote: &BridgePause, certificate: Vec<u8>) -> ContractCall {
    let call = setPausedCall {
        isPaused: vote.paused,
        number: vote.sequence,
        time: vote.time,
        certificate: certificate.into(),
    };
    call_of("setPaused", bridge, &call)
}

/// The one transaction that an order takes: its certificate in the compact form where the registry holds the set.
fn step(order: &BridgeOrder<'_>, is_sealed: bool) -> Result<BridgeStep, ChainError> {
    let certificate = match is_sealed {
        false => order.certificate.signature_data(),
        true => order
            .certificate
            .compact_signature_data(order.signers)
            .map_err(|problem| ChainError::Settings {
                detail: problem.to_string(),
            })?,
    };
    let (call, record, rule) = match order.action {
        BridgeAction::Pay(transfer) => (
            deliver(transfer, certificate),
            status(transfer),
            RecordRule::Status,
        ),
        BridgeAction::Update(next, time) => (
            update_epoch(
                order.contract,
                order.certificate.statement().epoch(),
                (next, time),
                certificate,
            ),
            call_of("newestEpoch", order.contract, &newestEpochCall {}),
            RecordRule::AtLeast(next.epoch().0.into()),
        ),
        BridgeAction::Switch(vote) => (
            set_paused(order.contract, vote, certificate),
            call_of("sequence", order.contract, &sequenceCall {}),
            RecordRule::AtLeast(vote.sequence),
        ),
        // The contract forgets what it has given back.
        BridgeAction::Refund(transfer, time) => (
            refund(transfer, time, certificate),
            sent_fact(transfer),
            RecordRule::Zero,
        ),
    };
    let call = ContractCall {
        from: Some(order.payer),
        ..call
    };
    Ok(BridgeStep {
        call,
        record,
        rule,
        is_interim: false,
    })
}

impl EvmSubmitter {
    async fn read_word(&self, call: ContractCall) -> Result<U256, ChainError> {
        let answer = self.call(&call).await?;
        let word = answer.get(..32).ok_or_else(|| ChainError::Malformed {
            what: call.name,
            detail: format!(
                "{} bytes in place of a word: is it a bridge, and its registry one?",
                answer.len()
            ),
        })?;
        Ok(U256::from_be_slice(word))
    }

    async fn find_registry(&self, bridge: B256) -> Result<B256, ChainError> {
        let call = call_of("registry", bridge, &registryCall {});
        Ok(self.read_word(call).await?.into())
    }

    async fn read_newest(&self, registry: B256) -> Result<Epoch, ChainError> {
        let call = call_of("newestEpoch", registry, &newestEpochCall {});
        Ok(Epoch(self.read_word(call).await?.saturating_to()))
    }

    /// Updates come one by one, each by the set that the one before has sealed.
    async fn is_sealed(&self, order: &BridgeOrder<'_>) -> Result<bool, ChainError> {
        let bridge = match order.action {
            BridgeAction::Update(..) => return Ok(true),
            _ if order.follows_update => return Ok(true),
            BridgeAction::Pay(_) | BridgeAction::Switch(_) | BridgeAction::Refund(..) => {
                order.contract
            }
        };
        let registry = self.find_registry(bridge).await?;
        let epoch = order.certificate.statement().epoch().0;
        let call = call_of("sealedSet", registry, &sealedSetCall { epoch });
        Ok(!self.read_word(call).await?.is_zero())
    }
}

impl BridgeSender for EvmSubmitter {
    fn registry(&self, bridge: B256) -> BoxFuture<'_, Result<B256, ChainError>> {
        self.find_registry(bridge).boxed()
    }

    fn newest_epoch(&self, registry: B256) -> BoxFuture<'_, Result<Epoch, ChainError>> {
        self.read_newest(registry).boxed()
    }

    fn status(&self, transfer: &Transfer) -> Result<ContractCall, ChainError> {
        Ok(status(transfer))
    }

    fn steps<'a>(
        &'a self,
        order: BridgeOrder<'a>,
    ) -> BoxFuture<'a, Result<Vec<BridgeStep>, ChainError>> {
        async move { Ok(vec![step(&order, self.is_sealed(&order).await?)?]) }.boxed()
    }

    fn meaning_of(&self, error: &ChainError) -> Option<CallMeaning> {
        meaning_of(error.revert_selector()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_errors_are_those_of_the_contract() {
        use crate::contracts::Bridge;
        let calls = [
            (deliverCall::SELECTOR, Bridge::deliverCall::SELECTOR),
            (refundCall::SELECTOR, Bridge::refundCall::SELECTOR),
            (sentFactCall::SELECTOR, Bridge::sentFactCall::SELECTOR),
            (setPausedCall::SELECTOR, Bridge::setPausedCall::SELECTOR),
            (sequenceCall::SELECTOR, Bridge::sequenceCall::SELECTOR),
            (statusOfCall::SELECTOR, Bridge::statusOfCall::SELECTOR),
            (NotSent::SELECTOR, Bridge::NotSent::SELECTOR),
            (OtherSource::SELECTOR, Bridge::OtherSource::SELECTOR),
            (WrongSequence::SELECTOR, Bridge::WrongSequence::SELECTOR),
        ];
        for (own, theirs) in calls {
            assert_eq!(own, theirs);
        }
    }

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
