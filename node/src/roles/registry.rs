//! A registry: keeps members by what the home chain and the mesh say, watches them, and agrees with the other
//! registries.

use quorate_storage::{Store, WriteQueue};
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::context::Context;
use crate::process::supervisor::Tasks;
use crate::registry::members::{Members, MembersHandle};
use crate::registry::probe::{Prober, Sightings};
use crate::registry::replica::Replica;
use crate::registry::service::Services;
use crate::settings::Reloader;

/// A registry whose membership task runs: what the tasks of every node need of it.
pub(super) struct RegistryRole {
    pub(super) members: MembersHandle,
}

impl RegistryRole {
    /// Opens the members of the store.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub(super) fn start(
        tasks: &mut Tasks,
        reloader: &Reloader,
        (store, writes): (&Store, &WriteQueue),
        halt: &CancellationToken,
    ) -> Result<Self, NodeError> {
        let (task, members) = Members::open(store, writes.clone(), reloader.live())?;
        tasks.spawn("members", task.run(halt.clone()));
        Ok(Self { members })
    }

    /// Its tasks beside those of every node. What comes back tells when operators last answered.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) fn spawn(
        &self,
        tasks: &mut Tasks,
        context: &Context,
        services: Services,
    ) -> Result<Sightings, NodeError> {
        let (prober, sightings) = Prober::new(self.members.clone(), context.caller()?);
        tasks.spawn("prober", prober.run(context.halt.clone()));
        let replica = Replica::new(
            context.domain.network().to_string(),
            context.caller()?,
            self.members.clone(),
            services,
            context.binding_importer(),
            context.configured_peers(),
        );
        tasks.spawn("replica", replica.run(context.halt.clone()));
        Ok(sightings)
    }
}
