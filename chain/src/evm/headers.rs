//! Headers of final blocks that were looked up before.

use std::collections::HashMap;
use std::mem;

use crate::BlockRef;

/// Blocks of one half. Both halves together are below 1 MiB, and two hours of a 1 s chain.
const HALF: usize = 4_096;

/// Final blocks by number; those not used for long give way.
///
/// # Design Decisions
///
/// Two halves in place of a list in order of use: what is used moves to the young half, and when
/// that is full, the old half is dropped whole. Entries carry the generation in which they were
/// asked for, so that an answer from before a reorganisation is not kept after it.
#[derive(Debug, Default)]
pub(super) struct HeaderCache {
    generation: u64,
    young: HashMap<u64, BlockRef>,
    old: HashMap<u64, BlockRef>,
}

impl HeaderCache {
    /// Counts how often the cache was cleared.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn get(&mut self, number: u64) -> Option<BlockRef> {
        if let Some(block) = self.young.get(&number) {
            return Some(*block);
        }
        let block = self.old.remove(&number)?;
        self.put(block);
        Some(block)
    }

    /// Keeps a block that was asked for in `generation`.
    pub(super) fn insert(&mut self, generation: u64, block: BlockRef) {
        if generation == self.generation {
            self.put(block);
        }
    }

    fn put(&mut self, block: BlockRef) {
        if self.young.len() >= HALF {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(block.number, block);
    }

    /// Forgets everything, also what is being asked for now.
    pub(super) fn clear(&mut self) {
        self.generation += 1;
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    fn block(number: u64) -> BlockRef {
        BlockRef {
            number,
            hash: B256::with_last_byte(1),
            timestamp: number,
        }
    }

    #[test]
    fn stays_bounded_and_keeps_what_is_used() {
        let mut cache = HeaderCache::default();
        let last = 10 * HALF as u64;
        for number in 0..last {
            cache.insert(0, block(number));
            assert_eq!(cache.get(0), Some(block(0)));
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * HALF);
        assert_eq!(cache.get(last - 1), Some(block(last - 1)));
        assert_eq!(cache.get(1), None);
    }

    #[test]
    fn answers_from_before_a_clear_are_not_kept() {
        let mut cache = HeaderCache::default();
        let asked_in = cache.generation();
        cache.insert(asked_in, block(1));
        cache.clear();
        cache.insert(asked_in, block(2));
        assert_eq!((cache.get(1), cache.get(2)), (None, None));
        cache.insert(cache.generation(), block(2));
        assert_eq!(cache.get(2), Some(block(2)));
    }
}
