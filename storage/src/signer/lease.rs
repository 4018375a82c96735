//! The right of one process to sign.

use super::{LeaseRecord, Signers, next, not_whole};
use crate::{Ack, StoreError, schema::Address};
use quorate_proto::store::SignerRecord;

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

impl Holder {
    pub(super) fn into_record(self, key: &Address, (now_ms, sequence): (u64, u64)) -> LeaseRecord {
        LeaseRecord {
            instance: self.instance.to_vec(),
            host: self.host,
            pid: self.pid,
            process: self.process,
            started_ms: now_ms,
            renewed_ms: sequence,
            released: false,
            signing_key: key.to_vec(),
        }
    }
}

/// The right of this process to sign for an operator.
#[derive(Debug)]
pub struct Lease {
    pub(super) signers: Signers,
    pub(super) operator: Address,
    pub(super) instance: [u8; 32],
}

impl Lease {
    /// Takes the next sequence, `now_ms` or one above the last where the clock has not moved on. It
    /// may be shown to others once the acknowledgement is there.
    ///
    /// # Errors
    /// [`StoreError::LogNotWhole`] where another process holds the log by now.
    pub fn renew(&self, now_ms: u64) -> Result<(u64, Ack), StoreError> {
        let mut record = self.held()?;
        record.sequence = next(record.sequence, now_ms);
        if let Some(lease) = &mut record.lease {
            lease.renewed_ms = record.sequence;
        }
        Ok((record.sequence, self.signers.put(&self.operator, &record)))
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
        Ok(self.signers.put(&self.operator, &record))
    }

    fn held(&self) -> Result<SignerRecord, StoreError> {
        let record = self.signers.get(&self.operator)?;
        let lease = record.lease.as_ref();
        match lease.is_some_and(|lease| lease.instance == self.instance) {
            true => Ok(record),
            false => Err(not_whole(&self.operator)),
        }
    }
}
