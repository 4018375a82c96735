//! A relayer: follows the mesh without a stake, and carries what is certified to other chains.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_chain::{ChainFamily, Submitter};
use quorate_proto::{Address, B256, Route};
use quorate_protocols::delivery::LanePolicy;
use tokio_util::sync::CancellationToken;

use crate::NodeError;
use crate::context::Context;
use crate::delivery::{Deliveries, DeliveryHandle, LaneParts};
use crate::http::MetricsHandle;
use crate::keys::{EvmPayer, PayerKey, Signer, SvmPayer};
use crate::process::supervisor::Tasks;
use crate::services::bridge::BridgeSection;
use crate::services::bridge::Submitters;
use crate::services::bridge::dashboard::DashboardParts;
use crate::services::bridge::direction::Direction;
use crate::services::bridge::monitor::{BoardView, Monitor, Watched};
use crate::services::bridge::relayer::BridgeRelayer;
use crate::settings::Settings;

/// Blocks on top of one that no SVM chain takes back: lockouts of 31 votes.
const SVM_FINAL_BLOCKS: u64 = 32;

/// A relayer whose queue of transactions runs.
pub(super) struct RelayerRole {
    own: Address,
    deliveries: DeliveryHandle,
    section: BridgeSection,
    submitters: Submitters,
    families: BTreeMap<u64, ChainFamily>,
    board: BoardView,
}

impl RelayerRole {
    /// Goes on with what was under way when the last run ended.
    ///
    /// # Errors
    /// Settings that lack a key; a store that cannot be read.
    pub(super) fn start(
        tasks: &mut Tasks,
        context: &Context,
        (signer, svm_secret): (Option<Arc<dyn Signer>>, Option<[u8; 32]>),
        submitters: &Submitters,
    ) -> Result<Self, NodeError> {
        let signer = signer.ok_or_else(|| {
            NodeError::Settings(
                "a relayer needs a signing key that pays for transactions; make one with `node keys new`"
                    .into(),
            )
        })?;
        let section: BridgeSection = context.settings.section().unwrap_or_default();
        let payers = Payers {
            evm: Arc::new(EvmPayer(signer.clone())),
            svm: svm_secret.map(|secret| Arc::new(SvmPayer::new(&secret)) as Arc<dyn PayerKey>),
        };
        let lanes = submitters
            .values()
            .map(|submitter| payers.lane(submitter, &section));
        let lanes = lanes.collect::<Result<_, _>>()?;
        let (task, deliveries) = Deliveries::open(lanes, context.writes.clone())?;
        let families = families(&context.settings);
        let watched = Watched {
            store: context.store.clone(),
            transfers: context.bridge.transfers.clone(),
            routes: directions(context, &families),
            submitters: submitters.clone(),
            deliveries: deliveries.clone(),
        };
        let halt = context.halt.clone();
        let monitor = Monitor::start(&section, watched, (tasks, &halt))?;
        let (board, checked) = (monitor.board(), CancellationToken::new());
        tasks.spawn("bridge-monitor", monitor.run(checked.clone(), halt.clone()));
        tasks.spawn("deliveries", async move {
            // A lane whose payer has too little does not start.
            halt.run_until_cancelled(checked.cancelled()).await;
            task.run(halt).await
        });
        Ok(Self {
            board,
            families,
            own: signer.address(),
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
    ///
    /// # Errors
    /// An address for a dashboard that is taken, or has no routes.
    pub(super) async fn spawn(
        &self,
        tasks: &mut Tasks,
        context: &Context,
        metrics: Option<MetricsHandle>,
    ) -> Result<(), NodeError> {
        let relayer = BridgeRelayer::new(
            &self.section,
            (context.domain, self.own),
            (self.submitters.clone(), self.deliveries.clone()),
            (context.store.clone(), context.sets.clone()),
            context.bridge.clone(),
        );
        tasks.spawn("bridge-relay", relayer.run(context.halt.clone()));
        let routes = context.bridge.routes().map(|text| text.route);
        let ends = |route: &Route| {
            Some([
                *self.families.get(&route.source_chain)?,
                *self.families.get(&route.target_chain)?,
            ])
        };
        let dashboards = DashboardParts {
            section: self.section.clone(),
            routes: routes
                .filter_map(|route| Some((route, ends(&route)?)))
                .collect(),
            readers: context.bridge.readers().clone(),
            submitters: self.submitters.clone(),
            deliveries: self.deliveries.clone(),
            store: context.store.clone(),
            transfers: context.bridge.transfers.clone(),
            board: self.board.clone(),
            metrics,
        };
        dashboards.spawn(tasks, &context.halt).await
    }
}

/// The family of each chain that is configured.
fn families(settings: &Settings) -> BTreeMap<u64, ChainFamily> {
    let chains = settings.chains.iter().map(|chain| &chain.chain);
    let chains = chains.chain([&settings.home.chain]);
    chains
        .map(|chain| (chain.chain_id, chain.family.kind()))
        .collect()
}

/// Which way each route goes.
fn directions(
    context: &Context,
    families: &BTreeMap<u64, ChainFamily>,
) -> BTreeMap<B256, Direction> {
    let direction = |route: &Route| {
        let source = families.get(&route.source_chain)?;
        Direction::of(*source, *families.get(&route.target_chain)?)
    };
    let routes = context.bridge.routes().map(|text| text.route);
    routes
        .filter_map(|route| Some((route.id(), direction(&route)?)))
        .collect()
}

/// Who pays for transactions.
struct Payers {
    evm: Arc<dyn PayerKey>,
    svm: Option<Arc<dyn PayerKey>>,
}

impl Payers {
    fn lane(
        &self,
        submitter: &Arc<dyn Submitter>,
        section: &BridgeSection,
    ) -> Result<(LaneParts, LanePolicy), NodeError> {
        let poll_ms = section.poll_ms();
        let (payer, confirmations, policy) = match submitter.family() {
            ChainFamily::Evm => {
                let policy = LanePolicy {
                    max_fee: section.max_fee(),
                    poll_ms,
                    // Rollups count the parent chain's part; what is not used is not paid.
                    cancel_gas: 200_000,
                    ..LanePolicy::evm()
                };
                (Some(&self.evm), section.confirmations(), policy)
            }
            ChainFamily::Svm => {
                let policy = LanePolicy {
                    max_fee: section.svm_max_price(),
                    poll_ms,
                    ..LanePolicy::svm()
                };
                (self.svm.as_ref(), SVM_FINAL_BLOCKS, policy)
            }
            ChainFamily::Cardano => {
                return Err(NodeError::Settings(
                    "no relayer delivers to Cardano; leave that chain out".to_owned(),
                ));
            }
        };
        let payer = payer.ok_or_else(|| {
            NodeError::Settings(format!(
                "chain {} is an SVM chain, and its fees are paid by an Ed25519 key; make one with `node keys new --kind ed25519`",
                submitter.chain_id()
            ))
        })?;
        let parts = LaneParts {
            submitter: submitter.clone(),
            payer: payer.clone(),
            confirmations,
        };
        Ok((parts, policy))
    }
}
