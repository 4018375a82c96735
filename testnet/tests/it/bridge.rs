//! What is sent on one chain is paid on the other, once.

mod refund;

use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use alloy::providers::Provider as _;
use anyhow::{Context, Result, ensure};
use quorate_chain::anvil::AnvilChain;
use quorate_chain::contracts::Bridge;
use quorate_node::BridgePlace;
use quorate_node::api::BridgeReport;
use quorate_node::keys::{KeyKind, KeyStore, Password, Saving, Secret, Strength};
use quorate_testnet::bridges::{Way, wei};
use quorate_testnet::deployment::HOME_CHAIN;
use quorate_testnet::miner::Miner;
use quorate_testnet::network::{CONFIRMATIONS, PASSWORD};
use quorate_testnet::{Bridges, DeploymentOptions, LocalNetwork, NetworkOptions, wait};

use crate::support::command::{CommandOutput, node};
use crate::support::{Outcome, turn};

/// From lock to payout, with all processes on one machine.
const PAID: Duration = Duration::from_secs(30);
/// Account that sends; neither an operator nor the deployer.
const SENDER: usize = 7;

/// Between two blocks of both chains.
const BLOCK: Duration = Duration::from_millis(500);

/// Five operators, a registry, and so many relayers between two chains that move on by themselves.
async fn network(relayers: usize) -> Result<(LocalNetwork, [Miner; 2])> {
    let deployment = DeploymentOptions {
        bridges: true,
        epoch_length: 400,
        ..DeploymentOptions::default()
    };
    let network = LocalNetwork::start(NetworkOptions {
        deployment,
        relayers,
        ..NetworkOptions::default()
    })
    .await?;
    let chains = [&network.deployment.home, &network.deployment.source];
    let miners = chains.map(|chain| Miner::start(chain, BLOCK));
    Ok((network, miners))
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

fn receiver(number: u8) -> Address {
    Address::repeat_byte(0xa0 | number)
}

async fn send(network: &LocalNetwork, way: Way, to: Address, units: u64) -> Outcome {
    let (from, _) = ends(network, way);
    let sender = *from.accounts().get(SENDER).context("no such account")?;
    bridges(network)?
        .send(from, way, sender, (to, units))
        .await?;
    Ok(())
}

async fn balance(chain: &AnvilChain, account: Address) -> Result<U256> {
    Ok(chain.provider().get_balance(account).await?)
}

async fn paid(network: &LocalNetwork, way: Way, to: Address, units: u64) -> Outcome {
    let (_, chain) = ends(network, way);
    let what = format!(
        "{units} units for {to} on chain {}",
        bridges(network)?.route(way).target_chain
    );
    wait::until(&what, PAID, || async {
        (balance(chain, to).await.ok()? == wei(units)).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_either_way_is_paid_once_by_a_relayer_without_stake() -> Outcome {
    let _turn = turn().await;
    let (network, _miners) = network(1).await?;
    for (number, way) in [(1, Way::ToHome), (2, Way::ToSource)] {
        let began = Instant::now();
        send(&network, way, receiver(number), 5).await?;
        paid(&network, way, receiver(number), 5).await?;
        eprintln!("{way:?}: {:?} from lock to payout", began.elapsed());
    }
    // All at once, and each of them once.
    for number in 3..9 {
        send(&network, Way::ToHome, receiver(number), u64::from(number)).await?;
    }
    for number in 3..9 {
        paid(&network, Way::ToHome, receiver(number), number.into()).await?;
    }
    let (_, chain) = ends(&network, Way::ToHome);
    let height = chain.height().await?;
    let later =
        || async { (chain.height().await.ok()? > height + 2 * CONFIRMATIONS).then_some(()) };
    wait::until("some blocks more", PAID, later).await?;
    for number in 3..9 {
        ensure!(balance(chain, receiver(number)).await? == wei(number.into()));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayer_that_is_killed_goes_on_where_it_was_and_another_takes_over() -> Outcome {
    let _turn = turn().await;
    let (mut network, _miners) = network(2).await?;
    for number in 1..7 {
        send(&network, Way::ToHome, receiver(number), 5).await?;
        if number == 3 {
            network.relayers[0].kill()?;
        }
    }
    network.relayers[0].start()?;
    network.relayers[0].ready().await?;
    for number in 1..7 {
        paid(&network, Way::ToHome, receiver(number), 5).await?;
    }
    Ok(())
}

/// Coin of the home chain is minted on the SVM chain; a part of it is burned there and released at home. Each is paid
/// once, with the network's own operators and a relayer that pays with an Ed25519 key.
#[tokio::test]
async fn what_is_sent_to_an_svm_chain_and_back_is_paid_once() -> Outcome {
    let _turn = turn().await;
    let deployment = DeploymentOptions {
        bridges: true,
        svm: true,
        epoch_length: 400,
        ..DeploymentOptions::default()
    };
    let network = LocalNetwork::start(NetworkOptions {
        deployment,
        relayers: 2,
        ..NetworkOptions::default()
    })
    .await?;
    let chains = [&network.deployment.home, &network.deployment.source];
    let _miners = chains.map(|chain| Miner::start(chain, BLOCK));
    let deployment = &network.deployment;
    let svm = deployment.svm.as_ref().context("no SVM chain")?;
    let sender = *deployment
        .home
        .accounts()
        .get(SENDER)
        .context("no such account")?;
    let minted = |units: u64| async move {
        let what = format!("{units} units on the SVM chain");
        wait::until(&what, PAID, || async {
            (svm.balance(svm.user).await.ok()? == units).then_some(())
        })
        .await
    };
    for units in [700, 300] {
        svm.send(deployment, sender, (svm.user, units)).await?;
    }
    minted(1_000).await?;
    let to = receiver(1);
    svm.send_back(deployment, (to, 400)).await?;
    wait::until("400 units at home", PAID, || async {
        (balance(&deployment.home, to).await.ok()? == wei(400)).then_some(())
    })
    .await?;
    minted(600).await
}

/// Has an operator vote about the bridge on the home chain, as the change with this number.
async fn vote(network: &LocalNetwork, operator: usize, vote: &str, change: u64) -> Outcome {
    let operator = &network.operators[operator];
    let token = operator.dir.join("data/operator.token");
    let token = token.to_str().context("a path that is no text")?;
    let place = BridgePlace {
        chain: HOME_CHAIN,
        contract: bridges(network)?.home.into_word(),
    };
    let (place, http) = (place.to_string(), operator.http.as_str());
    let more = ["--bridge", &place, "--http", http, "--token-file", token];
    let said = node(&[&["bridge", "vote", vote], &more[..]].concat()).await?;
    said.says(0, &[&format!("as change {change}")])?;
    Ok(())
}

/// Has the relayer try what waits.
async fn retry(network: &LocalNetwork) -> Outcome {
    let relayer = &network.relayers[0];
    let token = relayer.dir.join("data/relayer.token");
    let token = token.to_str().context("a path that is no text")?;
    let report: BridgeReport = relayer.get("/bridge").await?;
    for line in report.under_way {
        let http = relayer.http.as_str();
        let more = ["--http", http, "--token-file", token];
        let said = node(&[&["bridge", "retry", &line.id], &more[..]].concat()).await?;
        said.says(0, &["is tried again"])?;
    }
    Ok(())
}

async fn stands_still(network: &LocalNetwork, expected: bool) -> Outcome {
    let bridge = Bridge::new(bridges(network)?.home, network.deployment.home.provider());
    wait::until(&format!("paused: {expected}"), PAID, || async {
        (bridge.paused().call().await.ok()? == expected).then_some(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_operators_have_stopped_a_bridge_is_paid_when_they_let_it_go_on() -> Outcome
{
    let _turn = turn().await;
    let (network, _miners) = network(1).await?;
    let everybody = 0..network.operators.len();
    for operator in everybody.clone() {
        vote(&network, operator, "pause", 1).await?;
    }
    stands_still(&network, true).await?;
    send(&network, Way::ToHome, receiver(1), 5).await?;
    for operator in everybody.clone() {
        let http = &network.operators[operator];
        let counted = wait::until("the change is final", PAID, || async {
            let report: BridgeReport = http.get("/bridge").await.ok()?;
            report.votes.is_empty().then_some(())
        });
        counted.await?;
    }
    ensure!(
        balance(&network.deployment.home, receiver(1))
            .await?
            .is_zero()
    );
    for operator in everybody {
        vote(&network, operator, "resume", 2).await?;
    }
    stands_still(&network, false).await?;
    // It would be tried again by itself, half a minute after it was refused.
    retry(&network).await?;
    paid(&network, Way::ToHome, receiver(1), 5).await
}

/// Puts the key of the account that sends beside the nodes; its folder.
fn keys(network: &LocalNetwork) -> Result<String> {
    let dir = network.dir().join("sender");
    let signers = network.deployment.home.signers();
    let signer = signers.get(SENDER).context("no such account")?;
    let saving = Saving {
        strength: Strength::Light,
        overwrite: true,
    };
    let secret = Secret::new(signer.to_bytes().0);
    let password = Password::new(PASSWORD)?;
    KeyStore::open(&dir).import(KeyKind::Signing, "sender", &secret, &password, saving)?;
    Ok(dir.to_string_lossy().into_owned())
}

/// Runs `node bridge send` to the home chain.
async fn send_by_command(network: &LocalNetwork, more: &[&str]) -> Result<CommandOutput> {
    let route = bridges(network)?.route(Way::ToHome);
    let bridge = Address::from_word(route.source_contract).to_string();
    let target = Address::from_word(route.target_contract);
    let to = format!("{}:{target}", route.target_chain);
    let (home, source) = (&network.deployment.home, &network.deployment.source);
    let (rpc, target_rpc, keys) = (source.endpoint(), home.endpoint(), keys(network)?);
    let receiver = receiver(9).to_string();
    let way = ["bridge", "send", "--to", &to, "--bridge", &bridge];
    let account = ["--rpc", &rpc, "--key", "sender", "--key-dir", &keys];
    let what = ["--receiver", &receiver, "--target-rpc", &target_rpc];
    node(&[&way[..], &account, &what, more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_sends_coin_and_follows_it_to_the_payout() -> Outcome {
    let _turn = turn().await;
    let (network, _miners) = network(1).await?;
    let amount = wei(5).to_string();
    send_by_command(&network, &["--amount", &amount, "--dry-run"])
        .await?
        .says(0, &["Nothing was sent."])?;
    let dust = (wei(5) + U256::from(1)).to_string();
    send_by_command(&network, &["--amount", &dust])
        .await?
        .says(2, &["must be a multiple of 1000000000"])?;

    let relayer = &network.relayers[0];
    let peer = relayer.address.to_string();
    let stages = ["included", "final", "certified", "queued", "sent", "paid"];
    send_by_command(&network, &["--amount", &amount, "--peer", &peer])
        .await?
        .says(0, &stages)?;
    paid(&network, Way::ToHome, receiver(9), 5).await?;

    let route = bridges(&network)?.route(Way::ToHome).id().to_string();
    let http = relayer.http.as_str();
    let show = ["bridge", "show", &route, "1"];
    node(&[&show[..], &["--http", http]].concat())
        .await?
        .says(0, &["paid", "Certificate", "Transaction", "Needed"])?;
    let operator = network.operators[0].address.to_string();
    node(&[&show[..], &["--peer", &operator]].concat())
        .await?
        .says(0, &["certified", "paid"])?;
    node(&["bridge", "fee", &route, "--http", http])
        .await?
        .says(0, &["Base fee"])?;
    let token = relayer.dir.join("data").join("relayer.token");
    let token = token.to_str().context("a path that is no text")?;
    let rescan = ["bridge", "rescan", &route, "--from", "0", "--http", http];
    node(&[&rescan[..], &["--token-file", token]].concat())
        .await?
        .says(0, &["done", "1 seen, 0 of them missed"])?;
    node(&["bridge", "queue", "--http", http])
        .await?
        .says(0, &[])?;
    Ok(())
}
