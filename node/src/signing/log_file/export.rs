//! Writes a log to a file.

use std::io::{BufWriter, Write};

use quorate_proto::store::SignerRecord;
use quorate_proto::{Address, Domain};
use quorate_storage::{LogStanding, SigningEntry, WriteQueue, standing};

use super::{FORMAT, LogEntry, LogError, LogSummary, Metadata, STRIDE, VERSION, text};
use crate::clock;

/// Writes what an operator has signed, ascending by slot. `progress` hears the number of entries now
/// and then.
///
/// # Errors
/// [`LogError::Store`] and [`LogError::Io`].
pub fn export(
    queue: &WriteQueue,
    domain: &Domain,
    operator: Address,
    out: impl Write,
    mut progress: impl FnMut(u64),
) -> Result<LogSummary, LogError> {
    let mut out = BufWriter::new(out);
    // Before the entries: what is signed meanwhile is newer than what the file says of itself.
    let record = queue.store().signer(&operator.into_array())?;
    let mut metadata = metadata(&record, domain, operator);
    let log = queue.signing_log();
    metadata.forgotten_before = log.forgotten_before(&operator.into_array())?;
    let mut summary = LogSummary::of(&metadata);
    let metadata = serde_json::to_string(&metadata).map_err(std::io::Error::from)?;
    write!(out, "{{\"metadata\":{metadata},\n\"entries\":[")?;
    for entry in log.signed_by(&operator.into_array()) {
        let line = serde_json::to_string(&LogEntry::from(&entry?)).map_err(std::io::Error::from)?;
        out.write_all(match summary.entries {
            0 => b"\n",
            _ => b",\n",
        })?;
        out.write_all(line.as_bytes())?;
        summary.entries += 1;
        if summary.entries.is_multiple_of(STRIDE) {
            progress(summary.entries);
        }
    }
    out.write_all(b"\n]}\n")?;
    out.flush()?;
    Ok(summary)
}

fn metadata(record: &SignerRecord, domain: &Domain, operator: Address) -> Metadata {
    let name = |key: &Vec<u8>| format!("0x{}", hex::encode(key));
    let beginning = record.beginning.as_ref();
    Metadata {
        format: FORMAT.into(),
        version: VERSION,
        home_chain_id: domain.home_chain_id(),
        registry: domain.registry().to_string(),
        operator: operator.to_string(),
        signing_keys: record.signing_keys.iter().map(name).collect(),
        seen_epoch: record.seen_epoch,
        sequence: record.sequence,
        complete: matches!(standing(record), LogStanding::Whole(_)),
        begins_with: beginning.map(|beginning| name(&beginning.signing_key)),
        forgotten_before: 0,
        exported_ms: clock::now().millis(),
        program: env!("CARGO_PKG_VERSION").into(),
    }
}

impl From<&SigningEntry> for LogEntry {
    fn from(entry: &SigningEntry) -> Self {
        Self {
            slot: text(&entry.slot),
            fact: text(&entry.fact),
            digest: text(&entry.digest),
            task: text(&entry.task),
            signing_key: text(&entry.key),
            epoch: entry.epoch,
            time_ms: entry.time_ms,
        }
    }
}
