#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use proptest::prelude::*;

use super::*;
use crate::fixtures::{certificate, epoch_update, next_set, operator, proof, set, statement};
use crate::{StateProof, U256};

fn compact(numbers: &[u8]) -> Vec<u8> {
    certificate(numbers).compact_signature_data(&set()).unwrap()
}

fn decode(bytes: &[u8]) -> Result<Certificate, CompactError> {
    Certificate::decode_compact(bytes, &set(), statement())
}

#[test]
fn the_form_by_hand() {
    let signed = certificate(&[2, 4]);
    let mut expected = vec![1, 0, 0, 0, 1, 0b1010];
    for signer in signed.signatures() {
        let bytes = signer.signature.as_bytes();
        let mut compact = bytes[..64].to_vec();
        compact[32] |= (bytes[64] - 27) << 7;
        expected.extend(compact);
    }
    assert_eq!(compact(&[2, 4]), expected);
    assert_eq!(decode(&expected), Ok(signed));
}

#[test]
fn both_parities_are_among_the_fixtures() {
    let v = |n: &u8| certificate(&[*n]).signatures()[0].signature.as_bytes()[64];
    let parities: Vec<u8> = [1, 2, 3, 4].iter().map(v).collect();
    assert!(
        parities.contains(&27) && parities.contains(&28),
        "{parities:?}"
    );
}

#[test]
fn signers_and_epoch_are_those_of_the_set() {
    let signed = certificate(&[1, 2]);
    let epochs = CompactError::WrongEpoch {
        expected: Epoch(1),
        found: Epoch(2),
    };
    assert_eq!(signed.compact_signature_data(&next_set()), Err(epochs));
    let stranger = CompactError::NotAnOperator(operator(5));
    assert_eq!(
        certificate(&[1, 5]).compact_signature_data(&set()),
        Err(stranger)
    );
    let nobody = certificate(&[]).compact_signature_data(&set());
    assert_eq!(nobody, Err(CompactError::NoSigner));
}

/// What is wrong, how it comes to be, and what is said.
type Row = (&'static str, fn(&mut Vec<u8>), CompactError);

#[test]
fn malformed_bytes_are_told_apart() {
    let valid = compact(&[1, 2]);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = valid.clone();
        change(&mut bytes);
        decode(&bytes).unwrap_err()
    };
    let length = |expected, found| CompactError::Length { expected, found };
    let epoch = |found| CompactError::WrongEpoch {
        expected: Epoch(1),
        found: Epoch(found),
    };
    let high_s = CompactError::Signature {
        operator: operator(1),
        error: SignatureError::HighS,
    };
    let table: [Row; 12] = [
        ("nothing", |b| b.clear(), length(5, 0)),
        ("half a head", |b| b.truncate(4), length(5, 4)),
        ("version 0", |b| b[0] = 0, CompactError::Version(0)),
        ("version 2", |b| b[0] = 2, CompactError::Version(2)),
        ("another epoch", |b| b[4] = 2, epoch(2)),
        (
            "epoch in little endian",
            |b| b[1..5].reverse(),
            epoch(1 << 24),
        ),
        ("no bitmap", |b| b.truncate(5), length(6, 5)),
        ("no bit", |b| b[5] = 0, CompactError::NoSigner),
        (
            "a fifth member",
            |b| b[5] |= 0x10,
            CompactError::BeyondSet(4),
        ),
        (
            "an eighth member",
            |b| b[5] |= 0x80,
            CompactError::BeyondSet(4),
        ),
        ("a third signer", |b| b[5] |= 4, length(198, 134)),
        ("high s", |b| b[38..70].fill(0xff), high_s),
    ];
    for (what, change, expected) in table {
        assert_eq!(with(change), expected, "{what}");
    }
    assert_eq!(with(|b| b.push(0)), length(134, 135));
    assert_eq!(with(|b| b.extend([0; 64])), length(134, 198));
    assert_eq!(with(|b| b.truncate(133)), length(134, 133));
}

#[test]
fn the_set_and_the_statement_are_of_one_epoch() {
    let later = Statement::StateProof(StateProof {
        epoch: Epoch(2),
        ..proof()
    });
    let error = CompactError::WrongEpoch {
        expected: Epoch(2),
        found: Epoch(1),
    };
    let bytes = compact(&[1, 2]);
    assert_eq!(
        Certificate::decode_compact(&bytes, &set(), later.clone()),
        Err(error)
    );
    // The set fits the statement, the bytes do not.
    assert_eq!(
        Certificate::decode_compact(&bytes, &next_set(), later),
        Err(error)
    );
}

#[test]
fn other_kinds_of_statement_have_it_too() {
    let update = Statement::EpochUpdate(epoch_update());
    let certificate = crate::fixtures::certificate_of(update.clone(), &[1, 2]);
    let bytes = certificate.compact_signature_data(&set()).unwrap();
    let read = Certificate::decode_compact(&bytes, &set(), update).unwrap();
    assert_eq!(read, certificate);
    assert!(read.verify(&set(), &crate::fixtures::domain()).is_ok());
}

fn any_signature() -> impl Strategy<Value = Signature> {
    (any::<[u8; 64]>(), 27_u8..=28).prop_map(|(mut rs, v)| {
        rs[32] &= 0x3f;
        Signature::parse(&[&rs[..], &[v]].concat()).unwrap()
    })
}

/// A set of 1 to 40 and who of them signs what.
fn any_certificate() -> impl Strategy<Value = (OperatorSet, Certificate)> {
    let member = (any::<[u8; 20]>(), any::<bool>(), any_signature());
    let members = proptest::collection::vec(member, 1..40);
    members.prop_filter_map("nobody signs", |members| {
        let operator = |(address, ..): &([u8; 20], bool, Signature)| Operator {
            address: address.into(),
            signing_key: address.into(),
            weight: U256::from(1),
        };
        let signer = |(address, _, signature): &([u8; 20], bool, Signature)| SignerSignature {
            operator: address.into(),
            signature: *signature,
        };
        let operators = members.iter().map(operator).collect();
        let signers: Vec<_> = members.iter().filter(|m| m.1).map(signer).collect();
        let set = OperatorSet::new(Epoch(1), operators, U256::from(1), 0).ok()?;
        (!signers.is_empty()).then(|| (set, Certificate::new(statement(), signers)))
    })
}

proptest! {
    #[test]
    fn both_forms_describe_the_same_certificate((set, certificate) in any_certificate()) {
        let bytes = certificate.compact_signature_data(&set).unwrap();
        let signers = certificate.signatures().len();
        prop_assert_eq!(bytes.len(), 5 + set.members().len().div_ceil(8) + 64 * signers);
        let read = Certificate::decode_compact(&bytes, &set, statement()).unwrap();
        prop_assert_eq!(read.signature_data(), certificate.signature_data());
        prop_assert_eq!(read, certificate);
    }

    /// What is read has exactly one form, whatever was damaged.
    #[test]
    fn no_certificate_has_two_short_forms(
        (set, certificate) in any_certificate(),
        at: proptest::sample::Index,
        byte: u8,
        length in 0_usize..200,
    ) {
        let mut bytes = certificate.compact_signature_data(&set).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if length > 100 {
            bytes.resize(bytes.len() + 150 - length, 0);
        }
        if let Ok(read) = Certificate::decode_compact(&bytes, &set, statement()) {
            prop_assert_eq!(read.compact_signature_data(&set).unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let _ = decode(&[&[1, 0, 0, 0, 1], &bytes[..]].concat());
    }
}
