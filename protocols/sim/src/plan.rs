//! What a simulation is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use quorate_proto::{Epoch, EpochSchedule, Timestamp};

use super::providers::Providers;
use super::rule::Rule;
use quorate_protocols::task::Times;

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) operators: usize,
    pub(super) spectators: usize,
    pub(super) weights: BTreeMap<Epoch, Vec<u64>>,
    pub(super) behaviours: BTreeMap<usize, Behaviour>,
    /// Operators that have another signing key in every epoch.
    pub(super) renewing: BTreeSet<usize>,
    pub(super) network: Conditions,
    /// How messages spread; `None` for direct sends to all.
    pub(super) gossip: Option<Gossip>,
    pub(super) churn: Option<Churn>,
    pub(super) crashes: Vec<(usize, u64)>,
    pub(super) restarts: Vec<(usize, u64)>,
    pub(super) disk_losses: Vec<(usize, u64)>,
    pub(super) imports: Vec<(usize, u64)>,
    pub(super) providers: Providers,
    pub(super) without: Option<Rule>,
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
    /// It signs one fact for one half of the others, another one for the other half.
    Splitter,
    /// It signs one fact with the key of this epoch, another one with that of the next.
    Turncoat,
    /// It sends what it says to some, each time others.
    Withholder,
    /// It repeats what any node said.
    Replayer,
    /// It signs for another epoch.
    WrongEpoch,
    /// It refuses everything.
    Refuser,
    /// It speaks in others' names.
    Forger,
}

impl Behaviour {
    /// Whether it may sign two facts for one slot.
    pub(super) const fn signs_twice(self) -> bool {
        matches!(self, Self::Equivocator | Self::Splitter | Self::Turncoat)
    }

    /// Whether it may sign what is not true.
    pub(super) const fn signs_lies(self) -> bool {
        self.signs_twice() || matches!(self, Self::Liar | Self::Wavering)
    }
}

/// How nodes pass messages on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gossip {
    pub(super) degree: usize,
    /// The author sends to every node, and not to its neighbours only.
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

/// From a moment until just before another one.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl Span {
    /// In milliseconds from the beginning.
    pub(super) const fn new(from: u64, until: u64) -> Self {
        Self {
            from: START.plus_millis(from),
            until: START.plus_millis(until),
        }
    }

    pub(super) fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

#[derive(Clone, Debug)]
pub(super) struct Partition {
    span: Span,
    groups: Vec<Vec<usize>>,
}

impl Partition {
    pub(super) const fn new(from: u64, until: u64, groups: Vec<Vec<usize>>) -> Self {
        Self {
            span: Span::new(from, until),
            groups,
        }
    }

    pub(super) fn separates(&self, now: Timestamp, a: usize, b: usize) -> bool {
        self.span.contains(now) && self.parts(a, b)
    }

    fn parts(&self, a: usize, b: usize) -> bool {
        let group = |node| self.groups.iter().position(|group| group.contains(&node));
        group(a) != group(b)
    }
}

impl Conditions {
    /// Whether two nodes are separated at some time of a span.
    pub(super) fn is_cut(&self, a: usize, b: usize, span: &Span) -> bool {
        let cuts = |p: &Partition| p.span.overlaps(span) && p.parts(a, b);
        self.partitions.iter().any(cuts)
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

    /// Whether a rule is left out in this story.
    pub(super) fn leaves_out(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// Whether a node is up in all of a span.
    pub(super) fn is_up(&self, node: usize, span: &Span) -> bool {
        let falls = self.crashes.iter().chain(&self.disk_losses);
        is_without(node, falls, &self.restarts, span)
    }

    /// Whether a node has its signing log in all of a span.
    pub(super) fn has_log(&self, node: usize, span: &Span) -> bool {
        is_without(node, self.disk_losses.iter(), &self.imports, span)
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

/// Whether nothing that begins with one of `begins` and ends with the next of `ends` touches a span.
fn is_without<'a>(
    node: usize,
    mut begins: impl Iterator<Item = &'a (usize, u64)>,
    ends: &[(usize, u64)],
    span: &Span,
) -> bool {
    !begins.any(|(of, at)| {
        let mended = ends.iter().filter(|(whose, end)| whose == of && end > at);
        let end = mended.map(|(_, end)| *end).min();
        let until = end.map_or(Timestamp(u64::MAX), |end| START.plus_millis(end + 1));
        let from = START.plus_millis(*at);
        *of == node && Span { from, until }.overlaps(span)
    })
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            operators: 4,
            spectators: 0,
            weights: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            renewing: BTreeSet::new(),
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
            disk_losses: Vec::new(),
            imports: Vec::new(),
            providers: Providers {
                n: 1,
                k: 1,
                proofs: false,
                faults: Vec::new(),
            },
            without: None,
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
