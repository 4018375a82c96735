//! Shares of operators, and what becomes of those that take more.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use proptest::prelude::*;

use super::*;
use crate::fixtures::{at, operator, set_of};

const TOTALS: Totals = Totals {
    messages: 1_000,
    entries: 4_000,
    tasks: 500,
};

fn flood(authors: &mut Authors, millis: u64, messages: u32, tasks: u32, entries: u32) -> u32 {
    let set = set_of(1, &[40, 30, 20, 10]);
    let mut admitted = 0;
    for _ in 0..messages {
        let now = at(millis);
        let fits = authors.look(now, &set, operator(4), tasks).is_ok();
        if fits
            && authors
                .admit(now, &set, operator(4), (tasks, entries))
                .is_ok()
        {
            admitted += 1;
        }
    }
    admitted
}

#[test]
fn half_goes_by_stake_and_half_by_head() {
    let set = set_of(1, &[40, 30, 20, 10]);
    let shares: Vec<u64> = (1..=4).map(|n| millionths(&set, operator(n))).collect();
    assert_eq!(shares, [325_000, 275_000, 225_000, 175_000]);
    assert_eq!(millionths(&set, operator(9)), 0);
    let allowance = TOTALS.share(&set, operator(4));
    let rate = |per_second, burst| Rate { per_second, burst };
    assert_eq!(allowance.messages, rate(175, 512));
    assert_eq!(allowance.entries, rate(700, 1_400));
    assert_eq!(allowance.tasks, rate(87, 512));
}

#[test]
fn who_floods_has_its_share_and_no_more() {
    let mut authors = Authors::new(TOTALS);
    assert_eq!(flood(&mut authors, 0, 5_000, 0, 1), 512);
    assert_eq!(flood(&mut authors, 1_000, 5_000, 0, 1), 175);
    let standing = authors.standing(at(1_000), operator(4));
    assert_eq!((standing.accepted, standing.ignored), (687, 9_313));
    assert_eq!(
        (standing.faults, standing.muted_until),
        (0, None),
        "no fault"
    );
    // Others have theirs all the while.
    let set = set_of(1, &[40, 30, 20, 10]);
    assert_eq!(authors.look(at(1_000), &set, operator(1), 1), Ok(()));
    assert_eq!(authors.admit(at(1_000), &set, operator(1), (1, 1)), Ok(()));
}

#[test]
fn whose_tasks_come_to_nothing_is_heard_less_for_a_moment() {
    let mut authors = Authors::new(TOTALS);
    let set = set_of(1, &[40, 30, 20, 10]);
    for _ in 0..5 {
        authors.doubt(at(0), &set, operator(4));
    }
    assert_eq!(authors.look(at(0), &set, operator(4), 0), Ok(()));
    for _ in 0..100 {
        authors.doubt(at(0), &set, operator(4));
    }
    let deaf = Err(Excess::Messages);
    assert_eq!(authors.look(at(0), &set, operator(4), 0), deaf);
    assert_eq!(authors.look(at(500), &set, operator(4), 0), deaf);
    assert_eq!(authors.look(at(600), &set, operator(4), 0), Ok(()));
    let standing = authors.standing(at(600), operator(4));
    assert_eq!((standing.ignored, standing.faults), (2, 0));
    assert_eq!(authors.look(at(0), &set, operator(3), 0), Ok(()));
}

#[test]
fn what_an_operators_own_peer_sends_may_be_too_much_for_excess() {
    let mut authors = Authors::new(TOTALS);
    let set = set_of(1, &[40, 30, 20, 10]);
    let mut sent: u32 = 0;
    while !authors.is_gross(at(0), &set, operator(4)) {
        sent += 1;
    }
    assert_eq!(sent, GROSS * 512);
    assert!(!authors.is_gross(at(0), &set, operator(1)));
    assert!(!authors.is_gross(at(1_000), &set, operator(4)));
}

#[test]
fn announcements_and_entries_have_buckets_of_their_own() {
    let mut authors = Authors::new(TOTALS);
    // Few messages with many announcements each.
    assert_eq!(flood(&mut authors, 0, 100, 256, 256), 2);
    let set = set_of(1, &[40, 30, 20, 10]);
    let look = |authors: &mut Authors, tasks| authors.look(at(0), &set, operator(4), tasks);
    assert_eq!(look(&mut authors, 1), Err(Excess::Tasks));
    assert_eq!(look(&mut authors, 0), Ok(()), "it may still answer");
    // Signatures cost where they are recovered.
    authors.charge(at(0), &set, operator(4), 10_000);
    assert_eq!(look(&mut authors, 0), Err(Excess::Entries));
    assert_eq!(
        authors.look(at(5_000), &set, operator(4), 0),
        Err(Excess::Entries)
    );
    assert_eq!(authors.look(at(15_000), &set, operator(4), 0), Ok(()));
}

#[test]
fn who_signs_rubbish_is_not_listened_to_for_longer_each_time() {
    let mut authors = Authors::new(TOTALS);
    let set = set_of(1, &[40, 30, 20, 10]);
    let mut now = at(0);
    for minutes in [1, 2, 4, 8, 16, 32, 64, 64] {
        for _ in 0..MAX_FAULTS - 1 {
            assert!(!authors.fault(now, &set, operator(4)));
            assert_eq!(authors.look(now, &set, operator(4), 0), Ok(()));
        }
        assert!(authors.fault(now, &set, operator(4)));
        let until = now.plus_millis(minutes * 60_000);
        assert_eq!(authors.standing(now, operator(4)).muted_until, Some(until));
        assert_eq!(authors.look(now, &set, operator(4), 0), Err(Excess::Muted));
        let refused = authors.admit(now, &set, operator(4), (0, 1));
        assert_eq!(refused, Err(Excess::Muted));
        now = until;
        assert_eq!(authors.look(now, &set, operator(4), 0), Ok(()));
        assert_eq!(authors.standing(now, operator(4)).muted_until, None);
    }
}

#[test]
fn old_faults_are_forgotten() {
    let mut authors = Authors::new(TOTALS);
    let set = set_of(1, &[40, 30, 20, 10]);
    for minute in 0..100 {
        assert!(!authors.fault(at(minute * 61_000), &set, operator(4)));
    }
    assert_eq!(authors.standing(at(0), operator(4)).faults, 100);
}

#[test]
fn memory_is_bounded_and_keeps_the_muted() {
    let mut authors = Authors::new(TOTALS);
    let set = set_of(1, &[1]);
    for _ in 0..MAX_FAULTS {
        authors.fault(at(0), &set, operator(4));
    }
    for number in 0..3 * u64::try_from(MAX_AUTHORS).unwrap() {
        let stranger = Address::left_padding_from(&(1_000 + number).to_be_bytes());
        let _ = authors.admit(at(number), &set, stranger, (0, 1));
    }
    assert!(authors.known.len() <= MAX_AUTHORS);
    assert!(authors.standing(at(0), operator(4)).muted_until.is_some());
}

proptest! {
    /// However stakes are spread, all shares together are no more than the whole, and an operator that has more
    /// stake has no smaller share.
    #[test]
    fn shares_never_exceed_the_whole(weights in prop::collection::vec(1_u64..u64::MAX / 64, 1..60)) {
        let set = set_of(1, &weights);
        let shares: Vec<u64> = set
            .members()
            .iter()
            .map(|member| millionths(&set, member.address))
            .collect();
        prop_assert!(shares.iter().sum::<u64>() <= WHOLE);
        for (a, share) in weights.iter().zip(&shares) {
            for (b, other) in weights.iter().zip(&shares) {
                prop_assert!(a < b || share >= other);
            }
        }
    }

    /// All members together, each of which asks for as much as it can, get no more than the totals
    /// say, beside their bursts.
    #[test]
    fn all_together_are_bounded(
        weights in prop::collection::vec(1_u64..1_000, 1..20),
        seconds in 1_u64..20,
        entries in 1_u32..300,
    ) {
        let set = set_of(1, &weights);
        let mut authors = Authors::new(TOTALS);
        let (mut messages, mut all_entries) = (0_u64, 0_u64);
        for second in 0..=seconds {
            for member in set.members() {
                while authors.admit(at(second * 1_000), &set, member.address, (0, entries)).is_ok() {
                    messages += 1;
                    all_entries += u64::from(entries);
                }
            }
        }
        let heads = u64::try_from(weights.len()).unwrap();
        let most = |total: u32| {
            let (total, burst) = (u64::from(total), u64::from(MIN_BURST));
            total * (seconds + u64::from(BURST_SECONDS)) + heads * (burst + seconds)
        };
        prop_assert!(messages <= most(TOTALS.messages));
        prop_assert!(all_entries <= most(TOTALS.entries));
    }
}
