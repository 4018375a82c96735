//! The bridge: what contracts sent to other chains is seen by every operator for itself, and certified.
//!
//! [`TransferWatcher`] follows the contracts and fills the [`TransferStore`]; [`announcer`] has what is in there
//! certified, by turns; `Observer` compares what others announce with it. What is no observation but a vote, its operator gives:
//! it stands in the [`VoteStore`], and [`voter`] has it certified.

pub(crate) mod announcer;
pub(crate) mod base58;
mod changes;
pub(crate) mod dashboard;
pub(crate) mod direction;
#[cfg(test)]
pub(crate) mod doubles;
mod fees;
#[cfg(test)]
mod fixtures;
pub(crate) mod follow;
pub(crate) mod monitor;
mod observe;
pub(crate) mod relayer;
pub(crate) mod report;
pub(crate) mod rescan;
mod secret_text;
mod settings;
mod transfer_store;
pub(crate) mod turns;
mod units;
pub(crate) mod voter;
mod votes;
mod watcher;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_chain::{Submitter, TransferReader};
use quorate_proto::{B256, Route, Transfer, TransferClosed};
use quorate_storage::WriteQueue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::rescan::Rescans;
pub use self::secret_text::SecretText;
pub(crate) use self::settings::contract_text;
pub use self::settings::{BridgePlace, BridgeSection, RouteText, collide};
use self::transfer_store::TransferKey;
pub(crate) use self::transfer_store::TransferStore;
pub(crate) use self::votes::{VoteError, VoteStore};
pub(crate) use self::watcher::TransferWatcher;
use crate::NodeError;
use crate::process::supervisor::Tasks;

/// Transfers of a route that are looked at together.
const AT_ONCE: usize = 256;
/// Users who follow a transfer at a time, each for some kilobytes and a look at the target every 2 s.
const MAX_FOLLOWERS: usize = 64;
/// Questions to target chains for users that are under way at a time.
const MAX_LOOKS: usize = 8;

/// Who reads bridges' contracts, by chain.
pub type TransferReaders = BTreeMap<u64, Arc<dyn TransferReader>>;

/// Who sends to chains, by their ids.
pub type Submitters = BTreeMap<u64, Arc<dyn Submitter>>;

/// The part of the bridge that every node has: its routes, and what was seen of them.
#[derive(Clone)]
pub(crate) struct Bridge {
    routes: Arc<BTreeMap<B256, RouteText>>,
    readers: Arc<TransferReaders>,
    submitters: Arc<Submitters>,
    pub(crate) transfers: TransferStore,
    pub(crate) votes: VoteStore,
    followers: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    pub(crate) rescans: Rescans,
}

impl Bridge {
    pub(crate) fn new(
        section: Option<&BridgeSection>,
        (readers, submitters): (TransferReaders, Submitters),
        writes: &WriteQueue,
    ) -> Self {
        let routes = section.map(BridgeSection::routes).unwrap_or_default();
        Self {
            routes: Arc::new(
                routes
                    .into_iter()
                    .map(|text| (text.route.id(), text))
                    .collect(),
            ),
            readers: Arc::new(readers),
            submitters: Arc::new(submitters),
            transfers: TransferStore::new(writes.clone()),
            votes: VoteStore::new(writes.clone()),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            looks: Arc::new(Semaphore::new(MAX_LOOKS)),
            rescans: Rescans::default(),
        }
    }

    /// A place for a user who follows a transfer; `None` where all are taken.
    pub(crate) fn follow(&self) -> Option<OwnedSemaphorePermit> {
        self.followers.clone().try_acquire_owned().ok()
    }

    /// The route with this hash, if this node serves it.
    pub(crate) fn route(&self, id: B256) -> Option<&RouteText> {
        self.routes.get(&id)
    }

    /// The routes that this node serves.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &RouteText> {
        self.routes.values()
    }

    /// The first transfers of each route that are not certified; at a relayer not queued. Those of one route do not wait
    /// for those of another.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn open(&self) -> Result<Vec<(TransferKey, Transfer)>, NodeError> {
        let mut open = Vec::new();
        for route in self.routes.keys() {
            for key in self.transfers.open(*route, AT_ONCE)? {
                open.extend(self.transfers.of(&key)?.map(|transfer| (key, transfer)));
            }
        }
        Ok(open)
    }

    /// The first closed transfers of each route whose ends are not certified; at a relayer not queued.
    ///
    /// # Errors
    /// A store that cannot be read.
    fn open_closings(&self) -> Result<Vec<TransferClosed>, NodeError> {
        let mut open = Vec::new();
        for route in self.routes.keys() {
            open.extend(self.transfers.closings(*route, AT_ONCE)?);
        }
        Ok(open)
    }

    /// Who reads its source contracts.
    pub(crate) fn readers(&self) -> &TransferReaders {
        &self.readers
    }

    /// Whether this node serves a route.
    fn serves(&self, route: &Route) -> bool {
        self.routes.contains_key(&route.id())
    }

    /// Whether a route of this node begins or ends at this bridge.
    fn has(&self, place: &BridgePlace) -> bool {
        self.places().contains(place)
    }

    /// The bridges at which routes of this node begin or end.
    fn places(&self) -> BTreeSet<BridgePlace> {
        let ends = self.routes().flat_map(|text| BridgePlace::of(&text.route));
        ends.collect()
    }

    fn reader(&self, chain: u64) -> Option<&Arc<dyn TransferReader>> {
        self.readers.get(&chain)
    }

    /// Starts what follows the contracts.
    ///
    /// # Errors
    /// A route from a chain that is not configured; a store that cannot be read.
    pub(crate) fn spawn(
        &self,
        tasks: &mut Tasks,
        halt: &CancellationToken,
    ) -> Result<(), NodeError> {
        for place in self.places() {
            let (begin, end) = self.routes_at(&place);
            let Some(reader) = self.reader(place.chain).cloned() else {
                let chain = place.chain;
                if begin.is_empty() {
                    tracing::info!(bridge = %place, "what is closed there is not followed: the chain is not configured");
                    continue;
                }
                let problem = format!(
                    "bridge.routes: a route begins on chain {chain}, which is not configured; add a table [[chains]] for it"
                );
                return Err(NodeError::Settings(problem));
            };
            let transfers = self.transfers.clone();
            let watcher = TransferWatcher::open(place, (&begin, &end), reader, transfers)?;
            tasks.spawn("bridge-watch", watcher.run(halt.clone()));
        }
        Ok(())
    }

    /// The routes that begin at a bridge, and those that end there.
    fn routes_at(&self, place: &BridgePlace) -> (Vec<RouteText>, Vec<Route>) {
        let at = |end: usize| {
            let routes = self.routes();
            routes.filter(move |text| BridgePlace::of(&text.route)[end] == *place)
        };
        (
            at(0).copied().collect(),
            at(1).map(|text| text.route).collect(),
        )
    }
}
