//! What the home chain says, for the tasks of the node.

use std::sync::Arc;

use quorate_chain::BlockRef;
use quorate_proto::{Address, Epoch, OperatorSet, Statement};
use tokio::sync::{mpsc, watch};

/// What the home chain says now.
#[derive(Clone, Debug, Default)]
pub(crate) struct EpochView {
    /// The set in whose epoch new tasks are born.
    pub(crate) current: Option<Arc<OperatorSet>>,
    /// All sets whose tasks may be under way.
    pub(super) sets: Vec<Arc<OperatorSet>>,
    /// Sets of epochs that are over, ascending, whose certificates still hold: they may name a later set, where a
    /// light registry holds nothing later.
    pub(super) past: Vec<Arc<OperatorSet>>,
    /// Newest final block that was followed.
    pub(crate) head: Option<BlockRef>,
    /// Why the home chain cannot be followed just now.
    pub(crate) problem: Option<String>,
}

impl EpochView {
    /// The set of an epoch in which tasks may be under way.
    pub(crate) fn set(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.sets.iter().find(|set| set.epoch() == epoch)
    }

    /// A view of these sets, ascending by epoch, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(sets: Vec<Arc<OperatorSet>>) -> Self {
        Self {
            current: sets.last().cloned(),
            sets,
            past: Vec::new(),
            head: None,
            problem: None,
        }
    }

    /// The set that signs a statement: that of its epoch, while tasks may be under way there; of an epoch
    /// that is over only where the statement names a later set.
    pub(crate) fn signers_of(&self, statement: &Statement) -> Option<&Arc<OperatorSet>> {
        let epoch = statement.epoch();
        let past = || statement.outlives_its_set().then(|| self.past(epoch))?;
        self.set(epoch).or_else(past)
    }

    /// The set of an epoch that is over, while it may still name another one.
    pub(crate) fn past(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.past.iter().find(|set| set.epoch() == epoch)
    }

    /// Sets that are over and may still name another one, ascending.
    pub(crate) fn past_sets(&self) -> &[Arc<OperatorSet>] {
        &self.past
    }

    /// The keys that an operator has in live sets, each once, those of the newest first.
    pub(crate) fn keys_of(&self, operator: Address) -> Vec<Address> {
        keys_in(&self.sets, operator)
    }

    /// As [`Self::keys_of`], in sets that are over and may still name another one.
    pub(crate) fn past_keys_of(&self, operator: Address) -> Vec<Address> {
        keys_in(&self.past, operator)
    }

    /// With sets of epochs that are over, for tests.
    #[cfg(test)]
    pub(crate) fn with_past(self, past: Vec<Arc<OperatorSet>>) -> Self {
        Self { past, ..self }
    }

    /// All of them.
    pub(crate) fn sets(&self) -> &[Arc<OperatorSet>] {
        &self.sets
    }

    /// The newest epoch whose set is known.
    pub(crate) fn newest(&self) -> Option<Epoch> {
        self.sets.last().map(|set| set.epoch())
    }

    /// Whether others may be in this epoch already, and this node soon: it is the one after the newest
    /// that is known, or none is known yet.
    pub(crate) fn is_coming(&self, epoch: Epoch) -> bool {
        self.newest().is_none_or(|newest| newest.next() == epoch)
    }

    /// Whether an epoch began within the grace period of the one before it.
    pub(crate) fn has_turned(&self) -> bool {
        let current = self.current.as_ref().map(|set| set.epoch());
        self.sets.first().map(|set| set.epoch()) < current
    }

    /// Whether others may still finish tasks of an epoch that is over here. Where one has just turned,
    /// that is any before it: who follows the home chain more closely saw each of them begin, and this
    /// node may have skipped some.
    pub(crate) fn may_end(&self, epoch: Epoch) -> bool {
        let before = |set: &Arc<OperatorSet>| epoch < set.epoch() && self.has_turned();
        let current = self.current.as_ref();
        current.is_none_or(|set| epoch.next() == set.epoch() || before(set))
    }

    /// Whether this is an epoch after the coming one.
    pub(crate) fn is_far(&self, epoch: Epoch) -> bool {
        self.newest().is_some_and(|newest| newest.next() < epoch)
    }
}

/// The keys of an operator in sets that ascend by epoch.
fn keys_in(sets: &[Arc<OperatorSet>], operator: Address) -> Vec<Address> {
    let members = sets.iter().rev().filter_map(|set| set.get(operator));
    let mut keys = Vec::new();
    for member in members {
        if !keys.contains(&member.signing_key) {
            keys.push(member.signing_key);
        }
    }
    keys
}

/// Sees what the home chain says.
#[derive(Clone)]
pub(crate) struct HomeHandle {
    pub(super) view: watch::Receiver<EpochView>,
    pub(super) wake: mpsc::Sender<()>,
}

impl HomeHandle {
    /// What is known now.
    pub(crate) fn view(&self) -> EpochView {
        self.view.borrow().clone()
    }

    /// The set of an epoch in which tasks may be under way.
    pub(crate) fn set(&self, epoch: Epoch) -> Option<Arc<OperatorSet>> {
        self.view.borrow().set(epoch).cloned()
    }

    /// Changes of it.
    pub(crate) fn watch(&self) -> watch::Receiver<EpochView> {
        self.view.clone()
    }

    /// A handle that sees what the sender says, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(view: watch::Receiver<EpochView>) -> Self {
        let (wake, _) = mpsc::channel(1);
        Self { view, wake }
    }

    /// Looks at the home chain now instead of at the next poll.
    pub(crate) fn hurry(&self) {
        // A full channel means that it is about to look anyway.
        let _ = self.wake.try_send(());
    }
}
