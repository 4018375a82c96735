//! One node: machines that die with it, and a store that does not.

use std::collections::HashMap;

use quorate_proto::{
    Address, B256, Certificate, EpochSchedule, RefusalCode, Response, SlotId, Statement, TaskId,
    Timestamp,
};

use super::world;
use crate::epoch::EpochMachine;
use crate::pipeline::Pipeline;
use crate::task::Times;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) address: Address,
    pub(super) alive: bool,
    /// Counts its lives; what an earlier one began is void.
    pub(super) life: u32,
    pub(super) epochs: EpochMachine,
    pub(super) pipeline: Pipeline,
    pub(super) store: Store,
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
            armed: None,
            ahead,
        }
    }

    pub(super) fn crash(&mut self) {
        self.alive = false;
        self.life += 1;
        self.armed = None;
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
}

impl Store {
    /// Signs, and has it in the log before anybody sees it; or refuses because the log says so.
    pub(super) fn sign(&mut self, operator: Address, statement: Statement) -> Response {
        let fact = statement.fact();
        let logged = *self.signing_log.entry(statement.slot()).or_insert(fact);
        if logged != fact {
            return world::refusal(operator, statement, RefusalCode::Conflict);
        }
        self.signatures
            .entry(statement.task_id())
            .or_insert_with(|| world::signed(operator, statement))
            .clone()
    }
}
