//! What the set of an epoch costs a provider that allows 100 calls a second.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, Bytes, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use alloy::transports::http::reqwest::Client;
use quorate_chain::HomeReader;
use quorate_chain::contracts::{StakeRegistry, StakeVault};
use quorate_proto::{Epoch, OperatorSet};
use serde_json::{Value, json};

use crate::support::TestResult;
use crate::support::double::{Behaviour, Double};
use crate::support::network::Network;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Calls that the provider takes within a second; all calls of a batch count.
const ALLOWED: usize = 100;

/// As the node waits after a failed look at the home chain.
const RETRY: Duration = Duration::from_secs(1);

/// Operators that are registered with one HTTP request.
const AT_ONCE: u64 = 100;

/// Whoever is left registered at the end, and how many registrations there ever were.
struct Crowd {
    members: u64,
    registrations: u64,
}

/// Counts the calls of each second, and refuses what is too much as providers do.
#[derive(Clone, Default)]
struct Allowance(Arc<Mutex<Spent>>);

#[derive(Default)]
struct Spent {
    second: Option<Instant>,
    calls: usize,
    refused: usize,
}

impl Allowance {
    fn spend(&self, calls: usize) -> bool {
        let mut spent = self.0.lock().expect("no panic");
        let fresh = |at: Instant| at.elapsed() < Duration::from_secs(1);
        if !spent.second.is_some_and(fresh) {
            (spent.second, spent.calls) = (Some(Instant::now()), 0);
        }
        spent.calls += calls;
        let allowed = spent.calls <= ALLOWED;
        spent.refused += usize::from(!allowed);
        allowed
    }

    fn refused(&self) -> usize {
        self.0.lock().expect("no panic").refused
    }

    fn behaviour(&self) -> Behaviour {
        let allowance = self.clone();
        Behaviour::default().refuse(move |body| {
            let calls = body.as_array().map_or(1, Vec::len);
            (!allowance.spend(calls)).then(|| (429, "slow down".to_owned()))
        })
    }
}

/// The operator with this number, and its signing key.
fn operator(number: u64) -> Result<(Address, PrivateKeySigner), Failed> {
    let key = |kind: u64| -> U256 { U256::from(number + 1) | (U256::from(kind) << 64) };
    let signing = PrivateKeySigner::from_bytes(&key(1).into())?;
    Ok((Address::from_word(key(2).into()), signing))
}

async fn send(network: &Network, calls: Vec<(&'static str, Value)>) -> Result<(), Failed> {
    let calls = calls.into_iter().enumerate();
    let body: Vec<Value> = calls
        .map(|(id, (method, params))| {
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        })
        .collect();
    let request = Client::new().post(network.anvil.endpoint());
    let request = request.header("content-type", "application/json");
    let sent = request.body(json!(body).to_string()).send().await?;
    let answers: Value = serde_json::from_slice(&sent.bytes().await?)?;
    let failed = |answer: &&Value| answer.get("error").is_some();
    match answers.as_array().ok_or("no batch")?.iter().find(failed) {
        Some(answer) => Err(answer.to_string().into()),
        None => Ok(()),
    }
}

/// Stake and registration of one operator, and its exit unless it stays.
fn life(network: &Network, number: u64, stays: bool) -> Result<Vec<(&'static str, Value)>, Failed> {
    let (who, signing) = operator(number)?;
    let deposit = StakeVault::depositCall { operator: who }.abi_encode();
    let register = StakeRegistry::registerOperatorCall {
        signingKey: signing.address(),
        proof: network.key_proof(who, &signing)?,
    };
    let leave = StakeRegistry::deregisterOperatorCall {}.abi_encode();
    let mut steps = vec![
        (network.vault, deposit, 5),
        (network.registry, register.abi_encode(), 0),
    ];
    if !stays {
        steps.push((network.registry, leave, 0));
    }
    let steps = steps.into_iter().enumerate();
    let transaction = |(nonce, (to, data, value)): (usize, (Address, Vec<u8>, u64))| {
        let transaction = json!({
            "from": who, "to": to, "data": Bytes::from(data), "nonce": format!("{nonce:#x}"),
            "value": format!("{value:#x}"), "gas": "0x16e360",
        });
        ("eth_sendTransaction", json!([transaction]))
    };
    Ok(steps.map(transaction).collect())
}

/// The last ones stay.
async fn gather(network: &Network, crowd: &Crowd) -> Result<(), Failed> {
    let leavers = crowd.registrations - crowd.members;
    // Few large blocks: anvil keeps the state of each.
    let settings = vec![
        ("anvil_autoImpersonateAccount", json!([true])),
        ("evm_setBlockGasLimit", json!(["0x3b9aca00"])),
    ];
    send(network, settings).await?;
    network.anvil.set_automine(false).await?;
    for first in (0..crowd.registrations).step_by(usize::try_from(AT_ONCE)?) {
        let numbers = first..(first + AT_ONCE).min(crowd.registrations);
        let (mut funds, mut lives) = (Vec::new(), Vec::new());
        for number in numbers {
            let (who, _) = operator(number)?;
            funds.push(("anvil_setBalance", json!([who, "0xde0b6b3a7640000"])));
            lives.extend(life(network, number, number >= leavers)?);
        }
        send(network, funds).await?;
        send(network, lives).await?;
        network.anvil.mine(1).await?;
    }
    network.anvil.set_automine(true).await?;
    Ok(())
}

/// The first set in which all are.
async fn next_epoch(network: &Network) -> Result<Epoch, Failed> {
    let newest = network.contract().newestEpoch().call().await?;
    network.enter(newest + 2).await?;
    Ok(Epoch(newest + 2))
}

/// Reads the set from nothing, and says what that took.
async fn load(network: &Network, epoch: Epoch, used_up: bool) -> Result<OperatorSet, Failed> {
    let allowance = Allowance::default();
    let double = Double::start(network.anvil.endpoint(), allowance.behaviour()).await;
    let started = Instant::now();
    let home = network.home_over(vec![double.url.clone()]).await;
    let head = loop {
        match home.refresh().await {
            Ok(head) => break head,
            Err(error) if error.is_retryable() => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error.into()),
        }
    };
    if used_up {
        while allowance.spend(1) {}
    }
    // As a node does it.
    let set = loop {
        match home.operator_set(epoch, head.hash).await {
            Ok(set) => break set,
            Err(error) if error.is_retryable() => tokio::time::sleep(RETRY).await,
            Err(error) => return Err(error.into()),
        }
    };
    let took = started.elapsed();
    println!(
        "a set of {}: {} calls in {} requests, {} of them refused, {:.2} s",
        set.members().len(),
        double.calls().len(),
        double.bodies().len(),
        // One of them was the test's own.
        allowance.refused().saturating_sub(1),
        took.as_secs_f64(),
    );
    assert!(double.calls().len() < 40, "{} calls", double.calls().len());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(allowance.refused() > 1, used_up);
    Ok(set)
}

async fn measure(crowd: Crowd) -> TestResult {
    let network = Network::start().await?;
    gather(&network, &crowd).await?;
    let epoch = next_epoch(&network).await?;
    let height = network.anvil.height().await?;
    let home = network.home().await;
    let events = home.registrations(0, height).await?;
    let registered = events.iter().filter(|event| event.registered).count();
    assert_eq!(registered as u64, crowd.registrations);
    for used_up in [false, true] {
        let set = load(&network, epoch, used_up).await?;
        assert_eq!(set.members().len() as u64, crowd.members);
        assert!(set.is_whole());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_costs_the_same_whoever_registered_before() -> TestResult {
    measure(Crowd {
        members: 20,
        registrations: 300,
    })
    .await
}

/// For docs/benchmarks.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn a_full_set_after_ten_thousand_registrations() -> TestResult {
    measure(Crowd {
        members: 500,
        registrations: 10_000,
    })
    .await
}
