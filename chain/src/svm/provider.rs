//! One provider of an SVM chain: the few questions that are asked of it.

use alloy::transports::http::reqwest::Client;
use futures::future::{BoxFuture, FutureExt};

use super::PublicKey;
use super::calls::{self, Account, Block, MAX_SIGNATURES, Signature, SignatureEntry, Transaction};
use super::errors::classify;
use crate::providers::{Provider, ProviderConfig};
use crate::quorum::{Checkable, FinalClaim, FinalHead};
use crate::rpc::{BatchClient, Call, ProviderError, RpcResult, RpcUrl, decode};
use crate::{BlockRef, Finality};

/// One provider, and the connection to it.
pub(super) struct SvmProvider {
    provider: Provider,
    rpc: BatchClient,
    genesis: PublicKey,
}

impl AsRef<Provider> for SvmProvider {
    fn as_ref(&self) -> &Provider {
        &self.provider
    }
}

impl SvmProvider {
    /// `label` tells it from others of the same host, `genesis` names the chain that it must serve.
    pub(super) fn new(
        http: Client,
        config: ProviderConfig,
        label: String,
        (chain_id, genesis): (u64, PublicKey),
    ) -> Self {
        let url = config.url.clone();
        let provider = Provider::new(config, label, chain_id);
        Self {
            rpc: BatchClient::new(http, url, provider.stats().clone(), classify),
            provider,
            genesis,
        }
    }

    fn url(&self) -> &RpcUrl {
        self.rpc.url()
    }

    /// The answer to any call, once it has shown that it serves the chain.
    pub(super) async fn ask(&self, call: Call) -> RpcResult {
        self.provider.check_counts()?;
        self.rpc.call(call).await
    }

    async fn slot(&self) -> Result<u64, ProviderError> {
        decode(&self.ask(calls::slot()).await?, self.url())
    }

    /// The final block of a slot.
    pub(super) async fn block(&self, slot: u64) -> Result<Block, ProviderError> {
        let answer = self.ask(calls::block(slot)).await?;
        let block = calls::read_block(slot, &answer, self.url())?;
        block.ok_or_else(|| ProviderError::Unknown(format!("the block of slot {slot}")))
    }

    /// The first `length` bytes of an account in the final state of this slot or a later one.
    pub(super) async fn account(
        &self,
        address: PublicKey,
        length: usize,
        min_slot: u64,
    ) -> Result<Account, ProviderError> {
        let call = calls::account(address, length, min_slot);
        let account = calls::read_account(length, &self.ask(call).await?, self.url())?;
        match account.slot >= min_slot {
            true => Ok(account),
            false => Err(ProviderError::Unknown(format!("slot {min_slot}"))),
        }
    }

    /// One page of the final transactions that name an account, newest first: those before one, and not from
    /// another on.
    pub(super) async fn signatures(
        &self,
        address: PublicKey,
        before: Option<Signature>,
        until: Option<Signature>,
    ) -> Result<Vec<SignatureEntry>, ProviderError> {
        let call = calls::signatures(address, before, until);
        let page: Vec<SignatureEntry> = decode(&self.ask(call).await?, self.url())?;
        match page.len() <= MAX_SIGNATURES {
            true => Ok(page),
            false => Err(ProviderError::malformed(
                "more signatures than were asked for",
            )),
        }
    }

    /// A final transaction.
    pub(super) async fn transaction(
        &self,
        signature: Signature,
    ) -> Result<Transaction, ProviderError> {
        let answer = self.ask(calls::transaction(signature)).await?;
        let found: Option<Transaction> = decode(&answer, self.url())?;
        found.ok_or_else(|| ProviderError::Unknown(format!("transaction {signature}")))
    }

    /// In which slots these transactions are.
    pub(super) async fn slots(&self, signatures: &[Signature]) -> Result<Vec<u64>, ProviderError> {
        let answer = self.ask(calls::statuses(signatures)).await?;
        calls::read_statuses(signatures.len(), &answer, self.url())
    }
}

impl FinalHead for SvmProvider {
    type Header = Block;

    /// The block does not come along: most providers are a slot ahead of the one that is agreed on.
    fn final_claim(
        &self,
        _: Finality,
    ) -> BoxFuture<'_, Result<Option<FinalClaim<Block>>, ProviderError>> {
        let claim = |height| FinalClaim {
            height,
            header: None,
        };
        self.slot()
            .map(move |slot| slot.map(|slot| Some(claim(slot))))
            .boxed()
    }

    fn describe(&self, height: u64) -> BoxFuture<'_, Result<Block, ProviderError>> {
        self.block(height).boxed()
    }

    fn block(header: &Block) -> BlockRef {
        header.block
    }
}

impl Checkable for SvmProvider {
    fn verify(&self) -> BoxFuture<'_, ()> {
        async {
            let found = self.rpc.call(calls::genesis_hash()).await;
            let found = found.and_then(|answer| decode::<PublicKey>(&answer, self.url()));
            self.provider.identified(found, &self.genesis);
        }
        .boxed()
    }

    /// Whether it has fallen behind shows in its height.
    fn report(&self) -> BoxFuture<'_, Option<u64>> {
        async {
            let height = self.slot().await.ok();
            self.provider.reported(None, height);
            height
        }
        .boxed()
    }
}
