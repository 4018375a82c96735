//! What the tests of several modules need: a store, and a home chain that is a list.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::{BlockRef, ChainError, HomeReader, Registration};
use quorate_proto::{
    Address, B256, Epoch, EpochSchedule, Operator, OperatorSet, U256, threshold_of,
};
use quorate_storage::{EngineKind, Identity, Store};
use tempfile::TempDir;

/// A new store, which goes with its folder.
pub(crate) fn store(engine: EngineKind) -> (Store, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path().join("store"), engine, &Identity::new("test"));
    (store.expect("a store"), folder)
}

type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

/// Epochs of ten blocks, with two of grace; the same members in each.
pub(crate) struct ListedHome {
    head: BlockRef,
    members: Vec<Operator>,
    events: Vec<Registration>,
    /// So many of the last events are left out by all providers.
    hidden: AtomicUsize,
    reads: AtomicUsize,
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
            head: BlockRef {
                number: height,
                hash: B256::ZERO,
                timestamp: 1_700_000_000 + height,
            },
            members,
            events: events.iter().map(event).collect(),
            hidden: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        }
    }

    /// From now on.
    pub(crate) fn hide(&self, last: usize) {
        self.hidden.store(last, Ordering::SeqCst);
    }

    /// How often events were asked for.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
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
        Some(self.head)
    }

    fn refresh(&self) -> Reading<'_, BlockRef> {
        says(self.head)
    }

    fn schedule(&self) -> Reading<'_, EpochSchedule> {
        says(EpochSchedule {
            genesis: 0,
            length: 10,
            grace: 2,
        })
    }

    fn registrations(&self, from: u64, _: u64) -> Reading<'_, Vec<Registration>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let shown = self.events.len() - self.hidden.load(Ordering::SeqCst);
        let due = |event: &&Registration| event.block_number >= from;
        says(self.events[..shown].iter().filter(due).copied().collect())
    }

    fn operator_set<'a>(
        &'a self,
        epoch: Epoch,
        operators: &'a [Address],
        _: B256,
    ) -> Reading<'a, OperatorSet> {
        let members = self.members.iter();
        let total = members.clone().map(|member| member.weight).sum::<U256>();
        let named = members.filter(|member| operators.contains(&member.address));
        let set = OperatorSet::new(epoch, named.cloned().collect(), total, threshold_of(total));
        says(set.expect("a set"))
    }

    fn operator(&self, _: Epoch, address: Address, _: B256) -> Reading<'_, Operator> {
        let member = self.members.iter().find(|member| member.address == address);
        says(member.cloned().unwrap_or(Operator {
            address,
            signing_key: Address::ZERO,
            ed25519_key: None,
            weight: U256::ZERO,
        }))
    }

    fn minimum_weight(&self) -> Reading<'_, U256> {
        says(U256::from(1))
    }
}
