use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    mem,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{Engine, KeyRange, Order, RawRows};
use crate::{Batch, Op, StoreError, TableDef};

/// As much as RocksDB's block cache. sled takes it for a hint: under a full load of small rows the
/// process holds 80 MB where RocksDB holds 40, and more while values are larger than 128 kB.
const CACHE: u64 = 16 << 20;
/// Unsynced writes wait this long at most in the memory of the process.
const FLUSH_EVERY_MS: u64 = 200;
/// A store closed a moment ago may still hold its lock while sled's threads end: 50 x 20 ms = 1 s.
const OPEN_ATTEMPTS: u32 = 50;
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// One tree for all tables, each key behind its table's id byte.
///
/// # Design Decisions
///
/// - A batch on one tree and a transaction over many trees are sealed by the same manifest in
///   sled's log, so both are atomic after a crash. The batch needs no optimistic retries, no
///   closure that runs twice, and creates no trees, which sled does outside any batch.
/// - sled's iterators look at each key on its own; a lock between `write` and `scan` lets a scan
///   see whole batches.
/// - sled's `flush` hands pages to the disk with `sync_file_range`, which promises nothing after a
///   loss of power, and never syncs the files of large values. A synced write therefore syncs both
///   itself.
pub(super) struct Sled {
    tree: sled::Tree,
    gate: RwLock<()>,
    disk: Disk,
    db: sled::Db,
    broken: AtomicBool,
}

impl Sled {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let db = open_patiently(dir)?;
        let disk = Disk::open(dir)?;
        let tree = (*db).clone();
        Ok(Self {
            tree,
            gate: RwLock::default(),
            disk,
            db,
            broken: AtomicBool::new(false),
        })
    }

    /// One step of writing. Unless it comes to a good end, by error or by panic, sled is broken.
    fn attempt<T>(
        &self,
        action: &str,
        step: impl FnOnce() -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        self.broken.store(true, Ordering::Relaxed);
        let done = step().map_err(|e| failed("sled", action, e))?;
        self.broken.store(false, Ordering::Relaxed);
        Ok(done)
    }
}

/// After a failed write sled waits for ever, when it closes, for the log space of that write.
/// Such a store is left open; nothing more is written and the process is about to end.
impl Drop for Sled {
    fn drop(&mut self) {
        if self.broken.load(Ordering::Relaxed) {
            mem::forget(self.db.clone());
        }
    }
}

impl Engine for Sled {
    fn get(&self, table: TableDef, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .tree
            .get(row_key(table, key))
            .map_err(|e| failed(table.name, "read", e))?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn write(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let mut writes = sled::Batch::default();
        for op in batch.ops() {
            match op {
                Op::Put { table, key, value } => {
                    writes.insert(row_key(*table, key), value.as_slice())
                }
                Op::Delete { table, key } => writes.remove(row_key(*table, key)),
            }
        }
        {
            let _whole = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.attempt("write", || self.tree.apply_batch(writes))?;
        }
        if sync { self.flush() } else { Ok(()) }
    }

    fn scan(
        &self,
        table: TableDef,
        range: &KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<RawRows, StoreError> {
        if range.is_empty() {
            return Ok(RawRows::default());
        }
        let start = row_key(table, &range.start);
        let end = range
            .end
            .as_ref()
            .map_or(vec![table.id + 1], |end| row_key(table, end));
        let _whole = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let rows = self.tree.range(start..end);
        match order {
            Order::Ascending => RawRows::gather(rows.map(without_table), limit),
            Order::Descending => RawRows::gather(rows.rev().map(without_table), limit),
        }
        .map_err(|e| failed(table.name, "scan", e))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.attempt("flush", || self.tree.flush())?;
        self.disk.sync()
    }

    /// sled's own housekeeping uses the room of removed rows again.
    fn compact(&self, _table: TableDef) -> Result<(), StoreError> {
        Ok(())
    }

    /// Row by row. sled has no snapshots, so writes wait meanwhile.
    fn copy_to(&self, dir: &Path) -> Result<(), StoreError> {
        let copy = Self::open(dir)?;
        let _whole = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for row in self.tree.iter() {
            let (key, value) = row.map_err(|e| failed("sled", "copy", e))?;
            bytes += key.len() + value.len();
            batch.insert(key, value);
            if bytes >= crate::MAX_BATCH_BYTES {
                let full = std::mem::take(&mut batch);
                copy.attempt("copy", || copy.tree.apply_batch(full))?;
                bytes = 0;
            }
        }
        copy.attempt("copy", || copy.tree.apply_batch(batch))?;
        copy.flush()
    }
}

/// The files behind sled's back: its log, and a folder with one file for each value too large for
/// the log.
struct Disk {
    log: File,
    blobs: PathBuf,
    synced: Mutex<BTreeSet<OsString>>,
}

impl Disk {
    fn open(dir: &Path) -> Result<Self, StoreError> {
        let log = File::open(dir.join("db"))
            .map_err(|e| StoreError::from_io("open the log of sled", &e))?;
        Ok(Self {
            log,
            blobs: dir.join("blobs"),
            synced: Mutex::default(),
        })
    }

    fn sync(&self) -> Result<(), StoreError> {
        let failed = |e| StoreError::from_io("sync sled", &e);
        self.sync_blobs().map_err(failed)?;
        self.log.sync_data().map_err(failed)
    }

    /// Syncs the blobs that came since the last call. One that is gone again was replaced by a
    /// later write.
    fn sync_blobs(&self) -> std::io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let mut present = BTreeSet::new();
        for blob in fs::read_dir(&self.blobs)? {
            present.insert(blob?.file_name());
        }
        for blob in present.difference(&synced) {
            match File::open(self.blobs.join(blob)) {
                Ok(file) => file.sync_all()?,
                Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
                Err(other) => return Err(other),
            }
        }
        if present.iter().any(|blob| !synced.contains(blob)) {
            File::open(&self.blobs)?.sync_all()?;
        }
        *synced = present;
        Ok(())
    }
}

/// The store's own lock is held by now, so a lock found here is a closing store of this process.
fn open_patiently(dir: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(CACHE)
        .flush_every_ms(Some(FLUSH_EVERY_MS));
    for _ in 1..OPEN_ATTEMPTS {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(OPEN_PAUSE);
            }
            other => {
                return other
                    .map_err(|e| failed("sled", &format!("open store {}", dir.display()), e));
            }
        }
    }
    Err(StoreError::Locked {
        path: dir.to_owned(),
    })
}

fn row_key(table: TableDef, key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(table.id);
    row.extend_from_slice(key);
    row
}

fn without_table(row: sled::Result<(sled::IVec, sled::IVec)>) -> sled::Result<(Vec<u8>, Vec<u8>)> {
    row.map(|(key, value)| (key.get(1..).unwrap_or_default().to_vec(), value.to_vec()))
}

fn failed(table: &str, action: &str, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) => StoreError::from_io(format!("{action} ({table})"), &error),
        sled::Error::Corruption { .. } => StoreError::corrupt(table, &[], error.to_string()),
        other => StoreError::from_text(format!("{action} ({table})"), other.to_string()),
    }
}
