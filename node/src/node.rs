//! A node: its parts, and the named tasks that they make.

mod registries;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libp2p::StreamProtocol;
use libp2p::identity::Keypair;
use quorate_chain::evm::{EvmChain, EvmHome};
use quorate_chain::{ChainError, HomeReader, StateReader};
use quorate_proto::{Domain, PeerBinding, PeerSecret};
use quorate_storage::{Identity, Store, StoreError, WriteQueue, schema};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::registries::Ties;
use crate::attest::Attestor;
use crate::clock;
use crate::desk::{Chains, Desk, DeskHandle, DeskMouth, Event, Me};
use crate::gossip::{Bindings, Gossip, KnownSignatures, Validator};
use crate::handover::HandOver;
use crate::home::{Home, HomeHandle, HomeParts};
use crate::http::{Facts, Http, MetricsHandle};
use crate::keys::{Signer, SignerError};
use crate::members::{Members, MembersHandle};
use crate::network::{GossipMessage, Network, NetworkConfig, NetworkError, NetworkHandle};
use crate::outbox::Outbox;
use crate::publish::Publisher;
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
    /// The operator's Ed25519 signing key, to show to registries that it is held.
    pub ed25519_secret: Option<[u8; 32]>,
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
    writer: quorate_storage::WriterGuard,
}

impl Ledgers {
    /// Connects to the chains that are configured.
    ///
    /// # Errors
    /// A provider of another chain, or settings that make no sense. Providers that are down are
    /// tried again later.
    pub async fn connect(
        settings: &Settings,
        halt: &CancellationToken,
    ) -> Result<Self, ChainError> {
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
            ledgers
                .followers
                .push(Box::pin(evm.clone().run(halt.clone())));
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
        let domain = domain_of(&parts.settings);
        let secret = PeerSecret::from_bytes(&parts.peer_secret);
        let speaker = speaker_of(&parts.settings, parts.signer, &domain, &secret).await?;
        let ed25519 = parts.ed25519_secret.as_ref().map(PeerSecret::from_bytes);
        let (writes, writer) = WriteQueue::new(store.clone())?;
        let mut tasks = Tasks::new(halt.clone());
        let (network, messages) = spawn_swarm(
            &mut tasks,
            &parts.settings,
            &parts.peer_secret,
            &domain,
            &store,
            &halt,
        )?;
        let (desk, mouth) = Desk::channel();
        let members = spawn_members(&mut tasks, &parts.settings, &store, &writes, &halt)?;
        let kept = HomeParts {
            store: store.clone(),
            writes: writes.clone(),
            members: members.clone(),
        };
        let home = spawn_home(&mut tasks, &ledgers, kept, &desk, &halt);
        let sources = ledgers.sources.iter().cloned();
        let wiring = Wiring {
            domain,
            bindings: recall_bindings(&store)?,
            known: KnownSignatures::default(),
            speaker,
            chains: Arc::new(sources.map(|chain| (chain.chain_id(), chain)).collect()),
            store,
            writes,
            network,
            home,
            members,
            desk,
            closing: halt.child_token(),
            drained: CancellationToken::new(),
            halt,
        };
        spawn_followers(&mut tasks, ledgers.followers);
        wiring.spawn_desk(&mut tasks, mouth, secret);
        wiring.spawn_hand_over(&mut tasks);
        wiring.spawn_gossip(&mut tasks, messages);
        wiring.spawn_requests(&mut tasks)?;
        let ties = wiring.spawn_registries(&mut tasks, &parts.settings, ledgers.home, ed25519)?;
        let facts = wiring.facts(parts.settings.role, parts.metrics, ties);
        spawn_http(&mut tasks, parts.settings.http, facts, &wiring.halt).await?;
        tasks.spawn("store", watch_store(wiring.store, wiring.halt.clone()));
        Ok(Self {
            tasks,
            network: wiring.network,
            home: wiring.home,
            closing: wiring.closing,
            drained: wiring.drained,
            halt: wiring.halt,
            drain: parts.settings.drain,
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

/// What the tasks of a node share.
struct Wiring {
    domain: Domain,
    store: Store,
    writes: WriteQueue,
    speaker: Option<Speaker>,
    chains: Arc<Chains>,
    bindings: Bindings,
    known: KnownSignatures,
    network: NetworkHandle,
    home: HomeHandle,
    /// At a registry.
    members: Option<MembersHandle>,
    desk: DeskHandle,
    closing: CancellationToken,
    drained: CancellationToken,
    halt: CancellationToken,
}

impl Wiring {
    /// The desk, and those who carry out what it says: attestor, outbox, publisher.
    fn spawn_desk(&self, tasks: &mut Tasks, mouth: DeskMouth, secret: PeerSecret) {
        let publisher = self.speaker.as_ref().map(|speaker| {
            let (publisher, handle) = Publisher::new(
                self.network.clone(),
                self.domain.network(),
                speaker.binding,
                secret,
            );
            tasks.spawn("publisher", publisher.run(self.halt.clone()));
            handle
        });
        let me = self.speaker.as_ref().map(|Speaker { signer, binding }| {
            let operator = binding.operator;
            let log = self.writes.signing_log();
            let (task, attestor) = Attestor::new(
                log,
                signer.clone(),
                self.known.clone(),
                operator,
                self.domain,
            );
            tasks.spawn("attestor", task.run(self.desk.clone(), self.halt.clone()));
            let signing_key = signer.address();
            Me {
                operator,
                signing_key,
                attestor,
            }
        });
        let (outbox, outbox_handle) = Outbox::new(publisher);
        tasks.spawn("outbox", outbox.run(self.halt.clone()));
        let desk = Desk::new(
            mouth,
            self.desk.clone(),
            me,
            self.chains.clone(),
            self.home.clone(),
            self.writes.clone(),
            outbox_handle,
        );
        let desk = desk.telling(self.members.clone());
        tasks.spawn("desk", desk.run(self.halt.clone()));
    }

    /// Operators only: a registry has no say in who serves next.
    fn spawn_hand_over(&self, tasks: &mut Tasks) {
        if let Some(Speaker { binding, .. }) = &self.speaker {
            let (home, desk, store) = (self.home.clone(), self.desk.clone(), self.store.clone());
            let hand_over = HandOver::new(binding.operator, home, desk, store);
            tasks.spawn("handover", hand_over.run(self.halt.clone()));
        }
    }

    fn spawn_gossip(&self, tasks: &mut Tasks, messages: mpsc::Receiver<GossipMessage>) {
        let validator = Validator::new(self.domain, self.bindings.clone(), self.known.clone());
        let gossip = Gossip::new(
            messages,
            self.network.clone(),
            self.home.clone(),
            self.desk.clone(),
            validator,
        );
        tasks.spawn("gossip", gossip.run(self.halt.clone()));
    }

    fn spawn_requests(&self, tasks: &mut Tasks) -> Result<(), NodeError> {
        let answerer = Answerer {
            me: self
                .speaker
                .as_ref()
                .map(|speaker| speaker.binding.operator),
            domain: self.domain,
            chains: self.chains.clone(),
            home: self.home.clone(),
            desk: self.desk.clone(),
            store: self.store.clone(),
            bindings: self.bindings.clone(),
            network: self.network.clone(),
            closing: self.closing.clone(),
        };
        let name = self.domain.network().protocol("request");
        let protocol =
            StreamProtocol::try_from_owned(name).map_err(|error| NodeError::Internal {
                reason: error.to_string(),
            })?;
        let requests = Requests::new(
            self.network.clone(),
            protocol,
            answerer,
            self.drained.clone(),
        );
        tasks.spawn("requests", requests.run(self.halt.clone()));
        Ok(())
    }

    fn facts(&self, role: Role, metrics: Option<MetricsHandle>, ties: Ties) -> Facts {
        let me = self.speaker.as_ref();
        Facts {
            role,
            domain: self.domain,
            me: me.map(|speaker| (speaker.binding.operator, speaker.signer.address())),
            home: self.home.clone(),
            members: self.members.clone(),
            chains: self.chains.clone(),
            desk: self.desk.clone(),
            network: self.network.clone(),
            bindings: self.bindings.clone(),
            store: self.store.clone(),
            metrics,
            standings: ties.standings,
            sightings: ties.sightings,
            token: ties.token,
            started: clock::now(),
        }
    }
}

fn spawn_followers(tasks: &mut Tasks, followers: Vec<BoxFuture<'static, Result<(), ChainError>>>) {
    for follower in followers {
        tasks.spawn("chain", async move { Ok(follower.await?) });
    }
}

fn spawn_swarm(
    tasks: &mut Tasks,
    settings: &Settings,
    peer_secret: &[u8; 32],
    domain: &Domain,
    store: &Store,
    halt: &CancellationToken,
) -> Result<(NetworkHandle, mpsc::Receiver<GossipMessage>), NodeError> {
    let config = NetworkConfig {
        keypair: keypair_of(peer_secret)?,
        network: domain.network(),
        listen: settings.listen.clone(),
        external: settings.external.clone(),
        bootstrap: settings.bootstrap.clone(),
    };
    let (swarm, network, messages) = Network::new(config, store.clone())?;
    tasks.spawn("swarm", swarm.run(halt.clone()));
    Ok((network, messages))
}

async fn spawn_http(
    tasks: &mut Tasks,
    address: Option<SocketAddr>,
    facts: Facts,
    halt: &CancellationToken,
) -> Result<(), NodeError> {
    if let Some(address) = address {
        let http = Http::bind(address, Arc::new(facts)).await?;
        tasks.spawn("http", http.run(halt.clone()));
    }
    Ok(())
}

/// The books of a registry; other nodes keep none.
fn spawn_members(
    tasks: &mut Tasks,
    settings: &Settings,
    store: &Store,
    writes: &WriteQueue,
    halt: &CancellationToken,
) -> Result<Option<MembersHandle>, NodeError> {
    if settings.role != Role::Registry {
        return Ok(None);
    }
    let (members, handle) = Members::open(store, writes.clone(), settings.policy)?;
    tasks.spawn("members", members.run(halt.clone()));
    Ok(Some(handle))
}

fn spawn_home(
    tasks: &mut Tasks,
    ledgers: &Ledgers,
    parts: HomeParts,
    desk: &DeskHandle,
    halt: &CancellationToken,
) -> HomeHandle {
    /// Epochs end one at a time; the desk is never that far behind.
    const ENDED: usize = 16;
    let (ended, ended_epochs) = mpsc::channel(ENDED);
    let (reader, poll) = (ledgers.home.clone(), ledgers.home_poll);
    let (home, handle) = Home::new(reader, poll, parts, ended);
    tasks.spawn("home", home.run(halt.clone()));
    tasks.spawn(
        "epochs",
        forward_epochs(ended_epochs, desk.clone(), halt.clone()),
    );
    handle
}

/// The operator that a node speaks for.
struct Speaker {
    signer: Arc<dyn Signer>,
    binding: PeerBinding,
}

async fn speaker_of(
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
            let binding = PeerBinding {
                operator,
                peer_key,
                sequence,
                signature,
            };
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
    let identity = Identity {
        network: domain.network().to_string(),
    };
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
