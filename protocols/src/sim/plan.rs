//! What a simulation is made of.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use quorate_proto::{Epoch, EpochSchedule, Timestamp};

use crate::task::Times;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) operators: usize,
    pub(super) spectators: usize,
    pub(super) weights: BTreeMap<Epoch, Vec<u64>>,
    pub(super) behaviours: BTreeMap<usize, Behaviour>,
    pub(super) network: Conditions,
    /// How messages spread; `None` for direct sends to all.
    pub(super) gossip: Option<Gossip>,
    pub(super) churn: Option<Churn>,
    pub(super) crashes: Vec<(usize, u64)>,
    pub(super) restarts: Vec<(usize, u64)>,
    /// Microseconds.
    pub(super) read_time: RangeInclusive<u64>,
    pub(super) failing_reads: f64,
    pub(super) chain_lag: u64,
    pub(super) home_delay: u64,
    pub(super) clock_skew: u64,
    pub(super) requests: usize,
    pub(super) per_second: u64,
    pub(super) repeats: f64,
    pub(super) entry: Option<usize>,
    pub(super) schedule: EpochSchedule,
    pub(super) block_time: u64,
    pub(super) times: Times,
    pub(super) traced: bool,
}

/// How an operator behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Behaviour {
    #[default]
    Honest,
    /// Its chain shows another value.
    Liar,
    /// Its chain shows another value at every second read.
    Wavering,
    /// It never says anything.
    Silent,
    /// It signs everything, without a log.
    Equivocator,
}

/// How nodes pass messages on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gossip {
    pub(super) degree: usize,
    /// The author sends to everybody, and not to its neighbours only.
    pub(super) flood_publish: bool,
}

/// How operators take turns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Churn {
    pub(super) serving: usize,
    pub(super) change: usize,
}

impl Churn {
    /// Whether one of `all` operators is in the set of an epoch: a window that moves on.
    fn serves(self, all: usize, epoch: Epoch, node: usize) -> bool {
        let all = all.max(1);
        let moved = (epoch.0 as usize * self.change) % all;
        (node + all - moved) % all < self.serving
    }
}

/// What becomes of messages.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    /// Microseconds.
    pub(super) latency: RangeInclusive<u64>,
    pub(super) loss: f64,
    pub(super) duplication: f64,
    pub(super) reordering: f64,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Clone, Debug)]
pub(super) struct Partition {
    from: Timestamp,
    until: Timestamp,
    groups: Vec<Vec<usize>>,
}

impl Partition {
    pub(super) const fn new(from: u64, until: u64, groups: Vec<Vec<usize>>) -> Self {
        Self {
            from: START.plus_millis(from),
            until: START.plus_millis(until),
            groups,
        }
    }

    pub(super) fn separates(&self, now: Timestamp, a: usize, b: usize) -> bool {
        let group = |node| self.groups.iter().position(|group| group.contains(&node));
        self.from <= now && now < self.until && group(a) != group(b)
    }
}

/// When stories begin.
pub(super) const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// The first question comes this many milliseconds after the beginning, when all are ready.
pub(super) const WARM_UP: u64 = 1_000;

pub(super) fn micros(millis: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    millis.start() * 1_000..=millis.end() * 1_000
}

impl Plan {
    pub(super) const fn nodes(&self) -> usize {
        self.operators + self.spectators
    }

    pub(super) fn behaviour(&self, node: usize) -> Behaviour {
        self.behaviours.get(&node).copied().unwrap_or_default()
    }

    pub(super) fn weight(&self, epoch: Epoch, node: usize) -> u64 {
        if self
            .churn
            .is_some_and(|c| !c.serves(self.operators, epoch, node))
        {
            return 0;
        }
        let weights = self.weights.range(..=epoch).next_back();
        let weight = weights.and_then(|(_, weights)| weights.get(node));
        weight.copied().unwrap_or(1)
    }

    /// When question `index` is asked.
    pub(super) fn asked_at(&self, index: usize) -> Timestamp {
        let micros = index as u64 * 1_000_000 / self.per_second.max(1);
        Timestamp(START.plus_millis(WARM_UP).0 + micros)
    }

    /// Whether an operator that is asked now can be expected to answer: its seat is not about to
    /// change hands.
    pub(super) fn is_seated(&self, at: Timestamp, node: usize) -> bool {
        let Some(churn) = self.churn else { return true };
        let block = at.micros_since(START) / 1_000 / self.block_time.max(1);
        let now = self.schedule.epoch_at(block);
        let around = [now.previous().unwrap_or(now), now, now.next()];
        let seated = |epoch: &Epoch| churn.serves(self.operators, *epoch, node);
        around.iter().all(seated)
    }

    /// After this moment no more blocks are made: all tasks and epochs of interest are over.
    pub(super) fn horizon(&self) -> Timestamp {
        self.asked_at(self.requests)
            .plus_millis(2 * self.times.deadline)
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            operators: 4,
            spectators: 0,
            weights: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            network: Conditions {
                latency: 1_000..=5_000,
                loss: 0.0,
                duplication: 0.0,
                reordering: 0.0,
                partitions: Vec::new(),
            },
            gossip: None,
            churn: None,
            crashes: Vec::new(),
            restarts: Vec::new(),
            read_time: 1_000..=2_000,
            failing_reads: 0.0,
            chain_lag: 0,
            home_delay: 100,
            clock_skew: 1_000,
            requests: 1,
            per_second: 10,
            repeats: 0.0,
            entry: None,
            schedule: EpochSchedule {
                genesis: 0,
                length: 100,
                grace: 20,
            },
            block_time: 12_000,
            times: Times::default(),
            traced: false,
        }
    }
}
