//! Stories in which everything goes wrong at once, as the seed has it.

use std::env;

use quorate_proto::limits;
use quorate_protocols::sim::{Outcome, Sim};
use quorate_protocols::task::Status;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How to see what happened.
pub(crate) fn replay(what: &str, seed: u64) -> String {
    format!(
        "the whole story: QUORATE_SIM_SEED={seed} cargo test -p quorate-protocols --test sim \
         one_seed_of_{what} -- --nocapture"
    )
}

/// Tells the whole story of the seed that the environment names, if it names one.
pub(crate) fn tell(story: fn(u64) -> Sim) {
    let Ok(seed) = env::var("QUORATE_SIM_SEED") else {
        return;
    };
    let seed = seed.parse().expect("QUORATE_SIM_SEED is a number");
    let outcome = match story(seed).traced().run() {
        Ok(outcome) => outcome,
        Err(failure) => panic!("{failure}"),
    };
    for line in &outcome.lines {
        println!("{line}");
    }
    for answer in &outcome.answers {
        println!("node {}: {:?}", answer.node, answer.end);
    }
}

/// The story of a seed.
pub(crate) fn story(seed: u64) -> Sim {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let operators = rng.random_range(4..=13);
    let mut sim = Sim::new(seed)
        .operators(operators)
        .spectators(rng.random_range(0..=2))
        .requests(rng.random_range(5..=25), rng.random_range(1..=20))
        .repeats(rng.random_range(0.0..0.5))
        .reads(1..=rng.random_range(2..=400))
        .clock_skew(rng.random_range(0..=10_000));
    sim = mesh(rng, sim, operators);
    sim = home_chain(rng, sim, operators);
    sim = crashes(rng, sim, operators);
    faults(rng, sim, operators)
}

/// A bad day on which everybody means well: some loss, slow and confused delivery, lagging and
/// skewed views, epochs that turn under way with sets that change.
pub(crate) fn weather(seed: u64) -> Sim {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let operators = rng.random_range(4..=13);
    // The next set is known everywhere before the first node begins its epoch.
    let (block_time, delay) = (rng.random_range(500..=2_000), rng.random_range(0..=4_000));
    let grace = delay / block_time + 3;
    // Who restarts knows the last two sets, so a task must not live through two turns.
    let shortest = grace.max(limits::TASK_DEADLINE_MS / block_time + 1);
    let length = rng.random_range(shortest..=2 * shortest);
    let mut sim = Sim::new(seed)
        .operators(operators)
        .spectators(1)
        .requests(rng.random_range(20..=40), rng.random_range(1..=2))
        .repeats(sometimes(rng, 0.3))
        .reads(1..=rng.random_range(2..=400))
        .latency(1..=rng.random_range(1..=200))
        .loss(sometimes(rng, 0.005))
        .duplication(sometimes(rng, 0.3))
        .reordering(sometimes(rng, 0.3))
        .lagging_chains(rng.random_range(0..=2_500))
        .epochs(length, grace, block_time)
        .home_delay(delay)
        .clock_skew(rng.random_range(0..=10_000));
    for epoch in 0..4 {
        let lowest = u64::from(epoch == 0);
        let weights: Vec<u64> = (0..operators)
            .map(|_| rng.random_range(lowest..=9))
            .collect();
        sim = sim.weights_from(epoch, weights);
    }
    // Around the first turn, where it hurts most.
    let (node, turn) = (rng.random_range(0..operators), length * block_time);
    let at = turn + rng.random_range(0..6_000) - 1_000;
    sim.crash(node, at)
        .restart(node, at + rng.random_range(1..500))
}

/// Half of the time there is none of it.
fn sometimes(rng: &mut ChaCha8Rng, most: f64) -> f64 {
    if rng.random_bool(0.5) {
        0.0
    } else {
        rng.random_range(0.0..most)
    }
}

fn mesh(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    sim = sim
        .latency(1..=rng.random_range(1..=200))
        .loss(sometimes(rng, 0.15))
        .duplication(sometimes(rng, 0.3))
        .reordering(sometimes(rng, 0.3))
        .failing_reads(sometimes(rng, 0.1));
    for _ in 0..rng.random_range(0..=2) {
        let at = rng.random_range(0..8_000);
        let until = at + rng.random_range(100..12_000);
        let group = (0..operators).filter(|_| rng.random_bool(0.4)).collect();
        sim = sim.partition(at, until, vec![group]);
    }
    sim
}

fn home_chain(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    let length = rng.random_range(4..=40);
    sim = sim
        .epochs(
            length,
            rng.random_range(0..=length),
            rng.random_range(200..=2_000),
        )
        .home_delay(rng.random_range(0..=4_000));
    if rng.random_bool(0.3) {
        sim = sim.lagging_chains(rng.random_range(0..=8_000));
    }
    for epoch in 0..4 {
        if rng.random_bool(0.5) {
            let lowest = u64::from(epoch == 0);
            let weights: Vec<u64> = (0..operators)
                .map(|_| rng.random_range(lowest..=9))
                .collect();
            sim = sim.weights_from(epoch, weights);
        }
    }
    sim
}

fn crashes(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    for _ in 0..rng.random_range(0..=4) {
        let node = rng.random_range(0..operators);
        let at = rng.random_range(0..10_000);
        sim = sim.crash(node, at);
        if rng.random_bool(0.8) {
            sim = sim.restart(node, at + rng.random_range(1..6_000));
        }
    }
    sim
}

fn faults(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    for node in 0..operators {
        sim = match rng.random_range(0..24) {
            0 => sim.liar(node),
            1 => sim.wavering(node),
            2 => sim.silent(node),
            3 => sim.equivocator(node),
            _ => sim,
        };
    }
    sim
}

/// What came of many stories.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    stories: usize,
    events: u64,
    asked: usize,
    certified: usize,
    retried: usize,
    expired: usize,
    failed: usize,
    caught: usize,
    turns: usize,
}

impl Sum {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.stories += 1;
        self.events += outcome.events;
        self.asked += outcome.answers.len();
        self.certified += outcome.certified();
        self.retried += usize::from(outcome.most_attempts() > 0);
        self.expired += outcome.ended_as(Status::Expired);
        self.failed += outcome.ended_as(Status::Failed);
        self.caught += outcome.evidence.len();
        self.turns += outcome.epochs.saturating_sub(1);
    }

    /// Chaos in which nothing is certified, or nothing goes wrong, would prove little.
    pub(crate) fn is_worth_it(&self) {
        assert!(self.certified * 2 > self.asked, "{self:?}");
        assert!(self.expired * 100 > self.asked, "{self:?}");
        assert!(self.failed * 100 > self.asked, "{self:?}");
        assert!(self.retried * 5 > self.stories, "{self:?}");
        assert!(self.caught * 20 > self.stories, "{self:?}");
        assert!(self.turns > self.stories, "{self:?}");
    }
}
