use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::Batch;

/// What is on its way to the disk, by key, so that a writer reads its own writes. A clone is another
/// handle to the same.
///
/// # Contract
///
/// A value is here from the moment that it is put until the batch that it was put with is committed,
/// refused or dropped, and a committed row can be read from the store before it goes from here. So who
/// looks here first, and then in the store, misses nothing. Of several under one key the last one is read.
pub struct Overlay<K, V>(Arc<Mutex<BTreeMap<K, Pending<V>>>>);

struct Pending<V> {
    value: V,
    /// Batches under way that have it.
    holders: usize,
}

/// An overlay that no other thread changes: what is looked up and put meanwhile is one step.
pub(crate) struct Locked<'a, K, V> {
    overlay: &'a Overlay<K, V>,
    pending: MutexGuard<'a, BTreeMap<K, Pending<V>>>,
}

/// Keeps a value in its overlay until it is dropped; must not be while the overlay is locked.
pub(crate) struct Hold(#[expect(dead_code, reason = "dropped")] Box<dyn Send + Sync>);

struct PendingRow<K: Ord, V> {
    overlay: Overlay<K, V>,
    key: K,
}

impl<K, V> Overlay<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// Shows `value` under `key` until `batch`, which writes it, has come to its end.
    pub fn put(&self, batch: &mut Batch, key: K, value: V) {
        batch.hold(self.lock().put(key, value));
    }

    /// The last value put under `key`.
    pub fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    /// Whether anything under `key` is under way.
    pub fn contains(&self, key: &K) -> bool {
        self.lock().get(key).is_some()
    }

    /// What is under way from `first` on, in the order of keys, as long as `is_within` says so.
    pub fn range(&self, first: &K, is_within: impl Fn(&K) -> bool) -> Vec<(K, V)> {
        let locked = self.lock();
        let rows = locked.pending.range(first..);
        rows.take_while(|(key, _)| is_within(key))
            .map(|(key, pending)| (key.clone(), pending.value.clone()))
            .collect()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.lock().len() == 0
    }

    pub(crate) fn lock(&self) -> Locked<'_, K, V> {
        Locked {
            overlay: self,
            pending: self.pending(),
        }
    }
}

impl<K, V> Overlay<K, V> {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<K, Pending<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Locked<'_, K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.pending.get(key).map(|pending| &pending.value)
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn put(&mut self, key: K, value: V) -> Hold {
        let earlier = self.pending.get(&key).map_or(0, |pending| pending.holders);
        let holders = earlier + 1;
        self.pending.insert(key.clone(), Pending { value, holders });
        let overlay = self.overlay.clone();
        Hold(Box::new(PendingRow { overlay, key }))
    }
}

impl<K: Ord, V> Drop for PendingRow<K, V> {
    fn drop(&mut self) {
        let mut pending = self.overlay.pending();
        if let Some(held) = pending.get_mut(&self.key) {
            held.holders -= 1;
            if held.holders == 0 {
                pending.remove(&self.key);
            }
        }
    }
}

impl<K, V> Clone for Overlay<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for Overlay<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> fmt::Debug for Overlay<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Overlay")
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}
