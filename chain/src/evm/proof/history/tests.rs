use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const HEAD: u64 = 1_000_000;
/// The time of block 0; each block takes a second.
const BEGIN: u64 = 1_700_000_000;
const HORIZON: Horizon = Horizon {
    block: HEAD,
    time: BEGIN + HEAD,
};
const USER: Address = Address::repeat_byte(7);
const KEY: U256 = U256::from_limbs([9, 0, 0, 0]);

/// An entry of this block.
fn made_in(block: u64) -> Since {
    Since {
        block,
        time: BEGIN + block,
    }
}

/// Storage with one history: an entry per block, its value being ten times the block.
struct Storage {
    slots: Slots,
    blocks: Vec<u64>,
}

impl Storage {
    fn new(blocks: impl IntoIterator<Item = u64>) -> Self {
        Self {
            slots: Slots::new(U256::ZERO, USER, KEY),
            blocks: blocks.into_iter().collect(),
        }
    }

    fn word(&self, slot: U256) -> U256 {
        if slot == self.slots.length {
            return U256::from(self.blocks.len());
        }
        let offset = slot.wrapping_sub(self.slots.first);
        let block = usize::try_from(offset >> 1_usize)
            .ok()
            .and_then(|entry| self.blocks.get(entry));
        match (block, offset.bit(0)) {
            (None, _) => U256::ZERO,
            (Some(block), false) => U256::from(block * 10),
            (Some(block), true) => entry(*block),
        }
    }

    /// What the history says, by looking at all of it.
    fn truth(&self, block: u64) -> Fact {
        let time = |since: Option<&u64>| since.map(|block| made_in(*block));
        let from = self.blocks.iter().rfind(|since| **since <= block);
        let span = Span {
            from: time(from),
            until: time(self.blocks.iter().find(|since| **since > block)),
        };
        match from {
            Some(since) => Fact::Value(U256::from(since * 10), span),
            None if self.blocks.is_empty() => Fact::NoHistory,
            None => Fact::BeforeFirstEntry(span),
        }
    }
}

fn entry(block: u64) -> U256 {
    U256::from(block) | U256::from(BEGIN + block) << 64
}

/// Without the times in which it held.
fn undated(fact: Result<Fact, Stop>) -> Result<Fact, Stop> {
    fact.map(|fact| match fact {
        Fact::Value(value, _) => Fact::Value(value, Span::default()),
        Fact::BeforeFirstEntry(_) => Fact::BeforeFirstEntry(Span::default()),
        Fact::NoHistory => fact,
    })
}

fn value(value: u64) -> Fact {
    Fact::Value(U256::from(value), Span::default())
}

/// How a search went: what it found, its proofs and its rounds of looking up.
type Went = (Result<Fact, Stop>, usize, usize);

fn search(storage: &Storage, block: u64, hint: u64, say: impl Fn(u64, U256) -> U256) -> Went {
    let (fact, proofs, rounds) = search_until(storage, Cutoff::Block(block), hint, say);
    if let Ok(fact) = &fact {
        assert_eq!(*fact, storage.truth(block));
    }
    (undated(fact), proofs, rounds)
}

fn search_until(
    storage: &Storage,
    cutoff: Cutoff,
    hint: u64,
    say: impl Fn(u64, U256) -> U256,
) -> Went {
    let mut read = HistoryRead::new(U256::ZERO, (USER, KEY), cutoff, HORIZON, hint);
    let (mut proofs, mut rounds) = (0, 0);
    loop {
        assert!(proofs + rounds < 24, "a search without end");
        let stepped = match read.next() {
            Err(stop) => return (Err(stop), proofs, rounds),
            Ok(HistoryStep::Done(fact)) => return (Ok(fact), proofs, rounds),
            Ok(HistoryStep::Prove(slots)) => {
                assert!((1..=MAX_SLOTS).contains(&slots.len()));
                proofs += 1;
                let values: Vec<U256> = slots.iter().map(|slot| storage.word(*slot)).collect();
                read.proven(&slots, &values)
            }
            Ok(HistoryStep::Probe(entries)) => {
                assert!((1..=17).contains(&entries.len()));
                rounds += 1;
                let words: Vec<_> = entries
                    .iter()
                    .map(|entry| (*entry, say(*entry, storage.word(read.slot_of(*entry)))))
                    .collect();
                read.probed(&words)
            }
        };
        if let Err(stop) = stepped {
            return (Err(stop), proofs, rounds);
        }
    }
}

fn honest(_: u64, word: U256) -> U256 {
    word
}

#[test]
fn slots_are_those_of_the_compiler() {
    // By `forge inspect` and a running contract: the fixtures have them too.
    let user: Address = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
        .parse()
        .expect("an address");
    let slots = Slots::new(U256::ZERO, user, U256::from(3));
    let proofs: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/proofs.json")).expect("JSON");
    let shown = [slots.length, slots.value(0), slots.since(0)].map(|slot| format!("{slot:#066x}"));
    assert_eq!(proofs["cases"][0]["slots"], serde_json::json!(shown));
}

#[test]
fn few_questions_are_enough() {
    let one = Storage::new([5]);
    assert_eq!(search(&one, 5, 0, honest), (Ok(value(50)), 1, 0));
    assert_eq!(
        search(&one, 4, 0, honest),
        (Ok(Fact::BeforeFirstEntry(Span::default())), 1, 0)
    );
    assert_eq!(
        search(&Storage::new([]), 5, 0, honest),
        (Ok(Fact::NoHistory), 1, 0)
    );

    let many = Storage::new((1..=1_000).map(|n| n * 10));
    let last = Ok(value(100_000));
    assert_eq!(
        search(&many, HEAD, 1_000, honest),
        (last.clone(), 1, 0),
        "a good hint"
    );
    assert_eq!(search(&many, HEAD, 0, honest), (last.clone(), 2, 0), "none");
    assert_eq!(
        search(&many, HEAD, 999, honest),
        (last.clone(), 2, 0),
        "an old one"
    );
    assert_eq!(
        search(&many, HEAD, 5_000, honest),
        (last, 2, 0),
        "a wrong one"
    );
    let (found, proofs, rounds) = search(&many, 9_989, 1_000, honest);
    assert_eq!((found, proofs), (Ok(value(99_800)), 2));
    assert!(rounds <= 2, "{rounds} rounds");
}

#[test]
fn a_long_history_takes_few_rounds() {
    let blocks = Storage::new(1..=1_000_000);
    for block in [1, 2, 77_777, 500_000, 999_998] {
        let (found, proofs, rounds) = search(&blocks, block, 0, honest);
        assert_eq!(found, Ok(value(block * 10)));
        assert!(
            proofs <= 3 && rounds <= 7,
            "{proofs} proofs, {rounds} rounds"
        );
    }
}

proptest! {
    #[test]
    fn the_search_finds_what_is_there(
        mut blocks in vec(1..500_u64, 0..60), block in 0..510_u64, hint in 0..80_u64,
    ) {
        // The originals of the contract may have several entries of one block.
        blocks.sort_unstable();
        let storage = Storage::new(blocks);
        prop_assert_eq!(search(&storage, block, hint, honest).0, undated(Ok(storage.truth(block))));
    }

    /// Whatever is said in between: the end is the truth, or no end at all.
    #[test]
    fn lies_in_between_change_nothing(
        mut blocks in vec(1..500_u64, 4..60), block in 0..510_u64,
        lies in vec(prop_oneof![Just(None), (0..600_u64).prop_map(Some)], 60),
    ) {
        blocks.sort_unstable();
        blocks.dedup();
        let storage = Storage::new(blocks);
        let say = |at: u64, word| lies[usize::try_from(at).unwrap() % 60].map_or(word, entry);
        match search(&storage, block, 0, say).0 {
            Ok(fact) => prop_assert_eq!(Ok(fact), undated(Ok(storage.truth(block)))),
            Err(stop) => prop_assert!(matches!(stop, Stop::Lie(_)), "{}", stop),
        }
    }

    #[test]
    fn any_storage_gives_an_answer_or_a_reason(words in vec(any::<[u8; 32]>(), 1..8), block in any::<u64>()) {
        let mut read = HistoryRead::new(
            U256::MAX,
            (USER, U256::MAX),
            Cutoff::Block(block),
            HORIZON,
            u64::MAX,
        );
        for round in 0..30_usize {
            let word = |n: usize| U256::from_be_bytes(words[(round + n) % words.len()]);
            let stepped = match read.next() {
                Ok(HistoryStep::Prove(slots)) => {
                    let values: Vec<U256> = (0..slots.len()).map(word).collect();
                    read.proven(&slots, &values)
                }
                Ok(HistoryStep::Probe(entries)) => {
                    let words: Vec<_> = entries.iter().map(|entry| (*entry, word(0))).collect();
                    read.probed(&words)
                }
                Ok(HistoryStep::Done(_)) | Err(_) => break,
            };
            if stepped.is_err() {
                break;
            }
        }
    }
}

#[test]
fn storage_of_something_else_is_told() {
    struct Other(U256, U256);
    let read = |other: Other| {
        let mut read = HistoryRead::new(U256::ZERO, (USER, KEY), Cutoff::Block(5), HORIZON, 1);
        let Ok(HistoryStep::Prove(slots)) = read.next() else {
            panic!("a first proof");
        };
        let values = [other.0, U256::from(1), other.1];
        read.proven(&slots, &values)
    };
    let one = U256::from(1);
    assert_eq!(read(Other(one, entry(3))), Ok(()));
    let misfits = [
        Other(U256::MAX, entry(3)),
        Other(MAX_ENTRIES + one, entry(3)),
        Other(one, U256::ZERO),
        Other(one, U256::from(3)),
        Other(one, U256::from(3) << 64),
        Other(one, U256::MAX),
        Other(one, entry(3) | one << 112),
    ];
    for other in misfits {
        assert!(matches!(read(other), Err(Stop::Misfit(_))));
    }
    // A chain whose own numbers are lower than those that its contracts count.
    let ahead = read(Other(one, entry(3) + U256::from(HEAD)));
    assert!(matches!(ahead, Err(Stop::OtherBlocks(_))), "{ahead:?}");
}

/// Entries of blocks 1,204 and 1,211 of a parent chain, on a chain whose own blocks are in the millions.
fn of_a_parent_chain() -> Storage {
    Storage::new([1_204, 1_211])
}

#[test]
fn entries_of_a_parent_chain_are_found_by_their_time() {
    let storage = of_a_parent_chain();
    let table = [
        (1_203, None, Some(1_204)),
        (1_204, Some(1_204), Some(1_211)),
        (1_207, Some(1_204), Some(1_211)),
        (1_210, Some(1_204), Some(1_211)),
        (1_211, Some(1_211), None),
        (9_999, Some(1_211), None),
    ];
    for (second, from, until) in table {
        for hint in [0, 1, 2, 9] {
            let at = Cutoff::Time(BEGIN + second);
            let (found, ..) = search_until(&storage, at, hint, |_, word| word);
            let span = Span {
                from: from.map(made_in),
                until: until.map(made_in),
            };
            let expected = match from {
                Some(block) => Fact::Value(U256::from(block * 10), span),
                None => Fact::BeforeFirstEntry(span),
            };
            assert_eq!(found, Ok(expected), "{second} {hint}");
            assert!(span.may_contain(BEGIN + second));
        }
    }
}

/// What the number of a block leads to does not hold at its time.
#[test]
fn entries_that_count_other_blocks_do_not_fit_the_time_of_the_block() {
    let storage = of_a_parent_chain();
    // Own blocks are far above those of the parent: the newest entry always counts.
    let (found, ..) = search_until(&storage, Cutoff::Block(200_000_000), 0, |_, word| word);
    let Ok(Fact::Value(_, span)) = found else {
        panic!("{found:?}");
    };
    assert!(!span.may_contain(BEGIN + 1_207));
    // And far below: no entry ever counts.
    let (found, ..) = search_until(&storage, Cutoff::Block(5), 0, |_, word| word);
    let Ok(Fact::BeforeFirstEntry(span)) = found else {
        panic!("{found:?}");
    };
    assert!(!span.may_contain(BEGIN + 1_207));
}

#[test]
fn spans_have_both_of_their_ends() {
    let at = |time: Option<u64>| time.map(|time| Since { block: 1, time });
    let span = |from, until| Span {
        from: at(from),
        until: at(until),
    };
    let table = [
        (span(None, None), 5, true),
        (span(Some(5), None), 4, false),
        (span(Some(5), None), 5, true),
        (span(None, Some(5)), 5, true),
        (span(None, Some(5)), 6, false),
        (span(Some(4), Some(6)), 5, true),
    ];
    for (span, time, expected) in table {
        assert_eq!(span.may_contain(time), expected, "{span:?} {time}");
    }
}
