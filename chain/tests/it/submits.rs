//! Transactions get through, and what became of them is known.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolEvent;
use quorate_chain::evm::EvmSubmitter;
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{
    ChainClient, ChainError, ContractCall, Finality, Inclusion, SignedTransaction, Submitter,
    TransactionDraft,
};
use quorate_proto::SecretKey;
use serde_json::json;

use crate::support::bridge::{Bridge, nonces};
use crate::support::double::{Behaviour, fail};
use crate::support::{Ledger, TestResult, chain_config, dead, hanging};

type Failed = Box<dyn std::error::Error + Send + Sync>;

const FINALITY: Finality = Finality::Confirmations(1);

async fn submitter(bridge: &Bridge, rpc: Vec<RpcUrl>) -> EvmSubmitter {
    EvmSubmitter::new(bridge.client(rpc, FINALITY).await)
}

fn sender(bridge: &Bridge) -> PrivateKeySigner {
    bridge.anvil.signers()[1].clone()
}

/// A transaction that emits the transfer with this nonce.
async fn signed(
    bridge: &Bridge,
    submitter: &EvmSubmitter,
    nonce: u64,
    tip: u128,
) -> Result<SignedTransaction, Failed> {
    let log = bridge.event(1).encode_log_data();
    let mut data: Vec<u8> = log.topics().iter().flatten().copied().collect();
    data.extend_from_slice(&log.data);
    let fees = submitter.fees().await?;
    let call = ContractCall {
        name: "emit",
        from: Some(sender(bridge).address().into_word()),
        contract: bridge.name(),
        data: data.into(),
        value: U256::ZERO,
    };
    let draft = TransactionDraft {
        sender: sender(bridge).address().into_word(),
        nonce,
        contract: call.contract,
        gas: submitter.estimate(&call).await? * 2,
        data: call.data,
        value: U256::ZERO,
        max_fee: 2 * fees.base + tip,
        tip,
    };
    let key = SecretKey::from_bytes(&sender(bridge).to_bytes().0)?;
    let unsigned = submitter.prepare(&draft).await?;
    let signature = key.sign(B256::try_from(unsigned.payload.as_ref())?)?;
    Ok(submitter.complete(&draft, &unsigned, signature.as_bytes())?)
}

/// The chain mines a moment after it has taken a transaction.
async fn mined(
    submitter: &EvmSubmitter,
    id: &[u8],
) -> Result<Inclusion, Box<dyn std::error::Error + Send + Sync>> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match submitter.receipt(id).await? {
            Some(found) => return Ok(found),
            None if Instant::now() > deadline => return Err("not mined".into()),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test]
async fn a_transaction_is_built_sent_and_found_again() -> TestResult {
    let bridge = Bridge::start().await?;
    let submitter = submitter(&bridge, vec![bridge.url(); 3]).await;
    let address = sender(&bridge).address().into_word();
    let before = submitter.account(address).await?;
    assert_eq!((before.mined, before.pending), (0, 0));
    assert!(before.balance > U256::ZERO);

    let transaction = signed(&bridge, &submitter, 0, 1_000_000_000).await?;
    assert_eq!(transaction.sender, address);
    assert_eq!(submitter.receipt(&transaction.id).await?, None);
    let sent = submitter.broadcast(&transaction).await;
    assert!(sent.is_accepted(), "{sent:?}");
    let found = mined(&submitter, &transaction.id).await?;
    assert!(found.succeeded && !found.is_final && found.gas_used > 21_000);
    assert_eq!(found.block, bridge.anvil.height().await?);
    let after = submitter.account(address).await?;
    assert_eq!((after.mined, after.pending), (1, 1));
    assert!(after.balance < before.balance);

    bridge.anvil.mine(2).await?;
    let client = bridge.client(vec![bridge.url()], FINALITY).await;
    let later = EvmSubmitter::new(client.clone());
    let found = later.receipt(&transaction.id).await?.ok_or("not mined")?;
    assert!(found.is_final);
    // One client reads and sends.
    let reader = client.clone().transfers().ok_or("no reader")?;
    let log = quorate_chain::ReadLog::default();
    let page = reader
        .transfers(bridge.name(), 0, found.block, &log)
        .await?;
    assert_eq!(nonces(&page.transfers), [1]);
    assert_eq!(page.transfers[0].transaction, transaction.id);
    assert!(client.submitter().is_some());
    Ok(())
}

#[tokio::test]
async fn refusals_are_hints_and_the_chain_decides() -> TestResult {
    let bridge = Bridge::start().await?;
    let submitter = submitter(&bridge, vec![bridge.url()]).await;
    bridge.anvil.set_automine(false).await?;
    let first = signed(&bridge, &submitter, 0, 1_000_000_000).await?;
    assert!(submitter.broadcast(&first).await.is_accepted());
    let account = submitter.account(first.sender).await?;
    assert_eq!((account.mined, account.pending), (0, 1));
    // The same again, and one in its place that pays too little.
    let again = submitter.broadcast(&first).await;
    assert!(again.is_accepted() || !again.hints.is_empty());
    let cheap = signed(&bridge, &submitter, 0, 500_000_000).await?;
    let refused = submitter.broadcast(&cheap).await;
    assert!(
        !refused.is_accepted() && refused.hints.len() == 1,
        "{refused:?}"
    );
    let dear = signed(&bridge, &submitter, 0, 3_000_000_000).await?;
    assert!(submitter.broadcast(&dear).await.is_accepted());
    bridge.anvil.mine(1).await?;
    assert_eq!(submitter.receipt(&first.id).await?, None);
    assert!(submitter.receipt(&dear.id).await?.is_some());
    let late = submitter.broadcast(&first).await;
    assert!(!late.is_accepted(), "{late:?}");
    Ok(())
}

#[tokio::test]
async fn one_provider_that_lies_or_hangs_changes_nothing() -> TestResult {
    let bridge = Bridge::start().await?;
    let liar = Behaviour::default().tamper(|request, response| {
        let lie = match request["method"].as_str().unwrap_or_default() {
            "eth_getTransactionCount" => json!("0xffff"),
            "eth_getBalance" => json!("0x0"),
            "eth_feeHistory" => json!({
                "baseFeePerGas": ["0xffffffffffff", "0xffffffffffff"], "reward": [["0xfffffffff", "0xfffffffff", "0xfffffffff"]],
            }),
            "eth_estimateGas" => json!("0xffffffff"),
            "eth_getTransactionReceipt" => json!(null),
            "eth_sendRawTransaction" => json!(B256::ZERO),
            _ => return,
        };
        response["result"] = lie;
    });
    // It does not even pass it on.
    let liar = liar.ask(|call| {
        if call["method"] == "eth_sendRawTransaction" {
            call["method"] = json!("eth_chainId");
            call["params"] = json!([]);
        }
    });
    let liar = bridge.double(liar).await;
    let honest = bridge.url();
    let (hanging, _task) = hanging().await;
    let truth = submitter(&bridge, vec![honest.clone()]).await;
    let rpc = vec![
        liar.url.clone(),
        honest.clone(),
        format!("{honest}/?second").parse()?,
        format!("{honest}/?third").parse()?,
        hanging,
    ];
    let torn = submitter(&bridge, rpc).await;
    let address = sender(&bridge).address().into_word();
    assert_eq!(torn.account(address).await?, truth.account(address).await?);
    assert_eq!(torn.fees().await?, truth.fees().await?);
    let transaction = signed(&bridge, &torn, 0, 1_000_000_000).await?;
    let began = Instant::now();
    let sent = torn.broadcast(&transaction).await;
    assert!(!sent.accepted.is_empty(), "{sent:?}");
    assert!(began.elapsed().as_millis() < 1_500, "{:?}", began.elapsed());
    let found = torn.receipt(&transaction.id).await?;
    assert_eq!(found, truth.receipt(&transaction.id).await?);
    assert!(found.is_some());

    let nobody = submitter(&bridge, vec![dead().await]).await;
    let error = nobody.account(address).await.expect_err("nobody there");
    assert!(error.is_retryable(), "{error}");
    let sent = nobody.broadcast(&transaction).await;
    assert_eq!((sent.is_accepted(), sent.hints.len()), (false, 1));
    Ok(())
}

#[tokio::test]
async fn reverts_are_told_by_their_selector() -> TestResult {
    let ledger = Ledger::start().await?;
    let client = |rpc| async {
        let config = chain_config(ledger.anvil.chain_id(), rpc, FINALITY);
        let settings = quorate_chain::evm::EvmSettings::default();
        quorate_chain::evm::EvmClient::connected(&config, settings).await
    };
    // Without the data, as some have it.
    let bare = Behaviour::default().tamper(|_, response| {
        if response["error"].is_object() {
            fail(response, -32_000, "execution reverted");
        }
    });
    let bare = crate::support::double::Double::start(ledger.anvil.endpoint(), bare).await;
    let submitter = EvmSubmitter::new(client(vec![bare.url.clone(), ledger.url()]).await?);
    let selector = |text: &str| keccak256(text)[..4].to_vec();
    let mut data = selector("getHistoryAtBlock(address,uint256,uint256)");
    data.extend([0; 96]);
    let mut call = ContractCall {
        name: "getHistoryAtBlock",
        from: None,
        contract: ledger.state_manager.into_word(),
        data: data.into(),
        value: U256::ZERO,
    };
    let error = submitter.estimate(&call).await.expect_err("a revert");
    let expected = selector("NoHistory()");
    assert_eq!(
        error.revert_selector().map(|s| s.to_vec()),
        Some(expected.clone())
    );
    assert!(!error.is_retryable());
    let alone = EvmSubmitter::new(client(vec![ledger.url()]).await?);
    let error = alone.call(&call).await.expect_err("a revert");
    assert_eq!(error.revert_selector().map(|s| s.to_vec()), Some(expected));

    call.data = selector("UPGRADE_INTERFACE_VERSION()").into();
    let error = alone.call(&call).await.expect_err("no such function");
    assert!(matches!(error, ChainError::Reverted { .. }));
    assert_eq!(error.revert_selector(), None);
    let code = ledger
        .anvil
        .provider()
        .get_code_at(ledger.state_manager)
        .await?;
    assert!(!code.is_empty());
    call.contract = Address::repeat_byte(0x44).into_word();
    assert_eq!(alone.call(&call).await, Ok(Bytes::new()));
    Ok(())
}
