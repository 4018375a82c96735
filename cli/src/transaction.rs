//! Transactions by an account whose key is here.

use alloy::contract::Error as ContractError;
use alloy::network::{Ethereum, EthereumWallet};
use alloy::providers::{DynProvider, PendingTransactionBuilder, Provider as _, ProviderBuilder};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolInterface as _;
use alloy::transports::http::reqwest::Url;
use anyhow::{Context as _, anyhow, ensure};
use quorate_chain::contracts::StakeRegistry::StakeRegistryErrors;
use quorate_proto::{Address, B256, SecretKey};
use serde_json::{Value, json};

use crate::exit::Usage;
use crate::options::{SecretUrl, redact, rpc_url};

/// A transaction that was mined and did not fail.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) what: &'static str,
    pub(crate) hash: B256,
    pub(crate) block: u64,
    pub(crate) gas: u64,
}

impl Sent {
    pub(crate) fn as_value(&self) -> Value {
        json!({ "what": self.what, "hash": self.hash, "block": self.block, "gas": self.gas })
    }
}

/// A provider that signs with this key, and the account of the key.
pub(crate) fn wallet(url: &SecretUrl, key: &SecretKey) -> anyhow::Result<(DynProvider, Address)> {
    rpc_url(url).map_err(Usage)?;
    let parsed =
        Url::parse(url.reveal()).map_err(|error| anyhow!("the RPC URL cannot be read: {error}"))?;
    let signer = PrivateKeySigner::from_bytes(&B256::from(key.to_bytes()))?;
    let address = signer.address();
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(signer))
        .connect_http(parsed)
        .erased();
    Ok((provider, address))
}

/// Waits for a transaction; `refused` names the errors of its contract.
pub(crate) async fn mined(
    what: &'static str,
    sent: Result<PendingTransactionBuilder<Ethereum>, ContractError>,
    refused: fn(ContractError) -> anyhow::Error,
) -> anyhow::Result<Sent> {
    let pending = sent
        .map_err(refused)
        .with_context(|| format!("{what} was not sent"))?;
    let hash = *pending.tx_hash();
    let receipt = pending
        .get_receipt()
        .await
        .map_err(|error| anyhow!(redact(&error.to_string())))
        .with_context(|| {
            format!("{what} {hash} was sent, but its receipt was not seen; look it up")
        })?;
    ensure!(receipt.status(), "{what} {hash} failed on chain");
    Ok(Sent {
        what,
        hash,
        block: receipt.block_number.unwrap_or_default(),
        gas: receipt.gas_used,
    })
}

/// The stake registry's error by its name, everything else without URLs.
pub(crate) fn refused_by_registry(error: ContractError) -> anyhow::Error {
    let name = error
        .as_decoded_interface_error::<StakeRegistryErrors>()
        .and_then(|reason| StakeRegistryErrors::name_by_selector(reason.selector()));
    match name {
        Some(name) => anyhow!("the registry refuses: {name}"),
        None => anyhow!(redact(&error.to_string())),
    }
}

/// An error of the provider, without URLs.
pub(crate) fn plain(error: alloy::transports::TransportError) -> anyhow::Error {
    anyhow!(redact(&error.to_string()))
}
