use std::{borrow::Borrow, fmt, marker::PhantomData};

use prost::Message;

use crate::{
    KeyRange, Order, RawRows, StoreError,
    key::{EncodeKey, Key, decode_whole},
    overlay::Hold,
};

/// Largest batch: 4 MiB hold a task with the responses and evidence of 1,000 operators at 4 kB
/// each.
pub const MAX_BATCH_BYTES: usize = 4 << 20;
/// Most rows of one page: 1,024 responses of 200 bytes are 200 kB; a set has fewer operators than
/// that.
pub const MAX_PAGE_ROWS: usize = 1024;
/// A page ends behind the row that brings it to this: 2 MiB, so that ten readers at once hold 20
/// MiB.
pub const MAX_PAGE_BYTES: usize = 2 << 20;

/// What an engine has to know of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableDef {
    /// One byte on disk in sled; never reused for another table.
    pub id: u8,
    /// Name on disk in RocksDB.
    pub name: &'static str,
    /// How it is read.
    pub access: Access,
}

/// How a table is mostly read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// By whole keys, often ones that are not there: worth a Bloom filter.
    Point,
    /// By ranges only.
    Scan,
}

/// A table with the types of its keys and values; see [`crate::schema`].
pub struct Table<K, V> {
    def: TableDef,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.def.fmt(f)
    }
}

impl<K, V> Table<K, V> {
    /// Tables are declared in [`crate::schema`] and nowhere else.
    pub(crate) const fn new(id: u8, name: &'static str, access: Access) -> Self {
        Self {
            def: TableDef { id, name, access },
            types: PhantomData,
        }
    }

    /// The table without its types.
    pub const fn def(self) -> TableDef {
        self.def
    }
}

impl<K: Key, V: Message + Default> Table<K, V> {
    pub(crate) fn decode_value(self, key: &[u8], value: &[u8]) -> Result<V, StoreError> {
        V::decode(value).map_err(|e| StoreError::corrupt(self.def.name, key, e.to_string()))
    }

    fn decode_row(self, key: &[u8], value: &[u8]) -> Result<(K, V), StoreError> {
        let wrong = || {
            StoreError::corrupt(
                self.def.name,
                key,
                "the key does not have the form of this table",
            )
        };
        let typed = decode_whole(key).ok_or_else(wrong)?;
        Ok((typed, self.decode_value(key, value)?))
    }

    pub(crate) fn decode_rows(self, raw: RawRows) -> Result<Rows<K, V>, StoreError> {
        let next = raw
            .rows
            .last()
            .filter(|_| raw.more)
            .and_then(|(key, _)| decode_whole(key));
        let rows = raw
            .rows
            .iter()
            .map(|(key, value)| self.decode_row(key, value))
            .collect::<Result<_, _>>()?;
        Ok(Rows { rows, next })
    }
}

/// One change of a batch, as engines see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets a value.
    Put {
        /// Where.
        table: TableDef,
        /// The encoded key.
        key: Vec<u8>,
        /// The encoded value.
        value: Vec<u8>,
    },
    /// Removes a key, which need not exist.
    Delete {
        /// Where.
        table: TableDef,
        /// The encoded key.
        key: Vec<u8>,
    },
}

/// Changes that reach the disk together or not at all, over any tables. On one key the last change
/// wins.
#[derive(Debug, Default)]
pub struct Batch {
    ops: Vec<Op>,
    bytes: usize,
    /// What overlays show of it.
    holds: Vec<Hold>,
}

impl Batch {
    /// What an operation costs beside its key and value: the enum and two allocations.
    const OP_OVERHEAD: usize = 96;

    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put<K, V, Q>(&mut self, table: Table<K, V>, key: &Q, value: &V) -> &mut Self
    where
        K: Key + Borrow<Q>,
        V: Message,
        Q: EncodeKey + ?Sized,
    {
        self.push(Op::Put {
            table: table.def,
            key: key.key_bytes(),
            value: value.encode_to_vec(),
        })
    }

    /// Removes `key`.
    pub fn delete<K, V, Q>(&mut self, table: Table<K, V>, key: &Q) -> &mut Self
    where
        K: Key + Borrow<Q>,
        Q: EncodeKey + ?Sized,
    {
        self.push(Op::Delete {
            table: table.def,
            key: key.key_bytes(),
        })
    }

    /// Takes over the changes of `later`, behind the ones already here.
    pub fn append(&mut self, later: Batch) {
        self.bytes += later.bytes;
        self.ops.extend(later.ops);
        self.holds.extend(later.holds);
    }

    /// Keeps something in its overlay until this batch is committed, refused or dropped.
    pub(crate) fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// The changes in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Memory it takes, roughly; what [`MAX_BATCH_BYTES`] bounds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    fn push(&mut self, op: Op) -> &mut Self {
        self.bytes += Self::OP_OVERHEAD
            + match &op {
                Op::Put { key, value, .. } => key.len() + value.len(),
                Op::Delete { key, .. } => key.len(),
            };
        self.ops.push(op);
        self
    }
}

/// Which part of a table to read: how many rows, in which direction, behind which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    after: Option<K>,
    order: Order,
    limit: usize,
}

impl<K> Page<K> {
    /// The first `limit` rows, smallest key first; at most [`MAX_PAGE_ROWS`].
    pub fn first(limit: usize) -> Self {
        Self {
            after: None,
            order: Order::Ascending,
            limit: limit.min(MAX_PAGE_ROWS),
        }
    }

    /// The last `limit` rows, greatest key first; at most [`MAX_PAGE_ROWS`].
    pub fn newest(limit: usize) -> Self {
        Self {
            order: Order::Descending,
            ..Self::first(limit)
        }
    }

    /// The same behind `key`, which is what [`Rows::next`] gave; `None` starts from the beginning.
    pub fn after(self, key: impl Into<Option<K>>) -> Self {
        Self {
            after: key.into(),
            ..self
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }
}

impl<K: Key> Page<K> {
    pub(crate) fn range(&self, prefix: Vec<u8>) -> KeyRange {
        let range = KeyRange::prefix(prefix);
        match &self.after {
            Some(key) => range.after(key.key_bytes(), self.order),
            None => range,
        }
    }
}

/// One page of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows<K, V> {
    /// The rows in the order asked for; fewer than the limit when values are large.
    pub rows: Vec<(K, V)>,
    /// Where the next page begins, for [`Page::after`]; `None` when this was the last.
    pub next: Option<K>,
}
