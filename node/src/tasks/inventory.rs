//! What this node holds of each task, in a form that is quickly compared with others: an index on disk
//! by epoch, fingerprints of it in memory, and what changed a moment ago.
//!
//! The task driver changes the index in the batch that it writes anyway, so it is exact after every kill.

mod build;
mod changes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_proto::{BUCKETS, Epoch, Fingerprint, TaskId, TaskState, Timestamp, bucket_of};
use quorate_storage::{Batch, Overlay, Page, Store, StoreError, schema};

pub(crate) use self::changes::News;
use self::changes::RecentChanges;
use crate::{NodeError, clock};

/// Shared by the task driver, who changes it, and by those that compare and prune.
#[derive(Clone)]
pub(crate) struct TaskInventory {
    store: Store,
    inner: Arc<Mutex<IndexState>>,
}

struct IndexState {
    /// By epoch and bucket: 10 kB for an epoch with many tasks, 60 bytes for each task of one with
    /// few. A thousand epochs that are kept are 10 MB.
    epochs: BTreeMap<Epoch, BTreeMap<u8, Fingerprint>>,
    /// States whose commit is under way; `None` where the task is removed.
    pending: Overlay<TaskId, Option<TaskState>>,
    changes: RecentChanges,
    floor: Epoch,
}

impl TaskInventory {
    /// Reads the index, and makes it first where the store is from before there was one.
    pub(crate) fn open(store: &Store) -> Result<Self, NodeError> {
        build::build(store)?;
        let mut epochs: BTreeMap<Epoch, BTreeMap<u8, Fingerprint>> = BTreeMap::new();
        for row in store.rows(schema::TASK_INDEX, &()) {
            let ((epoch, task), record) = row?;
            let (task, state) = (TaskId(task.into()), TaskState::from(record));
            if !state.is_empty() {
                let buckets = epochs.entry(Epoch(epoch)).or_default();
                let bucket = buckets.entry(bucket_of(task)).or_default();
                bucket.add(state.hash(task));
            }
        }
        let inner = IndexState {
            epochs,
            pending: Overlay::default(),
            changes: RecentChanges::new(clock::now()),
            floor: Epoch(0),
        };
        Ok(Self {
            store: store.clone(),
            inner: Arc::new(Mutex::new(inner)),
        })
    }

    /// Changes what is held of a task of a set with `members` members, together with `batch`. A task
    /// is in the index from the moment that it is known, also without answers.
    pub(crate) fn note(
        &self,
        batch: &mut Batch,
        (epoch, task): (Epoch, TaskId),
        members: usize,
        change: impl FnOnce(&mut TaskState),
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let old = inner.state(&self.store, epoch, task)?;
        // Where the set was not known at first, there was no room for its members.
        let mut new = TaskState::nothing(members);
        if let Some(old) = &old {
            new.merge(old);
        }
        change(&mut new);
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        batch.put(schema::TASK_INDEX, &(epoch.0, task.0.0), &(&new).into());
        inner.replace(epoch, task, old.as_ref(), Some(&new));
        inner.changes.add(clock::now(), epoch, task);
        inner.pending.put(batch, task, Some(new));
        Ok(())
    }

    /// A task is removed, together with `batch`.
    pub(crate) fn remove(
        &self,
        batch: &mut Batch,
        epoch: Epoch,
        task: TaskId,
    ) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let old = inner.state(&self.store, epoch, task)?;
        inner.replace(epoch, task, old.as_ref(), None);
        inner.pending.put(batch, task, None);
        batch.delete(schema::TASK_INDEX, &(epoch.0, task.0.0));
        Ok(())
    }

    /// What is held of a task; `None` where it is not known.
    pub(crate) fn state(
        &self,
        epoch: Epoch,
        task: TaskId,
    ) -> Result<Option<TaskState>, StoreError> {
        self.lock().state(&self.store, epoch, task)
    }

    /// Whether everything that is known of a task can be read from the store.
    pub(crate) fn is_written(&self, task: TaskId) -> bool {
        !self.lock().pending.contains(&task)
    }

    /// All epochs from `first` on that have answered tasks, at most `most`.
    pub(crate) fn summary(&self, first: Epoch, most: usize) -> Vec<(Epoch, Fingerprint)> {
        let inner = self.lock();
        let epochs = inner.epochs.range(first..);
        let whole = epochs.map(|(epoch, buckets)| (*epoch, join(buckets.values())));
        whole.filter(|(_, all)| all.tasks > 0).take(most).collect()
    }

    /// All of one epoch.
    pub(crate) fn of_epoch(&self, epoch: Epoch) -> Fingerprint {
        let inner = self.lock();
        inner
            .epochs
            .get(&epoch)
            .map(|buckets| join(buckets.values()))
            .unwrap_or_default()
    }

    /// The buckets of an epoch, all of them.
    pub(crate) fn buckets(&self, epoch: Epoch) -> Vec<Fingerprint> {
        let mut all = vec![Fingerprint::default(); BUCKETS];
        if let Some(buckets) = self.lock().epochs.get(&epoch) {
            for (bucket, fingerprint) in buckets {
                all[usize::from(*bucket)] = *fingerprint;
            }
        }
        all
    }

    /// Answered tasks of an epoch behind `after`, up to and with `until`, ascending; and whether
    /// there are more than `most`.
    pub(crate) fn range(
        &self,
        epoch: Epoch,
        after: Option<TaskId>,
        until: TaskId,
        most: usize,
    ) -> Result<(Vec<(TaskId, TaskState)>, bool), StoreError> {
        let mut found = Vec::new();
        let mut next = after.map(|task| (epoch.0, task.0.0));
        loop {
            let page = Page::first(most.saturating_add(1)).after(next);
            let rows = self.store.scan(schema::TASK_INDEX, &epoch.0, page)?;
            for ((_, task), record) in rows.rows {
                let task = TaskId(task.into());
                if task > until {
                    return Ok((found, false));
                }
                let state = TaskState::from(record);
                if state.is_empty() {
                    continue;
                }
                if found.len() >= most {
                    return Ok((found, true));
                }
                found.push((task, state));
            }
            match rows.next {
                Some(key) => next = Some(key),
                None => return Ok((found, false)),
            }
        }
    }

    /// What changed behind `after`, and is settled.
    pub(crate) fn news(&self, now: Timestamp, instance: u64, after: u64) -> News {
        self.lock().changes.since(now, instance, after)
    }

    /// Tasks of earlier epochs are pruned.
    pub(crate) fn floor(&self) -> Epoch {
        self.lock().floor
    }

    /// From now on.
    pub(crate) fn raise_floor(&self, floor: Epoch) {
        let mut inner = self.lock();
        inner.floor = inner.floor.max(floor);
    }

    fn lock(&self) -> MutexGuard<'_, IndexState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IndexState {
    fn state(
        &self,
        store: &Store,
        epoch: Epoch,
        task: TaskId,
    ) -> Result<Option<TaskState>, StoreError> {
        if let Some(pending) = self.pending.get(&task) {
            return Ok(pending);
        }
        let record = store.get(schema::TASK_INDEX, &(epoch.0, task.0.0))?;
        Ok(record.map(TaskState::from))
    }

    fn replace(
        &mut self,
        epoch: Epoch,
        task: TaskId,
        old: Option<&TaskState>,
        new: Option<&TaskState>,
    ) {
        let buckets = self.epochs.entry(epoch).or_default();
        let bucket = buckets.entry(bucket_of(task)).or_default();
        if let Some(old) = old.filter(|old| !old.is_empty()) {
            bucket.remove(old.hash(task));
        }
        if let Some(new) = new.filter(|new| !new.is_empty()) {
            bucket.add(new.hash(task));
        }
        if bucket.tasks == 0 {
            buckets.remove(&bucket_of(task));
        }
        if buckets.is_empty() {
            self.epochs.remove(&epoch);
        }
    }
}

fn join<'a>(buckets: impl Iterator<Item = &'a Fingerprint>) -> Fingerprint {
    buckets.fold(Fingerprint::default(), |mut all, bucket| {
        all.join(bucket);
        all
    })
}

#[cfg(test)]
mod tests;
