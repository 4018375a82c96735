//! What the scenarios are made of.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, U256};
use quorate_chain::anvil::{AnvilChain, AnvilOptions};
use quorate_chain::contracts::StateManager;
use quorate_chain::evm::{EvmChain, EvmSettings, Reads};
use quorate_chain::rpc::RpcUrl;
use quorate_chain::{ChainConfig, Finality};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

pub(crate) mod bridge;
pub(crate) mod double;
pub(crate) mod network;
pub(crate) mod svm;
pub(crate) mod svm_node;

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Nothing here takes longer, however busy the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A task that ends with its owner.
pub(crate) struct Background(pub JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A chain with a state manager.
pub(crate) struct Ledger {
    pub anvil: AnvilChain,
    pub state_manager: Address,
    pub user: Address,
}

impl Ledger {
    pub(crate) async fn start() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Self::start_with(AnvilOptions::default()).await
    }

    pub(crate) async fn start_with(
        options: AnvilOptions,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let anvil = AnvilChain::start(options).await?;
        let contract = StateManager::deploy(anvil.provider().clone()).await?;
        Ok(Self {
            state_manager: *contract.address(),
            user: anvil.accounts()[0],
            anvil,
        })
    }

    /// Stores one value; the number of its block.
    pub(crate) async fn set(
        &self,
        key: u64,
        value: u64,
    ) -> Result<u64, quorate_chain::anvil::AnvilError> {
        let values = [(U256::from(key), U256::from(value))];
        self.anvil
            .set_values(self.state_manager, self.user, &values)
            .await
    }

    pub(crate) fn url(&self) -> RpcUrl {
        self.anvil.url().expect("a URL")
    }

    /// A reader over this chain alone.
    pub(crate) async fn reader(&self, finality: Finality) -> EvmChain {
        self.reader_over(vec![self.url()], finality).await
    }

    /// A reader over these providers that believes a quorum of them.
    pub(crate) async fn voter_over(&self, rpc: Vec<RpcUrl>, finality: Finality) -> EvmChain {
        self.reader_by(rpc, finality, Reads::Vote).await
    }

    /// A reader over these providers.
    pub(crate) async fn reader_over(&self, rpc: Vec<RpcUrl>, finality: Finality) -> EvmChain {
        self.reader_by(rpc, finality, Reads::Auto).await
    }

    async fn reader_by(&self, rpc: Vec<RpcUrl>, finality: Finality, reads: Reads) -> EvmChain {
        let config = chain_config(self.anvil.chain_id(), distinct(rpc), finality);
        let settings = EvmSettings {
            reads,
            ..EvmSettings::default()
        };
        EvmChain::connect(&config, settings, self.state_manager)
            .await
            .expect("a reader")
    }

    /// What the reader says about a key of the user, as a number.
    pub(crate) async fn value(
        &self,
        reader: &EvmChain,
        key: u64,
        block: u64,
    ) -> Result<u64, quorate_chain::ChainError> {
        use quorate_chain::StateReader;
        let log = quorate_chain::ReadLog::default();
        let reading = reader.read(self.user, U256::from(key), block, &log).await?;
        Ok(reading.value.to())
    }
}

/// An EVM chain with the usual settings.
pub(crate) fn chain_config(chain_id: u64, rpc: Vec<RpcUrl>, finality: Finality) -> ChainConfig {
    ChainConfig::new(chain_id, rpc, finality, Arc::new(EvmSettings::default()))
}

/// Nobody listens there.
pub(crate) async fn dead() -> RpcUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    url_of(listener.local_addr().expect("an address"), "")
}

/// Accepts connections and never answers.
pub(crate) async fn hanging() -> (RpcUrl, Background) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(listener.local_addr().expect("an address"), "");
    let task = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok(connection) = listener.accept().await {
            open.push(connection);
        }
    });
    (url, Background(task))
}

pub(crate) fn url_of(address: SocketAddr, path: &str) -> RpcUrl {
    format!("http://{address}/{path}").parse().expect("a URL")
}

/// The same URL several times as as many providers.
pub(crate) fn distinct(rpc: Vec<RpcUrl>) -> Vec<RpcUrl> {
    let again = |(number, url): (usize, &RpcUrl)| match rpc[..number].contains(url) {
        true => format!("{url}/?provider={number}").parse().expect("a URL"),
        false => url.clone(),
    };
    rpc.iter().enumerate().map(again).collect()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F, Q>(what: &str, condition: F)
where
    F: Fn() -> Q,
    Q: Future<Output = bool>,
{
    let mut ticks = interval(Duration::from_millis(5));
    let waiting = async {
        while !condition().await {
            ticks.tick().await;
        }
    };
    assert!(
        timeout(DEADLINE, waiting).await.is_ok(),
        "never came true: {what}"
    );
}

/// The chain's follower, running.
pub(crate) fn follow(reader: &Arc<EvmChain>) -> Background {
    let running = Arc::clone(reader).run(tokio_util::sync::CancellationToken::new());
    Background(tokio::spawn(async move {
        let _ = running.await;
    }))
}
