//! Providers that lie, disks that die, operators that mean ill.

use quorate_proto::RefusalCode;
use quorate_protocols::task::Status;
use quorate_sim::{Outcome, ProviderFault, Sim};

use super::{MILLISECOND, nineteen, run};

/// All the time.
const ALWAYS: (u64, u64) = (0, 1_000_000);

/// These providers of all nineteen operators go wrong in this way.
fn all_have(sim: Sim, providers: std::ops::Range<usize>, fault: ProviderFault) -> Sim {
    (0..19).fold(sim, |sim, node| {
        let providers = providers.clone();
        providers.fold(sim, |sim, provider| {
            sim.provider((node, provider), fault, ALWAYS)
        })
    })
}

fn all_refused_as(outcome: &Outcome, code: RefusalCode) -> bool {
    let mut refusals = outcome.ended().flat_map(|report| &report.refusals);
    refusals.all(|refusal| refusal.code == code)
}

#[test]
fn one_liar_too_few_at_every_operator_changes_nothing() {
    for seed in 0..3 {
        for fault in [ProviderFault::Lies, ProviderFault::Forges] {
            let outcome = run(all_have(nineteen(seed).providers(5, 3), 0..2, fault));
            assert_eq!(outcome.certified(), 100, "{fault:?}");
            assert!(outcome.within(1.0) <= 15 * MILLISECOND, "{fault:?}");
        }
    }
}

#[test]
fn providers_that_hang_cost_no_time_while_enough_answer() {
    let outcome = run(all_have(
        nineteen(1).providers(5, 3),
        0..2,
        ProviderFault::Stalls,
    ));
    assert_eq!(outcome.certified(), 100);
    assert!(outcome.within(1.0) <= 15 * MILLISECOND);
}

#[test]
fn too_few_providers_and_nobody_signs() {
    use ProviderFault::{Dead, Forges, Lies, Stalls};
    for fault in [Dead, Stalls, Lies, Forges] {
        // Eight of nineteen; one of the others is asked.
        let sim = (0..8).fold(nineteen(1).providers(3, 2).entry(18), |sim, node| {
            let sim = sim.provider((node, 0), fault, ALWAYS);
            sim.provider((node, 1), Dead, ALWAYS)
        });
        let outcome = run(sim);
        assert_eq!(outcome.ended_as(Status::Expired), 100, "{fault:?}");
        assert!(all_refused_as(&outcome, RefusalCode::ChainUnavailable));
    }
}

#[test]
fn two_liars_while_the_honest_are_flooded_away_get_no_signature() {
    // Five providers, of which three agree: the liars are two, and one honest is left.
    let flooded = all_have(nineteen(3).providers(5, 3), 0..2, ProviderFault::Lies);
    let outcome = run(all_have(flooded, 2..4, ProviderFault::Dead));
    assert_eq!(outcome.certified(), 0);
    assert_eq!(
        outcome.ended().count(),
        0,
        "no operator even asks the others"
    );
}

#[test]
fn a_proof_stands_against_a_majority_that_forges() {
    let forged = |sim: Sim| all_have(sim.providers(3, 2), 0..2, ProviderFault::Forges);
    assert_eq!(run(forged(nineteen(1).proofs())).certified(), 100);
    // Without proofs all of them are deceived, and the checks know that they may be.
    assert_eq!(run(forged(nineteen(1))).certified(), 100);
}

#[test]
fn providers_behind_cost_one_retry() {
    let sim = all_have(
        nineteen(2).providers(3, 2).entry(18),
        0..2,
        ProviderFault::Lags(0),
    );
    assert_eq!(run(sim).most_attempts(), 0);
    let sim = (0..10).fold(nineteen(2).providers(3, 2).entry(18), |sim, node| {
        (0..2).fold(sim, |sim, provider| {
            sim.provider((node, provider), ProviderFault::Lags(2_000), ALWAYS)
        })
    });
    let outcome = run(sim);
    assert_eq!(outcome.certified(), 100);
    assert_eq!(outcome.most_attempts(), 1);
}

#[test]
fn who_signs_one_thing_here_and_another_there_is_caught_where_both_meet() {
    for seed in 0..3 {
        let split = |sim: Sim| sim.splitter(4).splitter(9).entry(1);
        let direct = run(split(nineteen(seed).spectators(1)));
        assert!(direct.evidence.iter().eq(&[4, 9]), "seed {seed}");
        assert!(direct.mischief.split > 0);
        // By gossip both halves meet everywhere.
        let gossip = run(split(nineteen(seed).gossip(6)));
        assert!(gossip.evidence.iter().eq(&[4, 9]), "seed {seed}");
    }
}

#[test]
fn a_new_key_hides_no_second_fact() {
    // Within a grace period the next set is known already, so what it signs for the next epoch is
    // heard beside what it signs for this one.
    for seed in 0..3 {
        let sim = nineteen(seed).epochs(6, 5, 1_000).turncoat(4).turncoat(9);
        let outcome = run(sim.entry(1));
        assert!(outcome.evidence.iter().eq(&[4, 9]), "seed {seed}");
        // Who renews its key and keeps to its log is accused of nothing.
        let honest = nineteen(seed).epochs(6, 5, 1_000).repeats(0.8);
        let outcome = run((0..6).fold(honest, Sim::renews_keys));
        assert!(outcome.evidence.is_empty() && outcome.epochs > 1);
        assert_eq!(outcome.certified(), outcome.answers.len());
    }
}

#[test]
fn a_third_that_means_ill_changes_nothing() {
    let kinds = [
        Sim::equivocator,
        Sim::splitter,
        Sim::turncoat,
        Sim::withholder,
        Sim::replayer,
        Sim::anachronist,
        Sim::refuser,
        Sim::forger,
    ];
    for (seed, kind) in (0..).zip(kinds) {
        let sim = nineteen(seed).epochs(3, 1, 1_000).requests(100, 10);
        let outcome = run((0..6).fold(sim, kind).entry(18));
        assert_eq!(outcome.certified(), 100, "kind {seed}");
        assert_eq!(outcome.obliged, 100, "kind {seed}");
        assert_eq!(outcome.most_attempts(), 0, "kind {seed}");
    }
}

#[test]
fn who_lost_its_log_signs_nothing_until_it_is_back() {
    // Fourteen that are up, of whom thirteen have to sign; two lose their disks.
    let down = |sim: Sim| (0..5).fold(sim, Sim::silent);
    let sim = || down(nineteen(1).requests(100, 5).entry(18));
    let lost = |sim: Sim| {
        (5..7).fold(sim, |sim, node| {
            sim.lose_disk(node, 3_000).restart(node, 3_100)
        })
    };
    let outcome = run(lost(sim()));
    assert!(outcome.mischief.without_log > 0);
    assert_eq!(outcome.certified(), 10, "those before");
    let refused: usize = outcome.ended().map(|report| report.refusals.len()).sum();
    assert!(refused >= 2 * 80, "{refused}");
    assert!(all_refused_as(&outcome, RefusalCode::CannotSign));

    let back = (5..7).fold(lost(sim()), |sim, node| sim.import_log(node, 8_000));
    let outcome = run(back);
    assert!(outcome.certified() > 70, "{}", outcome.certified());
}

#[test]
fn a_lost_log_is_no_way_to_sign_twice() {
    for seed in 0..5 {
        let wavering = (0..6).fold(nineteen(seed).repeats(0.8).requests(200, 50), Sim::wavering);
        let sim = (0..6).fold(wavering, |sim, node| {
            let at = 1_500 + 300 * node as u64;
            let sim = sim.lose_disk(node, at).restart(node, at + 50);
            sim.import_log(node, at + 400)
        });
        let outcome = run(sim.spectators(1));
        assert!(outcome.evidence.is_empty());
        assert!(outcome.mischief.without_log > 0);
    }
}
