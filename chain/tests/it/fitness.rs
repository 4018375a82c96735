//! That nothing can be certified shows before anybody asks.

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use quorate_chain::evm::{EvmChain, EvmSettings, Reads};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{ChainClient, ChainError, Finality, HomeReader, ProviderHealth, StateReader};
use serde_json::{Value, json};

use crate::proofs::{double, has_no_proofs, ledger, reader};
use crate::support::double::{Behaviour, Double, fail};
use crate::support::network::Network;
use crate::support::{Ledger, TestResult, chain_config, distinct, eventually, follow};

/// Answers calls of this method with an error.
fn refuses(method: &'static str, code: i64, message: &'static str) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == method {
            fail(response, code, message);
        }
    })
}

const PRUNED: [(i64, &str); 5] = [
    (
        -32_602,
        "distance to target block exceeds maximum proof window",
    ),
    (
        -32_000,
        "missing trie node 3fca (path ) state 0x3fca is not available",
    ),
    (
        -32_000,
        "required historical state unavailable (reexec=128)",
    ),
    (-32_001, "No state available for block 0x12"),
    (-32_603, "old data not available due to pruning"),
];

async fn three(ledger: &Ledger, behaviour: impl Fn() -> Behaviour) -> ([Double; 3], Vec<RpcUrl>) {
    let doubles = [
        double(ledger, behaviour()).await,
        double(ledger, behaviour()).await,
        double(ledger, behaviour()).await,
    ];
    let rpc = doubles.iter().map(|double| double.url.clone()).collect();
    (doubles, rpc)
}

fn standings(reader: &EvmChain) -> Vec<ProviderHealth> {
    let providers = reader.providers().providers.into_iter();
    providers.map(|status| status.health).collect()
}

#[tokio::test]
async fn providers_without_the_final_state_are_unfit() -> TestResult {
    let (ledger, written) = ledger().await?;
    for (code, message) in PRUNED {
        let behaviour = || refuses("eth_getProof", code, message);
        let (_doubles, rpc) = three(&ledger, behaviour).await;
        let reader = reader(&ledger, rpc, Reads::Auto).await;
        reader.client().examine().await;
        assert_eq!(standings(&reader), [ProviderHealth::Unfit; 3], "{message}");
        let providers = reader.providers();
        assert_eq!(providers.spare, None);
        let problem = providers.providers[0].problem.clone().unwrap_or_default();
        assert!(
            problem.contains("eth_getProof") && problem.contains(message),
            "{problem}"
        );
        // No advice to give proofs up: they have some, of other blocks.
        let error = ledger.value(&reader, 7, written).await.expect_err("none");
        assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
        assert!(!error.to_string().contains("vote"), "{error}");
        let tried = reader.try_out().await.expect_err("nothing is proven");
        assert!(matches!(tried, ChainError::NotProven { .. }), "{tried}");
    }
    Ok(())
}

#[tokio::test]
async fn one_that_proves_is_enough_and_the_last_one() -> TestResult {
    let (ledger, written) = ledger().await?;
    let pruned = || refuses("eth_getProof", PRUNED[0].0, PRUNED[0].1);
    let (_doubles, mut rpc) = three(&ledger, pruned).await;
    rpc[2] = ledger.url();
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    reader.client().examine().await;
    let expected = [
        ProviderHealth::Unfit,
        ProviderHealth::Unfit,
        ProviderHealth::Ok,
    ];
    assert_eq!(standings(&reader), expected);
    assert_eq!(reader.providers().spare, Some(0));
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    assert_eq!(reader.try_out().await, Ok(true));
    Ok(())
}

#[tokio::test]
async fn chains_without_proofs_need_none() -> TestResult {
    let (ledger, _) = ledger().await?;
    let (_doubles, rpc) = three(&ledger, has_no_proofs).await;
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    for _ in 0..2 {
        reader.client().examine().await;
    }
    assert_eq!(standings(&reader), [ProviderHealth::Ok; 3]);
    assert_eq!(reader.try_out().await, Ok(true));

    let (_doubles, rpc) = three(&ledger, || {
        has_no_proofs().tamper_more(|request, response| {
            if request["method"] == "eth_call" {
                fail(response, -32_000, "missing trie node");
            }
        })
    })
    .await;
    let reader = crate::proofs::reader(&ledger, rpc, Reads::Auto).await;
    for _ in 0..2 {
        reader.client().examine().await;
    }
    assert_eq!(standings(&reader), [ProviderHealth::Unfit; 3]);
    assert_eq!(reader.providers().spare, None);
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_makes_nobody_unfit_and_two_do() -> TestResult {
    let (ledger, _) = ledger().await?;
    let (_doubles, rpc) = three(&ledger, || {
        refuses("eth_getStorageAt", -32_000, "header not found")
    })
    .await;
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    for expected in [ProviderHealth::Ok, ProviderHealth::Unfit] {
        reader.client().examine().await;
        assert_eq!(standings(&reader), [expected; 3]);
    }
    Ok(())
}

#[tokio::test]
async fn home_providers_must_have_state_and_events() -> TestResult {
    let network = Network::start().await?;
    network.anvil.mine(2).await?;
    for (method, message) in [
        ("eth_getLogs", "eth_getLogs is disabled"),
        ("eth_call", "missing trie node"),
    ] {
        let behaviour = || refuses(method, -32_000, message);
        let endpoint = || network.anvil.endpoint();
        let one = Double::start(endpoint(), behaviour()).await;
        let other = Double::start(endpoint(), behaviour()).await;
        let rpc = vec![one.url.clone(), other.url.clone(), network.anvil.url()?];
        let home = network.home_over(rpc).await;
        home.client().examine().await;
        let providers = HomeReader::providers(&home);
        assert_eq!(providers.spare, None, "{method}");
        let unfit = &providers.providers[0];
        assert_eq!(unfit.health, ProviderHealth::Unfit);
        let problem = unfit.problem.clone().unwrap_or_default();
        assert!(problem.contains(method), "{problem}");
        assert_eq!(providers.providers[2].health, ProviderHealth::Ok);
    }
    Ok(())
}

/// A reader of another contract, or of another slot.
async fn misset(ledger: &Ledger, contract: Address, slot: u64) -> Arc<EvmChain> {
    let rpc = vec![ledger.url()];
    let config = chain_config(ledger.anvil.chain_id(), rpc, Finality::Confirmations(0));
    let settings = EvmSettings {
        history_slot: U256::from(slot),
        ..EvmSettings::default()
    };
    let reader = EvmChain::connect(&config, settings, contract).await;
    Arc::new(reader.expect("a reader"))
}

#[tokio::test]
async fn wrong_state_managers_are_named_before_anybody_asks() -> TestResult {
    let (ledger, _) = ledger().await?;
    let nowhere = Address::repeat_byte(9);
    let other =
        *quorate_chain::contracts::EpochManager::deploy(ledger.anvil.provider().clone(), 10, 2)
            .await?
            .address();
    let table = [
        (nowhere, 0, "no contract"),
        (ledger.user, 0, "no contract"),
        (ledger.state_manager, 3, "history_slot"),
        (other, 0, "getHistoryAtBlock"),
    ];
    for (contract, slot, named) in table {
        let reader = misset(&ledger, contract, slot).await;
        assert_eq!(reader.problem(), None);
        let _running = follow(&reader);
        eventually(named, || async {
            let problem = reader.problem().unwrap_or_default();
            problem.contains(named) && problem.contains(&contract.to_string())
        })
        .await;
    }
    let right = misset(&ledger, ledger.state_manager, 0).await;
    assert_eq!(right.try_out().await, Ok(true));
    // Without an entry a slot shows nothing.
    let empty = Ledger::start().await?;
    let reader = misset(&empty, empty.state_manager, 0).await;
    assert_eq!(reader.try_out().await, Ok(false));
    Ok(())
}

#[tokio::test]
async fn a_chain_that_is_ill_is_well_again_without_a_restart() -> TestResult {
    let (ledger, _) = ledger().await?;
    let ill = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let behaviour = Behaviour::default().tamper(move |request: &Value, response| {
        let is_ill = state.load(std::sync::atomic::Ordering::SeqCst);
        if is_ill && request["method"] == "eth_getProof" {
            response["result"] = json!(null);
            fail(response, PRUNED[0].0, PRUNED[0].1);
        }
    });
    let one = double(&ledger, behaviour).await;
    let reader = Arc::new(reader(&ledger, distinct(vec![one.url.clone()]), Reads::Auto).await);
    let _running = follow(&reader);
    let told = || async { reader.problem().is_some() && reader.providers().spare.is_none() };
    eventually("it is ill", told).await;
    ill.store(false, std::sync::atomic::Ordering::SeqCst);
    let well = || async { reader.problem().is_none() && reader.providers().spare == Some(0) };
    eventually("it is well", well).await;
    Ok(())
}
