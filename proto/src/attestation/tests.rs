use proptest::prelude::*;

use super::*;
use crate::fixtures::{
    attestation_hash, contradiction, domain, epoch_update, evidence, evidence_of_an_unknown_kind,
    operator, proof, secret, signed_statement, statement, typed_digest,
};
use crate::{StateProof, U256};

fn attestation() -> Attestation {
    (&statement()).into()
}

fn message() -> wire::SignedAttestation {
    (&signed_statement(&secret(1), statement())).into()
}

#[test]
fn the_digest_by_hand() {
    for statement in [statement(), Statement::EpochUpdate(epoch_update())] {
        let attestation = Attestation::from(&statement);
        assert_eq!(attestation.epoch, statement.epoch());
        assert_eq!(attestation.slot, statement.slot());
        assert_eq!(attestation.fact, statement.fact());
        let digest = typed_digest(domain().separator(), attestation_hash(&attestation));
        assert_eq!(attestation.digest(&domain()), digest);
        assert_eq!(statement.digest(&domain()), digest);
    }
}

#[test]
fn every_field_is_under_the_signature() {
    let before = attestation();
    let changes = [
        Attestation {
            epoch: Epoch(2),
            ..before
        },
        Attestation {
            slot: SlotId(before.fact),
            ..before
        },
        Attestation {
            fact: before.slot.0,
            ..before
        },
        Attestation {
            slot: SlotId(before.fact),
            fact: before.slot.0,
            ..before
        },
    ];
    for after in changes {
        assert_ne!(before.digest(&domain()), after.digest(&domain()));
    }
    let elsewhere = Domain::new(31_337, operator(1));
    assert_ne!(before.digest(&domain()), before.digest(&elsewhere));
}

#[test]
fn a_statement_has_what_is_signed() {
    assert_eq!(
        SignedAttestation::try_from(&message()),
        Ok(signed_statement(&secret(1), statement()))
    );
    let with = |statement: Statement| {
        let message = wire::SignedAttestation {
            statement: Some((&statement).into()),
            ..message()
        };
        SignedAttestation::try_from(&message).map_err(|error| error.to_string())
    };
    let wrong = Err("statement must have the epoch, slot and fact that are signed".to_owned());
    // Another fact, another epoch, another slot, another kind.
    assert_eq!(with(contradiction(1)), wrong);
    let later = StateProof {
        epoch: Epoch(2),
        ..proof()
    };
    assert_eq!(with(Statement::StateProof(later)), wrong);
    let key = U256::from(2);
    let other = StateProof { key, ..proof() };
    assert_eq!(with(Statement::StateProof(other)), wrong);
    assert_eq!(with(Statement::EpochUpdate(epoch_update())), wrong);
}

#[test]
fn a_statement_may_be_left_out_or_be_of_an_unknown_kind() {
    let bare = SignedAttestation::bare(attestation(), *signed().signature());
    assert_eq!(bare.statement(), None);
    for statement in [None, Some(wire::Statement { kind: None })] {
        let message = wire::SignedAttestation {
            statement,
            ..message()
        };
        assert_eq!(SignedAttestation::try_from(&message), Ok(bare.clone()));
    }
    let unknown = evidence_of_an_unknown_kind();
    let message = wire::EquivocationEvidence::from(&unknown);
    assert_eq!(crate::EquivocationEvidence::try_from(&message), Ok(unknown));
}

fn signed() -> SignedAttestation {
    signed_statement(&secret(1), statement())
}

#[test]
fn malformed_fields_are_named() {
    let with = |change: fn(&mut wire::SignedAttestation)| {
        let mut message = message();
        change(&mut message);
        SignedAttestation::try_from(&message)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(with(|m| m.slot.clear()), "slot must have 32 bytes");
    assert_eq!(with(|m| m.fact.push(0)), "fact must have 32 bytes");
    assert_eq!(
        with(|m| m.signature[64] = 1),
        "signature must be r, s, v: 65 bytes, v 27 or 28, low s"
    );
    // Also what a malformed statement is.
    let broken = with(|m| {
        m.statement = Some(wire::Statement {
            kind: Some(wire::statement::Kind::StateProof(
                wire::StateProof::default(),
            )),
        });
    });
    assert_eq!(broken, "user must have 20 bytes");
}

#[test]
fn what_evidence_is_made_of_recovers_to_its_signer() {
    for signed in evidence().attestations() {
        let digest = signed.attestation().digest(&domain());
        assert_eq!(signed.signature().recover(digest), Ok(secret(2).address()));
        assert!(signed.statement().is_some());
    }
}

proptest! {
    #[test]
    fn two_attestations_share_a_digest_only_if_they_are_one(
        a in (0_u32..3, 0_u8..3, 0_u8..3),
        b in (0_u32..3, 0_u8..3, 0_u8..3),
    ) {
        let of = |(epoch, slot, fact)| Attestation {
            epoch: Epoch(epoch),
            slot: SlotId(B256::with_last_byte(slot)),
            fact: B256::with_last_byte(fact),
        };
        let (digest_a, digest_b) = (of(a).digest(&domain()), of(b).digest(&domain()));
        prop_assert_eq!(digest_a == digest_b, a == b);
    }
}
