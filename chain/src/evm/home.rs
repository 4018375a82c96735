//! The registry of operators on an EVM home chain.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use futures::future::{BoxFuture, FutureExt};
use quorate_proto::{Epoch, EpochInterval, EpochSchedule, Operator, OperatorSet};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use super::abi::epochs::{getEpochIntervalCall, getEpochIntervalReturn as Interval};
use super::abi::registry::{
    certificateLifetimeCall, isWithinReachCall, minimumWeightCall, weightSourceCall,
    withdrawalBlocksCall, withdrawalSecondsCall,
};
use super::client::HeadSnapshot;
use super::directory;
use super::operator_set::{RawOperatorSet, RegistryAt, set_of};
use super::probe::Need;
use super::registrations::registrations;
use super::{EvmClient, EvmSettings};
use crate::config::{ChainClient, ChainConfig};
use crate::{
    At, BlockRef, ChainEntry, ChainError, HomeReader, Providers, ReadLog, Registration, Withdrawal,
};

/// The stake registry and the epoch manager of the home chain.
pub struct EvmHome {
    client: Arc<EvmClient>,
    registry: Address,
    epoch_manager: Address,
    schedule: OnceCell<EpochSchedule>,
    withdrawal: OnceCell<Withdrawal>,
}

impl EvmHome {
    /// Reads through a client that others may share.
    #[must_use]
    pub fn new(client: Arc<EvmClient>, registry: Address, epoch_manager: Address) -> Self {
        client.will_need(Need::Registry(registry));
        Self {
            client,
            registry,
            epoch_manager,
            schedule: OnceCell::new(),
            withdrawal: OnceCell::new(),
        }
    }

    /// Connects a client of its own.
    ///
    /// # Errors
    /// As [`EvmClient::connected`].
    pub async fn connect(
        config: &ChainConfig,
        settings: EvmSettings,
        registry: Address,
        epoch_manager: Address,
    ) -> Result<Self, ChainError> {
        let client = EvmClient::connected(config, settings).await?;
        Ok(Self::new(client, registry, epoch_manager))
    }

    /// The client, for its status and to share it.
    #[must_use]
    pub const fn client(&self) -> &Arc<EvmClient> {
        &self.client
    }

    /// Follows the chain until `token` is cancelled. Once per client is enough.
    ///
    /// # Errors
    /// As [`EvmClient::run`].
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), ChainError> {
        Arc::clone(&self.client).run(token).await
    }

    /// Follows the final head.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.client.subscribe()
    }

    fn registry_at(&self, at: B256) -> RegistryAt<'_> {
        RegistryAt {
            client: &self.client,
            registry: self.registry,
            at,
        }
    }

    /// Whatever is final.
    async fn snapshot(&self) -> Result<HeadSnapshot, ChainError> {
        self.client.snapshot(At::Block(0), |_| true).await
    }

    async fn read_schedule(&self) -> Result<EpochSchedule, ChainError> {
        let snapshot = self.snapshot().await?;
        let interval = |epoch| async move {
            let call = getEpochIntervalCall { epoch };
            self.client
                .call(self.epoch_manager, &call, snapshot.head.hash)
                .await
        };
        let (first, second) = tokio::try_join!(interval(0), interval(1))?;
        let schedule = schedule_of(&first, &second).ok_or_else(|| ChainError::Malformed {
            what: "epoch schedule",
            detail: format!(
                "epoch 0 is {first:?} and epoch 1 is {second:?} at {}",
                self.epoch_manager
            ),
        })?;
        self.client.still_valid(snapshot, schedule)
    }

    async fn read_block_time(&self, number: u64) -> Result<u64, ChainError> {
        let final_now = |head: &BlockRef| head.number >= number;
        let snapshot = self.client.snapshot(At::Block(number), final_now).await?;
        let log = ReadLog::default();
        let known = self.client.header(snapshot, number, &log).await?;
        self.client.still_valid(snapshot, known.block.timestamp)
    }

    async fn read_withdrawal(&self) -> Result<Withdrawal, ChainError> {
        let snapshot = self.snapshot().await?;
        let (registry, at) = (self.registry_at(snapshot.head.hash), snapshot.head.hash);
        let (source, certificate_lifetime) = tokio::try_join!(
            registry.call(weightSourceCall {}),
            registry.call(certificateLifetimeCall {})
        )?;
        let (blocks, seconds) = tokio::try_join!(
            self.client.call(source, &withdrawalBlocksCall {}, at),
            self.client.call(source, &withdrawalSecondsCall {}, at)
        )?;
        let withdrawal = Withdrawal {
            blocks,
            seconds,
            certificate_lifetime,
        };
        self.client.still_valid(snapshot, withdrawal)
    }

    /// When the set of `epoch` was fixed, by the header of that block.
    async fn fixed_at(&self, epoch: Epoch) -> Result<u64, ChainError> {
        let schedule = self.schedule().await?;
        self.read_block_time(schedule.fixing_block(epoch)).await
    }

    async fn dated(
        &self,
        epoch: Epoch,
        told: impl Future<Output = Result<RawOperatorSet, ChainError>>,
    ) -> Result<OperatorSet, ChainError> {
        let (told, fixed_at) = tokio::try_join!(told, self.fixed_at(epoch))?;
        set_of(epoch, told, fixed_at)
    }

    async fn read_minimum_weight(&self) -> Result<U256, ChainError> {
        let snapshot = self.snapshot().await?;
        let weight = self
            .registry_at(snapshot.head.hash)
            .call(minimumWeightCall {})
            .await?;
        self.client.still_valid(snapshot, weight)
    }
}

/// The schedule of which these are the first two epochs.
pub(super) fn schedule_of(first: &Interval, second: &Interval) -> Option<EpochSchedule> {
    let as_read = |interval: &Interval| EpochInterval {
        start: interval.start,
        grace_start: interval.graceStart,
        end: interval.end,
    };
    let schedule = EpochSchedule::from_first(as_read(first))?;
    (schedule.interval(Epoch(1)) == as_read(second)).then_some(schedule)
}

impl HomeReader for EvmHome {
    fn chain_id(&self) -> u64 {
        self.client.chain_id()
    }

    fn registry(&self) -> Address {
        self.registry
    }

    fn providers(&self) -> Providers {
        self.client.providers()
    }

    fn final_head(&self) -> Option<BlockRef> {
        self.client.final_head()
    }

    fn refresh(&self) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        self.client.refresh().boxed()
    }

    fn schedule(&self) -> BoxFuture<'_, Result<EpochSchedule, ChainError>> {
        async {
            self.schedule
                .get_or_try_init(|| self.read_schedule())
                .await
                .copied()
        }
        .boxed()
    }

    fn registrations(
        &self,
        from_block: u64,
        to_block: u64,
    ) -> BoxFuture<'_, Result<Vec<Registration>, ChainError>> {
        registrations(&self.client, self.registry, from_block, to_block).boxed()
    }

    fn operator_set(
        &self,
        epoch: Epoch,
        at: B256,
    ) -> BoxFuture<'_, Result<OperatorSet, ChainError>> {
        self.dated(epoch, self.registry_at(at).newest(epoch))
            .boxed()
    }

    fn members<'a>(
        &'a self,
        epoch: Epoch,
        operators: &'a [Address],
        at: B256,
    ) -> BoxFuture<'a, Result<OperatorSet, ChainError>> {
        let told = self.registry_at(at).named(epoch, operators);
        self.dated(epoch, told).boxed()
    }

    fn operator(
        &self,
        epoch: Epoch,
        operator: Address,
        at: B256,
    ) -> BoxFuture<'_, Result<Operator, ChainError>> {
        self.registry_at(at).member(operator, epoch).boxed()
    }

    fn withdrawal(&self) -> BoxFuture<'_, Result<Withdrawal, ChainError>> {
        async {
            self.withdrawal
                .get_or_try_init(|| self.read_withdrawal())
                .await
                .copied()
        }
        .boxed()
    }

    fn is_within_reach(&self, epoch: Epoch, at: B256) -> BoxFuture<'_, Result<bool, ChainError>> {
        let registry = self.registry_at(at);
        async move { registry.call(isWithinReachCall { epoch: epoch.0 }).await }.boxed()
    }

    fn chain_entry(&self, chain_id: u32) -> BoxFuture<'_, Result<Option<ChainEntry>, ChainError>> {
        directory::entry(&self.client, self.registry, chain_id).boxed()
    }

    fn minimum_weight(&self) -> BoxFuture<'_, Result<U256, ChainError>> {
        self.read_minimum_weight().boxed()
    }

    fn block_time(&self, number: u64) -> BoxFuture<'_, Result<u64, ChainError>> {
        self.read_block_time(number).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: u64, grace_start: u64, end: u64) -> Interval {
        Interval {
            start,
            graceStart: grace_start,
            end,
        }
    }

    #[test]
    fn two_epochs_make_a_schedule_or_none() {
        let first = interval(100, 8_700, 10_100);
        let schedule = schedule_of(&first, &interval(10_100, 18_700, 20_100));
        let expected = EpochSchedule {
            genesis: 100,
            length: 10_000,
            grace: 1_400,
        };
        assert_eq!(schedule, Some(expected));

        let others = [
            (interval(100, 100, 100), interval(100, 100, 100)),
            (interval(100, 8_700, 99), interval(10_100, 18_700, 20_100)),
            (
                interval(100, 8_700, 10_100),
                interval(10_101, 18_701, 20_101),
            ),
            (
                interval(100, 8_700, 10_100),
                interval(10_100, 18_701, 20_100),
            ),
            (interval(100, 99, 10_100), interval(10_100, 10_099, 20_100)),
            (
                interval(100, 10_101, 10_100),
                interval(10_100, 20_101, 20_100),
            ),
        ];
        for (first, second) in others {
            assert_eq!(schedule_of(&first, &second), None, "{first:?} {second:?}");
        }
    }
}
