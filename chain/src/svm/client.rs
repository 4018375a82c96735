//! One SVM chain as a quorum of its providers sees it: the final head, and who knows it.

use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::calls::Block;
use super::provider::SvmProvider;
use super::{SvmSettings, SvmSubmitter, SvmTransfers};
use crate::config::{ChainClient, ChainConfig};
use crate::providers::{HeightWindow, labels};
use crate::quorum::{Polls, Pool};
use crate::rpc::http_client;
use crate::{At, BlockRef, ChainError, Finality, Providers, Submitter, TransferReader};

/// One SVM chain and its providers. Knows the final head while [`Self::run`] runs. Blocks are numbered by slot, so some
/// numbers have none.
pub struct SvmClient {
    chain_id: u64,
    pool: Pool<SvmProvider>,
    head: watch::Sender<Option<BlockRef>>,
    polls: Polls,
    heights: Mutex<HeightWindow>,
}

impl SvmClient {
    /// A client that has asked no provider anything: none counts before it is connected or runs.
    ///
    /// # Errors
    /// [`ChainError::Settings`] for settings that make no sense.
    pub fn over(config: &ChainConfig, settings: SvmSettings) -> Result<Arc<Self>, ChainError> {
        let settings_error = |detail| Err(ChainError::Settings { detail });
        let chain_id = config.chain_id;
        let Some(genesis) = settings.genesis else {
            return settings_error(format!(
                "chain {chain_id} has no genesis hash; set genesis to what getGenesisHash answers"
            ));
        };
        if config.finality != Finality::Finalized {
            return settings_error(format!(
                "finality of chain {chain_id} is {}; on SVM chains set \"finalized\"",
                config.finality
            ));
        }
        let rule = config.rule()?;
        let http = http_client()?;
        let providers = config.rpc.iter().cloned().zip(labels(&config.rpc));
        let provider = |(provider, label)| {
            SvmProvider::new(http.clone(), provider, label, (chain_id, genesis))
        };
        Ok(Arc::new(Self {
            chain_id,
            pool: Pool::new(providers.map(provider).collect(), rule),
            head: watch::Sender::new(None),
            polls: Polls::new(chain_id, config.poll_interval),
            heights: Mutex::default(),
        }))
    }

    /// Follows the chain until `token` is cancelled.
    ///
    /// # Errors
    /// None: what providers say, or do not say, is a matter of their health and never the end.
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ChainError> {
        let polls = self.polls.keep_polling(|| self.poll());
        let checks = self.pool.keep_checking(|_| self.check());
        let tasks = async { tokio::join!(polls, checks) };
        token.run_until_cancelled(tasks).await;
        Ok(())
    }

    /// The chain that this follows.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The newest block known to be final.
    #[must_use]
    pub fn final_head(&self) -> Option<BlockRef> {
        *self.head.borrow()
    }

    /// Follows the final head. It goes back only when a final block has left the chain.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.head.subscribe()
    }

    pub(super) const fn pool(&self) -> &Pool<SvmProvider> {
        &self.pool
    }

    /// The final head, once it is at this slot or above it; after a poll if need be.
    pub(super) async fn reach(&self, slot: u64) -> Result<BlockRef, ChainError> {
        let reached = || self.final_head().filter(|head| head.number >= slot);
        if let Some(head) = reached() {
            return Ok(head);
        }
        self.poll().await?;
        reached().ok_or_else(|| ChainError::NotFinal {
            asked: At::Block(slot),
            final_block: self.final_head().map(|head| head.number),
        })
    }

    async fn poll(&self) -> Result<(), ChainError> {
        self.polls.poll(self.look()).await
    }

    async fn look(&self) -> Result<(), ChainError> {
        if let Some(new) = self.pool.final_head(Finality::Finalized).await? {
            let is_newer = |head: &mut Option<BlockRef>| {
                let newer = head.is_none_or(|old| new.block.number > old.number);
                if newer {
                    *head = Some(new.block);
                }
                newer
            };
            self.head.send_if_modified(is_newer);
        }
        Ok(())
    }

    /// Checks all providers once, at the same time. Where enough have another block in the place of the final head,
    /// that has left the chain.
    async fn check(&self) {
        let head = self.final_head();
        let agreed = self.pool.check(head, &self.heights).await;
        let agreed = agreed.map(|agreed: Block| agreed.block);
        if let (Some(was), Some(is)) = (head, agreed)
            && was != is
        {
            tracing::error!(chain = self.chain_id, %was, %is, "a final block left the chain: the providers lie");
            self.head.send_replace(Some(is));
        }
    }
}

impl ChainClient for SvmClient {
    fn connect(&self) -> BoxFuture<'_, ()> {
        async {
            self.check().await;
            if let Err(problem) = self.poll().await {
                tracing::warn!(chain = self.chain_id, %problem, "chain is not reachable yet");
            }
        }
        .boxed()
    }

    fn examine(&self) -> BoxFuture<'_, ()> {
        self.check().boxed()
    }

    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        async {
            self.poll().await?;
            self.reach(0).await
        }
        .boxed()
    }

    fn providers(&self) -> Providers {
        self.pool.status(false)
    }

    fn transfers(self: Arc<Self>) -> Option<Arc<dyn TransferReader>> {
        Some(Arc::new(SvmTransfers::new(self)))
    }

    fn submitter(self: Arc<Self>) -> Option<Arc<dyn Submitter>> {
        Some(Arc::new(SvmSubmitter::new(self)))
    }
}
