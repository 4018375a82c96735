use std::{
    borrow::Borrow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use prost::Message;

use self::{failstop::FailStop, folder::Folder};
use crate::{
    Batch, Durability, EncodeKey, Engine, EngineKind, Key, MAX_BATCH_BYTES, Page, PrefixOf, Rows,
    StoreError, Table, TableDef, schema, signing::Reserved,
};

mod copy;
mod failstop;
mod folder;
mod identity;

pub use self::{failstop::FailureWatch, identity::Identity};

#[cfg(test)]
mod tests;

/// Layout of the tables in [`schema`]. A store of any other version is refused.
pub const SCHEMA_VERSION: u32 = 3;

/// One open store. A clone is another handle to the same one; the last to go closes it.
///
/// # Contract
///
/// Reads block for at most a disk access and see every write acknowledged before they began. The
/// first write that fails is the last one tried: from then on every write is refused with
/// [`StoreError::Stopped`], because what reached the disk is uncertain and a node that does not
/// know what it wrote must not sign.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Box<dyn Engine>,
    path: PathBuf,
    /// Held over "is it still writing?" and the write, so that nothing slips in behind a failure.
    commits: Mutex<()>,
    failure: FailStop,
    reserved: Reserved,
    /// Behind the engine: the lock goes when the engine has closed.
    folder: Option<Folder>,
}

impl Store {
    /// Opens the store in the folder `path`, creating both where they do not exist.
    ///
    /// Refuses, without changing anything, a store that another process holds, that the other
    /// engine created, that has another schema version or belongs to another network, and one that
    /// has lost its identity: that one has forgotten what it signed.
    pub fn open(
        path: impl AsRef<Path>,
        kind: EngineKind,
        identity: &Identity,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let mut folder = Folder::lock(path, kind)?;
        let engine = kind.open(&folder.engine_dir(), schema::ALL)?;
        identity::admit(engine.as_ref(), path, identity, folder.is_ready())?;
        folder.make_ready()?;
        tracing::debug!(path = %path.display(), engine = %kind, "store opened");
        Ok(Self::assemble(engine, path.to_owned(), Some(folder)))
    }

    /// Opens the store that is in the folder `path`, whatever its engine and network, for commands
    /// that are given nothing but the folder.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none; otherwise as [`Store::open`].
    pub fn open_existing(path: impl AsRef<Path>) -> Result<(Self, Identity), StoreError> {
        let path = path.as_ref();
        let missing = || StoreError::Missing {
            path: path.to_owned(),
        };
        let kind = folder::engine_of(path)?.ok_or_else(missing)?;
        let mut folder = Folder::lock(path, kind)?;
        if !folder.is_ready() {
            return Err(missing());
        }
        let engine = kind.open(&folder.engine_dir(), schema::ALL)?;
        // One that was ready and says nothing has lost its identity; `admit` names that.
        let identity = identity::found(engine.as_ref())?.unwrap_or_else(|| Identity::new(""));
        identity::admit(engine.as_ref(), path, &identity, true)?;
        folder.make_ready()?;
        let store = Self::assemble(engine, path.to_owned(), Some(folder));
        Ok((store, identity))
    }

    /// A store on an engine made elsewhere, for tests that need one which fails or waits on demand.
    pub fn with_engine(engine: impl Engine, identity: &Identity) -> Result<Self, StoreError> {
        let path = PathBuf::from("(no folder)");
        identity::admit(&engine, &path, identity, false)?;
        Ok(Self::assemble(Box::new(engine), path, None))
    }

    fn assemble(engine: Box<dyn Engine>, path: PathBuf, folder: Option<Folder>) -> Self {
        let inner = Inner {
            engine,
            path,
            commits: Mutex::default(),
            failure: FailStop::new(),
            reserved: Reserved::default(),
            folder,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The folder it was opened in.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The value under `key`.
    pub fn get<K, V, Q>(&self, table: Table<K, V>, key: &Q) -> Result<Option<V>, StoreError>
    where
        K: Key + Borrow<Q>,
        V: Message + Default,
        Q: EncodeKey + ?Sized,
    {
        let key = key.key_bytes();
        let found = self.inner.engine.get(table.def(), &key)?;
        found
            .map(|value| table.decode_value(&key, &value))
            .transpose()
    }

    /// One page of the rows whose keys begin with `prefix`; `&()` reads the whole table.
    ///
    /// ```ignore
    /// let newest = store.scan(TASK_TIMES, &(), Page::newest(50))?;
    /// let older = store.scan(TASK_TIMES, &(), Page::newest(50).after(newest.next))?;
    /// ```
    pub fn scan<K, V, P>(
        &self,
        table: Table<K, V>,
        prefix: &P,
        page: Page<K>,
    ) -> Result<Rows<K, V>, StoreError>
    where
        K: Key,
        V: Message + Default,
        P: PrefixOf<K> + ?Sized,
    {
        let range = page.range(prefix.key_bytes());
        let raw = self
            .inner
            .engine
            .scan(table.def(), &range, page.order(), page.limit())?;
        table.decode_rows(raw)
    }

    /// Every row whose key begins with `prefix`, fetched page by page in ascending order. Rows
    /// written meanwhile may or may not appear.
    pub fn rows<K, V, P>(
        &self,
        table: Table<K, V>,
        prefix: &P,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>>
    where
        K: Key,
        V: Message + Default,
        P: PrefixOf<K> + ?Sized,
    {
        let mut page = Some(Page::first(usize::MAX));
        std::iter::from_fn(move || {
            let rows = self.scan(table, prefix, page.take()?);
            Some(rows.map(|rows| {
                page = rows.next.map(|key| Page::first(usize::MAX).after(key));
                rows.rows
            }))
        })
        .flat_map(|page| match page {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Writes `batch` before returning, for commands and tests. A node writes through a
    /// [`crate::WriteQueue`], where many batches share one sync.
    pub fn write(&self, batch: &Batch, durability: Durability) -> Result<(), StoreError> {
        check_size(batch)?;
        self.commit(batch, durability == Durability::Synced)
    }

    /// Returns when everything written so far is on disk.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.attempt(Engine::flush)
    }

    /// Gives the disk back that removed rows of a table take. Blocks for seconds per gigabyte, while
    /// others read and write.
    pub fn compact(&self, table: TableDef) -> Result<(), StoreError> {
        self.inner.engine.compact(table)
    }

    /// The failure that ended writing, if one did.
    pub fn failed(&self) -> Option<StoreError> {
        self.inner.failure.cause()
    }

    /// A future of that failure, to end a node by.
    pub fn failure(&self) -> FailureWatch {
        self.inner.failure.watch()
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.inner.engine.as_ref()
    }

    /// What the signing log is about to write.
    pub(crate) fn reserved(&self) -> &Reserved {
        &self.inner.reserved
    }

    /// The one way in which data reach the engine.
    pub(crate) fn commit(&self, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        self.attempt(|engine| engine.write(batch, sync))
    }

    /// Runs one writing step, unless an earlier one failed; a panic of the engine is a failure too.
    fn attempt(
        &self,
        step: impl FnOnce(&dyn Engine) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let _turn = self
            .inner
            .commits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = self.failed() {
            return Err(cause.stopped_by());
        }
        let engine = self.inner.engine.as_ref();
        let done = catch_unwind(AssertUnwindSafe(|| step(engine))).unwrap_or_else(|panic| {
            Err(StoreError::from_text(
                "write",
                format!("the engine panicked: {}", text_of(&panic)),
            ))
        });
        done.inspect_err(|cause| {
            tracing::error!(%cause, "the store stops writing");
            self.inner.failure.stop(cause.clone());
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

/// Whether a batch may be written at all.
pub(crate) fn check_size(batch: &Batch) -> Result<(), StoreError> {
    if batch.bytes() <= MAX_BATCH_BYTES {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        bytes: batch.bytes(),
        limit: MAX_BATCH_BYTES,
    })
}

fn text_of(panic: &Box<dyn std::any::Any + Send>) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
