//! Searches whose steps the fuzzer's input answers.

use alloy::primitives::{Address, B256, U256};

use super::super::proof::history::{Cutoff, Fact, HistoryRead, HistoryStep, Horizon, MAX_SLOTS};
use super::super::prover::MAX_STEPS;
use crate::BlockRef;
use crate::lookup::{SearchStep, TimestampSearch};

/// Rounds of a search for a time: bisection of all blocks, and the strides before it.
const MAX_ROUNDS: usize = 64 + 22;

/// An even first byte looks for the entry of a history that counts at a block, an odd one for the block
/// of a time. What follows is answered, as far as it goes.
pub fn search(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice % 2 {
        0 => history(Answers(rest)),
        _ => time(Answers(rest)),
    }
}

/// Bytes that are handed out; zeros once there are no more.
struct Answers<'a>(&'a [u8]);

impl Answers<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let (some, rest) = self.0.split_at(self.0.len().min(N));
        taken[..some.len()].copy_from_slice(some);
        self.0 = rest;
        taken
    }

    fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    fn word(&mut self) -> U256 {
        U256::from_be_bytes(self.take::<32>())
    }
}

fn history(mut answers: Answers<'_>) {
    let (block, head, hint) = (answers.number(), answers.number(), answers.number());
    let entry = (Address::repeat_byte(7), U256::from(9));
    // The last bit of the hint says whether entries are found by block or by time.
    let (horizon, cutoff) = match hint % 2 {
        0 => (
            Horizon {
                block: head,
                time: u64::MAX,
            },
            Cutoff::Block(block),
        ),
        _ => (
            Horizon {
                block: 0,
                time: head,
            },
            Cutoff::Time(block),
        ),
    };
    let mut read = HistoryRead::new(U256::ZERO, entry, cutoff, horizon, hint);
    let mut proven = Vec::new();
    for _ in 0..MAX_STEPS {
        let stepped = match read.next() {
            Ok(HistoryStep::Done(fact)) => return check_fact(fact, read.length(), &proven),
            Ok(HistoryStep::Prove(slots)) => {
                assert!((1..=MAX_SLOTS).contains(&slots.len()), "one proof");
                let values: Vec<U256> = slots.iter().map(|_| answers.word()).collect();
                proven.extend_from_slice(&values);
                read.proven(&slots, &values)
            }
            Ok(HistoryStep::Probe(entries)) => {
                let length = read.length().expect("a length before entries");
                assert!((1..=17).contains(&entries.len()), "one round");
                assert!(entries.iter().all(|entry| *entry < length), "entries");
                let words: Vec<_> = entries.iter().map(|n| (*n, answers.word())).collect();
                read.probed(&words)
            }
            Err(stop) => Err(stop),
        };
        if let Err(stop) = stepped {
            return assert!(!stop.to_string().is_empty());
        }
    }
    panic!("a search without end");
}

/// What is found was proven.
fn check_fact(fact: Fact, length: Option<u64>, proven: &[U256]) {
    match fact {
        Fact::Value(value, _) => assert!(proven.contains(&value)),
        Fact::NoHistory => assert_eq!(length, Some(0)),
        Fact::BeforeFirstEntry(_) => assert!(length > Some(0)),
    }
}

fn time(mut answers: Answers<'_>) {
    let (target, number, timestamp) = (answers.number(), answers.number(), answers.number());
    if timestamp <= target {
        // The search begins at a block that is later.
        return;
    }
    let head = BlockRef {
        number,
        hash: B256::ZERO,
        timestamp,
    };
    let mut search = TimestampSearch::new(target, head);
    for _ in 0..MAX_ROUNDS {
        match search.step() {
            SearchStep::Found(block) => return assert!(block.timestamp <= target),
            SearchStep::TooEarly(first) => return assert!(first > target),
            SearchStep::Probe(numbers) => {
                assert!((1..=4).contains(&numbers.len()), "one round");
                for number in numbers {
                    assert!(number < head.number, "below what is final");
                    search.observe(BlockRef {
                        number,
                        hash: B256::ZERO,
                        timestamp: answers.number(),
                    });
                }
            }
        }
    }
    panic!("a search without end");
}
