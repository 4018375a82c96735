//! What users stored, as of past blocks.

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::{EpochManager, StateManager};
use quorate_chain::evm::EvmChain;
use quorate_chain::{At, ChainError, Finality, ReadLog, StateReader};

use serde_json::Value;

use crate::support::double::{Behaviour, Double};
use crate::support::{Ledger, TestResult};

const AT_ONCE: Finality = Finality::Confirmations(0);

#[tokio::test]
async fn the_last_entry_not_above_the_block_counts() -> TestResult {
    let ledger = Ledger::start().await?;
    let first = ledger.set(7, 100).await?;
    ledger.anvil.mine(3).await?;
    let second = ledger.set(7, 200).await?;
    ledger.anvil.mine(3).await?;
    let reader = ledger.reader(AT_ONCE).await;

    for block in first..second {
        assert_eq!(
            ledger.value(&reader, 7, block).await,
            Ok(100),
            "block {block}"
        );
    }
    for block in second..=second + 3 {
        assert_eq!(
            ledger.value(&reader, 7, block).await,
            Ok(200),
            "block {block}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn of_several_writes_in_one_block_the_last_one_counts() -> TestResult {
    let ledger = Ledger::start().await?;
    let key = U256::from(7);
    let writes: Vec<_> = (1..=5).map(|value| (key, U256::from(value))).collect();
    let one_transaction = ledger
        .anvil
        .set_values(ledger.state_manager, ledger.user, &writes)
        .await?;

    ledger.anvil.set_automine(false).await?;
    for value in [10, 20, 30] {
        let write = [(key, U256::from(value))];
        ledger
            .anvil
            .send_values(ledger.state_manager, ledger.user, &write)
            .await?;
    }
    ledger.anvil.mine(1).await?;
    let three_transactions = ledger.anvil.height().await?;
    assert_eq!(three_transactions, one_transaction + 1);

    let reader = ledger.reader(AT_ONCE).await;
    assert_eq!(ledger.value(&reader, 7, one_transaction).await, Ok(5));
    assert_eq!(ledger.value(&reader, 7, three_transactions).await, Ok(30));
    Ok(())
}

#[tokio::test]
async fn a_reading_names_its_blocks() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(1, U256::MAX.wrapping_to()).await?;
    ledger.anvil.mine_every(5, 12).await?;
    let reader = ledger.reader(AT_ONCE).await;

    let reading = reader
        .read(ledger.user, U256::from(1), written + 2, &ReadLog::default())
        .await?;
    assert_eq!(reading.value, U256::from(u64::MAX));
    assert_eq!(Some(reading.read_at), reader.final_head());
    assert_eq!(reading.read_at.number, written + 5);
    assert_eq!(reading.block, reader.locate(At::Block(written + 2)).await?);
    let block = ledger
        .anvil
        .provider()
        .get_block_by_number((written + 2).into())
        .await?;
    let header = block.ok_or("no block")?.header;
    assert_eq!(
        (reading.block.hash, reading.block.timestamp),
        (header.hash, header.timestamp)
    );
    Ok(())
}

#[tokio::test]
async fn absence_is_told_apart() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.anvil.mine(3).await?;
    let written = ledger.set(7, 100).await?;
    let reader = ledger.reader(AT_ONCE).await;

    assert_eq!(
        ledger.value(&reader, 7, written - 1).await,
        Err(ChainError::BeforeFirstEntry)
    );
    assert_eq!(
        ledger.value(&reader, 7, 0).await,
        Err(ChainError::BeforeFirstEntry)
    );
    assert_eq!(
        ledger.value(&reader, 8, written).await,
        Err(ChainError::NoHistory)
    );
    let stranger = reader
        .read(
            Address::repeat_byte(9),
            U256::from(7),
            written,
            &ReadLog::default(),
        )
        .await;
    assert_eq!(stranger, Err(ChainError::NoHistory));
    assert!(ChainError::NoHistory.is_absence() && !ChainError::NoHistory.is_retryable());

    // Zero is a value.
    let zero = ledger.set(7, 0).await?;
    assert_eq!(ledger.value(&reader, 7, zero).await, Ok(0));
    Ok(())
}

#[tokio::test]
async fn wrong_addresses_are_named() -> TestResult {
    let ledger = Ledger::start().await?;
    let other = EpochManager::deploy(ledger.anvil.provider().clone(), 10, 2).await?;
    let client = ledger.reader(AT_ONCE).await.client().clone();

    let nowhere = EvmChain::new(client.clone(), Address::repeat_byte(9));
    let error = nowhere
        .read(ledger.user, U256::ZERO, 0, &ReadLog::default())
        .await
        .expect_err("no contract");
    assert_eq!(
        error,
        ChainError::NoContract {
            address: Address::repeat_byte(9)
        }
    );
    assert!(error.is_misconfiguration() && !error.is_retryable());

    let wrong = EvmChain::new(client, *other.address());
    let error = wrong
        .read(ledger.user, U256::ZERO, 0, &ReadLog::default())
        .await
        .expect_err("another contract");
    assert!(matches!(error, ChainError::Reverted { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_contract_that_is_not_final_yet_is_no_mistake() -> TestResult {
    let anvil = AnvilChain::start(AnvilOptions::default()).await?;
    anvil.mine(5).await?;
    let contract = StateManager::deploy(anvil.provider().clone()).await?;
    let (state_manager, user) = (*contract.address(), anvil.accounts()[0]);
    let ledger = Ledger {
        anvil,
        state_manager,
        user,
    };
    let reader = ledger.reader(Finality::Confirmations(2)).await;
    let error = ledger.value(&reader, 7, 1).await.expect_err("not final");
    let expected = ChainError::ContractNotFinal {
        address: state_manager,
    };
    assert_eq!(error, expected);
    assert!(error.is_retryable() && !error.is_misconfiguration());

    ledger.anvil.mine(2).await?;
    let deployed = ledger.anvil.height().await? - 2;
    let value = ledger.value(&reader, 7, deployed).await;
    assert_eq!(value, Err(ChainError::NoHistory));
    Ok(())
}

#[tokio::test]
async fn nothing_is_read_at_latest_or_at_old_state() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    ledger.anvil.mine(20).await?;
    let five = Finality::Confirmations(5);
    for (method, parameter) in [("eth_call", 1), ("eth_getProof", 2)] {
        let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
        let rpc = vec![double.url.clone()];
        let reader = match method {
            "eth_call" => ledger.voter_over(rpc, five).await,
            _ => ledger.reader_over(rpc, five).await,
        };
        assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));

        let head = reader.final_head().ok_or("no head")?;
        let calls = double.calls();
        let is_read = |call: &&Value| {
            ["eth_call", "eth_getProof", "eth_getStorageAt"]
                .contains(&call["method"].as_str().unwrap_or_default())
        };
        let reads: Vec<_> = calls.iter().filter(is_read).collect();
        assert_eq!(reads.len(), 1);
        assert_eq!(reads[0]["method"], method);
        let at = &reads[0]["params"][parameter]["blockHash"];
        assert_eq!(*at, head.hash.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn entries_of_later_blocks_are_refused() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    ledger.anvil.mine(2).await?;
    let behaviour = Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_call" {
            let words = [U256::from(1), U256::from(written + 1), U256::ZERO];
            let data: String = words.iter().map(|word| format!("{word:064x}")).collect();
            response["result"] = format!("0x{data}").into();
        }
    });
    let double = Double::start(ledger.anvil.endpoint(), behaviour).await;
    let reader = ledger.voter_over(vec![double.url.clone()], AT_ONCE).await;
    let error = ledger
        .value(&reader, 7, written)
        .await
        .expect_err("nonsense");
    assert!(matches!(error, ChainError::Malformed { .. }), "{error}");
    Ok(())
}
