//! How much a pipeline keeps in memory.

use quorate_proto::limits;

use super::Pipeline;
use super::recent::MAX_RECENT_TASKS;

/// Entries that are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    tasks: usize,
    slots: usize,
    wakes: usize,
    recent: usize,
}

impl Held {
    /// Whether all of it is within its bounds: one slot and one wake for each open task.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.tasks <= limits::MAX_OPEN_TASKS
            && self.slots <= self.tasks
            && self.wakes == self.tasks
            && self.recent <= MAX_RECENT_TASKS
    }
}

impl Pipeline {
    /// How much is kept in memory.
    pub(crate) fn held(&self) -> Held {
        Held {
            tasks: self.tasks.len(),
            slots: self.slots.len(),
            wakes: self.wakes.len(),
            recent: self.recent.len(),
        }
    }
}
