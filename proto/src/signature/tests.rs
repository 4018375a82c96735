#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test panics where it overflows"
)]

use alloy_primitives::{address, b256, hex};
use k256::ecdsa::VerifyingKey;
use proptest::prelude::*;

use super::*;
use crate::fixtures::secret;

/// Order of the curve.
const ORDER: [u8; 32] = hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/// r = 1 … 1, s = 2 … 2 and v, each part replaced where asked.
fn bytes(r: [u8; 32], s: [u8; 32], v: u8) -> Vec<u8> {
    [&r[..], &s[..], &[v]].concat()
}

#[test]
fn the_example_of_eip_712() {
    let key = keccak256("cow");
    let key = SecretKey::from_bytes(&key.0).unwrap();
    let signer = address!("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
    let digest = b256!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    let expected = hex!(
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562"
        "1c"
    );
    let signature = key.sign(digest).unwrap();
    assert_eq!(key.address(), signer);
    assert_eq!(signature.as_bytes(), &expected);
    assert_eq!(signature.recover(digest), Ok(signer));
}

#[test]
fn what_contracts_reject_is_no_signature() {
    let (one, two) = ([1; 32], [2; 32]);
    let mut above_half = HALF_ORDER;
    above_half[31] += 1;
    for (what, bytes, expected) in [
        ("nothing", vec![], SignatureError::Length(0)),
        (
            "without v (EIP-2098)",
            vec![1; 64],
            SignatureError::Length(64),
        ),
        ("a byte more", vec![1; 66], SignatureError::Length(66)),
        ("v 0", bytes(one, two, 0), SignatureError::RecoveryId(0)),
        ("v 1", bytes(one, two, 1), SignatureError::RecoveryId(1)),
        ("v 26", bytes(one, two, 26), SignatureError::RecoveryId(26)),
        ("v 29", bytes(one, two, 29), SignatureError::RecoveryId(29)),
        ("high s", bytes(one, above_half, 27), SignatureError::HighS),
        ("s - 1", bytes(one, [0xff; 32], 28), SignatureError::HighS),
    ] {
        assert_eq!(Signature::parse(&bytes), Err(expected), "{what}");
    }
    assert!(Signature::parse(&bytes(one, HALF_ORDER, 27)).is_ok());
}

#[test]
fn numbers_outside_the_order_recover_nobody() {
    let (one, two) = ([1; 32], [2; 32]);
    for (what, r, s) in [
        ("r 0", [0; 32], two),
        ("s 0", one, [0; 32]),
        ("both 0", [0; 32], [0; 32]),
        ("r the order", ORDER, two),
        ("r above it", [0xff; 32], two),
    ] {
        for v in [27, 28] {
            let recovered = Signature::parse(&bytes(r, s, v))
                .and_then(|signature| signature.recover(B256::repeat_byte(7)));
            assert_eq!(recovered, Err(SignatureError::Unrecoverable), "{what}, {v}");
        }
    }
}

#[test]
fn the_upper_twin_of_a_signature_is_rejected() {
    // s and n - s both verify under plain ECDSA, with v flipped.
    let digest = B256::repeat_byte(9);
    let signature = secret(1).sign(digest).unwrap();
    let s = alloy_primitives::U256::from_be_slice(&signature.as_bytes()[32..64]);
    let twin = alloy_primitives::U256::from_be_bytes(ORDER) - s;
    let mut bytes = *signature.as_bytes();
    bytes[32..64].copy_from_slice(&twin.to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
    assert_eq!(Signature::parse(&bytes), Err(SignatureError::HighS));
}

#[test]
fn secrets_are_checked_and_never_printed() {
    assert!(SecretKey::from_bytes(&[0; 32]).is_err());
    assert!(SecretKey::from_bytes(&ORDER).is_err());
    let key = secret(1);
    assert_eq!(key.to_bytes(), [1; 32]);
    let printed = format!("{key:?}");
    assert_eq!(printed, format!("SecretKey of {}", key.address()));
    assert!(!printed.contains("0101"));
}

fn by_k256(signature: &Signature, digest: B256) -> Option<Address> {
    let parsed = k256::ecdsa::Signature::from_slice(&signature.0[..64]).ok()?;
    let id = k256::ecdsa::RecoveryId::from_byte(signature.0[64] - 27)?;
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &parsed, id).ok()?;
    Some(address_of(key.to_encoded_point(false).as_bytes()))
}

fn by_libsecp256k1(key: &SecretKey, digest: B256) -> [u8; 64] {
    let key = secp256k1::SecretKey::from_secret_bytes(key.to_bytes()).unwrap();
    let message = secp256k1::Message::from_digest(digest.0);
    secp256k1::ecdsa::sign(message, &key).serialize_compact()
}

proptest! {
    #[test]
    fn who_signs_is_recovered(key: [u8; 32], digest: [u8; 32]) {
        let Ok(key) = SecretKey::from_bytes(&key) else { return Ok(()) };
        let digest = B256::from(digest);
        let signature = key.sign(digest).unwrap();
        prop_assert_eq!(Signature::parse(signature.as_bytes()), Ok(signature));
        prop_assert_eq!(signature.recover(digest), Ok(key.address()));
        prop_assert_eq!(by_k256(&signature, digest), Some(key.address()));
        prop_assert_eq!(&signature.0[..64], &by_libsecp256k1(&key, digest));
        prop_assert_ne!(signature.recover(keccak256(digest)), Ok(key.address()));
    }

    #[test]
    fn both_libraries_recover_the_same(r: [u8; 32], s: [u8; 32], v in 27_u8..=28, digest: [u8; 32]) {
        let digest = B256::from(digest);
        if let Ok(signature) = Signature::parse(&bytes(r, s, v)) {
            prop_assert_eq!(signature.recover(digest).ok(), by_k256(&signature, digest));
        }
    }

    #[test]
    fn parsing_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(signature) = Signature::parse(&bytes) {
            prop_assert_eq!(&signature.as_bytes()[..], &bytes);
            prop_assert!(signature.as_bytes()[32..64] <= HALF_ORDER[..]);
        }
    }
}
