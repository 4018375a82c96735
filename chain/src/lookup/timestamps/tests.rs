use alloy::primitives::B256;

use super::*;

/// A chain by the times of its blocks.
struct Chain<F: Fn(u64) -> u64> {
    height: u64,
    time: F,
}

impl<F: Fn(u64) -> u64> Chain<F> {
    fn block(&self, number: u64) -> BlockRef {
        assert!(
            number <= self.height,
            "asked for block {number}, which is not final"
        );
        BlockRef {
            number,
            hash: B256::with_last_byte(1),
            timestamp: (self.time)(number),
        }
    }

    /// What the search finds, and in how many rounds.
    fn search(&self, target: u64) -> (Result<u64, u64>, u32) {
        let mut search = TimestampSearch::new(target, self.block(self.height));
        for rounds in 0.. {
            match search.step() {
                SearchStep::Found(block) => return (Ok(block.number), rounds),
                SearchStep::TooEarly(first) => return (Err(first), rounds),
                SearchStep::Probe(probes) => {
                    assert!(!probes.is_empty() && probes.len() <= PROBES as usize);
                    for number in probes {
                        search.observe(self.block(number));
                    }
                }
            }
        }
        unreachable!("the loop has no end");
    }
}

#[test]
fn every_time_of_small_irregular_chains() {
    let times: [&[u64]; 6] = [
        &[10],
        &[10, 11],
        &[0, 0, 0, 5, 5, 9],
        &[10, 10, 10, 10, 11],
        &[
            1, 2, 1_000, 1_001, 1_000_000, 1_000_012, 1_000_012, 9_999_999,
        ],
        &[
            5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 99,
        ],
    ];
    for times in times {
        let chain = Chain {
            height: times.len() as u64 - 1,
            time: |number| times[usize::try_from(number).expect("small")],
        };
        let head = times[times.len() - 1];
        let targets = times.iter().flat_map(|t| [t.saturating_sub(1), *t, t + 1]);
        for target in targets.filter(|target| *target < head) {
            let later = times.iter().filter(|time| **time <= target).count() as u64;
            let expected = later.checked_sub(1).ok_or(times[0]);
            assert_eq!(chain.search(target).0, expected, "{times:?} at {target}");
        }
    }
}

#[test]
fn few_rounds_on_a_regular_chain() {
    let chain = Chain {
        height: 25_000_000,
        time: |number| 1_438_269_988 + number * 12,
    };
    for age in [1, 10, 300, 7_200, 1_000_000, 24_999_999] {
        let number = 25_000_000 - age;
        let (found, rounds) = chain.search(1_438_269_988 + number * 12 + 5);
        assert_eq!(found, Ok(number));
        assert!(rounds <= 8, "{rounds} rounds for a block of age {age}");
    }
}

#[test]
fn never_worse_than_bisection() {
    // Block times that grow: the guess is always wrong.
    let chain = Chain {
        height: 1 << 24,
        time: |number| number * number,
    };
    for number in [0, 1, 2, 1_000, 1 << 20, (1 << 24) - 1] {
        let (found, rounds) = chain.search(number * number);
        assert_eq!(found, Ok(number));
        assert!(rounds <= 2 + 24, "{rounds} rounds for block {number}");
    }
    let skipped = Chain {
        height: 1 << 24,
        time: |number| {
            if number < 77 {
                number
            } else {
                u64::MAX / 2 + number
            }
        },
    };
    assert_eq!(skipped.search(1_000_000).0, Ok(76));
}

#[test]
fn times_before_the_chain_are_refused() {
    let chain = Chain {
        height: 1_000_000,
        time: |number| 500 + number,
    };
    assert_eq!(chain.search(499).0, Err(500));
    assert_eq!(chain.search(500).0, Ok(0));
}
