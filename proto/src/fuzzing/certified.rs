//! Statements, and what is signed about them.

use super::{decode, set, set_of};
use crate::fixtures::{domain, statement as known_statement};
use crate::{
    Address, Attestation, B256, Certificate, Domain, Epoch, EquivocationEvidence, Response,
    Signature, SignedAttestation, StateProof, Statement, U256, keccak256, limits, wire,
};

/// Responses.
pub fn response(bytes: &[u8]) {
    if let Some(response) = decode::<wire::Response, Response>(bytes) {
        check_response(&response);
    }
}

pub(super) fn check_response(response: &Response) {
    let (set, domain) = (set(), domain());
    if response.verify(set, &domain).is_err() {
        return;
    }
    assert!(set.get(response.operator).is_some(), "signed by a member");
    let statement = other(&response.statement);
    let moved = Response {
        statement,
        ..response.clone()
    };
    assert!(moved.verify(set, &domain).is_err(), "signs its statement");
    let others = set.members().iter().map(|member| member.address);
    let another = Response {
        operator: others
            .into_iter()
            .find(|address| *address != response.operator)
            .expect("four members"),
        ..response.clone()
    };
    assert!(
        another.verify(set, &domain).is_err(),
        "signs for its operator"
    );
    assert!(
        response.verify(set, &elsewhere()).is_err(),
        "signs for its network"
    );
}

/// The registry of the fixtures on another home chain.
fn elsewhere() -> Domain {
    Domain::new(1, domain().registry())
}

/// The same statement in the next epoch.
fn other(statement: &Statement) -> Statement {
    statement.in_epoch(Epoch(statement.epoch().0.wrapping_add(1)))
}

/// Certificates.
pub fn certificate(bytes: &[u8]) {
    if let Some(certificate) = decode::<wire::Certificate, Certificate>(bytes) {
        check_certificate(&certificate);
    }
}

pub(super) fn check_certificate(certificate: &Certificate) {
    let (set, domain) = (set(), domain());
    let signers = certificate.signatures();
    assert!((1..=limits::MAX_SIGNERS).contains(&signers.len()));
    assert!(
        signers.windows(2).all(|w| w[0].operator < w[1].operator),
        "strictly ascending"
    );
    let calldata = certificate.signature_data();
    // Heads, two lengths, and per signer an address, an offset, a length and three words.
    assert_eq!(calldata.len(), 32 * (5 + 6 * signers.len()));
    if let Ok(short) = certificate.compact_signature_data(set) {
        let back = Certificate::decode_compact(&short, set, certificate.statement().clone());
        assert_eq!(
            back.as_ref(),
            Ok(certificate),
            "the short form means the same"
        );
    }
    let Ok(weight) = certificate.verify(set, &domain) else {
        return;
    };
    assert_eq!(certificate.statement().epoch(), set.epoch());
    let sum = signers.iter().fold(U256::ZERO, |sum, signer| {
        sum.saturating_add(set.weight_of(signer.operator))
    });
    assert_eq!(weight, sum);
    assert!(weight >= set.threshold(), "nothing below the threshold");
    let digest = certificate.statement().digest(&domain);
    for signer in signers {
        let key = set.get(signer.operator).map(|member| member.signing_key);
        assert_eq!(
            signer.signature.recover(digest).ok(),
            key,
            "each signature by itself"
        );
    }
    assert!(
        certificate.verify(set, &elsewhere()).is_err(),
        "certifies for its network"
    );
}

/// The short form of certificates.
pub fn certificate_compact(bytes: &[u8]) {
    let set = set();
    if let Ok(certificate) = Certificate::decode_compact(bytes, set, known_statement()) {
        let again = certificate.compact_signature_data(set);
        assert_eq!(again.as_deref(), Ok(bytes), "there is one short form");
        check_certificate(&certificate);
    }
}

/// Evidence of equivocation.
pub fn evidence(bytes: &[u8]) {
    if let Some(evidence) = decode::<wire::EquivocationEvidence, EquivocationEvidence>(bytes) {
        check_evidence(&evidence);
    }
}

pub(super) fn check_evidence(evidence: &EquivocationEvidence) {
    let [first, second] = evidence.attestations();
    let operator = evidence.operator();
    assert_eq!(
        first.attestation().slot,
        second.attestation().slot,
        "one slot"
    );
    assert!(
        first.attestation().fact < second.attestation().fact,
        "two facts, in their order"
    );
    let id = EquivocationEvidence::id_of(first.attestation().slot, operator);
    assert_eq!(evidence.id(), id, "a case has one id");
    let turned = EquivocationEvidence::new(operator, [second.clone(), first.clone()]);
    assert_eq!(turned.as_ref(), Ok(evidence), "a pair has one form");
    for signed in [first, second] {
        if let Some(statement) = signed.statement() {
            let signs = Attestation::from(statement);
            assert_eq!(signs, *signed.attestation(), "what was signed, in full");
        }
    }
    if evidence.verify(&domain(), set_of).is_ok() {
        check_proven(evidence);
    }
}

/// One member signed both, each with its key of that epoch, for this network and no other.
fn check_proven(evidence: &EquivocationEvidence) {
    let domain = domain();
    for signed in evidence.attestations() {
        let set = set_of(signed.attestation().epoch).expect("a set that is known");
        let member = set.get(evidence.operator()).expect("a member");
        let found = signed
            .signature()
            .recover(signed.attestation().digest(&domain));
        assert_eq!(found, Ok(member.signing_key), "by the key of its epoch");
    }
    assert!(
        evidence.verify(&elsewhere(), set_of).is_err(),
        "another network's evidence"
    );
    let pair = evidence.attestations().map(|signed| signed.clone());
    let stranger = Address::repeat_byte(0x99);
    let accused = EquivocationEvidence::new(stranger, pair.clone()).expect("a contradiction");
    assert!(
        accused.verify(&domain, set_of).is_err(),
        "accuses who signed"
    );
    let bare = pair.map(|s| SignedAttestation::bare(*s.attestation(), *s.signature()));
    let bare = EquivocationEvidence::new(evidence.operator(), bare).expect("a contradiction");
    assert_eq!(
        bare.verify(&domain, set_of),
        Ok(()),
        "holds without statements"
    );
}

/// Statements, and what is made of them.
pub fn statement(bytes: &[u8]) {
    let Some(statement) = decode::<wire::Statement, Statement>(bytes) else {
        return;
    };
    let (next, domain) = (other(&statement), domain());
    assert_ne!(statement.task_id(), next.task_id(), "a task has one epoch");
    assert_ne!(
        statement.digest(&domain),
        next.digest(&domain),
        "a signature has one epoch"
    );
    assert_eq!(
        (statement.slot(), statement.fact()),
        (next.slot(), next.fact())
    );
    if let Statement::StateProof(proof) = statement {
        let lie = Statement::StateProof(StateProof {
            value: proof.value.wrapping_add(U256::ONE),
            ..proof
        });
        assert_eq!(lie.slot(), statement.slot(), "one truth only");
        assert_ne!(lie.fact(), statement.fact());
    }
}

/// Signatures in both forms, over a digest of the bytes that follow.
pub fn signature(bytes: &[u8]) {
    let Some((signature, rest)) = bytes.split_first_chunk::<65>() else {
        assert!(Signature::parse(bytes).is_err(), "65 bytes and no fewer");
        return;
    };
    let digest = keccak256(rest);
    if let Ok(parsed) = Signature::parse(signature) {
        assert_eq!(parsed.as_bytes(), signature);
        assert_eq!(Signature::from_compact(&parsed.to_compact()), Ok(parsed));
        if let Ok(signer) = parsed.recover(digest) {
            let other = keccak256(digest);
            assert_ne!(parsed.recover(other).ok(), Some(signer), "signs one digest");
            check_malleable(signature, digest, signer);
        }
    }
    if let Some((compact, _)) = bytes.split_first_chunk::<64>()
        && let Ok(parsed) = Signature::from_compact(compact)
    {
        assert_eq!(parsed.to_compact(), *compact);
    }
}

/// The second signature that every reader can make of one is none.
fn check_malleable(signature: &[u8; 65], digest: B256, signer: Address) {
    let order: U256 = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        .parse()
        .expect("a number");
    let s = U256::from_be_slice(&signature[32..64]);
    let mut twin = *signature;
    twin[32..64].copy_from_slice(&order.wrapping_sub(s).to_be_bytes::<32>());
    twin[64] = 55 - signature[64];
    let recovered = Signature::parse(&twin).and_then(|twin| twin.recover(digest));
    assert_ne!(recovered.ok(), Some(signer), "one signature has one form");
}
