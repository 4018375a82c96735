//! Whether a registry accepts a certificate.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, FixedBytes};
use alloy::sol_types::{SolCall, SolError};

use super::batcher::http_client;
use super::calls::Ended;
use super::provider::Provider;
use super::quorum::Pool;
use super::rule::Rule;
use super::{ProviderConfig, RpcUrl};
use crate::ChainError;

pub(super) mod interface {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    alloy::sol! {
        function isValidSignature(bytes32 digest, bytes signatureData) external view returns (bytes4);

        error InvalidEpoch();
        error LengthMismatch();
        error InvalidLength();
        error NotSorted();
        error InvalidSignature();
        error InsufficientSignedStake();
        error MalformedCertificate();
        error SetNotSealed(uint32 epoch);
        error UnknownVersion(uint8 version);
        error CertificateExpired(uint32 epoch);

        error ECDSAStakeRegistry__InvalidEpoch();
        error ECDSAStakeRegistry__LengthMismatch();
        error ECDSAStakeRegistry__InvalidLength();
        error ECDSAStakeRegistry__NotSorted();
        error ECDSAStakeRegistry__InvalidSignature();
        error ECDSAStakeRegistry__InsufficientSignedStake();
    }
}

use interface as abi;

/// What EIP-1271 answers for a valid signature: the function's own selector.
const MAGIC: FixedBytes<4> = FixedBytes(abi::isValidSignatureCall::SELECTOR);

/// What a registry says about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts it.
    Valid,
    /// It does not.
    Rejected(Rejection),
}

/// Why a registry does not accept a certificate.
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

impl fmt::Display for Verdict {
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

impl Rejection {
    /// Reads the registry's error; ours and those of the deployed ones.
    pub(super) fn from_revert(data: Bytes) -> Self {
        if let Ok(error) = abi::SetNotSealed::abi_decode(&data) {
            return Self::SetNotSealed(error.epoch);
        }
        if let Ok(error) = abi::CertificateExpired::abi_decode(&data) {
            return Self::Expired(error.epoch);
        }
        if let Ok(error) = abi::UnknownVersion::abi_decode(&data) {
            return Self::UnknownVersion(error.version);
        }
        let Ok(selector) = <[u8; 4]>::try_from(data.as_ref()) else {
            return Self::Other(data);
        };
        match selector {
            abi::InvalidEpoch::SELECTOR | abi::ECDSAStakeRegistry__InvalidEpoch::SELECTOR => {
                Self::InvalidEpoch
            }
            abi::LengthMismatch::SELECTOR | abi::ECDSAStakeRegistry__LengthMismatch::SELECTOR => {
                Self::LengthMismatch
            }
            abi::InvalidLength::SELECTOR | abi::ECDSAStakeRegistry__InvalidLength::SELECTOR => {
                Self::InvalidLength
            }
            abi::NotSorted::SELECTOR | abi::ECDSAStakeRegistry__NotSorted::SELECTOR => {
                Self::NotSorted
            }
            abi::InvalidSignature::SELECTOR
            | abi::ECDSAStakeRegistry__InvalidSignature::SELECTOR => Self::InvalidSignature,
            abi::InsufficientSignedStake::SELECTOR
            | abi::ECDSAStakeRegistry__InsufficientSignedStake::SELECTOR => {
                Self::InsufficientSignedStake
            }
            abi::MalformedCertificate::SELECTOR => Self::MalformedCertificate,
            _ => Self::Other(data),
        }
    }
}

/// Asks the registry contract itself, at the newest block, whether `signature_data` is a
/// certificate for `digest`.
///
/// # Errors
/// [`ChainError`] when the provider does not answer or no registry lives at that address.
pub async fn verify_on_chain(
    rpc: &RpcUrl,
    registry: Address,
    digest: B256,
    signature_data: &[u8],
) -> Result<Verdict, ChainError> {
    let call = abi::isValidSignatureCall {
        digest,
        signatureData: Bytes::copy_from_slice(signature_data),
    };
    let data = call.abi_encode();
    let config = ProviderConfig::from(rpc.clone());
    let rule = Rule::new(1, 1, &[config.runner()]);
    let provider = Provider::new(http_client()?, config, rpc.to_string(), 0);
    let pool = Pool::new(vec![provider], rule);
    let ended = pool
        .ask(|_, provider| provider.eth_call_latest(registry, &data))
        .await?;
    match ended {
        Ended::Reverted(data) => Ok(Verdict::Rejected(Rejection::from_revert(data))),
        Ended::Returned(data) if data.is_empty() => {
            Err(ChainError::NoContract { address: registry })
        }
        Ended::Returned(data) => match abi::isValidSignatureCall::abi_decode_returns(&data) {
            Ok(MAGIC) => Ok(Verdict::Valid),
            Ok(_) => Ok(Verdict::Rejected(Rejection::NotValid)),
            Err(problem) => Err(ChainError::Malformed {
                what: "answer of isValidSignature",
                detail: problem.to_string(),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;

    use super::*;

    #[test]
    fn errors_of_both_generations_are_told_apart() {
        let table = [
            ("InvalidEpoch", Rejection::InvalidEpoch),
            ("LengthMismatch", Rejection::LengthMismatch),
            ("InvalidLength", Rejection::InvalidLength),
            ("NotSorted", Rejection::NotSorted),
            ("InvalidSignature", Rejection::InvalidSignature),
            (
                "InsufficientSignedStake",
                Rejection::InsufficientSignedStake,
            ),
        ];
        for (name, expected) in table {
            for prefix in ["", "ECDSAStakeRegistry__"] {
                let selector = &keccak256(format!("{prefix}{name}()"))[..4];
                let found = Rejection::from_revert(Bytes::copy_from_slice(selector));
                assert_eq!(found, expected, "{prefix}{name}");
            }
        }
        let word = |number: u8| [[0; 31].as_slice(), &[number]].concat();
        let with = |signature: &str, number| {
            Bytes::from([&keccak256(signature)[..4], word(number).as_slice()].concat())
        };
        assert_eq!(
            Rejection::from_revert(with("SetNotSealed(uint32)", 7)),
            Rejection::SetNotSealed(7)
        );
        assert_eq!(
            Rejection::from_revert(with("UnknownVersion(uint8)", 2)),
            Rejection::UnknownVersion(2)
        );
        let data = Bytes::from_static(b"else");
        assert_eq!(Rejection::from_revert(data.clone()), Rejection::Other(data));
        assert_eq!(
            Rejection::from_revert(Bytes::new()),
            Rejection::Other(Bytes::new())
        );
    }
}
