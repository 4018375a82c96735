use alloy_primitives::{b256, keccak256};

use super::*;
use crate::fixtures::{certificate, domain, member, operator, proof, secret, set};
use crate::{Operator, StateProof};

fn verify(certificate: &Certificate) -> Result<U256, CertificateError> {
    certificate.verify(&set(), &domain())
}

/// The set of the fixtures where others, unknown here, hold the rest of this total.
fn set_with_total(total: u64) -> OperatorSet {
    let members = set().members().to_vec();
    OperatorSet::new(Epoch(1), members, U256::from(total), 0).unwrap()
}

#[test]
fn enough_weight_certifies() {
    assert_eq!(verify(&certificate(&[1, 2])), Ok(U256::from(70)));
    assert_eq!(verify(&certificate(&[1, 2, 3, 4])), Ok(U256::from(100)));
}

#[test]
fn the_threshold_itself_is_enough() {
    let certificate = certificate(&[1, 3]);
    let below = CertificateError::BelowThreshold {
        weight: U256::from(60),
        threshold: U256::from(61),
    };
    // 2 * 88 / 3 + 1 is 59, of 89 it is 60, of 90 it is 61.
    let check = |total| certificate.verify(&set_with_total(total), &domain());
    assert_eq!(check(88), Ok(U256::from(60)));
    assert_eq!(check(89), Ok(U256::from(60)));
    assert_eq!(check(90), Err(below));
}

#[test]
fn no_signature_no_weight() {
    let error = CertificateError::BelowThreshold {
        weight: U256::ZERO,
        threshold: U256::from(67),
    };
    assert_eq!(verify(&certificate(&[])), Err(error));
}

#[test]
fn the_set_is_the_one_of_the_statement() {
    let later = OperatorSet::new(Epoch(2), set().members().to_vec(), U256::from(100), 0);
    let error = CertificateError::WrongEpoch {
        certificate: Epoch(1),
        set: Epoch(2),
    };
    let verified = certificate(&[1, 2]).verify(&later.unwrap(), &domain());
    assert_eq!(verified, Err(error));
}

#[test]
fn strangers_do_not_count_even_when_the_rest_suffices() {
    let error = CertificateError::NotAnOperator(operator(5));
    assert_eq!(verify(&certificate(&[1, 2, 3, 5])), Err(error));
}

#[test]
fn each_signature_is_by_its_operators_key() {
    let mut other = certificate(&[1, 2]);
    other.statement = Statement::StateProof(StateProof {
        value: U256::from(7),
        ..proof()
    });
    assert!(matches!(
        verify(&other),
        Err(CertificateError::WrongKey { .. })
    ));

    let elsewhere = Domain::new(1, domain().registry());
    let verified = certificate(&[1, 2]).verify(&set(), &elsewhere);
    assert!(matches!(verified, Err(CertificateError::WrongKey { .. })));

    let mut swapped = certificate(&[1, 2]);
    swapped.signatures[0].signature = swapped.signatures[1].signature;
    let error = CertificateError::WrongKey {
        operator: operator(1),
        expected: secret(1).address(),
        found: secret(2).address(),
    };
    assert_eq!(verify(&swapped), Err(error));

    // A key that was rotated away no longer counts.
    let members = [1, 2].map(|n| Operator {
        signing_key: operator(9),
        ..member(n)
    });
    let rotated = OperatorSet::new(Epoch(1), members.to_vec(), U256::from(70), 0);
    let verified = certificate(&[1, 2]).verify(&rotated.unwrap(), &domain());
    assert!(matches!(verified, Err(CertificateError::WrongKey { .. })));
}

#[test]
fn a_signature_by_no_key_is_told_apart() {
    let mut broken = certificate(&[1, 2]);
    let bytes = [&[0; 64][..], &[27]].concat();
    broken.signatures[1].signature = Signature::parse(&bytes).unwrap();
    let error = CertificateError::Signature {
        operator: operator(2),
        error: SignatureError::Unrecoverable,
    };
    assert_eq!(verify(&broken), Err(error));
}

#[test]
fn signers_ascend_by_operator_not_by_signing_key() {
    let by_key = |n: &u8| secret(*n).address();
    assert!(
        ![1, 2, 3, 4].is_sorted_by_key(by_key),
        "the fixtures must tell the two orders apart"
    );
    let certificate = certificate(&[4, 2, 1, 3, 2]);
    let operators: Vec<_> = certificate
        .signatures()
        .iter()
        .map(|s| s.operator)
        .collect();
    assert_eq!(operators, [1, 2, 3, 4].map(operator));
}

#[test]
fn the_published_signature_data() {
    let statement = Statement::StateProof(StateProof {
        epoch: Epoch(7),
        ..proof()
    });
    let signed = certificate(&[1, 2]);
    let data = Certificate::new(statement, signed.signatures().to_vec()).signature_data();
    assert_eq!(data.len(), 544);
    // The published bytes are no signatures, so no certificate can hold them: put them in.
    let published = |data: Vec<u8>, signer: &SignerSignature, byte: u8| {
        let at = data
            .windows(65)
            .position(|w| w == signer.signature.as_bytes())
            .unwrap();
        [&data[..at], &[byte; 65], &data[at + 65..]].concat()
    };
    let data = published(data, &signed.signatures()[0], 0xaa);
    let data = published(data, &signed.signatures()[1], 0xbb);
    assert_eq!(
        keccak256(data),
        b256!("bcfb4780e26a5ee3bea65c2eda1f996f7f485fe9cc0b8eaae4e26362eaed983c")
    );
}

#[test]
fn the_wire_form_ascends_and_is_bounded() {
    let valid = wire::Certificate::from(&certificate(&[1, 2, 3]));
    assert_eq!(Certificate::try_from(&valid), Ok(certificate(&[1, 2, 3])));
    let with = |change: fn(&mut wire::Certificate)| {
        let mut message = valid.clone();
        change(&mut message);
        Certificate::try_from(&message).unwrap_err().to_string()
    };
    assert_eq!(
        with(|c| c.signatures.swap(0, 1)),
        "signatures must ascend by operator"
    );
    assert_eq!(
        with(|c| c.signatures[1] = c.signatures[0].clone()),
        "signatures must ascend by operator"
    );
    let count = format!("signatures must be 1 to {}", limits::MAX_SIGNERS);
    assert_eq!(with(|c| c.signatures.clear()), count);
    let too_many = |c: &mut wire::Certificate| {
        c.signatures = vec![c.signatures[0].clone(); limits::MAX_SIGNERS + 1];
    };
    assert_eq!(with(too_many), count);
    assert_eq!(with(|c| c.statement = None), "statement is missing");
    assert_eq!(
        with(|c| c.signatures[0].operator.clear()),
        "operator must have 20 bytes"
    );
    assert_eq!(
        with(|c| c.signatures[0].signature[64] = 0),
        "signature is malformed"
    );
}
