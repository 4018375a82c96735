//! Which block of the home chain belongs to which epoch.

use crate::Epoch;

/// The rule by which the epoch manager cuts the home chain into epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSchedule {
    /// First block of epoch 0.
    pub genesis: u64,
    /// Blocks per epoch, at least 1.
    pub length: u64,
    /// Blocks at the end of an epoch in which changes wait one epoch longer.
    pub grace: u64,
}

/// The blocks of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInterval {
    /// First block.
    pub start: u64,
    /// From here on changes take effect one epoch later. The set of the next epoch is then fixed.
    pub grace_start: u64,
    /// The block after the last one.
    pub end: u64,
}

impl EpochSchedule {
    /// From the interval of epoch 0; `None` where that interval is empty or its grace period lies
    /// outside of it.
    #[must_use]
    pub fn from_first(first: EpochInterval) -> Option<Self> {
        let length = first.end.checked_sub(first.start).filter(|l| *l > 0)?;
        let grace = first.end.checked_sub(first.grace_start)?;
        (grace <= length).then_some(Self {
            genesis: first.start,
            length,
            grace,
        })
    }

    /// The epoch that `block` belongs to; epoch 0 for blocks before genesis.
    #[must_use]
    pub fn epoch_at(&self, block: u64) -> Epoch {
        let passed = block.saturating_sub(self.genesis);
        let number = passed.checked_div(self.length).unwrap_or_default();
        Epoch(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The blocks of `epoch`.
    #[must_use]
    pub fn interval(&self, epoch: Epoch) -> EpochInterval {
        let offset = u64::from(epoch.0).saturating_mul(self.length);
        let start = self.genesis.saturating_add(offset);
        let end = start.saturating_add(self.length);
        EpochInterval {
            start,
            grace_start: end.saturating_sub(self.grace),
            end,
        }
    }

    /// The block from which on the set of `epoch` cannot change any more: the first one of the grace
    /// period before it, or of the chain's first epoch.
    #[must_use]
    pub fn fixing_block(&self, epoch: Epoch) -> u64 {
        match epoch.previous() {
            Some(before) => self.interval(before).grace_start,
            None => self.genesis,
        }
    }

    /// The first epoch in which a change made at `block` counts: the next one, or the one after
    /// that for changes in the grace period.
    #[must_use]
    pub fn effective_epoch(&self, block: u64) -> Epoch {
        let epoch = self.epoch_at(block);
        if block >= self.interval(epoch).grace_start {
            epoch.next().next()
        } else {
            epoch.next()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::arithmetic_side_effects,
        reason = "a test panics where it overflows"
    )]

    use proptest::prelude::*;

    use super::*;

    const FIELD: EpochSchedule = EpochSchedule {
        genesis: 1_000,
        length: 45_000,
        grace: 6_400,
    };

    #[test]
    fn effective_epochs_of_the_field() {
        for (offset, epoch) in [
            (0, 1),
            (22_500, 1),
            (45_000 - 6_401, 1),
            (45_000 - 6_400, 2),
            (45_000 - 3_200, 2),
            (44_999, 2),
            (45_000, 2),
            (5 * 45_000 + 22_500, 6),
        ] {
            assert_eq!(
                FIELD.effective_epoch(1_000 + offset),
                Epoch(epoch),
                "offset {offset}"
            );
        }
    }

    #[test]
    fn interval_of_epoch_five() {
        let schedule = EpochSchedule {
            genesis: 0,
            ..FIELD
        };
        let expected = EpochInterval {
            start: 225_000,
            grace_start: 263_600,
            end: 270_000,
        };
        assert_eq!(schedule.interval(Epoch(5)), expected);
        assert_eq!(schedule.epoch_at(269_999), Epoch(5));
        assert_eq!(schedule.epoch_at(270_000), Epoch(6));
    }

    #[test]
    fn a_set_is_fixed_where_changes_begin_to_miss_it() {
        assert_eq!(FIELD.fixing_block(Epoch(0)), 1_000);
        for epoch in [Epoch(1), Epoch(2), Epoch(77)] {
            let fixing = FIELD.fixing_block(epoch);
            assert_eq!(FIELD.effective_epoch(fixing - 1), epoch);
            assert_eq!(FIELD.effective_epoch(fixing), epoch.next());
        }
    }

    #[test]
    fn a_schedule_comes_from_its_first_interval() {
        assert_eq!(
            EpochSchedule::from_first(FIELD.interval(Epoch(0))),
            Some(FIELD)
        );
        let empty = EpochInterval {
            start: 7,
            grace_start: 7,
            end: 7,
        };
        assert_eq!(EpochSchedule::from_first(empty), None);
    }

    proptest! {
        #[test]
        fn a_block_lies_in_the_interval_of_its_epoch(
            genesis: u64,
            length in 1_u64..100_000,
            offset in 0_u64..1 << 31,
        ) {
            let schedule = EpochSchedule { genesis, length, grace: length / 7 };
            let block = genesis.saturating_add(offset);
            let interval = schedule.interval(schedule.epoch_at(block));
            prop_assert!(interval.start <= block);
            prop_assert!(block < interval.end || interval.end == u64::MAX);
            let wait = schedule.effective_epoch(block).0 - schedule.epoch_at(block).0;
            prop_assert_eq!(wait, 1 + u32::from(block >= interval.grace_start));
        }

        #[test]
        fn no_number_is_too_large(genesis: u64, length: u64, grace: u64, block: u64, epoch: u32) {
            let schedule = EpochSchedule { genesis, length, grace };
            let interval = schedule.interval(Epoch(epoch));
            prop_assert!(interval.start <= interval.end);
            let _ = schedule.effective_epoch(block);
        }
    }
}
