use std::{collections::BTreeSet, path::Path};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRawIterator, DBRecoveryMode, ErrorKind, LogLevel, Options, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{Engine, KeyRange, Order, RawRows};
use crate::{Access, Batch, Op, StoreError, TableDef};

// Memory: the node has 100 MB. RocksDB gets
//    8 MB memtables over all tables (this bounds their sum; one table holds 2 MB at most)
// +  8 MB block cache, which index and filter blocks share
// +  8 MB what compaction reads and writes: 2 jobs, read-ahead of 2 MB, output buffers of 1 MB
// +  5 MB 256 open files with about 20 kB of table reader each
// = 29 MB at most, and about half of it while a store is small.
const MEMTABLES: usize = 8 << 20;
const MEMTABLE: usize = 2 << 20;
/// Memtables grow by this: 12 tables with one row each hold 0.75 MB and not 12 x 512 kB.
const ARENA: usize = 64 << 10;
const BLOCK_CACHE: usize = 8 << 20;
const OPEN_FILES: i32 = 256;
/// Four times the memtables: a rarely written table does not force a flush, and a start replays
/// 32 MB in under a second.
const WAL: u64 = 32 << 20;
/// As large as a full set of memtables, so that compaction works on few files.
const TABLE_FILE: u64 = 16 << 20;
/// 1 % false positives.
const BLOOM_BITS: f64 = 10.0;

/// Tables are column families; they share one write-ahead log, which makes a batch over several of
/// them atomic.
pub(super) struct RocksDb {
    db: DB,
}

impl RocksDb {
    pub(super) fn open(dir: &Path, tables: &[TableDef]) -> Result<Self, StoreError> {
        let cache = Cache::new_lru_cache(BLOCK_CACHE);
        let options = db_options();
        let families = families(&options, dir, tables, &cache)?;
        let db = DB::open_cf_descriptors(&options, dir, families).map_err(|e| opening(dir, &e))?;
        Ok(Self { db })
    }

    fn family(&self, table: TableDef) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(table.name)
            .ok_or_else(|| StoreError::corrupt(table.name, &[], "the table is missing"))
    }
}

impl Engine for RocksDb {
    fn get(&self, table: TableDef, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db
            .get_cf(self.family(table)?, key)
            .map_err(|e| failed(table.name, "read", &e))
    }

    fn write(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for op in batch.ops() {
            match op {
                Op::Put { table, key, value } => writes.put_cf(self.family(*table)?, key, value),
                Op::Delete { table, key } => writes.delete_cf(self.family(*table)?, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db
            .write_opt(writes, &options)
            .map_err(|e| failed("rocksdb", "write", &e))
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
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(range.start.clone());
        if let Some(end) = &range.end {
            options.set_iterate_upper_bound(end.clone());
        }
        let mut cursor = self.db.raw_iterator_cf_opt(self.family(table)?, options);
        match order {
            Order::Ascending => cursor.seek_to_first(),
            Order::Descending => cursor.seek_to_last(),
        }
        RawRows::gather(Walk { cursor, order }, limit).map_err(|e| failed(table.name, "scan", &e))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.db
            .flush_wal(true)
            .map_err(|e| failed("rocksdb", "flush", &e))
    }

    fn compact(&self, table: TableDef) -> Result<(), StoreError> {
        let family = self.family(table)?;
        self.db
            .flush_cf(family)
            .map_err(|e| failed(table.name, "flush", &e))?;
        self.db
            .compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    /// Table files never change and are linked where the disk is the same; what is in memory is
    /// written out first. Writes go on meanwhile.
    fn copy_to(&self, dir: &Path) -> Result<(), StoreError> {
        let action = format!("copy the store to {}", dir.display());
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(dir))
            .map_err(|e| failed("rocksdb", &action, &e))
    }
}

/// The rows under a cursor that already stands on the first one.
struct Walk<'a> {
    cursor: DBRawIterator<'a>,
    order: Order,
}

impl Iterator for Walk<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>), rocksdb::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some((key, value)) = self.cursor.item() else {
            return self.cursor.status().err().map(Err);
        };
        let row = (key.to_vec(), value.to_vec());
        match self.order {
            Order::Ascending => self.cursor.next(),
            Order::Descending => self.cursor.prev(),
        }
        Some(Ok(row))
    }
}

fn db_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(MEMTABLES);
    options.set_max_total_wal_size(WAL);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1 << 20);
    // The signing log must never lose its middle in silence: a torn end is cut, any other damage
    // refuses to open.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(4 << 20);
    options.set_keep_log_file_num(4);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

fn table_options(access: Access, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if access == Access::Point {
        blocks.set_bloom_filter(BLOOM_BITS, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(MEMTABLE);
    options.set_arena_block_size(ARENA);
    options.set_target_file_size_base(TABLE_FILE);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

/// The declared tables and, so that a newer store opens far enough to tell its version, any others
/// found on disk.
fn families(
    options: &Options,
    dir: &Path,
    tables: &[TableDef],
    cache: &Cache,
) -> Result<Vec<ColumnFamilyDescriptor>, StoreError> {
    let mut unknown = BTreeSet::from(["default".to_owned()]);
    if dir.join("CURRENT").exists() {
        unknown.extend(DB::list_cf(options, dir).map_err(|e| opening(dir, &e))?);
    }
    for table in tables {
        unknown.remove(table.name);
    }
    let known = tables
        .iter()
        .map(|table| (table.name.to_owned(), table.access));
    let unknown = unknown.into_iter().map(|name| (name, Access::Scan));
    let descriptor =
        |(name, access)| ColumnFamilyDescriptor::new(name, table_options(access, cache));
    Ok(known.chain(unknown).map(descriptor).collect())
}

fn opening(dir: &Path, error: &rocksdb::Error) -> StoreError {
    let text = error.as_ref();
    if text.contains("lock hold by current process") || text.contains("While lock file") {
        return StoreError::Locked {
            path: dir.to_owned(),
        };
    }
    failed("rocksdb", &format!("open store {}", dir.display()), error)
}

fn failed(table: &str, action: &str, error: &rocksdb::Error) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => StoreError::corrupt(table, &[], error.as_ref()),
        _ => StoreError::from_text(format!("{action} ({table})"), error.as_ref()),
    }
}
