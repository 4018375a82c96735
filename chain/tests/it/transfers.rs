//! Transfers of a bridge: every one is seen, once, and none that is not there.

use std::collections::BTreeSet;
use std::time::Instant;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolEvent;
use quorate_chain::evm::EvmTransfers;
use quorate_chain::{
    ChainClient, ChainError, Finality, PauseState, ReadLog, TransferReader, missing_nonces,
};
use quorate_proto::{ReadBasis, Route, Transfer};
use serde_json::{Value, json};

use crate::support::TestResult;
use crate::support::bridge::{Bridge, nonces};
use crate::support::double::{Behaviour, Double, fail};

const AT_ONCE: Finality = Finality::Confirmations(0);

/// Changes the answers to one method.
fn tampers(method: &'static str, with: impl Fn(&mut Value) + Send + Sync + 'static) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == method && response["error"].is_null() {
            with(&mut response["result"]);
        }
    })
}

/// Names the first `most` events of an answer.
fn truncates(most: usize) -> Behaviour {
    tampers("eth_getLogs", move |logs| {
        if let Some(logs) = logs.as_array_mut() {
            logs.truncate(most);
        }
    })
}

/// Refuses to look through more than so many blocks at once.
fn takes(most: u64) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        let number = |text: &Value| {
            let digits = text.as_str().unwrap_or_default().trim_start_matches("0x");
            u64::from_str_radix(digits, 16).unwrap_or_default()
        };
        let range = &request["params"][0];
        if request["method"] == "eth_getLogs"
            && number(&range["toBlock"]) - number(&range["fromBlock"]) >= most
        {
            fail(response, -32_005, "query returned more than 10000 results");
        }
    })
}

fn contradictions(reader: &EvmTransfers) -> Vec<u64> {
    let providers = ChainClient::providers(reader.client().as_ref()).providers;
    providers.iter().map(|one| one.contradictions).collect()
}

fn lies(reader: &EvmTransfers) -> Vec<u64> {
    let providers = ChainClient::providers(reader.client().as_ref()).providers;
    providers.iter().map(|one| one.lies).collect()
}

async fn three(bridge: &Bridge, behaviours: [Behaviour; 3]) -> (EvmTransfers, Vec<Double>) {
    let mut doubles = Vec::new();
    for behaviour in behaviours {
        doubles.push(bridge.double(behaviour).await);
    }
    let rpc = doubles.iter().map(|double| double.url.clone()).collect();
    (bridge.reader(rpc, AT_ONCE).await, doubles)
}

fn honest() -> Behaviour {
    Behaviour::default()
}

#[tokio::test]
async fn a_transfer_is_seen_as_it_was_sent() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit_together([1, 2, 3]).await?;
    let reader = bridge.reader(vec![bridge.url()], AT_ONCE).await;
    let log = ReadLog::default();
    let head = reader.final_head().ok_or("no head")?;
    let page = reader
        .transfers(bridge.name(), 0, head.number, &log)
        .await?;
    assert_eq!(
        (page.next, log.basis()),
        (head.number + 1, ReadBasis::Proof)
    );
    assert_eq!(nonces(&page.transfers), [1, 2, 3]);
    for (place, seen) in (0_u64..).zip(&page.transfers) {
        let sent = bridge.event(place + 1);
        assert_eq!((seen.block, seen.log_index), (head, place));
        let told = &seen.transfer;
        assert_eq!((told.route.id(), told.sender), (sent.route, sent.sender));
        assert_eq!((&told.receiver, told.token), (&sent.receiver, sent.token));
        assert_eq!((told.amount, told.deadline), (sent.amount, sent.deadline));
        assert_eq!(told.route.source_contract, bridge.name());
        assert_eq!(told.route.target_chain, 5);
    }
    let found = reader.transfers(B256::repeat_byte(1), 0, 0, &log).await;
    assert!(matches!(found, Err(ChainError::Settings { .. })));
    Ok(())
}

#[tokio::test]
async fn back_fill_and_tail_meet_without_gap_or_repeat() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=5).await?;
    bridge.emit_together(6..=9).await?;
    bridge.anvil.mine(7).await?;
    let reader = bridge
        .reader(vec![bridge.url()], Finality::Confirmations(2))
        .await;
    let mut heads = reader.subscribe();
    let (mut seen, mut next) = (Vec::new(), 0);
    for round in 0..4_u64 {
        let head = heads.borrow_and_update().ok_or("no head")?;
        let (page, _) = bridge.read(&reader, next, head.number).await?;
        seen.extend(nonces(&page.transfers));
        assert_eq!(page.next, head.number + 1);
        next = page.next;
        bridge.emit(10 + 3 * round..13 + 3 * round).await?;
        reader.client().refresh().await?;
    }
    bridge.anvil.mine(2).await?;
    let head = reader.client().refresh().await?;
    let (page, _) = bridge.read(&reader, next, head.number).await?;
    seen.extend(nonces(&page.transfers));
    assert!(seen.iter().copied().eq(1..22), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_no_transfer_of_the_contract_is_not_seen() -> TestResult {
    let bridge = Bridge::start().await?;
    let other = Address::repeat_byte(0xb2);
    bridge.put_code(other).await?;
    bridge.emit([1]).await?;
    let good = bridge.event(2).encode_log_data();
    bridge.emit_log(other, good.clone()).await?;
    let mut renamed = good.clone();
    renamed.topics_mut_unchecked()[0] = keccak256("TransferSent()");
    bridge.emit_log(bridge.contract, renamed).await?;
    let mut long = good.clone();
    long.data = [good.data.as_ref(), &[0; 32]].concat().into();
    bridge.emit_log(bridge.contract, long).await?;
    let mut free = bridge.event(2);
    free.amount = U256::ZERO;
    bridge
        .emit_log(bridge.contract, free.encode_log_data())
        .await?;
    bridge.emit([2]).await?;
    let reader = bridge.reader(vec![bridge.url()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, _) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(nonces(&page.transfers), [1, 2]);
    let why: Vec<_> = page.malformed.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(
        why,
        [
            "its fields are not written in the usual form",
            "amount must not be zero"
        ]
    );
    assert_eq!(contradictions(&reader), [0]);
    Ok(())
}

#[tokio::test]
async fn an_event_that_most_leave_out_is_found_through_another() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=4).await?;
    bridge.emit_together([5, 6]).await?;
    let (reader, _doubles) = three(&bridge, [truncates(0), honest(), truncates(5)]).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, pages) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(
        (nonces(&page.transfers), pages),
        (vec![1, 2, 3, 4, 5, 6], 1)
    );
    // Five blocks, and one that was cut within.
    assert_eq!(contradictions(&reader), [5, 0, 1]);
    assert_eq!(lies(&reader), [0, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn made_up_events_are_not_seen_and_cost_one_look() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=2).await?;
    bridge.anvil.mine(20).await?;
    let forged = bridge.event(3).amount + U256::from(1_000_000);
    let liar = tampers("eth_getLogs", move |logs| {
        let Some(logs) = logs.as_array_mut().filter(|logs| !logs.is_empty()) else {
            return;
        };
        for number in 5..15 {
            let mut log = logs[0].clone();
            log["blockNumber"] = json!(format!("{number:#x}"));
            logs.push(log);
        }
        // One that is there, with another amount.
        let data = logs[1]["data"].as_str().expect("text").to_owned();
        let amount = format!("{forged:064x}");
        logs[1]["data"] = json!(format!("{}{amount}{}", &data[..258], &data[322..]));
    });
    let (reader, doubles) = three(&bridge, [honest(), liar, honest()]).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, _) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(nonces(&page.transfers), [1, 2]);
    assert!(page.malformed.is_empty());
    let lies = lies(&reader);
    assert_eq!((lies[0], lies[2]), (0, 0));
    assert!((1..=4).contains(&lies[1]), "{lies:?}");
    let fetched: usize = doubles
        .iter()
        .map(|one| one.count("eth_getBlockReceipts"))
        .sum();
    assert!(fetched <= 6, "{fetched} blocks");
    Ok(())
}

#[tokio::test]
async fn forged_receipts_prove_nothing_and_name_their_provider() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=6).await?;
    let forges = || {
        tampers("eth_getBlockReceipts", |receipts| {
            receipts[0]["logs"][0]["address"] = json!(Address::repeat_byte(0xee));
            receipts[0]["logsBloom"] = json!(null);
        })
    };
    let leaves_out = tampers("eth_getBlockReceipts", |receipts| {
        *receipts = json!([]);
    });
    let (reader, _doubles) = three(&bridge, [forges(), leaves_out, honest()]).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, _) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(nonces(&page.transfers), [1, 2, 3, 4, 5, 6]);
    let lies = lies(&reader);
    assert!(lies[0] > 0 && lies[1] == 0 && lies[2] == 0, "{lies:?}");

    let (reader, _doubles) = three(&bridge, [forges(), forges(), forges()]).await;
    let log = ReadLog::default();
    let error = reader.transfers(bridge.name(), 0, head.number, &log).await;
    let error = error.expect_err("no proof");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
    assert!(error.is_retryable());
    Ok(())
}

#[tokio::test]
async fn receipts_are_fetched_one_by_one_where_need_be_and_only_once() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit_together(1..=20).await?;
    let lacks = Behaviour::default().tamper(|request, response| {
        if request["method"] == "eth_getBlockReceipts" {
            fail(response, -32_601, "the method does not exist");
        }
    });
    let double = bridge.double(lacks).await;
    let reader = bridge.reader(vec![double.url.clone()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?;
    for _ in 0..3 {
        let (page, _) = bridge.read(&reader, head.number, head.number).await?;
        assert!(nonces(&page.transfers).into_iter().eq(1..=20));
    }
    assert_eq!(double.count("eth_getBlockReceipts"), 1);
    assert_eq!(double.count("eth_getTransactionReceipt"), 20);
    Ok(())
}

#[tokio::test]
async fn transfers_of_blocks_that_are_not_final_are_never_seen() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit([1]).await?;
    bridge.anvil.mine(10).await?;
    let reader = bridge
        .reader(vec![bridge.url()], Finality::Confirmations(5))
        .await;
    bridge.emit([666]).await?;
    let dropped = bridge.anvil.height().await?;
    let log = ReadLog::default();
    let asked = reader.transfers(bridge.name(), 0, dropped, &log).await;
    assert!(
        matches!(asked, Err(ChainError::NotFinal { .. })),
        "{asked:?}"
    );
    bridge.anvil.reorg(3).await?;
    bridge.anvil.mine(3).await?;
    bridge.emit([2]).await?;
    bridge.anvil.mine(5).await?;
    let head = reader.client().refresh().await?;
    assert!(head.number > dropped);
    let (page, _) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(nonces(&page.transfers), [1, 2]);
    assert_eq!(reader.client().finality_violations(), 0);
    Ok(())
}

#[tokio::test]
async fn ranges_shrink_to_what_providers_take_and_are_remembered() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=3).await?;
    bridge.anvil.mine(400).await?;
    bridge.emit(4..=5).await?;
    let doubles = [
        bridge.double(takes(50)).await,
        bridge.double(takes(60)).await,
    ];
    let rpc = doubles.iter().map(|double| double.url.clone()).collect();
    let reader = bridge.reader(rpc, AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, pages) = bridge.read(&reader, 0, head.number).await?;
    assert_eq!(nonces(&page.transfers), [1, 2, 3, 4, 5]);
    let asked = doubles[0].count("eth_getLogs");
    assert!(pages <= 4 && asked <= 50, "{pages} pages, {asked} ranges");
    // None takes any range: an error, and no page that does not go on.
    let double = bridge.double(takes(0)).await;
    let reader = bridge.reader(vec![double.url.clone()], AT_ONCE).await;
    let log = ReadLog::default();
    let error = reader.transfers(bridge.name(), 0, head.number, &log).await;
    assert!(
        matches!(error, Err(ChainError::Unavailable { .. })),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_missing_of_a_route_is_looked_for_and_found() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=5).await?;
    bridge.answer(bridge.route(), 5).await?;
    bridge.anvil.mine(1).await?;
    // All leave out what follows the second where whole blocks are asked about; two always.
    let forgets = |always: bool| {
        Behaviour::default().tamper(move |request, response| {
            let topics = request["params"][0]["topics"]
                .as_array()
                .map_or(0, Vec::len);
            if request["method"] == "eth_getLogs"
                && (always || topics == 1)
                && let Some(logs) = response["result"].as_array_mut()
            {
                logs.truncate(2);
            }
        })
    };
    let (reader, _doubles) = three(&bridge, [forgets(true), forgets(true), forgets(false)]).await;
    let head = reader.final_head().ok_or("no head")?;
    let (page, _) = bridge.read(&reader, 0, head.number).await?;
    let seen: BTreeSet<u64> = nonces(&page.transfers).into_iter().collect();
    assert!(seen.iter().copied().eq(1..=2));

    let count = reader
        .sent_count(bridge.name(), bridge.route(), head)
        .await?;
    let missing = missing_nonces(0, &seen, count);
    assert_eq!(missing, [3, 4, 5]);
    let log = ReadLog::default();
    let (route, blocks) = (bridge.route(), (0, head.number));
    let found = reader
        .transfers_of(bridge.name(), route, &missing, blocks, &log)
        .await?;
    assert_eq!(nonces(&found), missing);
    let none = reader
        .transfers_of(bridge.name(), B256::ZERO, &missing, blocks, &log)
        .await?;
    assert!(none.is_empty());
    let none = reader
        .transfers_of(bridge.name(), route, &[], blocks, &log)
        .await?;
    assert!(none.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_the_contract_remembers_is_read_at_a_block() -> TestResult {
    let bridge = Bridge::start().await?;
    let word = |name: &str| {
        let selector: [u8; 4] = keccak256(name)[..4].try_into().expect("four bytes");
        B256::from(U256::from(u32::from_be_bytes(selector)))
    };
    let route = Route {
        source_chain: 5,
        source_contract: B256::repeat_byte(5),
        target_chain: bridge.anvil.chain_id(),
        target_contract: bridge.name(),
    };
    let slot = Transfer::slot_of(&route, 7).0;
    let reader = bridge.reader(vec![bridge.url(); 3], AT_ONCE).await;
    let before = reader.final_head().ok_or("no head")?;
    bridge.answer(bridge.route(), 7).await?;
    bridge.answer(slot, 1_800_000_000).await?;
    bridge.answer(word("sequence()"), 3).await?;
    bridge.answer(word("paused()"), 1).await?;
    bridge.anvil.mine(1).await?;
    let after = reader.client().refresh().await?;
    let name = bridge.name();
    assert_eq!(reader.sent_count(name, bridge.route(), after).await, Ok(7));
    assert_eq!(
        reader.closed(&route, 7, after).await,
        Ok(Some(1_800_000_000))
    );
    assert_eq!(reader.closed(&route, 8, after).await, Ok(None));
    let paused = PauseState {
        sequence: 3,
        paused: true,
    };
    assert_eq!(reader.pause_state(name, after).await, Ok(paused));
    let other = quorate_chain::BlockRef {
        hash: B256::ZERO,
        ..before
    };
    let error = reader.sent_count(name, bridge.route(), other).await;
    assert!(matches!(error, Err(ChainError::Disagreement { .. })));
    let nothing = Address::repeat_byte(9).into_word();
    let error = reader.sent_count(nothing, bridge.route(), after).await;
    assert!(
        matches!(error, Err(ChainError::NoContract { .. })),
        "{error:?}"
    );
    Ok(())
}

/// Seems to have so many blocks: those that its chain does not have are empty.
fn seems_long(height: u64) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        let result = match request["method"].as_str().unwrap_or_default() {
            "eth_blockNumber" => json!(format!("{height:#x}")),
            "eth_getBlockByNumber" if response["result"].is_null() => json!({
                "number": request["params"][0], "timestamp": "0x77359400", "parentHash": B256::ZERO,
                "hash": keccak256(request["params"][0].as_str().unwrap_or_default()),
            }),
            "eth_getLogs" if !response["result"].is_array() => json!([]),
            _ => return,
        };
        *response = json!({"jsonrpc": "2.0", "id": response["id"], "result": result});
    })
}

/// A hundred transfers in 100,000 blocks.
#[tokio::test]
async fn a_long_back_fill_asks_few_questions() -> TestResult {
    let bridge = Bridge::start().await?;
    for round in 0..10 {
        bridge
            .emit_together(10 * round + 1..=10 * round + 10)
            .await?;
    }
    let double = bridge.double(seems_long(100_001)).await;
    let rpc = vec![double.url.clone()];
    let reader = bridge.reader(rpc, Finality::Confirmations(1)).await;
    let head = reader.final_head().ok_or("no head")?;
    assert_eq!(head.number, 100_000);
    let (before, began) = (double.calls().len(), Instant::now());
    let (page, pages) = bridge.read(&reader, 0, head.number).await?;
    let asked = double.calls().len() - before;
    println!("{asked} calls, {pages} pages, {:?}", began.elapsed());
    assert!(nonces(&page.transfers).into_iter().eq(1..=100));
    // Two for each of eleven ranges, three for each of ten blocks.
    assert!(asked <= 60 && pages == 1, "{asked} calls, {pages} pages");
    Ok(())
}

#[tokio::test]
async fn a_page_ends_where_it_is_full_and_the_next_goes_on() -> TestResult {
    let bridge = Bridge::start().await?;
    bridge.emit(1..=270).await?;
    let reader = bridge.reader(vec![bridge.url()], AT_ONCE).await;
    let head = reader.final_head().ok_or("no head")?;
    let log = ReadLog::default();
    let first = reader
        .transfers(bridge.name(), 0, head.number, &log)
        .await?;
    assert_eq!(first.transfers.len(), 256);
    let last = first.transfers.last().ok_or("a transfer")?;
    assert_eq!(first.next, last.block.number + 1);
    let (page, pages) = bridge.read(&reader, 0, head.number).await?;
    assert!(nonces(&page.transfers).into_iter().eq(1..=270));
    assert_eq!(pages, 2);
    Ok(())
}
