//! Reads a file for what it is.

use std::io::{BufReader, Read};

use quorate_proto::Address;
use quorate_storage::SigningEntry;

use super::read::{Sink, read};
use super::{KeySummary, LogError, Metadata};

/// What a whole and well-formed file holds, by key.
///
/// # Errors
/// [`LogError::Malformed`] and [`LogError::Io`].
pub fn inspect(file: impl Read) -> Result<Vec<KeySummary>, LogError> {
    let mut found = Found::default();
    read(BufReader::new(file), &mut found)?;
    Ok(found.keys)
}

/// The head of a file, whose rest is not looked at.
///
/// # Errors
/// As [`inspect`].
pub fn metadata(file: impl Read) -> Result<Metadata, LogError> {
    let mut found = Found {
        head_only: true,
        ..Found::default()
    };
    let read = read(BufReader::new(file), &mut found);
    match found.metadata {
        Some(metadata) => Ok(metadata),
        None => Err(read
            .err()
            .unwrap_or_else(|| LogError::Malformed("it has no metadata".into()))),
    }
}

#[derive(Default)]
struct Found {
    metadata: Option<Metadata>,
    keys: Vec<KeySummary>,
    head_only: bool,
}

impl Sink for Found {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), LogError> {
        self.metadata = Some(metadata);
        match self.head_only {
            true => Err(LogError::Malformed("only its head was wanted".into())),
            false => Ok(()),
        }
    }

    fn begin(&mut self, key: Address, sequence: u64, complete: bool) -> Result<(), LogError> {
        self.keys.push(KeySummary {
            signing_key: key.to_string(),
            sequence,
            complete,
            entries: 0,
            added: 0,
            usable: false,
        });
        Ok(())
    }

    fn entry(&mut self, _: SigningEntry) -> Result<(), LogError> {
        if let Some(key) = self.keys.last_mut() {
            key.entries += 1;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}
