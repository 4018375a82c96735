use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex},
};

use quorate_storage::{Batch, Engine, KeyRange, Op, Order, RawRows, Store, StoreError, TableDef};

use crate::support::identity;

type Rows = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// An engine in memory that fails or waits on demand and notes what it is asked for.
#[derive(Clone, Default)]
pub(crate) struct Double {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    rows: Mutex<Rows>,
    failure: Mutex<Option<StoreError>>,
    panics: Mutex<bool>,
    shut: Mutex<bool>,
    moved: Condvar,
    writes: Mutex<Vec<(usize, bool)>>,
}

impl Double {
    pub(crate) fn store(&self) -> Store {
        Store::with_engine(self.clone(), &identity()).unwrap()
    }

    /// Every write from now on fails.
    pub(crate) fn fail_with(&self, failure: StoreError) {
        *self.inner.failure.lock().unwrap() = Some(failure);
    }

    pub(crate) fn panic(&self) {
        *self.inner.panics.lock().unwrap() = true;
    }

    pub(crate) fn mend(&self) {
        *self.inner.failure.lock().unwrap() = None;
    }

    /// Writes wait until [`Double::let_pass`].
    pub(crate) fn hold_back(&self) {
        *self.inner.shut.lock().unwrap() = true;
    }

    pub(crate) fn let_pass(&self) {
        *self.inner.shut.lock().unwrap() = false;
        self.inner.moved.notify_all();
    }

    /// Operations and sync flag of every write that reached the engine.
    pub(crate) fn writes(&self) -> Vec<(usize, bool)> {
        self.inner.writes.lock().unwrap().clone()
    }

    /// Waits until the engine has been asked for `count` writes.
    pub(crate) fn until_asked(&self, count: usize) {
        while self.writes().len() < count {
            std::thread::yield_now();
        }
    }
}

impl Engine for Double {
    fn get(&self, table: TableDef, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .inner
            .rows
            .lock()
            .unwrap()
            .get(&(table.id, key.to_vec()))
            .cloned())
    }

    fn write(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.inner
            .writes
            .lock()
            .unwrap()
            .push((batch.ops().len(), sync));
        drop(
            self.inner
                .moved
                .wait_while(self.inner.shut.lock().unwrap(), |shut| *shut)
                .unwrap(),
        );
        if let Some(failure) = self.inner.failure.lock().unwrap().clone() {
            return Err(failure);
        }
        assert!(
            !*self.inner.panics.lock().unwrap(),
            "the double panics as told"
        );
        let mut rows = self.inner.rows.lock().unwrap();
        for op in batch.ops() {
            match op.clone() {
                Op::Put { table, key, value } => rows.insert((table.id, key), value),
                Op::Delete { table, key } => rows.remove(&(table.id, key)),
            };
        }
        Ok(())
    }

    fn compact(&self, _table: TableDef) -> Result<(), StoreError> {
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
        let rows = self.inner.rows.lock().unwrap();
        let end = range
            .end
            .clone()
            .map_or((table.id + 1, vec![]), |end| (table.id, end));
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
}
