//! A seeded simulator that drives many nodes through one story.
//!
//! Each node is an [`EpochMachine`](quorate_protocols::epoch::EpochMachine) and a
//! [`Pipeline`](quorate_protocols::pipeline::Pipeline) with a small model of their driver: a store that
//! survives crashes, reads and writes that take time, a mesh that loses, repeats, reorders and
//! splits. Signatures are dummies of the right form. Time is simulated and every draw comes from
//! the seed, so one seed is one story.
//!
//! # Design Decisions
//!
//! - What must hold is checked at every event ([`Failure`] names the first breach), so that no
//!   test can forget to ask. Quality, such as how soon, is for the caller to judge ([`Outcome`]).
//! - The checks know the truth: the home chain's sets and what every chain really says. The nodes
//!   know what they were told.
//! - Every rule can be left out ([`Sim::without`]), and then a check has to notice: a simulator
//!   that finds nothing must not be one that sees nothing.
//! - What honest operators owe depends on what happens to them, and all of that is in the plan:
//!   who can be deceived by its providers, which tasks have to be certified.
//! - One message is one event. It is sent to every node directly, with a fate for each; or spreads
//!   by gossip ([`Sim::gossip`]), with a fate for each hop, when copies and bytes are counted.
//!   Batching is for the tests with a real mesh.

mod byzantine;
mod check;
mod driver;
mod engine;
mod event;
mod faults;
mod liveness;
mod mesh;
mod network;
mod node;
mod outcome;
mod plan;
mod providers;
mod relay;
mod rule;
mod sending;
mod trace;
mod world;

use std::ops::RangeInclusive;

use quorate_proto::Epoch;

use self::engine::Engine;
pub use self::mesh::Traffic;
pub use self::outcome::{Answer, End, Failure, Mischief, Outcome};
use self::plan::{Churn, Gossip, Partition, Plan};
pub use self::providers::ProviderFault;
pub use self::relay::{Delivered, Duty, Relays};
pub use self::rule::Rule;
use quorate_protocols::task::Times;

/// A story to be told: who takes part, what goes wrong, what is asked.
///
/// Nodes are numbered from 0, operators first. Times are milliseconds from the beginning.
#[derive(Clone, Debug)]
pub struct Sim {
    seed: u64,
    plan: Plan,
}

impl Sim {
    /// Four operators of equal weight on a perfect network with 1 to 5 ms of latency, and one
    /// question.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let plan = Plan::default();
        Self { seed, plan }
    }

    /// How many operators there are.
    #[must_use]
    pub const fn operators(mut self, operators: usize) -> Self {
        self.plan.operators = operators;
        self
    }

    /// How many nodes watch without stake.
    #[must_use]
    pub const fn spectators(mut self, spectators: usize) -> Self {
        self.plan.spectators = spectators;
        self
    }

    /// The operators' weights from epoch 0 on; who is not named weighs 1.
    #[must_use]
    pub fn weights(self, weights: impl IntoIterator<Item = u64>) -> Self {
        self.weights_from(0, weights)
    }

    /// The operators' weights from an epoch on; 0 leaves one out.
    #[must_use]
    pub fn weights_from(mut self, epoch: u32, weights: impl IntoIterator<Item = u64>) -> Self {
        let weights = weights.into_iter().collect();
        self.plan.weights.insert(Epoch(epoch), weights);
        self
    }

    /// How long a message takes.
    #[must_use]
    pub fn latency(mut self, millis: RangeInclusive<u64>) -> Self {
        self.plan.network.latency = plan::micros(&millis);
        self
    }

    /// Messages spread by gossip: each node passes what is new to it on to its neighbours, of whom
    /// it has `degree` or a few more, and the author tells its own neighbours only. Latency, loss
    /// and the like are those of each hop.
    #[must_use]
    pub const fn gossip(mut self, degree: usize) -> Self {
        self.plan.gossip = Some(Gossip {
            degree,
            flood_publish: false,
        });
        self
    }

    /// As [`Sim::gossip`], but the author tells every node itself (gossipsub's `flood_publish`).
    #[must_use]
    pub const fn flooding_gossip(mut self, degree: usize) -> Self {
        self.plan.gossip = Some(Gossip {
            degree,
            flood_publish: true,
        });
        self
    }

    /// Of all operators only `serving` are in a set. With every epoch `change` of them leave and
    /// as many others come, in turns. Users ask those who stay for a while.
    #[must_use]
    pub const fn churn(mut self, serving: usize, change: usize) -> Self {
        self.plan.churn = Some(Churn { serving, change });
        self
    }

    /// Share of messages that never arrive.
    #[must_use]
    pub const fn loss(mut self, share: f64) -> Self {
        self.plan.network.loss = share;
        self
    }

    /// Share of messages that arrive twice.
    #[must_use]
    pub const fn duplication(mut self, share: f64) -> Self {
        self.plan.network.duplication = share;
        self
    }

    /// Share of messages that take up to half a second longer and so come after later ones.
    #[must_use]
    pub const fn reordering(mut self, share: f64) -> Self {
        self.plan.network.reordering = share;
        self
    }

    /// Only nodes of the same group reach each other from `at` until `until`; who is in no group
    /// is in one with the others of that kind.
    #[must_use]
    pub fn partition(mut self, at: u64, until: u64, groups: Vec<Vec<usize>>) -> Self {
        let partition = Partition::new(at, until, groups);
        self.plan.network.partitions.push(partition);
        self
    }

    /// A node dies with all that it has not written.
    #[must_use]
    pub fn crash(mut self, node: usize, at: u64) -> Self {
        self.plan.crashes.push((node, at));
        self
    }

    /// It comes back with its store.
    #[must_use]
    pub fn restart(mut self, node: usize, at: u64) -> Self {
        self.plan.restarts.push((node, at));
        self
    }

    /// How long reading a chain takes.
    #[must_use]
    pub fn reads(mut self, millis: RangeInclusive<u64>) -> Self {
        self.plan.read_time = plan::micros(&millis);
        self
    }

    /// Share of reads that fail, of the home chain's sets as well.
    #[must_use]
    pub const fn failing_reads(mut self, share: f64) -> Self {
        self.plan.failing_reads = share;
        self
    }

    /// Nodes see a block as final up to so much later than the first of them.
    #[must_use]
    pub const fn lagging_chains(mut self, millis: u64) -> Self {
        self.plan.chain_lag = millis;
        self
    }

    /// Nodes see the home chain up to so much later than the first of them.
    #[must_use]
    pub const fn home_delay(mut self, millis: u64) -> Self {
        self.plan.home_delay = millis;
        self
    }

    /// Nodes' clocks are up to so much ahead of the true time.
    #[must_use]
    pub const fn clock_skew(mut self, millis: u64) -> Self {
        self.plan.clock_skew = millis;
        self
    }

    /// How many questions users ask, and how many in a second.
    #[must_use]
    pub const fn requests(mut self, requests: usize, per_second: u64) -> Self {
        self.plan.requests = requests;
        self.plan.per_second = per_second;
        self
    }

    /// Share of questions that were asked a moment ago already, perhaps elsewhere.
    #[must_use]
    pub const fn repeats(mut self, share: f64) -> Self {
        self.plan.repeats = share;
        self
    }

    /// All users ask this node instead of any that answers.
    #[must_use]
    pub const fn entry(mut self, node: usize) -> Self {
        self.plan.entry = Some(node);
        self
    }

    /// Epochs of `length` blocks, the last `grace` of them grace, one block in `block_time`.
    #[must_use]
    pub const fn epochs(mut self, length: u64, grace: u64, block_time: u64) -> Self {
        self.plan.schedule.length = length;
        self.plan.schedule.grace = grace;
        self.plan.block_time = block_time;
        self
    }

    /// Window and deadline of tasks.
    #[must_use]
    pub const fn times(mut self, times: Times) -> Self {
        self.plan.times = times;
        self
    }

    /// Keeps every line of the story, not only the last ones before a failure.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.plan.traced = true;
        self
    }

    /// Runs until nothing is left to happen.
    ///
    /// # Errors
    /// [`Failure`] at the first thing that must never be.
    ///
    /// # Panics
    /// Where the story names a node that does not take part in it.
    pub fn run(self) -> Result<Outcome, Failure> {
        Engine::new(self.seed, self.plan).run()
    }
}
