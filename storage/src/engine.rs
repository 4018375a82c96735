use std::{fmt, path::Path, str::FromStr};

use crate::{Batch, StoreError, TableDef};

mod rocksdb;
mod sled;

/// A key-value store with tables, ordered keys and atomic batches: the least that two engines
/// share.
///
/// # Contract
///
/// - A batch is applied whole or not at all, across tables, in memory and after a crash.
/// - Later operations of a batch win over earlier ones on the same key; batches apply in the order
///   of the calls.
/// - A scan sees each batch whole or not at all.
/// - After a `write` with `sync`, that batch and every earlier one survive the loss of power.
///   Without it they survive a kill of the process on RocksDB; sled may lose the last moments (see
///   the engine).
pub trait Engine: Send + Sync + 'static {
    /// The value under `key`.
    fn get(&self, table: TableDef, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Applies `batch`; with `sync` returns only when it is on disk.
    fn write(&self, batch: &Batch, sync: bool) -> Result<(), StoreError>;

    /// At most `limit` rows of `range`, and no further row once [`crate::MAX_PAGE_BYTES`] are
    /// gathered.
    fn scan(
        &self,
        table: TableDef,
        range: &KeyRange,
        order: Order,
        limit: usize,
    ) -> Result<RawRows, StoreError>;

    /// Returns when everything written so far is on disk.
    fn flush(&self) -> Result<(), StoreError>;

    /// Gives the disk back that removed rows of a table take; takes seconds per gigabyte. Reads and
    /// writes go on meanwhile. An engine that uses their room again by itself does nothing.
    fn compact(&self, table: TableDef) -> Result<(), StoreError>;

    /// Leaves in `dir`, which does not exist yet, what the engine would open as all batches up to
    /// some moment and none after it, on disk.
    fn copy_to(&self, dir: &Path) -> Result<(), StoreError> {
        let context = format!("copy the store to {}", dir.display());
        Err(StoreError::from_text(
            context,
            "this engine makes no copies",
        ))
    }
}

/// Keys from `start` up to, and without, `end`; no `end` means to the end of the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// First key, included.
    pub start: Vec<u8>,
    /// Excluded end.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: Vec<u8>) -> Self {
        Self {
            end: successor(&prefix),
            start: prefix,
        }
    }

    /// What is left of the range behind `key`, in the given direction.
    pub fn after(mut self, key: Vec<u8>, order: Order) -> Self {
        match order {
            Order::Ascending => {
                let mut next = key;
                next.push(0);
                self.start = self.start.max(next);
            }
            Order::Descending => self.end = Some(self.end.map_or(key.clone(), |end| end.min(key))),
        }
        self
    }

    /// Whether no key can be inside.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The first key behind all keys with this prefix; `None` when only 0xff stands there.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// The direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Greatest key first: newest first where keys begin with a time.
    Descending,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawRows {
    /// Keys with their values, in the order asked for.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the range holds more behind the last row.
    pub more: bool,
}

impl RawRows {
    /// Takes rows until `limit` or [`crate::MAX_PAGE_BYTES`], of which the first row is never the
    /// victim.
    pub fn gather<K, V, E>(
        rows: impl Iterator<Item = Result<(K, V), E>>,
        limit: usize,
    ) -> Result<Self, E>
    where
        K: Into<Vec<u8>>,
        V: Into<Vec<u8>>,
    {
        let (mut page, mut bytes) = (Self::default(), 0);
        for row in rows {
            let (key, value) = row?;
            if page.rows.len() >= limit || bytes >= crate::MAX_PAGE_BYTES {
                page.more = true;
                break;
            }
            let (key, value) = (key.into(), value.into());
            bytes += key.len() + value.len();
            page.rows.push((key, value));
        }
        Ok(page)
    }
}

/// Which engine keeps the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineKind {
    /// RocksDB, the default: in production everywhere, written in C++.
    #[default]
    RocksDb,
    /// sled: needs nothing but Rust. It cuts a damaged log at the damage without a word, and its
    /// own housekeeping does not order its writes for a loss of power: prefer RocksDB where keys
    /// sign for stake.
    Sled,
}

impl EngineKind {
    /// Every engine there is.
    pub const ALL: [Self; 2] = [Self::RocksDb, Self::Sled];

    /// The name in settings, and of the engine's folder inside the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::RocksDb => "rocksdb",
            Self::Sled => "sled",
        }
    }

    /// Opens or creates the engine's files in `dir`.
    pub(crate) fn open(
        self,
        dir: &Path,
        tables: &[TableDef],
    ) -> Result<Box<dyn Engine>, StoreError> {
        match self {
            Self::RocksDb => Ok(Box::new(rocksdb::RocksDb::open(dir, tables)?)),
            Self::Sled => Ok(Box::new(sled::Sled::open(dir)?)),
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| format!("unknown storage engine {text:?}; use rocksdb or sled"))
    }
}
