//! Adds the entries of a file to a store.

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Seek, SeekFrom};

use quorate_proto::{Address, Domain};
use quorate_storage::{
    Conflict, Imported, LogStanding, MAX_SIGNING_KEYS, SigningEntry, StoreError, Verdict,
    WriteQueue, standing,
};

use super::read::{Sink, read};
use super::{Clash, FORMAT, KeySummary, LogError, Metadata, STRIDE, VERSION, text};
use crate::clock;

/// Entries written at a time: of 200 bytes each, a fifth of the largest batch.
const GROUP: usize = 4_096;

/// Adds what is in `file` to a store of this network: all of it, or nothing where anything in it is
/// wrong or contradicts the store. `progress` hears the number of entries now and then, from 0 again
/// when all is checked and writing begins.
///
/// # Errors
/// [`LogError`] says what is wrong. Where it is the store that fails half-way, what was added stays,
/// and the same call goes on.
pub fn import(
    queue: &WriteQueue,
    domain: &Domain,
    mut file: impl Read + Seek,
    mut progress: impl FnMut(u64),
) -> Result<Vec<KeySummary>, LogError> {
    let mut check = Check {
        queue,
        network: domain.network().to_string(),
        keys: BTreeSet::new(),
        count: Count::new(&mut progress),
    };
    read(BufReader::new(&mut file), &mut check)?;
    file.seek(SeekFrom::Start(0))?;
    let mut write = Write {
        queue,
        group: Vec::with_capacity(GROUP),
        current: None,
        summaries: Vec::new(),
        count: Count::new(&mut progress),
    };
    read(BufReader::new(&mut file), &mut write)?;
    Ok(write.summaries)
}

/// Tells how far it is.
struct Count<'a> {
    entries: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> Count<'a> {
    fn new(progress: &'a mut dyn FnMut(u64)) -> Self {
        Self {
            entries: 0,
            progress,
        }
    }

    fn one_more(&mut self) {
        self.entries += 1;
        if self.entries.is_multiple_of(STRIDE) {
            (self.progress)(self.entries);
        }
    }
}

/// Numbers that other programs write exactly, too; as milliseconds they last 285,000 years. A key's
/// own sequences go on above an imported one.
const MAX_SEQUENCE: u64 = 1 << 53;

/// The first reading.
struct Check<'a> {
    queue: &'a WriteQueue,
    network: String,
    keys: BTreeSet<Address>,
    count: Count<'a>,
}

impl Sink for Check<'_> {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), LogError> {
        let Metadata {
            format,
            version,
            home_chain_id,
            registry,
            ..
        } = metadata;
        if format != FORMAT {
            let text = format!("its format is {format:?}, not {FORMAT:?}");
            return Err(LogError::Malformed(text));
        }
        if version != VERSION {
            return Err(LogError::Version { found: version });
        }
        let registry: Address = registry
            .parse()
            .map_err(|_| LogError::Malformed(format!("its registry {registry:?} is no address")))?;
        let found = Domain::new(home_chain_id, registry).network().to_string();
        if found != self.network {
            return Err(LogError::Network {
                found,
                expected: self.network.clone(),
            });
        }
        Ok(())
    }

    fn begin(&mut self, key: Address, sequence: u64, _complete: bool) -> Result<(), LogError> {
        if sequence > MAX_SEQUENCE {
            let text = format!("the sequence {sequence} is no time in milliseconds");
            return Err(LogError::Malformed(text));
        }
        if !self.keys.insert(key) {
            return Err(LogError::Malformed(format!("key {key} is there twice")));
        }
        if self.keys.len() > MAX_SIGNING_KEYS {
            let text = format!("it has more than {MAX_SIGNING_KEYS} keys");
            return Err(LogError::Malformed(text));
        }
        Ok(())
    }

    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError> {
        self.count.one_more();
        match self.queue.signing_log().check(&entry)? {
            Verdict::Fresh | Verdict::Same { .. } => Ok(()),
            Verdict::Conflict(conflict) => Err(clash(&conflict)),
        }
    }

    fn end(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

/// The second reading.
struct Write<'a> {
    queue: &'a WriteQueue,
    group: Vec<SigningEntry>,
    current: Option<KeySummary>,
    summaries: Vec<KeySummary>,
    count: Count<'a>,
}

impl Write<'_> {
    fn flush(&mut self) -> Result<(), LogError> {
        let written = self.queue.signing_log().import(&self.group);
        let Imported { added, .. } = written.map_err(|error| match error {
            StoreError::Conflict(conflict) => clash(&conflict),
            other => other.into(),
        })?;
        if let Some(current) = &mut self.current {
            current.added += added;
            current.entries += self.group.len() as u64;
        }
        self.group.clear();
        Ok(())
    }
}

impl Sink for Write<'_> {
    fn metadata(&mut self, _: Metadata) -> Result<(), LogError> {
        Ok(())
    }

    fn begin(&mut self, key: Address, sequence: u64, complete: bool) -> Result<(), LogError> {
        self.current = Some(KeySummary {
            signing_key: key.to_string(),
            sequence,
            complete,
            entries: 0,
            added: 0,
            usable: false,
        });
        Ok(())
    }

    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError> {
        self.count.one_more();
        self.group.push(entry);
        match self.group.len() < GROUP {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// All entries of the key are on disk: now its log may count as whole.
    fn end(&mut self) -> Result<(), LogError> {
        self.flush()?;
        let Some(mut summary) = self.current.take() else {
            return Ok(());
        };
        let key: Address = summary.signing_key.parse().unwrap_or_default();
        let signers = self.queue.signers();
        if summary.complete {
            let now = clock::now().millis();
            let (_, ack) = signers.imported(&key.into_array(), summary.sequence, now)?;
            ack.wait()?;
        }
        let record = signers.get(&key.into_array())?;
        summary.usable = matches!(standing(&record), LogStanding::Whole(_));
        self.summaries.push(summary);
        Ok(())
    }
}

fn clash(conflict: &Conflict) -> LogError {
    let (asked, recorded) = (&conflict.asked, &conflict.recorded);
    LogError::Conflict(Box::new(Clash {
        key: asked.key.into(),
        slot: text(&asked.slot),
        found: text(&asked.fact),
        found_task: text(&asked.task),
        found_epoch: asked.epoch,
        recorded: text(&recorded.fact),
        recorded_task: text(&recorded.task),
        recorded_epoch: recorded.epoch,
    }))
}
