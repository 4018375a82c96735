//! `make demo`: the main job on a real local network, told as it happens.

pub mod bridge;

use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes, U256, aliases::U48};
use anyhow::{Context, Result, bail, ensure};
use quorate_chain::contracts::ExampleConsumer;
use quorate_chain::{ChainFamily, verify_on_chain};
use quorate_node::client::{Answer, Client};

use crate::{DeploymentOptions, LocalNetwork, NetworkOptions};

/// Whether a network is left running at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is taken down.
    TearDown,
    /// It stays up until Ctrl-C.
    Keep,
}

struct DemoStep {
    what: &'static str,
    outcome: String,
    took: Duration,
}

/// Tells what happens, and remembers it for the table.
struct Narration {
    steps: Vec<DemoStep>,
    started: Instant,
}

impl Narration {
    fn tell(&mut self, what: &'static str, began: Instant, outcome: String) {
        let took = began.elapsed();
        println!(
            "  {:>7.1} s  {what}: {outcome}",
            self.started.elapsed().as_secs_f64()
        );
        self.steps.push(DemoStep {
            what,
            outcome,
            took,
        });
    }

    fn table(&self) {
        let width = |f: fn(&DemoStep) -> usize| self.steps.iter().map(f).max().unwrap_or_default();
        let (what, outcome) = (
            width(|s| s.what.len()),
            width(|s| s.outcome.chars().count()),
        );
        println!(
            "\n  {:what$}  {:outcome$}  {:>10}",
            "step", "outcome", "took"
        );
        for step in &self.steps {
            let took = format!("{:.1} ms", step.took.as_secs_f64() * 1_000.0);
            println!(
                "  {:what$}  {:outcome$}  {took:>10}",
                step.what, step.outcome
            );
        }
    }
}

/// The key of the demo.
const KEY: u64 = 7;
/// The operator that is killed.
const VICTIM: usize = 2;

/// Runs the demo.
///
/// # Errors
/// Whatever did not go as told.
pub async fn run(ending: Ending) -> Result<()> {
    let mut story = Narration {
        steps: Vec::new(),
        started: Instant::now(),
    };
    println!(
        "Quorate demo: a value stored on one chain, certified by staked operators, accepted on another\n"
    );
    let folder = tempfile::Builder::new().prefix("quorate-demo-").tempdir()?;
    let mut network = start(&mut story, folder.path()).await?;
    let consumer = deploy_consumer(&network).await?;
    let began = Instant::now();
    let first = network.set_value(KEY, 100).await?;
    let second = network.set_value(KEY, 250).await?;
    let outcome = format!("key {KEY} = 100 at block {first}, 250 at block {second}");
    story.tell("a user stores values on the source chain", began, outcome);

    let client = network.client(0).await?;
    let what = "asked for the value at the earlier block";
    let answer = certify(&mut story, what, &network, &client, first, 100).await?;
    check_on_chain(&mut story, &network, consumer, &answer).await?;

    let began = Instant::now();
    network.operators[VICTIM].kill()?;
    story.tell("operator 2 (20 ether) is killed", began, "kill -9".into());
    let what = "asked for the value at the later block";
    let answer = certify(&mut story, what, &network, &client, second, 250).await?;
    check_on_chain(&mut story, &network, consumer, &answer).await?;

    let began = Instant::now();
    network.operators[VICTIM].start()?;
    network.operators[VICTIM].ready().await?;
    network.meshed().await?;
    let outcome = "back in the mesh".into();
    story.tell("operator 2 is started again", began, outcome);
    story.table();
    let all = story.started.elapsed().as_secs_f64();
    println!("\n  All of it in {all:.1} s.");
    if ending == Ending::Keep {
        keep(&network, &answer, second).await?;
    }
    Ok(())
}

async fn start(story: &mut Narration, folder: &std::path::Path) -> Result<LocalNetwork> {
    let began = Instant::now();
    let deployment = DeploymentOptions {
        stakes: vec![40, 30, 20, 15, 10],
        ..DeploymentOptions::default()
    };
    let options = NetworkOptions {
        deployment,
        ..NetworkOptions::default()
    };
    let mut network = LocalNetwork::prepare(options, folder).await?;
    let outcome = "stakes 40, 30, 20, 15, 10 ether".into();
    story.tell(
        "two chains, contracts, 5 operators registered",
        began,
        outcome,
    );
    let began = Instant::now();
    network.start_nodes().await?;
    let outcome = "healthy and meshed".into();
    story.tell("1 registry and 5 operators as processes", began, outcome);
    Ok(network)
}

async fn certify(
    story: &mut Narration,
    what: &'static str,
    network: &LocalNetwork,
    client: &Client,
    block: u64,
    expected: u64,
) -> Result<Answer> {
    let began = Instant::now();
    let question = network.question(KEY, block);
    let answer = client.request_state(&question, |_| {}).await?;
    let signers = answer.certificate.signatures().len();
    let value = value_of(&answer);
    ensure!(
        value == U256::from(expected),
        "another value was certified: {value}"
    );
    let outcome = format!("value {value} certified by {signers} of 5 operators");
    story.tell(what, began, outcome);
    Ok(answer)
}

fn value_of(answer: &Answer) -> U256 {
    let proof = answer.certificate.statement().state_proof();
    proof.map(|proof| proof.value).unwrap_or_default()
}

async fn deploy_consumer(network: &LocalNetwork) -> Result<Address> {
    let home = &network.deployment.home;
    let deployer = *home.accounts().last().context("no accounts")?;
    let consumer = ExampleConsumer::deploy_builder(home.provider(), network.deployment.registry, 1);
    Ok(consumer.from(deployer).deploy().await?)
}

/// By the registry itself, and by a dapp that asks the registry.
async fn check_on_chain(
    story: &mut Narration,
    network: &LocalNetwork,
    consumer: Address,
    answer: &Answer,
) -> Result<()> {
    let began = Instant::now();
    let deployment = &network.deployment;
    let url = deployment.home.url()?;
    let verdict = verify_on_chain(
        ChainFamily::Evm,
        &url,
        deployment.registry,
        answer.digest,
        &answer.signature_data,
    )
    .await?;
    if verdict != quorate_chain::CertificateCheck::Valid {
        bail!("the registry rejects the certificate: {verdict}");
    }
    let proof = answer.certificate.statement().state_proof();
    let proof = proof.context("a state was asked for")?;
    let dapp = ExampleConsumer::new(consumer, deployment.home.provider());
    let sol_proof = (
        proof.user,
        proof.chain_id,
        proof.block_number,
        U48::from(proof.timestamp),
        proof.epoch.0,
        proof.key,
        proof.value,
    );
    let value = dapp
        .check(
            sol_proof.into(),
            Bytes::copy_from_slice(&answer.signature_data),
        )
        .call()
        .await?;
    ensure!(value == proof.value, "the dapp sees another value");
    story.tell(
        "checked on the home chain (eth_call)",
        began,
        format!("registry: valid, dapp: value {value}"),
    );
    Ok(())
}

async fn keep(network: &LocalNetwork, answer: &Answer, block: u64) -> Result<()> {
    let node = crate::process::node_binary()?;
    let node = node.display();
    let operator = &network.operators[0];
    let deployment = &network.deployment;
    println!(
        "\nThe network stays up until Ctrl-C; both chains get a block every second. Talk to it:\n"
    );
    println!(
        "  {node} request state --to {} \\\n      --chain {} --user {} --key 7 --block {block}",
        operator.address,
        deployment.source.chain_id(),
        network.user()
    );
    println!(
        "  {node} explain {} --http {}",
        answer.task_id, operator.http
    );
    println!("  {node} status --http {}", operator.http);
    println!("  curl http://{}/metrics\n", operator.http);
    println!(
        "  home chain    {}  registry {}",
        deployment.home.endpoint(),
        deployment.registry
    );
    println!(
        "  source chain  {}  state manager {}",
        deployment.source.endpoint(),
        deployment.state_manager
    );
    println!(
        "  folders       {}  (configuration, keys, store, log of each node; password {:?})",
        network.dir().display(),
        crate::network::PASSWORD
    );
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = second.tick() => {
                deployment.home.mine(1).await?;
                deployment.source.mine(1).await?;
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
        }
    }
}
