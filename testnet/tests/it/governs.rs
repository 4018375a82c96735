//! A network whose operators come, go, change keys and die while it works.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use quorate_chain::contracts::LightStakeRegistry;
use quorate_chain::{CertificateCheck, ChainFamily, verify_on_chain};
use quorate_node::client::{Answer, At, StateQuestion};
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_proto::{Address, Epoch, U256};
use quorate_testnet::miner::Miner;
use quorate_testnet::network::{CONFIRMATIONS, PASSWORD};
use quorate_testnet::users::{UserOptions, Users};
use quorate_testnet::{DeploymentOptions, LocalNetwork, NetworkOptions, OperatorKeys, wait};

use crate::support::command::node;
use crate::support::{Outcome, SOON, joined, turn};

/// One block of the home chain; an epoch of 20 takes 5 s.
const BLOCK_TIME: Duration = Duration::from_millis(250);
const EPOCHS: u32 = 11;
/// Questions under way at any time.
const IN_FLIGHT: usize = 8;
/// Who is asked: operators that are never stopped, and two that are.
const ENTRIES: [usize; 4] = [0, 1, 2, 5];
const KEYS: u64 = 100;
const BLOCKS: u64 = 400;

/// Ask without end, and elsewhere where an operator fails them.
async fn users(network: &LocalNetwork) -> Result<Users> {
    let values: Vec<_> = (0..KEYS)
        .map(|key| (U256::from(key), U256::from(77)))
        .collect();
    let (source, contract) = (&network.deployment.source, network.deployment.state_manager);
    let first = source.set_values(contract, network.user(), &values).await?;
    source.mine(BLOCKS + CONFIRMATIONS).await?;
    let template = network.question(0, first);
    Ok(Users::start(UserOptions {
        entries: ENTRIES
            .map(|entry| network.operators[entry].address.clone())
            .into(),
        in_flight: IN_FLIGHT,
        pause: Duration::ZERO,
        // Longer than a task may take, several times.
        patience: Duration::from_secs(60),
        question: Box::new(move |number| StateQuestion {
            key: U256::from(number % KEYS),
            at: At::Block(first + number / KEYS % BLOCKS),
            ..template.clone()
        }),
    }))
}

/// The account that pays for updates of the light registry; neither an operator nor the user.
fn payer(network: &LocalNetwork) -> Result<String> {
    let dir = network.dir().join("payer");
    let signers = network.deployment.home.signers();
    let signer = signers.get(8).context("no such account")?;
    write_key(&dir, "payer", signer.to_bytes().0)?;
    Ok(dir.to_string_lossy().into_owned())
}

fn write_key(dir: &std::path::Path, name: &str, secret: [u8; 32]) -> Outcome {
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    let password = Password::new(PASSWORD)?;
    KeyStore::open(dir).import(
        KeyKind::Signing,
        name,
        &Secret::new(secret),
        &password,
        saving,
    )?;
    Ok(())
}

/// Brings the light registry up to `epoch`.
async fn push(network: &LocalNetwork, keys: &str, light: Address, epoch: Epoch) -> Outcome {
    let (rpc, at) = (network.deployment.source.endpoint(), light.to_string());
    let to = network.operators[0].address.to_string();
    wait::until(
        &format!("epoch {epoch} at the light registry"),
        Duration::from_secs(30),
        || async {
            let args = ["epoch", "push", "--to", &to, "--rpc", &rpc, "--light", &at];
            let pushed = node(&[&args[..], &["--key", "payer", "--key-dir", keys]].concat()).await;
            pushed.ok()?.says(0, &["epoch "]).ok()?;
            // On a slow machine the home chain is an epoch further already.
            let contract = LightStakeRegistry::new(light, network.deployment.source.provider());
            let newest = contract.newestEpoch().call().await.ok()?;
            (newest >= epoch.0).then_some(())
        },
    )
    .await
}

/// Has an operator's account take another signing key.
async fn change_key(network: &LocalNetwork, number: usize, key: &OperatorKeys) -> Outcome {
    let dir = &network.operators[number].dir;
    let signers = network.deployment.home.signers();
    let account = signers.get(number).context("no such account")?;
    write_key(&dir.join("keys"), "account", account.to_bytes().0)?;
    write_key(&dir.join("keys"), "second", key.signing.to_bytes())?;
    let second = Secret::new(key.signing.to_bytes());
    KeyStore::open(dir.join("keys")).note_unused("second", &second)?;
    let config = dir.join("config.toml");
    let config = config.to_str().context("a path that is no text")?;
    let args = ["change-key", "--config", config, "--account-key", "account"];
    node(&[&args[..], &["--new-key", "second"]].concat())
        .await?
        .says(0, &["Restart the node with it in epoch"])?;
    Ok(())
}

/// What happens in an epoch.
async fn happen(
    network: &mut LocalNetwork,
    round: u32,
    new_key: &OperatorKeys,
) -> Result<&'static str> {
    let deployment = &network.deployment;
    match round {
        1 => deployment.leave(6).await?,
        2 => {
            network.operators[5].kill()?;
            network.deployment.join(6).await?;
        }
        3 => {
            network.operators[5].start()?;
            network.operators[5].ready().await?;
            network.deployment.leave(4).await?;
        }
        4 => {
            network.registries[0].kill()?;
            std::fs::remove_dir_all(network.registries[0].dir.join("data"))?;
            network.registries[0].start()?;
            network.registries[0].ready().await?;
            joined(network, &network.registries[0]).await?;
        }
        5 => change_key(network, 3, new_key).await?,
        6 => {
            // Its new key counts now.
            network.operators[3].stop().await?;
            network.operators[3].start_with(&["--signing-key", "second"])?;
            network.operators[3].ready().await?;
            network.deployment.join(4).await?;
        }
        7 => network.operators[2].kill()?,
        8 => {
            network.operators[2].start()?;
            network.operators[2].ready().await?;
            network.registries[1].kill()?;
        }
        9 => {
            network.registries[1].start()?;
            network.registries[1].ready().await?;
        }
        _ => {}
    }
    Ok([
        "nothing",
        "operator 6 leaves",
        "operator 5 is killed, operator 6 comes back",
        "operator 5 is back, operator 4 leaves",
        "registry 0 is killed, loses its disk and is back",
        "operator 3 changes its key",
        "operator 3 starts with its new key, operator 4 comes back",
        "operator 2 is killed",
        "operator 2 is back, registry 1 is killed",
        "registry 1 is back",
        "nothing",
    ][round as usize % 11])
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_come_and_go_and_nothing_is_lost() -> Outcome {
    let _turn = turn().await;
    let deployment = DeploymentOptions {
        stakes: vec![40, 30, 25, 20, 15, 10, 10],
        epoch_length: 20,
        grace: 6,
        light: true,
        ..DeploymentOptions::default()
    };
    let mut network = LocalNetwork::start(NetworkOptions {
        deployment,
        registries: 3,
        ..NetworkOptions::default()
    })
    .await?;
    let light = network.deployment.light.context("no light registry")?;
    let keys = payer(&network)?;
    let new_key = OperatorKeys::of(500);
    let users = users(&network).await?;
    let _miner = Miner::start(&network.deployment.home, BLOCK_TIME);
    let first = network.deployment.epoch().await?;
    for round in 0..EPOCHS {
        let epoch = Epoch(first.0 + round);
        let what = happen(&mut network, round, &new_key).await?;
        let next = Epoch(epoch.0 + 1);
        wait::until(
            &format!("epoch {next}"),
            Duration::from_secs(40),
            || async {
                let status = network.operators[0].status().await.ok()?;
                (status.epoch >= Some(next.0)).then_some(())
            },
        )
        .await?;
        push(&network, &keys, light, next).await?;
        let retried = users.retried();
        println!(
            "epoch {epoch}: {what}; {} certificates so far, {retried} asked again",
            users.count()
        );
    }
    for operator in [2, 3, 4, 5, 6] {
        joined(&network, &network.operators[operator]).await?;
    }
    let last = network.deployment.epoch().await?;
    let answers = users.finish().await?.answers;
    let answers: Vec<Answer> = answers.into_values().collect();
    push(&network, &keys, light, last).await?;
    verified(&network, light, &answers).await
}

/// All hold on both chains, of at least ten epochs.
async fn verified(network: &LocalNetwork, light: Address, answers: &[Answer]) -> Outcome {
    let (home, source) = (
        network.deployment.home.url()?,
        network.deployment.source.url()?,
    );
    let mut epochs: Vec<Epoch> = Vec::new();
    for answer in answers {
        let epoch = answer.certificate.statement().epoch();
        epochs.push(epoch);
        for (url, registry) in [(&home, network.deployment.registry), (&source, light)] {
            let verdict = verify_on_chain(
                ChainFamily::Evm,
                url,
                registry,
                answer.digest,
                &answer.signature_data,
            )
            .await?;
            ensure!(
                verdict == CertificateCheck::Valid,
                "task {} of epoch {epoch}: {verdict}",
                answer.task_id
            );
        }
    }
    epochs.sort_unstable();
    epochs.dedup();
    ensure!(epochs.len() >= 10, "{epochs:?}");
    println!(
        "{} certificates of {} epochs hold on both chains",
        answers.len(),
        epochs.len()
    );
    wait::until("a quiet network", SOON, || async {
        let status = network.operators[0].status().await.ok()?;
        status.problems.is_empty().then_some(())
    })
    .await
}
