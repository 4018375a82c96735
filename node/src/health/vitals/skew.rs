//! How far one clock is from others, out of their answers.

use std::time::Duration;

/// From here on a clock is wrong enough to say so: a quarter of the 3 s in which a response is due,
/// and well above what NTP leaves.
pub(crate) const LARGE_MS: u64 = 750;

/// How far this clock is from those of the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// This clock minus the peers', milliseconds.
    pub(crate) offset_ms: i64,
    /// By how much that may be wrong: half of the time that the answer took.
    pub(crate) uncertainty_ms: u64,
    /// How many of them answered.
    pub(crate) peers: usize,
}

impl Skew {
    /// Whether the operator should do something about it.
    pub(crate) const fn is_large(&self) -> bool {
        self.offset_ms.unsigned_abs() > LARGE_MS + self.uncertainty_ms
    }
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    offset_ms: i64,
    uncertainty_ms: u64,
}

impl ClockReading {
    /// A peer said `theirs` in an answer that took `took` and came when this clock said `own`; both
    /// in Unix milliseconds. The answer is taken to have been made in the middle of that time.
    pub(super) fn new(took: Duration, own: u64, theirs: u64) -> Self {
        let half = u64::try_from(took.as_millis() / 2).unwrap_or(u64::MAX);
        let middle = i128::from(own) - i128::from(half);
        let offset = middle - i128::from(theirs);
        let most = i128::from(i64::MAX);
        Self {
            offset_ms: i64::try_from(offset.clamp(-most, most)).unwrap_or(i64::MAX),
            uncertainty_ms: half,
        }
    }
}

/// What most say, in the middle: fewer than half of them cannot move it beyond the others.
pub(super) fn median(readings: &[ClockReading]) -> Option<Skew> {
    let mut sorted = readings.to_vec();
    sorted.sort_unstable_by_key(|reading| reading.offset_ms);
    let last = sorted.len().checked_sub(1)?;
    // Of an even number the one that is nearer to no difference.
    let middle = [sorted.get(last / 2)?, sorted.get(last.div_ceil(2))?];
    let nearest = middle
        .into_iter()
        .min_by_key(|r| r.offset_ms.unsigned_abs())?;
    Some(Skew {
        offset_ms: nearest.offset_ms,
        uncertainty_ms: nearest.uncertainty_ms,
        peers: readings.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_taken_in_the_middle_of_the_way() {
        let table = [
            (0, 1_000, 1_000, 0),
            (100, 1_100, 1_050, 0),
            (100, 6_100, 1_050, 5_000),
            (0, 1_000, 6_000, -5_000),
            (10, 0, 0, -5),
            (0, 0, u64::MAX, -i64::MAX),
            (0, u64::MAX, 0, i64::MAX),
        ];
        for (took, own, theirs, expected) in table {
            let reading = ClockReading::new(Duration::from_millis(took), own, theirs);
            assert_eq!(reading.offset_ms, expected, "{took} {own} {theirs}");
            assert_eq!(reading.uncertainty_ms, took / 2);
        }
    }

    #[test]
    fn a_minority_moves_nothing() {
        let reading = |offset_ms| ClockReading {
            offset_ms,
            uncertainty_ms: 1,
        };
        let table: [(&[i64], Option<i64>); 7] = [
            (&[], None),
            (&[40], Some(40)),
            (&[0, 90_000], Some(0)),
            (&[2, 90_000, 1], Some(2)),
            (&[2, -90_000, 1], Some(1)),
            (&[i64::MAX, 3, 1, i64::MAX, 2], Some(3)),
            (&[-i64::MAX, 3, 1, -i64::MAX, 2], Some(1)),
        ];
        for (offsets, expected) in table {
            let readings: Vec<ClockReading> = offsets.iter().copied().map(reading).collect();
            let found = median(&readings).map(|skew| skew.offset_ms);
            assert_eq!(found, expected, "{offsets:?}");
        }
    }

    #[test]
    fn what_is_within_the_uncertainty_is_not_large() {
        let skew = |offset_ms, uncertainty_ms| Skew {
            offset_ms,
            uncertainty_ms,
            peers: 3,
        };
        assert!(!skew(750, 0).is_large() && skew(751, 0).is_large() && skew(-751, 0).is_large());
        assert!(!skew(1_500, 1_000).is_large() && skew(i64::MIN, 1_000).is_large());
    }
}
