//! A node: its parts, and the named tasks that they make.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::StreamProtocol;
use libp2p::identity::Keypair;
use quorate_chain::evm::{EvmChain, EvmHome};
use quorate_chain::{ChainError, HomeReader, StateReader};
use quorate_proto::{Domain, PeerBinding, PeerSecret};
use quorate_storage::{Identity, Store, StoreError, WriteQueue, schema};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::attest::Attestor;
use crate::clock;
use crate::desk::{Chains, Desk, DeskHandle, Event, Me};
use crate::gossip::{Bindings, Gossip, Validator};
use crate::home::{Home, HomeHandle};
use crate::http::{Facts, Http, MetricsHandle};
use crate::keys::{Signer, SignerError};
use crate::network::{Network, NetworkConfig, NetworkError, NetworkHandle};
use crate::outbox::Outbox;
use crate::publish::{PublishHandle, Publisher};
use crate::requests::{Answerer, Requests};
use crate::settings::{Role, Settings};
use crate::tasks::Tasks;

/// Why a node ended, or did not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store cannot be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain cannot be read in the way that is configured.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The network cannot be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The signing key is out of reach.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// HTTP cannot be served.
    #[error("cannot serve HTTP on {address}: {reason}; choose another --http address, or \"off\"")]
    Http {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// Settings that do not fit each other.
    #[error("{0}")]
    Settings(String),
    /// A record in the store is damaged.
    #[error("{reason}; the store is damaged: restore it from a copy")]
    Stored {
        /// Which one, and how.
        reason: String,
    },
    /// A task ended that should not have.
    #[error("the task {name} ended unexpectedly; this is a defect, please report it")]
    TaskEnded {
        /// Which one.
        name: &'static str,
    },
    /// A task panicked.
    #[error("a task panicked: {reason}; this is a defect, please report it")]
    Panic {
        /// What it said.
        reason: String,
    },
    /// Anything else that should not happen.
    #[error("{reason}; this is a defect, please report it")]
    Internal {
        /// What happened.
        reason: String,
    },
}

/// What a node is made from.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// Its peer identity: the secret of an Ed25519 key.
    pub peer_secret: [u8; 32],
    /// Signs for the operator; `None` for a registry.
    pub signer: Option<Arc<dyn Signer>>,
    /// Figures of this process, if they are collected.
    pub metrics: Option<MetricsHandle>,
}

/// The chains of a node: as configured, or doubles in tests and benches.
pub struct Ledgers {
    /// The home chain.
    pub home: Arc<dyn HomeReader>,
    /// The chains that it reads.
    pub sources: Vec<Arc<dyn StateReader>>,
    /// Tasks that keep them up to date.
    pub followers: Vec<futures::future::BoxFuture<'static, Result<(), ChainError>>>,
    /// How often the home chain is looked at.
    pub home_poll: Duration,
}

/// A node that is ready to run.
pub struct Node {
    tasks: Tasks,
    desk: DeskHandle,
    network: NetworkHandle,
    home: HomeHandle,
    closing: CancellationToken,
    halt: CancellationToken,
    drain: Duration,
    /// Dropped last: everything accepted is on disk then.
    writer: quorate_storage::WriterGuard,
}

impl Ledgers {
    /// Connects to the chains that are configured.
    ///
    /// # Errors
    /// A provider of another chain, or settings that make no sense. Providers that are down are
    /// tried again later.
    pub async fn connect(settings: &Settings, halt: &CancellationToken) -> Result<Self, ChainError> {
        let home = &settings.home;
        let evm = EvmHome::connect(home.evm.clone(), home.registry, home.epoch_manager).await?;
        let evm = Arc::new(evm);
        let mut ledgers = Self {
            home_poll: home.evm.poll_interval,
            followers: vec![Box::pin(evm.clone().run(halt.clone()))],
            home: evm,
            sources: Vec::new(),
        };
        for chain in &settings.chains {
            let evm = Arc::new(EvmChain::connect(chain.evm.clone(), chain.state_manager).await?);
            ledgers.followers.push(Box::pin(evm.clone().run(halt.clone())));
            ledgers.sources.push(evm);
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
    pub async fn start(parts: Parts) -> Result<Self, NodeError> {
        let domain = domain_of(&parts.settings);
        // Before the chains, so that a store that is locked or of another network is refused first.
        let store = open_store(&parts.settings, &domain)?;
        let halt = CancellationToken::new();
        let ledgers = Ledgers::connect(&parts.settings, &halt).await?;
        Self::assemble(parts, store, ledgers, halt).await
    }

    /// As [`Node::start`], with chains that are given.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start_with(parts: Parts, ledgers: Ledgers) -> Result<Self, NodeError> {
        let store = open_store(&parts.settings, &domain_of(&parts.settings))?;
        Self::assemble(parts, store, ledgers, CancellationToken::new()).await
    }

    async fn assemble(
        parts: Parts,
        store: Store,
        ledgers: Ledgers,
        halt: CancellationToken,
    ) -> Result<Self, NodeError> {
        let Parts { settings, peer_secret, signer, metrics } = parts;
        let domain = domain_of(&settings);
        let secret = PeerSecret::from_bytes(&peer_secret);
        let identity = identity_of(&settings, signer, &domain, &secret).await?;
        let (writes, writer) = WriteQueue::new(store.clone())?;
        let closing = halt.child_token();
        let mut tasks = Tasks::new(halt.clone());
        for follower in ledgers.followers {
            tasks.spawn("chain", async move { Ok(follower.await?) });
        }
        let config = NetworkConfig {
            keypair: keypair_of(&peer_secret)?,
            network: domain.network(),
            listen: settings.listen.clone(),
            external: settings.external.clone(),
            bootstrap: settings.bootstrap.clone(),
        };
        let (swarm, network, messages) = Network::new(config, store.clone())?;
        tasks.spawn("swarm", swarm.run(halt.clone()));
        let (ended, ended_epochs) = mpsc::channel(16);
        let (home, home_handle) =
            Home::new(ledgers.home, ledgers.home_poll, store.clone(), writes.clone(), ended);
        tasks.spawn("home", home.run(halt.clone()));
        let (desk, mouth) = Desk::channel();
        tasks.spawn("epochs", forward_epochs(ended_epochs, desk.clone(), halt.clone()));
        let bindings = recall_bindings(&store)?;
        let publisher = spawn_publisher(&mut tasks, &identity, &network, &domain, secret, &halt);
        let (outbox, outbox_handle) = Outbox::new(publisher);
        tasks.spawn("outbox", outbox.run(halt.clone()));
        let me = spawn_attestor(&mut tasks, &identity, &writes, &domain, &desk, &halt);
        let chains: Arc<Chains> =
            Arc::new(ledgers.sources.into_iter().map(|chain| (chain.chain_id(), chain)).collect());
        let driver = Desk::new(
            mouth,
            desk.clone(),
            me,
            chains.clone(),
            home_handle.clone(),
            writes.clone(),
            outbox_handle,
        );
        tasks.spawn("desk", driver.run(halt.clone()));
        let validator = Validator::new(domain, bindings.clone());
        let gossip = Gossip::new(messages, network.clone(), home_handle.clone(), desk.clone(), validator);
        tasks.spawn("gossip", gossip.run(halt.clone()));
        let answerer = Answerer {
            me: identity.as_ref().map(|identity| identity.binding.operator),
            domain,
            chains: chains.clone(),
            home: home_handle.clone(),
            desk: desk.clone(),
            store: store.clone(),
            bindings: bindings.clone(),
            network: network.clone(),
            closing: closing.clone(),
        };
        let protocol = StreamProtocol::try_from_owned(domain.network().protocol("request"))
            .map_err(|error| NodeError::Internal { reason: error.to_string() })?;
        let requests = Requests::new(network.clone(), protocol, answerer);
        tasks.spawn("requests", requests.run(halt.clone()));
        if let Some(address) = settings.http {
            let facts = Facts {
                role: settings.role,
                domain,
                me: identity.as_ref().map(|i| (i.binding.operator, i.signer.address())),
                home: home_handle.clone(),
                chains,
                desk: desk.clone(),
                network: network.clone(),
                bindings,
                store: store.clone(),
                metrics,
                started: clock::now(),
            };
            let http = Http::bind(address, Arc::new(facts)).await?;
            tasks.spawn("http", http.run(halt.clone()));
        }
        tasks.spawn("store", watch_store(store, halt.clone()));
        Ok(Self {
            tasks,
            desk,
            network,
            home: home_handle,
            closing,
            halt,
            drain: settings.drain,
            writer,
        })
    }

    /// Where it listens, with its peer id; empty until the first listener stands.
    #[must_use]
    pub fn listen_addresses(&self) -> Vec<libp2p::Multiaddr> {
        self.network.listen_addresses()
    }

    /// Returns when the node listens and knows the set of the current epoch.
    pub async fn ready(&self) {
        let _ = self.network.listen.clone().wait_for(|addresses| !addresses.is_empty()).await;
        let _ = self.home.watch().wait_for(|view| view.current.is_some()).await;
    }

    /// Runs until `stop` is cancelled; then finishes what users wait for, and ends.
    ///
    /// # Errors
    /// Why it ended without being told to.
    pub async fn run(self, stop: CancellationToken) -> Result<(), NodeError> {
        let Self { tasks, desk, closing, halt, drain, writer, .. } = self;
        let shutdown = async {
            stop.cancelled().await;
            closing.cancel();
            if tokio::time::timeout(drain, desk.drained()).await.is_err() {
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

/// The operator that a node speaks for.
struct Speaker {
    signer: Arc<dyn Signer>,
    binding: PeerBinding,
}

async fn identity_of(
    settings: &Settings,
    signer: Option<Arc<dyn Signer>>,
    domain: &Domain,
    secret: &PeerSecret,
) -> Result<Option<Speaker>, NodeError> {
    match (settings.role, settings.operator, signer) {
        (Role::Registry, ..) => Ok(None),
        (Role::Operator, Some(operator), Some(signer)) => {
            let sequence = clock::now().millis();
            let peer_key = secret.public();
            let digest = PeerBinding::digest(domain, operator, peer_key, sequence);
            let signature = signer.sign(digest).await?;
            let binding = PeerBinding { operator, peer_key, sequence, signature };
            Ok(Some(Speaker { signer, binding }))
        }
        (Role::Operator, None, _) => Err(NodeError::Settings(
            "an operator needs --operator, the address that holds the stake".into(),
        )),
        (Role::Operator, _, None) => Err(NodeError::Settings(
            "an operator needs a signing key; make one with `node keys new`".into(),
        )),
    }
}

fn spawn_publisher(
    tasks: &mut Tasks,
    identity: &Option<Speaker>,
    network: &NetworkHandle,
    domain: &Domain,
    secret: PeerSecret,
    halt: &CancellationToken,
) -> Option<PublishHandle> {
    let identity = identity.as_ref()?;
    let (publisher, handle) =
        Publisher::new(network.clone(), domain.network(), identity.binding, secret);
    tasks.spawn("publisher", publisher.run(halt.clone()));
    Some(handle)
}

fn spawn_attestor(
    tasks: &mut Tasks,
    identity: &Option<Speaker>,
    writes: &WriteQueue,
    domain: &Domain,
    desk: &DeskHandle,
    halt: &CancellationToken,
) -> Option<Me> {
    let Speaker { signer, binding } = identity.as_ref()?;
    let operator = binding.operator;
    let signing_key = signer.address();
    let (attestor, handle) = Attestor::new(writes.signing_log(), signer.clone(), operator, *domain);
    tasks.spawn("attestor", attestor.run(desk.clone(), halt.clone()));
    Some(Me { operator, signing_key, attestor: handle })
}

async fn forward_epochs(
    mut ended: mpsc::Receiver<quorate_proto::Epoch>,
    desk: DeskHandle,
    halt: CancellationToken,
) -> Result<(), NodeError> {
    loop {
        tokio::select! {
            Some(epoch) = ended.recv() => desk.send(Event::EpochEnded(epoch)).await,
            () = halt.cancelled() => return Ok(()),
        }
    }
}

/// A node that cannot write must not sign: it ends.
async fn watch_store(store: Store, halt: CancellationToken) -> Result<(), NodeError> {
    tokio::select! {
        Some(cause) = store.failure() => Err(cause.into()),
        () = halt.cancelled() => Ok(()),
    }
}

fn domain_of(settings: &Settings) -> Domain {
    Domain::new(settings.home.evm.chain_id, settings.home.registry)
}

fn open_store(settings: &Settings, domain: &Domain) -> Result<Store, StoreError> {
    let identity = Identity { network: domain.network().to_string() };
    Store::open(settings.data_dir.join("store"), settings.engine, &identity)
}

fn recall_bindings(store: &Store) -> Result<Bindings, NodeError> {
    let bindings = Bindings::new(store.clone());
    for row in store.rows(schema::BINDINGS, &()) {
        let (_, binding) = row?;
        if let Ok(binding) = PeerBinding::try_from(&binding) {
            bindings.recall(binding);
        }
    }
    Ok(bindings)
}

fn keypair_of(secret: &[u8; 32]) -> Result<Keypair, NodeError> {
    Keypair::ed25519_from_bytes(*secret)
        .map_err(|error| NodeError::Settings(format!("the peer key is no Ed25519 key: {error}")))
}
