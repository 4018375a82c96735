//! What changed a moment ago, for those who ask every second.

use std::collections::{HashMap, HashSet, VecDeque};

use quorate_proto::{Epoch, TaskId, Timestamp, limits};
use quorate_protocols::sync::SETTLED_MS;

/// Changes that are remembered, at 56 bytes and an entry of a map for the newest: 5 MB. At 1,000 tasks/s
/// with two entries each they reach back 16 s, and followers ask every second.
const MAX_CHANGES: usize = 32_768;

pub(super) struct RecentChanges {
    /// Tells the counting of this run from that of another one.
    instance: u64,
    /// Number of the first entry.
    first: u64,
    entries: VecDeque<Change>,
    /// Tasks that have an entry which no peer was told yet: one is enough.
    untold: HashMap<TaskId, u64>,
}

#[derive(Clone, Copy)]
struct Change {
    settled: Timestamp,
    epoch: Epoch,
    task: TaskId,
}

/// What changed since a peer asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) instance: u64,
    /// Where to go on.
    pub(crate) next: u64,
    /// Some changes are forgotten.
    pub(crate) gap: bool,
    /// More than fit wait.
    pub(crate) more: bool,
    /// Each once.
    pub(crate) tasks: Vec<(Epoch, TaskId)>,
}

impl RecentChanges {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            instance: now.0,
            first: 1,
            entries: VecDeque::new(),
            untold: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, now: Timestamp, epoch: Epoch, task: TaskId) {
        // An entry is told with the state of that time, so an untold one covers this change.
        if let Some(number) = self.untold.get(&task)
            && let Some(entry) = self.entry(*number)
            && entry.settled > now
        {
            return;
        }
        let settled = now.plus_millis(SETTLED_MS);
        let number = self.end();
        self.entries.push_back(Change {
            settled,
            epoch,
            task,
        });
        self.untold.insert(task, number);
        if self.entries.len() > MAX_CHANGES
            && let Some(oldest) = self.entries.pop_front()
        {
            if self.untold.get(&oldest.task) == Some(&self.first) {
                self.untold.remove(&oldest.task);
            }
            self.first += 1;
        }
    }

    /// The number of the next entry.
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn entry(&self, number: u64) -> Option<&Change> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.entries.get(index)
    }

    /// Settled changes from number `after` on, at most [`limits::MAX_SYNC_TASKS`] tasks. Who asks
    /// for the first time, or has missed some, begins with what comes now.
    pub(super) fn since(&self, now: Timestamp, instance: u64, after: u64) -> News {
        let settled = self.entries.partition_point(|entry| entry.settled <= now);
        let end = self.first + settled as u64;
        let mut news = News {
            instance: self.instance,
            next: end,
            ..News::default()
        };
        if instance != self.instance || after < self.first || after > self.end() {
            news.gap = true;
            return news;
        }
        let mut seen = HashSet::new();
        let mut number = after;
        while number < end && news.tasks.len() < limits::MAX_SYNC_TASKS {
            if let Some(entry) = self.entry(number)
                && seen.insert(entry.task)
            {
                news.tasks.push((entry.epoch, entry.task));
            }
            number += 1;
        }
        // Not back behind where the asker was, though nothing may be settled since.
        news.next = number.max(after);
        news.more = number < end;
        news
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::B256;

    use super::*;

    const START: Timestamp = Timestamp(1_000_000_000);
    const EPOCH: Epoch = Epoch(1);

    fn task(number: u64) -> TaskId {
        TaskId(B256::left_padding_from(&number.to_be_bytes()))
    }

    fn at(millis: u64) -> Timestamp {
        START.plus_millis(millis)
    }

    #[test]
    fn what_is_settled_is_told_once_for_each_task() {
        let mut changes = RecentChanges::new(START);
        let first = changes.since(at(0), 0, 0);
        assert!(first.gap, "who asks for the first time compares");
        for millis in 0..7 {
            changes.add(at(millis), EPOCH, task(1));
        }
        changes.add(at(7), EPOCH, task(2));
        let since = |millis, after| changes.since(at(millis), first.instance, after);
        assert_eq!(since(SETTLED_MS - 1, first.next).tasks, []);
        let news = since(SETTLED_MS, first.next);
        assert_eq!(news.tasks, [(EPOCH, task(1))]);
        let news = since(SETTLED_MS + 7, news.next);
        assert_eq!(news.tasks, [(EPOCH, task(2))]);
        assert_eq!(since(SETTLED_MS + 8, news.next).tasks, []);
    }

    #[test]
    fn a_change_after_its_task_was_told_is_told_again() {
        let mut changes = RecentChanges::new(START);
        let first = changes.since(at(0), 0, 0);
        changes.add(at(0), EPOCH, task(1));
        let news = changes.since(at(SETTLED_MS), first.instance, first.next);
        changes.add(at(SETTLED_MS), EPOCH, task(1));
        let again = changes.since(at(2 * SETTLED_MS), first.instance, news.next);
        assert_eq!(again.tasks, [(EPOCH, task(1))]);
    }

    #[test]
    fn forgotten_changes_are_a_gap_and_pages_are_bounded() {
        let mut changes = RecentChanges::new(START);
        let first = changes.since(at(0), 0, 0);
        for number in 0..MAX_CHANGES as u64 + 1 {
            changes.add(at(0), EPOCH, task(number));
        }
        assert_eq!(changes.entries.len(), MAX_CHANGES);
        assert_eq!(changes.untold.len(), MAX_CHANGES);
        let late = changes.since(at(SETTLED_MS), first.instance, first.next);
        assert!(late.gap && late.tasks.is_empty());
        let news = changes.since(at(SETTLED_MS), first.instance, first.next + 1);
        assert!(!news.gap);
        assert_eq!(news.tasks.len(), limits::MAX_SYNC_TASKS);
        assert_eq!(news.next, first.next + 1 + limits::MAX_SYNC_TASKS as u64);
        assert!(changes.since(at(0), first.instance, u64::MAX).gap);
        assert!(changes.since(at(0), first.instance + 1, late.next).gap);
    }
}
