//! Reads a file without holding it: whoever wants its parts gets them one by one.
//!
//! The parts come in the order in which they are written: the head before the keys, of a key its
//! name before its entries, and the entries ascending by slot. So nothing has to be remembered to
//! find one that is there twice.

use std::fmt;
use std::io::Read;

use quorate_proto::{Address, B256};
use quorate_storage::SigningEntry;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Entry, LogError, Metadata};

/// Takes the parts of a file.
pub(super) trait Sink {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), LogError>;
    fn begin(&mut self, key: Address, sequence: u64, complete: bool) -> Result<(), LogError>;
    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError>;
    fn end(&mut self) -> Result<(), LogError>;
}

/// Reads a whole file.
pub(super) fn read(file: impl Read, sink: &mut dyn Sink) -> Result<(), LogError> {
    let mut parts = Parts {
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
struct Parts<'a> {
    sink: &'a mut dyn Sink,
    failure: Option<LogError>,
}

impl Parts<'_> {
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

struct Root<'a, 'b>(&'a mut Parts<'b>);

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with metadata and keys")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        expect(&mut map, "metadata")?;
        let metadata: Metadata = map.next_value()?;
        self.0.give(|sink| sink.metadata(metadata))?;
        expect(&mut map, "keys")?;
        map.next_value_seed(Keys(self.0))?;
        over(&mut map)
    }
}

struct Keys<'a, 'b>(&'a mut Parts<'b>);

impl<'de> DeserializeSeed<'de> for Keys<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut keys: S) -> Result<(), S::Error> {
        while keys.next_element_seed(Key(self.0))?.is_some() {}
        Ok(())
    }
}

struct Key<'a, 'b>(&'a mut Parts<'b>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with signing_key, sequence, complete and entries")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        expect(&mut map, "signing_key")?;
        let name: String = map.next_value()?;
        let key: Address = name
            .parse()
            .map_err(|_| M::Error::custom(format!("{name:?} is no address")))?;
        expect(&mut map, "sequence")?;
        let sequence = map.next_value()?;
        expect(&mut map, "complete")?;
        let complete = map.next_value()?;
        self.0.give(|sink| sink.begin(key, sequence, complete))?;
        expect(&mut map, "entries")?;
        map.next_value_seed(Entries(self.0, key))?;
        over(&mut map)?;
        self.0.give(|sink| sink.end())
    }
}

struct Entries<'a, 'b>(&'a mut Parts<'b>, Address);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut entries: S) -> Result<(), S::Error> {
        let mut last = None;
        while let Some(entry) = entries.next_element::<Entry>()? {
            let entry = checked(self.1, &entry).map_err(S::Error::custom)?;
            if last.is_some_and(|last| last >= entry.slot) {
                let slot = super::text(&entry.slot);
                let text = format!("the entries of a key must ascend by slot, {slot} does not");
                return Err(S::Error::custom(text));
            }
            last = Some(entry.slot);
            self.0.give(|sink| sink.entry(entry))?;
        }
        Ok(())
    }
}

fn checked(key: Address, entry: &Entry) -> Result<SigningEntry, String> {
    let id = |name: &str, text: &str| match text.strip_prefix("0x").map(str::parse::<B256>) {
        Some(Ok(id)) => Ok(id.0),
        _ => Err(format!(
            "{name} {text:?} is not 0x and 64 hexadecimal digits"
        )),
    };
    Ok(SigningEntry {
        key: key.into_array(),
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
