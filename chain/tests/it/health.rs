//! Who runs the providers, and how each of them fares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy::primitives::Address;
use quorate_chain::evm::{EvmChain, EvmClient, EvmSettings, Reads};
use quorate_chain::providers::ProviderConfig;
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{
    ChainClient, ChainError, Finality, ProviderHealth, ProviderStatus, StateReader,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::double::{Behaviour, Double};
use crate::support::{
    Background, DEADLINE, Ledger, TestResult, chain_config, dead, distinct, eventually, follow,
    hanging,
};

const AT_ONCE: Finality = Finality::Confirmations(0);

fn providers(rpc: Vec<RpcUrl>, runners: &[&str]) -> Vec<ProviderConfig> {
    let labelled = |(url, by): (RpcUrl, &&str)| ProviderConfig {
        by: Some((*by).to_owned()),
        ..ProviderConfig::from(url)
    };
    distinct(rpc)
        .into_iter()
        .zip(runners)
        .map(labelled)
        .collect()
}

async fn connect(ledger: &Ledger, rpc: Vec<RpcUrl>, runners: &[&str]) -> EvmChain {
    let mut config = chain_config(ledger.anvil.chain_id(), Vec::new(), AT_ONCE);
    config.rpc = providers(rpc, runners);
    // What a vote says, also where one provider alone could prove it.
    let settings = EvmSettings {
        reads: Reads::Vote,
        ..EvmSettings::default()
    };
    EvmChain::connect(&config, settings, ledger.state_manager)
        .await
        .expect("a reader")
}

/// Something that can be switched on.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn on(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn off(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// From when it is switched on, tells of another chain: one block more, and another hash for each.
fn poisoned(switch: &Switch) -> Behaviour {
    let switch = switch.clone();
    Behaviour::default().tamper(move |request, response| {
        if !switch.is_on() {
            return;
        }
        if request["method"] == "eth_blockNumber" {
            response["result"] = json!("0x1000");
        }
        if response["result"]["parentHash"].is_string() {
            response["result"]["number"] = request["params"][0].clone();
            if request["params"][0] == "latest" {
                response["result"]["number"] = json!("0x1000");
            }
            response["result"]["hash"] = json!(format!("0x{}", "66".repeat(32)));
        }
        if request["method"] == "eth_call" {
            let word = |value: u64| format!("{value:064x}");
            response["result"] = format!("0x{}{}{}", word(666), word(1), word(1)).into();
        }
    })
}

fn limited(switch: &Switch) -> Behaviour {
    let switch = switch.clone();
    Behaviour::default()
        .refuse(move |_: &Value| switch.is_on().then(|| (429, "slow down".to_owned())))
}

/// Three providers: an honest one, and two of one runner that tell the same lies.
struct Attack {
    ledger: Ledger,
    lies: Switch,
    flood: Switch,
    honest: Double,
    _liars: [Double; 2],
    reader: EvmChain,
    written: u64,
}

impl Attack {
    async fn prepare() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let ledger = Ledger::start().await?;
        let written = ledger.set(7, 100).await?;
        let (lies, flood) = (Switch::default(), Switch::default());
        let endpoint = || ledger.anvil.endpoint();
        let honest = Double::start(endpoint(), limited(&flood)).await;
        let liars = [
            Double::start(endpoint(), poisoned(&lies)).await,
            Double::start(endpoint(), poisoned(&lies)).await,
        ];
        let rpc = vec![
            honest.url.clone(),
            liars[0].url.clone(),
            liars[1].url.clone(),
        ];
        let reader = connect(&ledger, rpc, &["own", "acme", "acme"]).await;
        assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
        Ok(Self {
            ledger,
            lies,
            flood,
            honest,
            _liars: liars,
            reader,
            written,
        })
    }

    /// What is believed of the values, and of a block that only the liars have.
    async fn believed(&self) -> [Result<u64, ChainError>; 2] {
        [
            self.ledger.value(&self.reader, 7, self.written).await,
            self.ledger.value(&self.reader, 7, 0x1000).await,
        ]
    }
}

#[tokio::test]
async fn two_liars_of_one_runner_are_not_believed_while_the_honest_one_is_flooded() -> TestResult {
    for hangs in [false, true] {
        let attack = Attack::prepare().await?;
        let truth = attack.reader.final_head();
        attack.lies.on();
        if hangs {
            attack.honest.hang();
        } else {
            attack.flood.on();
        }
        for answer in attack.believed().await {
            let error = answer.expect_err("nothing is known");
            assert!(matches!(error, ChainError::Unavailable { .. }), "{error}");
            assert!(error.is_retryable());
            let text = error.to_string();
            assert!(
                text.contains("2, run by 2 different ones, must agree"),
                "{text}"
            );
            assert!(text.contains("(acme) and http://127.0.0.1"), "{text}");
            let honest = format!("{} (own)", attack.honest.url);
            assert!(text.contains(&honest), "{text}");
        }
        assert_eq!(
            attack.reader.final_head(),
            truth,
            "the head stays where it was"
        );

        attack.reader.client().examine().await;
        let providers = attack.reader.providers();
        assert_eq!(providers.spare, None);
        assert_eq!(
            (
                providers.providers.len(),
                providers.required,
                providers.min_runners
            ),
            (3, 2, 2)
        );
        let expected = if hangs {
            ProviderHealth::Hanging
        } else {
            ProviderHealth::RateLimited
        };
        assert_eq!(providers.providers[0].health, expected);
    }
    Ok(())
}

#[tokio::test]
async fn who_lies_against_the_quorum_is_told() -> TestResult {
    let attack = Attack::prepare().await?;
    attack.lies.on();
    // The honest one is there: they contradict each other, and nobody can be believed.
    let [value, _] = attack.believed().await;
    let error = value.expect_err("nothing is known");
    assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");
    attack.lies.off();
    assert_eq!(
        attack.ledger.value(&attack.reader, 7, attack.written).await,
        Ok(100)
    );
    Ok(())
}

/// What a provider becomes after some checks, between which the chain grows.
async fn becomes(ledger: &Ledger, client: &EvmClient, rounds: usize) -> ProviderStatus {
    for _ in 0..rounds {
        ledger.anvil.mine(1).await.expect("a block");
        client.refresh().await.expect("a head");
        client.examine().await;
    }
    client.status().providers.remove(2)
}

/// Each with the standing that it makes, and a part of what is said about it.
fn ways_to_fail() -> Vec<(Behaviour, ProviderHealth, &'static str)> {
    let syncing = |request: &Value, response: &mut Value| {
        if request["method"] == "eth_syncing" {
            response["result"] = json!({"currentBlock": "0x1", "highestBlock": "0x9"});
        }
    };
    let frozen = |request: &Value, response: &mut Value| {
        if request["method"] == "eth_blockNumber" {
            response["result"] = json!("0x1");
        }
    };
    let other_hash = |_: &Value, response: &mut Value| {
        if response["result"]["parentHash"].is_string() {
            response["result"]["hash"] = json!(format!("0x{}", "66".repeat(32)));
        }
    };
    let garbled = |request: &Value, response: &mut Value| {
        if request["method"] == "eth_getBlockByNumber" {
            response["result"] = json!({"number": "nine"});
        }
    };
    let busy = |_: &Value| Some((503, "<html>".to_owned()));
    vec![
        (Behaviour::default(), ProviderHealth::Ok, ""),
        (
            Behaviour::default().tamper(syncing),
            ProviderHealth::Syncing,
            "syncing",
        ),
        (
            Behaviour::default().tamper(frozen),
            ProviderHealth::Lagging,
            "blocks behind",
        ),
        (
            Behaviour::default().tamper(other_hash),
            ProviderHealth::Contradicts,
            "where the quorum",
        ),
        (
            Behaviour::default().tamper(garbled),
            ProviderHealth::Failing,
            "makes no sense",
        ),
        (
            Behaviour::default().refuse(busy),
            ProviderHealth::Failing,
            "HTTP status 503",
        ),
    ]
}

#[tokio::test]
async fn every_way_to_fail_has_its_standing() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.set(7, 100).await?;
    for (behaviour, expected, why) in ways_to_fail() {
        let double = Double::start(ledger.anvil.endpoint(), behaviour).await;
        let rpc = vec![ledger.url(), ledger.url(), double.url.clone()];
        let reader = connect(&ledger, rpc, &["a", "b", "c"]).await;
        let status = becomes(&ledger, reader.client(), 5).await;
        assert_eq!(status.health, expected, "{status:?}");
        assert!(
            status.problem.clone().unwrap_or_default().contains(why),
            "{status:?}"
        );
        let spare = reader.providers().spare;
        assert_eq!(
            spare,
            Some(usize::from(expected == ProviderHealth::Ok)),
            "{expected}"
        );
    }

    let (hangs, _listener) = hanging().await;
    for (url, expected) in [
        (dead().await, ProviderHealth::Failing),
        (hangs, ProviderHealth::Hanging),
    ] {
        let rpc = vec![ledger.url(), ledger.url(), url];
        let reader = connect(&ledger, rpc, &["a", "b", "c"]).await;
        let status = becomes(&ledger, reader.client(), 1).await;
        assert_eq!(status.health, expected, "{status:?}");
        assert!(
            status.requests[0] == 0 && status.error_rate == Some(1.0),
            "{status:?}"
        );
        assert_eq!(status.latency_p50, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_syncing_provider_is_a_no() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    let sync = |request: &Value, response: &mut Value| {
        if request["method"] == "eth_syncing" {
            response["result"] = json!({"currentBlock": "0x1"});
        }
    };
    let double = Double::start(ledger.anvil.endpoint(), Behaviour::default().tamper(sync)).await;
    let reader = connect(&ledger, vec![ledger.url(), double.url.clone()], &["a", "b"]).await;
    let error = ledger
        .value(&reader, 7, written)
        .await
        .expect_err("no quorum")
        .to_string();
    assert!(error.contains("(b) is still syncing"), "{error}");
    Ok(())
}

#[tokio::test]
async fn one_that_turns_to_another_chain_is_put_out() -> TestResult {
    let ledger = Ledger::start().await?;
    let written = ledger.set(7, 100).await?;
    let turned = Switch::default();
    let other = turned.clone();
    let turns = Behaviour::default().tamper(move |request, response| {
        if request["method"] == "eth_chainId" && other.is_on() {
            response["result"] = json!("0x1092");
        }
    });
    let double = Double::start(ledger.anvil.endpoint(), turns).await;
    let rpc = vec![ledger.url(), double.url.clone()];
    let reader = Arc::new(connect(&ledger, rpc, &["a", "b"]).await);
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));

    turned.on();
    let running = Arc::clone(&reader).run(CancellationToken::new());
    let running = tokio::spawn(running);
    let standing = || reader.providers().providers[1].health;
    eventually("it is put out", || async {
        standing() == ProviderHealth::WrongChain
    })
    .await;
    let error = ledger
        .value(&reader, 7, written)
        .await
        .expect_err("no quorum")
        .to_string();
    assert!(error.contains("(b) serves chain 4242"), "{error}");
    assert!(!running.is_finished(), "a node does not end for that");

    turned.off();
    eventually("it is back", || async { standing() == ProviderHealth::Ok }).await;
    assert_eq!(ledger.value(&reader, 7, written).await, Ok(100));
    running.abort();
    Ok(())
}

#[tokio::test]
async fn a_hanging_provider_does_not_hold_up_the_checks_of_others() -> TestResult {
    let ledger = Ledger::start().await?;
    ledger.set(7, 100).await?;
    let (hangs, _listener) = hanging().await;
    let rpc = vec![hangs, ledger.url(), ledger.url()];
    let reader = Arc::new(timeout(DEADLINE, connect(&ledger, rpc, &["a", "b", "c"])).await?);
    let _running: Background = follow(&reader);
    let client = reader.client();
    eventually("its standing is known", || async {
        client.status().providers[0].health == ProviderHealth::Hanging
    })
    .await;
    let status = client.status();
    for other in &status.providers[1..] {
        assert_eq!(other.health, ProviderHealth::Ok, "{other:?}");
        assert!(
            other
                .latency_p99
                .is_some_and(|p99| p99 < Duration::from_secs(1)),
            "{other:?}"
        );
    }
    assert_eq!(reader.providers().spare, Some(0));
    Ok(())
}

#[tokio::test]
async fn settings_that_would_let_a_minority_decide_are_refused() -> TestResult {
    let urls: Vec<RpcUrl> = (1..=3)
        .map(|n| format!("https://h{n}.example.org/topsecret").parse())
        .collect::<Result<_, _>>()?;
    let table = [
        (Some(1), None, ["a", "b", "c"], "set 2 to 3"),
        (Some(4), None, ["a", "b", "c"], "set 2 to 3"),
        (None, Some(3), ["a", "b", "c"], "set 1 to 2"),
        (None, Some(2), ["a", "a", "a"], "run by a; set 1 to 1"),
    ];
    for (quorum, min_runners, runners, expected) in table {
        let mut config = chain_config(1, Vec::new(), AT_ONCE);
        config.rpc = providers(urls.clone(), &runners);
        config.quorum = quorum;
        config.min_runners = min_runners;
        let error = EvmChain::connect(&config, EvmSettings::default(), Address::ZERO)
            .await
            .err()
            .expect("refused");
        assert!(error.is_misconfiguration(), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(expected) && !error.contains("topsecret"),
            "{error}"
        );
    }
    Ok(())
}
