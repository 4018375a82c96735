//! `make demo-bridge`: coin sent on one chain and paid on the other, told as it happens.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use anyhow::{Context, Result};
use quorate_chain::anvil::AnvilChain;

use super::Narration;
use crate::bridges::{Bridges, Way, wei};
use crate::miner::Miner;
use crate::{DeploymentOptions, LocalNetwork, NetworkOptions, wait};

/// Between two blocks of both chains.
const BLOCK: Duration = Duration::from_secs(1);
/// From lock to payout at most, two turns of relayers included.
const PAID: Duration = Duration::from_secs(60);
/// The account that sends.
const SENDER: usize = 7;
/// Units of the wire in each transfer: five millionths of a coin.
const UNITS: u64 = 5_000;

/// Runs the demo.
///
/// # Errors
/// Whatever did not go as told.
pub async fn run() -> Result<()> {
    let mut story = Narration {
        steps: Vec::new(),
        started: Instant::now(),
    };
    println!(
        "Quorate bridge demo: coin sent on one chain, attested by staked operators, paid on another by relayers\n"
    );
    let folder = tempfile::Builder::new().prefix("quorate-demo-").tempdir()?;
    let mut network = start(&mut story, folder.path()).await?;
    let chains = [&network.deployment.home, &network.deployment.source];
    let _miners = chains.map(|chain| Miner::start(chain, BLOCK));

    for (number, way, what) in [
        (
            1,
            Way::ToHome,
            "coin from the source chain to the home chain",
        ),
        (
            2,
            Way::ToSource,
            "coin from the home chain to the source chain",
        ),
    ] {
        let began = Instant::now();
        send(&network, way, receiver(number)).await?;
        paid(&network, way, receiver(number)).await?;
        story.tell(what, began, "paid".into());
    }
    svm(&mut story, &network).await?;
    let began = Instant::now();
    for number in 3..13 {
        send(&network, Way::ToHome, receiver(number)).await?;
    }
    network.relayers[0].kill()?;
    let what = "ten transfers sent, and a relayer killed";
    story.tell(what, began, "kill -9".into());
    for number in 3..13 {
        paid(&network, Way::ToHome, receiver(number)).await?;
    }
    story.tell(
        "the other relayer takes over its turns",
        began,
        "all ten paid, each once".into(),
    );
    story.table();
    let all = story.started.elapsed().as_secs_f64();
    println!(
        "\n  All of it in {all:.1} s. EVM blocks are {} s apart and final with two on top, those of the SVM chain 0.4 s and final with four.",
        BLOCK.as_secs()
    );
    Ok(())
}

async fn start(story: &mut Narration, folder: &Path) -> Result<LocalNetwork> {
    let began = Instant::now();
    let deployment = DeploymentOptions {
        bridges: true,
        svm: true,
        epoch_length: 400,
        ..DeploymentOptions::default()
    };
    let options = NetworkOptions {
        deployment,
        relayers: 2,
        ..NetworkOptions::default()
    };
    let mut network = LocalNetwork::prepare(options, folder).await?;
    let what = "two EVM chains and an SVM chain with a bridge each, 5 operators registered";
    story.tell(what, began, "stakes 40, 30, 20, 15, 10 ether".into());
    let began = Instant::now();
    network.start_nodes().await?;
    let what = "1 registry, 5 operators and 2 relayers as processes";
    story.tell(what, began, "healthy and meshed".into());
    Ok(network)
}

/// Coin of the home chain to the SVM chain, and half of it back.
async fn svm(story: &mut Narration, network: &LocalNetwork) -> Result<()> {
    let deployment = &network.deployment;
    let svm = deployment.svm.as_ref().context("no SVM chain")?;
    let sender = *deployment
        .home
        .accounts()
        .get(SENDER)
        .context("no such account")?;
    let began = Instant::now();
    svm.send(deployment, sender, (svm.user, UNITS)).await?;
    wait::until("the payout on the SVM chain", PAID, || async {
        (svm.balance(svm.user).await.ok()? == UNITS).then_some(())
    })
    .await?;
    story.tell(
        "coin from the home chain to the SVM chain",
        began,
        "paid".into(),
    );
    let (began, back) = (Instant::now(), UNITS / 2);
    svm.send_back(deployment, (receiver(15), back)).await?;
    wait::until("the payout at home", PAID, || async {
        let balance = deployment.home.provider().get_balance(receiver(15));
        (balance.await.ok()? == wei(back)).then_some(())
    })
    .await?;
    story.tell("half of it back to the home chain", began, "paid".into());
    Ok(())
}

fn receiver(number: u8) -> Address {
    Address::repeat_byte(0xa0 | number)
}

fn bridges(network: &LocalNetwork) -> Result<Bridges> {
    network.deployment.bridges.context("no bridges")
}

/// The chains where a transfer begins and ends.
fn ends(network: &LocalNetwork, way: Way) -> (&AnvilChain, &AnvilChain) {
    let (home, source) = (&network.deployment.home, &network.deployment.source);
    match way {
        Way::ToHome => (source, home),
        Way::ToSource => (home, source),
    }
}

async fn send(network: &LocalNetwork, way: Way, to: Address) -> Result<()> {
    let (from, _) = ends(network, way);
    let sender = *from.accounts().get(SENDER).context("no such account")?;
    bridges(network)?
        .send(from, way, sender, (to, UNITS))
        .await?;
    Ok(())
}

async fn paid(network: &LocalNetwork, way: Way, to: Address) -> Result<()> {
    let (_, chain) = ends(network, way);
    wait::until("the payout", PAID, || async {
        let balance: U256 = chain.provider().get_balance(to).await.ok()?;
        (balance == wei(UNITS)).then_some(())
    })
    .await
}
