//! Carries out what the machine wants asked: asks, verifies, has it written.

use std::sync::Arc;

use libp2p::{PeerId, StreamProtocol};
use quorate_chain::HomeReader;
use quorate_proto::wire::sync_answer::Kind as ReplyKind;
use quorate_proto::wire::sync_query::Kind as RequestKind;
use quorate_proto::{BUCKETS, Domain, Epoch, Fingerprint, OperatorSet, TaskId, TaskState};
use quorate_proto::{WireError, limits, wire};
use quorate_protocols::sync::{COMPARE_AGAIN_MS, EpochPair, Input, Page, Pair, Peer, Query, Root};
use quorate_storage::WriteQueue;
use tokio::sync::{Mutex, Semaphore};

use super::link::{AskError, Link};
use super::status::SyncStatus;
use super::verify::{self, Allowance, RequestedItems, VerifiedItems};
use crate::context::Context;
use crate::home::HomeHandle;
use crate::home::set_history::Sets;
use crate::network::NetworkHandle;
use crate::tasks::driver::DriverHandle;
use crate::tasks::imported::{Imported, ImportedTask};
use crate::tasks::inventory::TaskInventory;
use crate::{NodeError, clock};

/// Memory of what is handed to the task driver at once, by the estimate of [`cost`]: an eighth of the largest
/// batch, so that users' tasks of the same round find room.
const CHUNK: usize = quorate_storage::MAX_BATCH_BYTES / 8;

/// Shared by all questions.
pub(crate) struct Fetcher {
    pub(super) domain: Domain,
    pub(super) home: HomeHandle,
    pub(super) reader: Arc<dyn HomeReader>,
    pub(super) inventory: TaskInventory,
    pub(super) sets: Sets,
    pub(super) writes: WriteQueue,
    pub(super) status: SyncStatus,
    network: NetworkHandle,
    protocol: StreamProtocol,
    driver: DriverHandle,
    /// All processors but one verify.
    verifying: Semaphore,
    /// One chunk at the task driver at a time.
    writing: Mutex<()>,
    allowance: Arc<Allowance>,
}

impl From<NodeError> for AskError {
    fn from(error: NodeError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<quorate_storage::StoreError> for AskError {
    fn from(error: quorate_storage::StoreError) -> Self {
        Self::Lost(error.to_string())
    }
}

fn fault(error: &WireError) -> AskError {
    AskError::Fault(error.to_string())
}

impl Fetcher {
    pub(crate) fn new(context: &Context, status: SyncStatus) -> Result<Self, NodeError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            protocol: super::protocol(&context.domain.network())?,
            domain: context.domain,
            home: context.home.clone(),
            reader: context.reader.clone(),
            inventory: context.inventory.clone(),
            sets: context.sets.clone(),
            writes: context.writes.clone(),
            network: context.network.clone(),
            driver: context.driver.clone(),
            status,
            verifying: Semaphore::new(processors.saturating_sub(1).max(1)),
            writing: Mutex::new(()),
            allowance: Arc::default(),
        })
    }

    pub(super) fn floor(&self) -> Epoch {
        self.inventory.floor()
    }

    /// Asks one question; what came of it.
    pub(super) async fn carry_out(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        query: Query,
    ) -> Input {
        let done = match query {
            Query::Summary(first) => self.summary(peer, id, link, first).await,
            Query::Set(epoch) => self.set(peer, id, link, epoch).await,
            Query::Buckets(epoch) => self.buckets(peer, id, link, epoch).await,
            Query::Range {
                epoch,
                after,
                until,
            } => self.range(peer, id, link, (epoch, after, until)).await,
            Query::Recent { instance, after } => self.recent(peer, id, link, instance, after).await,
            Query::Tasks(tasks) => self.tasks(peer, id, link, tasks).await,
        };
        done.unwrap_or_else(|error| {
            tracing::debug!(peer = %id, %error, "sync question without a good answer");
            let fault = error.is_fault();
            Input::Failed { peer, fault }
        })
    }

    pub(super) async fn ask(
        &self,
        id: PeerId,
        link: &mut Link,
        kind: RequestKind,
    ) -> Result<ReplyKind, AskError> {
        link.ask(&self.network, &self.protocol, id, kind).await
    }

    async fn summary(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        first: Epoch,
    ) -> Result<Input, AskError> {
        let query = wire::SyncSummaryQuery {
            first_epoch: first.0,
        };
        let ReplyKind::Summary(summary) = self.ask(id, link, RequestKind::Summary(query)).await?
        else {
            return Err(unexpected());
        };
        let ascends = summary.epochs.is_sorted_by(|a, b| a.epoch < b.epoch);
        let starts = summary.epochs.iter().all(|e| e.epoch >= first.0);
        if !ascends || !starts || summary.epochs.len() > limits::MAX_SYNC_EPOCHS {
            return Err(AskError::Fault("a summary out of order".into()));
        }
        let more = summary.epochs.len() == limits::MAX_SYNC_EPOCHS;
        let newest = self.home.view().sets().last().map(|set| set.epoch());
        let mut epochs = Vec::with_capacity(summary.epochs.len());
        for theirs in &summary.epochs {
            let epoch = Epoch(theirs.epoch);
            // Epochs that the home chain has not reached here.
            if Some(epoch) > newest {
                break;
            }
            epochs.push(EpochPair {
                epoch,
                theirs: Root {
                    tasks: theirs.tasks,
                    digest: Fingerprint::parse(&theirs.fingerprint).map_err(|e| fault(&e))?,
                },
                ours: Root::from(&self.inventory.of_epoch(epoch)),
                set_known: self.sets.of(epoch)?.is_some(),
            });
        }
        Ok(Input::Summary { peer, epochs, more })
    }

    async fn set(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        epoch: Epoch,
    ) -> Result<Input, AskError> {
        let known = self.obtain_set(id, link, epoch).await?;
        Ok(Input::Set { peer, epoch, known })
    }

    async fn buckets(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        epoch: Epoch,
    ) -> Result<Input, AskError> {
        let query = wire::SyncBucketsQuery { epoch: epoch.0 };
        let ReplyKind::Buckets(theirs) = self.ask(id, link, RequestKind::Buckets(query)).await?
        else {
            return Err(unexpected());
        };
        let theirs = roots_of(&theirs)?;
        let ours = self.inventory.buckets(epoch);
        let pair = |(theirs, ours): (Root, &Fingerprint)| Pair {
            theirs,
            ours: Root::from(ours),
        };
        let pairs = theirs.into_iter().zip(&ours).map(pair).collect();
        Ok(Input::Buckets { peer, epoch, pairs })
    }

    async fn range(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        (epoch, after, until): (Epoch, Option<TaskId>, TaskId),
    ) -> Result<Input, AskError> {
        let (held, cut) = self
            .inventory
            .range(epoch, after, until, limits::MAX_SYNC_HAVE)?;
        // With more than fit into the question, it is about the part that they cover.
        let until = held.last().filter(|_| cut).map_or(until, |(task, _)| *task);
        let short = |(task, state): &(TaskId, TaskState)| Fingerprint::short(state.hash(*task));
        let query = wire::SyncRangeQuery {
            epoch: epoch.0,
            after: after.map(|task| task.0.to_vec()).unwrap_or_default(),
            until: until.0.to_vec(),
            have: held.iter().flat_map(short).collect(),
        };
        let set = self.known_set(epoch)?;
        let ReplyKind::Items(reply) = self.ask(id, link, RequestKind::Range(query)).await? else {
            return Err(unexpected());
        };
        let (items, more) = (reply.items.len(), reply.more);
        let wanted = RequestedItems::Range { after, until };
        let brought = self.verify(id, epoch, &set, reply.items, wanted).await?;
        let upto = match (more, brought.last) {
            (true, Some(last)) => last,
            (true, None) => return Err(AskError::Fault("more, but nothing now".into())),
            (false, _) => until,
        };
        let (fresh, left_out) = self.write(brought, set).await?;
        let page = Page {
            upto,
            items: items as u64,
            fresh: fresh as u64,
            left_out,
        };
        Ok(Input::Page { peer, page })
    }

    async fn recent(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        instance: u64,
        after: u64,
    ) -> Result<Input, AskError> {
        let query = wire::SyncRecentQuery { instance, after };
        let ReplyKind::Recent(news) = self.ask(id, link, RequestKind::Recent(query)).await? else {
            return Err(unexpected());
        };
        if news.tasks.len() > limits::MAX_SYNC_TASKS {
            return Err(AskError::Fault("more tasks than fit".into()));
        }
        let mut missing = Vec::new();
        for theirs in &news.tasks {
            let epoch = Epoch(theirs.epoch);
            let task = TaskId::try_from(theirs.task_id.as_slice()).map_err(|e| fault(&e))?;
            let state = TaskState::try_from(theirs).map_err(|e| fault(&e))?;
            let Some(set) = self.sets.of(epoch)?.filter(|_| epoch >= self.floor()) else {
                continue;
            };
            if !state.fits(set.members().len()) {
                return Err(AskError::Fault("bits of another set".into()));
            }
            let ours = self.inventory.state(epoch, task)?;
            let ours = ours.unwrap_or_else(|| TaskState::nothing(set.members().len()));
            if ours.lacks(&state) {
                missing.push((epoch, task));
            }
        }
        Ok(Input::Recent {
            peer,
            instance: news.instance,
            next: news.next,
            gap: news.gap,
            more: news.more,
            missing,
        })
    }

    /// Tasks of one epoch at a time, which is the current one almost always.
    async fn tasks(
        &self,
        peer: Peer,
        id: PeerId,
        link: &mut Link,
        tasks: Vec<(Epoch, TaskId)>,
    ) -> Result<Input, AskError> {
        let mut epochs: Vec<Epoch> = tasks.iter().map(|(epoch, _)| *epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        let mut left_out = None;
        for epoch in epochs {
            let of_epoch = tasks.iter().filter(|(of, _)| *of == epoch);
            let ids: Vec<TaskId> = of_epoch.map(|(_, task)| *task).collect();
            left_out = left_out.max(self.tasks_of(id, link, epoch, ids).await?);
        }
        Ok(Input::Tasks { peer, left_out })
    }

    /// Page by page: no peer tells of these tasks once more, as the cursor is behind them. Each page
    /// makes the question shorter, so there are no more of them than tasks.
    async fn tasks_of(
        &self,
        id: PeerId,
        link: &mut Link,
        epoch: Epoch,
        mut ids: Vec<TaskId>,
    ) -> Result<Option<u64>, AskError> {
        let mut left_out = None;
        while !ids.is_empty() {
            let (last, after) = self.page_of(id, link, epoch, &ids).await?;
            left_out = left_out.max(after);
            ids = behind(ids, last)?;
        }
        Ok(left_out)
    }

    /// Up to which task the peer has answered, and what [`Self::write`] says of that.
    async fn page_of(
        &self,
        id: PeerId,
        link: &mut Link,
        epoch: Epoch,
        ids: &[TaskId],
    ) -> Result<(Answered, Option<u64>), AskError> {
        let set = self.known_set(epoch)?;
        let query = self.tasks_query(epoch, ids)?;
        let ReplyKind::Items(reply) = self.ask(id, link, RequestKind::Tasks(query)).await? else {
            return Err(unexpected());
        };
        if reply.items.len() > ids.len() {
            return Err(AskError::Fault("more tasks than were asked for".into()));
        }
        let wanted = RequestedItems::These(ids.iter().copied().collect());
        let brought = self.verify(id, epoch, &set, reply.items, wanted).await?;
        let answered = match reply.more {
            true => Answered::UpTo(brought.last),
            false => Answered::All,
        };
        let (_, left_out) = self.write(brought, set).await?;
        Ok((answered, left_out))
    }

    fn tasks_query(&self, epoch: Epoch, ids: &[TaskId]) -> Result<wire::SyncTasksQuery, AskError> {
        let mut query = wire::SyncTasksQuery::default();
        for task in ids {
            let ours = self.inventory.state(epoch, *task)?.unwrap_or_default();
            query.tasks.push(wire::SyncTaskState {
                epoch: epoch.0,
                task_id: task.0.to_vec(),
                signed: ours.signed.as_bytes().to_vec(),
                refused: ours.refused.as_bytes().to_vec(),
            });
        }
        Ok(query)
    }

    fn known_set(&self, epoch: Epoch) -> Result<Arc<OperatorSet>, AskError> {
        let set = self.sets.of(epoch)?;
        set.ok_or_else(|| AskError::Lost(format!("the set of epoch {epoch} is not known")))
    }

    async fn verify(
        &self,
        id: PeerId,
        epoch: Epoch,
        set: &Arc<OperatorSet>,
        items: Vec<wire::SyncItem>,
        wanted: RequestedItems,
    ) -> Result<VerifiedItems, AskError> {
        let Ok(_turn) = self.verifying.acquire().await else {
            return Err(AskError::Lost("the node ends".into()));
        };
        let work = verify::Verifier {
            peer: id,
            epoch,
            set: set.clone(),
            domain: self.domain,
            inventory: self.inventory.clone(),
            allowance: self.allowance.clone(),
            now: clock::now(),
        };
        let done = tokio::task::spawn_blocking(move || work.verify(&items, &wanted));
        done.await
            .map_err(|panic| AskError::Lost(panic.to_string()))?
    }

    /// How many tasks were new; and where something was left out, after how many milliseconds it may
    /// be taken.
    async fn write(
        &self,
        brought: VerifiedItems,
        set: Arc<OperatorSet>,
    ) -> Result<(usize, Option<u64>), AskError> {
        let mut all = Imported::default();
        for chunk in chunks(brought.taken) {
            let _turn = self.writing.lock().await;
            let Some(done) = self.driver.caught_up(chunk, set.clone()).await else {
                return Err(AskError::Lost("the node ends".into()));
            };
            self.status.took(done);
            all.tasks += done.tasks;
            all.later += done.later;
        }
        Ok((all.tasks, again_after(brought.left_out, all.later)))
    }
}

fn again_after(beyond_allowance: usize, later: usize) -> Option<u64> {
    match (beyond_allowance, later) {
        (0, 0) => None,
        (0, _) => Some(COMPARE_AGAIN_MS),
        _ => Some(verify::ALLOWANCE_MS),
    }
}

/// How much of a question about tasks is answered.
#[derive(Clone, Copy, Debug)]
enum Answered {
    All,
    /// Up to and with this one; the page was full.
    UpTo(Option<TaskId>),
}

/// What is left to be asked for: who answers goes through the question in its order.
fn behind(mut ids: Vec<TaskId>, answered: Answered) -> Result<Vec<TaskId>, AskError> {
    let last = match answered {
        Answered::All => return Ok(Vec::new()),
        Answered::UpTo(last) => last.and_then(|last| ids.iter().position(|id| *id == last)),
    };
    let Some(last) = last else {
        return Err(AskError::Fault("more, but nothing now".into()));
    };
    Ok(ids.split_off(last.saturating_add(1)))
}

/// What a peer says to hold of an epoch, bucket by bucket; those without tasks have no fingerprint.
pub(super) fn roots_of(theirs: &wire::SyncBuckets) -> Result<Vec<Root>, AskError> {
    let (digests, rest) = theirs.fingerprints.as_chunks::<{ Fingerprint::BYTES }>();
    let filled = theirs.tasks.iter().filter(|tasks| **tasks > 0).count();
    if theirs.tasks.len() != BUCKETS || !rest.is_empty() || digests.len() != filled {
        return Err(AskError::Fault("not 256 buckets".into()));
    }
    let mut digests = digests.iter();
    let mut root = |tasks: &u32| match *tasks {
        0 => Root::default(),
        tasks => Root {
            tasks,
            digest: digests.next().copied().unwrap_or_default(),
        },
    };
    Ok(theirs.tasks.iter().map(&mut root).collect())
}

/// Portions whose batch stays below [`CHUNK`].
fn chunks(taken: Vec<ImportedTask>) -> Vec<Vec<ImportedTask>> {
    let mut chunks: Vec<Vec<ImportedTask>> = Vec::new();
    let mut bytes = CHUNK;
    for task in taken {
        let cost = cost(&task);
        if bytes.saturating_add(cost) > CHUNK {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(cost);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(task);
        }
    }
    chunks
}

/// Bytes in a batch: six rows of the task itself, and for each response its row and a signature in the
/// certificate.
fn cost(task: &ImportedTask) -> usize {
    const TASK: usize = 1_500;
    const RESPONSE: usize = 900;
    TASK + RESPONSE * task.responses.len()
}

fn unexpected() -> AskError {
    AskError::Fault("answers something else".into())
}

#[cfg(test)]
mod tests;
