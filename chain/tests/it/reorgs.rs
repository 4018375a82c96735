//! Blocks that leave the chain.

use std::sync::Arc;

use quorate_chain::evm::Finality;
use quorate_chain::{At, ChainError, StateReader};

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
