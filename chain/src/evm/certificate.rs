//! Whether a registry accepts a certificate.

use alloy::primitives::{Address, B256, Bytes, FixedBytes};
use alloy::sol_types::{SolCall, SolError};

use super::abi::certificates as abi;
use super::calls::CallOutcome;
use super::provider::EvmProvider;
use crate::providers::ProviderConfig;
use crate::quorum::{Pool, QuorumRule};
use crate::rpc::{RpcUrl, http_client};
use crate::{CertificateCheck, ChainError, Rejection};

/// What EIP-1271 answers for a valid signature: the function's own selector.
const MAGIC: FixedBytes<4> = FixedBytes(abi::isValidSignatureCall::SELECTOR);

/// Reads the registry's error; ours and those of the deployed ones.
pub(super) fn rejection(data: Bytes) -> Rejection {
    if let Ok(error) = abi::SetNotSealed::abi_decode(&data) {
        return Rejection::SetNotSealed(error.epoch);
    }
    if let Ok(error) = abi::CertificateExpired::abi_decode(&data) {
        return Rejection::Expired(error.epoch);
    }
    if let Ok(error) = abi::UnknownVersion::abi_decode(&data) {
        return Rejection::UnknownVersion(error.version);
    }
    let Ok(selector) = <[u8; 4]>::try_from(data.as_ref()) else {
        return Rejection::Other(data);
    };
    match selector {
        abi::InvalidEpoch::SELECTOR | abi::ECDSAStakeRegistry__InvalidEpoch::SELECTOR => {
            Rejection::InvalidEpoch
        }
        abi::LengthMismatch::SELECTOR | abi::ECDSAStakeRegistry__LengthMismatch::SELECTOR => {
            Rejection::LengthMismatch
        }
        abi::InvalidLength::SELECTOR | abi::ECDSAStakeRegistry__InvalidLength::SELECTOR => {
            Rejection::InvalidLength
        }
        abi::NotSorted::SELECTOR | abi::ECDSAStakeRegistry__NotSorted::SELECTOR => {
            Rejection::NotSorted
        }
        abi::InvalidSignature::SELECTOR | abi::ECDSAStakeRegistry__InvalidSignature::SELECTOR => {
            Rejection::InvalidSignature
        }
        abi::InsufficientSignedStake::SELECTOR
        | abi::ECDSAStakeRegistry__InsufficientSignedStake::SELECTOR => {
            Rejection::InsufficientSignedStake
        }
        abi::MalformedCertificate::SELECTOR => Rejection::MalformedCertificate,
        _ => Rejection::Other(data),
    }
}

/// Asks the registry contract itself, at the newest block, whether `signature_data` is a
/// certificate for `digest`.
pub(super) async fn verify(
    rpc: &RpcUrl,
    registry: Address,
    digest: B256,
    signature_data: &[u8],
) -> Result<CertificateCheck, ChainError> {
    let call = abi::isValidSignatureCall {
        digest,
        signatureData: Bytes::copy_from_slice(signature_data),
    };
    let data = call.abi_encode();
    let config = ProviderConfig::from(rpc.clone());
    let rule = QuorumRule::new(1, 1, &[config.runner()]);
    let provider = EvmProvider::new(http_client()?, config, rpc.to_string(), 0);
    let pool = Pool::new(vec![provider], rule);
    let ended = pool
        .ask(|_, provider| provider.eth_call_latest(registry, &data))
        .await?;
    match ended {
        CallOutcome::Reverted(data) => Ok(CertificateCheck::Rejected(rejection(data))),
        CallOutcome::Returned(data) if data.is_empty() => {
            Err(ChainError::NoContract { address: registry })
        }
        CallOutcome::Returned(data) => match abi::isValidSignatureCall::abi_decode_returns(&data) {
            Ok(MAGIC) => Ok(CertificateCheck::Valid),
            Ok(_) => Ok(CertificateCheck::Rejected(Rejection::NotValid)),
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
                let found = rejection(Bytes::copy_from_slice(selector));
                assert_eq!(found, expected, "{prefix}{name}");
            }
        }
        let word = |number: u8| [[0; 31].as_slice(), &[number]].concat();
        let with = |signature: &str, number| {
            Bytes::from([&keccak256(signature)[..4], word(number).as_slice()].concat())
        };
        assert_eq!(
            rejection(with("SetNotSealed(uint32)", 7)),
            Rejection::SetNotSealed(7)
        );
        assert_eq!(
            rejection(with("UnknownVersion(uint8)", 2)),
            Rejection::UnknownVersion(2)
        );
        let data = Bytes::from_static(b"else");
        assert_eq!(rejection(data.clone()), Rejection::Other(data));
        assert_eq!(rejection(Bytes::new()), Rejection::Other(Bytes::new()));
    }
}
