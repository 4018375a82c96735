//! Removing what can convict no more.

use quorate_proto::store::Cursor;

use crate::{
    Ack, Batch, Durability, Page, StoreError,
    schema::{Address, CURSORS, Id, SIGNING_LOG},
};

use super::{SigningLog, record::from_record};

/// Entries that are looked at in one go: reservations wait meanwhile, about a millisecond.
const AT_ONCE: usize = 256;

/// Which entries may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outdated {
    /// Those whose newest epoch is before this one: the stake behind their signatures is out of reach.
    pub before_epoch: u32,
    /// Of these, those signed before this time, in Unix milliseconds, whatever the chain says of epochs.
    pub signed_before_ms: u64,
}

/// What became of one go.
#[derive(Debug)]
pub struct Forgotten {
    /// Entries removed.
    pub entries: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<Id>,
    /// Of the removal.
    pub ack: Ack,
}

/// Its block number is the epoch before which signatures may be missing from a log.
fn mark_of(operator: &Address) -> String {
    use std::fmt::Write as _;
    let mut name = "signing log ".to_owned();
    for byte in operator {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

impl SigningLog {
    /// What `operator` signed in epochs before this one may have been removed.
    pub fn forgotten_before(&self, operator: &Address) -> Result<u32, StoreError> {
        let mark = self.store().get(CURSORS, mark_of(operator).as_str())?;
        let epoch = mark.map_or(0, |mark| mark.block_number);
        Ok(u32::try_from(epoch).unwrap_or(u32::MAX))
    }

    /// Notes that signatures of epochs before this one are missing.
    pub fn mark_forgotten(&self, operator: &Address, before_epoch: u32) -> Result<Ack, StoreError> {
        let mut batch = Batch::new();
        self.mark(&mut batch, operator, before_epoch)?;
        Ok(self.queue.submit(batch, Durability::Synced))
    }

    /// Gives back the disk that removed entries took.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.store().compact(SIGNING_LOG.def())
    }

    fn mark(&self, batch: &mut Batch, operator: &Address, epoch: u32) -> Result<(), StoreError> {
        let epoch = self.forgotten_before(operator)?.max(epoch);
        let cursor = Cursor {
            block_number: epoch.into(),
            ..Cursor::default()
        };
        batch.put(CURSORS, mark_of(operator).as_str(), &cursor);
        Ok(())
    }

    /// Removes some outdated entries of `operator` behind the slot `after`. An entry that is being signed
    /// again stays.
    pub fn forget(
        &self,
        operator: &Address,
        outdated: Outdated,
        after: Option<Id>,
    ) -> Result<Forgotten, StoreError> {
        let page = Page::first(AT_ONCE).after(after.map(|slot| (*operator, slot)));
        // From the look to the place in the queue: a record of a newer epoch is seen, or comes behind it.
        let reserved = self.store().reserved().lock();
        let rows = self.store().scan(SIGNING_LOG, operator, page)?;
        let mut batch = Batch::new();
        self.mark(&mut batch, operator, outdated.before_epoch)?;
        let mut entries = 0;
        for (slot, record) in &rows.rows {
            let entry = from_record(slot, record)?;
            let is_outdated =
                entry.epoch < outdated.before_epoch && entry.time_ms < outdated.signed_before_ms;
            if is_outdated && reserved.get(slot).is_none() {
                batch.delete(SIGNING_LOG, slot);
                entries += 1;
            }
        }
        let ack = self.queue.submit(batch, Durability::Buffered);
        drop(reserved);
        Ok(Forgotten {
            entries,
            next: rows.next.map(|(_, slot)| slot),
            ack,
        })
    }
}
