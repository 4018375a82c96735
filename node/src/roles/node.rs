//! A node: its parts, and the named tasks that they make.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use quorate_chain::{ChainClient, ChainError, HomeReader, StateReader};
use quorate_proto::PeerSecret;
use quorate_storage::{Store, WriteQueue, WriterGuard};
use tokio_util::sync::CancellationToken;

use super::operator::{OperatorRole, Speaker};
use super::registry::RegistryRole;
use super::relayer::RelayerRole;
use super::{Roles, shared};
use crate::NodeError;
use crate::context::Context;
use crate::gossip::{Allowances, Bindings, SignatureCache};
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
use crate::services::bridge::Submitters;
use crate::services::bridge::{Bridge, TransferReaders};
use crate::settings::{HomeSettings, Reloader, Settings};
use crate::signing::lease::LogClaim;
use crate::tasks::driver::{Channels, DriverHandle, TaskDriver, proven_chains};
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
    /// Pays on SVM chains: the secret of an Ed25519 key. Only relayers to such chains need it.
    pub svm_secret: Option<[u8; 32]>,
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
    /// Who reads bridges' contracts on them.
    pub transfers: TransferReaders,
    /// Who sends to them.
    pub submitters: Submitters,
    /// Tasks that keep them up to date.
    pub followers: Vec<BoxFuture<'static, Result<(), ChainError>>>,
    /// How often the home chain is looked at.
    pub home_poll: Duration,
}

/// A node that is ready to run.
pub struct Node {
    tasks: Tasks,
    context: Context,
    /// Dropped last: everything accepted is on disk then.
    writer: WriterGuard,
}

impl ChainReaders {
    fn sources(&self) -> Arc<Chains> {
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
        let HomeSettings {
            chain,
            registry,
            epoch_manager,
        } = &settings.home;
        let home = chain.open_home(*registry, *epoch_manager, halt)?;
        let mut clients = vec![home.client];
        let mut ledgers = Self {
            home_poll: chain.poll_interval,
            followers: vec![home.follower],
            home: home.reader,
            sources: Vec::new(),
            transfers: TransferReaders::new(),
            submitters: Submitters::new(),
        };
        ledgers.add_bridge(chain.chain_id, &clients[0]);
        for chain in &settings.chains {
            let chain_id = chain.chain.chain_id;
            let Some(state_manager) = chain.state_manager else {
                let bridge = chain.chain.open_bridge(halt)?;
                ledgers.add_bridge(chain_id, &bridge.client);
                clients.push(bridge.client);
                ledgers.followers.push(bridge.follower);
                continue;
            };
            let has_proofs = proven.contains(&chain_id);
            let source = chain.chain.open(state_manager, has_proofs, halt)?;
            let (listed, listing) = listed(ledgers.home.clone(), source.reader, chain);
            ledgers.add_bridge(chain_id, &source.client);
            clients.push(source.client);
            ledgers.followers.push(source.follower);
            ledgers.followers.push(Box::pin(listing.run(halt.clone())));
            ledgers.sources.push(Arc::new(listed));
        }
        join_all(clients.iter().map(|client| client.connect())).await;
        Ok(ledgers)
    }

    /// Bridges of a chain are read and served through the providers that read its values.
    fn add_bridge(&mut self, chain: u64, client: &Arc<dyn ChainClient>) {
        if let Some(reader) = client.clone().transfers() {
            self.transfers.entry(chain).or_insert(reader);
        }
        if let Some(submitter) = client.clone().submitter() {
            self.submitters.entry(chain).or_insert(submitter);
        }
    }
}

impl Node {
    /// Opens the store, connects to the chains, starts to listen. Nothing is signed before
    /// [`Node::run`].
    ///
    /// # Errors
    /// [`NodeError`] says what is wrong and what to do.
    pub async fn start(parts: NodeParts) -> Result<Self, NodeError> {
        let domain = shared::domain_of(&parts.settings);
        // Before the chains, so that a store that is locked or of another network is refused first, and
        // that it is known which chains have proofs.
        let store = shared::open_store(&parts.settings, &domain)?;
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
        let store = shared::open_store(&parts.settings, &shared::domain_of(&parts.settings))?;
        Self::assemble(parts, store, ledgers, CancellationToken::new()).await
    }

    async fn assemble(
        parts: NodeParts,
        store: Store,
        chains: ChainReaders,
        halt: CancellationToken,
    ) -> Result<Self, NodeError> {
        let settings = Arc::new(parts.settings);
        let domain = shared::domain_of(&settings);
        let secret = PeerSecret::from_bytes(&parts.peer_secret);
        let speaker = if settings.role.is_operator() {
            Some(Speaker::new(&settings, parts.signer.clone(), &domain, &secret, &store).await?)
        } else {
            None
        };
        let (writes, writer) = WriteQueue::new(store.clone())?;
        let reloader = Reloader::new(&settings);
        let (bindings, heard) = shared::recall_bindings(&store, &writes, speaker.as_ref())?;
        let mut tasks = Tasks::new(halt.clone());
        let (network, messages) = shared::spawn_swarm(
            &mut tasks,
            &settings,
            &parts.peer_secret,
            (&writes, &bindings, &reloader),
            &halt,
        )?;
        let registry = settings
            .role
            .is_registry()
            .then(|| RegistryRole::start(&mut tasks, &reloader, (&store, &writes), &halt));
        let registry = registry.transpose()?;
        let members = registry.as_ref().map(|registry| &registry.members);
        let (driver, ended, inbox) = TaskDriver::channel();
        let kept = HomeParts::new(&store, &writes, members);
        let home = shared::spawn_home(&mut tasks, &chains, kept, ended, &halt);
        let mesh = (network, bindings, driver);
        let context = context_of(
            (settings, reloader),
            (store, writes),
            (&chains, home),
            mesh,
            halt,
        )?;
        let operator = speaker.map(|speaker| {
            let claim = (parts.claim, heard);
            OperatorRole::start(&mut tasks, &context, (speaker, secret), claim)
        });
        let relayer = context.settings.role.is_relayer().then(|| {
            let keys = (parts.signer, parts.svm_secret);
            RelayerRole::start(&mut tasks, &context, keys, &chains.submitters)
        });
        let roles = Roles {
            operator: operator.transpose()?,
            registry,
            relayer: relayer.transpose()?,
        };
        shared::spawn_followers(&mut tasks, chains.followers);
        roles
            .spawn(&mut tasks, &context, (inbox, messages), parts.metrics)
            .await?;
        Ok(Self {
            tasks,
            context,
            writer,
        })
    }

    /// What gives it other settings while it runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.context.reloader.clone()
    }

    /// Where it listens, with its peer id; empty until the first listener stands.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<libp2p::Multiaddr> {
        self.context.network.listen_addresses()
    }

    /// Returns when the node listens and knows the set of the current epoch.
    pub async fn ready(&self) {
        let _ = self
            .context
            .network
            .listen
            .clone()
            .wait_for(|addresses| !addresses.is_empty())
            .await;
        let _ = self
            .context
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
            context,
            writer,
        } = self;
        let Context {
            closing,
            drained,
            halt,
            reloader,
            ..
        } = &context;
        let shutdown = async {
            stop.cancelled().await;
            closing.cancel();
            let drain = reloader.live().borrow().drain;
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

/// The handles of a node whose basic tasks run.
fn context_of(
    (settings, reloader): (Arc<Settings>, Reloader),
    (store, writes): (Store, WriteQueue),
    (chains, home): (&ChainReaders, HomeHandle),
    (network, bindings, driver): (NetworkHandle, Bindings, DriverHandle),
    halt: CancellationToken,
) -> Result<Context, NodeError> {
    let domain = shared::domain_of(&settings);
    let sources = chains.sources();
    // A registry reads no chain.
    let section = settings.section().filter(|_| !settings.role.is_registry());
    let bridge = Bridge::new(
        section.as_ref(),
        (chains.transfers.clone(), chains.submitters.clone()),
        &writes,
    );
    crate::process::measures::declare_reads(sources.keys().copied());
    Ok(Context {
        inventory: TaskInventory::open(&store)?,
        sets: Sets::new(home.clone(), store.clone()),
        evidence: EvidenceStore::open(store.clone(), domain)?,
        allowances: Allowances::new(settings.limits.mesh),
        signatures: SignatureCache::default(),
        channels: Channels::default(),
        readiness: Readiness::default(),
        vitals: Vitals::default(),
        closing: halt.child_token(),
        drained: CancellationToken::new(),
        reader: chains.home.clone(),
        chains: sources,
        bridge,
        settings,
        reloader,
        domain,
        store,
        writes,
        home,
        network,
        bindings,
        driver,
        halt,
    })
}

#[cfg(test)]
mod tests;
