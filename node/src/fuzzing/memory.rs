//! A store that is on no disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_storage::{
    Batch, Engine, Identity, KeyRange, Op, Order, RawRows, Store, StoreError, TableDef,
};

type Rows = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// A clone is another handle to the same rows.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Rows>>);

/// An empty store of this network.
pub(crate) fn store(network: &str) -> Store {
    Memory::default().store(network)
}

impl Memory {
    /// The store of this network that is in it.
    pub(crate) fn store(&self, network: &str) -> Store {
        Store::with_engine(self.clone(), &Identity::new(network)).expect("a store")
    }

    /// Another one with the same rows.
    #[cfg(test)]
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.rows().clone())))
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for Memory {
    fn get(&self, table: TableDef, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(&(table.id, key.to_vec())).cloned())
    }

    fn write(&self, batch: &Batch, _sync: bool) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for op in batch.ops() {
            match op.clone() {
                Op::Put { table, key, value } => rows.insert((table.id, key), value),
                Op::Delete { table, key } => rows.remove(&(table.id, key)),
            };
        }
        Ok(())
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
        let rows = self.rows();
        let end = range.end.clone().map(|end| (table.id, end));
        let end = end.unwrap_or((table.id.saturating_add(1), Vec::new()));
        let found = rows.range((table.id, range.start.clone())..end);
        let found = found.map(|((_, key), value)| Ok((key.clone(), value.clone())));
        match order {
            Order::Ascending => RawRows::gather(found, limit),
            Order::Descending => RawRows::gather(found.rev(), limit),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn compact(&self, _table: TableDef) -> Result<(), StoreError> {
        Ok(())
    }
}
