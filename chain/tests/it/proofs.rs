//! Values are proven: one provider serves, none is believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use quorate_chain::evm::{EvmChain, EvmSettings, Reads};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{
    ChainClient, ChainConfig, ChainError, Finality, ProviderReply, QueryKind, ReadLog, ReplyKind,
    StateReader,
};
use quorate_proto::ReadBasis;
use serde_json::{Value, json};

use crate::support::double::{Behaviour, Double, fail};
use crate::support::{Ledger, TestResult, chain_config, distinct, eventually, follow};

pub(crate) const AT_ONCE: Finality = Finality::Confirmations(0);

/// Well above what a local read takes, well below the timeout of a call.
const SOON: Duration = Duration::from_millis(1_500);

/// A chain with a key of several values, and one that is read over these providers.
pub(crate) async fn ledger() -> Result<(Ledger, u64), Box<dyn std::error::Error + Send + Sync>> {
    let ledger = Ledger::start().await?;
    ledger.set(1, 5).await?;
    let written = ledger.set(7, 100).await?;
    ledger.anvil.mine(3).await?;
    Ok((ledger, written))
}

pub(crate) async fn reader(ledger: &Ledger, rpc: Vec<RpcUrl>, reads: Reads) -> EvmChain {
    reader_of(ledger, rpc, |_, settings| settings.reads = reads).await
}

async fn reader_of(
    ledger: &Ledger,
    rpc: Vec<RpcUrl>,
    set: impl FnOnce(&mut ChainConfig, &mut EvmSettings),
) -> EvmChain {
    let mut settings = EvmSettings::default();
    let mut config = chain_config(ledger.anvil.chain_id(), distinct(rpc), AT_ONCE);
    set(&mut config, &mut settings);
    EvmChain::connect(&config, settings, ledger.state_manager)
        .await
        .expect("a reader")
}

/// The value and what it rests on, with what was said on the way.
pub(crate) async fn read(
    ledger: &Ledger,
    reader: &EvmChain,
    key: u64,
    block: u64,
) -> (Result<(u64, ReadBasis), ChainError>, ReadLog) {
    let log = ReadLog::default();
    let reading = reader.read(ledger.user, U256::from(key), block, &log).await;
    let reading = reading.map(|reading| (reading.value.to(), reading.basis));
    (reading, log)
}

pub(crate) async fn double(ledger: &Ledger, behaviour: Behaviour) -> Double {
    Double::start(ledger.anvil.endpoint(), behaviour).await
}

fn tampers(with: impl Fn(&mut Value) + Send + Sync + 'static) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_getProof" {
            with(&mut response["result"]);
        }
    })
}

/// Answers every question about values with this one: calls, words of storage, and proofs whose
/// last node it changes to match.
pub(crate) fn forges(value: u64) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        let word = |value: u64| format!("{value:064x}");
        match request["method"].as_str() {
            Some("eth_call") => {
                // The entry's block and time stay, which its header would show to be wrong.
                let entry = response["result"]
                    .as_str()
                    .and_then(|words| words.get(66..));
                response["result"] =
                    format!("0x{}{}", word(value), entry.unwrap_or_default()).into();
            }
            Some("eth_getStorageAt") => response["result"] = format!("0x{}", word(value)).into(),
            Some("eth_getProof") => {
                let slot = &mut response["result"]["storageProof"][1];
                slot["value"] = format!("{value:#x}").into();
                if let Some(node) = slot["proof"]
                    .as_array_mut()
                    .and_then(|nodes| nodes.last_mut())
                {
                    let leaf = node.as_str().expect("text");
                    *node = format!("{}{:02x}", &leaf[..leaf.len() - 2], value & 0xff).into();
                }
            }
            _ => {}
        }
    })
}

/// Says that it has no such method.
pub(crate) fn has_no_proofs() -> Behaviour {
    Behaviour::default().tamper(|request, response| {
        if request["method"] == "eth_getProof" {
            fail(response, -32_601, "the method eth_getProof does not exist");
        }
    })
}

#[tokio::test]
async fn one_provider_proves_and_the_others_only_name_the_block() -> TestResult {
    let (ledger, written) = ledger().await?;
    let doubles = [
        double(&ledger, Behaviour::default()).await,
        double(&ledger, Behaviour::default()).await,
        double(&ledger, Behaviour::default()).await,
    ];
    let rpc = doubles.iter().map(|double| double.url.clone()).collect();
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    let (found, log) = read(&ledger, &reader, 7, written).await;
    assert_eq!(found, Ok((100, ReadBasis::Proof)));
    assert_eq!(log.basis(), ReadBasis::Proof);
    assert_eq!(log.read_at(), reader.final_head());
    let count = |method: &str| {
        doubles
            .iter()
            .map(|double| double.count(method))
            .sum::<usize>()
    };
    assert_eq!((count("eth_getProof"), count("eth_call")), (1, 0));
    let proofs: Vec<_> = log
        .replies()
        .into_iter()
        .filter(|w| w.query == QueryKind::Proof)
        .collect();
    assert_eq!(proofs.len(), 1);
    assert_eq!(proofs[0].kind, ReplyKind::Good);
    Ok(())
}

#[tokio::test]
async fn histories_are_proven_entry_by_entry() -> TestResult {
    let ledger = Ledger::start().await?;
    let mut writes = Vec::new();
    for round in 0..30_u64 {
        // Zero is a value, and several writes of one block are one entry.
        writes.push((ledger.set(7, round % 3).await?, round % 3));
        if round % 4 > 0 {
            ledger.anvil.mine(round % 4).await?;
        }
    }
    let reader = reader(&ledger, vec![ledger.url()], Reads::Proof).await;
    let head = reader.final_head().ok_or("no head")?.number;
    for block in 0..=head {
        let expected = match writes.iter().rfind(|(since, _)| *since <= block) {
            Some((_, value)) => Ok((*value, ReadBasis::Proof)),
            None => Err(ChainError::BeforeFirstEntry),
        };
        let (found, log) = read(&ledger, &reader, 7, block).await;
        assert_eq!(found, expected, "block {block}");
        assert_eq!(log.basis(), ReadBasis::Proof, "block {block}");
    }
    // A reader that has seen the key reads its end in one question.
    let double = double(&ledger, Behaviour::default()).await;
    let reader = reader_of(&ledger, vec![double.url.clone()], |_, _| {}).await;
    for _ in 0..2 {
        read(&ledger, &reader, 7, head).await.0?;
        ledger.anvil.mine(1).await?;
        reader.client().refresh().await?;
    }
    assert_eq!(double.count("eth_getProof"), 3, "two, then one");
    Ok(())
}

#[tokio::test]
async fn what_a_state_proves_is_asked_once() -> TestResult {
    let (ledger, written) = ledger().await?;
    let double = double(&ledger, Behaviour::default()).await;
    let reader = reader(&ledger, vec![double.url.clone()], Reads::Auto).await;
    let mut words = Vec::new();
    for block in [written, written + 1, written - 1] {
        let (found, log) = read(&ledger, &reader, 7, block).await;
        let expected = match block < written {
            true => Err(ChainError::BeforeFirstEntry),
            false => Ok((100, ReadBasis::Proof)),
        };
        assert_eq!((found, log.basis()), (expected, ReadBasis::Proof));
        let shown = log.replies().into_iter();
        words.extend(shown.filter(|word| word.query == QueryKind::Proof));
    }
    assert_eq!(double.count("eth_getProof"), 1);
    let details: Vec<&str> = words.iter().map(|word| word.detail.as_str()).collect();
    assert_eq!(details, ["", "proven before", "proven before"]);
    for word in &words {
        assert_eq!(
            (&word.provider, word.kind),
            (&words[0].provider, ReplyKind::Good)
        );
    }
    // Another state is another question, and may have another answer.
    let changed = ledger.set(7, 101).await?;
    reader.client().refresh().await?;
    let (found, _) = read(&ledger, &reader, 7, changed).await;
    assert_eq!(found, Ok((101, ReadBasis::Proof)));
    let (found, _) = read(&ledger, &reader, 7, changed - 1).await;
    assert_eq!(found, Ok((100, ReadBasis::Proof)));
    assert!(double.count("eth_getProof") > 1);
    Ok(())
}

/// The last of it may still be on its way when the new state is asked about, but not each time.
#[tokio::test]
async fn what_is_asked_again_and_again_is_proven_ahead() -> TestResult {
    const ROUNDS: u64 = 20;
    let (ledger, written) = ledger().await?;
    let double = double(&ledger, Behaviour::default()).await;
    let often = |config: &mut ChainConfig, _: &mut EvmSettings| {
        config.poll_interval = Duration::from_millis(50);
    };
    let reader = Arc::new(reader_of(&ledger, vec![double.url.clone()], often).await);
    let _running = follow(&reader);
    read(&ledger, &reader, 7, written).await.0?;
    for value in 101..=100 + ROUNDS {
        let before = double.count("eth_getProof");
        let changed = ledger.set(7, value).await?;
        eventually("a proof that nobody asked for", || async {
            double.count("eth_getProof") > before
        })
        .await;
        let (found, log) = read(&ledger, &reader, 7, changed).await;
        assert_eq!(found, Ok((value, ReadBasis::Proof)));
        let proven = |word: &ProviderReply| word.detail == "proven before";
        if log.replies().iter().any(proven) {
            return Ok(());
        }
    }
    panic!("never proven before in {ROUNDS} states");
}

#[tokio::test]
async fn that_there_is_nothing_is_proven() -> TestResult {
    let (ledger, written) = ledger().await?;
    let reader = reader(&ledger, vec![ledger.url()], Reads::Proof).await;
    // Before an entry was proven the contract itself is asked, too.
    for _ in 0..2 {
        let (found, log) = read(&ledger, &reader, 8, written).await;
        assert_eq!(
            (found, log.basis()),
            (Err(ChainError::NoHistory), ReadBasis::Proof)
        );
        read(&ledger, &reader, 7, written).await.0?;
    }
    let (found, log) = read(&ledger, &reader, 7, written - 1).await;
    assert_eq!(
        (found, log.basis()),
        (Err(ChainError::BeforeFirstEntry), ReadBasis::Proof)
    );
    Ok(())
}

/// Whoever asks these providers and one honest one reads the truth; `lies` of the others are seen.
async fn truth_of_one(behaviours: Vec<Behaviour>, said: ReplyKind) -> TestResult {
    let (ledger, written) = ledger().await?;
    let mut doubles = Vec::new();
    for behaviour in behaviours {
        doubles.push(double(&ledger, behaviour).await);
    }
    let mut rpc: Vec<RpcUrl> = doubles.iter().map(|double| double.url.clone()).collect();
    rpc.push(ledger.url());
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    let mut seen = 0;
    for _ in 0..8 {
        let (found, log) = read(&ledger, &reader, 7, written).await;
        assert_eq!(found, Ok((100, ReadBasis::Proof)));
        seen += log
            .replies()
            .iter()
            .filter(|word| word.kind == said)
            .count();
    }
    assert!(seen > 0, "nobody saw {said}");
    if said == ReplyKind::False {
        let status = reader.client().status();
        let lies: u64 = status.providers.iter().map(|provider| provider.lies).sum();
        assert!(lies > 0);
        let told = |problem: &Option<String>| {
            problem
                .as_deref()
                .is_some_and(|p| p.contains("false proof"))
        };
        assert!(
            status
                .providers
                .iter()
                .any(|provider| told(&provider.problem))
        );
    }
    Ok(())
}

#[tokio::test]
async fn forged_values_never_count_not_even_by_all_but_one() -> TestResult {
    truth_of_one(
        vec![forges(66), forges(66), forges(66), forges(66)],
        ReplyKind::False,
    )
    .await
}

#[tokio::test]
async fn proofs_of_another_account_are_noticed() -> TestResult {
    let (ledger, _) = ledger().await?;
    let other = ledger.anvil.accounts()[3];
    let elsewhere = Behaviour::default().ask(move |request| {
        if request["method"] == "eth_getProof" {
            request["params"][0] = json!(other);
        }
    });
    drop(ledger);
    truth_of_one(vec![elsewhere], ReplyKind::False).await
}

#[tokio::test]
async fn proofs_of_another_state_are_noticed() -> TestResult {
    // It answers for its own newest block, whatever is asked for.
    let stale = Behaviour::default().ask(|request| {
        if request["method"] == "eth_getProof" {
            request["params"][2] = json!("0x1");
        }
    });
    truth_of_one(vec![stale], ReplyKind::False).await
}

#[tokio::test]
async fn short_long_and_empty_proofs_are_noticed() -> TestResult {
    let cuts = tampers(|result| {
        if let Some(nodes) = result["storageProof"][0]["proof"].as_array_mut() {
            nodes.pop();
        }
    });
    truth_of_one(vec![cuts], ReplyKind::False).await?;
    let adds = tampers(|result| {
        if let Some(nodes) = result["storageProof"][2]["proof"].as_array_mut() {
            let first = nodes[0].clone();
            nodes.extend(vec![first; 70]);
        }
    });
    truth_of_one(vec![adds], ReplyKind::False).await?;
    let empties = tampers(|result| result["accountProof"] = json!([]));
    truth_of_one(vec![empties], ReplyKind::False).await?;
    let huge =
        tampers(|result| result["accountProof"] = json!(["0x".to_owned() + &"00".repeat(600_000)]));
    truth_of_one(vec![huge], ReplyKind::Malformed).await?;
    truth_of_one(
        vec![tampers(|result| *result = json!(null))],
        ReplyKind::Malformed,
    )
    .await
}

#[tokio::test]
async fn who_has_old_state_only_or_none_just_fails() -> TestResult {
    let pruned = Behaviour::default().tamper(|request, response| {
        if request["method"] == "eth_getProof" {
            fail(
                response,
                -32_000,
                "distance to target block exceeds maximum proof window",
            );
        }
    });
    truth_of_one(vec![pruned], ReplyKind::Error).await?;
    truth_of_one(vec![has_no_proofs(), has_no_proofs()], ReplyKind::NoProofs).await
}

#[tokio::test]
async fn one_that_hangs_costs_little() -> TestResult {
    let (ledger, written) = ledger().await?;
    let slow = double(&ledger, Behaviour::default()).await;
    let rpc = vec![slow.url.clone(), ledger.url(), ledger.url()];
    let reader = reader(&ledger, rpc, Reads::Auto).await;
    read(&ledger, &reader, 7, written).await.0?;
    slow.hang();
    let asked = Instant::now();
    let mut waited = 0;
    for key in 100..112 {
        let (found, log) = read(&ledger, &reader, key, written).await;
        assert_eq!(found, Err(ChainError::NoHistory));
        assert_eq!(log.basis(), ReadBasis::Proof);
        waited += log
            .replies()
            .iter()
            .filter(|word| word.kind == ReplyKind::NoneYet)
            .count();
    }
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    assert_eq!(waited, 1, "it was asked last afterwards");
    Ok(())
}

#[tokio::test]
async fn a_wrong_slot_of_the_mapping_is_named() -> TestResult {
    let (ledger, written) = ledger().await?;
    let wrong = reader_of(&ledger, vec![ledger.url()], |_, settings| {
        settings.history_slot = U256::from(3)
    })
    .await;
    let error = read(&ledger, &wrong, 7, written)
        .await
        .0
        .expect_err("no entries there");
    assert!(matches!(error, ChainError::Layout { .. }), "{error}");
    assert!(error.is_misconfiguration() && !error.is_retryable());
    assert!(error.to_string().contains("history_slot"), "{error}");
    // Where there is nothing, nothing can be said of the slot.
    assert_eq!(
        read(&ledger, &wrong, 8, written).await.0,
        Err(ChainError::NoHistory)
    );
    Ok(())
}

#[tokio::test]
async fn strangers_and_other_keys_do_not_mix() -> TestResult {
    let (ledger, written) = ledger().await?;
    let other = ledger.anvil.accounts()[1];
    let theirs = [(U256::from(7), U256::from(300))];
    let block = ledger
        .anvil
        .set_values(ledger.state_manager, other, &theirs)
        .await?;
    let reader = reader(&ledger, vec![ledger.url()], Reads::Proof).await;
    let log = ReadLog::default();
    let value = async |user: Address, key: u64, block| {
        let reading = reader.read(user, U256::from(key), block, &log).await;
        reading.map(|reading| reading.value.to::<u64>())
    };
    assert_eq!(value(ledger.user, 7, block).await, Ok(100));
    assert_eq!(value(ledger.user, 1, block).await, Ok(5));
    assert_eq!(value(other, 7, block).await, Ok(300));
    assert_eq!(
        value(other, 7, written).await,
        Err(ChainError::BeforeFirstEntry)
    );
    assert_eq!(value(other, 1, block).await, Err(ChainError::NoHistory));
    Ok(())
}
