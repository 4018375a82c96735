//! What a light registry does not take.

use anyhow::{Context, Result, ensure};
use quorate_chain::{CertificateCheck, Rejection};
use quorate_node::client::Answer;
use quorate_proto::{
    Address, Certificate, Domain, Epoch, OperatorSet, Signature, SignerSignature, Statement, U256,
};
use quorate_testnet::LocalNetwork;

use super::at_light;
use crate::support::Outcome;

/// The order of the group of secp256k1.
const ORDER: &str = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
/// Bytes of a signature in the ABI form, and with the zeros behind it.
const SIGNATURE: usize = 65;
const PADDED: usize = 96;

/// Operators and signatures as `isValidSignature` reads them; nothing is sorted.
fn abi(signers: &[(Address, Vec<u8>)], epoch: Epoch) -> Vec<u8> {
    use alloy::primitives::Bytes;
    use alloy::sol_types::SolValue as _;
    let operators: Vec<Address> = signers.iter().map(|(operator, _)| *operator).collect();
    let signatures = signers.iter().map(|(_, s)| Bytes::copy_from_slice(s));
    (operators, signatures.collect::<Vec<_>>(), epoch.0).abi_encode_params()
}

fn parts(certificate: &Certificate) -> Vec<(Address, Vec<u8>)> {
    let part = |s: &SignerSignature| (s.operator, s.signature.as_bytes().to_vec());
    certificate.signatures().iter().map(part).collect()
}

/// The same statement signed in another domain, by the same keys.
fn signed_elsewhere(
    network: &LocalNetwork,
    statement: &Statement,
    operators: &[Address],
    domain: &Domain,
) -> Result<Certificate> {
    let digest = statement.digest(domain);
    let known = &network.deployment.operators;
    let mut signatures = Vec::new();
    for operator in operators {
        let keys = known.iter().find(|(address, _)| address == operator);
        let (_, keys) = keys.context("a known operator")?;
        let signature: Signature = keys.signing.sign(digest)?;
        signatures.push(SignerSignature {
            operator: *operator,
            signature,
        });
    }
    Ok(Certificate::new(statement.clone(), signatures))
}

/// s to the upper half, and v turned with it: valid for those who do not look.
fn with_high_s(signature: &[u8]) -> Result<Vec<u8>> {
    let order: U256 = ORDER.parse()?;
    let s = U256::from_be_slice(&signature[32..64]);
    let mut high = signature.to_vec();
    high[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    high[64] = 27 + 28 - signature[64];
    Ok(high)
}

pub(super) async fn all(network: &LocalNetwork, answer: &Answer) -> Outcome {
    let certificate = &answer.certificate;
    let epoch = certificate.statement().epoch();
    let set = network.deployment.set_of(epoch).await?;
    in_abi_form(network, answer).await?;
    in_compact_form(network, answer, &set).await?;
    elsewhere(network, answer, &set).await?;
    let compact = certificate.compact_signature_data(&set)?;
    flipped(network, answer, &compact, &[]).await?;
    let padding = padding_of(certificate.signatures().len());
    flipped(network, answer, &answer.signature_data, &padding).await
}

async fn in_abi_form(network: &LocalNetwork, answer: &Answer) -> Outcome {
    let parts = parts(&answer.certificate);
    let epoch = answer.certificate.statement().epoch();
    let first = parts.first().context("a signer")?.clone();
    let reversed: Vec<_> = parts.iter().rev().cloned().collect();
    let twice = [std::slice::from_ref(&first), &parts].concat();
    let mut high = parts.clone();
    high[0].1 = with_high_s(&first.1)?;
    let table = [
        (abi(&parts, Epoch(99)), Rejection::InvalidEpoch),
        (abi(&parts[1..], epoch), Rejection::InsufficientSignedStake),
        (abi(&twice, epoch), Rejection::NotSorted),
        (abi(&reversed, epoch), Rejection::NotSorted),
        (abi(&high, epoch), Rejection::InvalidSignature),
        (abi(&[], epoch), Rejection::InvalidLength),
    ];
    for (data, expected) in table {
        let verdict = at_light(network, answer.digest, &data).await?;
        ensure!(
            verdict == CertificateCheck::Rejected(expected.clone()),
            "{expected:?} was expected: {verdict}"
        );
    }
    Ok(())
}

async fn in_compact_form(network: &LocalNetwork, answer: &Answer, set: &OperatorSet) -> Outcome {
    let (statement, signatures) = (
        answer.certificate.statement().clone(),
        answer.certificate.signatures(),
    );
    let good = answer.certificate.compact_signature_data(set)?;
    let weak = Certificate::new(statement, signatures[1..].to_vec());
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut other = good.clone();
        change(&mut other);
        other
    };
    let table = [
        (
            weak.compact_signature_data(set)?,
            Rejection::InsufficientSignedStake,
        ),
        (changed(|data| data[4] = 99), Rejection::InvalidEpoch),
        (changed(|data| data[0] = 2), Rejection::UnknownVersion(2)),
        (
            changed(|data| data.push(0)),
            Rejection::MalformedCertificate,
        ),
        // Four members: the fifth bit stands for nobody.
        (
            changed(|data| data[5] |= 1 << 4),
            Rejection::MalformedCertificate,
        ),
    ];
    for (data, expected) in table {
        let verdict = at_light(network, answer.digest, &data).await?;
        ensure!(
            verdict == CertificateCheck::Rejected(expected.clone()),
            "{expected:?} was expected: {verdict}"
        );
    }
    Ok(())
}

/// The set of another network: the same operators and keys under another registry.
async fn elsewhere(network: &LocalNetwork, answer: &Answer, set: &OperatorSet) -> Outcome {
    let statement = answer.certificate.statement();
    let operators: Vec<Address> = set.members().iter().map(|m| m.address).collect();
    let other = Domain::new(1, network.deployment.registry);
    let foreign = signed_elsewhere(network, statement, &operators, &other)?;
    let compact = foreign.compact_signature_data(set)?;
    for data in [foreign.signature_data(), compact] {
        let verdict = at_light(network, answer.digest, &data).await?;
        ensure!(
            verdict == CertificateCheck::Rejected(Rejection::InvalidSignature),
            "{verdict}"
        );
    }
    // In their own domain the same keys are believed, so it was the domain.
    let domain = network.deployment.domain();
    let own = signed_elsewhere(network, statement, &operators, &domain)?;
    let verdict = at_light(network, answer.digest, &own.signature_data()).await?;
    ensure!(verdict == CertificateCheck::Valid, "{verdict}");
    Ok(())
}

/// Zeros behind each signature in the ABI form, which no decoder looks at.
fn padding_of(signers: usize) -> Vec<usize> {
    let first = 96 + 32 * (1 + signers) + 32 * (1 + signers);
    let begins = (0..signers).map(|n| first + n * (32 + PADDED) + 32);
    begins
        .flat_map(|begin| begin + SIGNATURE..begin + PADDED)
        .collect()
}

/// No single bit may be another one, in the bytes or in the digest.
async fn flipped(network: &LocalNetwork, answer: &Answer, data: &[u8], free: &[usize]) -> Outcome {
    for bit in 0..data.len() * 8 {
        let mut other = data.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        let verdict = at_light(network, answer.digest, &other).await?;
        ensure!(
            verdict != CertificateCheck::Valid || free.contains(&(bit / 8)),
            "bit {bit} may be flipped"
        );
    }
    for bit in 0..256 {
        let mut digest = answer.digest;
        digest[bit / 8] ^= 1 << (bit % 8);
        let verdict = at_light(network, digest, data).await?;
        ensure!(
            verdict != CertificateCheck::Valid,
            "bit {bit} of the digest may be flipped"
        );
    }
    Ok(())
}
