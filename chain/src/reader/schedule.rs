//! How blocks of the home chain make epochs.

use quorate_proto::Epoch;

/// Epochs of equal length from a genesis block on. In the last `grace` blocks of an epoch,
/// changes to the set wait for one epoch more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochSchedule {
    /// First block of epoch 0.
    pub genesis: u64,
    /// Blocks per epoch; not zero.
    pub length: u64,
    /// Blocks of grace at the end of each epoch; not above `length`.
    pub grace: u64,
}

impl EpochSchedule {
    /// The epoch of a block; `None` before genesis.
    #[must_use]
    pub fn epoch_at(&self, block: u64) -> Option<Epoch> {
        let offset = block.checked_sub(self.genesis)?;
        u32::try_from(offset.checked_div(self.length)?)
            .ok()
            .map(Epoch)
    }

    /// First block of an epoch.
    #[must_use]
    pub const fn start(&self, epoch: Epoch) -> u64 {
        self.genesis
            .saturating_add(self.length.saturating_mul(epoch.0 as u64))
    }

    /// First block after an epoch.
    #[must_use]
    pub const fn end(&self, epoch: Epoch) -> u64 {
        self.start(epoch).saturating_add(self.length)
    }

    /// First epoch in which a change made in this block counts; `None` before genesis.
    #[must_use]
    pub fn effective_epoch(&self, block: u64) -> Option<Epoch> {
        let epoch = self.epoch_at(block)?;
        let in_grace = block >= self.end(epoch).saturating_sub(self.grace);
        Some(if in_grace {
            epoch.next().next()
        } else {
            epoch.next()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_follow_the_deployed_rule() {
        let schedule = EpochSchedule {
            genesis: 1_000,
            length: 45_000,
            grace: 6_400,
        };
        let effective = |offset: u64| schedule.effective_epoch(1_000 + offset);
        assert_eq!(effective(22_500), Some(Epoch(1)));
        assert_eq!(effective(45_000 - 6_401), Some(Epoch(1)));
        assert_eq!(effective(45_000 - 6_400), Some(Epoch(2)));
        assert_eq!(effective(45_000 - 3_200), Some(Epoch(2)));
        assert_eq!(effective(5 * 45_000 + 22_500), Some(Epoch(6)));
        assert_eq!(schedule.start(Epoch(5)), 226_000);
        assert_eq!(schedule.end(Epoch(5)), 271_000);
        assert_eq!(schedule.epoch_at(270_999), Some(Epoch(5)));
        assert_eq!(schedule.epoch_at(271_000), Some(Epoch(6)));
        assert_eq!(schedule.epoch_at(999), None);
        assert_eq!(schedule.effective_epoch(999), None);
    }
}
