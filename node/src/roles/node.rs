//! A node: its parts, and the named tasks that they make.

mod registries;
mod upkeep;
mod wiring;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, try_join_all};
use quorate_chain::evm::{EvmChain, EvmHome};
use quorate_chain::{ChainError, HomeReader, StateReader};
use quorate_proto::PeerSecret;
use quorate_storage::{Store, WriteQueue, WriterGuard};
use tokio_util::sync::CancellationToken;

use self::wiring::{
    Wiring, domain_of, open_store, recall_bindings, spawn_followers, spawn_home, spawn_http,
    spawn_members, spawn_swarm, speaker_of, watch_store,
};
use crate::NodeError;
use crate::gossip::{Allowances, SignatureCache};
use crate::health::readiness::Readiness;
use crate::health::vitals::Vitals;
use crate::home::directory::listed;
use crate::home::set_history::Sets;
use crate::home::{HomeHandle, HomeParts};
use crate::http::MetricsHandle;
use crate::keys::Signer;
use crate::network::NetworkHandle;
use crate::process::supervisor::Tasks;
use crate::services::Chains;
use crate::settings::{ChainSettings, Settings};
use crate::signing::lease::LogClaim;
use crate::tasks::driver::{Channels, TaskDriver, proven_chains};
use crate::tasks::evidence::EvidenceStore;
use crate::tasks::inventory::TaskInventory;

/// What a node is made from.
pub struct NodeParts {
    /// Its settings.
    pub settings: Settings,
    /// Its peer identity: the secret of an Ed25519 key.
    pub peer_secret: [u8; 32],
    /// Signs for the operator; `None` for a registry.
    pub signer: Option<Arc<dyn Signer>>,
    /// What is known of the signing key's log, beside what the store says.
    pub claim: LogClaim,
    /// Figures of this process, if they are collected.
    pub metrics: Option<MetricsHandle>,
}

/// The chains of a node: as configured, or doubles in tests and benches.
pub struct ChainReaders {
    /// The home chain.
    pub home: Arc<dyn HomeReader>,
    /// The chains that it reads.
    pub sources: Vec<Arc<dyn StateReader>>,
    /// Tasks that keep them up to date.
    pub followers: Vec<BoxFuture<'static, Result<(), ChainError>>>,
    /// How often the home chain is looked at.
    pub home_poll: Duration,
}

/// A node that is ready to run.
pub struct Node {
    tasks: Tasks,
    network: NetworkHandle,
    home: HomeHandle,
    closing: CancellationToken,
    drained: CancellationToken,
    halt: CancellationToken,
    drain: Duration,
    /// Dropped last: everything accepted is on disk then.
    writer: WriterGuard,
}

impl ChainReaders {
    fn chains(&self) -> Arc<Chains> {
        let sources = self.sources.iter().cloned();
        Arc::new(sources.map(|chain| (chain.chain_id(), chain)).collect())
    }

    /// Connects to the chains that are configured, all at the same time. Of those in `proven` only proofs
    /// are good enough.
    ///
    /// # Errors
    /// Settings that make no sense. Providers that are down or serve another chain are tried again later.
    pub async fn connect(
        settings: &Settings,
        proven: &HashSet<u64>,
        halt: &CancellationToken,
    ) -> Result<Self, ChainError> {
        let home = &settings.home;
        let evm = EvmHome::connect(home.evm.clone(), home.registry, home.epoch_manager);
        let connect =
            |chain: &ChainSettings| EvmChain::connect(chain.evm.clone(), chain.state_manager);
        let sources = try_join_all(settings.chains.iter().map(connect));
        let (evm, sources) = tokio::try_join!(evm, sources)?;
        let evm = Arc::new(evm);
        let mut ledgers = Self {
            home_poll: home.evm.poll_interval,
            followers: vec![Box::pin(evm.clone().run(halt.clone()))],
            home: evm,
            sources: Vec::new(),
        };
        for (chain, evm) in settings.chains.iter().zip(sources) {
            let evm = Arc::new(evm);
            if proven.contains(&evm.chain_id()) {
                evm.client().expect_proofs();
            }
            let (listed, listing) = listed(ledgers.home.clone(), evm.clone(), chain);
            ledgers.followers.push(Box::pin(evm.run(halt.clone())));
            ledgers.followers.push(Box::pin(listing.run(halt.clone())));
            ledgers.sources.push(Arc::new(listed));
        }
        Ok(ledgers)
    }
}

impl Node {
    /// Opens the store, connects to the chains, starts to listen. Nothing is signed before
    /// [`Node::run`].
    ///
    /// # Errors
    /// [`NodeError`] says what is wrong and what to do.
    pub async fn start(parts: NodeParts) -> Result<Self, NodeError> {
        let domain = domain_of(&parts.settings);
        // Before the chains, so that a store that is locked or of another network is refused first, and
        // that it is known which chains have proofs.
        let store = open_store(&parts.settings, &domain)?;
        let halt = CancellationToken::new();
        let proven = proven_chains(&store)?;
        let ledgers = ChainReaders::connect(&parts.settings, &proven, &halt).await?;
        Self::assemble(parts, store, ledgers, halt).await
    }

    /// As [`Node::start`], with chains that are given.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start_with(parts: NodeParts, ledgers: ChainReaders) -> Result<Self, NodeError> {
        let store = open_store(&parts.settings, &domain_of(&parts.settings))?;
        Self::assemble(parts, store, ledgers, CancellationToken::new()).await
    }

    async fn assemble(
        parts: NodeParts,
        store: Store,
        ledgers: ChainReaders,
        halt: CancellationToken,
    ) -> Result<Self, NodeError> {
        let domain = domain_of(&parts.settings);
        let secret = PeerSecret::from_bytes(&parts.peer_secret);
        let speaker = speaker_of(&parts.settings, parts.signer, &domain, &secret, &store).await?;
        let (writes, writer) = WriteQueue::new(store.clone())?;
        let (bindings, heard) = recall_bindings(&store, &writes, speaker.as_ref())?;
        let mut tasks = Tasks::new(halt.clone());
        let (network, messages) = spawn_swarm(
            &mut tasks,
            &parts.settings,
            &parts.peer_secret,
            (&writes, &bindings),
            &halt,
        )?;
        let (driver, inbox) = TaskDriver::channel();
        let members = spawn_members(&mut tasks, &parts.settings, &store, &writes, &halt)?;
        let kept = HomeParts::new(&store, &writes, members.as_ref());
        let home = spawn_home(&mut tasks, &ledgers, kept, &driver, &halt);
        let chains = ledgers.chains();
        crate::process::measures::declare_reads(chains.keys().copied());
        let mut wiring = Wiring {
            inventory: TaskInventory::open(&store)?,
            sets: Sets::new(home.clone(), store.clone()),
            domain,
            bindings,
            known: SignatureCache::default(),
            limits: parts.settings.limits,
            allowances: Allowances::new(parts.settings.limits.mesh),
            book: EvidenceStore::open(store.clone(), domain)?,
            speaker,
            chains,
            store,
            writes,
            network,
            home,
            members,
            driver,
            channels: Channels::default(),
            readiness: Readiness::default(),
            vitals: Vitals::default(),
            closing: halt.child_token(),
            drained: CancellationToken::new(),
            halt,
            lease: None,
        };
        let claim = (parts.claim, heard);
        wiring.spawn_keeper(&mut tasks, &parts.settings, &ledgers.home, claim)?;
        spawn_followers(&mut tasks, ledgers.followers);
        wiring.spawn_pipeline(&mut tasks, &parts.settings, inbox, messages, secret)?;
        let ledger = ledgers.home.clone();
        let upkeep = wiring.spawn_upkeep(&mut tasks, &parts.settings, ledgers.home.clone())?;
        let ties = wiring.spawn_registries(&mut tasks, &parts.settings, ledgers.home)?;
        let facts = wiring.facts(parts.settings.role, ledger, parts.metrics, ties, upkeep);
        let http = (parts.settings.http, &*parts.settings.http_hosts);
        spawn_http(&mut tasks, http, facts, &wiring.halt).await?;
        let stored = watch_store(wiring.store.clone(), wiring.halt.clone());
        tasks.spawn("store", stored);
        Ok(Self::of(wiring, tasks, parts.settings.drain, writer))
    }

    fn of(wiring: Wiring, tasks: Tasks, drain: Duration, writer: WriterGuard) -> Self {
        Self {
            tasks,
            network: wiring.network,
            home: wiring.home,
            closing: wiring.closing,
            drained: wiring.drained,
            halt: wiring.halt,
            drain,
            writer,
        }
    }

    /// Where it listens, with its peer id; empty until the first listener stands.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<libp2p::Multiaddr> {
        self.network.listen_addresses()
    }

    /// Returns when the node listens and knows the set of the current epoch.
    pub async fn ready(&self) {
        let _ = self
            .network
            .listen
            .clone()
            .wait_for(|addresses| !addresses.is_empty())
            .await;
        let _ = self
            .home
            .watch()
            .wait_for(|view| view.current.is_some())
            .await;
    }

    /// Runs until `stop` is cancelled; then finishes what users wait for, and ends.
    ///
    /// # Errors
    /// Why it ended without being told to.
    pub async fn run(self, stop: CancellationToken) -> Result<(), NodeError> {
        let Self {
            tasks,
            closing,
            drained,
            halt,
            drain,
            writer,
            ..
        } = self;
        let shutdown = async {
            stop.cancelled().await;
            closing.cancel();
            if tokio::time::timeout(drain, drained.cancelled())
                .await
                .is_err()
            {
                tracing::warn!("tasks were still under way after the drain time");
            }
            halt.cancel();
        };
        let (result, ()) = tokio::join!(tasks.wait(), async {
            tokio::select! {
                () = shutdown => {}
                () = halt.cancelled() => {}
            }
        });
        // A store that failed says so in `result` already.
        let closed = tokio::task::spawn_blocking(move || writer.close()).await;
        match (result, closed) {
            (Ok(()), Ok(closed)) => Ok(closed?),
            (result, _) => result,
        }
    }
}

#[cfg(test)]
mod tests;
