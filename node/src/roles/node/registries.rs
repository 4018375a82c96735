//! The tasks between operators and registries.

use std::sync::Arc;

use libp2p::PeerId;
use quorate_chain::HomeReader;

use super::wiring::Wiring;
use crate::NodeError;
use crate::health::vitals::Watch;
use crate::http::token::Token;
use crate::network::peer_of;
use crate::network::rpc::{self, Caller};
use crate::process::supervisor::Tasks;
use crate::registry::join::{Applicant, BindingImporter, Join, RegistryStandings};
use crate::registry::probe::{Prober, Sightings};
use crate::registry::replica::Replica;
use crate::registry::service::{ServiceParts, Services};
use crate::settings::Settings;

/// What the pages show of these tasks.
#[derive(Default)]
pub(super) struct RegistryTasks {
    pub(super) standings: RegistryStandings,
    pub(super) sightings: Sightings,
    pub(super) token: Option<Token>,
}

impl Wiring {
    pub(super) fn spawn_registries(
        &self,
        tasks: &mut Tasks,
        settings: &Settings,
        reader: Arc<dyn HomeReader>,
    ) -> Result<RegistryTasks, NodeError> {
        let protocol = rpc::protocol(&self.domain.network())?;
        let services = Services::new(ServiceParts {
            domain: self.domain,
            home: self.home.clone(),
            reader,
            members: self.members.clone(),
            bindings: self.bindings.clone(),
            network: self.network.clone(),
            store: self.store.clone(),
        });
        let (network, routes) = (self.network.clone(), services.clone().routes());
        let serving = rpc::serve(
            network,
            protocol.clone(),
            routes,
            self.regulars(settings),
            self.halt.clone(),
        );
        tasks.spawn("rpc", serving);
        let caller = Caller::new(self.network.clone(), protocol);
        let mut ties = RegistryTasks {
            token: Some(Token::obtain(&settings.data_dir, settings.role)?),
            ..RegistryTasks::default()
        };
        if let Some(members) = &self.members {
            let (prober, sightings) = Prober::new(members.clone(), caller.clone());
            tasks.spawn("prober", prober.run(self.halt.clone()));
            ties.sightings = sightings;
            let replica = Replica::new(
                self.domain.network().to_string(),
                caller.clone(),
                members.clone(),
                services,
                self.adopter(),
                self.bootstrap_peers(settings),
            );
            tasks.spawn("replica", replica.run(self.halt.clone()));
        }
        self.spawn_vitals(tasks, settings, caller.clone());
        if let Some((join, standings)) = self.join(settings, caller) {
            tasks.spawn("join", join.run(self.halt.clone()));
            ties.standings = standings;
        }
        Ok(ties)
    }

    fn spawn_vitals(&self, tasks: &mut Tasks, settings: &Settings, caller: Caller) {
        let watch = Watch {
            vitals: self.vitals.clone(),
            data_dir: settings.data_dir.clone(),
            caller,
            network: self.network.clone(),
            home: self.home.clone(),
            bindings: self.bindings.clone(),
            bootstrap: self.bootstrap_peers(settings),
        };
        tasks.spawn("vitals", watch.run(self.halt.clone()));
    }

    /// At an operator.
    fn join(&self, settings: &Settings, caller: Caller) -> Option<(Join, RegistryStandings)> {
        let speaker = self.speaker.as_ref()?;
        let lease = self.lease.clone()?;
        let me = Applicant {
            domain: self.domain,
            signer: speaker.signer.clone(),
            binding: speaker.binding,
        };
        let (network, adopter) = (self.network.clone(), self.adopter());
        let registries = self.bootstrap_peers(settings);
        Some(Join::new(me, caller, network, adopter, registries, lease))
    }

    /// Among them are the registries that are configured.
    pub(super) fn bootstrap_peers(&self, settings: &Settings) -> Vec<PeerId> {
        bootstrap_peers(settings, self.network.peer_id())
    }

    pub(super) fn adopter(&self) -> BindingImporter {
        let (home, bindings) = (self.home.clone(), self.bindings.clone());
        BindingImporter::new(self.domain, home, bindings, self.network.clone())
    }
}

/// Peers from the settings, each once.
pub(super) fn bootstrap_peers(settings: &Settings, own: PeerId) -> Vec<PeerId> {
    let mut peers: Vec<PeerId> = settings.bootstrap.iter().filter_map(peer_of).collect();
    peers.retain(|peer| *peer != own);
    peers.sort_unstable();
    peers.dedup();
    peers
}
