#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::fixtures::at;

const RATE: Rate = Rate {
    per_second: 10,
    burst: 20,
};

#[test]
fn rate_limiter_each_key_has_its_own_rate() {
    let mut limiter = RateLimiter::new(RATE, 2);
    assert_eq!(limiter.take(at(0), 'a', 20), Ok(()));
    assert_eq!(limiter.take(at(0), 'a', 1), Err(Exceeded::Rate));
    assert_eq!(limiter.take(at(0), 'b', 20), Ok(()));
}

#[test]
fn rate_limiter_full_forgets_idle_keys_only() {
    let mut limiter = RateLimiter::new(RATE, 2);
    assert_eq!(limiter.take(at(0), 'a', 20), Ok(()));
    assert_eq!(limiter.take(at(0), 'b', 1), Ok(()));
    assert_eq!(limiter.take(at(0), 'c', 1), Err(Exceeded::Accounts));
    assert_eq!(limiter.take(at(100), 'c', 1), Ok(()), "b is full again");
    assert_eq!(limiter.take(at(100), 'a', 2), Err(Exceeded::Rate));
    assert_eq!(limiter.len(), 2);
}

#[test]
fn accounts_open_always_forgets_any_where_none_is_idle() {
    let mut accounts = Accounts::new(2);
    for key in 0..10 {
        *accounts.open_always(key, |_| false, || 0) += 1;
        assert!(accounts.len() <= 2);
        assert_eq!(accounts.get(&key), Some(&1));
    }
    assert!(accounts.open(11, |_| false, || 0).is_none());
    assert!(accounts.open(9, |_| false, || 0).is_some());
}

#[test]
fn shares_a_key_may_take_as_many_as_are_left() {
    let mut shares = Shares::default();
    let mut fill = |key| {
        let before = shares.total();
        while shares.may_take(&key, 64 - shares.total()) {
            shares.take(key);
        }
        shares.total() - before
    };
    assert_eq!(['a', 'b', 'c', 'a'].map(&mut fill), [32, 16, 8, 0]);
}

proptest! {
    /// Whatever is taken and given back, by whomever: no more keys than the bound, and none has more
    /// than its burst and what time has refilled.
    #[test]
    fn rate_limiter_bounds_keys_and_rates(
        steps in prop::collection::vec((0_u8..40, 0_u64..500, 1_u32..30), 1..300),
    ) {
        const MOST: usize = 8;
        let mut limiter = RateLimiter::new(RATE, MOST);
        let (mut now, mut had) = (at(0), HashMap::<u8, u64>::new());
        for (key, pause, tokens) in steps {
            now = now.plus_millis(pause);
            if limiter.take(now, key, tokens).is_ok() {
                *had.entry(key).or_default() += u64::from(tokens);
            }
            prop_assert!(limiter.len() <= MOST);
            let passed = now.micros_since(at(0));
            let most = u64::from(RATE.burst) * 1_000_000 + passed * u64::from(RATE.per_second);
            prop_assert!(had.values().all(|had| had * 1_000_000 <= most));
        }
    }

    /// The counts are those of a plain list, and empty keys are forgotten.
    #[test]
    fn shares_count_what_is_held(steps in prop::collection::vec((0_u8..5, any::<bool>()), 0..200)) {
        let (mut shares, mut held) = (Shares::default(), Vec::new());
        for (key, takes) in steps {
            if takes {
                shares.take(key);
                held.push(key);
            } else {
                shares.give_back(&key);
                if let Some(place) = held.iter().position(|other| *other == key) {
                    held.swap_remove(place);
                }
            }
            prop_assert_eq!(shares.total(), held.len());
            for key in 0..5 {
                let count = held.iter().filter(|other| **other == key).count();
                prop_assert_eq!(shares.of(&key), count);
            }
            prop_assert!(shares.held.values().all(|count| *count > 0));
        }
    }

    /// Keys that all take what they may share it, and leave as much for a newcomer.
    #[test]
    fn shares_leave_one_part_for_a_newcomer(keys in 1_usize..20, capacity in 1_usize..2_000) {
        let mut shares = Shares::default();
        for _ in 0..capacity {
            for key in 0..keys {
                if shares.may_take(&key, capacity - shares.total()) {
                    shares.take(key);
                }
            }
        }
        let newcomer = keys;
        prop_assert!(capacity <= keys || shares.may_take(&newcomer, capacity - shares.total()));
        for key in 0..keys {
            prop_assert!(shares.of(&key) <= capacity / (keys + 1) + 1);
        }
    }
}
