//! Stories in which everything goes wrong at once, as the seed has it.

use std::env;

use quorate_proto::limits;
use quorate_protocols::task::Status;
use quorate_sim::{Mischief, Outcome, ProviderFault, Sim};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How to see what happened.
pub(crate) fn replay(what: &str, seed: u64) -> String {
    format!(
        "the whole story: QUORATE_SIM_SEED={seed} cargo test --workspace --test sim \
         one_seed_of_{what} -- --ignored --nocapture"
    )
}

/// Tells the whole story of the seed that the environment names.
pub(crate) fn tell(story: fn(u64) -> Sim) {
    let seed = env::var("QUORATE_SIM_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok());
    let seed = seed.expect("QUORATE_SIM_SEED names a seed, a number");
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
    sim = providers(rng, sim, operators);
    sim = disks(rng, sim, operators);
    sim = keys(rng, sim, operators);
    faults(rng, sim, operators)
}

/// A bad day on which every node means well: some loss, slow and confused delivery, lagging and
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

/// A minority means ill, dies, loses its disks and is cut off, as it likes; the others are honest,
/// connected and have enough good providers. What is asked of them has to be certified.
pub(crate) fn siege(seed: u64) -> Sim {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let operators = rng.random_range(4..=13);
    let bad = rng.random_range(1..=(operators - 1) / 3);
    let n = rng.random_range(1..=5);
    let k = n / 2 + 1;
    let mut sim = Sim::new(seed)
        .operators(operators)
        .spectators(1)
        .requests(rng.random_range(10..=30), rng.random_range(1..=5))
        .entry(operators - 1)
        .repeats(sometimes(rng, 0.3))
        .reads(1..=rng.random_range(2..=400))
        .latency(1..=rng.random_range(1..=200))
        .duplication(sometimes(rng, 0.3))
        .reordering(sometimes(rng, 0.3))
        .lagging_chains(rng.random_range(0..=5_000))
        .epochs(rng.random_range(4..=20), rng.random_range(0..=4), 2_000)
        .home_delay(rng.random_range(0..=4_000))
        .clock_skew(rng.random_range(0..=10_000))
        .providers(n, k);
    for node in 0..bad {
        sim = misfortune(rng, sim, node);
    }
    for node in bad..operators {
        for provider in k..n {
            sim = sim.provider((node, provider), any_fault(rng), (0, 1_000_000));
        }
    }
    let cut = (0..bad).filter(|_| rng.random_bool(0.5)).collect();
    let at = rng.random_range(0..10_000);
    sim.partition(at, at + rng.random_range(100..20_000), vec![cut])
}

fn misfortune(rng: &mut ChaCha8Rng, sim: Sim, node: usize) -> Sim {
    let at = rng.random_range(0..8_000);
    match rng.random_range(0..4) {
        0 => sim.lose_disk(node, at).restart(node, at + 500),
        1 => sim.crash(node, at).restart(node, at + 3_000),
        _ => KINDS[rng.random_range(0..KINDS.len())](sim, node),
    }
}

fn any_fault(rng: &mut ChaCha8Rng) -> ProviderFault {
    match rng.random_range(0..5) {
        0 => ProviderFault::Lies,
        1 => ProviderFault::Forges,
        2 => ProviderFault::Stalls,
        3 => ProviderFault::Lags(rng.random_range(0..=5_000)),
        _ => ProviderFault::Dead,
    }
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

/// Some nodes have providers that lie, hang, lag and die. Of those that lie there is mostly one too
/// few to deceive a node.
fn providers(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    let n = rng.random_range(1..=5);
    let k = n / 2 + 1;
    sim = sim.providers(n, k);
    if rng.random_bool(0.5) {
        sim = sim.proofs();
    }
    for node in 0..operators {
        if rng.random_bool(0.5) {
            continue;
        }
        let most_liars = if rng.random_bool(0.03) { n } else { k - 1 };
        for provider in 0..n {
            let kind = if provider < most_liars {
                rng.random_range(0..8)
            } else {
                rng.random_range(2..12)
            };
            let fault = match kind {
                0 => ProviderFault::Lies,
                1 => ProviderFault::Forges,
                2 => ProviderFault::Stalls,
                3 => ProviderFault::Lags(rng.random_range(0..=5_000)),
                4 => ProviderFault::Dead,
                _ => continue,
            };
            let at = rng.random_range(0..6_000);
            let until = at + rng.random_range(500..20_000);
            sim = sim.provider((node, provider), fault, (at, until));
        }
    }
    sim
}

/// Now and then a disk dies, and mostly the log comes back.
fn disks(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    if rng.random_bool(0.6) {
        return sim;
    }
    for _ in 0..rng.random_range(1..=2) {
        let node = rng.random_range(0..operators);
        let lost = rng.random_range(0..6_000);
        let back = lost + rng.random_range(1..2_000);
        sim = sim.lose_disk(node, lost).restart(node, back);
        if rng.random_bool(0.6) {
            sim = sim.import_log(node, lost + rng.random_range(1..5_000));
        }
    }
    sim
}

/// Some change their signing keys, as is good practice.
fn keys(rng: &mut ChaCha8Rng, sim: Sim, operators: usize) -> Sim {
    let renewing = (0..operators).filter(|_| rng.random_bool(0.2));
    renewing.fold(sim, Sim::renews_keys)
}

/// How operators mean ill.
const KINDS: [fn(Sim, usize) -> Sim; 11] = [
    Sim::liar,
    Sim::wavering,
    Sim::silent,
    Sim::equivocator,
    Sim::splitter,
    Sim::turncoat,
    Sim::withholder,
    Sim::replayer,
    Sim::anachronist,
    Sim::refuser,
    Sim::forger,
];

/// Operators that mean ill: up to a third of them mostly, up to half now and then.
fn faults(rng: &mut ChaCha8Rng, mut sim: Sim, operators: usize) -> Sim {
    let third = (operators - 1) / 3;
    let most = if rng.random_bool(0.8) {
        third
    } else {
        operators / 2
    };
    for _ in 0..rng.random_range(0..=most) {
        let kind = KINDS[rng.random_range(0..KINDS.len())];
        sim = kind(sim, rng.random_range(0..operators));
    }
    sim
}

/// Tells the stories of one part of all seeds, out of so many parts.
pub(crate) fn many(part: u64, parts: u64) {
    let mut sum = Sum::default();
    for seed in (0..super::seeds(200)).filter(|seed| seed % parts == part) {
        match story(seed).run() {
            Ok(outcome) => sum.add(&outcome),
            Err(failure) => panic!("{failure}\n\n{}", replay("chaos", seed)),
        }
    }
    println!("{sum:?}");
    if sum.stories >= 100 {
        sum.is_worth_it();
    }
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
    obliged: usize,
    mischief: Mischief,
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
        self.obliged += outcome.obliged;
        let (sum, one) = (&mut self.mischief, outcome.mischief);
        sum.split += one.split;
        sum.displaced += one.displaced;
        sum.withheld += one.withheld;
        sum.replayed += one.replayed;
        sum.forged += one.forged;
        sum.without_log += one.without_log;
    }

    /// Chaos in which nothing is certified, or nothing goes wrong, would prove little.
    pub(crate) fn is_worth_it(&self) {
        assert!(self.certified * 2 > self.asked, "{self:?}");
        assert!(self.expired * 100 > self.asked, "{self:?}");
        assert!(self.failed * 100 > self.asked, "{self:?}");
        assert!(self.retried * 5 > self.stories, "{self:?}");
        assert!(self.caught * 20 > self.stories, "{self:?}");
        assert!(self.turns > self.stories, "{self:?}");
        let ill = &self.mischief;
        for often in [
            ill.split,
            ill.displaced,
            ill.withheld,
            ill.replayed,
            ill.forged,
        ] {
            assert!(often as usize * 4 > self.stories, "{self:?}");
        }
        assert!(ill.without_log > 0, "{self:?}");
    }
}
