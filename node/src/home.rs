//! Follows the home chain: who is an operator in which epoch.
//!
//! At a registry the membership task hears of every registration and writes it together with the
//! cursor; elsewhere the cursor is written here.

pub mod directory;
mod past;
mod registrations;
pub(crate) mod set_history;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_chain::{BlockRef, ChainError, HomeReader};
use quorate_proto::store::{OperatorSetRecord, SetSource};
use quorate_proto::{Epoch, EpochSchedule, OperatorSet, U256};
use quorate_protocols::epoch::{EpochMachine, Input, Output};
use quorate_storage::{Batch, Durability, Store, WriteQueue, schema};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use view::{EpochView, HomeHandle};

use self::past::Past;
use self::registrations::CURSOR;
use crate::NodeError;
use crate::clock;
use crate::registry::members::MembersHandle;

/// Pause after a failed read of the home chain; polls in between come on demand.
const RETRY: Duration = Duration::from_secs(1);

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

/// Follows epochs, and at a registry registrations, between two polls.
struct HomeFollower {
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
    fn recall(&self, schedule: EpochSchedule) -> Result<HomeFollower, NodeError> {
        let cursor = self.store.get(schema::CURSORS, CURSOR)?;
        let next_block = cursor.map_or(schedule.genesis, |c| c.block_number.saturating_add(1));
        Ok(HomeFollower {
            machine: EpochMachine::new(schedule),
            schedule,
            next_block,
            written: next_block,
            past: Past::default(),
        })
    }

    async fn step(&self, follower: &mut HomeFollower) -> Result<(), NodeError> {
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
        follower: &mut HomeFollower,
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

    async fn began(&self, follower: &HomeFollower, epoch: Epoch, head: Option<BlockRef>) {
        tracing::info!(%epoch, "epoch began");
        if let (Some(members), Some(set), Some(head)) =
            (&self.members, follower.machine.set(epoch), head)
        {
            members.epoch_began(set.clone(), head.number).await;
        }
    }

    /// A set that lacks members is never used nor kept: its hash is another one, and a member that it lacks
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
        let mut record = OperatorSetRecord::from(set);
        record.set_source(SetSource::HomeChain);
        batch.put(schema::SETS, &epoch.0, &record);
        self.writes.write(batch, Durability::Buffered).await?;
        tracing::info!(%epoch, operators = set.members().len(), total = %set.total_weight(),
            threshold = %set.threshold(), "operator set loaded");
        Ok(())
    }

    fn show(&self, follower: &HomeFollower, head: Option<BlockRef>) {
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
