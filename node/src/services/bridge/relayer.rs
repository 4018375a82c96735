//! Has certified transfers delivered at their target chains, and the operator sets before them that their registries
//! lack.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BridgeCalls, CallMeaning, ChainError, Submitter};
use quorate_proto::{
    Address, B256, Certificate, CompactError, Epoch, EpochUpdate, Route, Statement, Transfer, U256,
};
use quorate_protocols::delivery::{
    Class, Delivery, DeliveryId, LaneId, Refused, Route as Stream, stage_delay,
};
use quorate_storage::Store;
use tokio_util::sync::CancellationToken;

use super::Bridge;
use super::settings::BridgeSection;
use super::transfer_store::TransferKey;
use crate::delivery::{DeliveryHandle, Parcel, Payload, RecordRule, delivery_id};
use crate::home::set_history::Sets;
use crate::tasks::handover::{certificate_by, newest_certificate};
use crate::{NodeError, clock};

/// Who sends to chains, by their ids.
pub type Submitters = BTreeMap<u64, Arc<dyn Submitter>>;

/// How often it is looked whether they were certified.
const LOOK: Duration = Duration::from_millis(250);
/// Operator sets that a registry may lack at most: it is told of them one by one.
const MAX_UPDATES: u32 = 64;

/// What an error of a bridge or its registry means, by its selector.
pub(crate) fn class_of_error(selector: [u8; 4]) -> Option<Class> {
    Some(match quorate_chain::meaning_of(selector)? {
        CallMeaning::Done => Class::Taken,
        // Not counted as an attempt: a bridge may be paused for days.
        CallMeaning::NotNow => Class::Unreachable,
        CallMeaning::Never => Class::Hopeless,
        CallMeaning::Configuration => Class::Misconfigured,
    })
}

/// The task.
pub(crate) struct BridgeRelayer {
    relayers: Vec<Address>,
    turn_ms: u64,
    budget: u128,
    submitters: Submitters,
    deliveries: DeliveryHandle,
    store: Store,
    sets: Sets,
    bridge: Bridge,
    /// The registry that a bridge asks, by chain and bridge.
    registries: HashMap<(u64, B256), B256>,
}

impl BridgeRelayer {
    pub(crate) fn new(
        section: &BridgeSection,
        submitters: Submitters,
        deliveries: DeliveryHandle,
        (store, sets): (Store, Sets),
        bridge: Bridge,
    ) -> Self {
        Self {
            relayers: section.relayers(),
            turn_ms: section.turn_ms(),
            budget: section.budget(),
            submitters,
            deliveries,
            store,
            sets,
            bridge,
            registries: HashMap::new(),
        }
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut changes = self.bridge.transfers.watch();
        loop {
            changes.borrow_and_update();
            let open = tokio::select! {
                open = self.look() => open?,
                () = token.cancelled() => return Ok(()),
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(LOOK), if open => {}
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
                Err(error) => {
                    stuck.insert(transfer.route.target_chain);
                    tracing::warn!(nonce = transfer.nonce, %error, "a certified transfer is not queued yet; trying again");
                }
            }
        }
        if !queued.is_empty() {
            self.bridge.transfers.certified(&queued).await?;
        }
        Ok(!open.is_empty())
    }

    async fn deliver(
        &mut self,
        route: &Route,
        certificate: &Certificate,
    ) -> Result<(), RelayError> {
        let Statement::Transfer(transfer) = certificate.statement() else {
            return Ok(());
        };
        let chain = route.target_chain;
        let place = self.place(chain);
        let (lane, submitter) = place.ok_or(RelayError::NoChain(chain))?;
        let calls = submitter.bridge_calls();
        let bridge = route.target_contract;
        let registry = self.registry(chain, bridge, submitter.as_ref()).await?;
        let epoch = certificate.statement().epoch();
        let needs = self
            .update(lane, submitter.as_ref(), registry, epoch)
            .await?;
        let sealed = needs.is_some() || {
            let answer = submitter.call(&calls.sealed_set(registry, epoch)).await?;
            !word(&answer)?.is_zero()
        };
        let bytes = self.encode(certificate, sealed)?;
        let id = DeliveryId(delivery_id(certificate.statement().fact(), chain, bridge));
        let own = Address::from_word(lane.sender);
        let wait = stage_delay(id, epoch, &self.relayers, own, self.turn_ms);
        let delivery = Delivery {
            id,
            lane,
            route: Stream(route.id()),
            priority: 0,
            not_before: clock::now().plus_millis(wait),
            deadline: None,
            needs,
            budget: self.budget,
        };
        let payload = Payload {
            call: calls.deliver(transfer, bytes, lane.sender),
            record: calls.status(transfer),
            rule: RecordRule::Status,
            about: format!(
                "transfer {} from chain {}",
                transfer.nonce, route.source_chain
            ),
        };
        self.queue(Parcel { delivery, payload }).await
    }

    /// Has the registry told of the sets up to that of `epoch`; what a delivery has to wait for.
    async fn update(
        &self,
        lane: LaneId,
        submitter: &dyn Submitter,
        registry: B256,
        epoch: Epoch,
    ) -> Result<Option<DeliveryId>, RelayError> {
        let calls = submitter.bridge_calls();
        let held = word(&submitter.call(&calls.newest_epoch(registry)).await?)?;
        let held = Epoch(held.saturating_to());
        let mut needs = None;
        for number in held.0.saturating_add(1)..=epoch.0 {
            if number - held.0 > MAX_UPDATES {
                return Err(RelayError::FarBehind { held, epoch });
            }
            let parcel = self.hand_over(lane, calls, registry, Epoch(number), needs)?;
            needs = Some(parcel.delivery.id);
            self.queue(parcel).await?;
        }
        Ok(needs)
    }

    fn hand_over(
        &self,
        lane: LaneId,
        calls: &dyn BridgeCalls,
        registry: B256,
        next: Epoch,
        needs: Option<DeliveryId>,
    ) -> Result<Parcel, RelayError> {
        let by = next.previous().ok_or(RelayError::NoSet(next))?;
        let certificate = certificate_by(&self.store, by, next)?;
        let certificate = certificate.ok_or(RelayError::NotHandedOver(next))?;
        let set = self.sets.of(next)?.ok_or(RelayError::NoSet(next))?;
        let bytes = self.encode(&certificate, true)?;
        let Statement::EpochUpdate(EpochUpdate { time, .. }) = *certificate.statement() else {
            return Err(RelayError::NotHandedOver(next));
        };
        let id = DeliveryId(delivery_id(
            certificate.statement().fact(),
            lane.chain,
            registry,
        ));
        let wait = stage_delay(
            id,
            by,
            &self.relayers,
            Address::from_word(lane.sender),
            self.turn_ms,
        );
        let delivery = Delivery {
            id,
            lane,
            route: Stream(registry),
            priority: 1,
            not_before: clock::now().plus_millis(wait),
            deadline: None,
            needs,
            budget: self.budget,
        };
        let payload = Payload {
            call: calls.update_epoch(registry, (by, time), &set, bytes, lane.sender),
            record: calls.newest_epoch(registry),
            rule: RecordRule::AtLeast(next.0.into()),
            about: format!("operator set of epoch {next} to chain {}", lane.chain),
        };
        Ok(Parcel { delivery, payload })
    }

    fn encode(&self, certificate: &Certificate, sealed: bool) -> Result<Vec<u8>, RelayError> {
        if !sealed {
            return Ok(certificate.signature_data());
        }
        let epoch = certificate.statement().epoch();
        let set = self.sets.of(epoch)?.ok_or(RelayError::NoSet(epoch))?;
        Ok(certificate.compact_signature_data(&set)?)
    }

    fn place(&self, chain: u64) -> Option<(LaneId, Arc<dyn Submitter>)> {
        let submitter = self.submitters.get(&chain)?;
        Some((self.deliveries.lane(chain)?, submitter.clone()))
    }

    async fn registry(
        &mut self,
        chain: u64,
        bridge: B256,
        submitter: &dyn Submitter,
    ) -> Result<B256, RelayError> {
        if let Some(known) = self.registries.get(&(chain, bridge)) {
            return Ok(*known);
        }
        let answer = submitter
            .call(&submitter.bridge_calls().registry(bridge))
            .await?;
        let registry = B256::from(word(&answer)?);
        self.registries.insert((chain, bridge), registry);
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

fn word(answer: &[u8]) -> Result<U256, RelayError> {
    let word = answer.get(..32).ok_or(RelayError::NoWord)?;
    Ok(U256::from_be_slice(word))
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
    #[error(transparent)]
    Compact(#[from] CompactError),
    #[error("chain {0} is none of this relayer; add [[chains]] for it, or leave the route out")]
    NoChain(u64),
    #[error("the node ends")]
    Ending,
    #[error("the contract answers no word: is it a bridge, and its registry one?")]
    NoWord,
    #[error("the operator set of epoch {0} is not known here yet")]
    NoSet(Epoch),
    #[error("the set of epoch {0} was not handed over yet, as far as this node has heard")]
    NotHandedOver(Epoch),
    #[error("the registry there holds epoch {held}, too far behind {epoch}; run `node epoch push`")]
    FarBehind { held: Epoch, epoch: Epoch },
}
