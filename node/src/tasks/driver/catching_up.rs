//! What another node had of tasks: counted where the task is under way here, else written down.

use quorate_proto::{OperatorSet, limits};
use quorate_protocols::pipeline::Input;
use tokio::sync::oneshot;

use super::TaskDriver;
use crate::tasks::imported::{Imported, ImportedTask};
use crate::tasks::outbox::Effect;
use crate::{NodeError, clock};

impl TaskDriver {
    pub(super) fn on_caught_up(
        &mut self,
        tasks: Vec<ImportedTask>,
        set: &std::sync::Arc<OperatorSet>,
        done: oneshot::Sender<Imported>,
    ) -> Result<(), NodeError> {
        let mut taken = Imported::default();
        for task in tasks {
            let is_open = self.pipeline.is_open(task.statement.task_id());
            if is_open || self.may_be_under_way(&task, set) {
                let id = task.statement.task_id();
                let counted = self.count_all(task, set)?;
                match self.pipeline.is_open(id) {
                    true => taken.healed += counted,
                    // The pipeline had no room for it.
                    false => taken.later += 1,
                }
            } else {
                self.compare_all(&task.statement, &task.responses)?;
                self.ledger.take_over(&task, set, &mut taken)?;
            }
        }
        self.effects.push(Effect::TakenOver(done, taken));
        Ok(())
    }

    /// A task that began a moment ago, of which this node has heard nothing at all, and which others
    /// have not certified yet.
    fn may_be_under_way(&self, task: &ImportedTask, set: &OperatorSet) -> bool {
        let ends = task.created_ms.saturating_add(limits::TASK_DEADLINE_MS);
        self.home.set(task.statement.epoch()).is_some()
            && !task.is_known
            && ends > clock::now().millis()
            && !task.is_certified(set)
    }

    fn count_all(
        &mut self,
        task: ImportedTask,
        set: &std::sync::Arc<OperatorSet>,
    ) -> Result<usize, NodeError> {
        let count = task.responses.len();
        for response in task.responses {
            // It was sent in time, though gossip has lost it.
            let heard = response.clone();
            let set = set.clone();
            self.feed(Input::Heard { response, set })?;
            self.heard(&heard);
            self.compare(&heard)?;
        }
        Ok(count)
    }
}
