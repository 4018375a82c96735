//! Relayers that share their work: nothing is paid twice, and nothing is lost while one of them lives and has funds.
//!
//! `make sim SEED=17` tells the story of one seed; `make sim SEEDS=10000` runs that many.

use std::env;

use quorate_sim::{Delivered, Duty, Failure, Relays};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn run(relays: Relays) -> Delivered {
    relays.run().unwrap_or_else(|failure| panic!("{failure}"))
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

#[test]
fn on_a_calm_day_each_delivery_is_paid_for_once_and_soon() {
    for seed in 0..5 {
        let relays = Relays::new(seed)
            .listed(5)
            .strangers(3)
            .deliveries(100, 5_000);
        let delivered = run(relays);
        assert_eq!((delivered.wasted, delivered.closing), (0, 0), "seed {seed}");
        // A fifth each, of 100, and strangers come too late.
        assert_eq!(delivered.by.iter().sum::<usize>(), 100);
        assert!(
            delivered.by[..5].iter().all(|by| *by >= 8),
            "{:?}",
            delivered.by
        );
        assert_eq!(delivered.by[5..], [0, 0, 0], "seed {seed}");
        assert!(
            *delivered.took.last().unwrap() <= 26_000,
            "{:?}",
            delivered.took
        );
    }
}

#[test]
fn who_is_absent_costs_its_stage_only() {
    for seed in 0..5 {
        let relays = Relays::new(seed)
            .listed(4)
            .deliveries(40, 5_000)
            .absent(0)
            .absent(2);
        let delivered = run(relays);
        assert_eq!(delivered.wasted, 0, "seed {seed}");
        assert!(*delivered.took.last().unwrap() <= 2 * 60_000 + 26_000);
    }
}

#[test]
fn where_all_of_the_list_are_absent_strangers_deliver() {
    for seed in 0..5 {
        let relays = Relays::new(seed)
            .listed(3)
            .strangers(2)
            .deliveries(20, 5_000);
        let delivered = run((0..3).fold(relays, Relays::absent));
        assert_eq!(delivered.by[3] + delivered.by[4], 20, "seed {seed}");
        // Two of them begin within a block of each other, of a minute.
        assert!(delivered.wasted <= 10, "{}", delivered.wasted);
        assert!(delivered.took[0] >= 180_000);
        assert!(*delivered.took.last().unwrap() <= 240_000 + 26_000);
    }
}

#[test]
fn one_that_has_funds_is_enough() {
    for seed in 0..5 {
        let relays = Relays::new(seed).listed(3).deliveries(20, 5_000);
        let delivered = run(relays.poor(0).poor(1).crashes(0.02));
        assert!(delivered.by[2] >= 18, "{:?}", delivered.by);
    }
}

#[test]
fn relayers_killed_at_any_step_lose_nothing() {
    let relays = || Relays::new(1).listed(3).deliveries(4, 5_000);
    let steps = run(relays()).steps;
    assert!(steps > 100, "{steps}");
    let mut wasted = 0;
    for step in 0..steps {
        for unwritten in [false, true] {
            let delivered = run(relays().killed_at(step, unwritten));
            assert_eq!(delivered.crashes, 1, "step {step}");
            wasted += delivered.wasted;
        }
    }
    // Who is back just as the next stage begins races with it.
    assert!(wasted * 20 < steps * 2 * 4, "{wasted} in {steps} steps");
}

/// A story in which everything goes wrong, as the seed has it.
fn story(seed: u64) -> Relays {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let listed = rng.random_range(1..=5);
    let strangers = rng.random_range(0..=2);
    let mut relays = Relays::new(seed)
        .listed(listed)
        .strangers(strangers)
        .deliveries(rng.random_range(1..=20), rng.random_range(1_000..=60_000));
    let mut some = |most: f64| match rng.random_bool(0.7) {
        true => rng.random_range(0.0..most),
        false => 0.0,
    };
    relays = relays.crashes(some(0.1)).reorgs(some(0.3)).lies(some(0.6));
    relays = relays.spikes(some(0.3)).lost(some(0.2));
    let lasting = rng.random_range(0..listed);
    (0..listed)
        .filter(|relayer| *relayer != lasting)
        .fold(relays, |relays, relayer| match rng.random_range(0..6) {
            0 => relays.absent(relayer),
            1 => relays.poor(relayer),
            _ => relays,
        })
}

#[test]
fn many_seeds_of_relays() {
    let (mut all, mut wasted, mut crashes, mut undone) = (0, 0, 0, 0);
    for seed in 0..variable("QUORATE_SIM_SEEDS").unwrap_or(200) {
        let replay = format!(
            "the whole story: QUORATE_SIM_SEED={seed} cargo test --workspace --test relay \
             one_seed_of_relays -- --ignored --nocapture"
        );
        let delivered = match story(seed).run() {
            Ok(delivered) => delivered,
            Err(failure) => panic!("{failure}\n\n{replay}"),
        };
        all += delivered.by.iter().sum::<usize>();
        wasted += delivered.wasted;
        crashes += delivered.crashes;
        undone += delivered.undone;
    }
    println!(
        "{all} delivered, {wasted} paid for in vain; {crashes} crashes, {undone} blocks undone"
    );
    assert!(wasted * 4 < all, "{wasted} of {all}");
}

#[test]
fn the_same_seed_is_the_same_day() {
    for seed in 0..5 {
        assert_eq!(run(story(seed)), run(story(seed)));
        assert_ne!(run(story(seed)).trace, run(story(seed + 1)).trace);
    }
}

#[test]
#[ignore = "tells the story of QUORATE_SIM_SEED"]
fn one_seed_of_relays() {
    let seed = variable("QUORATE_SIM_SEED").expect("QUORATE_SIM_SEED names a seed");
    let delivered = run(story(seed).traced());
    for line in &delivered.lines {
        println!("{line}");
    }
    println!("by {:?}, {} in vain", delivered.by, delivered.wasted);
}

/// With a duty left out, one of the seeds says this.
#[track_caller]
fn notices(duty: Duty, seeds: u64, story: fn(u64) -> Relays, says: &str) {
    let notice = |seed| story(seed).without(duty).run().err();
    let failure: Option<Failure> = (0..seeds).find_map(notice);
    let Some(failure) = failure else {
        panic!("{duty:?} was left out, and {seeds} seeds did not notice");
    };
    assert!(failure.what.contains(says), "{duty:?}: {}", failure.what);
    assert!(story(failure.seed).run().is_ok(), "seed {}", failure.seed);
}

#[test]
fn relayers_that_leave_a_duty_out_are_noticed() {
    let calm = |seed| Relays::new(seed).listed(4).deliveries(10, 5_000);
    notices(Duty::Stages, 3, calm, "paid for what others did");
    let restless = |seed| {
        Relays::new(seed)
            .listed(2)
            .deliveries(20, 1_000)
            .crashes(0.1)
    };
    notices(Duty::WriteFirst, 20, restless, "two deliveries");
    let silent = |seed| Relays::new(seed).listed(1).deliveries(10, 5_000).lies(0.9);
    notices(Duty::SendAgain, 5, silent, "never ends");
    let blind = |seed| Relays::new(seed).listed(4).deliveries(10, 5_000);
    notices(Duty::AskFirst, 3, blind, "is a dead letter");
}
