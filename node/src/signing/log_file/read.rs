//! Reads a file without holding it: the caller gets its parts one by one.
//!
//! The parts come in the order in which they are written: the head before the entries, and these
//! ascending by slot. So nothing has to be remembered to find one that is there twice.

use std::fmt;
use std::io::Read;

use quorate_proto::{Address, B256};
use quorate_storage::SigningEntry;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{LogEntry, LogError, Metadata};

/// Takes the parts of a file.
pub(super) trait Sink {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), LogError>;
    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError>;
}

/// Reads a whole file.
pub(super) fn read(file: impl Read, sink: &mut dyn Sink) -> Result<(), LogError> {
    let mut parts = LogParts {
        sink,
        failure: None,
    };
    let mut reader = serde_json::Deserializer::from_reader(file);
    let read = reader
        .deserialize_map(Root(&mut parts))
        .and_then(|()| reader.end());
    match (read, parts.failure) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) if error.is_io() => Err(LogError::Io(error.into())),
        (Err(error), None) => Err(LogError::Malformed(error.to_string())),
        (Ok(()), None) => Ok(()),
    }
}

/// The sink, and why it wants no more: the parser's own errors are words only.
struct LogParts<'a> {
    sink: &'a mut dyn Sink,
    failure: Option<LogError>,
}

impl LogParts<'_> {
    fn give<E: serde::de::Error>(
        &mut self,
        give: impl FnOnce(&mut dyn Sink) -> Result<(), LogError>,
    ) -> Result<(), E> {
        give(self.sink).map_err(|failure| {
            self.failure = Some(failure);
            E::custom("refused")
        })
    }
}

struct Root<'a, 'b>(&'a mut LogParts<'b>);

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with metadata and entries")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        expect(&mut map, "metadata")?;
        let metadata: Metadata = map.next_value()?;
        let operator = address("operator", &metadata.operator).map_err(M::Error::custom)?;
        self.0.give(|sink| sink.metadata(metadata))?;
        expect(&mut map, "entries")?;
        map.next_value_seed(LogEntries(self.0, operator))?;
        over(&mut map)
    }
}

struct LogEntries<'a, 'b>(&'a mut LogParts<'b>, Address);

impl<'de> DeserializeSeed<'de> for LogEntries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for LogEntries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut entries: S) -> Result<(), S::Error> {
        let mut last = None;
        while let Some(entry) = entries.next_element::<LogEntry>()? {
            let entry = checked(self.1, &entry).map_err(S::Error::custom)?;
            if last.is_some_and(|last| last >= entry.slot) {
                let slot = super::text(&entry.slot);
                let text = format!("the entries must ascend by slot, {slot} does not");
                return Err(S::Error::custom(text));
            }
            last = Some(entry.slot);
            self.0.give(|sink| sink.entry(entry))?;
        }
        Ok(())
    }
}

pub(super) fn address(name: &str, text: &str) -> Result<Address, String> {
    text.parse()
        .map_err(|_| format!("{name} {text:?} is no address"))
}

fn checked(operator: Address, entry: &LogEntry) -> Result<SigningEntry, String> {
    let id = |name: &str, text: &str| match text.strip_prefix("0x").map(str::parse::<B256>) {
        Some(Ok(id)) => Ok(id.0),
        _ => Err(format!(
            "{name} {text:?} is not 0x and 64 hexadecimal digits"
        )),
    };
    Ok(SigningEntry {
        operator: operator.into_array(),
        key: address("signing_key", &entry.signing_key)?.into_array(),
        slot: id("slot", &entry.slot)?,
        fact: id("fact", &entry.fact)?,
        digest: id("digest", &entry.digest)?,
        task: id("task", &entry.task)?,
        epoch: entry.epoch,
        time_ms: entry.time_ms,
    })
}

fn expect<'de, M: MapAccess<'de>>(map: &mut M, name: &str) -> Result<(), M::Error> {
    match map.next_key::<String>()? {
        Some(found) if found == name => Ok(()),
        Some(found) => Err(M::Error::custom(format!(
            "found {found:?}, expected {name:?}"
        ))),
        None => Err(M::Error::custom(format!("{name:?} is missing"))),
    }
}

fn over<'de, M: MapAccess<'de>>(map: &mut M) -> Result<(), M::Error> {
    match map.next_key::<String>()? {
        None => Ok(()),
        Some(found) => Err(M::Error::custom(format!("{found:?} is not known"))),
    }
}
