//! A certificate as JSON: what `node request` writes and `node verify` reads.
//!
//! Everything in it can be handed to a contract or a script as it stands: bytes are hexadecimal
//! with 0x, numbers of 256 bits are decimal texts.

use std::fmt;
use std::time::Duration;

use alloy::primitives::Bytes;
use quorate_node::client::Answer;
use quorate_proto::{
    Address, B256, Certificate, Domain, Field, OperatorSet, Signature, SignerSignature, Statement,
    StatementJson, TaskId, U256, wire,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::format;
use crate::table::{Facts, Table};

/// A certificate and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateFile {
    pub(crate) task_id: B256,
    pub(crate) statement: StatementJson,
    pub(crate) signers: Vec<SignerJson>,
    /// Second argument of `isValidSignature`.
    pub(crate) signature_data: Bytes,
    /// The same in the short form, for registries that hold the set of the epoch; where that set
    /// was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compact_signature_data: Option<Bytes>,
    /// First argument of `isValidSignature`.
    pub(crate) digest: B256,
    pub(crate) epoch: u32,
    /// `<home chain id>-<registry>`.
    pub(crate) network: String,
    /// It came from the operator's store.
    #[serde(default)]
    pub(crate) stored: bool,
    /// From the question to the answer.
    #[serde(default)]
    pub(crate) elapsed_ms: u64,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignerJson {
    #[serde(serialize_with = "checksummed")]
    pub(crate) operator: Address,
    pub(crate) signature: Bytes,
}

/// Addresses as everywhere else in the program (EIP-55).
pub(crate) fn checksummed<S: Serializer>(
    address: &Address,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

/// Why a file does not hold together. What it proves is for `node verify`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the signature of {operator} is malformed: {reason}")]
    Signature { operator: Address, reason: String },
    #[error("the statement is none: {0}")]
    Statement(String),
    #[error("{0} in the file is not that of its statement and signatures; the file was altered")]
    Differs(&'static str),
}

impl CertificateFile {
    pub(crate) fn new(answer: &Answer, network: &str, elapsed: Duration) -> Self {
        let statement = answer.certificate.statement();
        let signer = |signer: &SignerSignature| SignerJson {
            operator: signer.operator,
            signature: Bytes::copy_from_slice(signer.signature.as_bytes()),
        };
        Self {
            task_id: answer.task_id.0,
            statement: statement.into(),
            signers: answer.certificate.signatures().iter().map(signer).collect(),
            signature_data: Bytes::copy_from_slice(&answer.signature_data),
            compact_signature_data: None,
            digest: answer.digest,
            epoch: statement.epoch().0,
            network: network.to_owned(),
            stored: answer.stored,
            elapsed_ms: elapsed.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }

    /// A certificate that came without the rest of an answer.
    pub(crate) fn of(certificate: &Certificate, domain: &Domain) -> Self {
        let answer = Answer {
            task_id: certificate.statement().task_id(),
            signature_data: certificate.signature_data(),
            digest: certificate.statement().digest(domain),
            certificate: certificate.clone(),
            stored: true,
            read_bases: Vec::new(),
        };
        Self::new(&answer, domain.network().as_str(), Duration::ZERO)
    }

    /// Adds the short form, if this is a certificate by `set`.
    pub(crate) fn with_compact(mut self, set: &OperatorSet) -> Self {
        let compact = || {
            let certificate = self.certificate().ok()?;
            certificate.verify(set, &domain_of(&self.network)?).ok()?;
            certificate.compact_signature_data(set).ok()
        };
        self.compact_signature_data = compact().map(Bytes::from);
        self
    }

    pub(crate) fn statement(&self) -> Statement {
        (&self.statement).into()
    }

    /// The certificate, if its parts are well formed.
    pub(crate) fn certificate(&self) -> Result<Certificate, Broken> {
        let signer = |signer: &SignerJson| {
            Signature::parse(&signer.signature)
                .map(|signature| SignerSignature {
                    operator: signer.operator,
                    signature,
                })
                .map_err(|error| Broken::Signature {
                    operator: signer.operator,
                    reason: error.to_string(),
                })
        };
        let signatures = self.signers.iter().map(signer).collect::<Result<_, _>>()?;
        // Through its form on the wire, which has the bounds of every field: what is beyond them is
        // not signed.
        let statement = Statement::try_from(&wire::Statement::from(&self.statement()));
        let statement = statement.map_err(|error| Broken::Statement(error.to_string()))?;
        Ok(Certificate::new(statement, signatures))
    }

    /// Whether what can be computed from the parts is what the file says.
    pub(crate) fn check(&self, domain: &Domain) -> Result<Certificate, Broken> {
        let certificate = self.certificate()?;
        let statement = certificate.statement();
        let table = [
            ("the task id", statement.task_id() == TaskId(self.task_id)),
            ("the epoch", statement.epoch().0 == self.epoch),
            ("the digest", statement.digest(domain) == self.digest),
            (
                "the list of signers",
                certificate.signatures().len() == self.signers.len(),
            ),
            (
                "signature_data",
                certificate.signature_data() == self.signature_data,
            ),
        ];
        match table.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(Broken::Differs(what)),
            None => Ok(certificate),
        }
    }
}

/// The domain behind a network id.
pub(crate) fn domain_of(network: &str) -> Option<Domain> {
    let (chain, registry) = network.split_once('-')?;
    Some(Domain::new(chain.parse().ok()?, registry.parse().ok()?))
}

impl fmt::Display for CertificateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Facts::default();
        for (name, field) in Statement::from(&self.statement).words().fields {
            facts.add(name, Shown(&field));
        }
        facts.add("Epoch", self.epoch);
        facts.add("Network", &self.network);
        facts.add("Task", self.task_id);
        facts.add("Digest", self.digest);
        writeln!(f, "{facts}")?;
        let mut table = Table::new(&["SIGNED BY", "SIGNATURE"]);
        for signer in &self.signers {
            let signature = format::short(&signer.signature.to_string());
            table.row([signer.operator.to_string(), signature]);
        }
        write!(f, "{table}")
    }
}

/// A field of a statement: stored words in decimal, and in hexadecimal first where they are too long to be
/// read as numbers.
pub(crate) struct Shown<'a>(pub(crate) &'a Field);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Field::Text(text) => f.write_str(text),
            Field::Word(word) if *word > U256::from(u64::MAX) => {
                write!(f, "{word:#066x} (decimal {word})")
            }
            Field::Word(word) => word.fmt(f),
            Field::Time(seconds) => f.write_str(&format::time(*seconds)),
            Field::Block(number, seconds) => write!(f, "{number}, {}", format::time(*seconds)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
