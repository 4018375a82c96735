//! Whether an operator may sign with the log of this store, with which keys, and which process does.

use quorate_proto::store::{Lease as LeaseRecord, LogBeginning, LogOrigin, SignerRecord};

use crate::{
    Ack, Batch, Durability, Store, StoreError, WriteQueue,
    schema::{Address, SIGNERS},
};

mod lease;

pub use lease::{Holder, Lease};

/// Keys that are remembered of one operator, which takes another a few times in its life. The oldest
/// is forgotten first: it is taken for one whose signatures may be missing.
pub const MAX_SIGNING_KEYS: usize = 64;

/// The operators that sign with a store: one, as a rule.
///
/// # Contract
///
/// A log belongs to an operator, whatever key it signs with. It is signed with only under a
/// [`Lease`], which is given only where a caller has said why that is safe ([`Signers::establish`],
/// [`Signers::begin`]), nothing speaks against it since (the store was restored from a backup,
/// another store has signed), and only for a key that the log covers. Every write here is synced.
#[derive(Debug, Clone)]
pub struct Signers {
    queue: WriteQueue,
}

/// How an operator's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStanding {
    /// No caller has said that it may be signed with.
    Unknown,
    /// It was good at some time before this one, in Unix milliseconds: it came from a backup then.
    Restored(u64),
    /// Something was made with another log under this sequence, which this one does not hold.
    Behind(u64),
    /// It begins with a key that had signed nothing; what others signed before may be missing.
    Young,
    /// It holds all that the operator has signed.
    Whole(LogOrigin),
}

impl LogStanding {
    /// Whether it may be signed with: all of it, or what is younger than its beginning.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Young | Self::Whole(_))
    }
}

/// What an import brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    /// Keys whose signatures it holds.
    pub keys: Vec<Address>,
    /// The newest sequence of a binding or presence that it stands behind.
    pub sequence: u64,
    /// Unix milliseconds up to which it holds everything; `None` where it was not whole itself.
    pub whole_until_ms: Option<u64>,
    /// The newest epoch up to which the operator had no other keys.
    pub seen_epoch: u32,
}

impl Signers {
    pub(crate) fn new(queue: WriteQueue) -> Self {
        Self { queue }
    }

    /// What is known of an operator; an empty record where nothing is.
    pub fn get(&self, operator: &Address) -> Result<SignerRecord, StoreError> {
        self.queue.store().signer(operator)
    }

    /// Notes why the log of `operator` is whole, and that it goes on with `key`. `sequence` is the
    /// newest one that is known to have been made for the operator.
    pub fn establish(
        &self,
        operator: &Address,
        key: &Address,
        (origin, sequence): (LogOrigin, u64),
        now_ms: u64,
    ) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        founded(&mut record, origin, now_ms);
        record.sequence = record.sequence.max(sequence);
        add_key(&mut record, key);
        Ok(self.put(operator, &record))
    }

    /// Notes that the log begins with `key`, which has signed nothing: what other keys signed before
    /// may be missing.
    pub fn begin(&self, operator: &Address, key: &Address, now_ms: u64) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        founded(&mut record, LogOrigin::NewKey, now_ms);
        record.signing_keys = vec![key.to_vec()];
        record.beginning = Some(LogBeginning {
            signing_key: key.to_vec(),
            ..LogBeginning::default()
        });
        Ok(self.put(operator, &record))
    }

    /// Notes when the log's first key began to count. Nothing where it has no such beginning any
    /// more.
    pub fn began(&self, operator: &Address, beginning: &LogBeginning) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        if let Some(known) = &mut record.beginning
            && known.signing_key == beginning.signing_key
        {
            known.clone_from(beginning);
        }
        Ok(self.put(operator, &record))
    }

    /// Notes that the log goes on with `key` too, which has signed nothing without it.
    pub fn go_on(&self, operator: &Address, key: &Address) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        add_key(&mut record, key);
        Ok(self.put(operator, &record))
    }

    /// Notes up to which epoch the home chain had no key for the operator but those of the log.
    pub fn seen(&self, operator: &Address, epoch: u32) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        record.seen_epoch = record.seen_epoch.max(epoch);
        Ok(self.put(operator, &record))
    }

    /// Notes that another log stands behind `sequence`, and this one does not. Outlives the process,
    /// so that no other key makes one forget it.
    pub fn behind(&self, operator: &Address, sequence: u64) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        record.missing_sequence = record.missing_sequence.max(sequence);
        Ok(self.put(operator, &record))
    }

    /// Notes what an import has brought. Of a log that lacks something only one that is newer and
    /// was whole says that it may be signed with.
    pub fn imported(
        &self,
        operator: &Address,
        import: &Import,
        now_ms: u64,
    ) -> Result<Ack, StoreError> {
        let mut record = self.get(operator)?;
        if let Some(until) = import.whole_until_ms {
            record.imported_ms = record.imported_ms.max(until);
            complete(&mut record, import, now_ms);
        }
        record.sequence = record.sequence.max(import.sequence);
        Ok(self.put(operator, &record))
    }

    /// Gives `holder` the log, to sign with `key`. What it returns may be used once the
    /// acknowledgement is there.
    ///
    /// # Errors
    /// [`StoreError::LogNotWhole`].
    pub fn take(
        &self,
        operator: &Address,
        key: &Address,
        holder: Holder,
        now_ms: u64,
    ) -> Result<(Lease, Ack), StoreError> {
        let mut record = self.get(operator)?;
        if !standing(&record).is_usable() || !covers(&record, key) {
            return Err(not_whole(operator));
        }
        let sequence = next(record.sequence, now_ms);
        record.sequence = sequence;
        record.unproven = false;
        let instance = holder.instance;
        record.lease = Some(holder.into_record(key, (now_ms, sequence)));
        let ack = self.put(operator, &record);
        let lease = Lease {
            signers: self.clone(),
            operator: *operator,
            instance,
        };
        Ok((lease, ack))
    }

    fn put(&self, operator: &Address, record: &SignerRecord) -> Ack {
        let mut batch = Batch::new();
        batch.put(SIGNERS, operator, record);
        // A node that cannot renew its lease ends: a busy disk must not be the reason.
        self.queue.submit_small(batch, Durability::Synced)
    }
}

/// From now on the log may be signed with for this reason, and nothing speaks against it.
fn founded(record: &mut SignerRecord, origin: LogOrigin, now_ms: u64) {
    record.set_origin(origin);
    record.origin_ms = now_ms;
    record.restored_ms = 0;
    record.missing_sequence = 0;
    record.unproven = false;
    record.beginning = None;
}

fn complete(record: &mut SignerRecord, import: &Import, now_ms: u64) {
    let is_newer = import.sequence > record.sequence && import.sequence >= record.missing_sequence;
    match standing(record) {
        LogStanding::Unknown => founded(record, LogOrigin::Imported, now_ms),
        LogStanding::Restored(_) | LogStanding::Behind(_) if is_newer => {
            founded(record, LogOrigin::Imported, now_ms);
        }
        // Another store has signed after this one.
        LogStanding::Whole(_) if is_newer => {}
        // When a beginning needs no excuse any more is found where the home chain is at hand.
        _ => return,
    }
    record.unproven = true;
    record.seen_epoch = record.seen_epoch.max(import.seen_epoch);
    for key in &import.keys {
        add_key(record, key);
    }
}

/// How the log of an operator stands.
#[must_use]
pub fn standing(record: &SignerRecord) -> LogStanding {
    match (record.origin(), record.restored_ms, record.missing_sequence) {
        (LogOrigin::Unspecified, ..) => LogStanding::Unknown,
        (_, restored, _) if restored > 0 => LogStanding::Restored(restored),
        (_, _, missing) if missing > 0 => LogStanding::Behind(missing),
        (LogOrigin::NewKey, ..) => LogStanding::Young,
        (origin, ..) => LogStanding::Whole(origin),
    }
}

/// Whether the log holds what `key` signed, as far as it holds anything.
#[must_use]
pub fn covers(record: &SignerRecord, key: &Address) -> bool {
    record.signing_keys.iter().any(|known| known == key)
}

fn add_key(record: &mut SignerRecord, key: &Address) {
    record.signing_keys.retain(|known| known != key);
    record.signing_keys.push(key.to_vec());
    let many = record.signing_keys.len().saturating_sub(MAX_SIGNING_KEYS);
    record.signing_keys.drain(..many);
}

fn next(last: u64, now_ms: u64) -> u64 {
    now_ms.max(last.saturating_add(1))
}

fn not_whole(operator: &Address) -> StoreError {
    StoreError::LogNotWhole {
        operator: crate::error::hex(operator),
    }
}

impl Store {
    /// What is known of an operator; an empty record where nothing is.
    pub fn signer(&self, operator: &Address) -> Result<SignerRecord, StoreError> {
        Ok(self.get(SIGNERS, operator)?.unwrap_or_default())
    }

    /// Every operator that signs with this store, or has a log in it, ascending.
    pub fn signers(&self) -> Result<Vec<(Address, SignerRecord)>, StoreError> {
        self.rows(SIGNERS, &()).collect()
    }

    /// Marks every log of a store that came from a backup: what was signed after the backup is not
    /// in it.
    pub fn mark_restored(&self, now_ms: u64) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for (operator, mut record) in self.signers()? {
            record.restored_ms = now_ms.max(1);
            record.lease = None;
            batch.put(SIGNERS, &operator, &record);
        }
        self.write(&batch, Durability::Synced)
    }
}

#[cfg(test)]
mod tests;
