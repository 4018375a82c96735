use super::*;
use crate::fixtures::{
    challenge, domain, join_proof, join_request, operator, peer, registry, secret, svm_key,
};

/// By operator 1, checked with the keys that the home chain has for it.
fn verify(proof: &JoinProof) -> Result<(), JoinError> {
    let key = Some(svm_key(1).public());
    proof.verify(secret(1).address(), key, &domain(), challenge())
}

#[test]
fn who_holds_the_keys_joins() {
    assert_eq!(verify(&join_proof(1)), Ok(()));
    // Operator 4 has no Ed25519 key.
    let fourth = join_proof(4);
    assert_eq!(fourth.ed25519, None);
    let verified = fourth.verify(secret(4).address(), None, &domain(), challenge());
    assert_eq!(verified, Ok(()));
}

#[test]
fn every_field_is_signed() {
    let proof = join_proof(1);
    let changes: [(&str, JoinProof); 3] = [
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
        (
            "Ed25519 key",
            JoinProof {
                ed25519: None,
                ..proof.clone()
            },
        ),
    ];
    for (field, changed) in changes {
        let error = verify(&changed).expect_err(field);
        assert!(matches!(error, JoinError::WrongKey { .. }), "{field}");
    }
    let elsewhere = Domain::new(1, registry());
    let (key, ed25519) = (secret(1).address(), Some(svm_key(1).public()));
    let verified = proof.verify(key, ed25519, &elsewhere, challenge());
    assert!(matches!(verified, Err(JoinError::WrongKey { .. })));
}

#[test]
fn a_challenge_is_for_one_answer() {
    let later = B256::repeat_byte(9);
    let (key, ed25519) = (secret(1).address(), Some(svm_key(1).public()));
    let verified = join_proof(1).verify(key, ed25519, &domain(), later);
    assert_eq!(verified, Err(JoinError::StaleChallenge));
    // Putting the new challenge into an old proof does not help.
    let altered = JoinProof {
        challenge: later,
        ..join_proof(1)
    };
    let verified = altered.verify(key, ed25519, &domain(), later);
    assert!(matches!(verified, Err(JoinError::WrongKey { .. })));
}

#[test]
fn the_keys_are_those_of_the_home_chain() {
    let wrong = JoinError::WrongKey {
        expected: secret(2).address(),
        found: secret(1).address(),
    };
    let ed25519 = Some(svm_key(1).public());
    let verified = join_proof(1).verify(secret(2).address(), ed25519, &domain(), challenge());
    assert_eq!(verified, Err(wrong));
    let found = ed25519.map(B256::from);
    for registered in [None, Some(svm_key(2).public())] {
        let expected = registered.map(B256::from);
        let verified =
            join_proof(1).verify(secret(1).address(), registered, &domain(), challenge());
        let error = JoinError::WrongEd25519Key { expected, found };
        assert_eq!(verified, Err(error));
    }
    let missing = join_proof(4).verify(secret(4).address(), ed25519, &domain(), challenge());
    let error = JoinError::WrongEd25519Key {
        expected: found,
        found: None,
    };
    assert_eq!(missing, Err(error));
    let text = error.to_string();
    assert!(text.contains("the Ed25519 key none, but"), "{text}");
}

#[test]
fn the_ed25519_key_signs_too() {
    let with = |change: fn(&mut Ed25519Proof)| {
        let mut proof = join_proof(1);
        let mut ed25519 = proof.ed25519.expect("operator 1 has such a key");
        change(&mut ed25519);
        proof.ed25519 = Some(ed25519);
        verify(&proof)
    };
    let error = Err(JoinError::Ed25519Signature);
    assert_eq!(with(|p| p.signature[0] ^= 1), error);
    assert_eq!(with(|p| p.signature[63] ^= 0x80), error);
    // A registration says something else with the same key.
    let registration = |p: &mut Ed25519Proof| {
        let message = domain().ed25519_registration(operator(1), secret(1).address());
        p.signature = svm_key(1).sign(&message);
    };
    assert_eq!(with(registration), error);
    // A key of small order would sign anything.
    let digest = |key| JoinProof::digest(&domain(), operator(1), [1; 32], Some(key), challenge());
    let mut weak = [0; 32];
    weak[0] = 1;
    let proof = JoinProof {
        peer_key: [1; 32],
        signature: secret(1).sign(digest(weak)).unwrap(),
        ed25519: Some(Ed25519Proof {
            key: weak,
            signature: [0; 64],
        }),
        ..join_proof(1)
    };
    let verified = proof.verify(secret(1).address(), Some(weak), &domain(), challenge());
    assert_eq!(verified, error);
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
    let (key, ed25519) = (secret(1).address(), Some(svm_key(1).public()));
    let request = join_request();
    let verified = request.verify(key, ed25519, &domain(), challenge());
    assert_eq!(verified, Ok(()));
    let other = JoinRequest {
        binding: PeerBinding {
            sequence: 1,
            ..request.binding
        },
        ..request
    };
    let error = other.verify(key, ed25519, &domain(), challenge());
    let error = error.expect_err("the sequence is signed");
    assert!(matches!(error, JoinError::Binding(_)));
    assert_eq!(error.code(), RegistryErrorCode::WrongKey);
}

#[test]
fn what_to_do_about_each_failure() {
    let (address, key) = (operator(1), Some(B256::ZERO));
    let wrong_key = JoinError::WrongKey {
        expected: address,
        found: address,
    };
    let wrong_ed25519 = JoinError::WrongEd25519Key {
        expected: key,
        found: None,
    };
    let malformed = JoinError::Signature(SignatureError::HighS);
    let binding = JoinError::Binding(ResponseError::Signature(SignatureError::HighS));
    use RegistryErrorCode::{BadSignature, StaleChallenge, WrongKey};
    for (error, fault, retryable, code) in [
        (JoinError::StaleChallenge, false, true, StaleChallenge),
        (wrong_key, true, false, WrongKey),
        (wrong_ed25519, false, false, WrongKey),
        (malformed, true, false, BadSignature),
        (JoinError::Ed25519Signature, true, false, BadSignature),
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
    let proof = |r: &mut wire::JoinRequest| r.proof.take().unwrap_or_default();
    for (change, expected) in damages() {
        let mut message = valid.clone();
        change(&mut message);
        let error = JoinRequest::try_from(&message).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let mut without = valid.clone();
    without.proof = Some(wire::JoinProof {
        ed25519_key: vec![],
        ed25519_signature: vec![],
        ..proof(&mut without)
    });
    let read = JoinRequest::try_from(&without).unwrap();
    assert_eq!(read.proof.ed25519, None);
}

fn damages() -> [Damage; 12] {
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
            |r| r.proof.as_mut().unwrap().ed25519_key.clear(),
            "ed25519_key must have 32 bytes",
        ),
        (
            |r| r.proof.as_mut().unwrap().ed25519_signature.clear(),
            "ed25519_signature must have 64 bytes",
        ),
        (
            |r| r.proof.as_mut().unwrap().peer_key.clear(),
            "peer_key must have 32 bytes",
        ),
    ]
}
