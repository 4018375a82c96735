//! Headers of final blocks that were looked up before.

use super::calls::Header;
use super::proof::BlockRoots;
use crate::BlockRef;
use crate::lookup::GenerationalCache;

/// Blocks of one generation. Both together are about 1 MiB, and two hours of a 1 s chain.
const GENERATION: usize = 4_096;

/// A block on which a quorum agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KnownBlock {
    pub(super) block: BlockRef,
    /// Where number and time are those of a header that has the block's hash: what that commits to.
    pub(super) roots: Option<BlockRoots>,
    /// All providers were asked for that header, and showed another: one of a format that is not known here.
    pub(super) is_unprovable: bool,
}

impl From<&Header> for KnownBlock {
    fn from(header: &Header) -> Self {
        Self {
            block: header.block(),
            roots: header.roots(),
            is_unprovable: false,
        }
    }
}

/// Final blocks by number.
///
/// # Design Decisions
///
/// Entries carry the generation in which they were asked for, so that an answer from before a
/// reorganisation is not kept after it.
#[derive(Debug)]
pub(super) struct HeaderCache {
    generation: u64,
    known: GenerationalCache<u64, KnownBlock>,
}

impl Default for HeaderCache {
    fn default() -> Self {
        Self {
            generation: 0,
            known: GenerationalCache::new(GENERATION),
        }
    }
}

impl HeaderCache {
    /// Counts how often the cache was cleared.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn get(&mut self, number: u64) -> Option<KnownBlock> {
        self.known.get(number)
    }

    /// Keeps a block that was asked for in `generation`.
    pub(super) fn insert(&mut self, generation: u64, known: KnownBlock) {
        if generation == self.generation {
            self.known.insert(known.block.number, known);
        }
    }

    /// Forgets everything, also what is being asked for now.
    pub(super) fn clear(&mut self) {
        self.generation += 1;
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    fn known(number: u64) -> KnownBlock {
        let block = BlockRef {
            number,
            hash: B256::with_last_byte(1),
            timestamp: number,
        };
        KnownBlock {
            block,
            roots: None,
            is_unprovable: false,
        }
    }

    #[test]
    fn answers_from_before_a_clear_are_not_kept() {
        let mut cache = HeaderCache::default();
        let asked_in = cache.generation();
        cache.insert(asked_in, known(1));
        cache.clear();
        cache.insert(asked_in, known(2));
        assert_eq!((cache.get(1), cache.get(2)), (None, None));
        cache.insert(cache.generation(), known(2));
        assert_eq!(cache.get(2), Some(known(2)));
    }
}
