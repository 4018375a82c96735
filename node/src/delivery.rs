//! Brings what services have certified to where it is wanted: one queue of transactions for all of them.
//!
//! The machine ([`quorate_protocols::delivery`]) decides; [`Deliveries`] is its shell: it writes what the machine wants
//! written, then asks chains and sends.

mod lane;
mod report;
mod rows;
mod shell;

use quorate_chain::{BridgeStep, CallMeaning, ContractCall, RecordRule};
use quorate_proto::{B256, U256};
use quorate_protocols::delivery::{Class, Delivery, OnChain};

pub(crate) use self::lane::LaneParts;
pub(crate) use self::report::{sendings, told};
pub(crate) use self::rows::{ListedDelivery, listed, reason_of};
pub(crate) use self::shell::{Deliveries, DeliveryHandle};

/// What a service wants to have delivered.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) delivery: Delivery,
    pub(crate) payload: Payload,
}

/// What is sent, and how it is seen that it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) call: ContractCall,
    /// Asks the contract's own record.
    pub(crate) record: ContractCall,
    pub(crate) rule: RecordRule,
    /// Only a later delivery makes use of it: it is done as soon as it is seen.
    pub(crate) is_interim: bool,
    /// For people.
    pub(crate) about: String,
}

impl Payload {
    /// Of a bridge's step.
    pub(crate) fn of(step: BridgeStep, about: String) -> Self {
        Self {
            call: step.call,
            record: step.record,
            rule: step.rule,
            is_interim: step.is_interim,
            about,
        }
    }
}

/// What a record says at the head; whether that is confirmed is not seen here.
fn read_record(rule: RecordRule, answer: &[u8]) -> Option<OnChain> {
    let word = U256::from_be_slice(answer.get(..32)?);
    let done = OnChain::Done { confirmed: false };
    Some(match rule {
        RecordRule::AtLeast(least) if word >= U256::from(least) => done,
        RecordRule::Zero if word.is_zero() => done,
        RecordRule::AtLeast(_) | RecordRule::Zero => OnChain::Open,
        RecordRule::Status if word.is_zero() => OnChain::Open,
        RecordRule::Status if word == U256::from(3) => OnChain::Gone("it was closed".to_owned()),
        RecordRule::Status => done,
    })
}

/// What a contract's refusal means for a delivery.
const fn class_of(meaning: CallMeaning) -> Class {
    match meaning {
        CallMeaning::Done => Class::Taken,
        // Not counted as an attempt: a bridge may be paused for days.
        CallMeaning::NotNow => Class::Unreachable,
        CallMeaning::Never => Class::Hopeless,
        CallMeaning::Configuration => Class::Misconfigured,
    }
}

/// What a provider's words hint at. Every client has its own, so they decide nothing alone.
fn class_of_hint(text: &str) -> Class {
    let text = text.to_lowercase();
    let hints = [
        ("underpriced", Class::Underpriced),
        ("fee too low", Class::Underpriced),
        ("less than block base fee", Class::Underpriced),
        ("nonce too low", Class::NonceUsed),
        ("already known", Class::NonceUsed),
        ("already imported", Class::NonceUsed),
        ("insufficient funds", Class::Funds),
        ("intrinsic gas", Class::GasTooLow),
    ];
    let hint = hints.iter().find(|(words, _)| text.contains(words));
    hint.map_or(Class::Rejected, |(_, class)| *class)
}

/// An id for a delivery of `what` to a place.
pub(crate) fn delivery_id(what: B256, chain: u64, contract: B256) -> B256 {
    let packed = [what.as_slice(), &chain.to_be_bytes(), contract.as_slice()].concat();
    quorate_proto::keccak256(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_by_its_rule() {
        let word = |number: u64| U256::from(number).to_be_bytes_vec();
        let done = Some(OnChain::Done { confirmed: false });
        for (rule, number, expected) in [
            (RecordRule::Status, 0, Some(OnChain::Open)),
            (RecordRule::Status, 1, done.clone()),
            (RecordRule::Status, 2, done.clone()),
            (RecordRule::AtLeast(7), 6, Some(OnChain::Open)),
            (RecordRule::AtLeast(7), 7, done.clone()),
            (RecordRule::Zero, 1, Some(OnChain::Open)),
            (RecordRule::Zero, 0, done.clone()),
        ] {
            assert_eq!(
                read_record(rule, &word(number)),
                expected,
                "{rule:?} {number}"
            );
        }
        assert!(matches!(
            read_record(RecordRule::Status, &word(3)),
            Some(OnChain::Gone(_))
        ));
        assert_eq!(read_record(RecordRule::Status, &[0; 31]), None);
    }

    #[test]
    fn words_of_providers_are_hints() {
        for (text, class) in [
            ("replacement transaction underpriced", Class::Underpriced),
            ("Nonce too low", Class::NonceUsed),
            ("insufficient funds for gas * price + value", Class::Funds),
            ("no", Class::Rejected),
        ] {
            assert_eq!(class_of_hint(text), class, "{text}");
        }
    }
}
