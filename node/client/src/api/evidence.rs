//! Evidence of equivocation: `/evidence`.

use serde::{Deserialize, Serialize};

use super::StatementReport;

/// `GET /evidence`: proofs that operators signed two facts for one slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidencePage {
    /// Ascending by id.
    pub evidence: Vec<EvidenceReport>,
    /// Ask for `?after=` this for more; `None` where there is no more.
    pub after: Option<String>,
}

/// `GET /evidence/{id}`: two facts that an operator signed for one slot. All that a verifier needs but
/// the operator sets of the two epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceReport {
    /// keccak256(slot ‖ operator).
    pub id: String,
    /// Network id: home chain id and registry.
    pub network: String,
    /// Who signed both.
    pub operator: String,
    /// What both are about.
    pub slot: String,
    /// The one with the lower fact.
    pub first: SignedReport,
    /// The other one.
    pub second: SignedReport,
    /// When this node found it or heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_ms: Option<u64>,
    /// The operator that published it; `None` where this node found it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_from: Option<String>,
}

/// One attestation in [`EvidenceReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReport {
    /// The epoch whose set signed.
    pub epoch: u32,
    /// The truth about the slot, as it was signed.
    pub fact: String,
    /// r ‖ s ‖ v over the attestation's digest.
    pub signature: String,
    /// The statement that has this epoch, slot and fact, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<StatementReport>,
}
