//! Evidence as the judge on chain reads it: one file that the contracts' own tests are held to as well.

use quorate_proto::{EquivocationEvidence, SignedAttestation, Statement};
use serde_json::{Value, json};

use crate::fixtures::{domain, evidence_across_keys, evidence_of_an_unknown_kind};
use crate::golden;
use crate::vectors::equivocations;

/// Where the contracts' tests read it, as seen from `tests/golden`.
const FILE: &str = "../../../chain/contracts/test/vectors/equivocation.json";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn signed(signed: &SignedAttestation) -> Value {
    let attestation = signed.attestation();
    let digest = attestation.digest(&domain());
    let key = signed.signature().recover(digest).expect("a key");
    let mut value = json!({
        "epoch": attestation.epoch.0,
        "fact": hex(attestation.fact),
        "digest": hex(digest),
        "signature": hex(signed.signature().as_bytes()),
        "signingKey": hex(key),
    });
    match signed.statement() {
        Some(Statement::StateProof(proof)) => {
            value["user"] = json!(hex(proof.user));
            value["chainId"] = json!(proof.chain_id);
            value["blockNumber"] = json!(proof.block_number);
            value["timestamp"] = json!(proof.timestamp);
            value["key"] = json!(hex(proof.key.to_be_bytes::<32>()));
            value["value"] = json!(hex(proof.value.to_be_bytes::<32>()));
        }
        Some(Statement::EpochUpdate(update)) => {
            value["nextEpoch"] = json!(update.next_epoch.0);
            value["setHash"] = json!(hex(update.set_hash));
            value["time"] = json!(update.time);
        }
        _ => {}
    }
    value
}

fn evidence(evidence: &EquivocationEvidence) -> Value {
    let [first, second] = evidence.attestations().map(signed);
    json!({
        "operator": hex(evidence.operator()),
        "slot": hex(evidence.slot().0),
        "id": hex(evidence.id().0),
        "first": first,
        "second": second,
    })
}

#[test]
fn the_judge_reads_what_is_signed_here() {
    let [_, state_proofs, epoch_updates, ..] = equivocations();
    let vector = json!({
        "homeChainId": domain().home_chain_id(),
        "homeRegistry": hex(domain().registry()),
        "domainSeparator": hex(domain().separator()),
        "stateProofs": evidence(&state_proofs),
        "epochUpdates": evidence(&epoch_updates),
        "acrossKeys": evidence(&evidence_across_keys()),
        "unknownKind": evidence(&evidence_of_an_unknown_kind()),
    });
    let text = serde_json::to_string_pretty(&vector).expect("JSON");
    golden::check(FILE, &(text + "\n"));
}
