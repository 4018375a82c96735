//! A bounded map: what is not used for long gives way.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// At most twice `half` entries.
///
/// # Design Decisions
///
/// Two generations in place of a list in order of use: what is used moves to the young one, and when
/// that is full, the old one is dropped whole.
#[derive(Debug)]
pub struct GenerationalCache<K, V> {
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V: Clone> GenerationalCache<K, V> {
    /// For twice so many entries.
    #[must_use]
    pub fn new(half: usize) -> Self {
        Self {
            half,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The value, which stays for longer now.
    pub fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.young.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// Keeps a value, maybe in place of older ones.
    pub fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
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
        let mut kept = GenerationalCache::new(HALF);
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
