//! Keys that are asked about again and again.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};

/// Keys at a time: with three words each they fit into three proofs. Those that are asked about beyond
/// that are read when they are asked about.
const MAX: usize = 64;

/// Heads for which a key stays in demand after it was asked about: each question causes this many
/// proofs at most that nobody asked for.
const HEADS: u32 = 2;

/// The keys in demand, and for how many heads.
#[derive(Debug, Default)]
pub(super) struct Wanted(HashMap<(Address, U256), u32>);

impl Wanted {
    /// Somebody asked about it.
    pub(super) fn asked(&mut self, key: (Address, U256)) {
        if self.0.len() < MAX || self.0.contains_key(&key) {
            self.0.insert(key, HEADS);
        }
    }

    /// There is a new head: the keys that somebody will ask about there.
    pub(super) fn at_new_head(&mut self) -> Vec<(Address, U256)> {
        let keys = self.0.keys().copied().collect();
        self.0.retain(|_, heads| {
            *heads -= 1;
            *heads > 0
        });
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> (Address, U256) {
        (Address::ZERO, U256::from(number))
    }

    #[test]
    fn who_is_not_asked_about_any_more_is_not_wanted() {
        let mut wanted = Wanted::default();
        wanted.asked(key(1));
        wanted.asked(key(1));
        assert_eq!(wanted.at_new_head(), [key(1)]);
        wanted.asked(key(1));
        for _ in 0..HEADS {
            assert_eq!(wanted.at_new_head(), [key(1)]);
        }
        assert!(wanted.at_new_head().is_empty());
    }

    #[test]
    fn those_that_are_wanted_keep_their_places() {
        let mut wanted = Wanted::default();
        for number in 0..2 * MAX {
            wanted.asked(key(number));
        }
        let mut there = wanted.at_new_head();
        there.sort();
        assert_eq!(there, (0..MAX).map(key).collect::<Vec<_>>());
        wanted.at_new_head();
        wanted.asked(key(MAX));
        assert_eq!(wanted.at_new_head(), [key(MAX)]);
    }
}
