//! Who takes part, as this registry sees it: the driver of the membership machine.
//!
//! One task owns the machine and all that it wrote. A caller that tells it something has its answer once
//! the consequences are on disk, so nothing is said that a restart would forget. What the home
//! chain said is written in one batch with the cursor of its reader: a kill at any point neither
//! skips an event nor repeats one.

mod attendance;
mod member_store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{Address, B256, Epoch, Member, OperatorSet, OperatorStatus};
use quorate_protocols::membership::{ClosedTask, Input, Refused};
use quorate_storage::{Batch, Durability, Store, StoreError, WriteQueue, schema};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use attendance::Attendance;
use member_store::MemberStore;

use crate::settings::LiveSettings;
use crate::{NodeError, clock};

/// Commands that wait: closed tasks of a second at 1,000 tasks/s. A closed task that finds no
/// place is not counted, to no operator's harm.
const QUEUE: usize = 1_024;
/// Commands handled before what they caused is written.
const GROUP: usize = 256;
/// A round is written early once it has this: a quarter of the largest batch.
const SPLIT: usize = 1 << 20;
/// How often the counts of good answers are written. A kill loses those of the last moments, which
/// decide nothing.
const COUNTS_PERIOD: Duration = Duration::from_secs(10);

/// What the machine is asked and told.
pub(crate) enum MemberCommand {
    /// What happened on the home chain, in order, and what its reader writes behind it.
    Chain(Vec<Input>, Batch, oneshot::Sender<()>),
    /// Anything else that changes something.
    Tell(Input, oneshot::Sender<Result<(), Refused>>),
    /// A task's window is over.
    Closed(ClosedTask),
    /// All that is known.
    Roll(oneshot::Sender<MemberList>),
    /// Some of it.
    Page(PageFilter, oneshot::Sender<MemberPage>),
    /// The same in figures.
    Summary(oneshot::Sender<MemberSummary>),
    /// What is known of one operator.
    Member(Address, oneshot::Sender<Option<Member>>),
}

/// All that a registry knows at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberList {
    /// `None` until one has begun here.
    pub(crate) epoch: Option<Epoch>,
    /// Ascending by address.
    pub(crate) members: Vec<Member>,
    /// Number of the newest update.
    pub(crate) sequence: u64,
    /// State hash after it.
    pub(crate) state_hash: B256,
}

/// Which members are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageFilter {
    /// Behind this operator; `None` from the first one on.
    pub(crate) after: Option<Address>,
    /// Only of these; empty for all.
    pub(crate) statuses: Vec<OperatorStatus>,
    pub(crate) limit: usize,
}

/// A part of the roll.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberPage {
    pub(crate) roll: MemberList,
    /// Whether there are more behind the last one.
    pub(crate) more: bool,
}

/// What a registry knows, in figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberSummary {
    /// Members by status.
    pub(crate) statuses: BTreeMap<OperatorStatus, u32>,
    /// Number of the newest update.
    pub(crate) sequence: u64,
    /// State hash after it.
    pub(crate) state_hash: B256,
}

/// Speaks to the membership task. Calls return when what they caused is written; once the task has
/// ended they do nothing.
#[derive(Clone)]
pub(crate) struct MembersHandle {
    commands: mpsc::Sender<MemberCommand>,
    newest: watch::Receiver<u64>,
}

impl MembersHandle {
    /// What the home chain said, and `rows`, which are written with or after it.
    pub(crate) async fn chain(&self, events: Vec<Input>, rows: Batch) {
        self.ask(|done| MemberCommand::Chain(events, rows, done))
            .await;
    }

    /// An epoch has begun.
    pub(crate) async fn epoch_began(&self, set: Arc<OperatorSet>, block: u64) {
        let began = Input::EpochBegan { set, block };
        self.ask(|done| MemberCommand::Tell(began, done)).await;
    }

    /// Tells the machine something; `None` where the node is about to end.
    pub(crate) async fn tell(&self, input: Input) -> Option<Result<(), Refused>> {
        self.ask(|reply| MemberCommand::Tell(input, reply)).await
    }

    /// Who answered a task whose window is over.
    pub(crate) fn closed(&self, closed: ClosedTask) {
        if self
            .commands
            .try_send(MemberCommand::Closed(closed))
            .is_err()
        {
            metrics::counter!("quorate_tasks_uncounted_total").increment(1);
        }
    }

    /// All that is known.
    pub(crate) async fn roll(&self) -> MemberList {
        self.ask(MemberCommand::Roll).await.unwrap_or_default()
    }

    /// Some of what is known: only that is copied, however many members there are.
    pub(crate) async fn page(&self, filter: PageFilter) -> MemberPage {
        let asked = self.ask(|reply| MemberCommand::Page(filter, reply)).await;
        asked.unwrap_or_default()
    }

    /// What is known, in figures.
    pub(crate) async fn summary(&self) -> MemberSummary {
        self.ask(MemberCommand::Summary).await.unwrap_or_default()
    }

    /// What is known of one operator.
    pub(crate) async fn member(&self, operator: Address) -> Option<Member> {
        let asked = self
            .ask(|reply| MemberCommand::Member(operator, reply))
            .await;
        asked.flatten()
    }

    /// The number of the newest update that is written.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> MemberCommand) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}

/// The membership task.
pub(crate) struct Members {
    book: MemberStore,
    live: LiveSettings,
    commands: mpsc::Receiver<MemberCommand>,
    newest: watch::Sender<u64>,
    writes: WriteQueue,
    batch: Batch,
    /// Given once the round is written, those to questions too: nothing is told that a restart
    /// would forget.
    answers: Vec<Box<dyn FnOnce() + Send>>,
}

impl Members {
    /// Goes on with what the store has: one scan, no replay.
    ///
    /// # Errors
    /// A store that cannot be read, or a damaged record.
    pub(crate) fn open(
        store: &Store,
        writes: WriteQueue,
        live: LiveSettings,
    ) -> Result<(Self, MembersHandle), NodeError> {
        let book = MemberStore::recall(store, live.borrow().policy)?;
        let (newest, newest_rx) = watch::channel(book.sequence());
        let (sender, commands) = mpsc::channel(QUEUE);
        let members = Self {
            book,
            live,
            commands,
            newest,
            writes,
            batch: Batch::new(),
            answers: Vec::new(),
        };
        let handle = MembersHandle {
            commands: sender,
            newest: newest_rx,
        };
        Ok((members, handle))
    }

    /// Runs until `token` is cancelled.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let mut group = Vec::with_capacity(GROUP);
        let mut counts = tokio::time::interval(COUNTS_PERIOD);
        loop {
            tokio::select! {
                count = self.commands.recv_many(&mut group, GROUP) => {
                    if count == 0 {
                        return Ok(());
                    }
                    for command in group.drain(..) {
                        self.take(command).await?;
                    }
                }
                Ok(()) = self.live.changed() => {
                    self.book.set_policy(self.live.borrow_and_update().policy);
                }
                _ = counts.tick() => self.book.keep_counts(&mut self.batch),
                () = token.cancelled() => return Ok(()),
            }
            self.finish().await?;
        }
    }

    async fn take(&mut self, command: MemberCommand) -> Result<(), StoreError> {
        match command {
            MemberCommand::Chain(events, rows, done) => {
                for event in events {
                    self.chain(event).await?;
                }
                self.batch.append(rows);
                self.answer(done, ());
            }
            MemberCommand::Tell(input, reply) => {
                let told = self.handle(input).await?;
                self.answer(reply, told);
            }
            MemberCommand::Closed(closed) => {
                // Nothing about a closed task is refused.
                let _ = self.handle(Input::TaskClosed(closed)).await?;
            }
            MemberCommand::Roll(reply) => self.answer(reply, self.book.roll()),
            MemberCommand::Page(filter, reply) => self.answer(reply, self.book.page(&filter)),
            MemberCommand::Summary(reply) => self.answer(reply, self.book.summary()),
            MemberCommand::Member(operator, reply) => {
                self.answer(reply, self.book.member(operator))
            }
        }
        Ok(())
    }

    fn answer<T: Send + 'static>(&mut self, reply: oneshot::Sender<T>, answer: T) {
        // Who asked may have left.
        self.answers.push(Box::new(move || _ = reply.send(answer)));
    }

    async fn chain(&mut self, event: Input) -> Result<(), StoreError> {
        if let Err(refused) = self.handle(event).await? {
            tracing::error!(%refused, "an event of the home chain is not taken");
        }
        Ok(())
    }

    async fn handle(&mut self, input: Input) -> Result<Result<(), Refused>, StoreError> {
        let outputs = match self.book.handle(clock::now(), input) {
            Ok(outputs) => outputs,
            Err(refused) => return Ok(Err(refused)),
        };
        for output in outputs {
            // Between two operators only: what happened to one stays together.
            if self.batch.bytes() > SPLIT && MemberStore::begins(&output) {
                self.commit().await?;
            }
            self.book.enter(output, &mut self.batch);
        }
        self.book.close_page(&mut self.batch);
        Ok(Ok(()))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.book.close_page(&mut self.batch);
        let batch = std::mem::replace(&mut self.batch, Batch::new());
        if !batch.is_empty() {
            self.writes.write(batch, Durability::Buffered).await?;
        }
        self.newest.send_replace(self.book.sequence());
        Ok(())
    }

    /// Writes what is left of the round, then answers.
    async fn finish(&mut self) -> Result<(), StoreError> {
        self.commit().await?;
        for answer in self.answers.drain(..) {
            answer();
        }
        Ok(())
    }
}

/// One page of the event log.
#[derive(Debug, Default)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<quorate_proto::wire::LifecycleEvent>,
    /// Whether there are more behind the last one.
    pub(crate) more: bool,
}

/// Which events are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventFilter {
    /// Of this operator only.
    pub(crate) operator: Option<Address>,
    /// Behind this one, in the order asked for; `None` from the end or the beginning.
    pub(crate) behind: Option<u64>,
    pub(crate) newest_first: bool,
    pub(crate) limit: usize,
}

/// Reads the event log.
///
/// # Errors
/// A store that cannot be read.
pub(crate) fn events(store: &Store, filter: EventFilter) -> Result<EventPage, StoreError> {
    use quorate_storage::Page;
    fn page<K>(filter: EventFilter) -> Page<K> {
        match filter.newest_first {
            true => Page::newest(filter.limit),
            false => Page::first(filter.limit),
        }
    }
    let Some(operator) = filter.operator else {
        let page = page(filter).after(filter.behind);
        let rows = store.scan(schema::EVENTS, &(), page)?;
        return Ok(EventPage {
            events: rows.rows.into_iter().map(|(_, event)| event).collect(),
            more: rows.next.is_some(),
        });
    };
    let operator = operator.into_array();
    let page = page(filter).after(filter.behind.map(|number| (operator, number)));
    let rows = store.scan(schema::OPERATOR_EVENTS, &operator, page)?;
    let mut events = Vec::new();
    for ((_, number), _) in rows.rows {
        events.extend(store.get(schema::EVENTS, &number)?);
    }
    Ok(EventPage {
        events,
        more: rows.next.is_some(),
    })
}

#[cfg(test)]
mod tests;
