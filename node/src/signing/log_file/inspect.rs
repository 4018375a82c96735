//! Reads a file for what it is.

use std::io::{BufReader, Read};

use quorate_storage::SigningEntry;

use super::read::{Sink, read};
use super::{LogError, LogSummary, Metadata};

/// What a whole and well-formed file holds.
///
/// # Errors
/// [`LogError::Malformed`] and [`LogError::Io`].
pub fn inspect(file: impl Read) -> Result<LogSummary, LogError> {
    let mut found = Found::default();
    read(BufReader::new(file), &mut found)?;
    let metadata = found.metadata.ok_or_else(headless)?;
    let entries = found.entries;
    Ok(LogSummary {
        entries,
        ..LogSummary::of(&metadata)
    })
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
        None => Err(read.err().unwrap_or_else(headless)),
    }
}

fn headless() -> LogError {
    LogError::Malformed("it has no metadata".into())
}

#[derive(Default)]
struct Found {
    metadata: Option<Metadata>,
    entries: u64,
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

    fn entry(&mut self, _: SigningEntry) -> Result<(), LogError> {
        self.entries += 1;
        Ok(())
    }
}
