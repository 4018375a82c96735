//! What a user asks and hears, and its form on the wire.

use libp2p::Multiaddr;
use quorate_proto::{
    Address, At, B256, Certificate, EquivocationEvidence, EvidenceId, OperatorSet, ReadBasis,
    TaskId, U256, WireError, wire,
};

/// Asks for a stored value.
#[derive(Clone, Debug)]
pub struct StateQuestion {
    /// EIP-155 id of the chain.
    pub chain_id: u32,
    /// Who stored the value.
    pub user: Address,
    /// Under which key.
    pub key: U256,
    /// As of when.
    pub at: At,
}

/// A certificate, ready for a contract.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The task.
    pub task_id: TaskId,
    /// What is certified, and by whom.
    pub certificate: Certificate,
    /// Second argument of `isValidSignature`.
    pub signature_data: Vec<u8>,
    /// First argument of `isValidSignature`.
    pub digest: B256,
    /// It came from the operator's store.
    pub stored: bool,
    /// How each signer says that it knows what it read, in the order of the signatures. The word of
    /// the operator that was asked; fewer or none where it does not know.
    pub read_bases: Vec<ReadBasis>,
}

/// The set of an epoch, as the operator says; nothing of it is checked.
#[derive(Clone, Debug)]
pub struct HandedOver {
    /// The set.
    pub set: OperatorSet,
    /// Of the update by which an earlier epoch's set named this one, where the operator has it.
    pub certificate: Option<Certificate>,
}

/// Asks for evidence of equivocation.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvidenceQuestion {
    /// This evidence only.
    pub id: Option<EvidenceId>,
    /// Evidence against this operator only.
    pub operator: Option<Address>,
    /// Only evidence with a higher id.
    pub after: Option<EvidenceId>,
}

/// A page of evidence, as the operator says.
#[derive(Clone, Debug)]
pub struct HeldEvidence {
    /// Ascending by id; with the Unix milliseconds at which the operator came by each.
    pub entries: Vec<(EquivocationEvidence, u64)>,
    /// Whether there is more behind the last one.
    pub more: bool,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The task.
    pub task_id: TaskId,
    /// Its birth epoch.
    pub epoch: u32,
    /// Operators that signed.
    pub signed: u32,
    /// Operators that refused.
    pub refused: u32,
    /// Weight that signed.
    pub signed_weight: U256,
    /// Weight that refused.
    pub refused_weight: U256,
    /// Weight needed.
    pub threshold: U256,
    /// Weight of the set.
    pub total_weight: U256,
    /// Number of the retry, 0 for the first announcement.
    pub attempt: u32,
}

/// Why a request got no answer, as the operator says.
#[derive(Clone, Debug)]
pub struct RequestFailure {
    /// For machines.
    pub code: wire::ErrorCode,
    /// For people: the cause and the cure.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Where a task existed.
    pub progress: Option<Progress>,
    /// Who refused, and why.
    pub refusals: Vec<Refused>,
    /// Who did not answer.
    pub missing: Vec<Address>,
}

/// One operator's refusal.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Who.
    pub operator: Address,
    /// Why, for machines.
    pub code: wire::RefusalCode,
    /// Why, for people.
    pub detail: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// No peer answers there.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Where.
        address: Multiaddr,
        /// Why.
        reason: String,
    },
    /// The peer that answers there serves no requests of that network.
    #[error("the peer at {address} serves {}; {cure}", describe(found))]
    NoSuchNetwork {
        /// Where.
        address: Multiaddr,
        /// Networks that it serves.
        found: Vec<String>,
        /// What to do.
        cure: &'static str,
    },
    /// The connection broke while an answer was awaited.
    #[error("the connection was lost: {0}; ask again, or ask another operator")]
    Lost(String),
    /// The operator answered with an error.
    #[error("{}", .0.message)]
    Failed(Box<RequestFailure>),
    /// The operator answered with something else than was asked for.
    #[error("the operator's reply is malformed: {0}; ask another operator")]
    Malformed(String),
}

fn describe(found: &[String]) -> String {
    match found {
        [] => "no network's requests".into(),
        networks => format!("network {}", networks.join(" and ")),
    }
}

impl From<WireError> for ClientError {
    fn from(error: WireError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl From<&StateQuestion> for wire::StateRequest {
    fn from(question: &StateQuestion) -> Self {
        Self {
            chain_id: question.chain_id,
            user: question.user.to_vec(),
            key: question.key.to_be_bytes_vec(),
            at: Some(match question.at {
                At::Block(number) => wire::state_request::At::BlockNumber(number),
                At::Timestamp(seconds) => wire::state_request::At::Timestamp(seconds),
            }),
        }
    }
}

impl TryFrom<wire::CertificateReply> for Answer {
    type Error = ClientError;

    fn try_from(reply: wire::CertificateReply) -> Result<Self, ClientError> {
        let missing = || ClientError::Malformed("a reply without certificate".into());
        let certificate: Certificate =
            reply.certificate.as_ref().ok_or_else(missing)?.try_into()?;
        let digest = B256::try_from(reply.digest.as_slice());
        let read_bases = reply.read_bases().take(certificate.signatures().len());
        let read_bases = read_bases.collect();
        Ok(Self {
            task_id: certificate.statement().task_id(),
            signature_data: certificate.signature_data(),
            certificate,
            digest: digest
                .map_err(|_| ClientError::Malformed("digest must have 32 bytes".into()))?,
            stored: reply.stored,
            read_bases,
        })
    }
}

impl TryFrom<&wire::EpochUpdateReply> for HandedOver {
    type Error = ClientError;

    fn try_from(reply: &wire::EpochUpdateReply) -> Result<Self, ClientError> {
        let missing = || ClientError::Malformed("a reply without set".into());
        let certificate = reply.certificate.as_ref();
        Ok(Self {
            set: reply.set.as_ref().ok_or_else(missing)?.try_into()?,
            certificate: certificate.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&EvidenceQuestion> for wire::EvidenceQuery {
    fn from(question: &EvidenceQuestion) -> Self {
        let bytes = |id: Option<EvidenceId>| id.map(|id| id.0.to_vec()).unwrap_or_default();
        Self {
            id: bytes(question.id),
            operator: question.operator.map(|o| o.to_vec()).unwrap_or_default(),
            after: bytes(question.after),
        }
    }
}

impl TryFrom<&wire::EvidenceReply> for HeldEvidence {
    type Error = ClientError;

    fn try_from(reply: &wire::EvidenceReply) -> Result<Self, ClientError> {
        let entry = |entry: &wire::EvidenceEntry| {
            let missing = || ClientError::Malformed("an entry without evidence".into());
            let evidence = entry.evidence.as_ref().ok_or_else(missing)?.try_into()?;
            Ok::<_, ClientError>((evidence, entry.found_ms))
        };
        Ok(Self {
            entries: reply.entries.iter().map(entry).collect::<Result<_, _>>()?,
            more: reply.more,
        })
    }
}

impl TryFrom<&wire::Progress> for Progress {
    type Error = ClientError;

    fn try_from(progress: &wire::Progress) -> Result<Self, ClientError> {
        let weight = |bytes: &[u8]| {
            let word: Result<[u8; 32], _> = bytes.try_into();
            let word =
                word.map_err(|_| ClientError::Malformed("a weight must have 32 bytes".into()))?;
            Ok::<U256, ClientError>(U256::from_be_bytes(word))
        };
        Ok(Self {
            task_id: TaskId::try_from(progress.task_id.as_slice())?,
            epoch: progress.epoch,
            signed: progress.signed,
            refused: progress.refused,
            signed_weight: weight(&progress.signed_weight)?,
            refused_weight: weight(&progress.refused_weight)?,
            threshold: weight(&progress.threshold)?,
            total_weight: weight(&progress.total_weight)?,
            attempt: progress.attempt,
        })
    }
}

impl TryFrom<&wire::RequestError> for RequestFailure {
    type Error = ClientError;

    fn try_from(error: &wire::RequestError) -> Result<Self, ClientError> {
        let operator = |bytes: &[u8]| {
            Address::try_from(bytes)
                .map_err(|_| ClientError::Malformed("an address must have 20 bytes".into()))
        };
        let refused = |r: &wire::RefusalReport| {
            Ok::<Refused, ClientError>(Refused {
                operator: operator(&r.operator)?,
                code: r.code(),
                detail: r.detail.clone(),
            })
        };
        Ok(Self {
            code: error.code(),
            message: error.message.clone(),
            retryable: error.retryable,
            progress: error.progress.as_ref().map(TryInto::try_into).transpose()?,
            refusals: error
                .refusals
                .iter()
                .map(refused)
                .collect::<Result<_, _>>()?,
            missing: error
                .missing
                .iter()
                .map(|m| operator(m))
                .collect::<Result<_, _>>()?,
        })
    }
}
