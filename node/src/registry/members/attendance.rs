//! Who answered a task in its window, as this node heard it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use quorate_proto::{OperatorSet, Outcome, Response, TaskId, Timestamp, limits};
use quorate_protocols::membership::ClosedTask;

/// Tasks whose window is open: as many as may be under way. What is beyond is not counted.
const MAX_OPEN: usize = limits::MAX_OPEN_TASKS;

/// The tasks whose window is open.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    open: HashMap<TaskId, ClosedTask>,
    /// In the order in which they began, which is that in which they close.
    order: VecDeque<(Timestamp, TaskId)>,
}

impl Attendance {
    /// This node hears of a task for the first time, or again after it was over.
    pub(crate) fn opened(&mut self, now: Timestamp, task: TaskId, asked: Arc<OperatorSet>) {
        if self.open.len() >= MAX_OPEN || self.open.contains_key(&task) {
            return;
        }
        let closed = ClosedTask {
            task,
            began: now,
            asked,
            signed: BTreeSet::new(),
            refused: BTreeSet::new(),
        };
        self.open.insert(task, closed);
        let closes = now.plus_millis(limits::RESPONSE_WINDOW_MS);
        self.order.push_back((closes, task));
    }

    /// An operator signed or refused.
    pub(crate) fn heard(&mut self, response: &Response) {
        let task = response.statement.task_id();
        let Some(open) = self.open.get_mut(&task) else {
            return;
        };
        match response.outcome {
            Outcome::Signed(_) => {
                open.refused.remove(&response.operator);
                open.signed.insert(response.operator)
            }
            Outcome::Refused(_) if open.signed.contains(&response.operator) => false,
            Outcome::Refused(_) => open.refused.insert(response.operator),
        };
    }

    /// Tasks whose window is over now.
    pub(crate) fn close(&mut self, now: Timestamp) -> Vec<ClosedTask> {
        let mut closed = Vec::new();
        while let Some((_, task)) = self.order.front().filter(|(at, _)| *at <= now) {
            closed.extend(self.open.remove(task));
            self.order.pop_front();
        }
        closed
    }

    /// When to call [`Attendance::close`].
    pub(crate) fn next_wake(&self) -> Option<Timestamp> {
        self.order.front().map(|(at, _)| *at)
    }
}
