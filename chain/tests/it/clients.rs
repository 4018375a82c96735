//! Shapes in which clients and gateways answer honestly: all of them are read, and nobody is accused.

use quorate_chain::evm::{EvmChain, Reads};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{ChainClient, ChainError, ProviderHealth, StateReader};
use quorate_proto::ReadBasis;
use serde_json::{Value, json};

use crate::proofs::{double, ledger, read, reader};
use crate::support::double::{Behaviour, fail};
use crate::support::{Ledger, TestResult};

type Shape = fn(&Value, &mut Value);

fn is(request: &Value, method: &str) -> bool {
    request["method"] == method
}

/// Adds fields to blocks.
fn block_has(response: &mut Value, fields: Value) {
    if let (Some(block), Value::Object(fields)) = (response["result"].as_object_mut(), fields)
        && block.contains_key("parentHash")
    {
        block.extend(fields);
    }
}

/// Changes each storage proof.
fn each_slot(request: &Value, response: &mut Value, change: fn(&mut Value)) {
    if is(request, "eth_getProof")
        && let Some(proofs) = response["result"]["storageProof"].as_array_mut()
    {
        proofs.iter_mut().for_each(change);
    }
}

fn nodes(slot: &mut Value) -> &mut Vec<Value> {
    slot["proof"].as_array_mut().expect("nodes")
}

fn geth(request: &Value, response: &mut Value) {
    if is(request, "eth_syncing") {
        // As long as it indexes transactions.
        response["result"] = json!({"currentBlock": "0x10", "highestBlock": "0x10", "startingBlock": "0x0",
            "txIndexFinishedBlocks": "0x5", "txIndexRemainingBlocks": "0xb", "healingTrienodes": "0x0"});
    }
}

fn erigon(request: &Value, response: &mut Value) {
    if is(request, "eth_syncing") {
        response["result"] = json!({"currentBlock": "0xf", "highestBlock": "0x10",
            "stages": [{"stage_name": "Execution", "block_number": "0xf"}]});
    }
    each_slot(request, response, |slot| {
        let key = slot["key"]
            .as_str()
            .expect("a key")
            .trim_start_matches("0x");
        slot["key"] = json!(format!("0x{}", key.trim_start_matches('0')));
    });
}

fn nethermind(request: &Value, response: &mut Value) {
    each_slot(request, response, |slot| {
        let key = slot["key"]
            .as_str()
            .expect("a key")
            .trim_start_matches("0x")
            .to_owned();
        slot["key"] = json!(format!("0x{}", key.to_uppercase()));
        // Goes on where nothing is.
        if slot["value"] == "0x0" {
            nodes(slot).extend([json!("0x"), json!("0x")]);
        }
    });
    if is(request, "eth_call") && response["error"].is_object() {
        let data = response["error"]["data"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        fail(response, -32_015, "VM execution error.");
        response["error"]["data"] = json!(format!("Reverted {data}"));
    }
}

fn besu(request: &Value, response: &mut Value) {
    each_slot(request, response, |slot| {
        if nodes(slot).is_empty() || slot["value"] == "0x0" {
            nodes(slot).push(json!("0x80"));
        }
    });
    block_has(
        response,
        json!({"totalDifficulty": null, "uncles": [], "withdrawals": null}),
    );
    if is(request, "eth_syncing") {
        response["result"] = json!(false);
    }
}

fn reth(request: &Value, response: &mut Value) {
    if is(request, "eth_getProof")
        && let Some(proofs) = response["result"]["storageProof"].as_array_mut()
    {
        proofs.reverse();
    }
    if is(request, "eth_syncing") {
        response["result"] = json!({"startingBlock": "0x0", "currentBlock": "0x10", "highestBlock": "0x10",
            "warpChunksAmount": null, "warpChunksProcessed": null, "stages": null});
    }
}

fn anvil(_: &Value, _: &mut Value) {}

fn op_geth(_: &Value, response: &mut Value) {
    block_has(
        response,
        json!({"totalDifficulty": "0x0", "withdrawals": []}),
    );
}

fn nitro(request: &Value, response: &mut Value) {
    block_has(
        response,
        json!({"l1BlockNumber": "0x4b4", "sendCount": "0x0", "sendRoot": format!("0x{}", "00".repeat(32))}),
    );
    if is(request, "eth_syncing") {
        response["result"] = json!(false);
    }
}

fn bor(request: &Value, response: &mut Value) {
    block_has(response, json!({"author": null, "milestoneId": null}));
    if is(request, "eth_syncing") {
        response["result"] = json!({"currentBlock": "0x10", "highestBlock": "0x10", "startingBlock": "0x0",
            "syncedAccounts": "0x0", "syncedBytecodes": "0x0"});
    }
}

fn celo(_: &Value, response: &mut Value) {
    block_has(
        response,
        json!({"randomness": {"committed": null, "revealed": null}, "epochSnarkData": null}),
    );
}

fn gnosis(request: &Value, response: &mut Value) {
    block_has(
        response,
        json!({"author": "0x00", "signature": null, "step": null}),
    );
    if is(request, "eth_syncing") {
        fail(
            response,
            -32_601,
            "the method eth_syncing does not exist/is not available",
        );
    }
}

fn ids_as_text(_: &Value, response: &mut Value) {
    response["id"] = json!(response["id"].to_string());
}

fn ids_as_floats(_: &Value, response: &mut Value) {
    response["id"] = json!(response["id"].as_f64());
}

/// Takes the id of each batch's first call, or of a lone call, for absent.
fn first_ids_absent(_: &Value, response: &mut Value) {
    if response["id"] == 0 || response["id"] == 1 {
        response["id"] = json!(null);
    }
}

fn no_ids(_: &Value, response: &mut Value) {
    response.as_object_mut().expect("a response").remove("id");
}

fn null_beside_results(_: &Value, response: &mut Value) {
    let has = |field: &str| response.get(field).is_some();
    match (has("result"), has("error")) {
        (true, false) => response["error"] = json!(null),
        (false, true) => response["result"] = json!(null),
        _ => {}
    }
}

const SHAPES: [(&str, Shape); 16] = [
    ("geth", geth),
    ("erigon", erigon),
    ("nethermind", nethermind),
    ("besu", besu),
    ("reth", reth),
    ("anvil", anvil),
    ("op-geth", op_geth),
    ("nitro", nitro),
    ("bor", bor),
    ("celo", celo),
    ("gnosis", gnosis),
    ("ids as text", ids_as_text),
    ("ids as 1.0", ids_as_floats),
    ("first ids absent", first_ids_absent),
    ("no ids", no_ids),
    ("null beside results", null_beside_results),
];

/// Everything that users ask is answered, and nobody is accused.
async fn works(
    name: &str,
    ledger: &Ledger,
    written: u64,
    rpc: Vec<RpcUrl>,
) -> Result<EvmChain, ChainError> {
    let reader = reader(ledger, rpc, Reads::Auto).await;
    reader.client().examine().await;
    let proof = |value| Ok((value, ReadBasis::Proof));
    for (key, block, expected) in [
        (7, written, proof(100)),
        (7, written + 1, proof(100)),
        (1, written, proof(5)),
        (8, written, Err(ChainError::NoHistory)),
        (7, written - 1, Err(ChainError::BeforeFirstEntry)),
    ] {
        let (found, log) = read(ledger, &reader, key, block).await;
        assert_eq!(
            (found, log.basis()),
            (expected, ReadBasis::Proof),
            "{name} {key} {block}"
        );
    }
    reader.client().examine().await;
    for status in reader.providers().providers {
        let accused = (status.lies, status.contradictions);
        assert_eq!(
            (status.health, accused),
            (ProviderHealth::Ok, (0, 0)),
            "{name} {status:?}"
        );
    }
    assert_eq!(reader.try_out().await, Ok(true), "{name}");
    Ok(reader)
}

#[tokio::test]
async fn every_client_is_read_as_it_answers() -> TestResult {
    let (ledger, written) = ledger().await?;
    for (name, shape) in SHAPES {
        let one = double(&ledger, Behaviour::default().tamper(shape)).await;
        let other = double(&ledger, Behaviour::default().tamper(shape)).await;
        // All providers run it, or some.
        for rpc in [
            vec![one.url.clone(), other.url.clone()],
            vec![one.url.clone(), ledger.url(), other.url.clone()],
        ] {
            works(name, &ledger, written, rpc).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn gateways_that_take_no_batches_get_single_calls() -> TestResult {
    let (ledger, written) = ledger().await?;
    let refusals = [
        (
            200,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no batches"}}"#,
        ),
        (
            200,
            r#"[{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"batch too large"}}]"#,
        ),
        (400, r#"{"error":"Batch requests are not supported"}"#),
        (413, "<html><h1>413 Request Entity Too Large</h1></html>"),
        (
            429,
            r#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"batch size exceeded"}}"#,
        ),
        (500, "cannot unmarshal array"),
        (200, "<!DOCTYPE html><title>Welcome</title>"),
        (200, r#"{"jsonrpc":"2.0","id":1,"result":"0x7a69"}"#),
        (200, "[]"),
    ];
    for (status, body) in refusals {
        let refuse = move |request: &Value| request.is_array().then(|| (status, body.to_owned()));
        let double = double(&ledger, Behaviour::default().refuse(refuse)).await;
        works(body, &ledger, written, vec![double.url.clone()]).await?;
    }
    Ok(())
}

/// Headers of blocks up to this one lack a field, as those look whose format is not known here.
fn strips_old_headers(up_to: u64) -> Behaviour {
    Behaviour::default().tamper(move |_, response| {
        let number = response["result"]["number"].as_str().unwrap_or_default();
        let number = u64::from_str_radix(number.trim_start_matches("0x"), 16);
        if let Some(block) = response["result"].as_object_mut()
            && block.contains_key("parentHash")
            && number.is_ok_and(|number| number <= up_to)
        {
            block.remove("gasLimit");
        }
    })
}

#[tokio::test]
async fn old_blocks_of_another_format_are_read_where_the_head_is_proven() -> TestResult {
    let (ledger, written) = ledger().await?;
    let one = double(&ledger, strips_old_headers(written)).await;
    let other = double(&ledger, strips_old_headers(written)).await;
    let both = vec![one.url.clone(), other.url.clone()];
    let auto = reader(&ledger, both.clone(), Reads::Auto).await;
    for _ in 0..2 {
        let (found, _) = read(&ledger, &auto, 7, written).await;
        assert_eq!(
            found,
            Ok((100, ReadBasis::Vote)),
            "its time is the word of all"
        );
        let (found, _) = read(&ledger, &auto, 7, written + 1).await;
        assert_eq!(found, Ok((100, ReadBasis::Proof)));
    }
    // One that can show the header is enough to prove it; without a word of each there is no vote.
    let mut three = both.clone();
    three.push(ledger.url());
    let whole = reader(&ledger, three, Reads::Auto).await;
    assert_eq!(
        read(&ledger, &whole, 7, written).await.0,
        Ok((100, ReadBasis::Proof))
    );
    let strict = reader(&ledger, both.clone(), Reads::Proof).await;
    let error = read(&ledger, &strict, 7, written)
        .await
        .0
        .expect_err("none");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
    let mut silent = both;
    silent.push(crate::support::dead().await);
    let auto = reader(&ledger, silent, Reads::Auto).await;
    let error = read(&ledger, &auto, 7, written)
        .await
        .0
        .expect_err("one is silent");
    assert!(matches!(error, ChainError::NotProven { .. }), "{error}");
    Ok(())
}

/// Gateways leave out with which data a contract reverted.
#[tokio::test]
async fn a_revert_without_its_data_accuses_nobody() -> TestResult {
    let (ledger, written) = ledger().await?;
    let bare = Behaviour::default().tamper(|request, response| {
        if is(request, "eth_call") && response["error"].is_object() {
            fail(response, -32_000, "execution reverted");
        }
    });
    let one = double(&ledger, bare).await;
    let rpc = vec![one.url.clone(), ledger.url(), ledger.url()];
    let reader = reader(&ledger, rpc, Reads::Vote).await;
    for _ in 0..8 {
        let (found, _) = read(&ledger, &reader, 8, written).await;
        assert_eq!(found, Err(ChainError::NoHistory));
    }
    let status = reader.providers().providers.remove(0);
    assert_eq!(
        (status.health, status.contradictions),
        (ProviderHealth::Ok, 0)
    );
    Ok(())
}
