//! Which tasks were here once: so that who asks for one is told "pruned", and not "unknown".

use std::collections::BTreeMap;

use quorate_proto::{Epoch, TaskId};
use quorate_storage::{Batch, Durability, Page, Store, StoreError, WriteQueue, schema};

use crate::NodeError;

/// Marks that are kept: half of an id and an epoch, 40 bytes each on disk, so 168 MB; a task itself
/// takes 2.5 kB with five operators. At more the marks of the oldest epochs go.
const MAX_MARKS: u64 = 4 << 20;
/// What is left then, so that it does not happen again at once.
const KEEP_MARKS: u64 = MAX_MARKS / 8 * 7;
/// Marks that are looked at, or go, in one step.
const AT_ONCE: usize = 1_024;

/// Half of an id is enough: that two tasks share it has a chance of 2^-84 with all marks there are.
pub(super) fn key_of(id: &[u8; 32]) -> [u8; 16] {
    let mut key = [0; 16];
    key.copy_from_slice(&id[..16]);
    key
}

/// The epoch of a task that was pruned here.
pub(crate) fn was_pruned(store: &Store, task: TaskId) -> Result<Option<Epoch>, StoreError> {
    let mark = store.get(schema::PRUNED, &key_of(&task.0.0))?;
    Ok(mark.map(|mark| Epoch(mark.epoch)))
}

/// Keeps their number in bounds. Once per epoch, since it counts them all.
pub(super) async fn bound(writes: &WriteQueue) -> Result<(), NodeError> {
    bound_to(writes, MAX_MARKS, KEEP_MARKS).await
}

async fn bound_to(writes: &WriteQueue, most: u64, keep: u64) -> Result<(), NodeError> {
    let store = writes.store().clone();
    let counted = tokio::task::spawn_blocking(move || count(&store));
    let epochs = counted.await.map_err(|panic| NodeError::Panic {
        reason: panic.to_string(),
    })??;
    let Some(cut) = cut_of(&epochs, most, keep) else {
        return Ok(());
    };
    tracing::info!(epochs_up_to = cut, "the oldest marks of pruned tasks go");
    let mut page = Some(Page::first(AT_ONCE));
    while let Some(this) = page.take() {
        let rows = writes.store().scan(schema::PRUNED, &(), this)?;
        let mut batch = Batch::new();
        for (key, _) in rows.rows.iter().filter(|(_, mark)| mark.epoch <= cut) {
            batch.delete(schema::PRUNED, key);
        }
        if !batch.is_empty() {
            writes.write(batch, Durability::Buffered).await?;
        }
        page = rows.next.map(|key| Page::first(AT_ONCE).after(key));
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn count(store: &Store) -> Result<BTreeMap<u32, u64>, StoreError> {
    let mut epochs = BTreeMap::new();
    for row in store.rows(schema::PRUNED, &()) {
        *epochs.entry(row?.1.epoch).or_default() += 1;
    }
    Ok(epochs)
}

/// Up to which epoch marks go; `None` where all may stay.
fn cut_of(epochs: &BTreeMap<u32, u64>, most: u64, keep: u64) -> Option<u32> {
    let mut left: u64 = epochs.values().sum();
    if left <= most {
        return None;
    }
    let mut cut = None;
    for (epoch, count) in epochs {
        if left <= keep {
            break;
        }
        left -= count;
        cut = Some(*epoch);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_epochs_go_until_enough_are_left() {
        let epochs = BTreeMap::from([(1, 30), (2, 40), (5, 40)]);
        assert_eq!(cut_of(&epochs, 110, 90), None);
        assert_eq!(cut_of(&epochs, 100, 90), Some(1));
        assert_eq!(cut_of(&epochs, 100, 79), Some(2));
        assert_eq!(
            cut_of(&epochs, 30, 20),
            Some(5),
            "one epoch alone is too much"
        );
    }
}
