//! Follows what one contract sent, up to the final head: nothing is left out, nothing is seen twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BlockRef, ChainError, ReadLog, SeenTransfer, TransferReader, missing_nonces};
use quorate_proto::B256;
use tokio_util::sync::CancellationToken;

use super::{RouteText, TransferStore};
use crate::NodeError;

/// After a read that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Blocks between two written cursors while nothing is sent: what a restart reads again.
const CURSOR_STRIDE: u64 = 256;

/// Follows the routes that begin at one contract.
///
/// # Design Decisions
///
/// Events are proven, but that none is left out is not. So at each head the contract's own count is compared with
/// what was seen, and what lacks is asked for by its number.
pub(crate) struct TransferWatcher {
    chain: u64,
    contract: B256,
    routes: BTreeMap<B256, SeenNonces>,
    reader: Arc<dyn TransferReader>,
    transfers: TransferStore,
    cursor: String,
    first_block: u64,
    next_block: u64,
    written: u64,
}

/// Which numbers of a route were seen.
#[derive(Debug, Default)]
struct SeenNonces {
    /// All up to this one.
    settled: u64,
    /// Of those above it.
    above: BTreeSet<u64>,
}

impl SeenNonces {
    fn of(nonces: impl IntoIterator<Item = u64>) -> Self {
        let mut seen = Self::default();
        nonces.into_iter().for_each(|nonce| seen.add(nonce));
        seen
    }

    fn add(&mut self, nonce: u64) {
        if nonce > self.settled {
            self.above.insert(nonce);
        }
        while self.above.first() == self.settled.checked_add(1).as_ref() {
            self.above.pop_first();
            self.settled += 1;
        }
    }
}

impl TransferWatcher {
    /// Goes on where the last run ended.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) fn open(
        (chain, contract): (u64, B256),
        routes: &[RouteText],
        reader: Arc<dyn TransferReader>,
        transfers: TransferStore,
    ) -> Result<Self, NodeError> {
        let cursor = format!("bridge/{chain}/{contract}");
        let first = routes
            .iter()
            .map(|text| text.first_block)
            .min()
            .unwrap_or_default();
        let followed = transfers.cursor(&cursor)?;
        let next_block = followed.map_or(first, |block| block.saturating_add(1));
        let seen = |text: &RouteText| {
            let route = text.route.id();
            reader.follow(&text.route, &transfers.known(route)?);
            Ok((route, SeenNonces::of(transfers.nonces(route)?)))
        };
        let routes: Result<_, NodeError> = routes.iter().map(seen).collect();
        Ok(Self {
            chain,
            contract,
            routes: routes?,
            reader,
            transfers,
            cursor,
            first_block: first,
            next_block,
            written: next_block,
        })
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut heads = self.reader.subscribe();
        loop {
            let head = *heads.borrow_and_update();
            let failed = match head {
                Some(head) => tokio::select! {
                    looked = self.look(head) => looked?,
                    () = token.cancelled() => return Ok(()),
                },
                None => false,
            };
            tokio::select! {
                () = tokio::time::sleep(PAUSE), if failed => {}
                changed = heads.changed(), if !failed => if changed.is_err() { return Ok(()) },
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Whether it has to be tried again.
    async fn look(&mut self, head: BlockRef) -> Result<bool, NodeError> {
        match self.follow(head).await {
            Ok(()) => Ok(false),
            Err(WatchError::Node(error)) => Err(error),
            Err(WatchError::Chain(error)) => {
                tracing::warn!(chain = self.chain, contract = %self.contract, %error, "transfers cannot be read now; trying again");
                metrics::counter!("quorate_bridge_read_failures_total", "chain" => self.chain.to_string())
                    .increment(1);
                Ok(true)
            }
        }
    }

    /// Up to this block.
    async fn follow(&mut self, head: BlockRef) -> Result<(), WatchError> {
        while self.next_block <= head.number {
            let log = ReadLog::default();
            let page = self
                .reader
                .transfers(self.contract, self.next_block, head.number, &log)
                .await?;
            let next = page.next.max(self.next_block.saturating_add(1));
            self.take(page.transfers, next.saturating_sub(1)).await?;
            self.next_block = next;
        }
        self.complete(head).await
    }

    /// Keeps those of the routes, and notes that all up to block `last` were read.
    async fn take(&mut self, seen: Vec<SeenTransfer>, last: u64) -> Result<(), NodeError> {
        let own = self.own(seen);
        if own.is_empty() && last < self.written.saturating_add(CURSOR_STRIDE) {
            return Ok(());
        }
        let cursor = (self.cursor.as_str(), last);
        self.transfers.record(&own, Some(cursor)).await?;
        self.written = last;
        self.note(&own);
        Ok(())
    }

    fn own(&self, seen: Vec<SeenTransfer>) -> Vec<SeenTransfer> {
        let is_own = |one: &SeenTransfer| self.routes.contains_key(&one.transfer.route.id());
        seen.into_iter().filter(is_own).collect()
    }

    fn note(&mut self, seen: &[SeenTransfer]) {
        for one in seen {
            if let Some(nonces) = self.routes.get_mut(&one.transfer.route.id()) {
                nonces.add(one.transfer.nonce);
            }
        }
        metrics::counter!("quorate_bridge_transfers_seen_total", "chain" => self.chain.to_string())
            .increment(seen.len() as u64);
    }

    /// Looks for what the contract counted and no provider showed.
    async fn complete(&mut self, head: BlockRef) -> Result<(), WatchError> {
        let routes: Vec<B256> = self.routes.keys().copied().collect();
        for route in routes {
            let count = self.reader.sent_count(self.contract, route, head).await?;
            let missing = |watcher: &Self| {
                let nonces = watcher.routes.get(&route);
                nonces.map_or_else(Vec::new, |seen| {
                    missing_nonces(seen.settled, &seen.above, count)
                })
            };
            let lacking = missing(self);
            if lacking.is_empty() {
                continue;
            }
            tracing::warn!(chain = self.chain, %route, nonces = ?lacking, "providers left transfers out; looking for them by number");
            let (log, blocks) = (ReadLog::default(), (self.first_block, head.number));
            let found = self
                .reader
                .transfers_of(self.contract, route, &lacking, blocks, &log)
                .await?;
            self.transfers.record(&found, None).await?;
            self.note(&found);
            let lacking = missing(self).len();
            metrics::gauge!("quorate_bridge_transfers_missing", "chain" => self.chain.to_string())
                .set(u32::try_from(lacking).unwrap_or(u32::MAX));
        }
        Ok(())
    }
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Node(#[from] NodeError),
}
