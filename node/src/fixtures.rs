//! What the tests of several modules need: a store, and a home chain that is a list.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::{
    At, BlockRef, ChainEntry, ChainError, HomeReader, ReadLog, Registration, SeenTransfer,
    StateReader, Withdrawal,
};
use quorate_proto::{
    Address, B256, Epoch, EpochSchedule, Operator, OperatorSet, Route, Transfer, U256,
};
use quorate_storage::{EngineKind, Identity, Store};
use tempfile::TempDir;

/// A new store, which goes with its folder.
pub(crate) fn store(engine: EngineKind) -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("store"), engine, &Identity::new("test"));
    (store.expect("a store"), folder)
}

/// Number `nonce` of a route, in block 1234567 of its source: 100 coins of 6 places.
pub(crate) fn seen_transfer(route: Route, nonce: u64) -> SeenTransfer {
    let block = BlockRef {
        number: 1_234_567,
        hash: B256::ZERO,
        timestamp: 1_700_000_000,
    };
    let transfer = Transfer {
        epoch: Epoch(0),
        route,
        nonce,
        sender: B256::repeat_byte(4),
        receiver: vec![5; 20].into(),
        token: B256::ZERO,
        amount: U256::from(100_000_000),
        deadline: 1_700_086_400,
    };
    SeenTransfer {
        transfer,
        block,
        log_index: 0,
        transaction: B256::ZERO.into(),
    }
}

type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

/// Epochs of ten blocks, with two of grace; the same members in each.
pub(crate) struct ListedHome {
    height: AtomicU64,
    members: Vec<Operator>,
    events: Vec<Registration>,
    /// So many of the last members are left out by all providers.
    hidden: AtomicUsize,
    /// Nothing can be read.
    is_down: AtomicBool,
    /// Stake of earlier epochs is out of reach.
    reached_from: AtomicU32,
}

impl ListedHome {
    /// Operators join and leave by these events: number, block, and whether it joins.
    pub(crate) fn new(height: u64, members: Vec<Operator>, events: &[(u8, u64, bool)]) -> Self {
        let event = |(number, block_number, registered): &(u8, u64, bool)| Registration {
            operator: Address::repeat_byte(*number),
            registered: *registered,
            block_number: *block_number,
            log_index: 0,
        };
        Self {
            height: AtomicU64::new(height),
            members,
            events: events.iter().map(event).collect(),
            hidden: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
            reached_from: AtomicU32::new(0),
        }
    }

    /// From now on.
    pub(crate) fn hide(&self, last: usize) {
        self.hidden.store(last, Ordering::SeqCst);
    }

    /// Whether it can be read, from now on.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The stake of epochs before this one is out of reach, from now on.
    pub(crate) fn reach_from(&self, epoch: u32) {
        self.reached_from.store(epoch, Ordering::SeqCst);
    }

    /// The height of the head, from now on.
    pub(crate) fn set_height(&self, height: u64) {
        self.height.store(height, Ordering::SeqCst);
    }

    fn head(&self) -> BlockRef {
        let number = self.height.load(Ordering::SeqCst);
        BlockRef {
            number,
            hash: B256::ZERO,
            timestamp: 1_700_000_000 + number,
        }
    }

    fn set(&self, epoch: Epoch, is_named: impl Fn(&Operator) -> bool) -> OperatorSet {
        let shown = self.members.len() - self.hidden.load(Ordering::SeqCst);
        let total = self.members.iter().map(|member| member.weight).sum();
        let named = self.members[..shown].iter().filter(|m| is_named(m));
        let set = OperatorSet::new(epoch, named.copied().collect(), total, u64::from(epoch.0));
        set.expect("a set")
    }
}

fn says<'a, T: Send + 'a>(value: T) -> Reading<'a, T> {
    ready(Ok(value)).boxed()
}

impl HomeReader for ListedHome {
    fn chain_id(&self) -> u64 {
        31_337
    }

    fn registry(&self) -> Address {
        Address::repeat_byte(7)
    }

    fn final_head(&self) -> Option<BlockRef> {
        Some(self.head())
    }

    fn refresh(&self) -> Reading<'_, BlockRef> {
        match self.is_down.load(Ordering::SeqCst) {
            true => {
                let (asked, final_block) = (At::Block(0), None);
                ready(Err(ChainError::NotFinal { asked, final_block })).boxed()
            }
            false => says(self.head()),
        }
    }

    fn schedule(&self) -> Reading<'_, EpochSchedule> {
        says(EpochSchedule {
            genesis: 0,
            length: 10,
            grace: 2,
        })
    }

    fn registrations(&self, from: u64, _: u64) -> Reading<'_, Vec<Registration>> {
        let due = |event: &&Registration| event.block_number >= from;
        says(self.events.iter().filter(due).copied().collect())
    }

    fn operator_set(&self, epoch: Epoch, _: B256) -> Reading<'_, OperatorSet> {
        says(self.set(epoch, |_| true))
    }

    fn members<'a>(
        &'a self,
        epoch: Epoch,
        operators: &'a [Address],
        _: B256,
    ) -> Reading<'a, OperatorSet> {
        says(self.set(epoch, |member| operators.contains(&member.address)))
    }

    fn operator(&self, _: Epoch, address: Address, _: B256) -> Reading<'_, Operator> {
        let member = self.members.iter().find(|member| member.address == address);
        says(member.cloned().unwrap_or(Operator {
            address,
            signing_key: Address::ZERO,
            weight: U256::ZERO,
        }))
    }

    fn minimum_weight(&self) -> Reading<'_, U256> {
        says(U256::from(1))
    }

    fn withdrawal(&self) -> Reading<'_, Withdrawal> {
        says(Withdrawal {
            blocks: 100,
            seconds: 100,
            certificate_lifetime: 75,
        })
    }

    fn is_within_reach(&self, epoch: Epoch, _: B256) -> Reading<'_, bool> {
        says(epoch.0 >= self.reached_from.load(Ordering::SeqCst))
    }

    fn chain_entry(&self, _: u32) -> Reading<'_, Option<ChainEntry>> {
        says(None)
    }

    fn block_time(&self, number: u64) -> Reading<'_, u64> {
        says(1_700_000_000 + number)
    }
}

/// A chain that never has anything.
pub(crate) struct NoChain;

impl StateReader for NoChain {
    fn chain_id(&self) -> u64 {
        1
    }

    fn final_head(&self) -> Option<BlockRef> {
        None
    }

    fn agreed_ago(&self) -> Option<Duration> {
        None
    }

    fn locate(&self, asked: At) -> Reading<'_, BlockRef> {
        let final_block = None;
        ready(Err(ChainError::NotFinal { asked, final_block })).boxed()
    }

    fn read<'a>(
        &'a self,
        _: Address,
        _: U256,
        _: u64,
        _: &'a ReadLog,
    ) -> Reading<'a, quorate_chain::Reading> {
        ready(Err(ChainError::NoHistory)).boxed()
    }
}
