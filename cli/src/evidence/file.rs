//! Evidence as JSON: what `node evidence show --json` and a node's HTTP interface give, and what
//! `node evidence verify` and `submit` read.

use std::fmt;
use std::path::Path;

use alloy::primitives::Bytes;
use anyhow::Context as _;
use quorate_node::keys::read_text;
use quorate_proto::{
    Address, B256, Domain, EquivocationEvidence, SignedAttestation, Statement, StatementJson, wire,
};
use serde::{Deserialize, Serialize};

use crate::certificate::{Shown, checksummed};
use crate::exit::NegativeAnswer;
use crate::format;
use crate::table::Facts;

/// Two facts that an operator signed for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EvidenceFile {
    pub(crate) id: B256,
    /// `<home chain id>-<registry>`.
    pub(crate) network: String,
    #[serde(serialize_with = "checksummed")]
    pub(crate) operator: Address,
    pub(crate) slot: B256,
    pub(crate) first: SignedJson,
    pub(crate) second: SignedJson,
    /// When the node that was asked found it or heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) found_ms: Option<u64>,
    /// The operator that published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_from: Option<Address>,
}

/// An attestation about the slot, under one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedJson {
    pub(crate) epoch: u32,
    pub(crate) fact: B256,
    pub(crate) signature: Bytes,
    /// The statement that has this epoch, slot and fact, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<StatementJson>,
}

impl EvidenceFile {
    pub(crate) fn of(
        evidence: &EquivocationEvidence,
        domain: &Domain,
        found_ms: Option<u64>,
    ) -> Self {
        let [first, second] = evidence.attestations().map(SignedJson::from);
        Self {
            id: evidence.id().0,
            network: domain.network().to_string(),
            operator: evidence.operator(),
            slot: evidence.slot().0,
            first,
            second,
            found_ms,
            heard_from: None,
        }
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = read_text(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{shown} is no evidence; `node evidence show ID --json` writes some")
        })
    }

    /// The evidence, if it is some by its form and all that the file says of it is so. Who signed
    /// is not looked at.
    pub(crate) fn evidence(&self) -> Result<EquivocationEvidence, NegativeAnswer> {
        // Through its form on the wire, which has all the rules.
        let message = wire::EquivocationEvidence {
            operator: self.operator.to_vec(),
            first: Some(self.first.to_wire(self.slot)),
            second: Some(self.second.to_wire(self.slot)),
        };
        let evidence = EquivocationEvidence::try_from(&message)
            .map_err(|error| NegativeAnswer(format!("no evidence: {error}")))?;
        if evidence.id().0 != self.id {
            let text =
                "the id in the file is not that of its slot and operator; the file was altered";
            return Err(NegativeAnswer(text.into()));
        }
        Ok(evidence)
    }

    /// The epochs of both.
    pub(crate) const fn epochs(&self) -> [u32; 2] {
        [self.first.epoch, self.second.epoch]
    }

    /// A statement about the slot, where one is known.
    fn statement(&self) -> Option<Statement> {
        let statements = [&self.first, &self.second].map(|signed| signed.statement.as_ref());
        statements.into_iter().flatten().next().map(Statement::from)
    }

    /// What both are about, in a few words.
    pub(crate) fn about(&self) -> String {
        let slot = || format!("slot {}", format::short(&self.slot.to_string()));
        self.statement()
            .map_or_else(slot, |statement| statement.words().about)
    }
}

impl From<&SignedAttestation> for SignedJson {
    fn from(signed: &SignedAttestation) -> Self {
        let attestation = signed.attestation();
        Self {
            epoch: attestation.epoch.0,
            fact: attestation.fact,
            signature: Bytes::copy_from_slice(signed.signature().as_bytes()),
            statement: signed.statement().map(StatementJson::from),
        }
    }
}

impl SignedJson {
    fn to_wire(&self, slot: B256) -> wire::SignedAttestation {
        let statement = self.statement.as_ref().map(Statement::from);
        wire::SignedAttestation {
            epoch: self.epoch,
            slot: slot.to_vec(),
            fact: self.fact.to_vec(),
            signature: self.signature.to_vec(),
            statement: statement.as_ref().map(Into::into),
        }
    }

    /// The fact, for people.
    fn says(&self) -> String {
        let Some(statement) = &self.statement else {
            return format!("fact {}", self.fact);
        };
        let fact = Statement::from(statement).words().fact;
        let parts = fact
            .iter()
            .map(|(name, field)| format!("{name} {}", Shown(field)));
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for EvidenceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Facts::default();
        facts.add("Evidence", self.id);
        facts.add("Network", &self.network);
        facts.add("Operator", self.operator);
        facts.add("Slot", self.slot);
        let unknown = || "something whose statement is not told".to_owned();
        let statement = self.statement();
        facts.add(
            "About",
            statement.map_or_else(unknown, |statement| statement.words().asks),
        );
        for (name, signed) in [("It signed", &self.first), ("And it signed", &self.second)] {
            let epoch = signed.epoch;
            facts.add(name, format!("{}, in epoch {epoch}", signed.says()));
            facts.add("Signature", &signed.signature);
        }
        facts.add_some("Since", self.found_ms.map(format::time_ms));
        facts.add_some("Published by", self.heard_from);
        write!(f, "{facts}")
    }
}
