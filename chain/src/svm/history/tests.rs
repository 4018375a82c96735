use alloy::primitives::b256;
use quorate_proto::{Epoch, Route, Transfer, U256};

use super::*;
use crate::BlockRef;

fn rule() -> QuorumRule {
    QuorumRule::new(2, 2, &["a", "b", "c"].map(str::to_owned))
}

fn fact(number: u64) -> B256 {
    B256::from(U256::from(number))
}

/// h of the first so many facts.
fn hash(count: u64) -> B256 {
    let mut running = RunningHash::from(0, B256::ZERO);
    (1..=count).fold(B256::ZERO, |_, number| running.add(fact(number)))
}

fn claims(said: &[(u64, B256)]) -> Vec<Claim> {
    let claim = |(provider, (count, hash)): (usize, &(u64, B256))| Claim {
        provider,
        count: *count,
        hash: *hash,
    };
    said.iter().enumerate().map(claim).collect()
}

fn kept(nonce: u64, slot: u64) -> Kept {
    let transfer = Transfer {
        epoch: Epoch(0),
        route: Route {
            source_chain: 1,
            source_contract: B256::ZERO,
            target_chain: 2,
            target_contract: B256::ZERO,
        },
        nonce,
        sender: B256::ZERO,
        receiver: vec![1].into(),
        token: B256::ZERO,
        amount: U256::from(1),
        deadline: 0,
    };
    Kept {
        seen: SeenTransfer {
            transfer,
            block: BlockRef {
                number: slot,
                hash: fact(slot),
                timestamp: slot,
            },
            log_index: 0,
            transaction: vec![0; 64].into(),
        },
        hash: fact(nonce),
        signature: Signature([1; 64]),
    }
}

fn nonces((page, next): (Vec<SeenTransfer>, u64)) -> (Vec<u64>, u64) {
    (page.iter().map(|seen| seen.transfer.nonce).collect(), next)
}

#[test]
fn the_running_hash_is_that_of_the_program() {
    // sha256 of 64 zero bytes, and of that and 32 bytes 0x01.
    let mut running = RunningHash::from(0, B256::ZERO);
    let first = running.add(B256::ZERO);
    assert_eq!(
        first,
        b256!("f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b")
    );
    assert_eq!(running.at(1), Some(first));
    assert_eq!(
        (running.at(2), RunningHash::from(3, first).at(2)),
        (None, None)
    );
}

#[test]
fn what_enough_stand_for_is_taken_whatever_their_slots() {
    let mut running = RunningHash::from(0, B256::ZERO);
    for number in 1..=6 {
        running.add(fact(number));
    }
    let lie = fact(99);
    let table = [
        ([(5, hash(5)), (5, hash(5)), (5, hash(5))], Some(5)),
        // One is a slot ahead: who has six has five.
        ([(6, hash(6)), (5, hash(5)), (4, hash(4))], Some(5)),
        ([(6, hash(6)), (5, hash(5)), (1_000, lie)], Some(5)),
        ([(6, hash(6)), (6, lie), (6, lie)], None),
        ([(6, hash(6)), (2, hash(2)), (6, lie)], Some(2)),
        ([(0, B256::ZERO), (0, B256::ZERO), (7, hash(7))], Some(0)),
    ];
    for (said, expected) in table {
        assert_eq!(
            running.agreed(&rule(), &claims(&said)),
            expected,
            "{said:?}"
        );
    }
    let said = claims(&[(6, hash(6)), (6, lie), (7, lie)]);
    assert_eq!(running.contradicting(&said), [1]);
    assert_eq!(reached(&rule(), &said), Some(6));
    assert_eq!(reached(&rule(), &[]), None);
}

#[test]
fn what_was_given_away_is_kept_until_more_is_asked_for() {
    let mut history = History::after(Point::default());
    history.ask_from(10, Point::default());
    history.extend(vec![kept(1, 11), kept(2, 11), kept(3, 14), kept(4, 20)]);
    assert_eq!((history.count(13), history.count(30)), (2, 4));
    assert_eq!(nonces(history.page(14)), (vec![1, 2, 3], 15));
    // Again, as after an answer that was lost.
    history.ask_from(10, Point::default());
    assert_eq!(nonces(history.page(14)), (vec![1, 2, 3], 15));
    history.ask_from(15, Point::default());
    assert_eq!(nonces(history.page(30)), (vec![4], 31));
    assert_eq!(history.of(&[3]), None);
    let places: Vec<u64> = history
        .of(&[4])
        .expect("kept")
        .iter()
        .map(|seen| seen.log_index)
        .collect();
    assert_eq!(places, [0]);
    assert_eq!(
        (history.end().count, history.hashes().at(3)),
        (4, Some(fact(3)))
    );
    // What was asked for before is asked for anew.
    history.ask_from(10, Point::default());
    assert_eq!(history.end().count, 0);
}

#[test]
fn one_that_was_found_late_is_given_away_all_the_same() {
    let mut history = History::after(Point::default());
    history.ask_from(10, Point::default());
    assert_eq!(nonces(history.page(20)), (vec![], 21));
    history.ask_from(21, Point::default());
    history.extend(vec![kept(1, 15)]);
    assert_eq!(nonces(history.page(30)), (vec![1], 31));
}

#[test]
fn a_restart_goes_on_from_what_is_on_disk() {
    let known = KnownTransfers {
        facts: (1..=3).map(fact).collect(),
        block: 14,
        transaction: vec![7; 64].into(),
    };
    let point = Point::from(&known);
    assert_eq!((point.count, point.hash, point.slot), (3, hash(3), 14));
    assert_eq!(point.signature, Some(Signature([7; 64])));
    let mut history = History::after(point);
    history.ask_from(15, point);
    assert_eq!(history.end().count, 3);
    // From before that: from the beginning.
    history.ask_from(14, point);
    assert_eq!(history.end().count, 0);
    assert_eq!(Point::from(&KnownTransfers::default()).hash, B256::ZERO);
}

#[test]
fn pages_are_cut_between_slots() {
    let mut history = History::after(Point::default());
    history.ask_from(1, Point::default());
    let most = MAX_PAGE as u64;
    history.extend(
        (1..=most + 10)
            .map(|nonce| kept(nonce, nonce.div_ceil(4)))
            .collect(),
    );
    let (page, next) = history.page(u64::MAX);
    assert_eq!((page.len(), next), (MAX_PAGE, most / 4 + 1));
    assert_eq!(page[3].log_index, 3);
    history.ask_from(next, Point::default());
    assert_eq!(history.page(u64::MAX).0.len(), 10);
}
