use alloy_primitives::U256;
use alloy_sol_types::Eip712Domain;

use super::*;
use crate::fixtures::{
    domain, epoch_update, epoch_update_hash, hash_struct, operator, proof, registry, separator,
    state_proof_hash, statement, typed_digest,
};
use crate::{EpochUpdate, JoinProof, PeerBinding, Presence, RefusalCode, StateProof, Statement};

mod mirror {
    alloy_sol_types::sol! {
        struct StateProof {
            address user;
            uint32 chainId;
            uint64 blockNumber;
            uint48 timestamp;
            uint32 epoch;
            uint256 key;
            uint256 value;
        }
        struct EpochUpdate {
            uint32 epoch;
            uint32 nextEpoch;
            bytes32 setHash;
        }
    }
}

fn alloy_domain() -> Eip712Domain {
    eip712_domain! {
        name: "Quorate",
        version: "1",
        chain_id: 31_337,
        verifying_contract: registry(),
    }
}

fn word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

/// The digest of a struct by hand, in the domain of the fixtures.
fn by_hand(struct_type: &str, fields: &[B256]) -> B256 {
    typed_digest(
        separator(31_337, registry()),
        hash_struct(struct_type, fields),
    )
}

#[test]
fn separator_by_hand_and_by_alloy() {
    assert_eq!(domain().separator(), separator(31_337, registry()));
    assert_eq!(domain().separator(), alloy_domain().separator());
}

#[test]
fn state_proof_by_hand_and_by_alloy() {
    let extreme = StateProof {
        user: Address::repeat_byte(0xff),
        chain_id: u32::MAX,
        block_number: u64::MAX,
        timestamp: (1 << 48) - 1,
        epoch: crate::Epoch(u32::MAX),
        key: U256::MAX,
        value: U256::MAX,
    };
    for p in [proof(), extreme] {
        let digest = Statement::StateProof(p).digest(&domain());
        let expected = typed_digest(separator(31_337, registry()), state_proof_hash(&p));
        assert_eq!(digest, expected);
        let mirror = mirror::StateProof {
            user: p.user,
            chainId: p.chain_id,
            blockNumber: p.block_number,
            timestamp: alloy_primitives::Uint::from(p.timestamp),
            epoch: p.epoch.0,
            key: p.key,
            value: p.value,
        };
        assert_eq!(digest, mirror.eip712_signing_hash(&alloy_domain()));
    }
}

#[test]
fn epoch_update_by_hand_and_by_alloy() {
    let extreme = EpochUpdate {
        epoch: crate::Epoch(u32::MAX - 1),
        next_epoch: crate::Epoch(u32::MAX),
        set_hash: B256::repeat_byte(0xff),
    };
    for update in [epoch_update(), extreme] {
        let digest = Statement::EpochUpdate(update).digest(&domain());
        let expected = typed_digest(separator(31_337, registry()), epoch_update_hash(&update));
        assert_eq!(digest, expected);
        let mirror = mirror::EpochUpdate {
            epoch: update.epoch.0,
            nextEpoch: update.next_epoch.0,
            setHash: update.set_hash,
        };
        assert_eq!(digest, mirror.eip712_signing_hash(&alloy_domain()));
    }
}

#[test]
fn the_other_structs_by_hand() {
    let (owner, key, peer) = (operator(1), operator(2), B256::repeat_byte(3));
    let code = RefusalCode::TimestampDiffers;
    assert_eq!(
        statement().refusal_digest(&domain(), code),
        by_hand(
            "Refusal(bytes32 taskId,uint32 epoch,uint32 code)",
            &[statement().task_id().0, word(1), word(9)],
        )
    );
    assert_eq!(
        PeerBinding::digest(&domain(), owner, peer.0, u64::MAX),
        by_hand(
            "PeerBinding(address operator,bytes32 peerKey,uint64 sequence)",
            &[owner.into_word(), peer, word(u64::MAX)],
        )
    );
    assert_eq!(
        Presence::digest(&domain(), owner, peer, 7),
        by_hand(
            "Presence(address operator,bytes32 instance,uint64 sequence)",
            &[owner.into_word(), peer, word(7)],
        )
    );
    let challenge = B256::repeat_byte(4);
    let join = "Join(address operator,bytes32 peerKey,bytes32 ed25519Key,bytes32 challenge)";
    for (ed25519_key, word) in [(Some([5; 32]), B256::repeat_byte(5)), (None, B256::ZERO)] {
        assert_eq!(
            JoinProof::digest(&domain(), owner, peer.0, ed25519_key, challenge),
            by_hand(join, &[owner.into_word(), peer, word, challenge]),
        );
    }
    assert_eq!(
        domain().registration_digest(owner, key, peer),
        by_hand(
            "OperatorRegistration(address operator,address signingKey,bytes32 ed25519Key)",
            &[owner.into_word(), key.into_word(), peer],
        )
    );
}

#[test]
fn every_signature_belongs_to_one_network() {
    let others = [Domain::new(1, registry()), Domain::new(31_337, operator(1))];
    let (key, sequence) = ([3; 32], 4);
    for other in others {
        assert_ne!(statement().digest(&domain()), statement().digest(&other));
        assert_ne!(
            statement().svm_message(&domain()),
            statement().svm_message(&other)
        );
        assert_ne!(
            PeerBinding::digest(&domain(), operator(1), key, sequence),
            PeerBinding::digest(&other, operator(1), key, sequence)
        );
        assert_ne!(
            Presence::digest(&domain(), operator(1), key.into(), sequence),
            Presence::digest(&other, operator(1), key.into(), sequence)
        );
        assert_ne!(
            domain().ed25519_registration(operator(1), operator(2)),
            other.ed25519_registration(operator(1), operator(2))
        );
        let (owner, challenge) = (operator(1), B256::repeat_byte(5));
        assert_ne!(
            JoinProof::digest(&domain(), owner, key, None, challenge),
            JoinProof::digest(&other, owner, key, None, challenge)
        );
        assert_ne!(
            JoinProof::ed25519_message(&domain(), owner, key, challenge),
            JoinProof::ed25519_message(&other, owner, key, challenge)
        );
        assert_ne!(domain().network(), other.network());
    }
}

#[test]
fn ed25519_registration_is_prefix_operator_and_key() {
    let mut expected = b"quorate:v1:\xf0".to_vec();
    expected.extend(31_337_u64.to_le_bytes());
    expected.extend(registry());
    expected.extend(operator(1));
    expected.extend(operator(2));
    assert_eq!(
        domain().ed25519_registration(operator(1), operator(2)),
        expected
    );
}

#[test]
fn ed25519_join_is_prefix_operator_peer_and_challenge() {
    let mut expected = b"quorate:v1:\xf1".to_vec();
    expected.extend(31_337_u64.to_le_bytes());
    expected.extend(registry());
    expected.extend(operator(1));
    expected.extend([2; 32]);
    expected.extend([3; 32]);
    let message = JoinProof::ed25519_message(&domain(), operator(1), [2; 32], [3; 32].into());
    assert_eq!(message, expected);
    assert_eq!(message.len(), 124);
}

#[test]
fn names_of_the_network() {
    let network = domain().network();
    let name = "31337-5fbdb2315678afecb367f032d93f642f64180aa3";
    assert_eq!(network.as_str(), name);
    assert_eq!(network.to_string(), name);
    assert_eq!(
        network.protocol("request"),
        format!("/quorate/{name}/request/1")
    );
    let topics = Kind::ALL.map(|kind| network.topic(kind));
    let expected =
        ["task", "response", "result", "evidence"].map(|kind| format!("/quorate/{name}/{kind}/1"));
    assert_eq!(topics, expected);
    assert_eq!(domain().home_chain_id(), 31_337);
}
