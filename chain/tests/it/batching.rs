//! Many reads share few requests, and each gets its own answer.

use alloy::primitives::{Address, U256};
use futures::future::join_all;
use quorate_chain::evm::EvmChain;
use quorate_chain::{At, ChainError, Finality, ReadLog, StateReader};
use serde_json::Value;

use crate::support::double::{Behaviour, Double, fail};
use crate::support::{Ledger, TestResult};

const AT_ONCE: Finality = Finality::Confirmations(0);
const KEYS: u64 = 100;

/// A chain where key k is 1000 + k.
async fn ledger() -> Result<Ledger, Box<dyn std::error::Error + Send + Sync>> {
    let ledger = Ledger::start().await?;
    let values: Vec<_> = (0..KEYS)
        .map(|key| (U256::from(key), U256::from(1_000 + key)))
        .collect();
    ledger
        .anvil
        .set_values(ledger.state_manager, ledger.user, &values)
        .await?;
    ledger.anvil.mine(10).await?;
    Ok(ledger)
}

/// 500 reads at once, of which every fifth has no answer.
async fn everyone_gets_their_own(ledger: &Ledger, double: &Double) -> TestResult {
    let reader = ledger.voter_over(vec![double.url.clone()], AT_ONCE).await;
    everyone_reads_their_own(ledger, &reader).await
}

async fn everyone_reads_their_own(ledger: &Ledger, reader: &EvmChain) -> TestResult {
    let head = reader.final_head().ok_or("no head")?;
    let log = ReadLog::default();
    let reads = (0..500u64).map(|number| {
        let user = if number % 5 == 4 {
            Address::repeat_byte(1)
        } else {
            ledger.user
        };
        let block = head.number - number % 3;
        reader.read(user, U256::from(number % KEYS), block, &log)
    });
    for (number, reading) in (0u64..).zip(join_all(reads).await) {
        if number % 5 == 4 {
            assert_eq!(reading, Err(ChainError::NoHistory), "read {number}");
        } else {
            assert_eq!(
                reading?.value,
                U256::from(1_000 + number % KEYS),
                "read {number}"
            );
        }
    }
    Ok(())
}

fn batch_size(body: &Value) -> usize {
    body.as_array().map_or(1, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_reads_share_few_requests() -> TestResult {
    let ledger = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    everyone_gets_their_own(&ledger, &double).await?;
    let requests = double.bodies().len();
    assert!(requests < 60, "{requests} requests for 500 reads");
    assert!(double.bodies().iter().all(|body| batch_size(body) <= 64));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_without_batches_get_single_calls() -> TestResult {
    let ledger = ledger().await?;
    let refuse = |body: &Value| body.is_array().then(|| (400, "no batches".to_owned()));
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default().refuse(refuse)).await;
    everyone_gets_their_own(&ledger, &double).await?;
    let refused = double
        .bodies()
        .iter()
        .filter(|body| body.is_array())
        .count();
    // Seven sizes down to one, each by all requests under way then: 2 + 2 + 2 + 4 + 8 + 16 at most.
    assert!(refused <= 34, "learnt only after {refused} refusals");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_with_small_batches_get_small_ones() -> TestResult {
    let ledger = ledger().await?;
    let refuse = |body: &Value| {
        let error =
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}"#;
        (batch_size(body) > 10).then(|| (200, error.to_owned()))
    };
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default().refuse(refuse)).await;
    everyone_gets_their_own(&ledger, &double).await?;
    let sizes: Vec<usize> = double.bodies().iter().map(batch_size).collect();
    let refused = sizes.iter().filter(|size| **size > 10).count();
    assert!(refused <= 10, "learnt only after {refused} refusals");
    let calls: usize = sizes.iter().sum();
    // Half of a batch that was refused: 5 to 8 calls, by whether the last one had 11 or 16.
    let requests = sizes.len();
    assert!(
        requests * 3 < calls,
        "{requests} requests for {calls} calls"
    );
    Ok(())
}

#[tokio::test]
async fn a_lone_call_is_no_batch() -> TestResult {
    let ledger = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?;
    // Checks of a provider ask several things at once.
    let before = double.bodies().len();
    for _ in 0..3 {
        let log = ReadLog::default();
        reader
            .read(ledger.user, U256::ZERO, head.number, &log)
            .await?;
    }
    let bodies = double.bodies();
    let more = &bodies[before..];
    assert!(
        !more.is_empty() && more.iter().all(Value::is_object),
        "{more:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_is_asked_for_together_with_the_head() -> TestResult {
    let ledger = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?.number;
    for below in 1..=5 {
        reader.locate(At::Block(head - below)).await?;
        let last = double.bodies().pop().ok_or("no request")?;
        let calls = last.as_array().ok_or("no batch")?;
        let asked: Vec<_> = calls.iter().map(|call| &call["params"][0]).collect();
        let both = [head, head - below].map(|number| format!("{number:#x}"));
        assert_eq!(asked, both.iter().collect::<Vec<_>>());
    }
    let before = double.bodies().len();
    reader.locate(At::Block(head)).await?;
    assert_eq!(double.bodies().len(), before, "the head is known");
    Ok(())
}

/// Slots of each request for proofs.
fn proofs(double: &Double) -> Vec<usize> {
    let calls = double.calls().into_iter();
    let proofs = calls.filter(|call| call["method"] == "eth_getProof");
    let slots = |call: Value| call["params"][1].as_array().map_or(0, Vec::len);
    proofs.map(slots).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_reads_share_few_proofs() -> TestResult {
    let ledger = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    everyone_reads_their_own(&ledger, &reader).await?;
    let proofs = proofs(&double);
    assert!(proofs.len() < 60, "{} proofs for 500 reads", proofs.len());
    assert!(proofs.iter().all(|slots| *slots <= 64), "{proofs:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_that_prove_few_slots_are_asked_for_few() -> TestResult {
    let ledger = ledger().await?;
    let tamper = |request: &Value, response: &mut Value| {
        let slots = request["params"][1].as_array().map_or(0, Vec::len);
        if request["method"] == "eth_getProof" && slots > 10 {
            fail(response, -32_000, "too many keys");
        }
    };
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default().tamper(tamper)).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    everyone_reads_their_own(&ledger, &reader).await?;
    let proofs = proofs(&double);
    let refused = proofs.iter().filter(|slots| **slots > 10).count();
    assert!(refused <= 10, "learnt only after {refused} refusals");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_part_spoils_no_other() -> TestResult {
    let ledger = ledger().await?;
    // Who asks for many slots gets the last proof without its last node.
    let tamper = |request: &Value, response: &mut Value| {
        let slots = request["params"][1].as_array().map_or(0, Vec::len);
        if request["method"] != "eth_getProof" || slots <= 6 {
            return;
        }
        let proofs = response["result"]["storageProof"].as_array_mut();
        if let Some(last) = proofs.and_then(|proofs| proofs.last_mut()) {
            last["proof"].as_array_mut().map(Vec::pop);
        }
    };
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default().tamper(tamper)).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?.number;
    let log = ReadLog::default();
    let read = |key| reader.read(ledger.user, U256::from(key), head, &log);
    let answers = join_all((0..KEYS).map(read)).await;
    let mut forged = 0;
    for (key, answer) in (0u64..).zip(answers) {
        match answer {
            Ok(reading) => assert_eq!(reading.value, U256::from(1_000 + key)),
            Err(_) => forged += 1,
        }
    }
    let shared = proofs(&double).iter().filter(|slots| **slots > 6).count();
    assert!(
        shared > 0 && forged == shared,
        "{forged} of {shared} requests"
    );
    Ok(())
}
