use quorate_proto::{
    Attestation, B256, Domain, Epoch, EquivocationEvidence, SecretKey, SignedAttestation, SlotId,
    StateProof, Statement, StatementJson, U256,
};

use super::*;
use crate::certificate::tests::{NETWORK, set};

fn domain() -> Domain {
    domain_of(NETWORK).expect("a network")
}

fn evidence(epochs: [u32; 2]) -> EquivocationEvidence {
    let key = SecretKey::from_bytes(&[2; 32]).expect("a key");
    let signed = |epoch: u32, value: u64| {
        let statement = Statement::StateProof(StateProof {
            user: Address::repeat_byte(9),
            chain_id: 10,
            block_number: 500,
            timestamp: 1_700_000_000,
            epoch: Epoch(epoch),
            key: U256::from(7),
            value: U256::from(value),
        });
        let signature = key.sign(statement.digest(&domain())).expect("signed");
        SignedAttestation::of(statement, signature)
    };
    let pair = [signed(epochs[0], 1), signed(epochs[1], 2)];
    EquivocationEvidence::new(Address::repeat_byte(2), pair).expect("two facts")
}

#[test]
fn a_file_holds_all_of_it() {
    let evidence = evidence([7, 7]);
    let file = EvidenceFile::of(&evidence, &domain(), Some(1_700_000_000_000));
    let text = serde_json::to_string(&file).expect("JSON");
    let read: EvidenceFile = serde_json::from_str(&text).expect("evidence");
    assert_eq!(read, file);
    assert_eq!(read.evidence().expect("evidence"), evidence);
    let verified = evidence.verify(&domain(), |epoch| {
        Some(set()).filter(|s| s.epoch() == epoch)
    });
    assert_eq!(verified, Ok(()));
}

/// What a node says over HTTP is such a file.
#[test]
fn the_report_of_a_node_is_a_file() {
    let evidence = evidence([7, 8]);
    let file = EvidenceFile::of(&evidence, &domain(), None);
    let mut value = serde_json::to_value(&file).expect("JSON");
    for place in ["first", "second"] {
        value[place]["statement"]["digest"] = json!(format!("0x{}", "11".repeat(32)));
    }
    let report: quorate_node::api::EvidenceReport =
        serde_json::from_value(value.clone()).expect("a report");
    assert_eq!(serde_json::to_value(&report).expect("JSON"), value);
    let read: EvidenceFile = serde_json::from_value(value).expect("a file");
    assert_eq!(read, file);
}

#[test]
fn altered_files_are_seen() {
    let file = EvidenceFile::of(&evidence([7, 7]), &domain(), None);
    let other = EvidenceFile::of(&evidence([7, 8]), &domain(), None);
    let zero = quorate_proto::B256::ZERO;
    for (altered, problem) in [
        (
            EvidenceFile {
                id: zero,
                ..file.clone()
            },
            "the id in the file",
        ),
        (
            EvidenceFile {
                slot: zero,
                ..file.clone()
            },
            "statement must have the epoch, slot and fact",
        ),
        (
            EvidenceFile {
                second: file.first.clone(),
                ..file.clone()
            },
            "must be another fact",
        ),
        (
            EvidenceFile {
                first: file.second.clone(),
                second: file.first.clone(),
                ..file.clone()
            },
            "must be the lower one",
        ),
        (
            EvidenceFile {
                operator: Address::repeat_byte(3),
                ..file.clone()
            },
            "the id in the file",
        ),
    ] {
        let error = altered.evidence().expect_err("altered").to_string();
        assert!(error.contains(problem), "{error}");
    }
    let mut epochs = other.epochs();
    epochs.sort_unstable();
    assert_eq!(epochs, [7, 8]);
}

#[test]
fn impossible_statements_are_refused() {
    let mut file = EvidenceFile::of(&evidence([7, 7]), &domain(), None);
    if let Some(StatementJson::StateProof(proof)) = &mut file.first.statement {
        proof.timestamp = 1 << 48;
    }
    let error = file.evidence().expect_err("refused").to_string();
    assert!(error.contains("timestamp"), "{error}");
}

#[test]
fn it_reads_well() {
    let file = EvidenceFile::of(&evidence([7, 8]), &domain(), None);
    let text = file.to_string();
    assert!(text.contains("on chain 10 at block 500"), "{text}");
    assert!(
        text.contains("value 1,") && text.contains("in epoch 8"),
        "{text}"
    );
    let table = table(std::slice::from_ref(&file)).to_string();
    assert!(table.contains("chain 10, block 500"), "{table}");
    assert!(table.contains(&file.id.to_string()), "{table}");
}

/// Of a kind that this build does not know, or without its statements.
#[test]
fn evidence_without_statements_reads_well_too() {
    let key = SecretKey::from_bytes(&[2; 32]).expect("a key");
    let pair = [1, 2].map(|fact| {
        let attestation = Attestation {
            epoch: Epoch(7),
            slot: SlotId(B256::repeat_byte(0x7f)),
            fact: B256::repeat_byte(fact),
        };
        let signature = key.sign(attestation.digest(&domain())).expect("signed");
        SignedAttestation::bare(attestation, signature)
    });
    let evidence = EquivocationEvidence::new(Address::repeat_byte(2), pair).expect("two facts");
    let file = EvidenceFile::of(&evidence, &domain(), None);
    let text = serde_json::to_string(&file).expect("JSON");
    let read: EvidenceFile = serde_json::from_str(&text).expect("evidence");
    assert_eq!(read.evidence().expect("evidence"), evidence);
    let text = read.to_string();
    assert!(text.contains("whose statement is not told"), "{text}");
    assert!(text.contains("fact 0x0101"), "{text}");
    let table = table(std::slice::from_ref(&file)).to_string();
    assert!(table.contains("slot 0x7f7f"), "{table}");
}
