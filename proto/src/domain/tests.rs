use alloy_primitives::U256;
use alloy_sol_types::Eip712Domain;

use super::*;
use crate::fixtures::{
    attestation_hash, domain, epoch_update, hash_struct, operator, proof, registry, separator,
    statement, typed_digest,
};
use crate::{Attestation, JoinProof, PeerBinding, Presence, RefusalCode, StateProof, Statement};

mod mirror {
    alloy_sol_types::sol! {
        struct Attestation {
            uint32 epoch;
            bytes32 slot;
            bytes32 fact;
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
fn statements_by_hand_and_by_alloy() {
    let extreme = StateProof {
        user: Address::repeat_byte(0xff),
        chain_id: u32::MAX,
        block_number: u64::MAX,
        timestamp: (1 << 48) - 1,
        epoch: crate::Epoch(u32::MAX),
        key: U256::MAX,
        value: U256::MAX,
    };
    let statements = [
        statement(),
        Statement::StateProof(extreme),
        Statement::EpochUpdate(epoch_update()),
    ];
    for statement in statements {
        let (digest, attestation) = (statement.digest(&domain()), Attestation::from(&statement));
        let by_hand = attestation_hash(&attestation);
        let expected = typed_digest(separator(31_337, registry()), by_hand);
        assert_eq!(digest, expected);
        let mirror = mirror::Attestation {
            epoch: attestation.epoch.0,
            slot: attestation.slot.0,
            fact: attestation.fact,
        };
        assert_eq!(digest, mirror.eip712_signing_hash(&alloy_domain()));
    }
    assert_eq!(statement().epoch(), proof().epoch);
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
    assert_eq!(
        JoinProof::digest(&domain(), owner, peer.0, challenge),
        by_hand(
            "Join(address operator,bytes32 peerKey,bytes32 challenge)",
            &[owner.into_word(), peer, challenge],
        )
    );
    assert_eq!(
        domain().registration_digest(owner, key),
        by_hand(
            "OperatorRegistration(address operator,address signingKey)",
            &[owner.into_word(), key.into_word()],
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
            PeerBinding::digest(&domain(), operator(1), key, sequence),
            PeerBinding::digest(&other, operator(1), key, sequence)
        );
        assert_ne!(
            Presence::digest(&domain(), operator(1), key.into(), sequence),
            Presence::digest(&other, operator(1), key.into(), sequence)
        );
        assert_ne!(
            domain().registration_digest(operator(1), operator(2)),
            other.registration_digest(operator(1), operator(2))
        );
        let (owner, challenge) = (operator(1), B256::repeat_byte(5));
        assert_ne!(
            JoinProof::digest(&domain(), owner, key, challenge),
            JoinProof::digest(&other, owner, key, challenge)
        );
        assert_ne!(domain().network(), other.network());
    }
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
    let expected = ["task", "response", "result", "evidence", "bridge"]
        .map(|kind| format!("/quorate/{name}/{kind}/1"));
    assert_eq!(topics, expected);
    assert_eq!(domain().home_chain_id(), 31_337);
}
