//! Tasks that ended here a moment ago.
//!
//! Their last responses are still on the way. Without this memory each of them would open its
//! task once more, to expire alone and to overwrite what is known of the real one.

use std::collections::{HashMap, VecDeque};

use quorate_proto::{Response, TaskId, Timestamp};

/// Tasks remembered: 1,000 tasks/s for the deadline of 15 s, rounded up. With one signed response
/// each (about 400 bytes) they are 6.5 MB.
pub(super) const MAX_RECENT_TASKS: usize = 16_384;

/// Remembers tasks for a while after their end, the newest [`MAX_RECENT_TASKS`].
#[derive(Clone, Debug)]
pub(super) struct Recent {
    keep_millis: u64,
    tasks: HashMap<TaskId, (Timestamp, Over)>,
    /// In the order of their end. May name a task that ended again later, or was taken out.
    order: VecDeque<(Timestamp, TaskId)>,
}

/// How a task ended.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub(super) certified: bool,
    /// This node's signature, for those that still collect.
    pub(super) signed: Option<Response>,
}

impl Recent {
    pub(super) fn new(keep_millis: u64) -> Self {
        Self {
            keep_millis,
            tasks: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, now: Timestamp, id: TaskId, over: Over) {
        let until = now.plus_millis(self.keep_millis);
        self.tasks.insert(id, (until, over));
        self.order.push_back((until, id));
        self.prune(now);
    }

    pub(super) fn get(&mut self, now: Timestamp, id: TaskId) -> Option<&Over> {
        self.prune(now);
        self.tasks.get(&id).map(|(_, over)| over)
    }

    /// It is open again.
    pub(super) fn remove(&mut self, id: TaskId) {
        self.tasks.remove(&id);
    }

    /// How many are kept, those that are void included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    fn prune(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.order.front().copied()
            && (until <= now || self.order.len() > MAX_RECENT_TASKS)
        {
            self.order.pop_front();
            if self.tasks.get(&id).is_some_and(|(kept, _)| *kept == until) {
                self.tasks.remove(&id);
            }
        }
    }
}
