//! Only final blocks are visible, and newly final ones at once.

use std::sync::Arc;

use futures::future::join_all;
use quorate_chain::anvil::AnvilOptions;
use quorate_chain::{At, ChainError, Finality, StateReader};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::double::{Behaviour, Double, fail};
use crate::support::{DEADLINE, Ledger, TestResult, follow};

const fn not_final(asked: u64, final_block: Option<u64>) -> ChainError {
    ChainError::NotFinal {
        asked: At::Block(asked),
        final_block,
    }
}

#[tokio::test]
async fn confirmations_must_be_on_top() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    let reader = ledger.reader(Finality::Confirmations(3)).await;
    assert_eq!(reader.final_head(), None, "the chain is too short");
    assert_eq!(
        ledger.value(&reader, 7, written).await,
        Err(not_final(written, None))
    );
    assert!(not_final(0, None).is_retryable());

    ledger.anvil.mine(2).await?;
    assert_eq!(
        ledger.value(&reader, 7, written).await,
        Err(not_final(written, Some(written - 1)))
    );
    ledger.anvil.mine(1).await?;
    // Nobody polls in the background: the read itself looked for a newer head.
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    assert_eq!(reader.final_head().map(|head| head.number), Some(written));
    Ok(())
}

#[tokio::test]
async fn the_finalized_tag_decides() -> TestResult {
    let options = AnvilOptions {
        slots_in_an_epoch: Some(2),
        ..AnvilOptions::default()
    };
    let ledger = Ledger::start_with(options).await?;
    ledger.anvil.mine(6).await?;
    let written = ledger.set(7, 100).await?;
    let reader = ledger.reader(Finality::Finalized).await;

    ledger.anvil.mine(3).await?;
    assert_eq!(
        ledger.value(&reader, 7, written).await,
        Err(not_final(written, Some(written - 1)))
    );
    ledger.anvil.mine(1).await?;
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    Ok(())
}

#[tokio::test]
async fn without_a_finalized_block_nothing_is_final() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    let no_block = |request: &Value, response: &mut Value| {
        if request["params"][0] == "finalized" {
            response["result"] = Value::Null;
        }
    };
    let no_tag = |request: &Value, response: &mut Value| {
        if request["params"][0] == "finalized" {
            fail(response, -32602, "unknown tag");
        }
    };
    for behaviour in [
        Behaviour::default().tamper(no_block),
        Behaviour::default().tamper(no_tag),
    ] {
        let double = Double::start(ledger.anvil.endpoint(), behaviour).await;
        let reader = ledger
            .reader_over(vec![double.url.clone()], Finality::Finalized)
            .await;
        assert_eq!(
            ledger.value(&reader, 7, written).await,
            Err(not_final(written, None))
        );
        let status = reader.client().status();
        assert_eq!(status.providers[0].problem, None, "the provider is well");
        assert!(status.agreed_ago.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn many_who_wait_for_a_block_share_one_poll() -> TestResult {
    let ledger = Ledger::start().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger
        .reader_over(vec![double.url.clone()], Finality::Confirmations(0))
        .await;
    let written = ledger.set(7, 100).await?;

    // One that is under way may have begun too early for some, who then share another one.
    let before = double.count("eth_getBlockByNumber");
    let reads = (0..200).map(|_| ledger.value(&reader, 7, written));
    let values = join_all(reads).await;
    assert!(values.into_iter().all(|value| value == Ok(100)));
    let polls = double.count("eth_getBlockByNumber") - before;
    assert!((1..=2).contains(&polls), "{polls} polls");

    let before = double.count("eth_getBlockByNumber");
    let future = (0..200).map(|_| ledger.value(&reader, 7, written + 1));
    let refusal = Err(not_final(written + 1, Some(written)));
    let values = join_all(future).await;
    assert!(values.into_iter().all(|value| value == refusal));
    let polls = double.count("eth_getBlockByNumber") - before;
    assert!((1..=2).contains(&polls), "{polls} polls");
    Ok(())
}

#[tokio::test]
async fn the_follower_reports_every_new_head_and_ends_when_told() -> TestResult {
    let ledger = Ledger::start().await?;
    let reader = Arc::new(ledger.reader(Finality::Confirmations(1)).await);
    let mut heads = reader.subscribe();
    let _running = follow(&reader);
    ledger.anvil.mine(5).await?;
    let height = ledger.anvil.height().await?;
    let is_there =
        |head: &Option<quorate_chain::BlockRef>| head.is_some_and(|head| head.number == height - 1);
    timeout(DEADLINE, heads.wait_for(is_there)).await??;

    let token = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&reader).run(token.clone()));
    token.cancel();
    assert_eq!(timeout(DEADLINE, running).await??, Ok(()));
    Ok(())
}
