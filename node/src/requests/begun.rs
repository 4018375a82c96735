//! Tasks that users begin: so many a second, shared by their sources, and so many a day of each range.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::{TaskId, Timestamp};
use quorate_protocols::limiter::{Accounts, Bucket, Rate, Shares};

use tokio::sync::Mutex;

use super::tolls::Limit;
use super::turns::Source;

const DAY_MS: u64 = 86_400_000;
/// Ranges whose tasks of a day are counted, 50 bytes each. Those that began few are forgotten first.
const MAX_RANGES: usize = 8_192;

/// Counts the tasks that users begin.
///
/// # Design Decisions
///
/// As with turns, a source may have as many tasks of the time in which the operator's bucket fills as there are
/// tokens left in it. Where n take all they can, each has an n-th, and there are as many tokens for a newcomer.
pub(super) struct Begun {
    bucket: Option<Bucket>,
    recent: VecDeque<(Timestamp, Source, TaskId)>,
    tasks: HashSet<TaskId>,
    counts: Shares<Source>,
    days: Accounts<Source, Day>,
    /// In which those that wait stand, by source.
    queues: Accounts<Source, Arc<Mutex<()>>>,
}

impl Default for Begun {
    fn default() -> Self {
        Self {
            bucket: None,
            recent: VecDeque::new(),
            tasks: HashSet::new(),
            counts: Shares::default(),
            days: Accounts::new(MAX_RANGES),
            queues: Accounts::new(MAX_RANGES),
        }
    }
}

/// Tasks of one source on one day.
struct Day {
    /// Since the Unix epoch.
    number: u64,
    tasks: u32,
}

impl Begun {
    /// Counts a task, unless it was begun just now, of those that this operator may begin and `per_day` that a
    /// range may in a day (UTC).
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        (source, task): (Source, TaskId),
        rate: Rate,
        per_day: u32,
    ) -> Result<(), Limit> {
        self.forget_before(now, filling_micros(rate));
        if self.tasks.contains(&task) {
            return Ok(());
        }
        let mut bucket = self.bucket.unwrap_or_else(|| Bucket::full(now, rate));
        let left = usize::try_from(bucket.tokens(now, rate)).unwrap_or_default();
        if !self.counts.may_take(&source, left) {
            return Err(Limit::Tasks(rate.per_second));
        }
        if matches!(source, Source::Range(_)) {
            self.count_of_day(now, source, per_day)?;
        }
        bucket.take(now, rate, 1);
        self.bucket = Some(bucket);
        self.recent.push_back((now, source, task));
        self.tasks.insert(task);
        self.counts.take(source);
        Ok(())
    }

    /// How long a source that has begun what it may waits until it may have more of it, if others begin nothing
    /// meanwhile.
    pub(super) fn pause(&self, now: Timestamp, source: Source, rate: Rate) -> Duration {
        let own = u32::try_from(self.counts.of(&source)).unwrap_or(u32::MAX);
        let bucket = self.bucket.unwrap_or_else(|| Bucket::full(now, rate));
        let filled = bucket.micros_until(now, rate, own.saturating_add(1));
        let oldest = self.recent.iter().find(|(_, other, _)| *other == source);
        let forgotten = oldest.map_or(u64::MAX, |(at, ..)| {
            filling_micros(rate).saturating_sub(now.micros_since(*at))
        });
        Duration::from_micros(filled.min(forgotten).max(1_000))
    }

    /// Where those of a source wait, the first of them for its pause; `None` where too many sources do.
    pub(super) fn queue(&mut self, source: Source) -> Option<Arc<Mutex<()>>> {
        let is_idle = |queue: &Arc<_>| Arc::strong_count(queue) == 1;
        self.queues.open(source, is_idle, Arc::default).cloned()
    }

    fn forget_before(&mut self, now: Timestamp, micros: u64) {
        while let Some((at, ..)) = self.recent.front()
            && now.micros_since(*at) >= micros
            && let Some((_, source, task)) = self.recent.pop_front()
        {
            self.tasks.remove(&task);
            self.counts.give_back(&source);
        }
    }

    fn count_of_day(&mut self, now: Timestamp, source: Source, most: u32) -> Result<(), Limit> {
        let today = now.millis() / DAY_MS;
        let is_idle = |day: &Day| day.number != today || day.tasks <= most / 16;
        let new = || Day {
            number: today,
            tasks: 0,
        };
        let day = self.days.open(source, is_idle, new).ok_or(Limit::Users)?;
        if day.number != today {
            (day.number, day.tasks) = (today, 0);
        }
        if day.tasks >= most {
            return Err(Limit::Day(most));
        }
        day.tasks += 1;
        Ok(())
    }
}

/// The time in which the operator's bucket fills.
fn filling_micros(rate: Rate) -> u64 {
    u64::from(rate.burst) * 1_000_000 / u64::from(rate.per_second.max(1))
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;
    use crate::network::Range;

    fn at(millis: u64) -> Timestamp {
        Timestamp(0).plus_millis(DAY_MS + millis)
    }

    fn range(number: u8) -> Source {
        Source::Range(Range::V4([203, 0, number]))
    }

    fn task(number: u64) -> TaskId {
        TaskId(quorate_proto::U256::from(number).into())
    }

    /// Fills in a second.
    const RATE: Rate = Rate {
        per_second: 256,
        burst: 256,
    };
    /// Of an operator in a large set.
    const SLOW: Rate = Rate {
        per_second: 4,
        burst: 256,
    };

    /// Begins new tasks.
    struct Beginner {
        begun: Begun,
        next: u64,
        per_day: u32,
    }

    impl Default for Beginner {
        fn default() -> Self {
            Self {
                begun: Begun::default(),
                next: 0,
                per_day: u32::MAX,
            }
        }
    }

    impl Beginner {
        fn begin(&mut self, at: Timestamp, source: Source, rate: Rate) -> Result<(), Limit> {
            self.next += 1;
            self.begun
                .begin(at, (source, task(self.next)), rate, self.per_day)
        }

        /// How many tasks a source can begin at once.
        fn fill(&mut self, at: Timestamp, source: Source, rate: Rate) -> usize {
            let begin = |_: &u32| self.begin(at, source, rate).is_ok();
            (0..600).take_while(begin).count()
        }
    }

    #[test]
    fn a_source_has_half_of_what_is_left() {
        let mut all = Beginner::default();
        assert_eq!(all.fill(at(0), range(1), RATE), 128);
        assert_eq!(all.fill(at(0), range(2), RATE), 64);
        assert_eq!(all.fill(at(0), Source::Peer(PeerId::random()), RATE), 32);
        assert_eq!(all.fill(at(0), range(1), RATE), 0);
        let refused = all.begin(at(0), range(1), RATE);
        assert_eq!(refused, Err(Limit::Tasks(256)));
    }

    #[test]
    fn newcomers_find_some_where_others_take_all_they_can() {
        for rate in [RATE, SLOW] {
            let (mut all, mut begun) = (Beginner::default(), 0);
            for tick in 0..20_000 {
                let at = at(tick * 10);
                begun += (0..7).map(|n| all.fill(at, range(n), rate)).sum::<usize>();
            }
            let spent = begun as u64 - u64::from(rate.burst);
            let had = 200 * u64::from(rate.per_second);
            assert!(spent * 10 > had * 9, "{spent} of {had} are used");
            assert!(all.fill(at(200_000), range(9), rate) > 8);
        }
    }

    #[test]
    fn a_source_may_begin_more_after_its_pause_and_not_before() {
        for rate in [RATE, SLOW] {
            let mut all = Beginner::default();
            all.fill(at(0), range(1), rate);
            let pause = all.begun.pause(at(0), range(1), rate).as_micros();
            let after = |micros: u128| Timestamp(at(0).0 + u64::try_from(micros).unwrap());
            let early = all.begin(after(pause - 1), range(1), rate);
            assert_eq!(early, Err(Limit::Tasks(rate.per_second)));
            assert_eq!(all.begin(after(pause), range(1), rate), Ok(()));
        }
    }

    #[test]
    fn many_who_ask_the_same_begin_one_task() {
        let mut begun = Begun::default();
        for number in 0..=255 {
            begun
                .begin(at(0), (range(number), task(7)), SLOW, 500)
                .unwrap();
        }
        assert_eq!(begun.recent.len(), 1);
    }

    #[test]
    fn a_range_has_its_tasks_of_a_day() {
        let mut all = Beginner {
            per_day: 2_000,
            ..Beginner::default()
        };
        let of = |all: &mut Beginner, begin: u64, source| {
            let seconds = (0..30).map(|second| all.fill(at(begin + second * 1_000), source, RATE));
            seconds.sum::<usize>()
        };
        assert_eq!(of(&mut all, 0, range(1)), 2_000);
        let late = all.begin(at(30_000), range(1), RATE);
        assert_eq!(late, Err(Limit::Day(2_000)));
        assert!(of(&mut all, 40_000, Source::Peer(PeerId::random())) > 2_000);
        assert_eq!(all.fill(at(DAY_MS), range(1), RATE), 128);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut all = Beginner::default();
        for number in 0..3 * MAX_RANGES {
            let [high, low] = u16::try_from(number % 65_536).unwrap().to_be_bytes();
            let source = Source::Range(Range::V4([high, low, 0]));
            let rate = Rate {
                per_second: 40_000,
                burst: 40_000,
            };
            all.begin(at(number as u64), source, rate).unwrap();
        }
        let begun = &all.begun;
        assert!(begun.days.len() <= MAX_RANGES);
        assert!(begun.counts.total() <= 1_000 && begun.recent.len() <= 1_000);
        assert_eq!(begun.recent.len(), begun.tasks.len());
    }
}
