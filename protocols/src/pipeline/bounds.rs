//! How much a pipeline keeps in memory.

use quorate_proto::limits;

use super::Pipeline;
use super::recent::MAX_RECENT_TASKS;

impl Pipeline {
    /// Whether what is kept in memory is within its bounds, with one slot and one wake for each open task;
    /// for the simulator, which checks that it always is.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let tasks = self.tasks.len();
        tasks <= limits::MAX_OPEN_TASKS
            && self.slots.len() <= tasks
            && self.wakes.len() == tasks
            && self.recent.len() <= MAX_RECENT_TASKS
    }
}
