//! Transfers that a bridge's program on an SVM chain sent.
//!
//! # Design Decisions
//!
//! There are no proofs, so the program keeps a running hash of what it sent on a route. What providers say of it is
//! what a quorum agrees on; one provider's transactions are compared with that, so it can add nothing, and leaving
//! something out makes it useless and no more. Slots and blocks are the word of a quorum. What was found is kept until it
//! was asked for, and once more is known nothing before that is read again; a restart goes on from what is on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{B256, ReadBasis, Route};
use tokio::sync::watch;

use super::calls::Signature;
use super::history::{History, Point};
use super::sends::{Sent, Source};
use super::{PublicKey, SvmClient};
use crate::config::ChainClient;
use crate::lookup::GenerationalCache;
use crate::{
    BlockRef, ChainError, KnownTransfers, MAX_WANTED, PauseState, Providers, ReadLog, SeenTransfer,
    TransferPage, TransferReader,
};

mod look;
mod state;

/// Transactions of one generation that are remembered, so that a look that failed is not begun anew.
const REMEMBERED: usize = 8_192;

/// What transactions sent on a route, by the provider that showed them.
type ShownTransactions = GenerationalCache<(Arc<str>, B256, Signature), Arc<[Sent]>>;

/// Reads transfers through a client that others may share.
pub struct SvmTransfers {
    client: Arc<SvmClient>,
    routes: Mutex<BTreeMap<B256, Arc<Followed>>>,
    shown: Mutex<ShownTransactions>,
}

/// A route that is followed.
struct Followed {
    source: Source,
    known: Point,
    history: tokio::sync::Mutex<History>,
}

impl SvmTransfers {
    /// Nothing is asked before the client is connected or runs.
    #[must_use]
    pub fn new(client: Arc<SvmClient>) -> Self {
        Self {
            client,
            routes: Mutex::default(),
            shown: Mutex::new(GenerationalCache::new(REMEMBERED)),
        }
    }

    /// The client, for its status and to share it.
    #[must_use]
    pub const fn client(&self) -> &Arc<SvmClient> {
        &self.client
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<B256, Arc<Followed>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, route: B256) -> Result<Arc<Followed>, ChainError> {
        let found = self.routes().get(&route).cloned();
        found.ok_or_else(|| ChainError::Settings {
            detail: format!("route {route} is not followed; set it in bridge.routes"),
        })
    }

    async fn page(
        &self,
        contract: B256,
        (from, to): (u64, u64),
        log: &ReadLog,
    ) -> Result<TransferPage, ChainError> {
        log.reads_at(self.client.reach(to).await?);
        let mut page = TransferPage {
            next: to.saturating_add(1),
            ..TransferPage::default()
        };
        let routes: Vec<Arc<Followed>> = self.routes().values().cloned().collect();
        let own = routes
            .iter()
            .filter(|followed| followed.source.route.source_contract == contract);
        for followed in own {
            let mut history = followed.history.lock().await;
            history.ask_from(from, followed.known);
            self.extend(followed, &mut history, to, log).await?;
            let (transfers, next) = history.page(to);
            page.transfers.extend(transfers);
            page.next = page.next.min(next);
        }
        page.transfers
            .sort_by_key(|seen| (seen.block.number, seen.transfer.nonce));
        log.rests_on(ReadBasis::Vote);
        Ok(page)
    }

    async fn search(
        &self,
        (route, nonces): (B256, &[u64]),
        to: u64,
        log: &ReadLog,
    ) -> Result<Vec<SeenTransfer>, ChainError> {
        let nonces = &nonces[..nonces.len().min(MAX_WANTED)];
        if nonces.is_empty() {
            return Ok(Vec::new());
        }
        log.reads_at(self.client.reach(to).await?);
        let followed = self.route(route)?;
        let mut history = followed.history.lock().await;
        self.extend(&followed, &mut history, to, log).await?;
        log.rests_on(ReadBasis::Vote);
        if let Some(found) = history.of(nonces) {
            return Ok(found);
        }
        let mut whole = History::after(Point::default());
        self.extend(&followed, &mut whole, to, log).await?;
        Ok(whole.of(nonces).unwrap_or_default())
    }
}

impl TransferReader for SvmTransfers {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.client.final_head()
    }

    fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.client.subscribe()
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn follow(&self, route: &Route, known: &KnownTransfers) {
        if let Some(source) = Source::of(*route) {
            let known = Point::from(known);
            let followed = Followed {
                source,
                known,
                history: tokio::sync::Mutex::new(History::after(known)),
            };
            self.routes().insert(route.id(), Arc::new(followed));
        }
    }

    fn transfers<'a>(
        &'a self,
        contract: B256,
        from_block: u64,
        to_block: u64,
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<TransferPage, ChainError>> {
        self.page(contract, (from_block, to_block), log).boxed()
    }

    fn transfers_of<'a>(
        &'a self,
        _: B256,
        route: B256,
        nonces: &'a [u64],
        blocks: (u64, u64),
        log: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Vec<SeenTransfer>, ChainError>> {
        self.search((route, nonces), blocks.1, log).boxed()
    }

    fn sent_count(
        &self,
        _: B256,
        route: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<u64, ChainError>> {
        async move {
            self.client.reach(at.number).await?;
            let followed = self.route(route)?;
            let mut history = followed.history.lock().await;
            let log = ReadLog::default();
            self.extend(&followed, &mut history, at.number, &log)
                .await?;
            Ok(history.count(at.number))
        }
        .boxed()
    }

    fn closed(
        &self,
        route: &Route,
        nonce: u64,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<Option<u64>, ChainError>> {
        self.closing(*route, nonce, at).boxed()
    }

    fn pause_state(
        &self,
        contract: B256,
        at: BlockRef,
    ) -> BoxFuture<'_, Result<PauseState, ChainError>> {
        self.pause(PublicKey(contract), at).boxed()
    }
}
