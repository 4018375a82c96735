//! What a node of each role runs: [`operator`], [`registry`], [`relayer`], and [`shared`] for what every node runs. Several
//! roles may be in one process.

pub(crate) mod node;
mod operator;
mod registry;
mod relayer;
mod shared;

use tokio::sync::{Semaphore, mpsc};

use self::operator::OperatorRole;
use self::registry::RegistryRole;
use self::relayer::RelayerRole;
use crate::context::Context;
use crate::http::token::Token;
use crate::http::{HttpContext, MetricsHandle};
use crate::network::GossipMessage;
use crate::process::supervisor::Tasks;
use crate::tasks::driver::DriverInbox;
use crate::{NodeError, clock};

/// The roles of a node.
struct Roles {
    operator: Option<OperatorRole>,
    registry: Option<RegistryRole>,
    relayer: Option<RelayerRole>,
}

impl Roles {
    /// All tasks of the node that do not run yet.
    async fn spawn(
        &self,
        tasks: &mut Tasks,
        context: &Context,
        inlets: (DriverInbox, mpsc::Receiver<GossipMessage>),
        metrics: Option<MetricsHandle>,
    ) -> Result<(), NodeError> {
        let (operator, registry) = (self.operator.as_ref(), self.registry.as_ref());
        let (pages, services) = shared::spawn(tasks, context, inlets, (operator, registry))?;
        let standings = operator.map(|operator| operator.spawn(tasks, context));
        if let Some(relayer) = &self.relayer {
            relayer.spawn(tasks, context, metrics.clone()).await?;
        }
        let sightings = registry.map(|registry| registry.spawn(tasks, context, services));
        let settings = &context.settings;
        let pages = HttpContext {
            node: context.clone(),
            me: operator.map(OperatorRole::addresses),
            lease: operator.map(|operator| operator.lease.clone()),
            standings: standings.transpose()?.unwrap_or_default(),
            members: registry.map(|registry| registry.members.clone()),
            deliveries: self.relayer.as_ref().map(RelayerRole::deliveries),
            sightings: sightings.transpose()?.unwrap_or_default(),
            sync: pages.sync,
            retention: pages.retention,
            copies: Semaphore::new(1),
            token: Some(Token::obtain(&settings.data_dir, settings.role)?),
            metrics,
            started: clock::now(),
        };
        shared::spawn_http(tasks, pages).await
    }
}
