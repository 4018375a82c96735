//! One node: machines that die with it, and a store that does not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quorate_proto::{
    Address, B256, Certificate, EpochSchedule, RefusalCode, Response, SlotId, Statement, TaskId,
    Timestamp,
};

use super::event::Parcel;
use super::world::World;
use quorate_protocols::epoch::EpochMachine;
use quorate_protocols::pipeline::Pipeline;
use quorate_protocols::task::Times;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) alive: bool,
    /// Counts its lives; what an earlier one began is void.
    pub(super) life: u32,
    pub(super) epochs: EpochMachine,
    pub(super) pipeline: Pipeline,
    pub(super) store: Store,
    /// Messages that this life heard: an author's numbers are remembered, so that no other node can repeat
    /// its words.
    pub(super) heard: HashSet<u64>,
    /// What it heard from others, where it means to repeat it.
    pub(super) overheard: Vec<Arc<Parcel>>,
    /// When it will be woken next.
    pub(super) armed: Option<Timestamp>,
    /// Microseconds that its clock is ahead.
    ahead: u64,
}

impl Node {
    pub(super) fn new(address: Address, schedule: EpochSchedule, times: Times, ahead: u64) -> Self {
        Self {
            address,
            alive: true,
            life: 0,
            epochs: EpochMachine::new(schedule),
            pipeline: Pipeline::new(Some(address), times),
            store: Store::default(),
            heard: HashSet::new(),
            overheard: Vec::new(),
            armed: None,
            ahead,
        }
    }

    pub(super) fn crash(&mut self) {
        self.alive = false;
        self.life += 1;
        self.armed = None;
        self.heard.clear();
    }

    pub(super) fn restart(&mut self, schedule: EpochSchedule, times: Times) {
        self.alive = true;
        self.epochs = EpochMachine::new(schedule);
        self.pipeline = Pipeline::new(Some(self.address), times);
    }

    /// None in the dead.
    pub(super) fn open_tasks(&self) -> usize {
        if self.alive {
            self.pipeline.open_tasks()
        } else {
            0
        }
    }

    /// What its clock shows.
    pub(super) const fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0 + self.ahead)
    }

    /// The true time at which its machines want to be woken.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let wakes = [self.epochs.next_wake(), self.pipeline.next_wake()];
        let next = wakes.into_iter().flatten().min()?;
        Some(Timestamp(next.0 - self.ahead))
    }
}

/// What a node has written.
#[derive(Debug, Default)]
pub(super) struct Store {
    signing_log: HashMap<SlotId, B256>,
    signatures: HashMap<TaskId, Response>,
    pub(super) certificates: HashMap<TaskId, Certificate>,
    /// Whether the log was lost with the disk and has not come back.
    lost: bool,
    /// What was in the log when it was lost.
    archive: HashMap<SlotId, B256>,
    /// What was written of late, and when; for stories in which that is not safe.
    latest: Vec<(Timestamp, SlotId)>,
}

/// What a crash takes of a log that is not synced, in microseconds.
const UNSYNCED: u64 = 1_000_000;

impl Store {
    /// Signs, and has it in the log before any other node sees it; or refuses because the log says so, or
    /// because there is none.
    pub(super) fn sign(
        &mut self,
        now: Timestamp,
        world: &World,
        operator: Address,
        statement: Statement,
    ) -> Response {
        if self.lost {
            return world.refusal(operator, statement, RefusalCode::CannotSign);
        }
        let (slot, fact) = (statement.slot(), statement.fact());
        let logged = *self.signing_log.entry(slot).or_insert(fact);
        if logged != fact {
            return world.refusal(operator, statement, RefusalCode::Conflict);
        }
        self.latest.push((now, slot));
        self.signatures
            .entry(statement.task_id())
            .or_insert_with(|| world.signed(operator, statement))
            .clone()
    }

    /// Forgets what is signed: for stories without a signing log.
    pub(super) fn forget(&mut self) {
        self.signing_log.clear();
        self.signatures.clear();
    }

    /// Loses what a crash takes where nothing is synced.
    pub(super) fn lose_latest(&mut self, now: Timestamp) {
        let latest = self
            .latest
            .iter()
            .filter(|(at, _)| now.micros_since(*at) < UNSYNCED);
        for (_, slot) in latest {
            self.signing_log.remove(slot);
        }
        self.signatures.clear();
    }

    /// The disk is gone. `notices`: the node sees that its log is another one than it should be.
    pub(super) fn lose_all(&mut self, notices: bool) {
        let mut archive = std::mem::take(&mut self.archive);
        archive.extend(self.signing_log.drain());
        *self = Self {
            lost: notices,
            archive,
            ..Self::default()
        };
    }

    /// The log is back, all of it.
    pub(super) fn import(&mut self) {
        self.signing_log.extend(self.archive.drain());
        self.lost = false;
    }
}
