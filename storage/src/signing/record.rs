//! Entries as they are stored.

use quorate_proto::store::SigningRecord;

use super::{SigningEntry, SlotKey};
use crate::{EncodeKey, Store, StoreError, schema::SIGNING_LOG};

pub(super) fn recorded(store: &Store, slot: &SlotKey) -> Result<Option<SigningEntry>, StoreError> {
    let record = store.get(SIGNING_LOG, slot)?;
    record.map(|record| from_record(slot, &record)).transpose()
}

pub(super) fn to_record(entry: &SigningEntry) -> SigningRecord {
    SigningRecord {
        fact: entry.fact.to_vec(),
        digest: entry.digest.to_vec(),
        task_id: entry.task.to_vec(),
        epoch: entry.epoch,
        signed_at_ms: entry.time_ms,
        signing_key: entry.key.to_vec(),
    }
}

pub(super) fn from_record(
    slot: &SlotKey,
    record: &SigningRecord,
) -> Result<SigningEntry, StoreError> {
    Ok(SigningEntry {
        operator: slot.0,
        slot: slot.1,
        fact: fixed(slot, "fact", &record.fact)?,
        digest: fixed(slot, "digest", &record.digest)?,
        task: fixed(slot, "task", &record.task_id)?,
        epoch: record.epoch,
        time_ms: record.signed_at_ms,
        key: fixed(slot, "signing key", &record.signing_key)?,
    })
}

fn fixed<const N: usize>(slot: &SlotKey, name: &str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    let wrong = || format!("{name} has {} bytes, not {N}", bytes.len());
    let corrupt = |_| StoreError::corrupt(SIGNING_LOG.def().name, &slot.key_bytes(), wrong());
    bytes.try_into().map_err(corrupt)
}
