//! The tasks that keep the store complete, and no larger than it has to be.

use std::sync::Arc;

use quorate_chain::HomeReader;

use super::wiring::Wiring;
use crate::NodeError;
use crate::maintenance::prune::{LogPruner, Pruner, PruningStatus};
use crate::process::supervisor::Tasks;
use crate::settings::Settings;
use crate::sync::{CatchUp, Fetcher, FetcherParts, Library, Serving, SyncStatus};

/// What the pages show of these tasks.
pub(super) struct Upkeep {
    pub(super) sync: SyncStatus,
    pub(super) retention: PruningStatus,
}

impl Wiring {
    pub(super) fn spawn_upkeep(
        &self,
        tasks: &mut Tasks,
        settings: &Settings,
        reader: Arc<dyn HomeReader>,
    ) -> Result<Upkeep, NodeError> {
        let library = Library {
            store: self.store.clone(),
            inventory: self.inventory.clone(),
            sets: self.sets.clone(),
        };
        let serving = Serving::new(
            self.network.clone(),
            &self.domain.network(),
            library,
            self.regulars(settings),
        )?;
        tasks.spawn("sync-serve", serving.run(self.halt.clone()));
        let sync = SyncStatus::default();
        let fetcher = Fetcher::new(FetcherParts {
            domain: self.domain,
            network: self.network.clone(),
            home: self.home.clone(),
            reader: reader.clone(),
            driver: self.driver.clone(),
            inventory: self.inventory.clone(),
            sets: self.sets.clone(),
            writes: self.writes.clone(),
            status: sync.clone(),
        })?;
        let catch_up = CatchUp::new(
            fetcher,
            self.network.clone(),
            self.home.clone(),
            self.bindings.clone(),
            self.bootstrap_peers(settings),
        );
        tasks.spawn("sync", catch_up.run(self.halt.clone()));
        let (pruner, retention) = Pruner::new(
            settings.retention,
            self.home.clone(),
            self.writes.clone(),
            self.inventory.clone(),
        );
        tasks.spawn("prune", pruner.run(self.halt.clone()));
        if let Some(speaker) = &self.speaker {
            let pruner = LogPruner {
                operator: speaker.binding.operator,
                reader,
                home: self.home.clone(),
                writes: self.writes.clone(),
            };
            tasks.spawn("prune-log", pruner.run(self.halt.clone()));
        }
        Ok(Upkeep { sync, retention })
    }
}
