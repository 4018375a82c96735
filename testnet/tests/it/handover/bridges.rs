//! A way on where the next set was never certified, or a light registry was told nothing for too long.

use quorate_proto::SecretKey;

use super::*;

/// A third of the weight and more: 30 and 15 of 115 ether.
const WITHOUT_KEYS: [usize; 2] = [1, 3];

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_cannot_sign_is_skipped_by_the_one_before_it() -> Outcome {
    let _turn = turn().await;
    let network = network_with_light().await?;
    let deployment = &network.deployment;
    let first = deployment.epoch().await?;
    let (second, third) = (first.next(), first.next().next());
    // By mistake: nobody's node has these keys.
    for number in WITHOUT_KEYS {
        let lost = SecretKey::from_bytes(&[77 + u8::try_from(number)?; 32])?;
        deployment.change_key(number, &lost).await?;
    }
    reach_grace_before(&network, second).await?;
    handed_over(&network, 0, second).await?;
    reach(&network, second).await?;
    push(&network, 0, &[])
        .await?
        .says(0, &[&format!("epoch {second}: 0x")])?;
    for number in WITHOUT_KEYS {
        let own = &deployment.operators[number].1.signing;
        deployment.change_key(number, own).await?;
    }
    reach(&network, third).await?;
    let client = network.client(0).await?;
    ensure!(client.epoch_update(third).await?.certificate.is_none());

    let pushed = push(&network, 0, &["--timeout", "4"]).await?;
    let pushed = pushed.says(0, &[&format!("epoch {third}: 0x")])?;
    ensure!(
        pushed
            .stderr
            .contains(&format!("Asking the set of epoch {second}"))
            && pushed
                .stderr
                .contains(&format!("Asking the set of epoch {first}")),
        "{}",
        pushed.stderr
    );
    seal(&network, 0).await?.says(0, &["epoch"])?;
    // What the new set certifies holds there, and so it goes on.
    let block = network.set_value(7, 300).await?;
    let answer = certify(&network, 0, 7, block).await?;
    ensure!(answer.certificate.statement().epoch() == third);
    accepted_everywhere(&network, &answer).await?;
    let found = handed_over_by(&network, 2, third, first).await?;
    ensure!(found.set == deployment.set_of(third).await?);
    reach_grace_before(&network, third.next()).await?;
    handed_over(&network, 0, third.next()).await?;
    push(&network, 3, &[])
        .await?
        .says(0, &[&format!("epoch {}: 0x", third.next())])?;
    Ok(())
}

/// The certificate by the set of one epoch, as another operator has it.
async fn handed_over_by(
    network: &LocalNetwork,
    operator: usize,
    next: Epoch,
    by: Epoch,
) -> Result<HandedOver> {
    let client = network.client(operator).await?;
    let what = format!("the certificate of epoch {by} over epoch {next}");
    wait::until(&what, SOON, || async {
        let found = client.epoch_update_by(next, Some(by)).await.ok()?;
        found.certificate.is_some().then_some(found)
    })
    .await
}

/// Runs `node epoch anchor` with the guardian's key: that of the last account.
async fn anchor(network: &LocalNetwork, more: &[&str]) -> Result<CommandOutput> {
    let dir = network.dir().join("guardian");
    let signers = network.deployment.source.signers();
    let signer = signers.last().context("no accounts")?;
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    let (secret, password) = (Secret::new(signer.to_bytes().0), Password::new(PASSWORD)?);
    KeyStore::open(&dir).import(KeyKind::Signing, "guardian", &secret, &password, saving)?;
    let keys = dir.to_string_lossy().into_owned();
    let to = network.operators[0].address.to_string();
    let (rpc, light) = (
        network.deployment.source.endpoint(),
        light_of(network)?.to_string(),
    );
    let args = [
        "epoch", "anchor", "--to", &to, "--rpc", &rpc, "--light", &light,
    ];
    let account = ["--key", "guardian", "--key-dir", &keys];
    node(&[&args[..], &account, more].concat()).await
}

/// Three quarters of two epochs of 36 s, blocks being a second apart.
const LIFETIME: u64 = 54;

#[tokio::test(flavor = "multi_thread")]
async fn a_light_registry_that_was_told_nothing_for_too_long_begins_anew() -> Outcome {
    let _turn = turn().await;
    let network = network_within_reach(2).await?;
    let deployment = &network.deployment;
    let first = deployment.epoch().await?;
    let block = network.set_value(7, 100).await?;
    let old = certify(&network, 0, 7, block).await?;
    ensure!(at_light(&network, old.digest, &old.signature_data).await? == CertificateCheck::Valid);
    anchor(&network, &[])
        .await?
        .says(2, &["the light registry lives"])?;

    // Both chains' clocks go on; nobody tells the light registry anything.
    let fresh = Epoch(first.0 + 3);
    for chain in [&deployment.home, &deployment.source] {
        chain.increase_time(2 * LIFETIME).await?;
        chain.mine(CONFIRMATIONS).await?;
    }
    reach_grace_before(&network, fresh).await?;
    let expired = CertificateCheck::Rejected(Rejection::Expired(first.0));
    let verdict = at_light(&network, old.digest, &old.signature_data).await?;
    ensure!(verdict == expired, "{verdict}");
    let client = network.client(0).await?;
    wait::until("the fresh set", SOON, || async {
        client.epoch_update(fresh).await.ok()
    })
    .await?;
    push(&network, 0, &[])
        .await?
        .says(2, &["has expired", "node epoch anchor"])?;

    anchor(&network, &[])
        .await?
        .says(0, &[&format!("epoch {fresh} announced")])?;
    let epoch = fresh.to_string();
    let again = ["--epoch", epoch.as_str()];
    anchor(&network, &again)
        .await?
        .says(2, &["may be taken in"])?;
    deployment.source.increase_time(LIFETIME / 2 + 1).await?;
    deployment.source.mine(1).await?;
    anchor(&network, &again)
        .await?
        .says(0, &[&format!("epoch {fresh} anchored")])?;
    // The old set stays dead; the network goes on from the new one.
    let verdict = at_light(&network, old.digest, &old.signature_data).await?;
    ensure!(verdict == expired, "{verdict}");
    reach(&network, fresh).await?;
    let block = network.set_value(7, 200).await?;
    let answer = certify(&network, 1, 7, block).await?;
    let verdict = at_light(&network, answer.digest, &answer.signature_data).await?;
    ensure!(verdict == CertificateCheck::Valid, "{verdict}");
    Ok(())
}
