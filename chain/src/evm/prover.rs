//! Reads histories by proof: one provider serves, none is believed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use futures::future::try_join_all;

use super::proof::answer::{Contract, Forged, ProofAnswer};
use super::proof::history::{Cutoff, Fact, HistoryRead, HistoryStep, Horizon, Stop};
use super::provider::EvmProvider;
use crate::lookup::{Demand, GenerationalCache};
use crate::quorum::Pool;
use crate::rpc::ProviderError;
use crate::{BlockRef, QueryKind, ReadLog, ReplyKind};

/// Keys of one generation whose number of entries is remembered: both together are below 1 MiB.
const HINTS: usize = 4_096;

/// Words of one generation that were proven: those of 1,300 keys; both together are 1.5 MB.
const WORDS: usize = 4_096;

/// How often a chain whose providers all said that they have no proofs is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// Steps of one search: three proofs, and rounds of looking up that leave a ninth of 2^48 entries.
pub(super) const MAX_STEPS: usize = 24;

/// A block whose state root is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateAt {
    pub(super) block: BlockRef,
    pub(super) root: B256,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistoryQuery {
    pub(super) user: Address,
    pub(super) key: U256,
    /// As of then.
    pub(super) at: Cutoff,
}

/// What a state proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProofFinding {
    /// About the key.
    Fact(Fact),
    /// There is no contract.
    NoContract,
    /// What is there is no state manager with its mapping at that slot; says why.
    Misfit(String),
    /// What is there counts the blocks of another chain; says why.
    OtherBlocks(String),
}

/// A word of storage that was proven, and who showed it.
#[derive(Clone, Debug)]
struct ProvenWord {
    value: U256,
    by: Arc<str>,
}

/// Reads the histories of one state manager.
///
/// # Design Decisions
///
/// What a state root proves stays true of that root, so it is remembered by it: of a key that many ask
/// about, each state is proven once, whichever blocks they name.
pub(super) struct Prover {
    state_manager: Address,
    /// Slot of the mapping.
    base: U256,
    /// How many entries keys had when last seen. A guess: wrong ones cost a question.
    hints: Mutex<GenerationalCache<(Address, U256), u64>>,
    /// The state manager as of the block with this hash: proven once per block.
    contract: Mutex<Option<(B256, Contract)>>,
    /// By state root and slot.
    words: Mutex<GenerationalCache<(B256, U256), ProvenWord>>,
    /// Entries were proven, so the mapping is where it should be.
    fits: Mutex<bool>,
    tried: Mutex<Option<Instant>>,
    demand: Mutex<Demand<(Address, U256)>>,
}

impl Prover {
    pub(super) fn new(state_manager: Address, base: U256) -> Self {
        Self {
            state_manager,
            base,
            hints: Mutex::new(GenerationalCache::new(HINTS)),
            contract: Mutex::default(),
            words: Mutex::new(GenerationalCache::new(WORDS)),
            fits: Mutex::default(),
            tried: Mutex::default(),
            demand: Mutex::default(),
        }
    }

    /// A user asked about this key, which has a value.
    pub(super) fn asked(&self, entry: HistoryQuery) {
        lock(&self.demand).asked((entry.user, entry.key));
    }

    /// What users will ask about at a new head.
    pub(super) fn demanded_at(&self, at: Cutoff) -> Vec<HistoryQuery> {
        let keys = lock(&self.demand).at_new_head().into_iter();
        let entry = |(user, key)| HistoryQuery { user, key, at };
        keys.map(entry).collect()
    }

    /// Whether an entry was ever proven with this slot of the mapping.
    pub(super) fn fits(&self) -> bool {
        *lock(&self.fits)
    }

    /// Whether it is time to look for proofs where all providers said that they have none.
    pub(super) fn tries_again(&self) -> bool {
        let tried = *lock(&self.tried);
        tried.is_none_or(|tried| tried.elapsed() >= TRY_AGAIN)
    }

    /// What `state` proves about `entry`, shown by one of the providers; otherwise why none did.
    pub(super) async fn read(
        &self,
        pool: &Pool<EvmProvider>,
        state: StateAt,
        entry: HistoryQuery,
        log: &ReadLog,
    ) -> Result<ProofFinding, Vec<(usize, ProviderError)>> {
        if let Some((fact, by)) = self.recall(state, entry) {
            log.asking(&by, QueryKind::Proof)
                .said(ReplyKind::Good, "proven before");
            return Ok(ProofFinding::Fact(fact));
        }
        *lock(&self.tried) = Some(Instant::now());
        let found = pool
            .first(log, QueryKind::Proof, |provider| async move {
                let found = self.ask(provider, state, entry).await;
                provider.as_ref().tried_to_prove(found.as_ref().err());
                found
            })
            .await?;
        if let ProofFinding::Fact(Fact::Value(..) | Fact::BeforeFirstEntry(_)) = found {
            *lock(&self.fits) = true;
        }
        Ok(found)
    }

    /// What was proven in this state before, where that is enough; and who showed the last of it.
    fn recall(&self, state: StateAt, entry: HistoryQuery) -> Option<(Fact, Arc<str>)> {
        let (mut search, _) = self.search(state, entry);
        let mut shown = None;
        for _ in 0..MAX_STEPS {
            match search.next().ok()? {
                HistoryStep::Done(fact) => return shown.map(|by| (fact, by)),
                HistoryStep::Prove(slots) => {
                    let words = self.known(state, &slots)?;
                    shown = words.last().map(|word| Arc::clone(&word.by));
                    let values: Vec<U256> = words.iter().map(|word| word.value).collect();
                    search.proven(&slots, &values).ok()?;
                }
                HistoryStep::Probe(_) => return None,
            }
        }
        None
    }

    fn known(&self, state: StateAt, slots: &[U256]) -> Option<Vec<ProvenWord>> {
        let mut words = lock(&self.words);
        let word = |slot: &U256| words.get((state.root, *slot));
        slots.iter().map(word).collect()
    }

    /// Where to look, and how many entries the key had when last seen.
    fn search(&self, state: StateAt, entry: HistoryQuery) -> (HistoryRead, u64) {
        let key = (entry.user, entry.key);
        let hint = lock(&self.hints).get(key).unwrap_or_default();
        let horizon = Horizon {
            block: state.block.number,
            time: state.block.timestamp,
        };
        let search = HistoryRead::new(self.base, key, entry.at, horizon, hint);
        (search, hint)
    }

    async fn ask(
        &self,
        provider: &EvmProvider,
        state: StateAt,
        entry: HistoryQuery,
    ) -> Result<ProofFinding, ProviderError> {
        let key = (entry.user, entry.key);
        let (mut search, hint) = self.search(state, entry);
        for _ in 0..MAX_STEPS {
            let result = match search.next() {
                Ok(HistoryStep::Done(fact)) => {
                    self.remember(key, hint, search.length());
                    return Ok(ProofFinding::Fact(fact));
                }
                Ok(HistoryStep::Prove(slots)) => match self.prove(provider, state, &slots).await? {
                    Some(values) => search.proven(&slots, &values),
                    None => return Ok(ProofFinding::NoContract),
                },
                Ok(HistoryStep::Probe(entries)) => {
                    let words = self.look_up(provider, state, &search, &entries).await?;
                    search.probed(&words)
                }
                Err(stop) => Err(stop),
            };
            match result {
                Ok(()) => {}
                // Words are no proofs: another node behind the same gateway may have said them.
                Err(Stop::Lie(what)) => return Err(ProviderError::malformed(what)),
                Err(Stop::Misfit(why)) => return Ok(ProofFinding::Misfit(why)),
                Err(Stop::OtherBlocks(why)) => return Ok(ProofFinding::OtherBlocks(why)),
            }
        }
        Err(ProviderError::malformed("a search without end"))
    }

    fn remember(&self, key: (Address, U256), hint: u64, length: Option<u64>) {
        let length = length.unwrap_or_default();
        if length > 1 && length != hint {
            lock(&self.hints).insert(key, length);
        }
    }

    /// The values of these slots; `None` where there is no contract.
    async fn prove(
        &self,
        provider: &EvmProvider,
        state: StateAt,
        slots: &[U256],
    ) -> Result<Option<Vec<U256>>, ProviderError> {
        let at = state.block.hash;
        let answer = provider.proof(self.state_manager, slots, at).await?;
        let Some(contract) = self.contract(&answer, state).map_err(forged)? else {
            return Ok(None);
        };
        let values = answer.values(contract, slots).map_err(forged)?;
        let mut words = lock(&self.words);
        for (slot, value) in slots.iter().zip(&values) {
            let (value, by) = (*value, Arc::clone(provider.as_ref().name()));
            words.insert((state.root, *slot), ProvenWord { value, by });
        }
        Ok(Some(values))
    }

    fn contract(&self, answer: &ProofAnswer, state: StateAt) -> Result<Option<Contract>, Forged> {
        if let Some((at, contract)) = *lock(&self.contract)
            && at == state.block.hash
        {
            return Ok(Some(contract));
        }
        let found = answer.contract(state.root, self.state_manager)?;
        if let Some(contract) = found {
            *lock(&self.contract) = Some((state.block.hash, contract));
        }
        Ok(found)
    }

    async fn look_up(
        &self,
        provider: &EvmProvider,
        state: StateAt,
        search: &HistoryRead,
        entries: &[u64],
    ) -> Result<Vec<(u64, U256)>, ProviderError> {
        let word = |entry: &u64| {
            let (entry, slot) = (*entry, search.slot_of(*entry));
            async move {
                let at = state.block.hash;
                let word = provider.word(self.state_manager, slot, at).await?;
                Ok((entry, word))
            }
        };
        try_join_all(entries.iter().map(word)).await
    }
}

fn forged(forged: Forged) -> ProviderError {
    match forged {
        // Fewer proofs than were asked for say nothing false.
        Forged::Count { .. } => ProviderError::malformed(forged),
        _ => ProviderError::FalseProof(forged.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
