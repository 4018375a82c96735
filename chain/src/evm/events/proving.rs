//! The events of a block, by its receipts.

use std::sync::{Arc, PoisonError};

use alloy::primitives::{Address, B256};
use futures::future::try_join_all;

use super::super::client::HeadSnapshot;
use super::super::proof::receipts::{self, ProvenLog, ReceiptFlaw};
use super::EvmTransfers;
use crate::rpc::ProviderError;
use crate::{BlockRef, ChainError, QueryKind, ReadLog};

/// A block, and what a contract has in it.
pub(super) struct BlockEvents {
    pub(super) block: BlockRef,
    pub(super) events: Arc<[ProvenLog]>,
}

impl EvmTransfers {
    /// The events of a contract in these final blocks, proven.
    pub(super) async fn events(
        &self,
        snapshot: HeadSnapshot,
        numbers: &[u64],
        contract: Address,
        log: &ReadLog,
    ) -> Result<Vec<BlockEvents>, ChainError> {
        let blocks = numbers.iter().map(|number| async move {
            let (block, roots) = self.client.proven(snapshot, *number, log).await?;
            let events = self.events_of(block, roots.receipts, contract, log).await?;
            Ok(BlockEvents { block, events })
        });
        try_join_all(blocks).await
    }

    async fn events_of(
        &self,
        block: BlockRef,
        root: B256,
        contract: Address,
        log: &ReadLog,
    ) -> Result<Arc<[ProvenLog]>, ChainError> {
        let key = (block.hash, contract);
        let remembered = || self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = remembered().get(key) {
            return Ok(events);
        }
        let found = self
            .client
            .pool()
            .first(log, QueryKind::Proof, |provider| async move {
                let shown = provider.receipts(block.hash).await;
                let found = shown.and_then(|shown| receipts::prove(shown, root).map_err(flawed));
                if let Err(problem) = &found {
                    provider.as_ref().tried_to_prove(Some(problem));
                }
                found
            });
        let failed = |failures: Vec<_>| self.client.not_proven(&failures);
        let found = found.await.map_err(failed)?.into_iter();
        let events: Arc<[ProvenLog]> = found
            .filter(|event| event.log.address == contract)
            .collect();
        remembered().insert(key, Arc::clone(&events));
        Ok(events)
    }
}

fn flawed(flaw: ReceiptFlaw) -> ProviderError {
    match flaw.is_lie() {
        true => ProviderError::FalseProof(flaw.to_string()),
        false => ProviderError::malformed(flaw),
    }
}
