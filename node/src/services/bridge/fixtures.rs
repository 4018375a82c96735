//! What the tests of the bridge need: two bridges on two chains, which read as they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::{
    BlockRef, ChainError, PauseState, ReadLog, SeenClosing, SeenTransfer, TransferPage,
    TransferReader,
};
use quorate_proto::{Address, B256, Epoch, Operator, OperatorSet, Route, U256};
use quorate_storage::{EngineKind, WriteQueue, WriterGuard};
use tokio::sync::watch;

use super::*;
use crate::fixtures;
use crate::home::{EpochView, HomeHandle};
use crate::tasks::driver::{DriverInbox, TaskDriver};

use super::turns::TaskStarter;

/// This operator: the first of the three in the set.
pub(super) const ME: Address = Address::repeat_byte(1);
/// The epoch whose set signs.
pub(super) const NOW: Epoch = Epoch(5);

/// From one chain to the other.
pub(super) const ROUTE: Route = Route {
    source_chain: 1,
    source_contract: B256::repeat_byte(0xaa),
    target_chain: 10,
    target_contract: B256::repeat_byte(0xbb),
};

/// Where the route ends.
pub(super) const TARGET: BridgePlace = BridgePlace {
    chain: 10,
    contract: ROUTE.target_contract,
};

/// A chain with bridges that are what a test says.
#[derive(Default)]
pub(super) struct TestBridge {
    pub(super) head: watch::Sender<Option<BlockRef>>,
    pub(super) sequence: Mutex<u64>,
    pub(super) closed: Mutex<BTreeMap<B256, u64>>,
    /// By their blocks.
    pub(super) closings: Mutex<Vec<(u64, SeenClosing)>>,
}

impl TestBridge {
    pub(super) fn set_head(&self, number: u64) {
        self.head.send_replace(Some(BlockRef {
            number,
            hash: U256::from(number).into(),
            timestamp: 1_700_000_000 + number,
        }));
    }

    /// The next head shows it.
    pub(super) fn count(&self, sequence: u64) {
        *self.sequence.lock().unwrap() = sequence;
    }
}

type Said<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

fn says<'a, T: Send + 'a>(value: T) -> Said<'a, T> {
    ready(Ok(value)).boxed()
}

impl TransferReader for TestBridge {
    fn chain_id(&self) -> u64 {
        10
    }

    fn final_head(&self) -> Option<BlockRef> {
        *self.head.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<Option<BlockRef>> {
        self.head.subscribe()
    }

    fn transfers<'a>(
        &'a self,
        _: B256,
        from_block: u64,
        to_block: u64,
        _: &'a ReadLog,
    ) -> Said<'a, TransferPage> {
        let closings = self.closings.lock().unwrap();
        let seen = closings
            .iter()
            .filter(|(block, _)| (from_block..=to_block).contains(block));
        says(TransferPage {
            closings: seen.map(|(_, closing)| *closing).collect(),
            next: to_block + 1,
            ..TransferPage::default()
        })
    }

    fn transfers_of<'a>(
        &'a self,
        _: B256,
        _: B256,
        _: &'a [u64],
        _: (u64, u64),
        _: &'a ReadLog,
    ) -> Said<'a, Vec<SeenTransfer>> {
        says(Vec::new())
    }

    fn sent_count(&self, _: B256, _: B256, _: BlockRef) -> Said<'_, u64> {
        says(0)
    }

    fn closed(&self, route: &Route, nonce: u64, _: BlockRef) -> Said<'_, Option<u64>> {
        let slot = Transfer::slot_of(route, nonce).0;
        says(self.closed.lock().unwrap().get(&slot).copied())
    }

    fn pause_state(&self, _: B256, _: BlockRef) -> Said<'_, PauseState> {
        let sequence = *self.sequence.lock().unwrap();
        says(PauseState {
            sequence,
            paused: false,
        })
    }
}

/// An operator with one route.
pub(super) struct Scene {
    pub(super) writes: WriteQueue,
    pub(super) target: Arc<TestBridge>,
    pub(super) bridge: Bridge,
    pub(super) starter: TaskStarter,
    pub(super) driver: DriverInbox,
    pub(super) home: HomeHandle,
    _kept: (WriterGuard, tempfile::TempDir, watch::Sender<EpochView>),
}

pub(super) fn scene() -> Scene {
    let (store, folder) = fixtures::store(EngineKind::Sled);
    let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
    let target = Arc::new(TestBridge::default());
    target.set_head(1);
    let route = RouteText {
        route: ROUTE,
        first_block: 0,
    };
    let section = BridgeSection {
        routes: Some(vec![route.to_string()]),
        ..BridgeSection::default()
    };
    let reader: Arc<dyn TransferReader> = target.clone();
    let bridge = Bridge::new(
        Some(&section),
        ([(10, reader)].into(), Submitters::new()),
        &writes,
    );
    let member = |number| Operator {
        address: Address::repeat_byte(number),
        signing_key: Address::repeat_byte(number),
        weight: U256::from(10),
    };
    let set = OperatorSet::new(NOW, (1..=3).map(member).collect(), U256::from(30), 1).unwrap();
    let (sender, view) = watch::channel(EpochView::of(vec![Arc::new(set)]));
    let home = HomeHandle::of(view);
    let (handle, _ended, driver) = TaskDriver::channel();
    Scene {
        starter: TaskStarter::new(ME, home.clone(), handle, store),
        writes,
        target,
        bridge,
        driver,
        home,
        _kept: (writer, folder, sender),
    }
}
