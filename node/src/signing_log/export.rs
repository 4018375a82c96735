//! Writes a log to a file.

use std::io::{BufWriter, Write};

use quorate_proto::{Address, Domain};
use quorate_storage::{LogStanding, SigningEntry, WriteQueue, standing};
use serde_json::json;

use super::{Entry, FORMAT, KeySummary, LogError, Metadata, STRIDE, VERSION, text};
use crate::clock;

/// Writes what `keys`, or all keys where none is given, have signed, ascending by key and slot.
/// `progress` hears the number of entries now and then.
///
/// # Errors
/// [`LogError::Store`] and [`LogError::Io`].
pub fn export(
    queue: &WriteQueue,
    domain: &Domain,
    keys: &[Address],
    out: impl Write,
    mut progress: impl FnMut(u64),
) -> Result<Vec<KeySummary>, LogError> {
    let mut out = BufWriter::new(out);
    let metadata = Metadata {
        format: FORMAT.into(),
        version: VERSION,
        home_chain_id: domain.home_chain_id(),
        registry: domain.registry().to_string(),
        exported_ms: clock::now().millis(),
        program: env!("CARGO_PKG_VERSION").into(),
    };
    let metadata = serde_json::to_string(&metadata).map_err(std::io::Error::from)?;
    write!(out, "{{\"metadata\":{metadata},\n\"keys\":[")?;
    let all: Vec<Address> = match keys {
        [] => queue
            .store()
            .signing_keys()?
            .into_iter()
            .map(Address::from)
            .collect(),
        some => some.to_vec(),
    };
    let mut summaries = Vec::new();
    let mut written = 0;
    for key in all {
        out.write_all(if summaries.is_empty() { b"\n" } else { b",\n" })?;
        summaries.push(export_key(
            queue,
            key,
            &mut out,
            &mut written,
            &mut progress,
        )?);
    }
    out.write_all(b"\n]}\n")?;
    out.flush()?;
    Ok(summaries)
}

fn export_key(
    queue: &WriteQueue,
    key: Address,
    out: &mut impl Write,
    written: &mut u64,
    progress: &mut impl FnMut(u64),
) -> Result<KeySummary, LogError> {
    // Before the entries: what is signed meanwhile is newer than what the file says of itself.
    let record = queue.store().signer(&key.into_array())?;
    let complete = matches!(standing(&record), LogStanding::Whole(_));
    let (name, sequence) = (json!(key.to_string()), record.sequence);
    write!(
        out,
        "{{\"signing_key\":{name},\"sequence\":{sequence},\"complete\":{complete},\"entries\":["
    )?;
    let mut entries = 0;
    for entry in queue.signing_log().signed_by(&key.into_array()) {
        let line = serde_json::to_string(&Entry::from(&entry?)).map_err(std::io::Error::from)?;
        out.write_all(if entries == 0 { b"\n" } else { b",\n" })?;
        out.write_all(line.as_bytes())?;
        (entries, *written) = (entries + 1, *written + 1);
        if written.is_multiple_of(STRIDE) {
            progress(*written);
        }
    }
    out.write_all(b"\n]}")?;
    Ok(KeySummary {
        signing_key: key.to_string(),
        sequence,
        complete,
        entries,
        added: 0,
        usable: false,
    })
}

impl From<&SigningEntry> for Entry {
    fn from(entry: &SigningEntry) -> Self {
        Self {
            slot: text(&entry.slot),
            fact: text(&entry.fact),
            digest: text(&entry.digest),
            task: text(&entry.task),
            epoch: entry.epoch,
            time_ms: entry.time_ms,
        }
    }
}
