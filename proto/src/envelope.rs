//! Gossip messages: a batch, signed once by its author's peer key.

use alloy_primitives::{Address, B256};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use prost::Message as _;

use crate::wire_error::{address, b256, present};
use crate::{
    Certificate, Domain, EquivocationEvidence, Kind, Response, ResponseError, Signature, Statement,
    WireError, limits, wire,
};

/// What gathered since the author's previous publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Grows with every batch of that author.
    pub sequence: u64,
    /// Announcements, on the task topic. On the topic of a service are these, answers and certificates of its kinds.
    pub tasks: Vec<Task>,
    /// Answers, on the response topic.
    pub responses: Vec<Response>,
    /// Certificates, on the result topic.
    pub results: Vec<Certificate>,
    /// Proofs of equivocation, on the evidence topic.
    pub evidence: Vec<EquivocationEvidence>,
}

/// A request for responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is to be attested.
    pub statement: Statement,
    /// 0 for the first announcement, then the number of the retry.
    pub attempt: u32,
}

/// "The peer with this key speaks for this operator."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerBinding {
    /// For whom it speaks.
    pub operator: Address,
    /// Ed25519 public key of the peer.
    pub peer_key: [u8; 32],
    /// A higher one replaces a lower one.
    pub sequence: u64,
    /// By the operator's signing key.
    pub signature: Signature,
}

/// An Ed25519 key that signs envelopes: the peer's identity key.
#[derive(Clone)]
pub struct PeerSecret(SigningKey);

/// A received envelope whose peer signature was checked. Whether the binding holds is for
/// [`PeerBinding::verify`], with the set of the current epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who speaks.
    pub author: PeerBinding,
    /// What it says.
    pub batch: Batch,
}

/// A received envelope whose size and form were checked, and whose peer signature was not. The peer that
/// sent it may have written any name on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    envelope: Envelope,
    batch: Vec<u8>,
    signature: ed25519_dalek::Signature,
}

impl Sealed {
    /// Decodes a gossip message and checks its size and its form, in the order of their cost. The
    /// message has one form only, so a peer that forwards it cannot make a second one of it.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn decode(bytes: &[u8], kind: Kind) -> Result<Self, EnvelopeError> {
        if bytes.len() > limits::MAX_GOSSIP_BYTES {
            return Err(EnvelopeError::TooLarge(bytes.len()));
        }
        let envelope = wire::Envelope::decode(bytes).map_err(|_| EnvelopeError::Decode)?;
        if envelope.encode_to_vec() != bytes {
            return Err(EnvelopeError::Decode);
        }
        let author: PeerBinding = present("author", envelope.author.as_ref())?.try_into()?;
        let signature = ed25519_dalek::Signature::from_slice(&envelope.signature)
            .map_err(|_| EnvelopeError::Signature)?;
        if count_entries(&envelope.batch)? > limits::MAX_BATCH_ITEMS {
            return Err(EnvelopeError::Shape);
        }
        let message =
            wire::Batch::decode(envelope.batch.as_slice()).map_err(|_| EnvelopeError::Decode)?;
        let batch = Batch::try_from(&message)?;
        check_shape(&batch, kind)?;
        Ok(Self {
            envelope: Envelope { author, batch },
            batch: envelope.batch,
            signature,
        })
    }

    /// Who is said to speak.
    #[must_use]
    pub const fn author(&self) -> &PeerBinding {
        &self.envelope.author
    }

    /// What is said.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.envelope.batch
    }

    /// Whether the peer signature is by the author's peer key, over this topic.
    ///
    /// # Errors
    /// [`EnvelopeError::Signature`].
    pub fn verify(&self, topic: &str) -> Result<(), EnvelopeError> {
        let author = &self.envelope.author;
        let key =
            VerifyingKey::from_bytes(&author.peer_key).map_err(|_| EnvelopeError::Signature)?;
        key.verify_strict(&signed_bytes(topic, author, &self.batch), &self.signature)
            .map_err(|_| EnvelopeError::Signature)
    }

    /// What it holds; verified or not.
    #[must_use]
    pub fn into_envelope(self) -> Envelope {
        self.envelope
    }
}

/// Why an envelope is rejected. Each of them is the sender's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than a message may be.
    #[error("the message has {0} bytes, at most {max} are allowed", max = limits::MAX_GOSSIP_BYTES)]
    TooLarge(usize),
    /// Not a protobuf message, or not in the one form that all encoders give it.
    #[error("the message is no valid protobuf in its plain form")]
    Decode,
    /// A field without its promised form.
    #[error(transparent)]
    Field(#[from] WireError),
    /// The signature does not belong to the peer key, or covers another topic or author.
    #[error("the envelope's signature is not by its author's peer key")]
    Signature,
    /// Entries of another kind than the topic's, none at all, or too many.
    #[error("the batch must have 1 to {max} entries of its topic's kind", max = limits::MAX_BATCH_ITEMS)]
    Shape,
}

impl PeerSecret {
    /// From the 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Ed25519 signature over `message`, 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl PeerBinding {
    /// The digest that the operator's signing key signs:
    /// `PeerBinding(address operator,bytes32 peerKey,uint64 sequence)`.
    #[must_use]
    pub fn digest(domain: &Domain, operator: Address, peer_key: [u8; 32], sequence: u64) -> B256 {
        domain.binding_digest(operator, B256::from(peer_key), sequence)
    }

    /// Checks that `signing_key`, the operator's on the home chain, made the binding.
    ///
    /// # Errors
    /// [`ResponseError::WrongKey`] or a malformed signature.
    pub fn verify(&self, signing_key: Address, domain: &Domain) -> Result<(), ResponseError> {
        let digest = Self::digest(domain, self.operator, self.peer_key, self.sequence);
        let found = self.signature.recover(digest)?;
        if found == signing_key {
            Ok(())
        } else {
            Err(ResponseError::WrongKey {
                expected: signing_key,
                found,
            })
        }
    }
}

impl Envelope {
    /// Encodes and signs a batch for `topic`. It must have 1 to [`limits::MAX_BATCH_ITEMS`] entries
    /// of that topic's kind and at most [`limits::MAX_BATCH_BYTES`], or no receiver will open it.
    #[must_use]
    pub fn seal(batch: &Batch, author: &PeerBinding, topic: &str, secret: &PeerSecret) -> Vec<u8> {
        let batch = wire::Batch::from(batch).encode_to_vec();
        let signature = secret.sign(&signed_bytes(topic, author, &batch));
        wire::Envelope {
            batch,
            author: Some(author.into()),
            signature: signature.to_vec(),
        }
        .encode_to_vec()
    }

    /// Decodes a gossip message of `topic` and checks its size, its form and its peer signature, in the
    /// order of their cost.
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn open(bytes: &[u8], topic: &str, kind: Kind) -> Result<Self, EnvelopeError> {
        let sealed = Sealed::decode(bytes, kind)?;
        sealed.verify(topic)?;
        Ok(sealed.into_envelope())
    }
}

/// `"quorate:v1:gossip:" ‖ topic ‖ 0x00 ‖ operator ‖ binding sequence (u64, big endian) ‖ batch`:
/// bound to network, kind, author and content. Without the author, another operator that binds
/// the same peer key could publish the batch as its own.
fn signed_bytes(topic: &str, author: &PeerBinding, batch: &[u8]) -> Vec<u8> {
    [
        b"quorate:v1:gossip:",
        topic.as_bytes(),
        b"\0",
        author.operator.as_slice(),
        &author.sequence.to_be_bytes(),
        batch,
    ]
    .concat()
}

/// Entries of a serialized batch, counted before memory is taken for them: an empty one has two
/// bytes on the wire and two hundred in memory.
fn count_entries(mut batch: &[u8]) -> Result<usize, EnvelopeError> {
    let mut count = 0_usize;
    while !batch.is_empty() {
        let key = prost::decode_length_delimiter(&mut batch).map_err(|_| EnvelopeError::Decode)?;
        let skipped = match key & 0b111 {
            WIRE_VARINT => batch
                .iter()
                .position(|b| b & 0x80 == 0)
                .map(|last| last.saturating_add(1)),
            WIRE_BYTES => {
                count = count.saturating_add(1);
                prost::decode_length_delimiter(&mut batch).ok()
            }
            _ => None,
        };
        let rest = skipped.and_then(|length| batch.get(length..));
        batch = rest.ok_or(EnvelopeError::Decode)?;
    }
    Ok(count)
}

/// Protobuf's wire types of numbers and of messages.
const WIRE_VARINT: usize = 0;
const WIRE_BYTES: usize = 2;

/// Every entry belongs to the topic, and there is one.
fn check_shape(batch: &Batch, kind: Kind) -> Result<(), EnvelopeError> {
    let mut kinds = batch.kinds().peekable();
    if kinds.peek().is_none() || kinds.any(|own| own != kind) {
        return Err(EnvelopeError::Shape);
    }
    Ok(())
}

impl Batch {
    /// Of each entry the topic that it belongs to.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        let of = |statement: &Statement, usual| statement.topic().unwrap_or(usual);
        let tasks = self.tasks.iter();
        let tasks = tasks.map(move |task| of(&task.statement, Kind::Task));
        let responses = self.responses.iter();
        let responses = responses.map(move |response| of(&response.statement, Kind::Response));
        let results = self.results.iter();
        let results = results.map(move |certificate| of(certificate.statement(), Kind::Result));
        let evidence = self.evidence.iter().map(|_| Kind::Evidence);
        tasks.chain(responses).chain(results).chain(evidence)
    }
}

impl From<&Batch> for wire::Batch {
    fn from(batch: &Batch) -> Self {
        Self {
            sequence: batch.sequence,
            tasks: batch.tasks.iter().map(Into::into).collect(),
            responses: batch.responses.iter().map(Into::into).collect(),
            results: batch.results.iter().map(Into::into).collect(),
            evidence: batch.evidence.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<&wire::Batch> for Batch {
    type Error = WireError;

    fn try_from(message: &wire::Batch) -> Result<Self, WireError> {
        Ok(Self {
            sequence: message.sequence,
            tasks: all(&message.tasks)?,
            responses: all(&message.responses)?,
            results: all(&message.results)?,
            evidence: all(&message.evidence)?,
        })
    }
}

fn all<'a, M, T: TryFrom<&'a M, Error = WireError>>(
    messages: &'a [M],
) -> Result<Vec<T>, WireError> {
    messages.iter().map(T::try_from).collect()
}

impl From<&Task> for wire::Task {
    fn from(task: &Task) -> Self {
        Self {
            statement: Some((&task.statement).into()),
            attempt: task.attempt,
        }
    }
}

impl TryFrom<&wire::Task> for Task {
    type Error = WireError;

    fn try_from(message: &wire::Task) -> Result<Self, WireError> {
        if message.attempt >= limits::MAX_ATTEMPTS {
            return Err(WireError::new("attempt", "must be 0 to 3"));
        }
        Ok(Self {
            statement: present("statement", message.statement.as_ref())?.try_into()?,
            attempt: message.attempt,
        })
    }
}

impl From<&PeerBinding> for wire::PeerBinding {
    fn from(binding: &PeerBinding) -> Self {
        Self {
            operator: binding.operator.to_vec(),
            peer_key: binding.peer_key.to_vec(),
            sequence: binding.sequence,
            signature: binding.signature.as_bytes().to_vec(),
        }
    }
}

impl TryFrom<&wire::PeerBinding> for PeerBinding {
    type Error = WireError;

    fn try_from(message: &wire::PeerBinding) -> Result<Self, WireError> {
        Ok(Self {
            operator: address("operator", &message.operator)?,
            peer_key: b256("peer_key", &message.peer_key)?.0,
            sequence: message.sequence,
            signature: Signature::parse(&message.signature)
                .map_err(|_| WireError::new("signature", "is malformed"))?,
        })
    }
}

#[cfg(test)]
mod tests;
