//! Whether a contract accepts a certificate.

use std::fmt;

use alloy::primitives::Bytes;

/// What a contract says about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// It accepts it.
    Valid,
    /// It does not.
    Rejected(Rejection),
}

/// Why it does not accept a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The certificate's epoch has not begun there.
    InvalidEpoch,
    /// Not as many signatures as operators.
    LengthMismatch,
    /// No operator at all.
    InvalidLength,
    /// Operators are not strictly ascending by address.
    NotSorted,
    /// A signature is not by its operator's signing key of that epoch.
    InvalidSignature,
    /// The signers weigh less than the threshold.
    InsufficientSignedStake,
    /// The bytes are no certificate.
    MalformedCertificate,
    /// A compact certificate of this epoch, whose set is not stored there as code.
    SetNotSealed(u32),
    /// A form of certificate that it does not know, by its first byte.
    UnknownVersion(u8),
    /// So old that the stake of this epoch's set may be gone.
    Expired(u32),
    /// It answered something else than the value for "valid".
    NotValid,
    /// An error that is not known here.
    Other(Bytes),
}

impl fmt::Display for CertificateCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid => f.write_str("valid"),
            Self::Rejected(why) => write!(f, "rejected: {why}"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidEpoch => {
                "its epoch has not begun on this chain, or its set was not handed over to it"
            }
            Self::LengthMismatch => "it has not as many signatures as operators",
            Self::InvalidLength => "it names no operator",
            Self::NotSorted => "its operators are not in ascending order of their addresses",
            Self::InvalidSignature => {
                "a signature is not by its operator's signing key of that epoch; the digest may be of another statement or domain"
            }
            Self::InsufficientSignedStake => "its signers weigh less than the threshold of its epoch",
            Self::MalformedCertificate => "its bytes are no certificate",
            Self::NotValid => "the contract says that it is not valid",
            Self::SetNotSealed(epoch) => {
                return write!(
                    f,
                    "the set of epoch {epoch} is not sealed there: seal it with `node epoch seal`, or check the ABI form"
                );
            }
            Self::Expired(epoch) => {
                return write!(
                    f,
                    "it has expired: the stake that stood behind epoch {epoch} may have been withdrawn; have the value certified again"
                );
            }
            Self::UnknownVersion(version) => {
                return write!(
                    f,
                    "the contract knows no form of certificate that begins with byte {version}"
                );
            }
            Self::Other(data) => return write!(f, "the contract reverted with {data}"),
        })
    }
}
