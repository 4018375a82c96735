//! A family that is not EVM, made of nothing but what all families share: it has slots in place of blocks,
//! names its chain by a hash, and has error codes of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use futures::future::{BoxFuture, FutureExt, join_all};
use quorate_chain::providers::{Provider, ProviderConfig, labels};
use quorate_chain::quorum::{FinalClaim, FinalHead, Pool};
use quorate_chain::rpc::{
    BatchClient, Call, ErrorClass, ProviderError, RpcError, RpcUrl, decode, http_client,
};
use quorate_chain::{
    At, BlockNumbers, BlockRef, CertificateCheck, ChainClient, ChainConfig, ChainEntry, ChainError,
    ChainFamily, Connected, Family, Finality, HomeReader, ProviderHealth, Providers, QueryKind,
    ReadLog, Reading, Rejection, ReplyKind, SettingProblem, StateReader,
};
use quorate_proto::ReadBasis;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Background, TestResult, dead, url_of};

const CHAIN: u64 = 91_024;

/// The settings that only this family knows.
#[derive(Debug)]
struct SlotFamily {
    genesis: &'static str,
}

/// What an error means here: the code by which EVM providers ask for fewer requests says "behind".
fn classify(error: &RpcError) -> ErrorClass {
    match error.code {
        -32_005 => ErrorClass::ThisCall,
        -32_009 => ErrorClass::Answer,
        _ if error.says_rate_limit() => ErrorClass::RateLimit,
        _ => ErrorClass::Other,
    }
}

struct SlotProvider {
    provider: Provider,
    rpc: BatchClient,
}

impl AsRef<Provider> for SlotProvider {
    fn as_ref(&self) -> &Provider {
        &self.provider
    }
}

impl SlotProvider {
    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, ProviderError> {
        let params = params.to_string();
        let answer = self.rpc.call(Call { method, params }).await?;
        decode(&answer, self.rpc.url())
    }

    async fn verify(&self, genesis: &str) {
        let found = self.ask("getGenesisHash", json!([])).await;
        let found = found.map(|hash| hash.as_str().unwrap_or_default().to_owned());
        self.provider.identified(found, &genesis.to_owned());
    }

    async fn slot(&self) -> Result<u64, ProviderError> {
        self.provider.check_counts()?;
        let slot = self.ask("getSlot", json!([{"commitment": "finalized"}]));
        let slot = slot.await?.as_u64();
        slot.ok_or_else(|| ProviderError::malformed("no slot"))
    }

    async fn value(&self, key: U256, slot: u64) -> Result<u64, ProviderError> {
        self.provider.check_counts()?;
        let value = self.ask("getValue", json!([key.to::<u64>(), slot])).await?;
        let value = value.as_u64();
        value.ok_or_else(|| ProviderError::malformed("no value"))
    }
}

impl FinalHead for SlotProvider {
    type Header = u64;

    fn final_claim(
        &self,
        _: Finality,
    ) -> BoxFuture<'_, Result<Option<FinalClaim<u64>>, ProviderError>> {
        async {
            let height = self.slot().await?;
            let header = Some(height);
            Ok(Some(FinalClaim { height, header }))
        }
        .boxed()
    }

    fn describe(&self, height: u64) -> BoxFuture<'_, Result<u64, ProviderError>> {
        async move { Ok(height) }.boxed()
    }

    fn block(slot: &u64) -> BlockRef {
        BlockRef {
            number: *slot,
            hash: B256::from(U256::from(*slot)),
            timestamp: *slot,
        }
    }
}

struct SlotChain {
    pool: Pool<SlotProvider>,
    genesis: &'static str,
    head: Mutex<Option<BlockRef>>,
}

impl SlotChain {
    fn over(config: &ChainConfig, genesis: &'static str) -> Result<Self, ChainError> {
        let http = http_client()?;
        let provider = |(one, label): (&ProviderConfig, String)| {
            let provider = Provider::new(one.clone(), label, config.chain_id);
            let stats = provider.stats().clone();
            let rpc = BatchClient::new(http.clone(), one.url.clone(), stats, classify);
            SlotProvider { provider, rpc }
        };
        let providers = config.rpc.iter().zip(labels(&config.rpc)).map(provider);
        Ok(Self {
            pool: Pool::new(providers.collect(), config.rule()?),
            genesis,
            head: Mutex::default(),
        })
    }
}

impl ChainClient for SlotChain {
    fn connect(&self) -> BoxFuture<'_, ()> {
        self.examine()
    }

    fn examine(&self) -> BoxFuture<'_, ()> {
        let verified = self.pool.providers().iter().map(|p| p.verify(self.genesis));
        join_all(verified).map(drop).boxed()
    }

    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        async {
            let head = self.pool.final_head(Finality::Finalized).await?;
            let head = head.map(|slot| SlotProvider::block(&slot));
            *self.head.lock().expect("no panic") = head;
            head.ok_or(ChainError::NotFinal {
                asked: At::Block(0),
                final_block: None,
            })
        }
        .boxed()
    }

    fn providers(&self) -> Providers {
        self.pool.status(false)
    }
}

impl StateReader for SlotChain {
    fn chain_id(&self) -> u64 {
        CHAIN
    }

    fn final_head(&self) -> Option<BlockRef> {
        *self.head.lock().expect("no panic")
    }

    fn agreed_ago(&self) -> Option<Duration> {
        None
    }

    fn locate(&self, _: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        self.refresh()
    }

    fn read<'a>(
        &'a self,
        _: Address,
        key: U256,
        slot: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        async move {
            let read_at = self.refresh().await?;
            let question = |_, provider: &'a SlotProvider| provider.value(key, slot);
            let value = self
                .pool
                .ask_noting(log, QueryKind::Value, question, |_, _| true);
            Ok(Reading {
                value: U256::from(value.await?),
                block: SlotProvider::block(&slot),
                read_at,
                basis: ReadBasis::Vote,
            })
        }
        .boxed()
    }
}

impl Family for SlotFamily {
    fn kind(&self) -> ChainFamily {
        ChainFamily::Svm
    }

    fn configured(
        &self,
        _: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Family>, Vec<SettingProblem>> {
        Ok(Arc::new(Self {
            genesis: self.genesis,
        }))
    }

    fn entry(&self, genesis: B256, state_manager: B256) -> ChainEntry {
        ChainEntry {
            family: ChainFamily::Svm,
            block_numbers: BlockNumbers::Own,
            genesis,
            state_manager,
            history_slot: U256::ZERO,
        }
    }

    fn home(
        &self,
        _: &ChainConfig,
        _: Address,
        _: Address,
        _: &CancellationToken,
    ) -> Result<Connected<dyn HomeReader>, ChainError> {
        Err(ChainError::Settings {
            detail: "no home chain is of this family".into(),
        })
    }

    fn source(
        &self,
        chain: &ChainConfig,
        _: Address,
        _: bool,
        halt: &CancellationToken,
    ) -> Result<Connected<dyn StateReader>, ChainError> {
        let (chain, halt) = (
            Arc::new(SlotChain::over(chain, self.genesis)?),
            halt.clone(),
        );
        Ok(Connected {
            reader: chain.clone(),
            client: chain,
            follower: async move {
                halt.cancelled().await;
                Ok(())
            }
            .boxed(),
        })
    }

    fn verify<'a>(
        &'a self,
        _: &'a RpcUrl,
        _: Address,
        _: B256,
        certificate: &'a [u8],
    ) -> BoxFuture<'a, Result<CertificateCheck, ChainError>> {
        let check = match certificate.first() {
            Some(1) => CertificateCheck::Valid,
            _ => CertificateCheck::Rejected(Rejection::MalformedCertificate),
        };
        async { Ok(check) }.boxed()
    }
}

/// A provider of this family with this genesis, whose every value is `value`.
async fn serve(genesis: &'static str, value: u64) -> (RpcUrl, Background) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let url = url_of(listener.local_addr().expect("an address"), "secretkey");
    let answer = move |call: &Value| {
        let result = match call["method"].as_str() {
            Some("getGenesisHash") => json!(genesis),
            Some("getSlot") => json!(7),
            _ => json!(value),
        };
        json!({"id": call["id"], "result": result})
    };
    let handler = move |body: String| async move {
        match serde_json::from_str(&body).expect("JSON") {
            Value::Array(calls) => Value::from_iter(calls.iter().map(answer)).to_string(),
            call => answer(&call).to_string(),
        }
    };
    let router = axum::Router::new().fallback(handler);
    let task = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    (url, Background(task))
}

async fn open(rpc: Vec<RpcUrl>) -> Connected<dyn StateReader> {
    let family = SlotFamily { genesis: "5eykt" };
    let mut config = ChainConfig::new(CHAIN, rpc, Finality::Finalized, Arc::new(family));
    for (number, provider) in config.rpc.iter_mut().enumerate() {
        provider.by = Some(format!("company {number}"));
    }
    let opened = config.open(Address::ZERO, false, &CancellationToken::new());
    let opened = opened.expect("good settings");
    opened.client.connect().await;
    opened
}

#[tokio::test]
async fn another_family_reads_by_quorum_and_names_a_liar() -> TestResult {
    let (a, _a) = serve("5eykt", 42).await;
    let (b, _b) = serve("5eykt", 42).await;
    let (liar, _liar) = serve("5eykt", 43).await;
    let (other, _other) = serve("another", 42).await;
    let chain = open(vec![liar, other, a, b, dead().await]).await;
    let log = ReadLog::default();
    let read = chain.reader.read(Address::ZERO, U256::from(1), 5, &log);
    let error = read.await.expect_err("two of five").to_string();
    for part in [
        "serves chain another",
        "(company 4) has not shown yet",
        "says 42",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("secretkey"), "{error}");

    let (c, _c) = serve("5eykt", 42).await;
    let (d, _d) = serve("5eykt", 43).await;
    let (e, _e) = serve("5eykt", 42).await;
    let chain = open(vec![d, c, e]).await;
    let log = ReadLog::default();
    let read = chain.reader.read(Address::ZERO, U256::from(1), 5, &log);
    let reading = read.await?;
    assert_eq!((reading.value, reading.read_at.number), (U256::from(42), 7));
    let providers = chain.client.providers();
    let kinds: Vec<_> = log.replies().iter().map(|reply| reply.kind).collect();
    // The liar may not have answered yet when the others sufficed.
    let (lied, told) = (
        kinds.contains(&ReplyKind::Differs),
        providers.providers[0].health == ProviderHealth::Contradicts,
    );
    assert_eq!(lied, told, "{providers:?}");
    assert_eq!((providers.required, providers.min_runners), (2, 2));
    Ok(())
}
