use super::*;
use crate::fixtures::{
    challenge, domain, join_proof, join_request, operator, peer, registry, secret,
};

/// By operator 1, checked with the key that the home chain has for it.
fn verify(proof: &JoinProof) -> Result<(), JoinError> {
    proof.verify(secret(1).address(), &domain(), challenge())
}

#[test]
fn who_holds_the_key_joins() {
    assert_eq!(verify(&join_proof(1)), Ok(()));
    let fourth = join_proof(4).verify(secret(4).address(), &domain(), challenge());
    assert_eq!(fourth, Ok(()));
}

#[test]
fn every_field_is_signed() {
    let proof = join_proof(1);
    let changes: [(&str, JoinProof); 2] = [
        (
            "operator",
            JoinProof {
                operator: operator(2),
                ..proof.clone()
            },
        ),
        (
            "peer key",
            JoinProof {
                peer_key: peer(2).public(),
                ..proof.clone()
            },
        ),
    ];
    for (field, changed) in changes {
        let error = verify(&changed).expect_err(field);
        assert!(matches!(error, JoinError::WrongKey { .. }), "{field}");
    }
    let elsewhere = Domain::new(1, registry());
    let verified = proof.verify(secret(1).address(), &elsewhere, challenge());
    assert!(matches!(verified, Err(JoinError::WrongKey { .. })));
}

#[test]
fn a_challenge_is_for_one_answer() {
    let later = B256::repeat_byte(9);
    let key = secret(1).address();
    let verified = join_proof(1).verify(key, &domain(), later);
    assert_eq!(verified, Err(JoinError::StaleChallenge));
    // Putting the new challenge into an old proof does not help.
    let altered = JoinProof {
        challenge: later,
        ..join_proof(1)
    };
    let verified = altered.verify(key, &domain(), later);
    assert!(matches!(verified, Err(JoinError::WrongKey { .. })));
}

#[test]
fn the_key_is_that_of_the_home_chain() {
    let wrong = JoinError::WrongKey {
        expected: secret(2).address(),
        found: secret(1).address(),
    };
    let verified = join_proof(1).verify(secret(2).address(), &domain(), challenge());
    assert_eq!(verified, Err(wrong));
}

#[test]
fn a_malformed_signature_is_told_apart() {
    let bytes = [&[0; 64][..], &[27]].concat();
    let proof = JoinProof {
        signature: Signature::parse(&bytes).unwrap(),
        ..join_proof(1)
    };
    let error = JoinError::Signature(SignatureError::Unrecoverable);
    assert_eq!(verify(&proof), Err(error));
}

#[test]
fn the_binding_is_by_the_same_key() {
    let key = secret(1).address();
    let request = join_request();
    let verified = request.verify(key, &domain(), challenge());
    assert_eq!(verified, Ok(()));
    let other = JoinRequest {
        binding: PeerBinding {
            sequence: 1,
            ..request.binding
        },
        ..request
    };
    let error = other.verify(key, &domain(), challenge());
    let error = error.expect_err("the sequence is signed");
    assert!(matches!(error, JoinError::Binding(_)));
    assert_eq!(error.code(), RegistryErrorCode::WrongKey);
}

#[test]
fn what_to_do_about_each_failure() {
    let address = operator(1);
    let wrong_key = JoinError::WrongKey {
        expected: address,
        found: address,
    };
    let malformed = JoinError::Signature(SignatureError::HighS);
    let binding = JoinError::Binding(ResponseError::Signature(SignatureError::HighS));
    use RegistryErrorCode::{BadSignature, StaleChallenge, WrongKey};
    for (error, fault, retryable, code) in [
        (JoinError::StaleChallenge, false, true, StaleChallenge),
        (wrong_key, true, false, WrongKey),
        (malformed, true, false, BadSignature),
        (binding, true, false, BadSignature),
    ] {
        assert_eq!(error.is_fault(), fault, "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.code().is_retryable(), retryable, "{error}");
    }
}

/// How a message is damaged, and what is said.
type Damage = (fn(&mut wire::JoinRequest), &'static str);

#[test]
fn malformed_fields_are_named() {
    let valid = wire::JoinRequest::from(&join_request());
    assert_eq!(JoinRequest::try_from(&valid), Ok(join_request()));
    for (change, expected) in damages() {
        let mut message = valid.clone();
        change(&mut message);
        let error = JoinRequest::try_from(&message).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

fn damages() -> [Damage; 10] {
    [
        (|r| r.proof = None, "proof is missing"),
        (|r| r.binding = None, "binding is missing"),
        (
            |r| r.binding.as_mut().unwrap().peer_key = vec![1; 32],
            "binding must be for the operator and the peer of the proof",
        ),
        (
            |r| r.binding.as_mut().unwrap().operator = vec![1; 20],
            "binding must be for the operator and the peer of the proof",
        ),
        (
            |r| r.addresses = vec![String::new(); 9],
            "addresses must be at most 8 of at most 256 bytes each",
        ),
        (
            |r| r.addresses = vec!["x".repeat(257)],
            "addresses must be at most 8 of at most 256 bytes each",
        ),
        (
            |r| r.proof.as_mut().unwrap().operator.clear(),
            "operator must have 20 bytes",
        ),
        (
            |r| r.proof.as_mut().unwrap().challenge.push(0),
            "challenge must have 32 bytes",
        ),
        (
            |r| r.proof.as_mut().unwrap().signature[64] = 0,
            "signature is malformed",
        ),
        (
            |r| r.proof.as_mut().unwrap().peer_key.clear(),
            "peer_key must have 32 bytes",
        ),
    ]
}
