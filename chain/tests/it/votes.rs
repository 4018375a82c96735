//! Where a vote takes the place of a proof, and where not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy::primitives::{B256, U256};
use quorate_chain::evm::{EvmChain, Reads};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{ChainClient, ChainError, ReadLog, StateReader};
use quorate_proto::ReadBasis;
use serde_json::json;

use crate::proofs::{AT_ONCE, double, forges, has_no_proofs, ledger, read, reader};
use crate::support::double::{Behaviour, Double, fail};
use crate::support::{Ledger, TestResult, dead, hanging};

#[tokio::test]
async fn a_vote_takes_its_place_where_nobody_has_proofs() -> TestResult {
    let (ledger, written) = ledger().await?;
    let one = double(&ledger, has_no_proofs()).await;
    let other = double(&ledger, has_no_proofs()).await;
    let rpc = vec![one.url.clone(), other.url.clone()];
    let reader = reader(&ledger, rpc.clone(), Reads::Auto).await;
    for _ in 0..3 {
        let (found, log) = read(&ledger, &reader, 7, written).await;
        assert_eq!(found, Ok((100, ReadBasis::Vote)));
        assert_eq!(log.basis(), ReadBasis::Vote);
    }
    assert_eq!(one.count("eth_getProof"), 1, "it is not asked every time");
    let (found, log) = read(&ledger, &reader, 8, written).await;
    assert_eq!(
        (found, log.basis()),
        (Err(ChainError::NoHistory), ReadBasis::Vote)
    );

    let strict = crate::proofs::reader(&ledger, rpc, Reads::Proof).await;
    let error = read(&ledger, &strict, 7, written)
        .await
        .0
        .expect_err("no proof");
    assert!(matches!(error, ChainError::NotProven { .. }) && error.is_retryable());
    assert!(error.to_string().contains("reads = \"vote\""), "{error}");
    Ok(())
}

/// As on a rollup whose contracts count the blocks of its parent chain.
#[tokio::test]
async fn entries_that_count_other_blocks_are_not_voted_on() -> TestResult {
    let (ledger, written) = ledger().await?;
    let counts_others = || {
        has_no_proofs().tamper_more(|request, response| {
            if request["method"] == "eth_call" {
                let entry = response["result"].as_str().unwrap_or_default().to_owned();
                let time = format!("{:064x}", 1_700_000_000);
                response["result"] = format!("{}{time}", &entry[..entry.len() - 64]).into();
            }
        })
    };
    let (one, other) = (
        double(&ledger, counts_others()).await,
        double(&ledger, counts_others()).await,
    );
    let rpc = vec![one.url.clone(), other.url.clone()];
    let reader = reader(&ledger, rpc, Reads::Vote).await;
    let error = read(&ledger, &reader, 7, written)
        .await
        .0
        .expect_err("none");
    assert!(matches!(error, ChainError::OtherBlocks { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn silence_makes_no_vote() -> TestResult {
    let (ledger, written) = ledger().await?;
    // Two that lie and say that they have no proofs; the third, which is honest, is flooded.
    let forger = || {
        forges(666).tamper_more(|request, response| {
            if request["method"] == "eth_getProof" {
                fail(response, -32_601, "method not found");
            }
        })
    };
    let (one, other) = (
        double(&ledger, forger()).await,
        double(&ledger, forger()).await,
    );
    let (flooded, _listener) = hanging().await;
    for third in [flooded, dead().await] {
        let rpc = vec![one.url.clone(), other.url.clone(), third];
        let reader = crate::proofs::reader(&ledger, rpc.clone(), Reads::Auto).await;
        let error = read(&ledger, &reader, 7, written)
            .await
            .0
            .expect_err("no vote");
        assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
        // Whoever floods the honest one would get its operator to do that.
        assert!(!error.to_string().contains("vote"), "{error}");
        // What a vote would have said.
        let voter = crate::proofs::reader(&ledger, rpc, Reads::Vote).await;
        assert_eq!(
            read(&ledger, &voter, 7, written).await.0,
            Ok((666, ReadBasis::Vote))
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_proof_ends_the_votes() -> TestResult {
    let (ledger, written) = ledger().await?;
    let later = double(&ledger, has_no_proofs_for(1)).await;
    let reader = reader(&ledger, vec![later.url.clone()], Reads::Auto).await;
    assert_eq!(
        read(&ledger, &reader, 7, written).await.0,
        Ok((100, ReadBasis::Vote))
    );
    // Its next word about proofs is one; only then there is no way back without it.
    let again = reader_again(&ledger, &later).await;
    assert_eq!(
        read(&ledger, &again, 7, written).await.0,
        Ok((100, ReadBasis::Proof))
    );
    later.hang();
    let error = read(&ledger, &again, 8, written)
        .await
        .0
        .expect_err("silent");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
    Ok(())
}

/// From the moment that it is told to: either has no proofs, or shows headers that are not what their
/// hash says; and every value is another one.
fn turns(lies: &Arc<AtomicBool>, headers: bool) -> Behaviour {
    let lies = Arc::clone(lies);
    Behaviour::default().tamper(move |request, response| {
        if !lies.load(Ordering::SeqCst) {
            return;
        }
        match request["method"].as_str() {
            Some("eth_getProof") => fail(response, -32_601, "method not found"),
            Some("eth_call") => {
                let word = |value: u64| format!("{value:064x}");
                let entry = response["result"]
                    .as_str()
                    .and_then(|words| words.get(66..));
                response["result"] = format!("0x{}{}", word(666), entry.unwrap_or_default()).into();
            }
            _ if headers && response["result"]["parentHash"].is_string() => {
                response["result"]["stateRoot"] = json!(B256::repeat_byte(6));
            }
            _ => {}
        }
    })
}

/// What all providers say together is no evidence where it was otherwise before.
#[tokio::test]
async fn a_chain_that_had_proofs_is_not_voted_on() -> TestResult {
    for headers in [false, true] {
        let (ledger, written) = ledger().await?;
        let lies = Arc::new(AtomicBool::new(false));
        let mut doubles = Vec::new();
        for _ in 0..3 {
            doubles.push(double(&ledger, turns(&lies, headers)).await);
        }
        let rpc: Vec<RpcUrl> = doubles.iter().map(|double| double.url.clone()).collect();
        let known = reader(&ledger, rpc.clone(), Reads::Auto).await;
        let truth = Ok((100, ReadBasis::Proof));
        assert_eq!(read(&ledger, &known, 7, written).await.0, truth);
        lies.store(true, Ordering::SeqCst);
        ledger.anvil.mine(2).await?;
        let told = reader(&ledger, rpc.clone(), Reads::Auto).await;
        told.client().expect_proofs();
        known.client().refresh().await?;
        for reader in [&known, &told] {
            let lie = read(&ledger, reader, 7, written + 1).await.0;
            let error = lie.expect_err("no vote");
            assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
            assert!(error.to_string().contains("reads = \"vote\""), "{error}");
        }
        // Who has never seen a proof of this chain has to believe them.
        let new = reader(&ledger, rpc, Reads::Auto).await;
        let lie = Ok((666, ReadBasis::Vote));
        assert_eq!(read(&ledger, &new, 7, written + 1).await.0, lie);
    }
    Ok(())
}

/// Says so to this many questions for proofs, then has them.
fn has_no_proofs_for(times: usize) -> Behaviour {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_getProof"
            && asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < times
        {
            fail(response, -32_601, "method not found");
        }
    })
}

async fn reader_again(ledger: &Ledger, double: &Double) -> EvmChain {
    reader(ledger, vec![double.url.clone()], Reads::Auto).await
}

/// Leaves a field out of every header, as chains look that have more fields than are known here.
fn strips_headers() -> Behaviour {
    Behaviour::default().tamper(|_, response| {
        if let Some(block) = response["result"].as_object_mut()
            && block.contains_key("parentHash")
        {
            block.remove("requestsHash");
        }
    })
}

#[tokio::test]
async fn one_whole_header_is_enough() -> TestResult {
    let (ledger, written) = ledger().await?;
    let strips = [
        double(&ledger, strips_headers()).await,
        double(&ledger, strips_headers()).await,
    ];
    let mut rpc: Vec<RpcUrl> = strips.iter().map(|double| double.url.clone()).collect();
    rpc.push(ledger.url());
    let reader = reader(&ledger, rpc, Reads::Proof).await;
    for block in [written, written + 1, written + 2] {
        assert_eq!(
            read(&ledger, &reader, 7, block).await.0,
            Ok((100, ReadBasis::Proof))
        );
    }
    Ok(())
}

#[tokio::test]
async fn chains_with_other_headers_vote_once_all_said_so() -> TestResult {
    let (ledger, written) = ledger().await?;
    let (one, other) = (
        double(&ledger, strips_headers()).await,
        double(&ledger, strips_headers()).await,
    );
    let both = vec![one.url.clone(), other.url.clone()];
    let auto = reader(&ledger, both.clone(), Reads::Auto).await;
    assert_eq!(
        read(&ledger, &auto, 7, written).await.0,
        Ok((100, ReadBasis::Vote))
    );
    let strict = reader(&ledger, both.clone(), Reads::Proof).await;
    let error = read(&ledger, &strict, 7, written)
        .await
        .0
        .expect_err("no header");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");

    let mut silent = both;
    silent.push(dead().await);
    let auto = reader(&ledger, silent, Reads::Auto).await;
    let error = read(&ledger, &auto, 7, written)
        .await
        .0
        .expect_err("one is silent");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_forged_header_proves_nothing() -> TestResult {
    // The true hash with another state root, or another time.
    for (field, forged) in [
        ("stateRoot", json!(B256::repeat_byte(6))),
        ("timestamp", json!("0x6553f101")),
    ] {
        let forges = Behaviour::default().tamper(move |_, response| {
            if response["result"]["parentHash"].is_string() {
                response["result"][field] = forged.clone();
            }
        });
        let (ledger, written) = ledger().await?;
        let liar = double(&ledger, forges).await;
        let rpc = vec![liar.url.clone(), ledger.url(), ledger.url()];
        let reader = reader(&ledger, rpc, Reads::Auto).await;
        for block in [written, written + 1] {
            assert_eq!(
                read(&ledger, &reader, 7, block).await.0,
                Ok((100, ReadBasis::Proof))
            );
        }
        let truth = ledger.reader(AT_ONCE).await;
        let log = ReadLog::default();
        let (key, block) = (U256::from(7), written);
        let (ours, theirs) = (
            reader.read(ledger.user, key, block, &log).await?,
            truth.read(ledger.user, key, block, &log).await?,
        );
        assert_eq!(ours.block, theirs.block);
    }
    Ok(())
}
