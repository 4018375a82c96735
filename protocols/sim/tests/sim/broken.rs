//! The checks are checked: a story that leaves out a rule is found out within a few seeds.

use quorate_sim::{Failure, Rule, Sim};

use super::chaos;

/// What the first of the seeds says that notices.
fn first_notice(rule: Rule, seeds: u64, story: fn(u64) -> Sim) -> Failure {
    let notice = |seed| {
        let failure = story(seed).without(rule).run().err()?;
        Some((seed, failure))
    };
    let Some((seed, failure)) = (0..seeds).find_map(notice) else {
        panic!("{rule:?} was left out, and {seeds} seeds did not notice");
    };
    println!("{rule:?}: seed {seed} notices that {}", failure.what);
    let kept = story(seed).run();
    assert!(kept.is_ok(), "seed {seed} complains about the rule itself");
    failure
}

/// With a rule left out, one of the seeds says one of these.
#[track_caller]
fn notices(rule: Rule, seeds: u64, story: fn(u64) -> Sim, says: &[&str]) {
    let failure = first_notice(rule, seeds, story);
    let expected = says.iter().any(|text| failure.what.contains(text));
    assert!(expected, "{rule:?}: {}", failure.what);
}

/// Operators who read now this, now that, are asked the same again and again and crash.
fn restless(seed: u64) -> Sim {
    let sim = Sim::new(seed).operators(7).requests(100, 10).repeats(0.8);
    let sim = (0..2).fold(sim, Sim::wavering);
    (0..2).fold(sim, |sim, node| {
        let times = (2..9).map(|seconds| 1_000 * seconds + 500 * node as u64);
        times.fold(sim, |sim, at| sim.crash(node, at).restart(node, at + 50))
    })
}

/// They are asked again over half a second, and lose their disks.
fn diskless(seed: u64) -> Sim {
    let sim = Sim::new(seed).operators(7).requests(100, 10).repeats(0.8);
    let sim = (0..2).fold(sim, Sim::wavering);
    (0..2).fold(sim, |sim, node| {
        let times = (2..9).map(|seconds| 1_000 * seconds + 500 * node as u64);
        times.fold(sim, |sim, at| {
            sim.lose_disk(node, at).restart(node, at + 50)
        })
    })
}

/// Two of five providers lie while the honest ones are flooded away, one after the other.
fn flooded(seed: u64) -> Sim {
    use quorate_sim::ProviderFault::{Dead, Lies};
    let sim = Sim::new(seed).providers(5, 3).requests(30, 10);
    (0..4).fold(sim, |sim, node| {
        let sim = (0..2).fold(sim, |sim, liar| {
            sim.provider((node, liar), Lies, (500, 9_000))
        });
        (2..4).fold(sim, |sim, dead| {
            sim.provider((node, dead), Dead, (1_000 * dead as u64, 9_000))
        })
    })
}

#[test]
fn a_threshold_that_is_off_by_one() {
    let says = ["below the threshold"];
    notices(Rule::Threshold, 10, chaos::story, &says);
}

#[test]
fn no_signing_log() {
    let says = ["a second fact was signed"];
    notices(Rule::SigningLog, 3, restless, &says);
}

#[test]
fn a_log_that_is_not_synced() {
    let says = ["a second fact was signed"];
    notices(Rule::WriteFirst, 10, restless, &says);
}

#[test]
fn who_signs_with_an_unknown_past() {
    let says = ["a second fact was signed"];
    notices(Rule::LogLost, 3, diskless, &says);
}

#[test]
fn a_quorum_that_shrinks_to_the_liars() {
    let says = ["signed what is not true", "while the home chain is in"];
    notices(Rule::ProviderQuorum, 3, flooded, &says);
}

#[test]
fn messages_that_nobody_verifies() {
    let says = [
        "did not make",
        "is no evidence",
        "not of its epoch",
        "below the threshold",
    ];
    notices(Rule::Verification, 50, chaos::story, &says);
}

#[test]
fn a_task_that_changes_its_set() {
    let says = [
        "below the threshold",
        "not of its epoch",
        "does not name everybody",
        "is from outside of its set",
    ];
    notices(Rule::BirthEpoch, 30, chaos::story, &says);
}

#[test]
fn nobody_asks_again() {
    let says = ["the honest weight is connected"];
    notices(Rule::Retry, 20, chaos::siege, &says);
}

#[test]
fn nobody_keeps_evidence() {
    let says = ["nobody kept them"];
    notices(Rule::Evidence, 30, chaos::story, &says);
}

#[test]
fn nobody_is_woken() {
    let says = ["are open at the end", "ended after its deadline"];
    notices(Rule::Wake, 3, chaos::story, &says);
}
