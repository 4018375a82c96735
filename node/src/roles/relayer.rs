//! A relayer: follows the mesh without a stake, and carries what is certified to other chains.

use std::sync::Arc;

use quorate_protocols::delivery::LanePolicy;

use crate::NodeError;
use crate::context::Context;
use crate::delivery::{Deliveries, DeliveryHandle, LaneParts};
use crate::keys::Signer;
use crate::process::supervisor::Tasks;
use crate::services::bridge::BridgeSection;
use crate::services::bridge::relayer::{BridgeRelayer, Submitters, class_of_error};

/// A relayer whose queue of transactions runs.
pub(super) struct RelayerRole {
    deliveries: DeliveryHandle,
    section: BridgeSection,
    submitters: Submitters,
}

impl RelayerRole {
    /// Goes on with what was under way when the last run ended.
    ///
    /// # Errors
    /// Settings that lack the key; a store that cannot be read.
    pub(super) fn start(
        tasks: &mut Tasks,
        context: &Context,
        signer: Option<Arc<dyn Signer>>,
        submitters: &Submitters,
    ) -> Result<Self, NodeError> {
        let signer = signer.ok_or_else(|| {
            NodeError::Settings(
                "a relayer needs a signing key that pays for transactions; make one with `node keys new`"
                    .into(),
            )
        })?;
        let section: BridgeSection = context.settings.section().unwrap_or_default();
        let lane = |submitter: &Arc<dyn quorate_chain::Submitter>| {
            let parts = LaneParts {
                submitter: submitter.clone(),
                signer: signer.clone(),
                confirmations: section.confirmations(),
                class_of: class_of_error,
            };
            let policy = LanePolicy {
                max_fee: section.max_fee(),
                poll_ms: section.poll_ms(),
                // Rollups count the parent chain's part; what is not used is not paid.
                cancel_gas: 200_000,
                ..LanePolicy::evm()
            };
            (parts, policy)
        };
        let lanes = submitters.values().map(lane).collect();
        let (task, deliveries) = Deliveries::open(lanes, context.writes.clone())?;
        tasks.spawn("deliveries", task.run(context.halt.clone()));
        Ok(Self {
            deliveries,
            section,
            submitters: submitters.clone(),
        })
    }

    /// Speaks to its queue.
    pub(super) fn deliveries(&self) -> DeliveryHandle {
        self.deliveries.clone()
    }

    /// Its tasks beside those of every node.
    pub(super) fn spawn(&self, tasks: &mut Tasks, context: &Context) {
        let relayer = BridgeRelayer::new(
            &self.section,
            self.submitters.clone(),
            self.deliveries.clone(),
            (context.store.clone(), context.sets.clone()),
            context.bridge.clone(),
        );
        tasks.spawn("bridge-relay", relayer.run(context.halt.clone()));
    }
}
