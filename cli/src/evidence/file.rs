//! Evidence as JSON: what `node evidence show --json` and a node's HTTP interface give, and what
//! `node evidence verify` and `submit` read.

use std::fmt;
use std::path::Path;

use alloy::primitives::Bytes;
use anyhow::Context as _;
use quorate_proto::{
    Address, B256, Domain, EquivocationEvidence, Signature, SignedStatement, Statement, wire,
};
use serde::{Deserialize, Serialize};

use crate::certificate::{StatementJson, checksummed};
use crate::exit::No;
use crate::format;
use crate::table::Facts;

/// Two facts that one key of an operator signed for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EvidenceFile {
    pub(crate) id: B256,
    /// `<home chain id>-<registry>`.
    pub(crate) network: String,
    #[serde(serialize_with = "checksummed")]
    pub(crate) operator: Address,
    #[serde(serialize_with = "checksummed")]
    pub(crate) signing_key: Address,
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

/// A statement under one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedJson {
    pub(crate) statement: StatementJson,
    pub(crate) fact: B256,
    pub(crate) signature: Bytes,
}

impl EvidenceFile {
    pub(crate) fn of(
        evidence: &EquivocationEvidence,
        domain: &Domain,
        found_ms: Option<u64>,
    ) -> Self {
        let [first, second] = evidence.statements().map(SignedJson::from);
        Self {
            id: evidence.id().0,
            network: domain.network().to_string(),
            operator: evidence.operator(),
            signing_key: evidence.signing_key(),
            slot: evidence.slot().0,
            first,
            second,
            found_ms,
            heard_from: None,
        }
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{shown} is no evidence; `node evidence show ID --json` writes some")
        })
    }

    /// The evidence, if it is some by its form and all that the file says of it is so. Who signed
    /// is not looked at.
    pub(crate) fn evidence(&self) -> Result<EquivocationEvidence, No> {
        let pair = [self.first.signed()?, self.second.signed()?];
        let evidence = EquivocationEvidence::new(self.operator, self.signing_key, pair)
            .map_err(|error| No(format!("no evidence: {error}")))?;
        let [first, second] = evidence.statements().map(|signed| signed.statement.fact());
        let table = [
            ("the id", evidence.id().0 == self.id),
            ("the slot", evidence.slot().0 == self.slot),
            ("the first fact", first == self.first.fact),
            ("the second fact", second == self.second.fact),
        ];
        match table.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(No(format!(
                "{what} in the file is not that of its statements; the file was altered"
            ))),
            None => Ok(evidence),
        }
    }

    /// The epochs of both statements.
    pub(crate) fn epochs(&self) -> [u32; 2] {
        [&self.first, &self.second].map(|signed| signed.statement().epoch().0)
    }

    /// What both statements are about, in a few words.
    pub(crate) fn about(&self) -> String {
        match &self.first.statement {
            StatementJson::StateProof {
                chain_id,
                block_number,
                ..
            } => format!("chain {chain_id}, block {block_number}"),
            StatementJson::EpochUpdate { next_epoch, .. } => format!("set of epoch {next_epoch}"),
        }
    }
}

impl From<&SignedStatement> for SignedJson {
    fn from(signed: &SignedStatement) -> Self {
        Self {
            statement: (&signed.statement).into(),
            fact: signed.statement.fact(),
            signature: Bytes::copy_from_slice(signed.signature.as_bytes()),
        }
    }
}

impl SignedJson {
    pub(crate) fn statement(&self) -> Statement {
        (&self.statement).into()
    }

    fn signed(&self) -> Result<SignedStatement, No> {
        // Through its form on the wire, which has the bounds of every field.
        let statement = Statement::try_from(&wire::Statement::from(&self.statement()));
        let signature = Signature::parse(&self.signature);
        Ok(SignedStatement {
            statement: statement.map_err(|error| No(format!("no evidence: {error}")))?,
            signature: signature.map_err(|error| No(format!("no evidence: {error}")))?,
        })
    }

    /// The fact, for people.
    fn says(&self) -> String {
        match &self.statement {
            StatementJson::StateProof {
                value, timestamp, ..
            } => format!("value {}, block time {}", value.0, format::time(*timestamp)),
            StatementJson::EpochUpdate { set_hash, .. } => format!("set {set_hash}"),
        }
    }
}

impl fmt::Display for EvidenceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Facts::default();
        facts.add("Evidence", self.id);
        facts.add("Network", &self.network);
        facts.add("Operator", self.operator);
        facts.add("Signing key", self.signing_key);
        facts.add("Slot", self.slot);
        match &self.first.statement {
            StatementJson::StateProof {
                chain_id,
                user,
                key,
                block_number,
                ..
            } => {
                let text = format!(
                    "what {user} had stored under key {} on chain {chain_id} at block {block_number}",
                    key.0
                );
                facts.add("About", text);
            }
            StatementJson::EpochUpdate { .. } => facts.add("About", self.about()),
        }
        for (name, signed) in [("It signed", &self.first), ("And it signed", &self.second)] {
            let epoch = signed.statement().epoch();
            facts.add(name, format!("{}, in epoch {epoch}", signed.says()));
            facts.add("Signature", &signed.signature);
        }
        facts.add_some("Since", self.found_ms.map(format::time_ms));
        facts.add_some("Published by", self.heard_from);
        write!(f, "{facts}")
    }
}
