//! Follows the home chain: who is an operator in which epoch.
//!
//! At a registry the membership task hears of every registration and writes it together with the
//! cursor; elsewhere the cursor is written here.

mod past;
mod registrations;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BlockRef, ChainError, HomeReader};
use quorate_proto::store::OperatorSetRecord;
use quorate_proto::{Address, Epoch, EpochSchedule, OperatorSet, Statement, U256};
use quorate_protocols::epoch::{EpochMachine, Input, Output};
use quorate_storage::{Batch, Durability, Store, WriteQueue, schema};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::past::Past;
use self::registrations::CURSOR;
use crate::NodeError;
use crate::clock;
use crate::members::MembersHandle;

/// Pause after a failed read of the home chain; polls in between come on demand.
const RETRY: Duration = Duration::from_secs(1);

/// What the home chain says now.
#[derive(Clone, Debug, Default)]
pub(crate) struct EpochView {
    /// The set in whose epoch new tasks are born.
    pub(crate) current: Option<Arc<OperatorSet>>,
    /// All sets whose tasks may be under way.
    sets: Vec<Arc<OperatorSet>>,
    /// Sets of epochs that are over, ascending, whose certificates still hold: they may name a later set, where a
    /// light registry holds nothing later.
    past: Vec<Arc<OperatorSet>>,
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
            past: Vec::new(),
            head: None,
            problem: None,
        }
    }

    /// The set that signs a statement: that of its epoch, while tasks may be under way there; of an epoch
    /// that is over only where the statement names a later set.
    pub(crate) fn signers_of(&self, statement: &Statement) -> Option<&Arc<OperatorSet>> {
        let epoch = statement.epoch();
        let past = || statement.outlives_its_set().then(|| self.past(epoch))?;
        self.set(epoch).or_else(past)
    }

    /// The set of an epoch that is over, while it may still name another one.
    pub(crate) fn past(&self, epoch: Epoch) -> Option<&Arc<OperatorSet>> {
        self.past.iter().find(|set| set.epoch() == epoch)
    }

    /// Sets that are over and may still name another one, ascending.
    pub(crate) fn past_sets(&self) -> &[Arc<OperatorSet>] {
        &self.past
    }

    /// The keys that an operator has in live sets, each once, those of the newest first.
    pub(crate) fn keys_of(&self, operator: Address) -> Vec<Address> {
        keys_in(&self.sets, operator)
    }

    /// As [`Self::keys_of`], in sets that are over and may still name another one.
    pub(crate) fn past_keys_of(&self, operator: Address) -> Vec<Address> {
        keys_in(&self.past, operator)
    }

    /// With sets of epochs that are over, for tests.
    #[cfg(test)]
    pub(crate) fn with_past(self, past: Vec<Arc<OperatorSet>>) -> Self {
        Self { past, ..self }
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

/// The keys of an operator in sets that ascend by epoch.
fn keys_in(sets: &[Arc<OperatorSet>], operator: Address) -> Vec<Address> {
    let members = sets.iter().rev().filter_map(|set| set.get(operator));
    let mut keys = Vec::new();
    for member in members {
        if !keys.contains(&member.signing_key) {
            keys.push(member.signing_key);
        }
    }
    keys
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
}

/// Where the home task keeps what it read.
pub(crate) struct HomeParts {
    pub(crate) store: Store,
    pub(crate) writes: WriteQueue,
    /// At a registry.
    pub(crate) members: Option<MembersHandle>,
}

impl HomeParts {
    pub(crate) fn new(store: &Store, writes: &WriteQueue, members: Option<&MembersHandle>) -> Self {
        Self {
            store: store.clone(),
            writes: writes.clone(),
            members: members.cloned(),
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

/// Follows epochs, and at a registry registrations, between two polls.
struct Follower {
    machine: EpochMachine,
    schedule: EpochSchedule,
    /// The next block whose registrations are to be read.
    next_block: u64,
    /// The block up to which the cursor on disk goes.
    written: u64,
    past: Past,
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
        let cursor = self.store.get(schema::CURSORS, CURSOR)?;
        let next_block = cursor.map_or(schedule.genesis, |c| c.block_number.saturating_add(1));
        Ok(Follower {
            machine: EpochMachine::new(schedule),
            schedule,
            next_block,
            written: next_block,
            past: Past::default(),
        })
    }

    async fn step(&self, follower: &mut Follower) -> Result<(), NodeError> {
        // Epochs end by the clock, whether the home chain can be read or not.
        self.handle(follower, Input::Wake, None).await?;
        let head = self.reader.refresh().await?;
        if let Some(members) = &self.members {
            self.follow_registrations(members, follower, head).await?;
        }
        self.handle(follower, Input::Final(head.number), Some(head))
            .await?;
        self.look_back(follower, head).await
    }

    /// Has the machine take an input, and carries out what it wants in that order. Sets are read at `head`.
    async fn handle(
        &self,
        follower: &mut Follower,
        input: Input,
        head: Option<BlockRef>,
    ) -> Result<(), NodeError> {
        let mut outputs = VecDeque::from(follower.machine.handle(clock::now(), input));
        let mut failed = None;
        while let Some(output) = outputs.pop_front() {
            match (output, head) {
                (Output::Load(epoch), Some(head)) => match self.load(epoch, head).await {
                    Ok(set) => {
                        let loaded = Input::Loaded(Arc::new(set));
                        let more = follower.machine.handle(clock::now(), loaded);
                        // What is still to be loaded is asked for again; this round has it already.
                        let is_load = |output: &Output| matches!(output, Output::Load(_));
                        outputs.retain(|output| !is_load(output));
                        outputs.extend(more);
                    }
                    // The others may be there, and are shown; this one is tried again.
                    Err(error) => failed = failed.or(Some(error)),
                },
                // Without a head: at the next one.
                (Output::Load(_), None) => {}
                (Output::Began(epoch), _) => self.began(follower, epoch, head).await,
                (Output::Ended(epoch), _) => {
                    let _ = self.ended.send(epoch).await;
                }
            }
        }
        self.show(follower, head);
        failed.map_or(Ok(()), Err)
    }

    async fn began(&self, follower: &Follower, epoch: Epoch, head: Option<BlockRef>) {
        tracing::info!(%epoch, "epoch began");
        if let (Some(members), Some(set), Some(head)) =
            (&self.members, follower.machine.set(epoch), head)
        {
            members.epoch_began(set.clone(), head.number).await;
        }
    }

    /// A set that lacks members is never used nor kept: its hash is another one, and whoever it lacks
    /// would not be heard.
    async fn load(&self, epoch: Epoch, head: BlockRef) -> Result<OperatorSet, NodeError> {
        let set = self.reader.operator_set(epoch, head.hash).await?;
        if !set.is_whole() {
            return Err(missing_operators(&set).into());
        }
        self.keep_set(&set).await?;
        Ok(set)
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

    fn show(&self, follower: &Follower, head: Option<BlockRef>) {
        let machine = &follower.machine;
        let current = machine.current().and_then(|epoch| machine.set(epoch));
        if let Some(set) = current {
            metrics::gauge!("quorate_epoch").set(f64::from(set.epoch().0));
        }
        self.view.send_modify(|view| {
            view.current = current.cloned();
            view.sets = machine.sets().cloned().collect();
            if head.is_some() {
                view.head = head;
                view.problem = None;
            }
        });
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
