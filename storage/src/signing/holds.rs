//! Which slots are about to be written by this process, and for which fact.

use std::{
    collections::{HashMap, hash_map},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{SigningEntry, SlotKey, Verdict, record::recorded, slot_of};
use crate::{Conflict, Store, StoreError};

/// Slots reserved at a time: every open task of a node (8,192) twice over; 500 bytes each are 8 MB.
const MAX_RESERVED: usize = 16_384;

/// Reservations of this process, of all handles to one store.
#[derive(Default)]
pub(crate) struct Overlay {
    pending: Mutex<Pending>,
}

pub(super) type Pending = HashMap<SlotKey, Held>;

pub(super) struct Held {
    /// Of all that hold the slot and what was recorded before, the one of the newest epoch.
    newest: SigningEntry,
    holders: usize,
}

impl Overlay {
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reservations that travel with one batch.
pub(crate) type Holds = Vec<Hold>;

/// One holder of a slot; frees it when dropped as the last one.
pub(crate) struct Hold {
    store: Store,
    slot: SlotKey,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut pending = self.store.overlay().pending();
        if let hash_map::Entry::Occupied(mut held) = pending.entry(self.slot) {
            held.get_mut().holders -= 1;
            if held.get().holders == 0 {
                held.remove();
            }
        }
    }
}

/// The decision and its reservation under one lock. A commit frees its slot only after its record
/// can be read, so a slot is seen reserved or recorded, never neither.
pub(super) fn hold(store: &Store, entry: &SigningEntry) -> Result<Hold, StoreError> {
    if let Some(cause) = store.failed() {
        return Err(cause.stopped_by());
    }
    let mut pending = store.overlay().pending();
    let before = match judge(store, &pending, entry)? {
        Verdict::Conflict(conflict) => return Err(StoreError::Conflict(conflict)),
        Verdict::Same { recorded } => recorded,
        Verdict::Fresh => *entry,
    };
    if pending.len() >= MAX_RESERVED {
        return Err(StoreError::QueueFull {
            what: "signing log",
            limit: MAX_RESERVED,
        });
    }
    let slot = slot_of(entry);
    let held = pending.entry(slot).or_insert(Held {
        newest: before,
        holders: 0,
    });
    held.holders += 1;
    if held.newest.epoch <= entry.epoch {
        held.newest = *entry;
    }
    Ok(Hold {
        store: store.clone(),
        slot,
    })
}

pub(super) fn judge(
    store: &Store,
    pending: &Pending,
    asked: &SigningEntry,
) -> Result<Verdict, StoreError> {
    let slot = slot_of(asked);
    let (recorded, committed) = match pending.get(&slot) {
        Some(held) => (Some(held.newest), false),
        None => (recorded(store, &slot)?, true),
    };
    Ok(match recorded {
        None => Verdict::Fresh,
        Some(recorded) if recorded.fact == asked.fact => Verdict::Same { recorded },
        Some(recorded) => Verdict::Conflict(Box::new(Conflict {
            asked: *asked,
            recorded,
            committed,
        })),
    })
}

/// What is to be recorded for a slot that is held.
pub(super) fn newest(store: &Store, slot: &SlotKey) -> Option<SigningEntry> {
    let pending = store.overlay().pending();
    pending.get(slot).map(|held| held.newest)
}
