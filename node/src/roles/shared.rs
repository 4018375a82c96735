//! The tasks that every node runs, whatever its roles: the mesh, the home chain, the pipeline, the store, the
//! pages.

use std::sync::Arc;

use futures::future::BoxFuture;
use libp2p::StreamProtocol;
use libp2p::identity::Keypair;
use quorate_chain::ChainError;
use quorate_proto::{Domain, Epoch, PeerBinding};
use quorate_storage::{Identity, Store, StoreError, WriteQueue, schema};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::node::ChainReaders;
use super::operator::{OperatorRole, Speaker};
use super::registry::RegistryRole;
use crate::NodeError;
use crate::context::Context;
use crate::gossip::{Bindings, Gossip, Validator};
use crate::health::vitals::Watch;
use crate::home::{Home, HomeHandle, HomeParts};
use crate::http::{Http, HttpContext};
use crate::maintenance::prune::{Pruner, PruningStatus};
use crate::network::rpc;
use crate::network::{GossipMessage, Network, NetworkConfig, NetworkHandle};
use crate::process::measures;
use crate::process::supervisor::Tasks;
use crate::registry::service::{ServiceParts, Services};
use crate::requests::{Answerer, Requests, Turns};
use crate::services::Observer;
use crate::settings::{Reloader, Settings};
use crate::signing::lease;
use crate::sync::{CatchUp, Fetcher, Library, Serving, SyncStatus};
use crate::tasks::driver::{DriverInbox, DriverStores, TaskDriver};
use crate::tasks::outbox::Outbox;

/// What the pages show of these tasks.
pub(super) struct SharedPages {
    pub(super) sync: SyncStatus,
    pub(super) retention: PruningStatus,
}

/// All but the pages.
///
/// # Errors
/// [`NodeError`].
pub(super) fn spawn(
    tasks: &mut Tasks,
    context: &Context,
    (inbox, messages): (DriverInbox, mpsc::Receiver<GossipMessage>),
    (operator, registry): (Option<&OperatorRole>, Option<&RegistryRole>),
) -> Result<(SharedPages, Services), NodeError> {
    spawn_driver(tasks, context, inbox, (operator, registry));
    spawn_gossip(tasks, context, messages);
    spawn_requests(tasks, context, operator)?;
    context.bridge.spawn(tasks, &context.halt)?;
    let sync = spawn_sync(tasks, context)?;
    let (pruner, retention) = Pruner::new(
        context.reloader.live(),
        context.home.clone(),
        context.writes.clone(),
        context.inventory.clone(),
    );
    tasks.spawn("prune", pruner.run(context.halt.clone()));
    let services = spawn_rpc(tasks, context, registry)?;
    let watch = Watch {
        vitals: context.vitals.clone(),
        data_dir: context.settings.data_dir.clone(),
        caller: context.caller()?,
        network: context.network.clone(),
        home: context.home.clone(),
        bindings: context.bindings.clone(),
        bootstrap: context.configured_peers(),
    };
    tasks.spawn("vitals", watch.run(context.halt.clone()));
    let stored = watch_store(context.store.clone(), context.halt.clone());
    tasks.spawn("store", stored);
    Ok((SharedPages { sync, retention }, services))
}

/// The task driver, and who sends what it decides.
fn spawn_driver(
    tasks: &mut Tasks,
    context: &Context,
    inbox: DriverInbox,
    (operator, registry): (Option<&OperatorRole>, Option<&RegistryRole>),
) {
    let (outbox, outbox_handle) = Outbox::new(operator.map(|operator| operator.publisher.clone()));
    tasks.spawn("outbox", outbox.run(context.halt.clone()));
    let stores = DriverStores {
        writes: context.writes.clone(),
        inventory: context.inventory.clone(),
        sets: context.sets.clone(),
        evidence: context.evidence.clone(),
    };
    let driver = TaskDriver::new(
        inbox,
        context.driver.clone(),
        operator.map(|operator| operator.own.clone()),
        Observer::new(
            context.chains.clone(),
            context.home.clone(),
            context.bridge.clone(),
        ),
        context.home.clone(),
        stores,
        outbox_handle,
    );
    let driver = driver
        .recording(context.channels.clone())
        .telling(registry.map(|registry| registry.members.clone()))
        .within(context.settings.limits.mesh, context.allowances.clone());
    tasks.spawn("driver", driver.run(context.halt.clone()));
}

fn spawn_gossip(tasks: &mut Tasks, context: &Context, messages: mpsc::Receiver<GossipMessage>) {
    let validator = Validator::new(
        context.domain,
        context.bindings.clone(),
        context.known_peers(),
        context.allowances.clone(),
        context.signatures.clone(),
        context.evidence.clone(),
    );
    let gossip = Gossip::new(
        messages,
        context.network.clone(),
        context.home.clone(),
        context.driver.clone(),
        validator,
        context.channels.refusals.clone(),
        context.known_peers(),
    );
    tasks.spawn("gossip", gossip.run(context.halt.clone()));
}

fn spawn_requests(
    tasks: &mut Tasks,
    context: &Context,
    operator: Option<&OperatorRole>,
) -> Result<(), NodeError> {
    let turns = context.chains.keys().map(|id| (*id, Turns::default()));
    let answerer = Answerer {
        node: context.clone(),
        me: operator.map(|operator| operator.own.operator),
        turns: turns.collect(),
        lease: operator.map(|operator| operator.lease.clone()),
    };
    let name = context.domain.network().protocol("request");
    let protocol = StreamProtocol::try_from_owned(name).map_err(|error| NodeError::Internal {
        reason: error.to_string(),
    })?;
    let requests = Requests::new(
        context.network.clone(),
        protocol,
        answerer,
        context.reloader.live(),
        context.drained.clone(),
    );
    tasks.spawn("requests", requests.run(context.halt.clone()));
    Ok(())
}

/// Serves other nodes what they lack, and has from them what is lacking here.
fn spawn_sync(tasks: &mut Tasks, context: &Context) -> Result<SyncStatus, NodeError> {
    let library = Library {
        store: context.store.clone(),
        inventory: context.inventory.clone(),
        sets: context.sets.clone(),
    };
    let serving = Serving::new(
        context.network.clone(),
        &context.domain.network(),
        library,
        context.known_peers(),
    )?;
    tasks.spawn("sync-serve", serving.run(context.halt.clone()));
    let status = SyncStatus::default();
    let catch_up = CatchUp::new(
        Fetcher::new(context, status.clone())?,
        context.network.clone(),
        context.home.clone(),
        context.bindings.clone(),
        context.configured_peers(),
    );
    tasks.spawn("sync", catch_up.run(context.halt.clone()));
    Ok(status)
}

/// What is served over gRPC: of a node that is no registry, the health check alone.
fn spawn_rpc(
    tasks: &mut Tasks,
    context: &Context,
    registry: Option<&RegistryRole>,
) -> Result<Services, NodeError> {
    let services = Services::new(ServiceParts {
        domain: context.domain,
        home: context.home.clone(),
        reader: context.reader.clone(),
        members: registry.map(|registry| registry.members.clone()),
        bindings: context.bindings.clone(),
        network: context.network.clone(),
        store: context.store.clone(),
    });
    let serving = rpc::serve(
        context.network.clone(),
        rpc::protocol(&context.domain.network())?,
        services.clone().routes(),
        context.known_peers(),
        context.halt.clone(),
    );
    tasks.spawn("rpc", serving);
    Ok(services)
}

/// The pages, where the settings have an address for them.
///
/// # Errors
/// [`NodeError::Http`] where the address is taken.
pub(super) async fn spawn_http(tasks: &mut Tasks, pages: HttpContext) -> Result<(), NodeError> {
    let (settings, halt) = (pages.node.settings.clone(), pages.node.halt.clone());
    if let Some(metrics) = pages.metrics.clone() {
        tasks.spawn("figures", measures::count(metrics, halt.clone()));
    }
    if let Some(address) = settings.http {
        let http = Http::bind(address, Arc::new(pages)).await?;
        tasks.spawn("http", http.run(halt));
    }
    Ok(())
}

pub(super) fn spawn_swarm(
    tasks: &mut Tasks,
    settings: &Settings,
    peer_secret: &[u8; 32],
    (writes, bindings, reloader): (&WriteQueue, &Bindings, &Reloader),
    halt: &CancellationToken,
) -> Result<(NetworkHandle, mpsc::Receiver<GossipMessage>), NodeError> {
    let config = NetworkConfig {
        keypair: keypair_of(peer_secret)?,
        network: domain_of(settings).network(),
        listen: settings.listen.clone(),
        external: settings.external.clone(),
        bootstrap: settings.bootstrap.clone(),
        serves_as_relay: settings.role.is_registry(),
        reach: settings.reach.clone(),
        live: reloader.live(),
    };
    let (swarm, network, messages) = Network::new(config, writes.clone(), bindings.clone())?;
    tasks.spawn("swarm", swarm.run(halt.clone()));
    Ok((network, messages))
}

pub(super) fn spawn_followers(
    tasks: &mut Tasks,
    followers: Vec<BoxFuture<'static, Result<(), ChainError>>>,
) {
    for follower in followers {
        tasks.spawn("chain", async move { Ok(follower.await?) });
    }
}

pub(super) fn spawn_home(
    tasks: &mut Tasks,
    ledgers: &ChainReaders,
    parts: HomeParts,
    ended: mpsc::Sender<Epoch>,
    halt: &CancellationToken,
) -> HomeHandle {
    let (reader, poll) = (ledgers.home.clone(), ledgers.home_poll);
    let (home, handle) = Home::new(reader, poll, parts, ended);
    tasks.spawn("home", home.run(halt.clone()));
    handle
}

/// A node that cannot write must not sign: it ends.
async fn watch_store(store: Store, halt: CancellationToken) -> Result<(), NodeError> {
    tokio::select! {
        Some(cause) = store.failure() => Err(cause.into()),
        () = halt.cancelled() => Ok(()),
    }
}

pub(super) fn domain_of(settings: &Settings) -> Domain {
    Domain::new(settings.home.chain.chain_id, settings.home.registry)
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

fn keypair_of(secret: &[u8; 32]) -> Result<Keypair, NodeError> {
    Keypair::ed25519_from_bytes(*secret)
        .map_err(|error| NodeError::Settings(format!("the peer key is no Ed25519 key: {error}")))
}
