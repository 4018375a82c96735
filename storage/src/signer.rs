//! Whether a signing key may sign with the log of this store, and which process does.

use quorate_proto::store::{Lease as LeaseRecord, LogOrigin, SignerRecord};

use crate::{
    Ack, Batch, Durability, EncodeKey, KeyRange, Order, Store, StoreError, WriteQueue,
    schema::{Address, SIGNERS, SIGNING_LOG},
};

/// Keys of one store: an operator has one at a time and takes another a few times in its life.
pub const MAX_SIGNING_KEYS: usize = 1_024;

/// The signing keys of a store.
///
/// # Contract
///
/// A key signs only under a [`Lease`], and a lease is given only where its log is known to be whole:
/// somebody has said why by [`Signers::establish`], and the store was not restored from a backup
/// since. Every write here is synced.
#[derive(Debug, Clone)]
pub struct Signers {
    queue: WriteQueue,
}

/// How a key's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStanding {
    /// Nobody has said that it is whole.
    Unknown,
    /// It was whole at some time before this one, in Unix milliseconds: it came from a backup then.
    Restored(u64),
    /// It may be signed with.
    Whole(LogOrigin),
}

/// Who takes a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// 32 random bytes, others at every start.
    pub instance: [u8; 32],
    /// Name of the machine.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// What tells the process from others with the same id; empty where the system does not say.
    pub process: String,
}

impl Signers {
    pub(crate) fn new(queue: WriteQueue) -> Self {
        Self { queue }
    }

    /// What is known of a key; an empty record where nothing is.
    pub fn get(&self, key: &Address) -> Result<SignerRecord, StoreError> {
        self.queue.store().signer(key)
    }

    /// Notes why the log of `key` is whole. `sequence` is the newest one that is known to have been
    /// made with the key.
    pub fn establish(
        &self,
        key: &Address,
        origin: LogOrigin,
        sequence: u64,
        now_ms: u64,
    ) -> Result<Ack, StoreError> {
        let mut record = self.get(key)?;
        record.set_origin(origin);
        record.origin_ms = now_ms;
        record.restored_ms = 0;
        record.sequence = record.sequence.max(sequence);
        Ok(self.put(key, &record))
    }

    /// Notes that an import has brought records up to `sequence`. Of a log that was restored from a
    /// backup only one that is newer than the backup says that it is whole; whether it did is
    /// returned.
    pub fn imported(
        &self,
        key: &Address,
        sequence: u64,
        now_ms: u64,
    ) -> Result<(bool, Ack), StoreError> {
        let mut record = self.get(key)?;
        let completes = standing(&record) == LogStanding::Unknown || sequence > record.sequence;
        if completes {
            record.set_origin(LogOrigin::Imported);
            record.origin_ms = now_ms;
            record.restored_ms = 0;
        }
        record.sequence = record.sequence.max(sequence);
        Ok((completes, self.put(key, &record)))
    }

    /// Gives `holder` the key. What it returns may be used once the acknowledgement is there.
    ///
    /// # Errors
    /// [`StoreError::LogNotWhole`].
    pub fn take(
        &self,
        key: &Address,
        holder: Holder,
        now_ms: u64,
    ) -> Result<(Lease, Ack), StoreError> {
        let mut record = self.get(key)?;
        if !matches!(standing(&record), LogStanding::Whole(_)) {
            return Err(StoreError::LogNotWhole {
                key: crate::error::hex(key),
            });
        }
        let Holder {
            instance,
            host,
            pid,
            process,
        } = holder;
        let sequence = next(record.sequence, now_ms);
        record.sequence = sequence;
        record.lease = Some(LeaseRecord {
            instance: instance.to_vec(),
            host,
            pid,
            process,
            started_ms: now_ms,
            renewed_ms: sequence,
            released: false,
        });
        let ack = self.put(key, &record);
        let lease = Lease {
            signers: self.clone(),
            key: *key,
            instance,
        };
        Ok((lease, ack))
    }

    fn put(&self, key: &Address, record: &SignerRecord) -> Ack {
        let mut batch = Batch::new();
        batch.put(SIGNERS, key, record);
        // A node that cannot renew its lease ends: a busy disk must not be the reason.
        self.queue.submit_small(batch, Durability::Synced)
    }
}

/// The right of this process to sign with a key.
#[derive(Debug)]
pub struct Lease {
    signers: Signers,
    key: Address,
    instance: [u8; 32],
}

impl Lease {
    /// Takes the next sequence, `now_ms` or one above the last where the clock has not moved on. It
    /// may be shown to others once the acknowledgement is there.
    ///
    /// # Errors
    /// [`StoreError::LogNotWhole`] where somebody else holds the key by now.
    pub fn renew(&self, now_ms: u64) -> Result<(u64, Ack), StoreError> {
        let mut record = self.held()?;
        record.sequence = next(record.sequence, now_ms);
        if let Some(lease) = &mut record.lease {
            lease.renewed_ms = record.sequence;
        }
        Ok((record.sequence, self.signers.put(&self.key, &record)))
    }

    /// Says that nothing is signed under it any more.
    ///
    /// # Errors
    /// As [`Lease::renew`].
    pub fn release(self) -> Result<Ack, StoreError> {
        let mut record = self.held()?;
        if let Some(lease) = &mut record.lease {
            lease.released = true;
        }
        Ok(self.signers.put(&self.key, &record))
    }

    fn held(&self) -> Result<SignerRecord, StoreError> {
        let record = self.signers.get(&self.key)?;
        let lease = record.lease.as_ref();
        match lease.is_some_and(|lease| lease.instance == self.instance) {
            true => Ok(record),
            false => Err(StoreError::LogNotWhole {
                key: crate::error::hex(&self.key),
            }),
        }
    }
}

/// How the log of a key stands.
pub fn standing(record: &SignerRecord) -> LogStanding {
    match (record.origin(), record.restored_ms) {
        (LogOrigin::Unspecified, _) => LogStanding::Unknown,
        (_, restored) if restored > 0 => LogStanding::Restored(restored),
        (origin, _) => LogStanding::Whole(origin),
    }
}

fn next(last: u64, now_ms: u64) -> u64 {
    now_ms.max(last.saturating_add(1))
}

impl Store {
    /// What is known of a signing key; an empty record where nothing is.
    pub fn signer(&self, key: &Address) -> Result<SignerRecord, StoreError> {
        Ok(self.get(SIGNERS, key)?.unwrap_or_default())
    }

    /// Every key that has signed here or is known otherwise, ascending; at most
    /// [`MAX_SIGNING_KEYS`].
    pub fn signing_keys(&self) -> Result<Vec<Address>, StoreError> {
        let mut keys = logged_keys(self.engine())?;
        for row in self.rows(SIGNERS, &()) {
            keys.push(row?.0);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(MAX_SIGNING_KEYS);
        Ok(keys)
    }

    /// Marks every key of a store that came from a backup: what was signed after the backup is not
    /// in it.
    pub fn mark_restored(&self, now_ms: u64) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for key in self.signing_keys()? {
            let mut record = self.signer(&key)?;
            record.restored_ms = now_ms.max(1);
            record.lease = None;
            batch.put(SIGNERS, &key, &record);
        }
        self.write(&batch, Durability::Synced)
    }
}

/// Keys with records in the signing log: one look behind the last record of each.
pub(crate) fn logged_keys(engine: &dyn crate::Engine) -> Result<Vec<Address>, StoreError> {
    let (mut keys, mut range) = (Vec::new(), KeyRange::default());
    while keys.len() < MAX_SIGNING_KEYS {
        let found = engine.scan(SIGNING_LOG.def(), &range, Order::Ascending, 1)?;
        let Some((row, _)) = found.rows.first() else {
            break;
        };
        let Some(key) = row.first_chunk::<20>() else {
            let reason = "the key does not have the form of this table";
            return Err(StoreError::corrupt(SIGNING_LOG.def().name, row, reason));
        };
        keys.push(*key);
        let Some(behind) = KeyRange::prefix(key.key_bytes()).end else {
            break;
        };
        range.start = behind;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
