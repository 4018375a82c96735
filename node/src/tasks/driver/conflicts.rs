//! Which other tasks gave another answer to a task's question: where to look for equivocation.
//!
//! Nothing is written for this in the usual case. Certified tasks are found by their question, and
//! honest operators all sign the certified fact, so a task that agrees with the certificate has no
//! rivals among them. Tasks that ended without certificate although an operator signed them have an
//! index of their own; that they are many for one slot takes as many signers, or one who is guilty.

use std::collections::HashMap;

use quorate_proto::{B256, SlotId, Statement, TaskId};
use quorate_storage::{Page, Store, schema};

use crate::NodeError;

/// Rivals of one task that are looked at: one for each of the operators of the largest set, since
/// each of them that signs two is found at the second.
const MAX_RIVALS: usize = 512;
/// Tasks remembered without looking whether they are still open.
const SWEEP: usize = 64;

/// Tasks that are open here, and their rivals.
#[derive(Default)]
pub(super) struct ConflictingTasks {
    open: HashMap<SlotId, Vec<(TaskId, B256)>>,
    rivals: HashMap<TaskId, Vec<TaskId>>,
    next_sweep: usize,
}

impl ConflictingTasks {
    /// A task opened: its rivals are those in the store, those that are open with it, and those that
    /// are just being written.
    pub(super) fn opened(
        &mut self,
        store: &Store,
        statement: &Statement,
        unwritten: &[TaskId],
    ) -> Result<(), NodeError> {
        let (id, fact) = (statement.task_id(), statement.fact());
        let mut rivals = self.all(store, statement)?;
        for task in unwritten {
            if !rivals.contains(task) && rivals.len() < MAX_RIVALS {
                rivals.push(*task);
            }
        }
        self.met(statement);
        let open = self.open.entry(statement.slot()).or_default();
        open.retain(|(task, _)| *task != id);
        open.push((id, fact));
        self.rivals.insert(id, rivals);
        Ok(())
    }

    /// Tasks that are open meet another one, whether that is open or over.
    pub(super) fn met(&mut self, statement: &Statement) {
        let id = statement.task_id();
        for task in self.open_rivals(statement) {
            let theirs = self.rivals.entry(task).or_default();
            if !theirs.contains(&id) && theirs.len() < MAX_RIVALS {
                theirs.push(id);
            }
        }
    }

    fn all(&self, store: &Store, statement: &Statement) -> Result<Vec<TaskId>, NodeError> {
        let mut rivals = self.open_rivals(statement);
        rivals.extend(stored(store, statement)?);
        rivals.truncate(MAX_RIVALS);
        Ok(rivals)
    }

    /// Tasks that are open, or were a moment ago, and answer the same question otherwise.
    fn open_rivals(&self, statement: &Statement) -> Vec<TaskId> {
        let (id, fact) = (statement.task_id(), statement.fact());
        let open = self.open.get(&statement.slot()).into_iter().flatten();
        open.filter(|(task, other)| *task != id && *other != fact)
            .map(|(task, _)| *task)
            .collect()
    }

    /// The rivals of a task, open or not.
    pub(super) fn of(
        &self,
        store: &Store,
        statement: &Statement,
    ) -> Result<Vec<TaskId>, NodeError> {
        match self.rivals.get(&statement.task_id()) {
            Some(rivals) => Ok(rivals.clone()),
            None => self.all(store, statement),
        }
    }

    /// Forgets tasks that are not open any more, after every doubling of their number.
    pub(super) fn sweep(&mut self, is_open: impl Fn(TaskId) -> bool) {
        if self.rivals.len() < self.next_sweep.max(SWEEP) {
            return;
        }
        self.rivals.retain(|task, _| is_open(*task));
        let rivals = &self.rivals;
        self.open.retain(|_, tasks| {
            tasks.retain(|(task, _)| rivals.contains_key(task));
            !tasks.is_empty()
        });
        self.next_sweep = 2 * self.rivals.len();
    }
}

/// Tasks in the store that answer the same question otherwise.
fn stored(store: &Store, statement: &Statement) -> Result<Vec<TaskId>, NodeError> {
    let (slot, fact) = (statement.slot().0.0, statement.fact());
    let mut rivals = Vec::new();
    let certified = store.scan(schema::QUESTIONS, &slot, Page::newest(1))?;
    let newest = certified.rows.first().map(|(_, answer)| &answer.task_id);
    let newest = newest.and_then(|id| TaskId::try_from(id.as_slice()).ok());
    if let Some(newest) = newest
        && contradicts(store, newest, fact)?
    {
        let all = store.scan(schema::QUESTIONS, &slot, Page::newest(MAX_RIVALS))?;
        for (_, answer) in all.rows {
            if let Ok(task) = TaskId::try_from(answer.task_id.as_slice())
                && contradicts(store, task, fact)?
            {
                rivals.push(task);
            }
        }
    }
    let page = Page::first(MAX_RIVALS - rivals.len());
    for ((_, task), _) in store.scan(schema::UNCERTIFIED, &slot, page)?.rows {
        let task = TaskId(task.into());
        if contradicts(store, task, fact)? {
            rivals.push(task);
        }
    }
    Ok(rivals)
}

fn contradicts(store: &Store, task: TaskId, fact: B256) -> Result<bool, NodeError> {
    let record = store.get(schema::TASKS, &task.0.0)?;
    let statement = record.and_then(|record| Statement::try_from(&record.statement?).ok());
    Ok(statement.is_some_and(|statement| statement.fact() != fact))
}

#[cfg(test)]
mod tests;
