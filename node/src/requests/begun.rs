//! Tasks that users begin: so many a second, shared by their sources, and so many a day of each range.

use std::collections::{HashMap, VecDeque};

use quorate_proto::Timestamp;

use super::tolls::Limit;
use super::turns::Source;

/// Over which tasks are counted.
const WINDOW_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400_000;
/// Ranges whose tasks of a day are counted, 50 bytes each. Those that began few are forgotten first.
const MAX_RANGES: usize = 8_192;

/// Counts the tasks that users begin.
///
/// # Design Decisions
///
/// As with turns, a source may have as many of the operator's share as are left over: half of it alone, of n each
/// one part in n + 1. So a newcomer finds some, however many ask for all.
#[derive(Default)]
pub(super) struct Begun {
    recent: VecDeque<(Timestamp, Source)>,
    counts: HashMap<Source, u32>,
    days: HashMap<Source, Day>,
}

/// Tasks of one source on one day.
struct Day {
    /// Since the Unix epoch.
    number: u64,
    tasks: u32,
}

impl Begun {
    /// Counts a new task, of `share` that this operator may begin in a second and `per_day` that a range may in
    /// a day (UTC).
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        source: Source,
        share: u32,
        per_day: u32,
    ) -> Result<(), Limit> {
        self.forget_before(now);
        let recent = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let left = share.saturating_sub(recent);
        if self.counts.get(&source).copied().unwrap_or_default() >= left {
            return Err(Limit::Tasks(share));
        }
        if matches!(source, Source::Range(_)) {
            self.count_of_day(now, source, per_day)?;
        }
        self.recent.push_back((now, source));
        *self.counts.entry(source).or_default() += 1;
        Ok(())
    }

    fn forget_before(&mut self, now: Timestamp) {
        let is_old = |(at, _): &(Timestamp, Source)| now.micros_since(*at) >= WINDOW_MS * 1_000;
        while self.recent.front().is_some_and(is_old)
            && let Some((_, source)) = self.recent.pop_front()
            && let Some(count) = self.counts.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&source);
            }
        }
    }

    fn count_of_day(&mut self, now: Timestamp, source: Source, most: u32) -> Result<(), Limit> {
        let today = now.millis() / DAY_MS;
        if self.days.len() >= MAX_RANGES && !self.days.contains_key(&source) {
            self.days
                .retain(|_, day| day.number == today && day.tasks >= most / 16);
            if self.days.len() >= MAX_RANGES {
                return Err(Limit::Users);
            }
        }
        let day = self.days.entry(source).or_insert(Day {
            number: today,
            tasks: 0,
        });
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

    /// How many tasks a source can begin at once.
    fn fill(begun: &mut Begun, at: Timestamp, source: Source) -> usize {
        let begin = |_: &u32| begun.begin(at, source, 40, 50).is_ok();
        (0..60).take_while(begin).count()
    }

    #[test]
    fn a_source_has_half_of_what_is_left() {
        let mut begun = Begun::default();
        assert_eq!(fill(&mut begun, at(0), range(1)), 20);
        assert_eq!(fill(&mut begun, at(500), range(2)), 10);
        assert_eq!(fill(&mut begun, at(500), Source::Peer(PeerId::random())), 5);
        assert_eq!(fill(&mut begun, at(999), range(1)), 0);
        assert_eq!(fill(&mut begun, at(1_000), range(1)), 13, "of 25");
        assert_eq!(
            begun.begin(at(1_000), range(1), 40, 50),
            Err(Limit::Tasks(40))
        );
    }

    #[test]
    fn a_range_has_its_tasks_of_a_day() {
        let mut begun = Begun::default();
        let mut all = 0;
        for second in 0..5 {
            all += fill(&mut begun, at(second * 1_000), range(1));
        }
        assert_eq!(all, 50);
        let late = begun.begin(at(9_000), range(1), 40, 50);
        assert_eq!(late, Err(Limit::Day(50)));
        assert_eq!(fill(&mut begun, at(9_000), range(2)), 20);
        assert_eq!(fill(&mut begun, at(DAY_MS), range(1)), 20);
        let exempt = Source::Peer(PeerId::random());
        let of_exempt =
            (0..9).map(|second| fill(&mut begun, at(DAY_MS + (20 + second) * 1_000), exempt));
        assert_eq!(of_exempt.sum::<usize>(), 180);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut begun = Begun::default();
        for number in 0..3 * MAX_RANGES {
            let [high, low] = u16::try_from(number % 65_536).unwrap().to_be_bytes();
            let source = Source::Range(Range::V4([high, low, 0]));
            begun.begin(at(number as u64), source, 40_000, 50).unwrap();
        }
        assert!(begun.days.len() <= MAX_RANGES);
        assert!(begun.counts.len() <= 1_000 && begun.recent.len() <= 1_000);
    }
}
