//! Has certified transfers delivered at their target chains, and the operator sets before them that their registries
//! lack; and votes that were certified, at the bridges that they are about.

mod refunding;
mod switching;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BridgeAction, BridgeOrder, ChainError, Submitter};
use quorate_proto::{
    Address, B256, Certificate, Domain, Epoch, EpochUpdate, OperatorSet, Route, Statement,
    Transfer, keccak256,
};
use quorate_protocols::delivery::{
    Delivery, DeliveryId, LaneId, Refused, Route as Stream, stage_delay,
};
use quorate_storage::Store;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::changes::ChangeCounts;
use super::settings::{BridgePlace, BridgeSection};
use super::transfer_store::TransferKey;
use super::{Bridge, Submitters, words};
use crate::delivery::{DeliveryHandle, Parcel, Payload, delivery_id};
use crate::home::set_history::Sets;
use crate::tasks::handover::{certificate_by, newest_certificate};
use crate::{NodeError, clock};

/// How often it is looked whether they were certified.
const LOOK: Duration = Duration::from_millis(250);
/// The same of votes. Those who vote for a pause wait for a final block at least.
const LOOK_AT_VOTES: Duration = Duration::from_secs(5);
/// Operator sets that a registry may lack at most: it is told of them one by one.
const MAX_UPDATES: u32 = 64;

/// The task.
pub(crate) struct BridgeRelayer {
    domain: Domain,
    /// By which it is known among `relayers`, whatever it pays with.
    own: Address,
    relayers: Vec<Address>,
    turn_ms: u64,
    section: BridgeSection,
    submitters: Submitters,
    deliveries: DeliveryHandle,
    store: Store,
    sets: Sets,
    bridge: Bridge,
    /// The registry that a bridge asks, by chain and bridge.
    registries: HashMap<(u64, B256), B256>,
    changes: ChangeCounts,
    /// The change of a bridge that was queued last, and the epoch that voted it.
    switched: BTreeMap<BridgePlace, (u64, Epoch)>,
}

impl BridgeRelayer {
    pub(crate) fn new(
        section: &BridgeSection,
        (domain, own): (Domain, Address),
        (submitters, deliveries): (Submitters, DeliveryHandle),
        (store, sets): (Store, Sets),
        bridge: Bridge,
    ) -> Self {
        Self {
            domain,
            own,
            relayers: section.relayers(),
            turn_ms: section.turn_ms(),
            section: section.clone(),
            submitters,
            deliveries,
            store,
            sets,
            changes: ChangeCounts::new(bridge.clone()),
            bridge,
            registries: HashMap::new(),
            switched: BTreeMap::new(),
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut changes = self.bridge.transfers.watch();
        let mut votes = tokio::time::interval(LOOK_AT_VOTES);
        votes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            changes.borrow_and_update();
            let open = tokio::select! {
                open = self.look() => open?,
                () = token.cancelled() => return Ok(()),
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK), if open => {}
                _ = votes.tick() => token.run_until_cancelled(self.look_at_votes()).await.transpose().map(|_| ())?,
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Queues what was certified. Whether something is open.
    async fn look(&mut self) -> Result<bool, NodeError> {
        let open = self.bridge.open()?;
        let (mut queued, mut stuck) = (Vec::<TransferKey>::new(), BTreeSet::new());
        for (key, transfer) in &open {
            // One that cannot be reached now keeps no other waiting.
            if stuck.contains(&transfer.route.target_chain) {
                continue;
            }
            let slot = Transfer::slot_of(&transfer.route, transfer.nonce);
            let Some(certificate) = newest_certificate(&self.store, slot)? else {
                continue;
            };
            match self.deliver(&transfer.route, &certificate).await {
                Ok(()) => queued.push(*key),
                Err(RelayError::Node(error)) => return Err(error),
                Err(RelayError::Chain(error @ ChainError::Impossible { .. })) => {
                    tracing::error!(nonce = transfer.nonce, %error, "a certified transfer is left");
                    queued.push(*key);
                }
                Err(error) => {
                    // What is wrong with one token or route is nothing to the others.
                    if !matches!(error, RelayError::Chain(ChainError::Settings { .. })) {
                        stuck.insert(transfer.route.target_chain);
                    }
                    tracing::warn!(nonce = transfer.nonce, %error, "a certified transfer is not queued yet; trying again");
                }
            }
        }
        if !queued.is_empty() {
            self.bridge.transfers.certified(&queued).await?;
        }
        let closed = self.look_at_closings().await?;
        Ok(closed || !open.is_empty())
    }

    async fn deliver(
        &mut self,
        route: &Route,
        certificate: &Certificate,
    ) -> Result<(), RelayError> {
        let Statement::Transfer(transfer) = certificate.statement() else {
            return Ok(());
        };
        let errand = Errand {
            action: BridgeAction::Pay(transfer),
            contract: route.target_contract,
            certificate,
            stream: route.id(),
            priority: 0,
            needs: None,
            about: words::of_transfer(transfer.nonce, route.source_chain),
        };
        self.bring(route.target_chain, errand).await
    }

    /// Has a bridge told what was certified, and its registry before that what it lacks of operator sets.
    async fn bring(&mut self, chain: u64, errand: Errand<'_>) -> Result<(), RelayError> {
        let target = self.target(chain)?;
        let registry = self.registry(&target, errand.contract).await?;
        let epoch = errand.certificate.statement().epoch();
        let needs = self.update(&target, registry, epoch).await?;
        self.run_errand(&target, Errand { needs, ..errand }).await?;
        Ok(())
    }

    /// Has the registry told of the sets up to that of `epoch`; what a delivery has to wait for.
    async fn update(
        &self,
        target: &Target,
        registry: B256,
        epoch: Epoch,
    ) -> Result<Option<DeliveryId>, RelayError> {
        let held = target.submitter.newest_epoch(registry).await?;
        let mut needs = None;
        for number in held.0.saturating_add(1)..=epoch.0 {
            if number - held.0 > MAX_UPDATES {
                return Err(RelayError::FarBehind { held, epoch });
            }
            needs = Some(
                self.hand_over(target, registry, Epoch(number), needs)
                    .await?,
            );
        }
        Ok(needs)
    }

    async fn hand_over(
        &self,
        target: &Target,
        registry: B256,
        next: Epoch,
        needs: Option<DeliveryId>,
    ) -> Result<DeliveryId, RelayError> {
        let by = next.previous().ok_or(RelayError::NoSet(next))?;
        let certificate = certificate_by(&self.store, by, next)?;
        let certificate = certificate.ok_or(RelayError::NotHandedOver(next))?;
        let Statement::EpochUpdate(EpochUpdate { time, .. }) = *certificate.statement() else {
            return Err(RelayError::NotHandedOver(next));
        };
        let errand = Errand {
            action: BridgeAction::Update(&*self.set(next)?, time),
            contract: registry,
            certificate: &certificate,
            stream: registry,
            priority: 1,
            needs,
            about: format!(
                "operator set of epoch {next} to chain {}",
                target.lane.chain
            ),
        };
        self.run_errand(target, errand).await
    }

    /// Queues the transactions that it takes; what has to wait for it waits for the last of them.
    async fn run_errand(
        &self,
        target: &Target,
        errand: Errand<'_>,
    ) -> Result<DeliveryId, RelayError> {
        let statement = errand.certificate.statement();
        let epoch = statement.epoch();
        let order = BridgeOrder {
            action: errand.action,
            contract: errand.contract,
            certificate: errand.certificate,
            digest: statement.digest(&self.domain),
            signers: &*self.set(epoch)?,
            follows_update: errand.needs.is_some(),
            payer: target.lane.sender,
        };
        let steps = target.submitter.steps(order).await?;
        let id = delivery_id(statement.fact(), target.lane.chain, errand.contract);
        let turns = DeliveryId(id);
        let wait = stage_delay(turns, epoch, &self.relayers, self.own, self.turn_ms);
        let (mut needs, count) = (errand.needs, steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            let rest = count - index - 1;
            let delivery = Delivery {
                id: step_id(id, rest),
                lane: target.lane,
                route: Stream(errand.stream),
                priority: errand.priority,
                not_before: clock::now().plus_millis(wait),
                deadline: None,
                needs,
                budget: self.section.budget(target.submitter.family()),
            };
            needs = Some(delivery.id);
            let about = match rest {
                0 => errand.about.clone(),
                _ => format!("{}, part {} of {count}", errand.about, index + 1),
            };
            let payload = Payload::of(step, about);
            self.queue(Parcel { delivery, payload }).await?;
        }
        Ok(turns)
    }

    fn set(&self, epoch: Epoch) -> Result<Arc<OperatorSet>, RelayError> {
        self.sets.of(epoch)?.ok_or(RelayError::NoSet(epoch))
    }

    fn target(&self, chain: u64) -> Result<Target, RelayError> {
        let submitter = self.submitters.get(&chain);
        let lane = self.deliveries.lane(chain);
        let (submitter, lane) = submitter.zip(lane).ok_or(RelayError::NoChain(chain))?;
        Ok(Target {
            lane,
            submitter: submitter.clone(),
        })
    }

    async fn registry(&mut self, target: &Target, bridge: B256) -> Result<B256, RelayError> {
        let key = (target.lane.chain, bridge);
        if let Some(known) = self.registries.get(&key) {
            return Ok(*known);
        }
        let registry = target.submitter.registry(bridge).await?;
        self.registries.insert(key, registry);
        Ok(registry)
    }

    /// What is under way already is as good.
    async fn queue(&self, parcel: Parcel) -> Result<(), RelayError> {
        match self.deliveries.queue(parcel).await {
            Some(Ok(()) | Err(Refused::Known(_))) => Ok(()),
            Some(Err(refused)) => Err(refused.into()),
            None => Err(RelayError::Ending),
        }
    }
}

/// Where something is brought, and who pays there.
struct Target {
    lane: LaneId,
    submitter: Arc<dyn Submitter>,
}

/// What is brought there.
struct Errand<'a> {
    action: BridgeAction<'a>,
    contract: B256,
    certificate: &'a Certificate,
    /// Deliveries that stop together.
    stream: B256,
    priority: u8,
    needs: Option<DeliveryId>,
    about: String,
}

/// The id of a step, by how many come after it: the last has that of the whole.
fn step_id(whole: B256, rest: usize) -> DeliveryId {
    DeliveryId(match rest {
        0 => whole,
        _ => keccak256([whole.as_slice(), &(rest as u64).to_be_bytes()].concat()),
    })
}

/// Why a transfer is not queued yet.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("chain {0} is none of this relayer; add [[chains]] for it, or leave the route out")]
    NoChain(u64),
    #[error("the node ends")]
    Ending,
    #[error("the operator set of epoch {0} is not known here yet")]
    NoSet(Epoch),
    #[error("the set of epoch {0} was not handed over yet, as far as this node has heard")]
    NotHandedOver(Epoch),
    #[error("the registry there holds epoch {held}, too far behind {epoch}; run `node epoch push`")]
    FarBehind { held: Epoch, epoch: Epoch },
}
