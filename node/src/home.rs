//! Follows the home chain: who is an operator in which epoch.
//!
//! At a registry the membership task hears of every registration and writes it together with the
//! cursor; elsewhere the cursor is written here.

mod introduction;
mod registrations;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BlockRef, ChainError, HomeReader};
use quorate_proto::store::OperatorSetRecord;
use quorate_proto::{Address, Epoch, EpochSchedule, OperatorSet, U256};
use quorate_protocols::epoch::{EpochMachine, Input, Output};
use quorate_storage::{Batch, Durability, Store, WriteQueue, schema};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::introduction::Introducer;
use crate::NodeError;
use crate::clock;
use crate::members::MembersHandle;

/// Pause after a failed read of the home chain; polls in between come on demand.
const RETRY: Duration = Duration::from_secs(1);

/// Between two readings of all registrations, which may be many requests.
const THOROUGH_EVERY: Duration = Duration::from_secs(60);

/// What the home chain says now.
#[derive(Clone, Debug, Default)]
pub(crate) struct EpochView {
    /// The set in whose epoch new tasks are born.
    pub(crate) current: Option<Arc<OperatorSet>>,
    /// All sets whose tasks may be under way.
    sets: Vec<Arc<OperatorSet>>,
    /// Newest final block that was followed.
    pub(crate) head: Option<BlockRef>,
    /// Why the home chain cannot be followed just now.
    pub(crate) problem: Option<String>,
}

impl EpochView {
    /// The set of an epoch in which tasks may be under way.
    pub(crate) fn set(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.sets.iter().find(|set| set.epoch() == epoch)
    }

    /// A view of these sets, ascending by epoch, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(sets: Vec<Arc<OperatorSet>>) -> Self {
        Self {
            current: sets.last().cloned(),
            sets,
            head: None,
            problem: None,
        }
    }

    /// All of them.
    pub(crate) fn sets(&self) -> &[Arc<OperatorSet>] {
        &self.sets
    }

    /// The newest epoch whose set is known.
    pub(crate) fn newest(&self) -> Option<Epoch> {
        self.sets.last().map(|set| set.epoch())
    }

    /// Whether others may be in this epoch already, and this node soon: it is the one after the newest
    /// that is known, or none is known yet.
    pub(crate) fn is_coming(&self, epoch: Epoch) -> bool {
        self.newest().is_none_or(|newest| newest.next() == epoch)
    }

    /// Whether an epoch began within the grace period of the one before it.
    pub(crate) fn has_turned(&self) -> bool {
        let current = self.current.as_ref().map(|set| set.epoch());
        self.sets.first().map(|set| set.epoch()) < current
    }

    /// Whether others may still finish tasks of an epoch that is over here. Where one has just turned,
    /// that is any before it: who follows the home chain more closely saw each of them begin, and this
    /// node may have skipped some.
    pub(crate) fn may_end(&self, epoch: Epoch) -> bool {
        let before = |set: &Arc<OperatorSet>| epoch < set.epoch() && self.has_turned();
        let current = self.current.as_ref();
        current.is_none_or(|set| epoch.next() == set.epoch() || before(set))
    }

    /// Whether this is an epoch after the coming one.
    pub(crate) fn is_far(&self, epoch: Epoch) -> bool {
        self.newest().is_some_and(|newest| newest.next() < epoch)
    }
}

/// The task that follows the home chain.
pub(crate) struct Home {
    reader: Arc<dyn HomeReader>,
    poll: Duration,
    store: Store,
    writes: WriteQueue,
    view: watch::Sender<EpochView>,
    wake: mpsc::Receiver<()>,
    ended: mpsc::Sender<Epoch>,
    /// At a registry.
    members: Option<MembersHandle>,
    introducer: Option<Introducer>,
}

/// Where the home task keeps what it read.
pub(crate) struct HomeParts {
    pub(crate) store: Store,
    pub(crate) writes: WriteQueue,
    /// At a registry.
    pub(crate) members: Option<MembersHandle>,
    /// Who names the sets to a new node.
    pub(crate) introducer: Option<Introducer>,
}

impl HomeParts {
    pub(crate) fn new(
        store: &Store,
        writes: &WriteQueue,
        members: Option<&MembersHandle>,
        introducer: Introducer,
    ) -> Self {
        Self {
            store: store.clone(),
            writes: writes.clone(),
            members: members.cloned(),
            introducer: Some(introducer),
        }
    }
}

/// Sees what the home chain says.
#[derive(Clone)]
pub(crate) struct HomeHandle {
    view: watch::Receiver<EpochView>,
    wake: mpsc::Sender<()>,
}

impl HomeHandle {
    /// What is known now.
    pub(crate) fn view(&self) -> EpochView {
        self.view.borrow().clone()
    }

    /// The set of an epoch in which tasks may be under way.
    pub(crate) fn set(&self, epoch: Epoch) -> Option<Arc<OperatorSet>> {
        self.view.borrow().set(epoch).cloned()
    }

    /// Changes of it.
    pub(crate) fn watch(&self) -> watch::Receiver<EpochView> {
        self.view.clone()
    }

    /// A handle that sees what the sender says, for tests.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(view: watch::Receiver<EpochView>) -> Self {
        let (wake, _) = mpsc::channel(1);
        Self { view, wake }
    }

    /// Looks at the home chain now instead of at the next poll.
    pub(crate) fn hurry(&self) {
        // A full channel means that it is about to look anyway.
        let _ = self.wake.try_send(());
    }
}

/// Follows registrations and epochs between two polls.
struct Follower {
    machine: EpochMachine,
    schedule: EpochSchedule,
    operators: BTreeSet<Address>,
    /// The next block whose registrations are to be read.
    next_block: u64,
    /// The block up to which the cursor on disk goes.
    written: u64,
    /// When registrations were last read from the beginning, because operators were missing.
    thorough: Option<Instant>,
}

impl Follower {
    /// Whether all registrations may be read anew: the providers may know more than last time.
    fn may_be_thorough(&self) -> bool {
        self.thorough
            .is_none_or(|last| last.elapsed() >= THOROUGH_EVERY)
    }
}

impl Home {
    /// `ended` hears of epochs whose tasks cannot finish any more.
    pub(crate) fn new(
        reader: Arc<dyn HomeReader>,
        poll: Duration,
        parts: HomeParts,
        ended: mpsc::Sender<Epoch>,
    ) -> (Self, HomeHandle) {
        let (view, view_rx) = watch::channel(EpochView::default());
        let (wake_tx, wake) = mpsc::channel(1);
        let HomeParts {
            store,
            writes,
            members,
            introducer,
        } = parts;
        let home = Self {
            reader,
            poll,
            store,
            writes,
            view,
            wake,
            ended,
            members,
            introducer,
        };
        (
            home,
            HomeHandle {
                view: view_rx,
                wake: wake_tx,
            },
        )
    }

    /// Runs until `token` is cancelled. A home chain out of reach is a problem in the status, not
    /// the end.
    pub(crate) async fn run(mut self, token: CancellationToken) -> Result<(), NodeError> {
        let Some(schedule) = self.schedule(&token).await? else {
            return Ok(());
        };
        let mut follower = self.recall(schedule)?;
        self.introduce(&mut follower).await?;
        loop {
            let pause = match self.step(&mut follower).await {
                Ok(()) => self.poll,
                Err(NodeError::Chain(error)) => self.complain(&error),
                Err(error) => return Err(error),
            };
            let wake = follower.machine.next_wake().map(clock::instant_of);
            let next = Instant::now() + pause;
            tokio::select! {
                () = tokio::time::sleep_until(wake.map_or(next, |at| at.min(next))) => {}
                Some(()) = self.wake.recv() => {}
                () = token.cancelled() => return Ok(()),
            }
        }
    }

    fn complain(&self, error: &ChainError) -> Duration {
        let text = error.to_string();
        let is_new = self.view.borrow().problem.as_ref() != Some(&text);
        if is_new {
            tracing::warn!(%error, "the home chain cannot be followed now");
        }
        self.view.send_modify(|view| view.problem = Some(text));
        RETRY
    }

    /// The schedule, as soon as the home chain answers; `None` where the node ends before.
    async fn schedule(
        &mut self,
        token: &CancellationToken,
    ) -> Result<Option<EpochSchedule>, NodeError> {
        loop {
            match self.reader.schedule().await {
                Ok(schedule) => return Ok(Some(schedule)),
                Err(error) if error.is_retryable() => self.complain(&error),
                Err(error) => return Err(error.into()),
            };
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = token.cancelled() => return Ok(None),
            }
        }
    }

    /// Goes on where an earlier run stopped.
    fn recall(&self, schedule: EpochSchedule) -> Result<Follower, NodeError> {
        let mut operators = BTreeSet::new();
        for row in self.store.rows(schema::OPERATORS, &()) {
            operators.insert(Address::from(row?.0));
        }
        let cursor = self.store.get(schema::CURSORS, self.cursor_name())?;
        let next_block = cursor.map_or(schedule.genesis, |c| c.block_number.saturating_add(1));
        Ok(Follower {
            machine: EpochMachine::new(schedule),
            schedule,
            operators,
            next_block,
            written: next_block,
            thorough: None,
        })
    }

    async fn step(&self, follower: &mut Follower) -> Result<(), NodeError> {
        let head = self.reader.refresh().await?;
        self.follow_registrations(follower, head).await?;
        let mut outputs = follower
            .machine
            .handle(clock::now(), Input::Final(head.number));
        let mut failed = None;
        while let Some(output) = outputs.pop() {
            match output {
                Output::Load(epoch) => match self.load_whole(follower, epoch, head).await {
                    Ok(set) => {
                        let loaded = Input::Loaded(Arc::new(set));
                        let more = follower.machine.handle(clock::now(), loaded);
                        // What is still to be loaded is asked for again; this round has it already.
                        outputs.retain(|output| !matches!(output, Output::Load(_)));
                        outputs.extend(more);
                    }
                    // The others may be there, and are shown; this one is tried again.
                    Err(error) => failed = Some(error),
                },
                Output::Began(epoch) => self.began(follower, epoch, head).await,
                Output::Ended(epoch) => {
                    let _ = self.ended.send(epoch).await;
                }
            }
        }
        self.show(follower, head);
        failed.map_or(Ok(()), Err)
    }

    async fn began(&self, follower: &Follower, epoch: Epoch, head: BlockRef) {
        tracing::info!(%epoch, "epoch began");
        if let (Some(members), Some(set)) = (&self.members, follower.machine.set(epoch)) {
            members.epoch_began(set.clone(), head.number).await;
        }
    }

    /// Where operators are not known that hold weight, all registrations are read anew. A set that
    /// lacks members is never used nor kept: its hash is another one, and whoever it lacks would
    /// not be heard.
    async fn load_whole(
        &self,
        follower: &mut Follower,
        epoch: Epoch,
        head: BlockRef,
    ) -> Result<OperatorSet, NodeError> {
        let mut set = self.load(follower, epoch, head).await?;
        if !set.is_whole() && follower.may_be_thorough() {
            tracing::warn!(%epoch, "operators are missing; all registrations are read");
            follower.thorough = Some(Instant::now());
            follower.next_block = follower.schedule.genesis;
            self.follow_registrations(follower, head).await?;
            set = self.load(follower, epoch, head).await?;
        }
        if !set.is_whole() {
            return Err(missing_operators(&set).into());
        }
        self.keep_set(&set).await?;
        Ok(set)
    }

    async fn load(
        &self,
        follower: &Follower,
        epoch: Epoch,
        head: BlockRef,
    ) -> Result<OperatorSet, ChainError> {
        let operators: Vec<Address> = follower.operators.iter().copied().collect();
        let reading = self.reader.operator_set(epoch, &operators, head.hash);
        reading.await
    }

    async fn keep_set(&self, set: &OperatorSet) -> Result<(), NodeError> {
        let epoch = set.epoch();
        let mut batch = Batch::new();
        batch.put(schema::SETS, &epoch.0, &OperatorSetRecord::from(set));
        self.writes.write(batch, Durability::Buffered).await?;
        tracing::info!(%epoch, operators = set.members().len(), total = %set.total_weight(),
            threshold = %set.threshold(), "operator set loaded");
        Ok(())
    }

    fn show(&self, follower: &Follower, head: BlockRef) {
        let machine = &follower.machine;
        let view = EpochView {
            current: machine
                .current()
                .and_then(|epoch| machine.set(epoch))
                .cloned(),
            sets: machine.sets().cloned().collect(),
            head: Some(head),
            problem: None,
        };
        if let Some(set) = &view.current {
            metrics::gauge!("quorate_epoch").set(f64::from(set.epoch().0));
        }
        self.view.send_replace(view);
    }
}

fn missing_operators(set: &OperatorSet) -> ChainError {
    let weights = set.members().iter().map(|member| member.weight);
    ChainError::MissingOperators {
        epoch: set.epoch(),
        known: weights.fold(U256::ZERO, U256::saturating_add),
        total: set.total_weight(),
    }
}

#[cfg(test)]
mod tests;
