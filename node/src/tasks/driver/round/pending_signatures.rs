//! Signatures whose commit is under way: equivocation is looked for among them as in the store.

use quorate_proto::{Address, B256, Outcome, Response, SlotId, Statement, TaskId};
use quorate_storage::{Batch, Overlay};

type SignatureKey = (SlotId, Address, TaskId);

#[derive(Default)]
pub(super) struct PendingSignatures(Overlay<SignatureKey, Response>);

impl PendingSignatures {
    /// It is written with `batch`.
    pub(super) fn add(&self, batch: &mut Batch, response: &Response) {
        if matches!(response.outcome, Outcome::Signed(_)) {
            self.0.put(batch, key_of(response), response.clone());
        }
    }

    /// Whether a signature of this operator under the task of `response` is among them.
    pub(super) fn has(&self, response: &Response) -> bool {
        self.0.contains(&key_of(response))
    }

    /// Another fact that the same operator signed for the same slot.
    pub(super) fn contradiction(&self, response: &Response) -> Option<Response> {
        let (slot, operator, task) = key_of(response);
        let first = (slot, operator, TaskId(B256::ZERO));
        let of_operator = self
            .0
            .range(&first, |key| (key.0, key.1) == (slot, operator));
        let fact = response.statement.fact();
        let mut others = of_operator.into_iter().filter(|(key, _)| key.2 != task);
        let found = others.find(|(_, other)| other.statement.fact() != fact);
        found.map(|(_, other)| other)
    }

    /// Tasks that answer the question of this one otherwise.
    pub(super) fn rivals(&self, statement: &Statement) -> Vec<TaskId> {
        let fact = statement.fact();
        let of_slot = self.of_slot(statement).into_iter();
        let others = of_slot.filter(|(_, other)| other.statement.fact() != fact);
        let mut rivals: Vec<TaskId> = others.map(|(key, _)| key.2).collect();
        rivals.sort_unstable();
        rivals.dedup();
        rivals
    }

    /// PendingSignatures under the task of this statement.
    pub(super) fn of_task(&self, statement: &Statement) -> Vec<Response> {
        let task = statement.task_id();
        let of_slot = self.of_slot(statement).into_iter();
        let signed = of_slot.filter(|(key, _)| key.2 == task);
        signed.map(|(_, response)| response).collect()
    }

    fn of_slot(&self, statement: &Statement) -> Vec<(SignatureKey, Response)> {
        let slot = statement.slot();
        let first = (slot, Address::ZERO, TaskId(B256::ZERO));
        self.0.range(&first, |key| key.0 == slot)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn key_of(response: &Response) -> SignatureKey {
    let statement = &response.statement;
    (statement.slot(), response.operator, statement.task_id())
}
