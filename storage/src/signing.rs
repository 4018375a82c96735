use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures::future::FutureExt;

use crate::{
    Ack, Batch, Conflict, Durability, Store, StoreError, WriteQueue,
    overlay::Hold,
    schema::{Address, Id, SIGNING_LOG},
};

mod forget;
mod record;
mod reserved;

pub use forget::{Forgotten, Outdated};
use record::{from_record, recorded, to_record};
pub(crate) use reserved::Reserved;
use reserved::{judge, reserve};

/// (operator, slot).
type SlotKey = (Address, Id);

/// Which fact each operator has put its name to, with whatever key: one per slot, for as long as a second
/// one could convict it.
///
/// # Contract
///
/// A [`Permit`] is needed to sign. It comes only from [`Reservation::commit`], after the record is
/// on disk; a reservation comes only from here, and only while no other fact holds the slot, be it
/// on disk or reserved by another caller in this process (the store's lock keeps other processes
/// out). The table takes no other writes, and loses only what [`SigningLog::forget`] finds outdated. The same fact may be signed again, also in
/// a later epoch or with another key: the digest differs then, the truth does not. The record keeps
/// the newest epoch in which it was.
///
/// Dropping a reservation frees its slot. Dropping the future of a commit does not: the slot stays
/// reserved until the write is decided.
#[derive(Debug, Clone)]
pub struct SigningLog {
    queue: WriteQueue,
}

/// One signature about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningEntry {
    /// Who signs: its log is asked, whichever of its keys it takes.
    pub operator: Address,
    /// Address of the signing key.
    pub key: Address,
    /// What may have one truth only.
    pub slot: Id,
    /// Hash of the statement without its epoch: the truth.
    pub fact: Id,
    /// What is signed: the fact in this epoch.
    pub digest: Id,
    /// The task it answers.
    pub task: Id,
    /// The task's birth epoch.
    pub epoch: u32,
    /// Now, in milliseconds since the Unix epoch.
    pub time_ms: u64,
}

/// How an entry stands to what holds its slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was signed for this slot.
    Fresh,
    /// This fact was, or is about to be.
    Same {
        /// The last signature for it.
        recorded: SigningEntry,
    },
    /// Another fact was. Signing would be equivocation.
    Conflict(Box<Conflict>),
}

/// What became of a group of entries.
#[derive(Debug)]
pub struct Admission {
    /// Those that may be signed once this is committed.
    pub reservation: Reservation,
    /// The others: their place in the group, and why.
    pub refused: Vec<(usize, StoreError)>,
}

impl SigningLog {
    pub(crate) fn new(queue: WriteQueue) -> Self {
        Self { queue }
    }

    /// What [`SigningLog::reserve`] would say now. Reserves nothing: good for reports, not for
    /// signing.
    pub fn check(&self, entry: &SigningEntry) -> Result<Verdict, StoreError> {
        judge(self.store(), &self.store().reserved().lock(), entry)
    }

    /// Reserves the slot for this fact, or refuses with [`StoreError::Conflict`].
    pub fn reserve(&self, entry: SigningEntry) -> Result<Reservation, StoreError> {
        let mut admission = self.admit(&[entry]);
        match admission.refused.pop() {
            Some((_, refusal)) => Err(refusal),
            None => Ok(admission.reservation),
        }
    }

    /// Reserves as many of `entries` as may be signed. Of two that contradict each other the first
    /// wins, as if they had come one after the other.
    pub fn admit(&self, entries: &[SigningEntry]) -> Admission {
        let mut reservation = Reservation::new(self.queue.clone());
        let mut refused = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            match reserve(self.store(), entry) {
                Ok(hold) => reservation.add(*entry, hold),
                Err(refusal) => refused.push((place, refusal)),
            }
        }
        Admission {
            reservation,
            refused,
        }
    }

    /// What `operator` signed for `slot` in the newest epoch in which it did, as far as it is
    /// committed.
    pub fn recorded(
        &self,
        operator: &Address,
        slot: &Id,
    ) -> Result<Option<SigningEntry>, StoreError> {
        recorded(self.store(), &(*operator, *slot))
    }

    /// Everything `operator` signed that is not outdated, by slot.
    pub fn signed_by(
        &self,
        operator: &Address,
    ) -> impl Iterator<Item = Result<SigningEntry, StoreError>> {
        let rows = self.store().rows(SIGNING_LOG, operator);
        rows.map(|row| row.and_then(|(slot, record)| from_record(&slot, &record)))
    }

    /// Adds records of another log, all of them or none. What is recorded already takes the newer of
    /// both epochs. For commands: nothing may be reserved meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where another fact holds a slot, in the log or among `entries`.
    pub fn import(&self, entries: &[SigningEntry]) -> Result<Imported, StoreError> {
        let mut admission = self.admit(entries);
        if let Some((_, refusal)) = admission.refused.drain(..).next() {
            return Err(refusal);
        }
        let mut imported = Imported::default();
        for entry in entries {
            match recorded(self.store(), &slot_of(entry))? {
                Some(_) => imported.known += 1,
                None => imported.added += 1,
            }
        }
        let (batch, _) = admission.reservation.into_records(Batch::new());
        self.store().write(&batch, Durability::Synced)?;
        Ok(imported)
    }

    fn store(&self) -> &Store {
        self.queue.store()
    }
}

/// What became of imported records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// New ones.
    pub added: u64,
    /// Those whose fact was there already.
    pub known: u64,
}

/// Slots held for facts that are not on disk yet.
#[must_use = "dropping it frees the slots"]
pub struct Reservation {
    queue: WriteQueue,
    entries: Vec<SigningEntry>,
    holds: Vec<Hold>,
}

impl Reservation {
    fn new(queue: WriteQueue) -> Self {
        Self {
            queue,
            entries: Vec::new(),
            holds: Vec::new(),
        }
    }

    fn add(&mut self, entry: SigningEntry, hold: Hold) {
        self.entries.push(entry);
        self.holds.push(hold);
    }

    /// What is reserved, in the order given.
    pub fn entries(&self) -> &[SigningEntry] {
        &self.entries
    }

    /// Writes the records, with `batch` beside them in the same commit, and syncs. The permits come
    /// when all of it is on disk. The write begins at once, whether or not the future is polled.
    /// Where another reservation for the same slot is of a newer epoch, its record is written.
    pub fn commit(self, batch: Batch) -> Permits {
        let queue = self.queue.clone();
        let (batch, entries) = self.into_records(batch);
        let ack = queue.submit(batch, Durability::Synced);
        Permits { ack, entries }
    }

    /// As [`Reservation::commit`], once the queue has room. Dropping the future before that writes
    /// nothing and frees the slots.
    pub async fn commit_in_turn(self, batch: Batch) -> Result<Vec<Permit>, StoreError> {
        let queue = self.queue.clone();
        let (batch, entries) = self.into_records(batch);
        let ack = queue.submit_in_turn(batch, Durability::Synced).await;
        Permits { ack, entries }.await
    }

    /// `batch` with the records, each of the newest epoch that any caller asked for.
    fn into_records(self, mut batch: Batch) -> (Batch, Vec<SigningEntry>) {
        let reserved = self.queue.store().reserved();
        for entry in &self.entries {
            let slot = slot_of(entry);
            let newest = reserved.get(&slot).unwrap_or(*entry);
            batch.put(SIGNING_LOG, &slot, &to_record(&newest));
        }
        for hold in self.holds {
            batch.hold(hold);
        }
        (batch, self.entries)
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// Resolves to one [`Permit`] per reserved entry, or to why there is none.
#[derive(Debug)]
#[must_use = "without its permits nothing may be signed"]
pub struct Permits {
    ack: Ack,
    entries: Vec<SigningEntry>,
}

impl Permits {
    /// Waits on this thread; for commands and tests, never inside an async task.
    pub fn wait(self) -> Result<Vec<Permit>, StoreError> {
        futures::executor::block_on(self)
    }
}

impl Future for Permits {
    type Output = Result<Vec<Permit>, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let done = std::task::ready!(self.ack.poll_unpin(cx));
        let entries = std::mem::take(&mut self.entries);
        Poll::Ready(done.map(|()| entries.into_iter().map(|entry| Permit { entry }).collect()))
    }
}

/// Permission to make one signature: its record is on disk. Used up by signing, hence not `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    entry: SigningEntry,
}

impl Permit {
    /// What to sign.
    pub fn digest(&self) -> &Id {
        &self.entry.digest
    }

    /// With which key.
    pub fn key(&self) -> &Address {
        &self.entry.key
    }

    /// The whole entry.
    pub fn entry(&self) -> &SigningEntry {
        &self.entry
    }
}

fn slot_of(entry: &SigningEntry) -> SlotKey {
    (entry.operator, entry.slot)
}
