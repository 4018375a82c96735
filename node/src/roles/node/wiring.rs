//! What the tasks of a node share, and how each of them is started.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use libp2p::StreamProtocol;
use libp2p::identity::Keypair;
use quorate_chain::{ChainError, HomeReader};
use quorate_proto::store::SignerRecord;
use quorate_proto::{Domain, PeerBinding, PeerSecret};
use quorate_storage::{Identity, Store, StoreError, WriteQueue, schema};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::ChainReaders;
use super::registries::RegistryTasks;
use super::upkeep::Upkeep;
use crate::NodeError;
use crate::clock;
use crate::gossip::known_peers::KnownPeers;
use crate::gossip::publisher::{PublishPace, Publisher};
use crate::gossip::{Allowances, Bindings, Gossip, SignatureCache, Validator};
use crate::health::readiness::Readiness;
use crate::health::vitals::Vitals;
use crate::home::set_history::Sets;
use crate::home::{Home, HomeHandle, HomeParts};
use crate::http::{Http, HttpContext, MetricsHandle};
use crate::keys::Signer;
use crate::network::rpc::{self, Caller};
use crate::network::{GossipMessage, Network, NetworkConfig, NetworkHandle};
use crate::process::supervisor::Tasks;
use crate::registry::members::{Members, MembersHandle};
use crate::requests::{Answerer, Requests, Turns};
use crate::services::Chains;
use crate::settings::{Limits, Role, Settings};
use crate::signing::lease::others::{Others, Peers, PresenceSources};
use crate::signing::lease::{self, LeaseHandle, LeaseTask, LogClaim};
use crate::tasks::attestor::Attestor;
use crate::tasks::driver::{
    Channels, DriverHandle, DriverInbox, DriverStores, Event, OwnOperator, TaskDriver,
};
use crate::tasks::evidence::EvidenceStore;
use crate::tasks::handover::HandOver;
use crate::tasks::inventory::TaskInventory;
use crate::tasks::outbox::Outbox;

/// What the tasks of a node share.
pub(super) struct Wiring {
    pub(super) domain: Domain,
    pub(super) store: Store,
    pub(super) writes: WriteQueue,
    pub(super) inventory: TaskInventory,
    pub(super) sets: Sets,
    pub(super) speaker: Option<Speaker>,
    pub(super) chains: Arc<Chains>,
    pub(super) bindings: Bindings,
    pub(super) known: SignatureCache,
    pub(super) limits: Limits,
    pub(super) allowances: Allowances,
    pub(super) book: EvidenceStore,
    pub(super) network: NetworkHandle,
    pub(super) home: HomeHandle,
    /// At a registry.
    pub(super) members: Option<MembersHandle>,
    pub(super) driver: DriverHandle,
    /// Where what happens to tasks is told.
    pub(super) channels: Channels,
    /// Parts of the node note here what keeps it from signing.
    pub(super) readiness: Readiness,
    pub(super) vitals: Vitals,
    pub(super) closing: CancellationToken,
    pub(super) drained: CancellationToken,
    pub(super) halt: CancellationToken,
    /// At an operator.
    pub(super) lease: Option<LeaseHandle>,
}

impl Wiring {
    /// Operators only: nobody else signs.
    pub(super) fn spawn_keeper(
        &mut self,
        tasks: &mut Tasks,
        settings: &Settings,
        reader: &Arc<dyn HomeReader>,
        (claim, heard): (LogClaim, mpsc::Receiver<PeerBinding>),
    ) -> Result<(), NodeError> {
        let Some(speaker) = &self.speaker else {
            return Ok(());
        };
        let protocol = rpc::protocol(&self.domain.network())?;
        let others = Others::Peers(Box::new(Peers::new(
            Caller::new(self.network.clone(), protocol),
            self.network.clone(),
            self.bootstrap_peers(settings),
            speaker.binding.operator,
            PresenceSources {
                vitals: self.vitals.clone(),
                adopter: self.adopter(),
            },
        )));
        self.vitals.speaks(speaker.binding.sequence);
        let (keeper, lease) = LeaseTask::new(lease::LeaseParts {
            domain: self.domain,
            signer: speaker.signer.clone(),
            record: speaker.record.clone(),
            binding: speaker.binding,
            signers: self.writes.signers(),
            claim,
            home: self.home.clone(),
            reader: reader.clone(),
            others,
            heard,
        });
        tasks.spawn("lease", keeper.run(self.halt.clone()));
        self.lease = Some(lease);
        Ok(())
    }

    /// All through which a task goes.
    pub(super) fn spawn_pipeline(
        &self,
        tasks: &mut Tasks,
        settings: &Settings,
        inbox: DriverInbox,
        messages: mpsc::Receiver<GossipMessage>,
        secret: PeerSecret,
    ) -> Result<(), NodeError> {
        self.spawn_driver(tasks, inbox, secret);
        self.spawn_hand_over(tasks);
        self.spawn_gossip(tasks, settings, messages);
        self.spawn_requests(tasks)
    }

    /// The task driver, and those who carry out what it says: attestor, outbox, publisher.
    fn spawn_driver(&self, tasks: &mut Tasks, inbox: DriverInbox, secret: PeerSecret) {
        let speaking = self.speaker.as_ref().zip(self.lease.clone());
        let publisher = speaking.clone().map(|(speaker, lease)| {
            let pace = PublishPace::new(
                speaker.binding.operator,
                self.limits.mesh,
                self.home.clone(),
            );
            let (publisher, handle) = Publisher::new(
                self.network.clone(),
                self.domain.network(),
                speaker.binding,
                secret,
                pace,
                lease,
            );
            tasks.spawn("publisher", publisher.run(self.halt.clone()));
            handle
        });
        let me = speaking.map(|(speaker, lease)| {
            let Speaker {
                signer, binding, ..
            } = speaker;
            let operator = binding.operator;
            let log = self.writes.signing_log();
            let (task, attestor) = Attestor::new(
                log,
                signer.clone(),
                self.known.clone(),
                operator,
                self.domain,
                self.readiness.clone(),
                lease,
            );
            let task = task.noting(self.vitals.clone());
            tasks.spawn("attestor", task.run(self.driver.clone(), self.halt.clone()));
            let signing_key = signer.address();
            OwnOperator {
                operator,
                signing_key,
                attestor,
            }
        });
        let (outbox, outbox_handle) = Outbox::new(publisher);
        tasks.spawn("outbox", outbox.run(self.halt.clone()));
        let driver = TaskDriver::new(
            inbox,
            self.driver.clone(),
            me,
            self.chains.clone(),
            self.home.clone(),
            self.books(),
            outbox_handle,
        );
        let driver = driver.recording(self.channels.clone());
        let driver = driver
            .telling(self.members.clone())
            .within(self.limits.mesh, self.allowances.clone());
        tasks.spawn("driver", driver.run(self.halt.clone()));
    }

    fn books(&self) -> DriverStores {
        DriverStores {
            writes: self.writes.clone(),
            inventory: self.inventory.clone(),
            sets: self.sets.clone(),
            evidence: self.book.clone(),
        }
    }

    /// Operators only: a registry has no say in who serves next.
    fn spawn_hand_over(&self, tasks: &mut Tasks) {
        if let Some(Speaker { binding, .. }) = &self.speaker {
            let (home, driver, store) =
                (self.home.clone(), self.driver.clone(), self.store.clone());
            let hand_over = HandOver::new(binding.operator, home, driver, store);
            tasks.spawn("handover", hand_over.run(self.halt.clone()));
        }
    }

    /// For whom places are kept.
    pub(super) fn regulars(&self, settings: &Settings) -> KnownPeers {
        let configured = self.bootstrap_peers(settings);
        KnownPeers::new(self.bindings.clone(), self.home.clone(), configured)
    }

    fn spawn_gossip(
        &self,
        tasks: &mut Tasks,
        settings: &Settings,
        messages: mpsc::Receiver<GossipMessage>,
    ) {
        let regulars = self.regulars(settings);
        let validator = Validator::new(
            self.domain,
            self.bindings.clone(),
            regulars.clone(),
            self.allowances.clone(),
            self.known.clone(),
            self.book.clone(),
        );
        let gossip = Gossip::new(
            messages,
            self.network.clone(),
            self.home.clone(),
            self.driver.clone(),
            validator,
            self.channels.refusals.clone(),
            regulars,
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
            turns: self
                .chains
                .keys()
                .map(|id| (*id, Turns::default()))
                .collect(),
            totals: self.limits.mesh,
            home: self.home.clone(),
            driver: self.driver.clone(),
            store: self.store.clone(),
            inventory: self.inventory.clone(),
            bindings: self.bindings.clone(),
            network: self.network.clone(),
            channels: self.channels.clone(),
            lease: self.lease.clone(),
            book: self.book.clone(),
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
            &self.limits,
            self.drained.clone(),
        );
        tasks.spawn("requests", requests.run(self.halt.clone()));
        Ok(())
    }

    pub(super) fn facts(
        &self,
        role: Role,
        ledger: Arc<dyn HomeReader>,
        metrics: Option<MetricsHandle>,
        ties: RegistryTasks,
        upkeep: Upkeep,
    ) -> HttpContext {
        let me = self.speaker.as_ref();
        HttpContext {
            role,
            domain: self.domain,
            me: me.map(|speaker| (speaker.binding.operator, speaker.signer.address())),
            home: self.home.clone(),
            ledger,
            members: self.members.clone(),
            chains: self.chains.clone(),
            driver: self.driver.clone(),
            network: self.network.clone(),
            bindings: self.bindings.clone(),
            allowances: self.allowances.clone(),
            book: self.book.clone(),
            store: self.store.clone(),
            inventory: self.inventory.clone(),
            sync: upkeep.sync,
            retention: upkeep.retention,
            writes: self.writes.clone(),
            copies: Semaphore::new(1),
            metrics,
            standings: ties.standings,
            vitals: self.vitals.clone(),
            sightings: ties.sightings,
            token: ties.token,
            channels: self.channels.clone(),
            readiness: self.readiness.clone(),
            closing: self.closing.clone(),
            lease: self.lease.clone(),
            started: clock::now(),
        }
    }
}

pub(super) fn spawn_followers(
    tasks: &mut Tasks,
    followers: Vec<BoxFuture<'static, Result<(), ChainError>>>,
) {
    for follower in followers {
        tasks.spawn("chain", async move { Ok(follower.await?) });
    }
}

pub(super) fn spawn_swarm(
    tasks: &mut Tasks,
    settings: &Settings,
    peer_secret: &[u8; 32],
    (writes, bindings): (&WriteQueue, &Bindings),
    halt: &CancellationToken,
) -> Result<(NetworkHandle, mpsc::Receiver<GossipMessage>), NodeError> {
    let config = NetworkConfig {
        keypair: keypair_of(peer_secret)?,
        network: domain_of(settings).network(),
        listen: settings.listen.clone(),
        external: settings.external.clone(),
        bootstrap: settings.bootstrap.clone(),
        serves_as_relay: settings.role == Role::Registry,
        reach: settings.reach.clone(),
        ranges: settings.limits.ranges(),
    };
    let (swarm, network, messages) = Network::new(config, writes.clone(), bindings.clone())?;
    tasks.spawn("swarm", swarm.run(halt.clone()));
    Ok((network, messages))
}

pub(super) async fn spawn_http(
    tasks: &mut Tasks,
    (address, hosts): (Option<SocketAddr>, &[String]),
    facts: HttpContext,
    halt: &CancellationToken,
) -> Result<(), NodeError> {
    if let Some(address) = address {
        let http = Http::bind(address, hosts, Arc::new(facts)).await?;
        tasks.spawn("http", http.run(halt.clone()));
    }
    Ok(())
}

/// The books of a registry; other nodes keep none.
pub(super) fn spawn_members(
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

pub(super) fn spawn_home(
    tasks: &mut Tasks,
    ledgers: &ChainReaders,
    parts: HomeParts,
    driver: &DriverHandle,
    halt: &CancellationToken,
) -> HomeHandle {
    /// Epochs end one at a time; the task driver is never that far behind.
    const ENDED: usize = 16;
    let (ended, ended_epochs) = mpsc::channel(ENDED);
    let (reader, poll) = (ledgers.home.clone(), ledgers.home_poll);
    let (home, handle) = Home::new(reader, poll, parts, ended);
    tasks.spawn("home", home.run(halt.clone()));
    tasks.spawn(
        "epochs",
        forward_epochs(ended_epochs, driver.clone(), halt.clone()),
    );
    handle
}

/// The operator that a node speaks for.
pub(super) struct Speaker {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) binding: PeerBinding,
    /// What the store knew of the operator at the start.
    pub(super) record: SignerRecord,
}

pub(super) async fn speaker_of(
    settings: &Settings,
    signer: Option<Arc<dyn Signer>>,
    domain: &Domain,
    secret: &PeerSecret,
    store: &Store,
) -> Result<Option<Speaker>, NodeError> {
    match (settings.role, settings.operator, signer) {
        (Role::Registry, ..) => Ok(None),
        (Role::Operator, Some(operator), Some(signer)) => {
            let record = store.signer(&operator.into_array())?;
            lease::refuse_beside_holder(signer.address(), &record)?;
            // Above all that the operator was bound by before, also where the clock was set back. What a
            // wrong clock made is no measure: nobody listens to a binding of the future.
            let last = Some(record.sequence).filter(|last| !clock::is_ahead(*last));
            let next = last.map_or(0, |last| last.saturating_add(1));
            let sequence = clock::now().millis().max(next);
            let peer_key = secret.public();
            let digest = PeerBinding::digest(domain, operator, peer_key, sequence);
            let signature = signer.sign(digest).await?;
            let binding = PeerBinding {
                operator,
                peer_key,
                sequence,
                signature,
            };
            Ok(Some(Speaker {
                signer,
                binding,
                record,
            }))
        }
        (Role::Operator, None, _) => Err(NodeError::Settings(
            "an operator needs --operator, the address that holds the stake".into(),
        )),
        (Role::Operator, _, None) => Err(NodeError::Settings(
            "an operator needs a signing key; make one with `node keys new`".into(),
        )),
    }
}

pub(super) async fn forward_epochs(
    mut ended: mpsc::Receiver<quorate_proto::Epoch>,
    driver: DriverHandle,
    halt: CancellationToken,
) -> Result<(), NodeError> {
    loop {
        tokio::select! {
            Some(epoch) = ended.recv() => driver.send(Event::EpochEnded(epoch)).await,
            () = halt.cancelled() => return Ok(()),
        }
    }
}

/// A node that cannot write must not sign: it ends.
pub(super) async fn watch_store(store: Store, halt: CancellationToken) -> Result<(), NodeError> {
    tokio::select! {
        Some(cause) = store.failure() => Err(cause.into()),
        () = halt.cancelled() => Ok(()),
    }
}

pub(super) fn domain_of(settings: &Settings) -> Domain {
    Domain::new(settings.home.evm.chain_id, settings.home.registry)
}

pub(super) fn open_store(settings: &Settings, domain: &Domain) -> Result<Store, StoreError> {
    let identity = Identity {
        network: domain.network().to_string(),
    };
    Store::open(settings.data_dir.join("store"), settings.engine, &identity)
}

/// The bindings in the store, and what is heard from now on of the operator that this node speaks
/// for.
pub(super) fn recall_bindings(
    store: &Store,
    writes: &WriteQueue,
    speaker: Option<&Speaker>,
) -> Result<(Bindings, mpsc::Receiver<PeerBinding>), NodeError> {
    let (tell, heard) = lease::hearing();
    let mut bindings = Bindings::new(writes.clone());
    if let Some(speaker) = speaker {
        bindings = bindings.telling(speaker.binding, tell);
    }
    for row in store.rows(schema::BINDINGS, &()) {
        let (_, binding) = row?;
        if let Ok(binding) = PeerBinding::try_from(&binding) {
            bindings.recall(binding);
        }
    }
    Ok((bindings, heard))
}

pub(super) fn keypair_of(secret: &[u8; 32]) -> Result<Keypair, NodeError> {
    Keypair::ed25519_from_bytes(*secret)
        .map_err(|error| NodeError::Settings(format!("the peer key is no Ed25519 key: {error}")))
}
