//! Epochs hand over, and another chain follows.

mod bridges;
mod crowd;
mod rejections;
mod rush;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_chain::{CertificateCheck, ChainFamily, Rejection, verify_on_chain};
use quorate_node::client::{Answer, HandedOver};
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{Address, B256, Epoch};
use quorate_testnet::network::{CONFIRMATIONS, PASSWORD};
use quorate_testnet::{DeploymentOptions, LocalNetwork, NetworkOptions, wait};

use crate::support::command::{CommandOutput, node};
use crate::support::{Outcome, SOON, certify, turn};

/// Account that pays for updates; neither an operator nor the user.
const PAYER: usize = 7;

/// A network whose source chain has a light registry.
async fn network_with_light() -> Result<LocalNetwork> {
    network_within_reach(DeploymentOptions::default().reach).await
}

/// As above, where stake stays within reach for so many epochs.
async fn network_within_reach(reach: u64) -> Result<LocalNetwork> {
    let deployment = DeploymentOptions {
        epoch_length: 30,
        grace: 6,
        light: true,
        reach,
        ..DeploymentOptions::default()
    };
    LocalNetwork::start(NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    })
    .await
}

fn light_of(network: &LocalNetwork) -> Result<Address> {
    network.deployment.light.context("no light registry")
}

/// Mines until the set of `next` is final for all nodes.
async fn reach_grace_before(network: &LocalNetwork, next: Epoch) -> Outcome {
    let before = Epoch(next.0 - 1);
    let (_, grace, end) = network.deployment.interval(before).await?;
    let height = network.deployment.home.height().await?;
    let wanted = grace + CONFIRMATIONS + 1;
    ensure!(wanted < end, "the grace period is too short");
    network
        .deployment
        .home
        .mine(wanted.saturating_sub(height))
        .await?;
    Ok(())
}

/// Mines until `epoch` has begun for all running operators.
async fn reach(network: &LocalNetwork, epoch: Epoch) -> Outcome {
    let (start, _, _) = network.deployment.interval(epoch).await?;
    let height = network.deployment.home.height().await?;
    let missing = (start + CONFIRMATIONS).saturating_sub(height);
    network.deployment.home.mine(missing).await?;
    let running = || network.operators.iter().filter(|n| n.pid().is_some());
    for operator in running() {
        let what = format!("epoch {epoch} at {}", operator.name);
        wait::until(&what, SOON, || async {
            let status = operator.status().await.ok()?;
            (status.epoch == Some(epoch.0)).then_some(())
        })
        .await?;
    }
    Ok(())
}

/// The certificate over an epoch, as soon as this operator has it.
async fn handed_over(network: &LocalNetwork, by: usize, next: Epoch) -> Result<HandedOver> {
    let client = network.client(by).await?;
    let what = format!("the certificate over epoch {next} at operator {by}");
    wait::until(&what, Duration::from_secs(30), || async {
        let found = client.epoch_update(next).await.ok()?;
        found.certificate.is_some().then_some(found)
    })
    .await
}

/// Puts the key of an account that pays beside the nodes; its folder.
fn payer(network: &LocalNetwork) -> Result<String> {
    let dir = network.dir().join("payer");
    let signers = network.deployment.home.signers();
    let signer = signers.get(PAYER).context("no such account")?;
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    let secret = Secret::new(signer.to_bytes().0);
    let password = Password::new(PASSWORD)?;
    KeyStore::open(&dir).import(KeyKind::Signing, "payer", &secret, &password, saving)?;
    Ok(dir.to_string_lossy().into_owned())
}

/// Runs `node epoch push` against operator `by`.
async fn push(network: &LocalNetwork, by: usize, more: &[&str]) -> Result<CommandOutput> {
    let (keys, rpc) = (payer(network)?, network.deployment.source.endpoint());
    let to = network.operators[by].address.to_string();
    let light = light_of(network)?.to_string();
    let args = ["epoch", "push", "--to", &to, "--rpc", &rpc];
    let account = ["--light", &light, "--key", "payer", "--key-dir", &keys];
    node(&[&args, &account, more].concat()).await
}

async fn seal(network: &LocalNetwork, by: usize) -> Result<CommandOutput> {
    let (keys, rpc) = (payer(network)?, network.deployment.home.endpoint());
    let to = network.operators[by].address.to_string();
    let args = ["epoch", "seal", "--to", &to, "--rpc", &rpc];
    node(&[&args[..], &["--key", "payer", "--key-dir", &keys]].concat()).await
}

async fn at_light(network: &LocalNetwork, digest: B256, data: &[u8]) -> Result<CertificateCheck> {
    let url = network.deployment.source.url()?;
    Ok(verify_on_chain(ChainFamily::Evm, &url, light_of(network)?, digest, data).await?)
}

/// Both registries accept both forms.
async fn accepted_everywhere(network: &LocalNetwork, answer: &Answer) -> Outcome {
    let deployment = &network.deployment;
    let set = deployment
        .set_of(answer.certificate.statement().epoch())
        .await?;
    let compact = answer.certificate.compact_signature_data(&set)?;
    let home = deployment.home.url()?;
    for (form, data) in [("ABI", &answer.signature_data), ("compact", &compact)] {
        let verdict = verify_on_chain(
            ChainFamily::Evm,
            &home,
            deployment.registry,
            answer.digest,
            data,
        )
        .await?;
        ensure!(
            verdict == CertificateCheck::Valid,
            "{form} at home: {verdict}"
        );
        let verdict = at_light(network, answer.digest, data).await?;
        ensure!(
            verdict == CertificateCheck::Valid,
            "{form} at the light: {verdict}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chain_follows_while_operators_leave_and_join() -> Outcome {
    let _turn = turn().await;
    let network = network_with_light().await?;
    let deployment = &network.deployment;
    let first = deployment.epoch().await?;
    push(&network, 0, &[])
        .await?
        .says(0, &[&format!("already at epoch {first}")])?;
    let mut block = network.set_value(7, 100).await?;
    let mut previous = certify(&network, 0, 7, block).await?;
    let set = deployment.set_of(first).await?;
    let compact = previous.certificate.compact_signature_data(&set)?;
    let (home, registry) = (deployment.home.url()?, deployment.registry);
    let verdict =
        verify_on_chain(ChainFamily::Evm, &home, registry, previous.digest, &compact).await?;
    let unsealed = CertificateCheck::Rejected(Rejection::SetNotSealed(first.0));
    ensure!(verdict == unsealed, "{verdict}");
    seal(&network, 0).await?.says(0, &["epoch"])?;
    seal(&network, 0).await?.says(0, &["is sealed already"])?;
    accepted_everywhere(&network, &previous).await?;

    for round in 1..=3_u32 {
        match round {
            1 => deployment.leave(4).await?,
            2 => {
                deployment.join(4).await?;
                deployment.leave(3).await?;
            }
            _ => {}
        }
        let next = Epoch(first.0 + round);
        reach_grace_before(&network, next).await?;
        // Certified before the epoch turns, and everybody has it.
        for by in 0..network.operators.len() {
            let found = handed_over(&network, by, next).await?;
            ensure!(found.set == deployment.set_of(next).await?, "{found:?}");
        }
        reach(&network, next).await?;
        let form = ["compact", "abi", "compact"][round as usize - 1];
        push(&network, round as usize - 1, &["--form", form])
            .await?
            .says(0, &[&format!("epoch {next}: 0x")])?;
        seal(&network, 0).await?.says(0, &["epoch"])?;
        block = network.set_value(7, 100 + u64::from(round)).await?;
        let answer = certify(&network, 0, 7, block).await?;
        ensure!(answer.certificate.statement().epoch() == next);
        accepted_everywhere(&network, &answer).await?;
        accepted_everywhere(&network, &previous).await?;
        previous = answer;
    }
    let sizes = [1, 2, 3].map(|round| deployment.set_of(Epoch(first.0 + round)));
    let [one, two, three] = sizes;
    let sizes = [one.await?, two.await?, three.await?].map(|set| set.members().len());
    ensure!(sizes == [4, 4, 4], "{sizes:?}");

    shown(&network, &previous, Epoch(first.0 + 3)).await?;
    rejections::all(&network, &previous).await
}

/// What people and scripts see of it.
async fn shown(network: &LocalNetwork, answer: &Answer, epoch: Epoch) -> Outcome {
    push(network, 1, &["--json"])
        .await?
        .says(0, &[&format!("\"epoch\": {epoch}"), "\"updates\": []"])?;
    let to = network.operators[0].address.to_string();
    let number = epoch.to_string();
    let args = ["epoch", "show", "--to", &to, "--epoch", &number];
    node(&args)
        .await?
        .says(0, &["Set hash", "operators of epoch"])?;
    let found = handed_over(network, 0, epoch).await?;
    let certificate = found.certificate.context("a certificate")?;
    let task = certificate.statement().task_id().to_string();
    let http = network.operators[0].http.as_str();
    node(&["explain", &task, "--http", http])
        .await?
        .says(0, &[&format!("the operators of epoch {epoch} are the set")])?;
    node(&["tasks", "--http", http])
        .await?
        .says(0, &["NEXT", &task])?;

    let file = network.dir().join("certificate.json");
    let file = file.to_str().context("a path that is no text")?;
    let task = answer.task_id.to_string();
    let args = ["request", "certificate", &task, "--to", &to, "--out", file];
    node(&args).await?.says(0, &["Claimed to be signed by"])?;
    let (rpc, light) = (network.deployment.source.endpoint(), light_of(network)?);
    let light = light.to_string();
    let args = ["verify", file, "--rpc", &rpc, "--light", &light];
    node(&args).await?.says(0, &["On chain  valid"])?;
    node(&[&args[..], &["--compact"]].concat())
        .await?
        .says(0, &["valid", "Short form  0x01"])?;
    let other = Address::repeat_byte(9).to_string();
    node(&[&args[..], &["--registry", &other]].concat())
        .await?
        .says(1, &["holds the sets of network"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_down_at_the_hand_over_makes_up_for_it() -> Outcome {
    let _turn = turn().await;
    let mut network = network_with_light().await?;
    let next = network.deployment.epoch().await?.next();
    // 70 of 115 ether are left: too little to certify anything.
    for number in [1, 3] {
        network.operators[number].kill()?;
    }
    reach_grace_before(&network, next).await?;
    let client = network.client(0).await?;
    wait::until("the next set", SOON, || async {
        client.epoch_update(next).await.ok()
    })
    .await?;
    reach(&network, next).await?;
    ensure!(client.epoch_update(next).await?.certificate.is_none());
    // Nor can an older set be asked: the same operators are missing.
    push(&network, 0, &["--timeout", "2"])
        .await?
        .says(2, &["no set that the light registry holds", "push again"])?;
    // The old set is still in its grace period.
    for number in [1, 3] {
        network.operators[number].start()?;
        network.operators[number].ready().await?;
    }
    for by in [0, 1, 3] {
        handed_over(&network, by, next).await?;
    }
    push(&network, 3, &[])
        .await?
        .says(0, &[&format!("epoch {next}: 0x")])?;
    Ok(())
}
