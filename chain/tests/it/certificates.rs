//! What the registry contract says about certificates.

use alloy::primitives::{Address, B256};
use quorate_chain::{CertificateCheck, ChainError, ChainFamily, Rejection, verify_on_chain};

use crate::support::TestResult;
use crate::support::network::{Network, certificate};

#[tokio::test]
async fn every_rejection_is_readable() -> TestResult {
    let network = Network::start().await?;
    let mut members = [network.member(1), network.member(2), network.member(3)];
    members.sort_by_key(|member| member.operator);
    let [a, b, c] = &members;
    for member in [a, b, c] {
        network.register(member).await?;
        network.stake(member, 100).await?;
    }
    network.enter(1).await?;
    let digest = B256::repeat_byte(0x42);
    let rpc = network.anvil.url()?;
    let ask = async |data: &[u8]| {
        verify_on_chain(ChainFamily::Evm, &rpc, network.registry, digest, data).await
    };

    assert_eq!(
        ask(&certificate(digest, &[a, b, c], 1)).await?,
        CertificateCheck::Valid
    );
    let other = B256::repeat_byte(0x43);
    let mut lengths = certificate(digest, &[a, b, c], 1);
    // The number of signatures: one less than there are operators.
    lengths[8 * 32 - 1] = 2;
    let mut longer = certificate(digest, &[a, b, c], 1);
    longer.extend([0; 32]);
    let table = [
        (
            certificate(digest, &[a, b], 1),
            Rejection::InsufficientSignedStake,
        ),
        (certificate(digest, &[a, b, c], 2), Rejection::InvalidEpoch),
        (certificate(digest, &[a, c, b], 1), Rejection::NotSorted),
        (certificate(digest, &[a, a, b], 1), Rejection::NotSorted),
        (certificate(digest, &[], 1), Rejection::InvalidLength),
        (
            certificate(other, &[a, b, c], 1),
            Rejection::InvalidSignature,
        ),
        (lengths, Rejection::LengthMismatch),
        (vec![1, 2, 3], Rejection::MalformedCertificate),
        (longer, Rejection::MalformedCertificate),
    ];
    for (data, expected) in table {
        let verdict = ask(&data).await?;
        assert_eq!(verdict, CertificateCheck::Rejected(expected));
        assert!(verdict.to_string().starts_with("rejected: "), "{verdict}");
    }

    // The stake of epoch 1 stays within reach for four epochs; certificates hold for three.
    network.enter(5).await?;
    let verdict = ask(&certificate(digest, &[a, b, c], 1)).await?;
    assert_eq!(verdict, CertificateCheck::Rejected(Rejection::Expired(1)));

    let nowhere = Address::repeat_byte(9);
    let error = verify_on_chain(ChainFamily::Evm, &rpc, nowhere, digest, &[]).await;
    assert_eq!(error, Err(ChainError::NoContract { address: nowhere }));
    Ok(())
}
