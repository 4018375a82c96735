//! One provider of an EVM chain: the few questions that are asked of it.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::transports::http::reqwest::Client;
use futures::future::{BoxFuture, FutureExt, try_join_all};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::calls::{self, CallOutcome, Header, Log};
use super::errors::{classify, failed, is_missing, revert_data};
use super::proof::BlockRoots;
use super::proof::answer::ProofAnswer;
use super::proof::receipts::RpcReceipt;
use super::proof_batcher::ProofBatcher;
use crate::providers::{Provider, ProviderConfig};
use crate::quorum::{Checkable, FinalClaim, FinalHead};
use crate::rpc::{BatchClient, Call, ProviderError, RpcResult, RpcUrl, decode};
use crate::{BlockRef, Finality};

/// Transactions of a block whose receipts are fetched one by one: no chain has blocks of more.
const MAX_TRANSACTIONS: usize = 16_384;

/// Receipts that are fetched at a time: they share a request where batches are taken.
const AT_A_TIME: usize = 64;

/// One provider, and the connection to it.
pub(super) struct EvmProvider {
    provider: Provider,
    rpc: BatchClient,
    proofs: ProofBatcher,
    chain_id: u64,
}

impl AsRef<Provider> for EvmProvider {
    fn as_ref(&self) -> &Provider {
        &self.provider
    }
}

impl EvmProvider {
    /// `label` tells it from others of the same host.
    pub(super) fn new(http: Client, config: ProviderConfig, label: String, chain_id: u64) -> Self {
        let url = config.url.clone();
        let provider = Provider::new(config, label, chain_id);
        let rpc = BatchClient::new(http, url, provider.stats().clone(), classify);
        Self {
            proofs: ProofBatcher::new(rpc.clone()),
            provider,
            rpc,
            chain_id,
        }
    }

    pub(super) fn url(&self) -> &RpcUrl {
        self.rpc.url()
    }

    /// The answer to any call, once it has shown that it serves the chain.
    pub(super) async fn ask(&self, call: Call) -> RpcResult {
        self.provider.check_counts()?;
        self.rpc.call(call).await
    }

    /// The newest height.
    async fn height(&self) -> Result<u64, ProviderError> {
        let answer = self.ask(calls::block_number()).await?;
        Ok(decode::<U64>(&answer, self.url())?.to())
    }

    /// The block with this tag; `None` where it has none.
    async fn tagged(&self, tag: &str) -> Result<Option<Header>, ProviderError> {
        match self.ask(calls::block(tag)).await {
            Ok(answer) => self.read_header(&answer),
            Err(error) if failed(&error, is_missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The block at this height.
    pub(super) async fn header(&self, number: u64) -> Result<Header, ProviderError> {
        let answer = self.ask(calls::block_at(number)).await?;
        self.header_at(number, &answer)
    }

    /// The block at this height in the chain that `above` is part of.
    pub(super) async fn header_below(
        &self,
        number: u64,
        above: BlockRef,
    ) -> Result<Header, ProviderError> {
        let answer = self.call_where(above, calls::block_at(number)).await?;
        self.header_at(number, &answer)
    }

    /// As [`Self::call`], of something that names no chain: the answer counts only where it shows
    /// `block` in the same request. That is asked first, so that a provider that changes forks in between
    /// has changed to the chain of `block`.
    async fn call_where(&self, block: BlockRef, call: Call) -> RpcResult {
        self.provider.check_counts()?;
        let shows = calls::block_at(block.number);
        let (shown, answer) = self.rpc.call_both(shows, call).await;
        let shown = self.header_at(block.number, &shown?)?;
        if shown.hash() != block.hash {
            return Err(ProviderError::Unknown(block.to_string()));
        }
        answer
    }

    fn header_at(&self, number: u64, answer: &RawValue) -> Result<Header, ProviderError> {
        match self.read_header(answer)? {
            None => Err(ProviderError::Unknown(format!("block {number}"))),
            Some(header) if header.number() == number => Ok(header),
            Some(header) => Err(ProviderError::Malformed(format!(
                "block {} in place of {number}",
                header.number()
            ))),
        }
    }

    fn read_header(&self, answer: &RawValue) -> Result<Option<Header>, ProviderError> {
        let header = Header::read(answer, self.url())?;
        if let Some(header) = header {
            let proven = header.roots().is_some();
            self.provider.proofs().header(header.number(), proven);
        }
        Ok(header)
    }

    /// What the block with this number and hash commits to, proven by its whole header.
    pub(super) async fn roots(&self, number: u64, hash: B256) -> Result<BlockRoots, ProviderError> {
        let header = self.header(number).await?;
        if header.hash() != hash {
            return Err(ProviderError::Unknown(format!("block {hash}")));
        }
        header.roots().ok_or(ProviderError::NoHeader)
    }

    /// Proofs of these slots of a contract in the state after block `at`; not checked yet.
    pub(super) async fn proof(
        &self,
        of: Address,
        slots: &[U256],
        at: B256,
    ) -> Result<ProofAnswer, ProviderError> {
        self.provider.check_counts()?;
        self.proofs.prove(of, slots, at).await
    }

    /// A word of a contract's storage in the state after block `at`, as it says.
    pub(super) async fn word(
        &self,
        of: Address,
        slot: U256,
        at: B256,
    ) -> Result<U256, ProviderError> {
        let answer = self.ask(calls::storage_at(of, slot, at)).await?;
        decode(&answer, self.url())
    }

    /// Calls a contract at the state after block `at`.
    pub(super) async fn eth_call(
        &self,
        to: Address,
        data: &[u8],
        at: B256,
    ) -> Result<CallOutcome, ProviderError> {
        let answer = self.ask(calls::eth_call(to, data, at)).await;
        call_outcome(answer, self.url())
    }

    /// Calls a contract at the newest state of whatever chain this is.
    pub(super) async fn eth_call_latest(
        &self,
        to: Address,
        data: &[u8],
    ) -> Result<CallOutcome, ProviderError> {
        let answer = self.rpc.call(calls::eth_call_latest(to, data)).await;
        call_outcome(answer, self.url())
    }

    /// Whether a contract lives there now, final or not.
    pub(super) async fn has_code(&self, address: Address) -> Result<bool, ProviderError> {
        let answer = self.ask(calls::code(address)).await?;
        Ok(!decode::<Bytes>(&answer, self.url())?.is_empty())
    }

    /// Events of one contract in the chain that `above` is part of, which is not below `to`. Logs
    /// name no chain: one that lags behind answers that nothing happened.
    pub(super) async fn logs(
        &self,
        address: Address,
        topics: &[Vec<B256>],
        (from, to): (u64, u64),
        above: BlockRef,
    ) -> Result<Vec<Log>, ProviderError> {
        let logs = calls::logs(address, topics, from, to);
        decode(&self.call_where(above, logs).await?, self.url())
    }

    /// All receipts of the block with this hash, in their order; not checked yet.
    pub(super) async fn receipts(&self, block: B256) -> Result<Vec<RpcReceipt>, ProviderError> {
        let receipts = match self.ask(calls::block_receipts(block)).await {
            Ok(answer) => decode::<Option<Vec<RpcReceipt>>>(&answer, self.url())?,
            // Lacks the method, or takes heights only: whichever it is, it says so in its own words.
            Err(error) if error.rpc().is_some() && !error.is_rate_limit() => {
                Some(self.receipts_one_by_one(block).await?)
            }
            Err(error) => return Err(error),
        };
        let is_of_block = |receipt: &RpcReceipt| receipt.block().is_none_or(|found| found == block);
        receipts
            .filter(|receipts| receipts.iter().all(is_of_block))
            .ok_or_else(|| ProviderError::Unknown(format!("the receipts of block {block}")))
    }

    /// The same by a call for each transaction, a batch of them at a time.
    async fn receipts_one_by_one(&self, block: B256) -> Result<Vec<RpcReceipt>, ProviderError> {
        #[derive(Deserialize)]
        struct Transactions {
            hash: B256,
            transactions: Vec<B256>,
        }
        let answer = self.ask(calls::block_of_hash(block)).await?;
        let found = decode::<Option<Transactions>>(&answer, self.url())?;
        let unknown = || ProviderError::Unknown(format!("block {block}"));
        let found = found
            .filter(|found| found.hash == block)
            .ok_or_else(unknown)?;
        if found.transactions.len() > MAX_TRANSACTIONS {
            let detail = format!("a block of more than {MAX_TRANSACTIONS} transactions");
            return Err(ProviderError::Malformed(detail));
        }
        let mut receipts = Vec::with_capacity(found.transactions.len());
        for some in found.transactions.chunks(AT_A_TIME) {
            let some = some.iter().map(|transaction| async move {
                let answer = self.ask(calls::receipt(*transaction)).await?;
                let receipt = decode::<Option<RpcReceipt>>(&answer, self.url())?;
                let unknown = || ProviderError::Unknown(format!("transaction {transaction}"));
                receipt.ok_or_else(unknown)
            });
            receipts.extend(try_join_all(some).await?);
        }
        Ok(receipts)
    }

    async fn claim(&self, finality: Finality) -> Result<Option<FinalClaim<Header>>, ProviderError> {
        let tag = match finality {
            Finality::Finalized => "finalized",
            Finality::Confirmations(0) => "latest",
            Finality::Confirmations(_) => {
                let height = finality.final_height(self.height().await?);
                return Ok(height.map(|height| FinalClaim {
                    height,
                    header: None,
                }));
            }
        };
        let header = self.tagged(tag).await?;
        Ok(header.map(|header| FinalClaim {
            height: header.number(),
            header: Some(header),
        }))
    }
}

impl FinalHead for EvmProvider {
    type Header = Header;

    fn final_claim(
        &self,
        finality: Finality,
    ) -> BoxFuture<'_, Result<Option<FinalClaim<Header>>, ProviderError>> {
        self.claim(finality).boxed()
    }

    fn describe(&self, height: u64) -> BoxFuture<'_, Result<Header, ProviderError>> {
        self.header(height).boxed()
    }

    fn block(header: &Header) -> BlockRef {
        header.block()
    }
}

impl Checkable for EvmProvider {
    fn verify(&self) -> BoxFuture<'_, ()> {
        async {
            let found = self.rpc.call(calls::chain_id()).await;
            let found = found.and_then(|answer| decode::<U64>(&answer, self.url()));
            let found = found.map(|id| id.to::<u64>());
            self.provider.identified(found, &self.chain_id);
        }
        .boxed()
    }

    /// Asks also whether it is syncing. Those that do not know the question, or have the newest block and say so at
    /// length, are not.
    fn report(&self) -> BoxFuture<'_, Option<u64>> {
        async {
            let syncing = self.rpc.call(calls::syncing());
            let height = self.rpc.call(calls::block_number());
            let (syncing, height) = tokio::join!(syncing, height);
            let height: Option<u64> = height
                .and_then(|answer| decode::<U64>(&answer, self.url()))
                .map(|height| height.to())
                .ok();
            let syncing = syncing.ok().map(|answer| calls::is_behind(&answer));
            self.provider.reported(syncing, height);
            height
        }
        .boxed()
    }
}

/// How a call of a contract ended, by what the provider at `url` answered.
pub(super) fn call_outcome(answer: RpcResult, url: &RpcUrl) -> Result<CallOutcome, ProviderError> {
    Ok(match run_outcome(answer, url)? {
        Ok(returned) => CallOutcome::Returned(returned),
        Err(data) => CallOutcome::Reverted(data),
    })
}

/// What came of running a contract's code, or the data with which it reverted.
pub(super) fn run_outcome<T: DeserializeOwned>(
    answer: RpcResult,
    url: &RpcUrl,
) -> Result<Result<T, Bytes>, ProviderError> {
    match answer {
        Ok(answer) => decode(&answer, url).map(Ok),
        Err(error) => match error.rpc().and_then(revert_data) {
            Some(data) => Ok(Err(data)),
            None => Err(error),
        },
    }
}
