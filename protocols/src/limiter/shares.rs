//! How much of something each key holds now.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts what is held, by key and in all. Keys that hold nothing take no memory, so what is held bounds
/// the number of keys.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    pub(super) held: HashMap<K, usize>,
    total: usize,
}

impl<K: Eq + Hash> Shares<K> {
    /// What a key holds.
    #[must_use]
    pub fn of(&self, key: &K) -> usize {
        self.held.get(key).copied().unwrap_or_default()
    }

    /// What all hold.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether a key may take one more of what is `left`: as many as are left (the dynamic threshold of
    /// Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998). Alone it
    /// gets half of all, of n each gets one part in n + 1, and a newcomer finds some at once.
    #[must_use]
    pub fn may_take(&self, key: &K, left: usize) -> bool {
        self.of(key) < left
    }

    /// One more.
    pub fn take(&mut self, key: K) {
        let count = self.held.entry(key).or_default();
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// One less; nothing where the key holds none.
    pub fn give_back(&mut self, key: &K) {
        if let Some(count) = self.held.get_mut(key) {
            *count = count.saturating_sub(1);
            self.total = self.total.saturating_sub(1);
            if *count == 0 {
                self.held.remove(key);
            }
        }
    }
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
            total: 0,
        }
    }
}
