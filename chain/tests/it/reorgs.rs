//! Blocks that leave the chain.

use std::ops::RangeInclusive;
use std::sync::Arc;

use alloy::primitives::B256;
use quorate_chain::evm::EvmChain;
use quorate_chain::{At, ChainClient, ChainError, Finality, StateReader};
use serde_json::{Value, json};

use crate::support::double::{Behaviour, Double};
use crate::support::{Ledger, TestResult, eventually, follow};

#[tokio::test]
async fn reorgs_of_blocks_that_are_not_final_are_never_seen() -> TestResult {
    let ledger = Ledger::start().await?;
    let kept = ledger.set(7, 100).await?;
    ledger.anvil.mine(10).await?;
    let reader = ledger.reader(Finality::Confirmations(5)).await;
    let before = reader.locate(At::Block(kept)).await?;

    let dropped = ledger.set(7, 666).await?;
    let asked = ledger.value(&reader, 7, dropped).await;
    assert!(
        matches!(asked, Err(ChainError::NotFinal { .. })),
        "{asked:?}"
    );
    ledger.anvil.reorg(3).await?;
    ledger.anvil.mine(10).await?;

    assert_eq!(ledger.value(&reader, 7, dropped).await, Ok(100));
    assert_eq!(reader.locate(At::Block(kept)).await?, before);
    assert_eq!(reader.finality_violations(), 0);
    Ok(())
}

/// A final block is replaced and the chain then grows by `growth` blocks.
async fn final_block_is_replaced(growth: u64) -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine(5).await?;
    let written = ledger.set(7, 100).await?;
    ledger.anvil.mine(4).await?;
    let reader = ledger.reader(Finality::Confirmations(1)).await;
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    let old = reader.locate(At::Block(written)).await?;
    let old_head = reader.final_head().ok_or("no head")?;

    ledger.anvil.reorg(8).await?;
    if growth > 0 {
        ledger.anvil.mine(growth).await?;
    }
    reader.client().refresh().await?;
    assert_eq!(reader.finality_violations(), 1);
    let new_head = reader.final_head().ok_or("no head")?;
    assert_eq!(new_head.number, old_head.number + growth);
    assert_ne!(new_head.hash, old_head.hash);

    // What was known of the old chain is forgotten; the transaction is gone.
    assert_ne!(reader.locate(At::Block(written)).await?.hash, old.hash);
    assert_eq!(
        ledger.value(&reader, 7, written).await,
        Err(ChainError::NoHistory)
    );
    reader.client().refresh().await?;
    assert_eq!(reader.finality_violations(), 1, "counted once");
    Ok(())
}

#[tokio::test]
async fn replaced_head_at_the_same_height_is_detected() -> TestResult {
    final_block_is_replaced(0).await
}

#[tokio::test]
async fn replaced_head_below_the_next_block_is_detected() -> TestResult {
    final_block_is_replaced(1).await
}

#[tokio::test]
async fn replaced_head_far_below_is_detected() -> TestResult {
    final_block_is_replaced(7).await
}

#[tokio::test]
async fn the_follower_notices_without_being_asked() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine(8).await?;
    let reader = Arc::new(ledger.reader(Finality::Confirmations(0)).await);
    let _running = follow(&reader);
    ledger.anvil.reorg(5).await?;
    eventually("the reorg is noticed", || async {
        reader.finality_violations() == 1
    })
    .await;
    Ok(())
}

/// Has other blocks at these heights, and another height where one is given.
fn forks(blocks: RangeInclusive<u64>, head: Option<u64>) -> Behaviour {
    let height = |value: &Value| {
        let digits = value.as_str().unwrap_or_default().trim_start_matches("0x");
        u64::from_str_radix(digits, 16).unwrap_or_default()
    };
    Behaviour::default().tamper(move |request, response| {
        if let ("eth_blockNumber", Some(head)) =
            (request["method"].as_str().unwrap_or_default(), head)
        {
            response["result"] = json!(format!("{head:#x}"));
        }
        if response["result"]["parentHash"].is_string()
            && blocks.contains(&height(&response["result"]["number"]))
        {
            response["result"]["hash"] = json!(B256::repeat_byte(0xbb));
            response["result"]["timestamp"] = json!("0x6553f101");
        }
    })
}

/// A reader of blocks with 3 confirmations, over an honest provider on a fork, a liar and one that
/// is right.
async fn torn(ledger: &Ledger, fork: Behaviour, lie: Behaviour) -> (EvmChain, [Double; 2]) {
    let endpoint = || ledger.anvil.endpoint();
    let doubles = [
        Double::start(endpoint(), fork).await,
        Double::start(endpoint(), lie).await,
    ];
    let [fork, liar] = &doubles;
    let rpc = vec![fork.url.clone(), liar.url.clone(), ledger.url()];
    let reader = ledger.reader_over(rpc, Finality::Confirmations(3)).await;
    (reader, doubles)
}

#[tokio::test]
async fn a_block_that_is_not_final_where_it_was_seen_does_not_become_final() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine(20).await?;
    let head = ledger.anvil.height().await?;
    // At the honest one on the fork the last final block of the others has two blocks on top.
    let fork = forks(head - 3..=head, Some(head - 1));
    let (reader, _doubles) = torn(&ledger, fork, forks(head - 3..=head - 3, None)).await;
    let truth = ledger.reader(Finality::Confirmations(3)).await;
    assert_eq!(truth.final_head().map(|block| block.number), Some(head - 3));

    // Nothing is lost: the next lower claim is agreed on.
    let found = reader.final_head().ok_or("no head")?;
    assert_eq!(found, truth.locate(At::Block(head - 4)).await?);
    Ok(())
}

#[tokio::test]
async fn blocks_below_the_head_are_those_of_its_chain() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine(20).await?;
    let head = ledger.anvil.height().await?;
    let asked = head - 6;
    let fork = forks(asked - 1..=head, Some(head - 4));
    let (reader, _doubles) = torn(&ledger, fork, forks(asked..=asked, None)).await;
    let truth = ledger.reader(Finality::Confirmations(3)).await;
    assert_eq!(reader.final_head(), truth.final_head());

    let error = reader.locate(At::Block(asked)).await;
    let error = error.expect_err("a liar and one on another fork");
    assert!(error.is_retryable(), "{error}");
    let below = At::Block(asked - 2);
    assert_eq!(reader.locate(below).await?, truth.locate(below).await?);
    Ok(())
}
