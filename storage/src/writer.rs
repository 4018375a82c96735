use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread::{self, JoinHandle},
};

use futures::{channel::oneshot, executor::block_on, future::FutureExt};
use tokio::sync::Notify;

use crate::{
    Batch, FailureWatch, MAX_BATCH_BYTES, Signers, SigningLog, Store, StoreError, store::check_size,
};

/// Batches that may wait: a commit takes up to 20 ms on a slow disk; at 1,000 tasks/s with 19
/// responses each, 400 arrive meanwhile. Ten times that.
pub const MAX_QUEUED: usize = 4_096;
/// Bytes that may wait: two of the largest batches; 4,096 usual ones of 1 kB need half of it.
pub const MAX_QUEUED_BYTES: usize = 2 * MAX_BATCH_BYTES;
/// A group takes batches until it has this, and the last one may pass it: with the engine's copy
/// the writer holds 16 MiB at most, beside what is queued.
pub const MAX_GROUP_BYTES: usize = MAX_BATCH_BYTES;

/// How long a write must last for its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Readable. A loss of power may take it; on sled a kill of the process too, if it comes within
    /// 200 ms. Never out of order: if a later write survived, so did this one.
    Buffered,
    /// On disk.
    Synced,
}

/// The way in for all writes of a node: one thread commits what has gathered, in the order of
/// arrival, and syncs once for all of it.
///
/// # Design Decisions
///
/// There is no timer: what comes while one commit is under way goes out with the next. An idle
/// store answers after one sync, a busy one shares each sync among all who wait.
#[derive(Clone)]
pub struct WriteQueue {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    state: Mutex<State>,
    work: Condvar,
    /// Called when there is room again; each caller that waits looks anew.
    room: Notify,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
    stats: WriteStats,
}

fn fullness(state: &State, batch: &Batch) -> Option<StoreError> {
    if state.jobs.len() >= MAX_QUEUED {
        return Some(StoreError::QueueFull {
            what: "write queue",
            limit: MAX_QUEUED,
        });
    }
    (state.bytes + batch.bytes() > MAX_QUEUED_BYTES).then_some(StoreError::QueueFull {
        what: "write queue in bytes",
        limit: MAX_QUEUED_BYTES,
    })
}

struct Job {
    batch: Batch,
    durability: Durability,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Job {
    fn new(batch: Batch, durability: Durability) -> (Self, Ack) {
        let (done, ack) = oneshot::channel();
        let job = Self {
            batch,
            durability,
            done,
        };
        (job, Ack(ack))
    }

    /// Lets go of what overlays show of the batch, then answers: what was written can be read by now,
    /// and a caller that hears of a refusal finds slots of the signing log free.
    fn answer(self, outcome: Result<(), StoreError>) {
        drop(self.batch);
        let _ = self.done.send(outcome);
    }
}

/// What the writer has done so far, for metrics. `batches / commits` is the size of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteStats {
    /// Batches that wait now.
    pub queued: usize,
    /// Batches written.
    pub batches: u64,
    /// Groups written.
    pub commits: u64,
    /// Groups that were synced.
    pub syncs: u64,
}

impl WriteQueue {
    /// Starts the writer of `store`. It ends, and everything accepted is on disk, when the guard is
    /// closed or dropped.
    pub fn new(store: Store) -> Result<(Self, WriterGuard), StoreError> {
        let shared = Arc::new(Shared {
            store,
            state: Mutex::default(),
            work: Condvar::new(),
            room: Notify::new(),
        });
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let shared = shared.clone();
                move || shared.run()
            });
        let thread = thread.map_err(|e| StoreError::from_io("start the store's writer", &e))?;
        Ok((
            Self {
                shared: shared.clone(),
            },
            WriterGuard {
                shared,
                thread: Some(thread),
            },
        ))
    }

    /// Queues `batch`; the order of calls is the order on disk. The write happens whether or not
    /// the returned future is kept.
    pub fn submit(&self, batch: Batch, durability: Durability) -> Ack {
        let (job, ack) = Job::new(batch, durability);
        self.shared.accept(job);
        ack
    }

    /// As [`WriteQueue::submit`], once there is room: a caller that has more to write than the disk takes
    /// waits here, instead of being refused. What is not accepted yet when the future is dropped is
    /// not written.
    pub async fn submit_in_turn(&self, batch: Batch, durability: Durability) -> Ack {
        let (mut job, ack) = Job::new(batch, durability);
        loop {
            // Before the look: what is called in between is not missed.
            let room = self.shared.room.notified();
            match self.shared.accept_if_room(job) {
                Ok(()) => break,
                Err(same) => job = same,
            }
            room.await;
        }
        ack
    }

    /// Writes `batch` as soon as there is room, and returns when it is as durable as was asked.
    pub async fn write(&self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.submit_in_turn(batch, durability).await.await
    }

    /// As [`WriteQueue::submit`], where no caller can wait for room: taken though the queue is full.
    /// For a row of a few hundred bytes, with one of it under way.
    pub(crate) fn submit_small(&self, batch: Batch, durability: Durability) -> Ack {
        let (job, ack) = Job::new(batch, durability);
        self.shared.accept_small(job);
        ack
    }

    /// The store behind the queue, for reads.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The signing log, which commits through this queue.
    pub fn signing_log(&self) -> SigningLog {
        SigningLog::new(self.clone())
    }

    /// The operators that sign with it.
    pub fn signers(&self) -> Signers {
        Signers::new(self.clone())
    }

    /// The failure that ended writing, if one did.
    pub fn failed(&self) -> Option<StoreError> {
        self.store().failed()
    }

    /// A future of that failure, to end a node by.
    pub fn failure(&self) -> FailureWatch {
        self.store().failure()
    }

    /// What was done so far.
    pub fn stats(&self) -> WriteStats {
        let state = self.shared.state();
        WriteStats {
            queued: state.jobs.len(),
            ..state.stats
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, job: Job) {
        let state = self.state();
        match self.refusal(&state, &job.batch) {
            Some(refusal) => {
                drop(state);
                job.answer(Err(refusal));
            }
            None => self.push(state, job),
        }
    }

    /// Gives the job back where there is no room for it now.
    fn accept_if_room(&self, job: Job) -> Result<(), Job> {
        let state = self.state();
        match self.refusal(&state, &job.batch) {
            Some(StoreError::QueueFull { .. }) => return Err(job),
            Some(refusal) => {
                drop(state);
                job.answer(Err(refusal));
            }
            None => self.push(state, job),
        }
        Ok(())
    }

    fn accept_small(&self, job: Job) {
        let state = self.state();
        match self.end(&state) {
            Some(refusal) => {
                drop(state);
                job.answer(Err(refusal));
            }
            None => self.push(state, job),
        }
    }

    fn push(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.bytes += job.batch.bytes();
        state.jobs.push_back(job);
        drop(state);
        self.work.notify_one();
    }

    /// Why nothing is written any more.
    fn end(&self, state: &State) -> Option<StoreError> {
        match self.store.failed() {
            Some(cause) => Some(cause.stopped_by()),
            None => state.closed.then_some(StoreError::Closed),
        }
    }

    /// That it is full comes last: what can never be written is not waited for.
    fn refusal(&self, state: &State, batch: &Batch) -> Option<StoreError> {
        let refusal = self.end(state).or_else(|| check_size(batch).err());
        refusal.or_else(|| fullness(state, batch))
    }

    fn run(&self) {
        while let Some(group) = self.next_group() {
            self.commit(group);
        }
    }

    /// Waits for work, then takes all there is; `None` when closed and done.
    fn next_group(&self) -> Option<Vec<Job>> {
        let idle = |state: &mut State| state.jobs.is_empty() && !state.closed;
        let state = self.work.wait_while(self.state(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < MAX_GROUP_BYTES {
            let Some(job) = state.jobs.pop_front() else {
                break;
            };
            bytes += job.batch.bytes();
            group.push(job);
        }
        state.bytes -= bytes;
        drop(state);
        self.room.notify_waiters();
        (!group.is_empty()).then_some(group)
    }

    fn commit(&self, mut group: Vec<Job>) {
        let sync = group.iter().any(|job| job.durability == Durability::Synced);
        let mut merged = Batch::new();
        for job in &mut group {
            merged.append(std::mem::take(&mut job.batch));
        }
        let outcome = self.store.commit(&merged, sync);
        if outcome.is_ok() {
            self.count(group.len(), sync);
        }
        drop(merged);
        for job in group {
            job.answer(outcome.clone());
        }
    }

    fn count(&self, batches: usize, synced: bool) {
        let stats = &mut self.state().stats;
        stats.batches += batches as u64;
        stats.commits += 1;
        stats.syncs += u64::from(synced);
    }

    fn close(&self) {
        self.state().closed = true;
        self.work.notify_all();
        self.room.notify_waiters();
    }
}

impl fmt::Debug for WriteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteQueue")
            .field("store", self.store())
            .finish_non_exhaustive()
    }
}

/// Resolves when the batch is as durable as was asked, or will never be.
#[derive(Debug)]
#[must_use = "the write happens anyway, but only this tells whether it succeeded"]
pub struct Ack(oneshot::Receiver<Result<(), StoreError>>);

impl Ack {
    /// Waits on this thread; for commands and tests, never inside an async task.
    pub fn wait(self) -> Result<(), StoreError> {
        block_on(self)
    }
}

impl Future for Ack {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_unpin(cx)
            .map(|told| told.unwrap_or(Err(StoreError::Closed)))
    }
}

/// Keeps the writer alive; ends it in good order.
#[must_use = "dropping it ends the writer"]
pub struct WriterGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl WriterGuard {
    /// Refuses new writes, writes what is queued, syncs everything and returns; call it where
    /// blocking is allowed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.shared.close();
        let ended = thread.join();
        self.shared.store.flush()?;
        ended.map_err(|_| StoreError::from_text("close the store", "the writer panicked"))
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(%error, "closing the store");
        }
    }
}

impl fmt::Debug for WriterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterGuard").finish_non_exhaustive()
    }
}
