//! Which slots are about to be written by this process, and for which fact.

use super::{SigningEntry, SlotKey, Verdict, record::recorded, slot_of};
use crate::{
    Conflict, Overlay, Store, StoreError,
    overlay::{Hold, Locked},
};

/// Slots reserved at a time: every open task of a node (8,192) twice over; 500 bytes each are 8 MB.
const MAX_RESERVED: usize = 16_384;

/// Reservations of this process, of all handles to one store. Of all that hold a slot and what was
/// recorded before, the entry is the one of the newest epoch.
pub(crate) type Reserved = Overlay<SlotKey, SigningEntry>;

/// The decision and its reservation in one step. A commit frees its slot only after its record can be
/// read, so a slot is seen reserved or recorded, never neither.
pub(super) fn reserve(store: &Store, entry: &SigningEntry) -> Result<Hold, StoreError> {
    if let Some(cause) = store.failed() {
        return Err(cause.stopped_by());
    }
    let mut reserved = store.reserved().lock();
    let newest = match judge(store, &reserved, entry)? {
        Verdict::Conflict(conflict) => return Err(StoreError::Conflict(conflict)),
        Verdict::Same { recorded } if recorded.epoch > entry.epoch => recorded,
        Verdict::Same { .. } | Verdict::Fresh => *entry,
    };
    if reserved.len() >= MAX_RESERVED {
        return Err(StoreError::QueueFull {
            what: "signing log",
            limit: MAX_RESERVED,
        });
    }
    Ok(reserved.put(slot_of(entry), newest))
}

pub(super) fn judge(
    store: &Store,
    reserved: &Locked<'_, SlotKey, SigningEntry>,
    asked: &SigningEntry,
) -> Result<Verdict, StoreError> {
    let slot = slot_of(asked);
    let (recorded, committed) = match reserved.get(&slot) {
        Some(newest) => (Some(*newest), false),
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
