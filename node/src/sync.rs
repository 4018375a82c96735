//! Catches up with other nodes: drives [`quorate_protocols::sync`] over the sync stream.
//!
//! Each question that the machine wants asked is a job of its own: it asks, verifies on a blocking
//! thread, has the task driver write what is good, and tells the machine what came of it.

mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod items;
mod link;
mod serve;
mod sets;
mod status;
mod verify;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use libp2p::{PeerId, StreamProtocol};
use quorate_protocols::sync::{Input, Output, Peer, Query, Sync as Machine};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::fetch::Fetcher;
use self::link::Link;
pub(crate) use self::serve::{Library, Serving};
pub(crate) use self::status::SyncStatus;
use crate::gossip::Bindings;
use crate::home::HomeHandle;
use crate::network::{NetworkHandle, Offence};
use crate::{NodeError, clock};

/// How often the connected peers are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Between two lines of the log while there is much to fetch.
const PROGRESS: Duration = Duration::from_secs(5);

/// The task that catches up.
pub(crate) struct CatchUp {
    machine: Machine,
    fetcher: Arc<Fetcher>,
    network: NetworkHandle,
    home: HomeHandle,
    bindings: Bindings,
    /// Registries and others from the settings: they hold what operators hold.
    bootstrap: Vec<PeerId>,
    peers: BTreeMap<Peer, PeerId>,
    names: HashMap<PeerId, Peer>,
    next_peer: u64,
    links: HashMap<Peer, Link>,
    jobs: JoinSet<(Peer, Link, Input)>,
    status: SyncStatus,
    told: tokio::time::Instant,
}

/// The protocol's name in this network.
///
/// # Errors
/// A network id that makes no name.
pub(crate) fn protocol(network: &quorate_proto::NetworkId) -> Result<StreamProtocol, NodeError> {
    StreamProtocol::try_from_owned(network.protocol("sync")).map_err(|error| NodeError::Internal {
        reason: error.to_string(),
    })
}

impl CatchUp {
    pub(crate) fn new(
        fetcher: Fetcher,
        network: NetworkHandle,
        home: HomeHandle,
        bindings: Bindings,
        bootstrap: Vec<PeerId>,
    ) -> Self {
        Self {
            machine: Machine::new(),
            status: fetcher.status.clone(),
            fetcher: Arc::new(fetcher),
            network,
            home,
            bindings,
            bootstrap,
            peers: BTreeMap::new(),
            names: HashMap::new(),
            next_peer: 0,
            links: HashMap::new(),
            jobs: JoinSet::new(),
            told: tokio::time::Instant::now(),
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.machine.next_wake().map(clock::instant_of);
            tokio::select! {
                _ = looks.tick() => self.look().await,
                Some(done) = self.jobs.join_next() => self.finished(done).await?,
                () = clock::sleep_until(wake) => self.feed(Input::Wake).await,
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Who can be asked, once the operators are known: without a set nothing can be verified.
    async fn look(&mut self) {
        let Some(current) = self.home.view().current else {
            return;
        };
        self.feed(Input::Floor(self.fetcher.floor())).await;
        let connected = self.network.peers().await;
        let known = |peer: &PeerId| {
            self.bootstrap.contains(peer) || self.bindings.speaks_for(peer, &current)
        };
        let wanted: Vec<PeerId> = connected
            .iter()
            .map(|info| info.peer)
            .filter(known)
            .collect();
        let gone: Vec<PeerId> = self
            .names
            .keys()
            .filter(|peer| !wanted.contains(peer))
            .copied()
            .collect();
        for peer in gone {
            self.forget(peer).await;
        }
        for peer in wanted {
            if !self.names.contains_key(&peer) {
                self.next_peer += 1;
                let name = Peer(self.next_peer);
                self.names.insert(peer, name);
                self.peers.insert(name, peer);
                self.feed(Input::Connected(name)).await;
            }
        }
        self.tell();
    }

    async fn forget(&mut self, peer: PeerId) {
        if let Some(name) = self.names.remove(&peer) {
            self.peers.remove(&name);
            self.links.remove(&name);
            self.feed(Input::Gone(name)).await;
        }
    }

    async fn feed(&mut self, input: Input) {
        for output in self.machine.handle(clock::now(), input) {
            match output {
                Output::Ask(peer, query) => self.ask(peer, query),
                Output::Lied(peer, why) => self.lied(peer, why).await,
            }
        }
        let (behind, agreed) = (self.machine.behind(), self.machine.agreed());
        self.status.progress(behind, agreed, self.machine.peers());
    }

    fn ask(&mut self, peer: Peer, query: Query) {
        let Some(id) = self.peers.get(&peer).copied() else {
            return;
        };
        let mut link = self.links.remove(&peer).unwrap_or_default();
        let fetcher = self.fetcher.clone();
        self.jobs.spawn(async move {
            let input = fetcher.carry_out(peer, id, &mut link, query).await;
            (peer, link, input)
        });
    }

    async fn finished(
        &mut self,
        done: Result<(Peer, Link, Input), tokio::task::JoinError>,
    ) -> Result<(), NodeError> {
        let (peer, link, input) = done.map_err(|panic| NodeError::Panic {
            reason: panic.to_string(),
        })?;
        if !self.peers.contains_key(&peer) {
            return Ok(());
        }
        if let Input::Failed { fault: true, .. } = input {
            self.lied(peer, "sent what does not hold").await;
        }
        self.links.insert(peer, link);
        self.feed(input).await;
        Ok(())
    }

    async fn lied(&mut self, peer: Peer, why: &str) {
        let Some(id) = self.peers.get(&peer).copied() else {
            return;
        };
        tracing::warn!(peer = %id, why, "a peer lied on the sync stream; others are asked");
        metrics::counter!("quorate_sync_lies_total").increment(1);
        self.status.lied(id, why);
        self.network.offence(id, Offence::FalseAnswer).await;
    }

    /// Long work shows where it is.
    fn tell(&mut self) {
        let behind = self.machine.behind();
        if behind > 0 && self.told.elapsed() >= PROGRESS {
            self.told = tokio::time::Instant::now();
            let taken = self.status.taken();
            tracing::info!(
                behind,
                tasks = taken.tasks,
                responses = taken.responses,
                "catching up"
            );
        }
    }
}
