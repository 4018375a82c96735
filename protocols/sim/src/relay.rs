//! Relayers that carry the same certificates to one chain.
//!
//! Each is a [`Dispatcher`](quorate_protocols::delivery::Dispatcher) with a small model of its shell: a store that
//! survives crashes, questions and answers that take time, providers of which some lie. The chain has a contract that
//! keeps a record of what it has executed, and accounts with nonces.
//!
//! What must hold is checked at every event: no nonce has two contents, no delivery is done that no confirmed block
//! has. At the end everything is delivered, every nonce is closed, and on a calm day no relayer has paid for what another did.

mod ledger;
mod relayer;
mod shell;
mod world;

use quorate_proto::Address;
use quorate_protocols::delivery::{STAGE_MS, STAGES};

use self::world::World;
use super::outcome::Failure;

/// A story of relayers, described step by step, then run.
#[derive(Clone, Debug)]
pub struct Relays {
    seed: u64,
    plan: Plan,
}

#[derive(Clone, Debug)]
struct Plan {
    /// Those in the route's list; others come after them.
    listed: usize,
    strangers: usize,
    deliveries: usize,
    every_ms: u64,
    stage_ms: u64,
    /// Relayers that are never there.
    absent: Vec<usize>,
    poor: Vec<usize>,
    /// Which step of all ends its process, and whether before it is written.
    killed: Option<(usize, bool)>,
    crashes: f64,
    reorgs: f64,
    lies: f64,
    spikes: f64,
    lost: f64,
    without: Option<Duty>,
    traced: bool,
}

/// A duty of relayers that [`Relays::without`] leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Written before it is sent. Left out: a crash takes the last seconds of the store.
    WriteFirst,
    /// Each has its stage. Left out: all begin at once.
    Stages,
    /// The contract's record is asked. Left out: what others did is not seen.
    AskFirst,
    /// What is not mined is sent again, and replaced. Left out: a nonce's first transaction is sent once.
    SendAgain,
}

/// How a story of relayers ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// A hash over all that happened: the same seed gives the same.
    pub trace: u64,
    /// Deliveries that each relayer's transactions made.
    pub by: Vec<usize>,
    /// Transactions that were mined and came to nothing, since another one was first.
    pub wasted: usize,
    /// Transactions that only closed a nonce.
    pub closing: usize,
    /// Steps of all relayers.
    pub steps: usize,
    /// Processes that ended.
    pub crashes: usize,
    /// Blocks that were undone.
    pub undone: usize,
    /// Milliseconds from each certificate to the block that stayed; ascending.
    pub took: Vec<u64>,
    /// The story: all of it where it was traced, its end otherwise.
    pub lines: Vec<String>,
}

impl Relays {
    /// Three relayers in the list, ten deliveries, one each 20 s, on a calm day.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let plan = Plan {
            listed: 3,
            strangers: 0,
            deliveries: 10,
            every_ms: 20_000,
            stage_ms: STAGE_MS,
            absent: Vec::new(),
            poor: Vec::new(),
            killed: None,
            crashes: 0.0,
            reorgs: 0.0,
            lies: 0.0,
            spikes: 0.0,
            lost: 0.0,
            without: None,
            traced: false,
        };
        Self { seed, plan }
    }

    /// Relayers in the route's list.
    #[must_use]
    pub const fn listed(mut self, relayers: usize) -> Self {
        self.plan.listed = relayers;
        self
    }

    /// Relayers that are not in the list.
    #[must_use]
    pub const fn strangers(mut self, relayers: usize) -> Self {
        self.plan.strangers = relayers;
        self
    }

    /// What is to be delivered, one each so many milliseconds.
    #[must_use]
    pub const fn deliveries(mut self, deliveries: usize, every_ms: u64) -> Self {
        self.plan.deliveries = deliveries;
        self.plan.every_ms = every_ms;
        self
    }

    /// A relayer that is never there.
    #[must_use]
    pub fn absent(mut self, relayer: usize) -> Self {
        self.plan.absent.push(relayer);
        self
    }

    /// A relayer that has money for one delivery.
    #[must_use]
    pub fn poor(mut self, relayer: usize) -> Self {
        self.plan.poor.push(relayer);
        self
    }

    /// The share of steps at which a relayer's process ends: before it has written what came of the step, or between
    /// that and the first thing that it does.
    #[must_use]
    pub const fn crashes(mut self, share: f64) -> Self {
        self.plan.crashes = share;
        self
    }

    /// The process ends that takes the step with this number, of all steps of all relayers: before it has written what
    /// came of it, or after that and before it has done anything.
    #[must_use]
    pub const fn killed_at(mut self, step: usize, unwritten: bool) -> Self {
        self.plan.killed = Some((step, unwritten));
        self
    }

    /// The share of blocks with which up to two blocks are undone, and some of their transactions lost.
    #[must_use]
    pub const fn reorgs(mut self, share: f64) -> Self {
        self.plan.reorgs = share;
        self
    }

    /// The share of answers about transactions that are lies: taken and dropped, or refused for a made-up reason.
    #[must_use]
    pub const fn lies(mut self, share: f64) -> Self {
        self.plan.lies = share;
        self
    }

    /// The share of blocks with which fees jump, above what deliveries may cost at times.
    #[must_use]
    pub const fn spikes(mut self, share: f64) -> Self {
        self.plan.spikes = share;
        self
    }

    /// The share of answers that never come.
    #[must_use]
    pub const fn lost(mut self, share: f64) -> Self {
        self.plan.lost = share;
        self
    }

    /// Leaves a duty out, to see that the checks notice.
    #[must_use]
    pub const fn without(mut self, duty: Duty) -> Self {
        self.plan.without = Some(duty);
        self
    }

    /// Keeps all lines of the story.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.plan.traced = true;
        self
    }

    /// Tells the story.
    ///
    /// # Errors
    /// [`Failure`] where something happened that must not happen.
    pub fn run(self) -> Result<Delivered, Failure> {
        World::new(self.seed, self.plan).run()
    }
}

impl Plan {
    fn relayers(&self) -> usize {
        self.listed + self.strangers
    }

    fn list(&self) -> Vec<Address> {
        (0..self.listed).map(address).collect()
    }

    /// Whether nothing goes wrong, and one of those with a stage of their own is there.
    fn is_calm(&self) -> bool {
        let shares = [self.crashes, self.reorgs, self.lies, self.spikes, self.lost];
        let absent = self.absent.iter().filter(|relayer| **relayer < self.listed);
        shares.iter().all(|share| *share == 0.0)
            && self.poor.is_empty()
            && self.killed.is_none()
            && absent.count() < self.listed.min(STAGES)
    }
}

fn address(relayer: usize) -> Address {
    let number = u8::try_from(relayer).unwrap_or(u8::MAX);
    Address::repeat_byte(number.saturating_add(1))
}
