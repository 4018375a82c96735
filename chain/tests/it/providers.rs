//! Providers that are dead, hang, lie or serve another chain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_chain::anvil::AnvilOptions;
use quorate_chain::evm::{EvmChain, EvmSettings};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{At, ChainError, Finality, ProviderHealth, StateReader};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::double::{Behaviour, Double};
use crate::support::{
    DEADLINE, Ledger, TestResult, chain_config, dead, eventually, follow, hanging, url_of,
};

const AT_ONCE: Finality = Finality::Confirmations(0);

/// Well above what a local read takes, well below the timeout of a call.
const SOON: Duration = Duration::from_millis(1_500);

fn is_unavailable(result: &Result<u64, ChainError>) -> bool {
    let Err(error) = result else { return false };
    let known = matches!(
        error,
        ChainError::Unavailable { .. } | ChainError::NotProven { .. }
    );
    known && error.is_retryable()
}

fn word(value: u64) -> String {
    format!("{value:064x}")
}

/// Answers reads with another value.
fn lies_about_values(value: u64) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_call" {
            response["result"] = format!("0x{}{}{}", word(value), word(1), word(1)).into();
        }
    })
}

/// Reports another hash for every block.
fn lies_about_hashes() -> Behaviour {
    Behaviour::default().tamper(|_, response| {
        if response["result"]["parentHash"].is_string() {
            response["result"]["hash"] = json!(format!("0x{}", "66".repeat(32)));
        }
    })
}

/// Reports this height as the newest.
fn lies_about_height(height: u64) -> Behaviour {
    Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_blockNumber" {
            response["result"] = json!(format!("{height:#x}"));
        }
    })
}

async fn ledger() -> Result<(Ledger, u64), Box<dyn std::error::Error + Send + Sync>> {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    ledger.anvil.mine(5).await?;
    Ok((ledger, written))
}

#[tokio::test]
async fn alone_and_dead() -> TestResult {
    let (ledger, written) = ledger().await?;
    let reader = ledger.reader_over(vec![dead().await], AT_ONCE).await;
    let asked = Instant::now();
    let value = ledger.value(&reader, 7, written).await;
    assert!(is_unavailable(&value), "{value:?}");
    assert!(asked.elapsed() < SOON);
    assert!(reader.client().status().providers[0].problem.is_some());
    Ok(())
}

#[tokio::test]
async fn alone_and_hanging() -> TestResult {
    let (ledger, written) = ledger().await?;
    let (url, _listener) = hanging().await;
    let reader = timeout(DEADLINE, ledger.reader_over(vec![url], AT_ONCE)).await?;
    let value = timeout(DEADLINE, ledger.value(&reader, 7, written)).await?;
    assert!(is_unavailable(&value), "{value:?}");
    Ok(())
}

#[tokio::test]
async fn alone_and_hanging_later() -> TestResult {
    let (ledger, written) = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    double.hang();
    let asked = Instant::now();
    let value = ledger.value(&reader, 1, written).await;
    assert!(is_unavailable(&value), "{value:?}");
    assert!(
        asked.elapsed() < Duration::from_millis(2_900),
        "{:?}",
        asked.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn of_two_both_must_answer() -> TestResult {
    let (ledger, written) = ledger().await?;
    let both = ledger
        .reader_over(vec![ledger.url(), ledger.url()], AT_ONCE)
        .await;
    assert_eq!(ledger.value(&both, 7, written).await, Ok(100));

    let one = ledger
        .reader_over(vec![ledger.url(), dead().await], AT_ONCE)
        .await;
    let value = ledger.value(&one, 7, written).await;
    assert!(is_unavailable(&value), "n shrank: {value:?}");

    let liar = Double::start(ledger.anvil.endpoint(), lies_about_values(666)).await;
    let contradicted = ledger
        .voter_over(vec![ledger.url(), liar.url.clone()], AT_ONCE)
        .await;
    let value = ledger.value(&contradicted, 7, written).await;
    assert!(
        matches!(value, Err(ChainError::Disagreement { .. })),
        "{value:?}"
    );
    Ok(())
}

/// Two good providers beside this one read the truth, and soon.
async fn outvoted(ledger: &Ledger, written: u64, third: RpcUrl) -> TestResult {
    for place in 0..3 {
        let mut rpc = vec![ledger.url(), ledger.url()];
        rpc.insert(place, third.clone());
        let reader = ledger.voter_over(rpc, AT_ONCE).await;
        let asked = Instant::now();
        assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
        let next = ledger.set(8, 1).await?;
        assert_eq!(
            ledger.value(&reader, 8, next).await,
            Ok(1),
            "sees new blocks"
        );
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn of_three_one_may_be_dead() -> TestResult {
    let (ledger, written) = ledger().await?;
    outvoted(&ledger, written, dead().await).await
}

#[tokio::test]
async fn of_three_one_may_hang() -> TestResult {
    let (ledger, written) = ledger().await?;
    let (url, _listener) = hanging().await;
    outvoted(&ledger, written, url).await
}

#[tokio::test]
async fn of_three_one_may_hang_later() -> TestResult {
    let (ledger, written) = ledger().await?;
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default()).await;
    let rpc = vec![double.url.clone(), ledger.url(), ledger.url()];
    let reader = ledger.voter_over(rpc, AT_ONCE).await;
    double.hang();
    let asked = Instant::now();
    for round in 0..5 {
        assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
        let next = ledger.set(8, round).await?;
        assert_eq!(ledger.value(&reader, 8, next).await, Ok(round));
    }
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let problem = reader.client().status().providers[0].problem.clone();
    assert!(problem.is_some(), "it is known that it hangs");
    Ok(())
}

#[tokio::test]
async fn of_three_one_may_lie_about_values() -> TestResult {
    let (ledger, written) = ledger().await?;
    let liar = Double::start(ledger.anvil.endpoint(), lies_about_values(666)).await;
    outvoted(&ledger, written, liar.url.clone()).await
}

#[tokio::test]
async fn of_three_one_may_lie_about_hashes() -> TestResult {
    let (ledger, written) = ledger().await?;
    let liar = Double::start(ledger.anvil.endpoint(), lies_about_hashes()).await;
    outvoted(&ledger, written, liar.url.clone()).await
}

#[tokio::test]
async fn of_three_two_must_not_fail() -> TestResult {
    let (ledger, written) = ledger().await?;
    let two_dead = vec![dead().await, ledger.url(), dead().await];
    let reader = ledger.reader_over(two_dead, AT_ONCE).await;
    let value = ledger.value(&reader, 7, written).await;
    assert!(is_unavailable(&value), "{value:?}");

    let one = Double::start(ledger.anvil.endpoint(), lies_about_values(666)).await;
    let other = Double::start(ledger.anvil.endpoint(), lies_about_values(667)).await;
    let liars = vec![one.url.clone(), ledger.url(), other.url.clone()];
    let reader = ledger.voter_over(liars, AT_ONCE).await;
    let value = ledger.value(&reader, 7, written).await;
    assert!(
        matches!(value, Err(ChainError::Disagreement { .. })),
        "{value:?}"
    );
    Ok(())
}

#[tokio::test]
async fn no_one_alone_moves_the_head() -> TestResult {
    let (ledger, _) = ledger().await?;
    let height = ledger.anvil.height().await?;
    for claimed in [0, 3, height - 1, height + 1, 1 << 40, u64::MAX] {
        let liar = Double::start(ledger.anvil.endpoint(), lies_about_height(claimed)).await;
        let rpc = vec![ledger.url(), liar.url.clone(), ledger.url()];
        let reader = ledger.reader_over(rpc, Finality::Confirmations(1)).await;
        let head = reader.final_head().map(|head| head.number);
        assert_eq!(head, Some(height - 1), "one claims {claimed}");
    }
    Ok(())
}

#[tokio::test]
async fn no_one_alone_makes_a_block_final() -> TestResult {
    let (ledger, _) = ledger().await?;
    ledger.anvil.mine(100).await?;
    let truth = ledger.reader(Finality::Finalized).await.final_head();
    for claimed in [0, 3, 104, 1u64 << 40] {
        let forged = Behaviour::default().tamper(move |request, response| {
            if request["params"][0] == "finalized" {
                response["result"]["number"] = json!(format!("{claimed:#x}"));
                response["result"]["hash"] = json!(format!("0x{}", "66".repeat(32)));
            }
        });
        let liar = Double::start(ledger.anvil.endpoint(), forged).await;
        let rpc = vec![ledger.url(), liar.url.clone(), ledger.url()];
        let reader = ledger.reader_over(rpc, Finality::Finalized).await;
        assert_eq!(reader.final_head(), truth, "one claims {claimed}");
    }
    Ok(())
}

/// Whoever runs a provider must not be able to keep a node from starting.
#[tokio::test]
async fn another_chain_is_a_no_at_the_start() -> TestResult {
    let (ledger, written) = ledger().await?;
    let turns = || {
        Behaviour::default().tamper(|request, response| {
            if request["method"] == "eth_chainId" {
                response["result"] = json!("0x1");
            }
        })
    };
    let endpoint = || ledger.anvil.endpoint();
    let one = Double::start(endpoint(), turns()).await;
    let other = Double::start(endpoint(), turns()).await;
    let three = vec![ledger.url(), one.url.clone(), ledger.url()];
    let reader = ledger.reader_over(three, AT_ONCE).await;
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    let providers = reader.providers();
    assert_eq!(providers.providers[1].health, ProviderHealth::WrongChain);
    let problem = providers.providers[1].problem.as_deref();
    assert_eq!(problem, Some("serves chain 1"));
    assert_eq!(providers.spare, Some(0));

    let all = vec![one.url.clone(), other.url.clone()];
    let reader = Arc::new(ledger.reader_over(all, AT_ONCE).await);
    let running = tokio::spawn(Arc::clone(&reader).run(CancellationToken::new()));
    let error = ledger.value(&reader, 7, written).await.expect_err("none");
    let text = error.to_string();
    assert!(
        error.is_retryable() && text.contains("serves chain 1"),
        "{text}"
    );
    assert_eq!(reader.providers().spare, None);
    assert!(!running.is_finished());
    running.abort();
    Ok(())
}

/// A port at which nobody listens until the double starts.
async fn reserved() -> Result<(std::net::SocketAddr, RpcUrl), std::io::Error> {
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    Ok((address, url_of(address, "")))
}

#[tokio::test]
async fn a_provider_that_was_down_counts_once_it_is_up() -> TestResult {
    let (ledger, written) = ledger().await?;
    let (address, url) = reserved().await?;
    let reader = Arc::new(ledger.reader_over(vec![ledger.url(), url], AT_ONCE).await);
    assert!(is_unavailable(&ledger.value(&reader, 7, written).await));

    let listener = TcpListener::bind(address).await?;
    let _double = Double::start_on(listener, ledger.anvil.endpoint(), Behaviour::default());
    let _running = follow(&reader);
    eventually("both count", || async {
        ledger.value(&reader, 7, written).await == Ok(100)
    })
    .await;
    let providers = reader.client().status().providers;
    assert!(
        providers.iter().all(|provider| provider.problem.is_none()),
        "{providers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_late_provider_of_another_chain_never_counts() -> TestResult {
    let (ledger, written) = ledger().await?;
    let other = Ledger::start_with(AnvilOptions {
        chain_id: 4_242,
        ..AnvilOptions::default()
    })
    .await?;
    let (address, url) = reserved().await?;
    let of_two = Arc::new(
        ledger
            .reader_over(vec![ledger.url(), url.clone()], AT_ONCE)
            .await,
    );
    let of_three = vec![ledger.url(), url, ledger.url()];
    let of_three = Arc::new(ledger.reader_over(of_three, AT_ONCE).await);

    let listener = TcpListener::bind(address).await?;
    let _double = Double::start_on(listener, other.anvil.endpoint(), Behaviour::default());
    for reader in [&of_two, &of_three] {
        let _running = follow(reader);
        let is_named = || {
            let problem = reader.client().status().providers.remove(1).problem;
            problem.is_some_and(|problem| problem.contains("4242"))
        };
        eventually("the wrong chain is named", || async { is_named() }).await;
    }
    assert!(is_unavailable(&ledger.value(&of_two, 7, written).await));
    assert_eq!(ledger.value(&of_three, 7, written).await, Ok(100));
    Ok(())
}

#[tokio::test]
async fn secrets_of_urls_never_show() -> TestResult {
    let (ledger, written) = ledger().await?;
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let secret: RpcUrl =
        format!("http://me:hunter22@{address}/v3/topsecret?key=topsecret").parse()?;
    let leak = Behaviour::default().tamper(|request, response| {
        if request["method"] != "eth_chainId" {
            crate::support::double::fail(response, -1, "bad key topsecret");
        }
    });
    let double = Double::start(ledger.anvil.endpoint(), leak).await;
    let echo = format!("{}?key=topsecret", double.url).parse()?;

    for rpc in [secret, echo] {
        let config = chain_config(ledger.anvil.chain_id(), vec![rpc], AT_ONCE);
        assert!(!format!("{config:?}").contains("secret"));
        let reader =
            EvmChain::connect(&config, EvmSettings::default(), ledger.state_manager).await?;
        let error = reader
            .locate(At::Block(written))
            .await
            .expect_err("no provider");
        let shown = format!("{error} {error:?} {:?}", reader.client().status());
        assert!(
            !shown.contains("topsecret") && !shown.contains("hunter22"),
            "{shown}"
        );
        assert!(shown.contains("http://127.0.0.1:"), "{shown}");
    }
    Ok(())
}

#[tokio::test]
async fn garbage_is_refused() -> TestResult {
    let (ledger, written) = ledger().await?;
    let garbage: [(u16, Value); 4] = [
        (200, json!("<html>busy</html>")),
        (
            200,
            json!({"jsonrpc": "2.0", "id": 0, "result": {"number": "0x1"}}),
        ),
        (502, json!(null)),
        (429, json!({"message": "slow down"})),
    ];
    for (status, body) in garbage {
        let text = body.to_string();
        let is_head = |request: &Value| request["method"] == "eth_getBlockByNumber";
        let refuse = move |request: &Value| is_head(request).then(|| (status, text.clone()));
        let double =
            Double::start(ledger.anvil.endpoint(), Behaviour::default().refuse(refuse)).await;
        let reader = ledger.reader_over(vec![double.url.clone()], AT_ONCE).await;
        let value = ledger.value(&reader, 7, written).await;
        assert!(is_unavailable(&value), "{value:?}");
    }
    Ok(())
}
