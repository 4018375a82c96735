//! How many calls a provider takes in one batch.

/// Calls of one batch, or items of one call: what the usual providers take.
const MAX_BATCH: usize = 64;

/// Requests under way at one provider: one may be answered while the next is on its way there.
const MIN_REQUESTS: usize = 2;

/// Requests under way where batches are small, so that reads do not queue up for a round trip
/// each: with single calls of 50 ms, 16 at once are 320 calls/s.
const MAX_REQUESTS: usize = 16;

/// Full batches after which a lowered limit is tried again at twice its size. Each try may cost
/// a refusal per request under way: one request in 256 at most.
const PATIENCE: u32 = 4_096;

/// Halves when a provider refuses a batch, down to single calls, and grows again after a while:
/// a refusal may have had another reason.
#[derive(Debug)]
pub(crate) struct BatchLimit {
    size: usize,
    full: u32,
}

impl Default for BatchLimit {
    fn default() -> Self {
        Self {
            size: MAX_BATCH,
            full: 0,
        }
    }
}

impl BatchLimit {
    pub(crate) const fn get(&self) -> usize {
        self.size
    }

    /// Requests that may be under way at once.
    pub(crate) fn requests(&self) -> usize {
        (MAX_BATCH / 2 / self.size).clamp(MIN_REQUESTS, MAX_REQUESTS)
    }

    pub(crate) fn refused(&mut self, size: usize) {
        self.size = self.size.min((size / 2).max(1));
        self.full = 0;
    }

    pub(crate) fn accepted(&mut self, size: usize) {
        if size < self.size || self.size == MAX_BATCH {
            return;
        }
        self.full += 1;
        if self.full == PATIENCE {
            self.size = (self.size * 2).min(MAX_BATCH);
            self.full = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_to_single_calls_and_recovers() {
        let mut limit = BatchLimit::default();
        assert_eq!(limit.requests(), MIN_REQUESTS);
        let mut sizes = Vec::new();
        for _ in 0..8 {
            limit.refused(limit.get());
            sizes.push(limit.get());
        }
        assert_eq!(sizes, [32, 16, 8, 4, 2, 1, 1, 1]);
        assert_eq!(limit.requests(), MAX_REQUESTS);

        for _ in 0..PATIENCE {
            assert_eq!(limit.get(), 1);
            limit.accepted(1);
        }
        assert_eq!(limit.get(), 2);
        for _ in 0..PATIENCE * 2 {
            limit.accepted(1);
        }
        assert_eq!(limit.get(), 2, "batches that are not full show nothing");
    }

    #[test]
    fn late_refusals_of_larger_batches_do_not_raise_it() {
        let mut limit = BatchLimit::default();
        limit.refused(3);
        limit.refused(64);
        assert_eq!(limit.get(), 1);
    }
}
