//! What was refused before it became a task: the newest of each origin.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_proto::limits::MAX_DETAIL_BYTES;
use quorate_proto::{TaskId, Timestamp};

use super::live::{LiveEvent, LiveFeed};
use crate::api::RefusedLine;

/// Kept of each origin, so that a flood from one leaves the others: with at most 500 bytes each,
/// 200 kB in all.
const KEPT: usize = 128;

/// Where something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// What a user asked for.
    Request,
    /// What a peer sent.
    Gossip,
    /// What would have been one task too many.
    Pipeline,
}

impl Origin {
    const ALL: [Self; 3] = [Self::Request, Self::Gossip, Self::Pipeline];

    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Gossip => "gossip",
            Self::Pipeline => "pipeline",
        }
    }
}

/// The newest refusals. A clone is another handle to the same ones.
#[derive(Clone)]
pub(crate) struct Refusals {
    rings: Arc<[Mutex<VecDeque<RefusedLine>>; Origin::ALL.len()]>,
    live: LiveFeed,
}

impl Refusals {
    pub(crate) fn new(live: LiveFeed) -> Self {
        Self {
            rings: Arc::default(),
            live,
        }
    }

    /// Notes a refusal. The same one again is counted, not repeated.
    pub(crate) fn note(
        &self,
        now: Timestamp,
        origin: Origin,
        code: &str,
        detail: &str,
        task: Option<TaskId>,
    ) {
        let at_ms = now.millis();
        let end = detail.floor_char_boundary(MAX_DETAIL_BYTES);
        let mut line = RefusedLine {
            at_ms,
            last_ms: at_ms,
            origin: origin.name().into(),
            code: code.into(),
            detail: detail[..end].into(),
            task_id: task.map(|task| task.to_string()),
            times: 1,
        };
        let mut ring = self.ring(origin);
        let same = |old: &RefusedLine| {
            (&old.code, &old.detail, &old.task_id) == (&line.code, &line.detail, &line.task_id)
        };
        if let Some(place) = ring.iter().rposition(same)
            && let Some(old) = ring.remove(place)
        {
            line.at_ms = old.at_ms;
            line.times = old.times.saturating_add(1);
        }
        if ring.len() >= KEPT {
            ring.pop_front();
        }
        if self.live.is_followed() {
            self.live.tell(LiveEvent::Refused(line.clone()));
        }
        ring.push_back(line);
    }

    /// All that are kept, newest first.
    pub(crate) fn newest(&self) -> Vec<RefusedLine> {
        let mut lines = Vec::new();
        for origin in Origin::ALL {
            lines.extend(self.ring(origin).iter().cloned());
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.last_ms));
        lines
    }

    /// Why this task was not taken here.
    pub(crate) fn about(&self, task: TaskId) -> Option<RefusedLine> {
        let task = Some(task.to_string());
        self.newest().into_iter().find(|line| line.task_id == task)
    }

    fn ring(&self, origin: Origin) -> std::sync::MutexGuard<'_, VecDeque<RefusedLine>> {
        let ring = match origin {
            Origin::Request => &self.rings[0],
            Origin::Gossip => &self.rings[1],
            Origin::Pipeline => &self.rings[2],
        };
        ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::B256;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp(millis * 1_000)
    }

    #[test]
    fn a_flood_leaves_what_others_were_refused() {
        let refusals = Refusals::new(LiveFeed::default());
        let task = TaskId(B256::repeat_byte(7));
        refusals.note(
            at(1),
            Origin::Pipeline,
            "too_many_tasks",
            "full",
            Some(task),
        );
        for number in 0..1_000 {
            let detail = format!("from peer {number}");
            refusals.note(at(10 + number), Origin::Gossip, "envelope", &detail, None);
        }
        for number in 0..1_000 {
            refusals.note(
                at(2_000 + number),
                Origin::Request,
                "invalid",
                "no user",
                None,
            );
        }
        let kept = refusals.newest();
        assert_eq!(kept.len(), 1 + KEPT + 1);
        assert_eq!(
            (kept[0].times, kept[0].at_ms, kept[0].last_ms),
            (1_000, 2_000, 2_999)
        );
        assert_eq!(kept[1].detail, "from peer 999");
        let about = refusals.about(task).expect("kept");
        assert_eq!(
            (about.code.as_str(), about.origin.as_str()),
            ("too_many_tasks", "pipeline")
        );
        assert_eq!(refusals.about(TaskId(B256::ZERO)), None);
    }

    #[test]
    fn long_texts_are_cut() {
        let refusals = Refusals::new(LiveFeed::default());
        refusals.note(at(1), Origin::Request, "invalid", &"ä".repeat(1_000), None);
        assert_eq!(refusals.newest()[0].detail.len(), MAX_DETAIL_BYTES);
    }
}
