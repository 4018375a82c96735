//! Evidence as the judge on chain reads it: one file that the contracts' own tests are held to as well.

use quorate_proto::{EquivocationEvidence, SignedStatement, Statement};
use serde_json::{Value, json};

use crate::fixtures::domain;
use crate::golden;
use crate::vectors::equivocations;

/// Where the contracts' tests read it, as seen from `tests/golden`.
const FILE: &str = "../../../chain/contracts/test/vectors/equivocation.json";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn signed(signed: &SignedStatement) -> Value {
    let statement = &signed.statement;
    let mut value = json!({
        "epoch": statement.epoch().0,
        "fact": hex(statement.fact()),
        "digest": hex(statement.digest(&domain())),
        "signature": hex(signed.signature.as_bytes()),
    });
    match statement {
        Statement::StateProof(proof) => {
            value["user"] = json!(hex(proof.user));
            value["chainId"] = json!(proof.chain_id);
            value["blockNumber"] = json!(proof.block_number);
            value["timestamp"] = json!(proof.timestamp);
            value["key"] = json!(hex(proof.key.to_be_bytes::<32>()));
            value["value"] = json!(hex(proof.value.to_be_bytes::<32>()));
        }
        Statement::EpochUpdate(update) => {
            value["nextEpoch"] = json!(update.next_epoch.0);
            value["setHash"] = json!(hex(update.set_hash));
        }
    }
    value
}

fn evidence(evidence: &EquivocationEvidence) -> Value {
    let [first, second] = evidence.statements().map(signed);
    json!({
        "operator": hex(evidence.operator()),
        "signingKey": hex(evidence.signing_key()),
        "slot": hex(evidence.slot().0),
        "id": hex(evidence.id().0),
        "first": first,
        "second": second,
    })
}

#[test]
fn the_judge_reads_what_is_signed_here() {
    let [_, state_proofs, epoch_updates] = equivocations();
    let vector = json!({
        "homeChainId": domain().home_chain_id(),
        "homeRegistry": hex(domain().registry()),
        "domainSeparator": hex(domain().separator()),
        "stateProofs": evidence(&state_proofs),
        "epochUpdates": evidence(&epoch_updates),
    });
    let text = serde_json::to_string_pretty(&vector).expect("JSON");
    golden::check(FILE, &(text + "\n"));
}
