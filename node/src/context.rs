//! What the parts of a node share, whatever its roles.

use std::sync::Arc;

use libp2p::PeerId;
use quorate_chain::HomeReader;
use quorate_proto::Domain;
use quorate_storage::{Store, WriteQueue};
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::gossip::known_peers::KnownPeers;
use crate::gossip::{Allowances, Bindings, SignatureCache};
use crate::health::readiness::Readiness;
use crate::health::vitals::Vitals;
use crate::home::HomeHandle;
use crate::home::set_history::Sets;
use crate::network::rpc::{self, Caller};
use crate::network::{NetworkHandle, peer_of};
use crate::registry::join::BindingImporter;
use crate::services::Chains;
use crate::services::bridge::Bridge;
use crate::settings::{Reloader, Settings};
use crate::tasks::driver::{Channels, DriverHandle};
use crate::tasks::evidence::EvidenceStore;
use crate::tasks::inventory::TaskInventory;

/// Handles of what every node has. Clones share everything.
#[derive(Clone)]
pub(crate) struct Context {
    /// As they were at the start.
    pub(crate) settings: Arc<Settings>,
    /// Those that change.
    pub(crate) reloader: Reloader,
    pub(crate) domain: Domain,
    pub(crate) store: Store,
    pub(crate) writes: WriteQueue,
    pub(crate) inventory: TaskInventory,
    pub(crate) sets: Sets,
    pub(crate) evidence: EvidenceStore,
    /// The home chain, for what [`HomeHandle`] does not follow.
    pub(crate) reader: Arc<dyn HomeReader>,
    pub(crate) home: HomeHandle,
    pub(crate) chains: Arc<Chains>,
    pub(crate) bridge: Bridge,
    pub(crate) network: NetworkHandle,
    pub(crate) bindings: Bindings,
    pub(crate) signatures: SignatureCache,
    pub(crate) allowances: Allowances,
    pub(crate) driver: DriverHandle,
    /// Where what happens to tasks is told.
    pub(crate) channels: Channels,
    /// Parts of the node note here what keeps it from signing.
    pub(crate) readiness: Readiness,
    pub(crate) vitals: Vitals,
    /// Cancelled when the node begins to shut down: questions under way are still answered.
    pub(crate) closing: CancellationToken,
    /// Cancelled when the node is closing and every question was answered.
    pub(crate) drained: CancellationToken,
    /// Cancelled when all tasks shall end.
    pub(crate) halt: CancellationToken,
}

impl Context {
    /// Peers from the settings, each once; among them are the registries that are configured.
    pub(crate) fn configured_peers(&self) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = self.settings.bootstrap.iter().filter_map(peer_of).collect();
        peers.retain(|peer| *peer != self.network.peer_id());
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    /// For whom a part of what is limited is kept.
    pub(crate) fn known_peers(&self) -> KnownPeers {
        let (bindings, home) = (self.bindings.clone(), self.home.clone());
        KnownPeers::new(bindings, home, self.configured_peers())
    }

    /// Takes over bindings that a registry tells.
    pub(crate) fn binding_importer(&self) -> BindingImporter {
        let (home, bindings) = (self.home.clone(), self.bindings.clone());
        BindingImporter::new(self.domain, home, bindings, self.network.clone())
    }

    /// Calls peers over gRPC.
    ///
    /// # Errors
    /// A network whose name makes no protocol.
    pub(crate) fn caller(&self) -> Result<Caller, NodeError> {
        let protocol = rpc::protocol(&self.domain.network())?;
        Ok(Caller::new(self.network.clone(), protocol))
    }
}
