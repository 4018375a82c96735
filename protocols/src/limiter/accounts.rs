//! What is remembered of each key, for a bounded number of keys.

use std::collections::HashMap;
use std::hash::Hash;

/// Accounts by key.
#[derive(Clone, Debug)]
pub struct Accounts<K, A> {
    most: usize,
    known: HashMap<K, A>,
}

impl<K: Eq + Hash, A> Accounts<K, A> {
    /// No accounts yet; at most `most` later.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let known = HashMap::new();
        Self { most, known }
    }

    /// The account of a key, if it has one.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&A> {
        self.known.get(key)
    }

    /// As [`Accounts::get`], to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut A> {
        self.known.get_mut(key)
    }

    /// The account of a key, a new one where it has none. Where there are as many as may be, the idle ones
    /// are forgotten first; `None` where none is idle.
    pub fn open(
        &mut self,
        key: K,
        is_idle: impl Fn(&A) -> bool,
        new: impl FnOnce() -> A,
    ) -> Option<&mut A> {
        if self.is_full_for(&key) {
            self.known.retain(|_, account| !is_idle(account));
            if self.is_full_for(&key) {
                return None;
            }
        }
        Some(self.known.entry(key).or_insert_with(new))
    }

    /// As [`Accounts::open`], but where none is idle any one is forgotten.
    pub fn open_always(
        &mut self,
        key: K,
        is_idle: impl Fn(&A) -> bool,
        new: impl FnOnce() -> A,
    ) -> &mut A
    where
        K: Clone,
    {
        if self.is_full_for(&key) {
            self.known.retain(|_, account| !is_idle(account));
        }
        if self.is_full_for(&key) {
            let any = self.known.keys().next().cloned();
            any.and_then(|any| self.known.remove(&any));
        }
        self.known.entry(key).or_insert_with(new)
    }

    /// Forgets the account of a key; what it was.
    pub fn remove(&mut self, key: &K) -> Option<A> {
        self.known.remove(key)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn is_full_for(&self, key: &K) -> bool {
        self.known.len() >= self.most && !self.known.contains_key(key)
    }
}
