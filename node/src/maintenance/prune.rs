//! Removes the tasks of epochs that are not kept any more, little by little.
//!
//! Of each task go its statement, responses, certificate and places in lists, in one batch with the
//! mark that it was here. So a kill at any point leaves whole tasks and pruned ones, and the next run
//! goes on with what is left. Operator sets, evidence, and the updates from epoch to epoch with their
//! certificates are never removed; the signing log loses what can convict no more.

mod log;
mod marks;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_proto::store::{PrunedRecord, TaskRecord};
use quorate_proto::{Epoch, Statement, TaskId};
use quorate_storage::{Batch, Durability, Page, Store, TableDef, WriteQueue, schema};
use tokio_util::sync::CancellationToken;

pub(crate) use self::log::LogPruner;
pub(crate) use self::marks::was_pruned;
use crate::NodeError;
use crate::home::HomeHandle;
use crate::settings::LiveSettings;
use crate::tasks::inventory::TaskInventory;

/// Tasks that are removed with one batch: 40 of them with 100 operators are 4,000 responses, half a
/// megabyte of keys.
const AT_ONCE: usize = 40;
/// Pause after a batch: at most 4,000 tasks a second, and users' tasks come first.
const PAUSE: Duration = Duration::from_millis(10);
/// After as many removed tasks the engine is told to give the disk back: some 100 MB.
const COMPACT_AFTER: u64 = 50_000;
/// Fewer than that are not worth it at the end of an epoch.
const COMPACT_LEAST: u64 = 1_000;

/// The tables from which rows go.
const TABLES: [TableDef; 8] = [
    schema::TIMELINES.def(),
    schema::TASKS.def(),
    schema::RESPONSES.def(),
    schema::CERTIFICATES.def(),
    schema::QUESTIONS.def(),
    schema::UNCERTIFIED.def(),
    schema::TASK_TIMES.def(),
    schema::TASK_INDEX.def(),
];

/// The pruning task.
pub(crate) struct Pruner {
    live: LiveSettings,
    home: HomeHandle,
    writes: WriteQueue,
    inventory: TaskInventory,
    status: PruningStatus,
    /// Removed since the engine was told.
    removed: u64,
}

/// What the pages show of it.
#[derive(Clone, Default)]
pub(crate) struct PruningStatus(Arc<Mutex<u64>>);

impl PruningStatus {
    /// Tasks removed since the start.
    pub(crate) fn pruned(&self) -> u64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, count: usize) {
        metrics::counter!("quorate_pruned_tasks_total").increment(count as u64);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += count as u64;
    }
}

impl Pruner {
    pub(crate) fn new(
        live: LiveSettings,
        home: HomeHandle,
        writes: WriteQueue,
        inventory: TaskInventory,
    ) -> (Self, PruningStatus) {
        let status = PruningStatus::default();
        let pruner = Self {
            live,
            home,
            writes,
            inventory,
            status: status.clone(),
            removed: 0,
        };
        (pruner, status)
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be read or written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut views = self.home.watch();
        let mut done = None;
        loop {
            let current = views.borrow_and_update().current.clone();
            let retention = self.live.borrow_and_update().retention;
            let floor = current.map(|set| retention.floor(set.epoch()));
            if let Some(floor) = floor.filter(|floor| done != Some(*floor)) {
                self.inventory.raise_floor(floor);
                tokio::select! {
                    pruned = self.prune(floor) => pruned?,
                    () = token.cancelled() => return Ok(()),
                }
                done = Some(floor);
            }
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return Ok(()) },
                Ok(()) = self.live.changed() => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    /// Removes all tasks of epochs before `floor`.
    async fn prune(&mut self, floor: Epoch) -> Result<(), NodeError> {
        let (mut after, mut count) = (None, 0);
        loop {
            let (batch, removed, next) = self.next_batch(floor, after).await?;
            if !batch.is_empty() {
                self.writes.write(batch, Durability::Buffered).await?;
                self.status.add(removed);
                count += removed as u64;
                self.removed += removed as u64;
                tokio::time::sleep(PAUSE).await;
            }
            if self.removed >= COMPACT_AFTER {
                self.give_back().await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if count > 0 {
            tracing::info!(tasks = count, epochs_before = %floor, "tasks pruned");
        }
        if self.removed >= COMPACT_LEAST {
            self.give_back().await?;
        }
        marks::bound(&self.writes).await
    }

    /// The next tasks to remove; how many; and behind which one to go on.
    async fn next_batch(
        &self,
        floor: Epoch,
        after: Option<(u32, [u8; 32])>,
    ) -> Result<(Batch, usize, Option<(u32, [u8; 32])>), NodeError> {
        let (store, inventory) = (self.writes.store().clone(), self.inventory.clone());
        let work = move || gather(&store, &inventory, floor, after);
        let gathered = tokio::task::spawn_blocking(work);
        gathered.await.map_err(|panic| NodeError::Panic {
            reason: panic.to_string(),
        })?
    }

    async fn give_back(&mut self) -> Result<(), NodeError> {
        self.removed = 0;
        let store = self.writes.store().clone();
        let work = move || TABLES.iter().try_for_each(|table| store.compact(*table));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|panic| NodeError::Panic {
            reason: panic.to_string(),
        })??;
        Ok(())
    }
}

type Gathered = (Batch, usize, Option<(u32, [u8; 32])>);

fn gather(
    store: &Store,
    inventory: &TaskInventory,
    floor: Epoch,
    after: Option<(u32, [u8; 32])>,
) -> Result<Gathered, NodeError> {
    let page = Page::first(AT_ONCE).after(after);
    let rows = store.scan(schema::TASK_INDEX, &(), page)?;
    let (mut batch, mut count, mut next) = (Batch::new(), 0, rows.next);
    for ((epoch, id), _) in rows.rows {
        if Epoch(epoch) >= floor {
            next = None;
            break;
        }
        count += usize::from(remove(store, inventory, &mut batch, Epoch(epoch), id)?);
    }
    Ok((batch, count, next))
}

/// Adds to the batch all that goes with a task; false where the task stays.
fn remove(
    store: &Store,
    inventory: &TaskInventory,
    batch: &mut Batch,
    epoch: Epoch,
    id: [u8; 32],
) -> Result<bool, NodeError> {
    if let Some(record) = store.get(schema::TASKS, &id)? {
        let statement = statement_of(&record)?;
        if statement.as_ref().is_some_and(Statement::is_kept) {
            return Ok(false);
        }
        if let Some(statement) = statement {
            let slot = statement.slot().0.0;
            batch.delete(schema::QUESTIONS, &(slot, epoch.0));
            batch.delete(schema::UNCERTIFIED, &(slot, id));
        }
        batch.delete(schema::TASK_TIMES, &(record.created_ms, id));
    }
    for row in store.rows(schema::RESPONSES, &id) {
        batch.delete(schema::RESPONSES, &row?.0);
    }
    for row in store.rows(schema::TIMELINES, &id) {
        batch.delete(schema::TIMELINES, &row?.0);
    }
    batch.delete(schema::TASKS, &id);
    batch.delete(schema::CERTIFICATES, &id);
    let mark = PrunedRecord { epoch: epoch.0 };
    batch.put(schema::PRUNED, &marks::key_of(&id), &mark);
    inventory.remove(batch, epoch, TaskId(id.into()))?;
    Ok(true)
}

fn statement_of(record: &TaskRecord) -> Result<Option<Statement>, NodeError> {
    let message = record.statement.as_ref();
    message
        .map(Statement::try_from)
        .transpose()
        .map_err(NodeError::damaged)
}

#[cfg(test)]
mod tests;
