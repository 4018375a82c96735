//! A bounded map: what is not used for long gives way.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// At most twice `half` entries.
///
/// # Design Decisions
///
/// Two halves in place of a list in order of use: what is used moves to the young half, and when
/// that is full, the old half is dropped whole.
#[derive(Debug)]
pub(super) struct Halves<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> Halves<K, V> {
    pub(super) fn new(half: usize) -> Self {
        Self {
            half,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    pub(super) fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.young.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_bounded_and_keeps_what_is_used() {
        const HALF: usize = 64;
        let mut kept = Halves::new(HALF);
        for number in 0..10 * HALF {
            kept.insert(number, number);
            assert_eq!(kept.get(0), Some(0));
        }
        assert!(kept.young.len() + kept.old.len() <= 2 * HALF);
        assert_eq!(kept.get(10 * HALF - 1), Some(10 * HALF - 1));
        assert_eq!(kept.get(1), None);
        kept.clear();
        assert_eq!(kept.get(0), None);
    }
}
