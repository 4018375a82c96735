//! Keys that are asked about again and again.

use std::collections::HashMap;
use std::hash::Hash;

/// Keys at a time: in few batches, as in three proofs on EVM chains. Those that are asked about beyond
/// that are read when they are asked about.
const MAX: usize = 64;

/// Keys whose questions are counted.
const MAX_COUNTED: usize = 8 * MAX;

/// What a question adds to the demand for a key, which halves at each head: a key stays in demand for two
/// heads after it was asked about once, so that each question causes two proofs at most without a question of their own.
const QUESTION: u32 = 2;

/// How much keys are asked about lately.
///
/// # Design Decisions
///
/// Those most in demand are proven ahead, so one user that asks about many keys takes no place from one that
/// many ask about. Counted as by Misra and Gries, "Finding repeated elements" (1982): where too many keys
/// are counted, all lose a question, and a key that is one in 512 of what is asked about is never lost.
#[derive(Debug)]
pub struct Demand<K>(HashMap<K, u32>);

impl<K> Default for Demand<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Copy + Eq + Hash + Ord> Demand<K> {
    /// There was a question about it.
    pub fn asked(&mut self, key: K) {
        if let Some(demand) = self.0.get_mut(&key) {
            *demand = demand.saturating_add(QUESTION);
        } else if self.0.len() < MAX_COUNTED {
            self.0.insert(key, QUESTION);
        } else {
            self.0.retain(|_, demand| {
                *demand = demand.saturating_sub(QUESTION);
                *demand > 0
            });
        }
    }

    /// There is a new head: the keys about which there will be questions there.
    pub fn at_new_head(&mut self) -> Vec<K> {
        let mut keys: Vec<_> = self.0.iter().map(|(key, demand)| (*demand, *key)).collect();
        if keys.len() > MAX {
            keys.select_nth_unstable_by(MAX, |(a, _), (b, _)| b.cmp(a));
            keys.truncate(MAX);
        }
        self.0.retain(|_, demand| {
            *demand /= 2;
            *demand > 0
        });
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_questions_is_forgotten_after_two_heads() {
        let mut demand = Demand::default();
        demand.asked(1);
        for _ in 0..2 {
            assert_eq!(demand.at_new_head(), [1]);
        }
        assert!(demand.at_new_head().is_empty());
    }

    #[test]
    fn one_user_with_many_keys_takes_no_place_of_a_key_that_many_ask_about() {
        let mut demand = Demand::default();
        for head in 0..10 {
            for number in 1..=10 * MAX_COUNTED {
                demand.asked(head * 10 * MAX_COUNTED + number);
                if number % 256 == 0 {
                    demand.asked(0);
                }
            }
            let proven = demand.at_new_head();
            assert!(proven.len() <= MAX);
            assert!(proven.contains(&0), "at head {head}");
        }
        assert!(demand.0.len() <= MAX_COUNTED);
    }

    #[test]
    fn a_key_that_is_asked_about_at_each_head_keeps_its_place() {
        let mut demand = Demand::default();
        demand.asked(0);
        demand.at_new_head();
        for head in 1..10 {
            // The user with many keys is always the first.
            for number in 0..2 * MAX {
                demand.asked(head * MAX_COUNTED + number);
            }
            demand.asked(0);
            assert!(demand.at_new_head().contains(&0), "at head {head}");
        }
    }
}
