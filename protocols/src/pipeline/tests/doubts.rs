//! Whose tasks come to nothing.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "tests panic on overflow, as they should"
)]

use super::*;

/// Tasks in a row that come to nothing before no more are taken.
const ROW: u64 = 16;

fn by(author: u8, number: u64) -> Input {
    Input::Announced {
        author: operator(author),
        statement: keyed(1, number, 666),
        attempt: 0,
        set: set(),
    }
}

/// Operator 2 announces this, and this node reads something else.
fn contradicted(node: &mut Pipeline, millis: u64, number: u64, code: RefusalCode) -> bool {
    if node.handle(at(millis), by(2, number)).is_err() {
        return false;
    }
    let s = keyed(1, number, 666);
    let outputs = tell(node, millis, disagree(s.clone(), code));
    assert_eq!(names(&outputs), ["refuse"]);
    let refusal = Input::Answered(refused(1, s, code));
    tell(node, millis, refusal);
    true
}

fn refused_as_too_many(most: usize) -> Result<Vec<Output>, Refused> {
    let author = operator(2);
    Err(Refused::Doubted { author, most })
}

#[test]
fn who_announces_what_is_not_true_is_soon_not_heard_and_others_are() {
    for code in [
        RefusalCode::ValueDiffers,
        RefusalCode::TimestampDiffers,
        RefusalCode::NoEntry,
    ] {
        let mut node = operator_one();
        let taken = (0..100).take_while(|n| contradicted(&mut node, 0, *n, code));
        // Those that are open have their places, too.
        let taken = u64::try_from(taken.count()).unwrap();
        assert!((ROW / 2..=ROW).contains(&taken), "{taken} tasks");
        // Nor what it signs, unannounced.
        let junk = heard(signed(2, keyed(1, 1_000, 666)));
        assert!(node.handle(at(0), junk).is_err());
        // Its answers to the tasks of others count.
        let theirs = keyed(1, 2_000, 7);
        let announced = Input::Announced {
            author: operator(3),
            statement: theirs.clone(),
            attempt: 0,
            set: set(),
        };
        tell(&mut node, 1, announced);
        assert_eq!(
            names(&tell(&mut node, 1, heard(signed(2, theirs)))),
            ["counted"]
        );
    }
}

#[test]
fn who_cannot_tell_has_no_doubts() {
    for code in [
        RefusalCode::NotFinal,
        RefusalCode::ChainUnavailable,
        RefusalCode::ChainUnsupported,
        RefusalCode::Overloaded,
    ] {
        let mut node = operator_one();
        for number in 0..10 * ROW {
            assert!(contradicted(&mut node, 0, number, code), "{code:?}");
        }
    }
}

/// Fails tasks of operator 2 until no more are taken, and ends them.
fn doubting() -> Pipeline {
    let (mut node, mut number) = (operator_one(), 0);
    loop {
        let first = number;
        while contradicted(&mut node, 0, number, RefusalCode::ValueDiffers) {
            number += 1;
        }
        tell(&mut node, 0, Input::EpochEnded(Epoch(1)));
        if number == first {
            assert_eq!((node.open_tasks(), number), (0, ROW));
            return node;
        }
    }
}

#[test]
fn doubts_pass_with_time() {
    let mut node = doubting();
    assert_eq!(node.handle(at(0), by(2, 100)), refused_as_too_many(0));
    assert_eq!(node.handle(at(3_900), by(2, 100)), refused_as_too_many(0));
    tell(&mut node, 4_000, by(2, 100));
    assert_eq!(node.handle(at(4_000), by(2, 101)), refused_as_too_many(1));
    // Longer doubts last no longer.
    let mut node = doubting();
    for number in 200..300 {
        let lonely = heard(signed(2, keyed(1, number, 666)));
        assert!(node.handle(at(0), lonely).is_err());
    }
    tell(&mut node, 12_000, by(2, 100));
    // After a good minute without new ones there is no doubt any more.
    let mut node = doubting();
    for number in 0..10 * ROW {
        tell(&mut node, 64_000, by(2, 1_000 + number));
    }
}

#[test]
fn who_is_believed_again_has_places_again() {
    let mut node = doubting();
    for number in 0..ROW {
        let s = keyed(1, 1_000 + number, 7);
        tell(&mut node, 4_000, announced(0, s.clone()));
        tell(&mut node, 4_000, agree(s.clone()));
        tell(&mut node, 4_000, learned(s));
    }
    for number in 0..10 * ROW {
        tell(&mut node, 4_000, by(2, 2_000 + number));
    }
}

#[test]
fn who_refused_what_others_certify_doubts_nobody() {
    let (mut node, mut number) = (operator_one(), 0);
    while contradicted(&mut node, 0, number, RefusalCode::ValueDiffers) {
        number += 1;
    }
    tell(&mut node, 1, learned(keyed(1, 0, 666)));
    for number in 0..10 * ROW {
        tell(&mut node, 1, by(2, 1_000 + number));
    }
}

#[test]
fn what_only_its_author_signs_comes_to_nothing() {
    for mut node in [operator_one(), spectator()] {
        let share = room::share(&set(), operator(2));
        let mut number = 0;
        while node
            .handle(at(0), heard(signed(2, keyed(1, number, 666))))
            .is_ok()
        {
            number += 1;
        }
        assert_eq!(usize::try_from(number).unwrap(), share);
        tell(&mut node, 15_000, Input::Wake);
        assert_eq!(node.open_tasks(), 0);
        let again = node.handle(at(15_000), heard(signed(2, keyed(1, 100_000, 666))));
        assert_eq!(again, refused_as_too_many(0));
    }
    // An epoch that ends takes its tasks along, which says nothing of them.
    let mut node = operator_one();
    for number in 0..2 * ROW {
        tell(&mut node, 0, heard(signed(2, keyed(1, number, 7))));
    }
    tell(&mut node, 14_999, Input::EpochEnded(Epoch(1)));
    for number in 0..10 * ROW {
        tell(&mut node, 14_999, by(2, 1_000 + number));
    }
    // Where this node answered, or others did, it is not that.
    let mut node = operator_one();
    for number in 0..10 * ROW {
        let s = keyed(1, number, 7);
        if number % 2 == 0 {
            tell(&mut node, 0, announced(0, s.clone()));
            tell(&mut node, 0, agree(s.clone()));
            tell(&mut node, 0, Input::Answered(signed(1, s)));
        } else {
            tell(&mut node, 0, heard(signed(2, s.clone())));
            tell(&mut node, 0, heard(signed(3, s)));
        }
    }
    tell(&mut node, 15_000, Input::Wake);
    for number in 0..10 * ROW {
        tell(&mut node, 15_000, by(2, 1_000 + number));
    }
}
