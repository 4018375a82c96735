//! Local EVM chains to try things on, run by anvil.

use std::time::Duration;

use alloy::network::Ethereum;
use alloy::node_bindings::{Anvil, AnvilInstance, NodeError};
use alloy::primitives::{Address, TxHash, U256};
use alloy::providers::{DynProvider, PendingTransactionBuilder, Provider, ProviderBuilder};
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::{RpcError, TransportErrorKind};

use crate::contracts::StateManager;
use crate::rpc::RpcUrl;

mod binary;

/// Enough for 100 writes of 70,000 each. Not estimated: anvil estimates in the newest block, where
/// a second write of a key costs less than in the next one.
const GAS: u64 = 10_000_000;

/// Why a local chain does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// There is no anvil on this machine.
    #[error(
        "anvil is not installed: run `make tools`, put it into PATH, or set ANVIL to its path (looked at {})",
        .looked_at.join(", ")
    )]
    NotInstalled {
        /// Where it could have been.
        looked_at: Vec<String>,
    },
    /// It did not start.
    #[error("anvil does not start: {0}")]
    Start(#[from] NodeError),
    /// It refused a request.
    #[error("anvil refused a request: {0}")]
    Request(#[from] RpcError<TransportErrorKind>),
    /// Not a URL.
    #[error("{0:?} is no URL, such as http://127.0.0.1:8545")]
    Url(String),
    /// A transaction failed.
    #[error("a transaction on the local chain failed: {0}")]
    Transaction(String),
}

/// How a local chain behaves.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// Its chain id.
    pub chain_id: u64,
    /// Time between blocks; `None` for a block per transaction and none without.
    pub block_time: Option<Duration>,
    /// N where the block tag `finalized` is the head minus 2 N; anvil's own default if `None`.
    pub slots_in_an_epoch: Option<u64>,
    /// Funded accounts.
    pub accounts: u16,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self {
            chain_id: 31_337,
            block_time: None,
            slots_in_an_epoch: None,
            accounts: 10,
        }
    }
}

/// A running local chain. Ends when dropped, if it was started here.
pub struct AnvilChain {
    /// `None` for a chain that another process runs.
    instance: Option<AnvilInstance>,
    endpoint: String,
    chain_id: u64,
    accounts: Vec<Address>,
    provider: DynProvider,
}

/// How often a receipt is looked for; alloy's own choice for a host in a network is 7 s.
const POLL: Duration = Duration::from_millis(100);

impl AnvilChain {
    /// Starts a chain on a free port of the loopback interface.
    ///
    /// # Errors
    /// [`AnvilError::NotInstalled`] says how to install it.
    pub async fn start(options: AnvilOptions) -> Result<Self, AnvilError> {
        let mut anvil = Anvil::at(binary::find()?)
            .host("127.0.0.1")
            .chain_id(options.chain_id)
            .args(["--accounts", &options.accounts.to_string()]);
        if let Some(time) = options.block_time {
            anvil = anvil.block_time_f64(time.as_secs_f64());
        }
        if let Some(slots) = options.slots_in_an_epoch {
            anvil = anvil.args(["--slots-in-an-epoch", &slots.to_string()]);
        }
        let instance = anvil.try_spawn()?;
        let chain = Self {
            endpoint: instance.endpoint(),
            chain_id: instance.chain_id(),
            accounts: instance.addresses().to_vec(),
            provider: connect(instance.endpoint_url()),
            instance: Some(instance),
        };
        chain
            .request::<()>("anvil_setLoggingEnabled", (false,))
            .await?;
        Ok(chain)
    }

    /// Uses a chain that runs already, with the accounts that it signs for.
    ///
    /// # Errors
    /// [`AnvilError::Request`] when nothing answers there, [`AnvilError::Url`].
    pub async fn attach(endpoint: &str) -> Result<Self, AnvilError> {
        let url = endpoint
            .parse()
            .map_err(|_| AnvilError::Url(endpoint.to_owned()))?;
        let provider = connect(url);
        Ok(Self {
            instance: None,
            endpoint: endpoint.to_owned(),
            chain_id: provider.get_chain_id().await?,
            accounts: provider.get_accounts().await?,
            provider,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Where it listens, as the adapters want it.
    ///
    /// # Errors
    /// Never in practice: it is a URL of the loopback interface.
    pub fn url(&self) -> Result<RpcUrl, crate::ChainError> {
        self.endpoint().parse()
    }

    /// Its chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// A provider without wallet: the chain signs for its own accounts.
    #[must_use]
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Funded accounts.
    #[must_use]
    pub fn accounts(&self) -> &[Address] {
        &self.accounts
    }

    /// Keys of the funded accounts, in the same order. None for a chain that was attached to.
    #[must_use]
    pub fn signers(&self) -> Vec<PrivateKeySigner> {
        let keys = self.instance.iter().flat_map(AnvilInstance::keys);
        keys.map(|key| PrivateKeySigner::from(key.clone()))
            .collect()
    }

    /// The newest height.
    ///
    /// # Errors
    /// [`AnvilError::Request`], as for all that follow.
    pub async fn height(&self) -> Result<u64, AnvilError> {
        Ok(self.provider.get_block_number().await?)
    }

    /// Adds this many empty blocks, or such with the transactions that wait.
    ///
    /// # Errors
    /// As [`Self::height`].
    pub async fn mine(&self, blocks: u64) -> Result<(), AnvilError> {
        self.request("anvil_mine", (U256::from(blocks),)).await
    }

    /// Adds this many blocks, each `seconds` after the one before.
    ///
    /// # Errors
    /// As [`Self::height`].
    pub async fn mine_every(&self, blocks: u64, seconds: u64) -> Result<(), AnvilError> {
        let params = (U256::from(blocks), U256::from(seconds));
        self.request("anvil_mine", params).await
    }

    /// Replaces the newest `depth` blocks by other, empty ones.
    ///
    /// # Errors
    /// As [`Self::height`].
    pub async fn reorg(&self, depth: u64) -> Result<(), AnvilError> {
        self.request("anvil_reorg", (depth, [(); 0])).await
    }

    /// The next block is this much later.
    ///
    /// # Errors
    /// As [`Self::height`].
    pub async fn increase_time(&self, seconds: u64) -> Result<(), AnvilError> {
        let _: i64 = self
            .request("evm_increaseTime", (U256::from(seconds),))
            .await?;
        Ok(())
    }

    /// Whether every transaction makes a block of its own.
    ///
    /// # Errors
    /// As [`Self::height`].
    pub async fn set_automine(&self, on: bool) -> Result<(), AnvilError> {
        self.request("evm_setAutomine", (on,)).await
    }

    /// Stores values under `user`, one of [`Self::accounts`], in one transaction; the number of
    /// its block.
    ///
    /// # Errors
    /// [`AnvilError::Transaction`] when the contract refuses.
    pub async fn set_values(
        &self,
        state_manager: Address,
        user: Address,
        values: &[(U256, U256)],
    ) -> Result<u64, AnvilError> {
        let sent = self.batch(state_manager, user, values).await?;
        let receipt = sent
            .get_receipt()
            .await
            .map_err(|problem| AnvilError::Transaction(problem.to_string()))?;
        let hash = receipt.transaction_hash;
        receipt
            .block_number
            .filter(|_| receipt.status())
            .ok_or_else(|| AnvilError::Transaction(format!("{hash} reverted")))
    }

    /// Sends the same, and does not wait for a block.
    ///
    /// # Errors
    /// As [`Self::set_values`].
    pub async fn send_values(
        &self,
        state_manager: Address,
        user: Address,
        values: &[(U256, U256)],
    ) -> Result<TxHash, AnvilError> {
        Ok(*self.batch(state_manager, user, values).await?.tx_hash())
    }

    async fn batch(
        &self,
        state_manager: Address,
        user: Address,
        values: &[(U256, U256)],
    ) -> Result<PendingTransactionBuilder<Ethereum>, AnvilError> {
        let values = values.iter().map(|(key, value)| (*key, *value).into());
        StateManager::new(state_manager, &self.provider)
            .batchSetValues(values.collect())
            .from(user)
            .gas(GAS)
            .send()
            .await
            .map_err(|problem| AnvilError::Transaction(problem.to_string()))
    }

    async fn request<T>(
        &self,
        method: &'static str,
        params: impl alloy::rpc::json_rpc::RpcSend,
    ) -> Result<T, AnvilError>
    where
        T: alloy::rpc::json_rpc::RpcRecv,
    {
        Ok(self.provider.raw_request(method.into(), params).await?)
    }
}

/// The accounts are unlocked, so the chain itself signs and counts nonces.
fn connect(url: alloy::transports::http::reqwest::Url) -> DynProvider {
    let provider = ProviderBuilder::new()
        .disable_recommended_fillers()
        .connect_http(url);
    provider.client().set_poll_interval(POLL);
    provider.erased()
}
