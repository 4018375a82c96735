//! Which epoch it is, and whose signatures count in it.
//!
//! # Design Decisions
//!
//! - Only final blocks of the home chain move the epoch, so that no reorg can move it back.
//! - The set of the next epoch is loaded as soon as the grace period of the current one is
//!   final: from then on no change can reach it. A node that is a moment behind can therefore
//!   already check what its neighbours sign in the new epoch.
//! - The set of the previous epoch stays for [`limits::EPOCH_GRACE_MS`], so that tasks in flight
//!   at the turn finish with the set that they began with. Who starts, or comes back after a long
//!   time, loads it too: the turn may have been a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_proto::{Epoch, EpochSchedule, OperatorSet, Timestamp, limits};

/// What an [`EpochMachine`] is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A final block of the home chain, by the home chain's driver.
    Final(u64),
    /// The set of an epoch as read at a final block, by the home chain's driver.
    Loaded(Arc<OperatorSet>),
    /// The time that [`EpochMachine::next_wake`] named has come.
    Wake,
}

/// What an [`EpochMachine`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Read the set of this epoch. Repeated at every input until it is there.
    Load(Epoch),
    /// New tasks are born in this epoch from now on.
    Began(Epoch),
    /// Tasks of this epoch cannot finish any more.
    Ended(Epoch),
}

/// Follows the epochs of the home chain.
#[derive(Clone, Debug)]
pub struct EpochMachine {
    schedule: EpochSchedule,
    current: Option<Epoch>,
    head: Option<u64>,
    sets: BTreeMap<Epoch, Arc<OperatorSet>>,
    /// Epochs that are over, and when their tasks end.
    ending: BTreeMap<Epoch, Timestamp>,
}

impl EpochMachine {
    /// A machine that knows no block yet.
    #[must_use]
    pub const fn new(schedule: EpochSchedule) -> Self {
        Self {
            schedule,
            current: None,
            head: None,
            sets: BTreeMap::new(),
            ending: BTreeMap::new(),
        }
    }

    /// The epoch in which new tasks are born; `None` until its set is loaded.
    #[must_use]
    pub const fn current(&self) -> Option<Epoch> {
        self.current
    }

    /// The set of an epoch in which tasks may be under way: the current one, the next one once it
    /// is fixed, the previous one during its grace.
    #[must_use]
    pub fn set(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.sets.get(&epoch)
    }

    /// All sets that [`EpochMachine::set`] would return, ascending by epoch.
    pub fn sets(&self) -> impl Iterator<Item = &Arc<OperatorSet>> {
        self.sets.values()
    }

    /// When to call [`Input::Wake`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.ending.values().min().copied()
    }

    /// Takes one input. Nothing is refused: a block below the known head and a set of an epoch
    /// that is over change nothing.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        match input {
            Input::Final(block) => self.head = self.head.max(Some(block)),
            Input::Loaded(set) => self.keep(set),
            Input::Wake => {}
        }
        let mut outputs: Vec<Output> = self.advance(now).into_iter().collect();
        outputs.extend(self.end(now));
        outputs.extend(self.wanted().into_iter().map(Output::Load));
        outputs
    }

    fn keep(&mut self, set: Arc<OperatorSet>) {
        let epoch = set.epoch();
        if Some(epoch) >= self.current || self.ending.contains_key(&epoch) {
            self.sets.entry(epoch).or_insert(set);
        }
    }

    fn advance(&mut self, now: Timestamp) -> Option<Output> {
        let epoch = self.schedule.epoch_at(self.head?);
        if Some(epoch) <= self.current || !self.sets.contains_key(&epoch) {
            return None;
        }
        let until = now.plus_millis(limits::EPOCH_GRACE_MS);
        let before = self.sets.range(..epoch).map(|(over, _)| *over);
        for over in before.chain(epoch.previous()) {
            self.ending.entry(over).or_insert(until);
        }
        self.current = Some(epoch);
        Some(Output::Began(epoch))
    }

    fn end(&mut self, now: Timestamp) -> Vec<Output> {
        let due = |(epoch, until): (&Epoch, &Timestamp)| (*until <= now).then_some(*epoch);
        let over: Vec<Epoch> = self.ending.iter().filter_map(due).collect();
        for epoch in &over {
            self.ending.remove(epoch);
            self.sets.remove(epoch);
        }
        over.into_iter().map(Output::Ended).collect()
    }

    /// The epochs whose sets are fixed and in use, but not here.
    fn wanted(&self) -> Vec<Epoch> {
        let Some(head) = self.head else {
            return Vec::new();
        };
        let epoch = self.schedule.epoch_at(head);
        let mut wanted = Vec::new();
        let turning = self.current < Some(epoch);
        let finishing = |epoch: &Epoch| turning || self.ending.contains_key(epoch);
        wanted.extend(epoch.previous().filter(finishing));
        wanted.push(epoch);
        if head >= self.schedule.interval(epoch).grace_start {
            wanted.push(epoch.next());
        }
        wanted.retain(|epoch| !self.sets.contains_key(epoch));
        wanted
    }
}

#[cfg(test)]
mod tests;
