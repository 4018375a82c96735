//! Bridges on a local SVM chain, through providers that lie, hang and serve other chains.

use quorate_chain::{
    BlockRef, ChainError, Connected, KnownTransfers, PauseState, ProviderHealth, ReadLog,
    ReplyKind, SeenTransfer, TransferPage, TransferReader,
};
use quorate_proto::{ReadBasis, Route, StatementKind, U256};
use serde_json::json;

use crate::support::TestResult;
use crate::support::svm::SvmBridge;

type Reader = Connected<dyn TransferReader>;

async fn page(
    reader: &Reader,
    route: &Route,
    from: u64,
    to: u64,
) -> Result<(TransferPage, ReadLog), ChainError> {
    let log = ReadLog::default();
    let contract = route.source_contract;
    let page = reader.reader.transfers(contract, from, to, &log).await?;
    Ok((page, log))
}

/// All transfers up to the newest final block, and that.
async fn all(
    bridge: &SvmBridge,
    reader: &Reader,
) -> Result<(Vec<SeenTransfer>, BlockRef, ReadLog), ChainError> {
    reader
        .reader
        .follow(&bridge.route, &KnownTransfers::default());
    let head = reader.client.refresh().await?;
    let (page, log) = page(reader, &bridge.route, 0, head.number).await?;
    assert_eq!(page.next, head.number + 1);
    Ok((page.transfers, head, log))
}

fn amounts(transfers: &[SeenTransfer]) -> Vec<(u64, u64)> {
    let amount = |seen: &SeenTransfer| (seen.transfer.nonce, seen.transfer.amount.to());
    transfers.iter().map(amount).collect()
}

#[tokio::test]
async fn transfers_are_those_of_the_running_hash_whatever_logs_say() -> TestResult {
    let mut bridge = SvmBridge::start();
    bridge.tell("send", json!({"count": 2}));
    bridge.tell("forged", json!({}));
    let told = bridge.tell("cut", json!({}));
    assert_eq!(told, json!({"cut": true, "failed": true}));
    bridge.tell("send", json!({"count": 1}));
    bridge.finalize();
    let reader = bridge.open().await;
    let (seen, head, log) = all(&bridge, &reader).await?;
    // In wire units, of which one is ten local ones.
    let expected = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 3), (6, 4), (7, 1)];
    assert_eq!(amounts(&seen), expected);
    assert_eq!(log.basis(), ReadBasis::Vote);
    assert!(seen.iter().all(|one| one.transaction.len() == 64));
    assert!(
        seen.iter()
            .all(|one| one.block.hash != head.hash && one.block.timestamp > 0)
    );
    assert!(seen.is_sorted_by_key(|one| (one.block.number, one.log_index)));
    assert_eq!(seen[4].block, seen[5].block);
    assert_eq!(seen[0].transfer.receiver.as_ref(), [0x22; 20]);

    let (contract, route) = (bridge.route.source_contract, bridge.route.id());
    assert_eq!(reader.reader.sent_count(contract, route, head).await, Ok(7));
    let earlier = seen[3].block;
    assert_eq!(
        reader.reader.sent_count(contract, route, earlier).await,
        Ok(4)
    );
    let blocks = (0, head.number);
    let log = ReadLog::default();
    let found = reader
        .reader
        .transfers_of(contract, route, &[2, 6, 9], blocks, &log);
    assert_eq!(found.await?, [seen[1].clone(), seen[5].clone()]);

    // What comes later, after a restart too: nothing before it is asked for.
    bridge.tell("send", json!({"count": 2}));
    bridge.finalize();
    let known = KnownTransfers {
        facts: seen.iter().map(|one| one.transfer.fact()).collect(),
        block: seen[6].block.number,
        transaction: seen[6].transaction.clone(),
    };
    let restarted = bridge.open().await;
    restarted.reader.follow(&bridge.route, &known);
    for reader in [reader, restarted] {
        let head = reader.client.refresh().await?;
        let (page, _) = page(
            &reader,
            &bridge.route,
            seen[6].block.number + 1,
            head.number,
        )
        .await?;
        assert_eq!(amounts(&page.transfers), [(8, 1), (9, 1)]);
        assert_eq!(page.transfers[0].transfer.amount, U256::from(1));
    }
    Ok(())
}

#[tokio::test]
async fn one_provider_can_neither_add_nor_hide_a_transfer() -> TestResult {
    let mut bridge = SvmBridge::start();
    bridge.tell("send", json!({"count": 3}));
    bridge.finalize();
    let forgeries = [
        json!({"getSignaturesForAddress": []}),
        json!({"getTransaction": null}),
        json!({"getAccountInfo": {"context": {"slot": 1_000_000}, "value": null}}),
        json!({"getSlot": 1_000_000}),
        json!({"getSignatureStatuses": {"context": {"slot": 1}, "value": []}}),
    ];
    for forgery in forgeries {
        bridge.faults(0, json!({"forge": forgery}));
        let reader = bridge.open().await;
        let (seen, ..) = all(&bridge, &reader).await?;
        assert_eq!(amounts(&seen), [(1, 1), (2, 1), (3, 1)], "{forgery}");
        bridge.faults(0, json!(null));
    }
    Ok(())
}

#[tokio::test]
async fn transfers_that_were_made_up_are_a_lie() -> TestResult {
    let mut bridge = SvmBridge::start();
    bridge.tell("send", json!({"count": 1}));
    // The others show nothing, so that the liar is asked, too.
    for silent in [1, 2] {
        bridge.faults(silent, json!({"forge": {"getSignaturesForAddress": []}}));
    }
    bridge.finalize();
    let made_up = bridge.tell("forgery", json!({}));
    bridge.faults(0, json!({"forge": {"getTransaction": made_up}}));
    let reader = bridge.open().await;
    let log = ReadLog::default();
    reader
        .reader
        .follow(&bridge.route, &KnownTransfers::default());
    let head = reader.client.refresh().await?;
    let contract = bridge.route.source_contract;
    let error = reader
        .reader
        .transfers(contract, 0, head.number, &log)
        .await;
    let error = error.expect_err("no history").to_string();
    assert!(error.contains("do not have the running hash"), "{error}");
    assert!(
        log.replies()
            .iter()
            .any(|reply| reply.kind == ReplyKind::False)
    );
    let providers = reader.client.providers().providers;
    assert_eq!(
        (providers[0].health, providers[0].lies),
        (ProviderHealth::Contradicts, 1)
    );
    assert_eq!(providers[1].lies, 0);
    Ok(())
}

#[tokio::test]
async fn another_chain_and_silence_count_for_nothing() -> TestResult {
    let mut bridge = SvmBridge::start();
    bridge.tell("send", json!({"count": 1}));
    bridge.finalize();
    let other = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";
    bridge.faults(0, json!({"genesisHash": other}));
    let reader = bridge.open().await;
    let (seen, ..) = all(&bridge, &reader).await?;
    assert_eq!(amounts(&seen), [(1, 1)]);
    let providers = reader.client.providers().providers;
    assert_eq!(providers[0].health, ProviderHealth::WrongChain);

    bridge.faults(0, json!(null));
    bridge.faults(1, json!({"hang": true}));
    let reader = bridge.open().await;
    let (seen, ..) = all(&bridge, &reader).await?;
    assert_eq!(amounts(&seen), [(1, 1)]);

    bridge.faults(2, json!({"hang": true}));
    let reader = bridge.open().await;
    let error = all(&bridge, &reader).await.expect_err("one of three");
    assert!(matches!(error, ChainError::Unavailable { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_the_program_remembers_is_read() -> TestResult {
    let mut bridge = SvmBridge::start();
    let back = Route {
        source_chain: bridge.route.target_chain,
        source_contract: bridge.route.target_contract,
        target_chain: bridge.route.source_chain,
        target_contract: bridge.route.source_contract,
    };
    let closed = bridge.tell("close", json!({"nonce": 5}))["time"].as_u64();
    bridge.finalize();
    let reader = bridge.open().await;
    let head = reader.client.refresh().await?;
    let found = reader.reader.closed(&back, 5, head).await?;
    assert!(
        found
            .zip(closed)
            .is_some_and(|(found, told)| told - found < 60)
    );
    assert_eq!(reader.reader.closed(&back, 6, head).await, Ok(None));
    let program = bridge.route.source_contract;
    let mut state = PauseState {
        sequence: 0,
        paused: false,
    };
    assert_eq!(reader.reader.pause_state(program, head).await, Ok(state));
    bridge.tell("pause", json!({}));
    bridge.finalize();
    let head = reader.client.refresh().await?;
    state = PauseState {
        sequence: 1,
        paused: true,
    };
    assert_eq!(reader.reader.pause_state(program, head).await, Ok(state));
    let nothing = reader
        .reader
        .pause_state(quorate_proto::B256::ZERO, head)
        .await;
    assert!(
        matches!(nothing, Err(ChainError::Settings { .. })),
        "{nothing:?}"
    );
    Ok(())
}

#[tokio::test]
async fn slots_without_a_block_are_no_gap() -> TestResult {
    let mut bridge = SvmBridge::start();
    let reader = bridge.open().await;
    let (seen, before, _) = all(&bridge, &reader).await?;
    assert!(seen.is_empty());
    bridge.tell("send", json!({"count": 1}));
    bridge.tell("skip", json!({"slots": 40}));
    bridge.finalize();
    let head = reader.client.refresh().await?;
    assert!(head.number > before.number + 40);
    let (page, _) = page(&reader, &bridge.route, before.number + 1, head.number).await?;
    assert_eq!(amounts(&page.transfers), [(1, 1)]);
    Ok(())
}
