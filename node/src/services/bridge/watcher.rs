//! Follows what one contract sent and closed, up to the final head: nothing that it sent is left out, nothing is seen twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{
    BlockRef, ChainError, ReadLog, SeenClosing, SeenTransfer, TransferPage, TransferReader,
    missing_nonces,
};
use quorate_proto::{B256, Epoch, Route, TransferClosed};
use tokio_util::sync::CancellationToken;

use super::{BridgePlace, RouteText, TransferStore};
use crate::NodeError;

/// After a read that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Blocks between two written cursors while nothing is sent: what a restart reads again.
const CURSOR_STRIDE: u64 = 256;

/// Follows the routes that begin or end at one contract.
///
/// # Design Decisions
///
/// Events are proven, but that none is left out is not. So at each head the contract's own count is compared with
/// what was seen, and what lacks is asked for by its number. No contract counts what it closed: there it is enough that one
/// operator is told, since the others then read the contract itself.
pub(crate) struct TransferWatcher {
    chain: u64,
    contract: B256,
    routes: BTreeMap<B256, SeenNonces>,
    /// Those that end there.
    ends: BTreeMap<B256, Route>,
    reader: Arc<dyn TransferReader>,
    transfers: TransferStore,
    cursor: String,
    first_block: u64,
    /// `None` before the first head, where nothing says when the contract was made.
    next_block: Option<u64>,
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
        place: BridgePlace,
        (routes, ends): (&[RouteText], &[Route]),
        reader: Arc<dyn TransferReader>,
        transfers: TransferStore,
    ) -> Result<Self, NodeError> {
        let BridgePlace { chain, contract } = place;
        let cursor = format!("bridge/{chain}/{contract}");
        let first = routes.iter().map(|text| text.first_block).min();
        let followed = transfers.cursor(&cursor)?;
        let next_block = followed.map(|block| block.saturating_add(1)).or(first);
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
            ends: ends.iter().map(|route| (route.id(), *route)).collect(),
            reader,
            transfers,
            cursor,
            first_block: first.unwrap_or_default(),
            next_block,
            written: next_block.unwrap_or_default(),
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
        let mut first = *self.next_block.get_or_insert(head.number);
        while first <= head.number {
            let log = ReadLog::default();
            let page = self
                .reader
                .transfers(self.contract, first, head.number, &log)
                .await?;
            first = page.next.max(first.saturating_add(1));
            self.take(page, first.saturating_sub(1)).await?;
            self.next_block = Some(first);
        }
        self.complete(head).await
    }

    /// Keeps those of the routes, and notes that all up to block `last` were read.
    async fn take(&mut self, page: TransferPage, last: u64) -> Result<(), NodeError> {
        let closed = page.closings.iter().filter_map(|seen| self.closed(seen));
        let (closed, own): (Vec<_>, _) = (closed.collect(), self.own(page.transfers));
        if own.is_empty() && closed.is_empty() && last < self.written.saturating_add(CURSOR_STRIDE)
        {
            return Ok(());
        }
        let cursor = (self.cursor.as_str(), last);
        self.transfers.record((&own, &closed), Some(cursor)).await?;
        self.written = last;
        self.note(&own);
        Ok(())
    }

    fn closed(&self, seen: &SeenClosing) -> Option<TransferClosed> {
        let route = *self.ends.get(&seen.route)?;
        Some(TransferClosed {
            epoch: Epoch(0),
            route,
            nonce: seen.nonce,
            time: seen.time,
        })
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
            self.transfers.record((&found, &[]), None).await?;
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

#[cfg(test)]
mod tests;
