//! What the tests of the machines are made of. Signatures are of the right form, no more.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use std::sync::Arc;

use quorate_proto::{
    Address, Certificate, Epoch, Operator, OperatorSet, Outcome, ReadBasis, Refusal, RefusalCode,
    Response, Signature, SignerSignature, StateProof, Statement, Timestamp, U256,
};

/// The operator with this number, from 1.
pub(crate) const fn operator(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Operators 1, 2, 3 and so on with these weights.
pub(crate) fn set_of(epoch: u32, weights: &[u64]) -> Arc<OperatorSet> {
    let member = |(number, weight): (u8, &u64)| Operator {
        address: operator(number),
        signing_key: operator(number),
        weight: U256::from(*weight),
    };
    let members = (1..).zip(weights).map(member).collect();
    let total = weights
        .iter()
        .fold(U256::ZERO, |sum, w| sum + U256::from(*w));
    Arc::new(OperatorSet::new(Epoch(epoch), members, total, 0).unwrap())
}

/// A statement of epoch 1: the value under key 1 is `value`.
pub(crate) fn statement(value: u64) -> Statement {
    keyed(1, 1, value)
}

pub(crate) fn keyed(epoch: u32, key: u64, value: u64) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(0xee),
        chain_id: 1,
        block_number: 12_345,
        timestamp: 1_700_000_000,
        epoch: Epoch(epoch),
        key: U256::from(key),
        value: U256::from(value),
    })
}

fn signature(operator: Address, last: u8) -> Signature {
    let mut bytes = [0; 65];
    bytes[12..32].copy_from_slice(operator.as_slice());
    bytes[64] = last;
    Signature::parse(&bytes).unwrap()
}

pub(crate) fn signed(number: u8, statement: Statement) -> Response {
    Response {
        operator: operator(number),
        statement,
        outcome: Outcome::Signed(signature(operator(number), 27)),
        basis: ReadBasis::Unspecified,
    }
}

pub(crate) fn refused(number: u8, statement: Statement, code: RefusalCode) -> Response {
    Response {
        operator: operator(number),
        statement,
        outcome: Outcome::Refused(Refusal {
            code,
            detail: code.describe().to_owned(),
            signature: signature(operator(number), 28),
        }),
        basis: ReadBasis::Unspecified,
    }
}

pub(crate) fn certificate(statement: Statement, signers: &[u8]) -> Certificate {
    let signer = |number: &u8| SignerSignature {
        operator: operator(*number),
        signature: signature(operator(*number), 27),
    };
    Certificate::new(statement, signers.iter().map(signer).collect())
}

/// Milliseconds after the beginning of the test.
pub(crate) const fn at(millis: u64) -> Timestamp {
    Timestamp(1_700_000_000_000_000).plus_millis(millis)
}
