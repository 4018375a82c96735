//! Signatures whose commit may be under way: equivocation is looked for among them as in the store.

use std::collections::HashMap;

use quorate_proto::{Address, Epoch, Outcome, Response, SlotId, Statement, TaskId, wire};
use quorate_storage::{Store, schema};

/// Signatures kept beside the store without asking whether it has them: 400 kB.
const KEPT: usize = 1_024;

/// By slot and operator.
#[derive(Default)]
pub(super) struct PendingSignatures {
    slots: HashMap<SlotId, HashMap<Address, Vec<Response>>>,
    count: usize,
    /// How many of them make it worth to look which are on disk.
    next_look: usize,
}

impl PendingSignatures {
    /// It is in the batch of this round.
    pub(super) fn add(&mut self, response: &Response) {
        if matches!(response.outcome, Outcome::Refused(_)) || self.has(response) {
            return;
        }
        let slot = self.slots.entry(response.statement.slot()).or_default();
        let signed = slot.entry(response.operator).or_default();
        signed.push(response.clone());
        self.count += 1;
    }

    /// Whether a signature of this operator under the task of `response` is among them.
    pub(super) fn has(&self, response: &Response) -> bool {
        let task = response.statement.task_id();
        let mut signed = self.of(response).iter();
        signed.any(|earlier| earlier.statement.task_id() == task)
    }

    /// Another fact that the same operator signed for the same slot.
    pub(super) fn contradiction(&self, response: &Response) -> Option<&Response> {
        let fact = response.statement.fact();
        let mut signed = self.of(response).iter();
        signed.find(|earlier| earlier.statement.fact() != fact)
    }

    /// Tasks that answer the question of this one otherwise.
    pub(super) fn rivals(&self, statement: &Statement) -> Vec<TaskId> {
        let fact = statement.fact();
        let signed = self.slots.get(&statement.slot()).into_iter();
        let others = signed
            .flat_map(HashMap::values)
            .flatten()
            .filter(|other| other.statement.fact() != fact);
        let mut rivals: Vec<TaskId> = others.map(|other| other.statement.task_id()).collect();
        rivals.sort_unstable();
        rivals.dedup();
        rivals
    }

    /// Signatures under the task of this statement.
    pub(super) fn of_task(&self, statement: &Statement) -> impl Iterator<Item = &Response> {
        let task = statement.task_id();
        let signed = self.slots.get(&statement.slot()).into_iter();
        let all = signed.flat_map(HashMap::values).flatten();
        all.filter(move |response| response.statement.task_id() == task)
    }

    fn of(&self, response: &Response) -> &[Response] {
        let slot = self.slots.get(&response.statement.slot());
        let signed = slot.and_then(|slot| slot.get(&response.operator));
        signed.map_or(&[], Vec::as_slice)
    }

    /// What the store shows by now need not be kept beside it, nor what it will not show any more:
    /// epochs before `floor` are pruned. Looks after every doubling, so that an entry is looked up
    /// twice on average.
    pub(super) fn forget_written(&mut self, store: &Store, floor: Epoch) {
        if self.count < self.next_look.max(KEPT) {
            return;
        }
        let mut left = 0;
        self.slots.retain(|_, operators| {
            operators.retain(|_, signed| {
                signed.retain(|response| {
                    response.statement.epoch() >= floor && !is_written(store, response)
                });
                left += signed.len();
                !signed.is_empty()
            });
            !operators.is_empty()
        });
        self.count = left;
        self.next_look = 2 * left;
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.count
    }
}

/// An earlier refusal may stand there for a while.
fn is_written(store: &Store, response: &Response) -> bool {
    let task = response.statement.task_id();
    let key = (task.0.0, response.operator.into_array());
    let written = store.get(schema::RESPONSES, &key).ok().flatten();
    let written = written.and_then(|record| record.response);
    written == Some(wire::Response::from(response))
}
