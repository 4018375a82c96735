//! What the tests of bridges need: a source chain that is a list, a target that says what it is told to say, and a node's
//! bridge between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt, ready};
use quorate_chain::{
    AccountState, BlockRef, BridgeOrder, BridgeSender, BridgeStep, Broadcast, CallMeaning,
    ChainError, ChainFamily, ContractCall, FeeQuote, Inclusion, PauseState, Providers, ReadLog,
    SeenTransfer, SignedTransaction, Submitter, TransactionDraft, TransferPage, TransferReader,
    UnsignedTransaction,
};
use quorate_proto::{Address, B256, Epoch, Route, Transfer, U256};
use quorate_storage::{EngineKind, WriteQueue, WriterGuard};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{Bridge, BridgeSection, RouteText, TransferReaders};
use crate::fixtures::store;
use crate::services::bridge::Submitters;

type Reading<'a, T> = BoxFuture<'a, Result<T, ChainError>>;

/// Where transfers of the tests begin.
pub(crate) const SOURCE: u64 = 1;
/// Where they end.
pub(crate) const TARGET: u64 = 10;
/// Gas price parts that the target quotes.
pub(crate) const BASE_FEE: u128 = 7;
pub(crate) const TIP: u128 = 2;
/// Blocks of a page.
const PAGE: u64 = 4;

/// The route of the tests, from block 1 on.
pub(crate) fn text() -> RouteText {
    RouteText {
        route: Route {
            source_chain: SOURCE,
            source_contract: Address::repeat_byte(0xaa).into_word(),
            target_chain: TARGET,
            target_contract: Address::repeat_byte(0xbb).into_word(),
        },
        first_block: 1,
    }
}

pub(crate) fn transfer(nonce: u64) -> Transfer {
    Transfer {
        epoch: Epoch(0),
        route: text().route,
        nonce,
        sender: Address::repeat_byte(0x12).into_word(),
        receiver: vec![0x34; 20].into(),
        token: B256::ZERO,
        amount: U256::from(100 + nonce),
        deadline: 1_700_604_800,
    }
}

pub(crate) fn block(number: u64) -> BlockRef {
    BlockRef {
        number,
        hash: B256::from(U256::from(number)),
        timestamp: 1_700_000_000 + number,
    }
}

/// The transaction that sends number `nonce`.
pub(crate) fn sending(nonce: u64) -> B256 {
    B256::from(U256::from(0x5e00 + nonce))
}

pub(crate) fn seen(nonce: u64, at: u64) -> SeenTransfer {
    SeenTransfer {
        transfer: transfer(nonce),
        block: block(at),
        log_index: 0,
        transaction: sending(nonce).into(),
    }
}

/// A source chain whose transfers are listed, some of which providers leave out.
pub(crate) struct ListedSource {
    head: watch::Sender<Option<BlockRef>>,
    sent: Mutex<Vec<SeenTransfer>>,
    hidden: Mutex<BTreeSet<u64>>,
    is_down: AtomicBool,
    /// Blocks that were read.
    asked: Mutex<Vec<(u64, u64)>>,
}

impl ListedSource {
    pub(crate) fn new(head: u64, sent: &[(u64, u64)]) -> Arc<Self> {
        let sent = sent.iter().map(|(nonce, at)| seen(*nonce, *at));
        Arc::new(Self {
            head: watch::Sender::new(Some(block(head))),
            sent: Mutex::new(sent.collect()),
            hidden: Mutex::default(),
            is_down: AtomicBool::new(false),
            asked: Mutex::default(),
        })
    }

    /// A transfer, in a new head.
    pub(crate) fn send(&self, nonce: u64, at: u64) {
        lock(&self.sent).push(seen(nonce, at));
        self.head.send_replace(Some(block(at)));
    }

    /// Providers do not show these, unless asked for them by number.
    pub(crate) fn hide(&self, nonces: &[u64]) {
        *lock(&self.hidden) = nonces.iter().copied().collect();
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The blocks that were read since the last look.
    pub(crate) fn take_asked(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *lock(&self.asked))
    }

    fn says<'a, T: Send + 'a>(&self, value: T) -> Reading<'a, T> {
        let detail = "down".to_owned();
        ready(match self.is_down.load(Ordering::SeqCst) {
            true => Err(ChainError::Unavailable { detail }),
            false => Ok(value),
        })
        .boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TransferReader for ListedSource {
    fn chain_id(&self) -> u64 {
        SOURCE
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
    ) -> Reading<'a, TransferPage> {
        let last = to_block.min(from_block + PAGE - 1);
        let hidden = lock(&self.hidden);
        let shown = |one: &&SeenTransfer| {
            (from_block..=last).contains(&one.block.number) && !hidden.contains(&one.transfer.nonce)
        };
        let transfers = lock(&self.sent).iter().filter(shown).cloned().collect();
        if !self.is_down.load(Ordering::SeqCst) {
            lock(&self.asked).push((from_block, last));
        }
        self.says(TransferPage {
            transfers,
            next: last + 1,
            ..TransferPage::default()
        })
    }

    fn transfers_of<'a>(
        &'a self,
        _: B256,
        _: B256,
        nonces: &'a [u64],
        (from, to): (u64, u64),
        _: &'a ReadLog,
    ) -> Reading<'a, Vec<SeenTransfer>> {
        let is_meant = |one: &&SeenTransfer| {
            nonces.contains(&one.transfer.nonce) && (from..=to).contains(&one.block.number)
        };
        let found = lock(&self.sent).iter().filter(is_meant).cloned().collect();
        self.says(found)
    }

    fn sent_count(&self, _: B256, _: B256, at: BlockRef) -> Reading<'_, u64> {
        let sent = lock(&self.sent);
        let until = sent.iter().filter(|one| one.block.number <= at.number);
        self.says(until.count() as u64)
    }

    fn closed(&self, _: &Route, _: u64, _: BlockRef) -> Reading<'_, Option<u64>> {
        self.says(None)
    }

    fn pause_state(&self, _: B256, _: BlockRef) -> Reading<'_, PauseState> {
        self.says(PauseState {
            sequence: 0,
            paused: false,
        })
    }
}

/// A target whose bridge says of every transfer what it is told to say.
#[derive(Default)]
pub(crate) struct ToldTarget {
    status: AtomicU8,
    height: AtomicU64,
    /// Blocks by transaction.
    mined: Mutex<BTreeMap<B256, u64>>,
}

impl ToldTarget {
    pub(crate) fn set_status(&self, status: u8) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn set_height(&self, height: u64) {
        self.height.store(height, Ordering::SeqCst);
    }

    /// A transaction is in this block.
    pub(crate) fn mine(&self, hash: B256, at: u64) {
        lock(&self.mined).insert(hash, at);
    }
}

fn no_call() -> ContractCall {
    ContractCall {
        name: "a call",
        from: None,
        contract: B256::ZERO,
        data: Vec::new().into(),
        value: U256::ZERO,
    }
}

impl BridgeSender for ToldTarget {
    fn registry(&self, bridge: B256) -> Reading<'_, B256> {
        says(bridge)
    }

    fn newest_epoch(&self, _: B256) -> Reading<'_, Epoch> {
        says(Epoch(1))
    }

    fn status(&self, _: &Transfer) -> Result<ContractCall, ChainError> {
        Ok(no_call())
    }

    fn steps<'a>(&'a self, _: BridgeOrder<'a>) -> Reading<'a, Vec<BridgeStep>> {
        ready(unsent()).boxed()
    }

    fn meaning_of(&self, _: &ChainError) -> Option<CallMeaning> {
        None
    }
}

fn says<'a, T: Send + 'a>(value: T) -> Reading<'a, T> {
    ready(Ok(value)).boxed()
}

fn unsent<T>() -> Result<T, ChainError> {
    let detail = "nothing is sent here".to_owned();
    Err(ChainError::Unavailable { detail })
}

impl Submitter for ToldTarget {
    fn chain_id(&self) -> u64 {
        TARGET
    }

    fn providers(&self) -> Providers {
        Providers::default()
    }

    fn family(&self) -> ChainFamily {
        ChainFamily::Evm
    }

    fn height(&self) -> Reading<'_, u64> {
        says(self.height.load(Ordering::SeqCst))
    }

    fn account(&self, _: B256) -> Reading<'_, AccountState> {
        says(AccountState {
            mined: 0,
            pending: 0,
            balance: U256::ZERO,
        })
    }

    fn fees(&self) -> Reading<'_, FeeQuote> {
        says(FeeQuote {
            base: BASE_FEE,
            tips: [1, TIP, 3],
        })
    }

    fn estimate<'a>(&'a self, _: &'a ContractCall) -> Reading<'a, u64> {
        says(1)
    }

    fn call<'a>(&'a self, _: &'a ContractCall) -> Reading<'a, alloy::primitives::Bytes> {
        let word = U256::from(self.status.load(Ordering::SeqCst));
        says(word.to_be_bytes_vec().into())
    }

    fn prepare<'a>(&'a self, _: &'a TransactionDraft) -> Reading<'a, UnsignedTransaction> {
        ready(unsent()).boxed()
    }

    fn complete(
        &self,
        _: &TransactionDraft,
        _: &UnsignedTransaction,
        _: &[u8],
    ) -> Result<SignedTransaction, ChainError> {
        unsent()
    }

    fn broadcast<'a>(&'a self, _: &'a SignedTransaction) -> BoxFuture<'a, Broadcast> {
        ready(Broadcast::default()).boxed()
    }

    fn receipt<'a>(&'a self, id: &'a [u8]) -> Reading<'a, Option<Inclusion>> {
        let hash = B256::try_from(id).unwrap();
        let at = lock(&self.mined).get(&hash).copied();
        says(at.map(|at| Inclusion {
            block: at,
            block_hash: block(at).hash,
            succeeded: true,
            gas_used: 100_000,
            is_final: false,
        }))
    }
}

/// A node's bridge, on a store that goes with it.
pub(crate) struct BridgeScene {
    pub(crate) bridge: Bridge,
    pub(crate) source: Arc<ListedSource>,
    pub(crate) target: Arc<ToldTarget>,
    pub(crate) writes: WriteQueue,
    _writer: WriterGuard,
    _folder: TempDir,
}

/// A bridge with the one route.
pub(crate) fn scene(source: Arc<ListedSource>) -> BridgeScene {
    let (store, folder) = store(EngineKind::Sled);
    let (writes, writer) = WriteQueue::new(store).expect("a queue");
    let target = Arc::new(ToldTarget::default());
    let section = BridgeSection {
        routes: Some(vec![text().to_string()]),
        ..BridgeSection::default()
    };
    let readers = TransferReaders::from([(SOURCE, source.clone() as Arc<dyn TransferReader>)]);
    let submitters = Submitters::from([(TARGET, target.clone() as Arc<dyn Submitter>)]);
    let bridge = Bridge::new(Some(&section), (readers, submitters), &writes);
    BridgeScene {
        bridge,
        source,
        target,
        writes,
        _writer: writer,
        _folder: folder,
    }
}

impl BridgeScene {
    /// The numbers that the store has.
    pub(crate) fn nonces(&self) -> Vec<u64> {
        let nonces = self.bridge.transfers.nonces(text().route.id());
        nonces.expect("a store")
    }
}
