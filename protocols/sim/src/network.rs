//! What becomes of a message on its way.

use quorate_proto::Timestamp;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::plan::Conditions;

/// A message that is out of order takes up to this many microseconds longer.
pub(super) const DETOUR: u64 = 500_000;

impl Conditions {
    /// The delays after which copies of a message arrive: none, one or two of them.
    pub(super) fn fate(
        &self,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
        from: usize,
        to: usize,
    ) -> [Option<u64>; 2] {
        let cut = |partition: &super::Partition| partition.separates(now, from, to);
        if self.partitions.iter().any(cut) || happens(rng, self.loss) {
            return [None, None];
        }
        let first = Some(self.delay(rng));
        let second = happens(rng, self.duplication).then(|| self.delay(rng));
        [first, second]
    }

    fn delay(&self, rng: &mut ChaCha8Rng) -> u64 {
        let delay = rng.random_range(self.latency.clone());
        if happens(rng, self.reordering) {
            return delay + rng.random_range(0..=DETOUR);
        }
        delay
    }
}

/// Draws only where there is something to decide, so that a plain story is also a fast one.
pub(super) fn happens(rng: &mut ChaCha8Rng, share: f64) -> bool {
    share > 0.0 && rng.random_bool(share.min(1.0))
}
