//! Adds the entries of a file to a store.

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Seek, SeekFrom};

use quorate_proto::{Address, Domain};
use quorate_storage::{
    Conflict, Import, Imported, MAX_SIGNING_KEYS, SigningEntry, StoreError, Verdict, WriteQueue,
    standing,
};

use super::read::{Sink, address, read};
use super::{Clash, FORMAT, LogError, LogSummary, Metadata, OLDEST_VERSION, STRIDE, VERSION, text};
use crate::clock;

/// Entries written at a time: of 200 bytes each, a fifth of the largest batch.
const GROUP: usize = 4_096;

/// Adds what is in `file` to the log of an operator, in a store of this network: all of it, or nothing
/// where anything in it is wrong or contradicts the store. `progress` hears the number of entries now
/// and then, from 0 again when all is checked and writing begins.
///
/// # Errors
/// [`LogError`] says what is wrong. Where it is the store that fails half-way, what was added stays,
/// and the same call goes on.
pub fn import(
    queue: &WriteQueue,
    domain: &Domain,
    operator: Address,
    mut file: impl Read + Seek,
    mut progress: impl FnMut(u64),
) -> Result<LogSummary, LogError> {
    let forgotten_before = queue
        .signing_log()
        .forgotten_before(&operator.into_array())?;
    let mut check = Check {
        queue,
        forgotten_before,
        network: domain.network().to_string(),
        operator,
        head: None,
        count: Count::new(&mut progress),
    };
    read(BufReader::new(&mut file), &mut check)?;
    let Some(head) = check.head.take() else {
        return Err(LogError::Malformed("it has no metadata".into()));
    };
    file.seek(SeekFrom::Start(0))?;
    let mut write = Write {
        queue,
        forgotten_before,
        group: Vec::with_capacity(GROUP),
        summary: head.summary.clone(),
        count: Count::new(&mut progress),
    };
    read(BufReader::new(&mut file), &mut write)?;
    write.flush()?;
    write.finish(operator, &head)
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

/// Numbers that other programs write exactly, too; as milliseconds they last 285,000 years. An
/// operator's own sequences go on above an imported one.
const MAX_SEQUENCE: u64 = 1 << 53;

/// What the first reading found.
struct Head {
    summary: LogSummary,
    import: Import,
    forgotten_before: u32,
}

/// The first reading.
struct Check<'a> {
    queue: &'a WriteQueue,
    /// Where an older entry was removed here, another fact may have been signed since: that one stays.
    forgotten_before: u32,
    network: String,
    operator: Address,
    head: Option<Head>,
    count: Count<'a>,
}

impl Check<'_> {
    fn check(&self, metadata: &Metadata) -> Result<(), LogError> {
        if metadata.format != FORMAT {
            let text = format!("its format is {:?}, not {FORMAT:?}", metadata.format);
            return Err(LogError::Malformed(text));
        }
        if !(OLDEST_VERSION..=VERSION).contains(&metadata.version) {
            let found = metadata.version;
            return Err(LogError::Version { found });
        }
        let named = |name: &str, text: &str| address(name, text).map_err(LogError::Malformed);
        let registry = named("its registry", &metadata.registry)?;
        let found = Domain::new(metadata.home_chain_id, registry)
            .network()
            .to_string();
        if found != self.network {
            let expected = self.network.clone();
            return Err(LogError::Network { found, expected });
        }
        let found = named("its operator", &metadata.operator)?;
        if found != self.operator {
            let expected = self.operator;
            return Err(LogError::Operator { found, expected });
        }
        if metadata.sequence > MAX_SEQUENCE {
            let sequence = metadata.sequence;
            let text = format!("the sequence {sequence} is no time in milliseconds");
            return Err(LogError::Malformed(text));
        }
        Ok(())
    }
}

/// The keys that a file names, each once.
fn keys(metadata: &Metadata) -> Result<Vec<[u8; 20]>, LogError> {
    let names = metadata.signing_keys.iter();
    let keys = names.map(|name| address("its signing key", name).map(Address::into_array));
    let keys: Vec<_> = keys
        .collect::<Result<_, _>>()
        .map_err(LogError::Malformed)?;
    if keys.len() > MAX_SIGNING_KEYS {
        let text = format!("it has more than {MAX_SIGNING_KEYS} keys");
        return Err(LogError::Malformed(text));
    }
    let distinct: BTreeSet<_> = keys.iter().collect();
    if distinct.len() < keys.len() {
        return Err(LogError::Malformed("one of its keys is there twice".into()));
    }
    Ok(keys)
}

impl Sink for Check<'_> {
    fn metadata(&mut self, metadata: Metadata) -> Result<(), LogError> {
        self.check(&metadata)?;
        // What was signed after the export has a higher sequence, whatever the clocks say.
        let until = metadata.sequence.min(metadata.exported_ms);
        self.head = Some(Head {
            summary: LogSummary::of(&metadata),
            import: Import {
                keys: keys(&metadata)?,
                sequence: metadata.sequence,
                whole_until_ms: metadata.complete.then_some(until),
                seen_epoch: metadata.seen_epoch,
            },
            // No log can lack more than what was there.
            forgotten_before: metadata.forgotten_before.min(metadata.seen_epoch),
        });
        Ok(())
    }

    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError> {
        self.count.one_more();
        match self.queue.signing_log().check(&entry)? {
            Verdict::Fresh | Verdict::Same { .. } => Ok(()),
            Verdict::Conflict(_) if entry.epoch < self.forgotten_before => Ok(()),
            Verdict::Conflict(conflict) => Err(clash(&conflict)),
        }
    }
}

/// The second reading.
struct Write<'a> {
    queue: &'a WriteQueue,
    forgotten_before: u32,
    group: Vec<SigningEntry>,
    summary: LogSummary,
    count: Count<'a>,
}

impl Write<'_> {
    fn flush(&mut self) -> Result<(), LogError> {
        let written = self.queue.signing_log().import(&self.group);
        let Imported { added, .. } = written.map_err(|error| match error {
            StoreError::Conflict(conflict) => clash(&conflict),
            other => other.into(),
        })?;
        self.summary.added += added;
        self.summary.entries += self.group.len() as u64;
        self.group.clear();
        Ok(())
    }

    /// All entries are on disk: now the log may count as whole.
    fn finish(mut self, operator: Address, head: &Head) -> Result<LogSummary, LogError> {
        let (signers, operator) = (self.queue.signers(), operator.into_array());
        let log = self.queue.signing_log();
        log.mark_forgotten(&operator, head.forgotten_before)?
            .wait()?;
        let now = clock::now().millis();
        signers.imported(&operator, &head.import, now)?.wait()?;
        self.summary.usable = standing(&signers.get(&operator)?).is_usable();
        Ok(self.summary)
    }
}

impl Sink for Write<'_> {
    fn metadata(&mut self, _: Metadata) -> Result<(), LogError> {
        Ok(())
    }

    fn entry(&mut self, entry: SigningEntry) -> Result<(), LogError> {
        self.count.one_more();
        let old = entry.epoch < self.forgotten_before;
        if old
            && matches!(
                self.queue.signing_log().check(&entry)?,
                Verdict::Conflict(_)
            )
        {
            return Ok(());
        }
        self.group.push(entry);
        match self.group.len() < GROUP {
            true => Ok(()),
            false => self.flush(),
        }
    }
}

fn clash(conflict: &Conflict) -> LogError {
    let (asked, recorded) = (&conflict.asked, &conflict.recorded);
    LogError::Conflict(Box::new(Clash {
        operator: asked.operator.into(),
        slot: text(&asked.slot),
        found: text(&asked.fact),
        found_task: text(&asked.task),
        found_epoch: asked.epoch,
        recorded: text(&recorded.fact),
        recorded_task: text(&recorded.task),
        recorded_epoch: recorded.epoch,
    }))
}
