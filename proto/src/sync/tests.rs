use proptest::prelude::*;

use super::*;
use crate::fixtures::{domain, set, signed, statement};
use crate::{B256, RefusalCode};

fn state(members: usize, signed: &[usize], refused: &[usize]) -> TaskState {
    let mut state = TaskState::nothing(members);
    for member in refused {
        state.refuse(*member);
    }
    for member in signed {
        state.sign(*member);
    }
    state
}

#[test]
fn a_signature_replaces_a_refusal_and_nothing_a_signature() {
    let mut held = state(9, &[], &[8]);
    assert!(held.sign(8) && !held.sign(8) && !held.refuse(8));
    assert_eq!(held, state(9, &[8], &[]));
    assert!(!held.sign(16), "no member of the set");
    assert!(state(9, &[], &[]).is_empty() && !held.is_empty());
}

#[test]
fn bits_have_the_form_of_their_set() {
    let held = state(9, &[0, 8], &[1]);
    assert_eq!(held.signed.as_bytes(), [0b1, 0b1]);
    assert_eq!(held.refused.as_bytes(), [0b10, 0]);
    assert!(held.fits(9) && !held.fits(8) && !held.fits(17));
    let both = TaskState {
        signed: held.signed.clone(),
        refused: held.signed.clone(),
    };
    assert!(!both.fits(9), "nobody signs and refuses");
}

#[test]
fn buckets_are_the_whole_range_without_gaps() {
    let mut end = None;
    for bucket in 0..=u8::MAX {
        let (after, until) = bucket_range(bucket);
        assert_eq!(after, end);
        assert_eq!(bucket_of(until), bucket);
        end = Some(until);
    }
    assert_eq!(end, Some(TaskId(B256::repeat_byte(0xff))));
}

fn refusal() -> Refusal {
    match crate::fixtures::refused(2, RefusalCode::NotFinal, "later").outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Signed(_) => unreachable!("a refusal"),
    }
}

fn item() -> SyncItem {
    SyncItem {
        statement: statement(),
        created_ms: 1_700_000_000_123,
        answers: vec![(0, signed(1).outcome), (1, Outcome::Refused(refusal()))],
    }
}

#[test]
fn an_item_goes_and_comes_back_with_its_responses() {
    let message = wire::SyncItem::from(&item());
    let back = SyncItem::try_from(&message).unwrap();
    assert_eq!(back, item());
    let responses = back.responses(&set()).unwrap();
    // What the author said of its read does not come along: no receiver could check it.
    let expected = Response {
        basis: ReadBasis::Unspecified,
        ..signed(1)
    };
    assert_eq!(responses[0], expected);
    assert!(responses[0].verify(&set(), &domain()).is_ok());
}

type Damage = fn(&mut wire::SyncItem);

#[test]
fn items_that_say_nothing_or_too_much_are_refused() {
    let good = wire::SyncItem::from(&item());
    let cases: [(&str, Damage); 6] = [
        ("signatures", |m| m.signatures.truncate(64)),
        ("signatures", |m| m.signed = vec![0b11]),
        ("signatures", |m| m.signatures[64] = 0),
        ("signed", |m| m.signed = vec![0; 64]),
        ("refusal", |m| m.refusals[0].refusal = None),
        ("statement", |m| m.statement = None),
    ];
    for (field, damage) in cases {
        let mut message = good.clone();
        damage(&mut message);
        let error = SyncItem::try_from(&message).unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
    }
    let mut nobody = good.clone();
    nobody.signed.clear();
    nobody.signatures.clear();
    nobody.refusals.clear();
    assert!(SyncItem::try_from(&nobody).is_err());
    let twice = SyncItem {
        answers: vec![(0, signed(1).outcome), (0, Outcome::Refused(refusal()))],
        ..item()
    };
    assert!(twice.responses(&set()).is_err());
    let stranger = SyncItem {
        answers: vec![(500, signed(1).outcome)],
        ..item()
    };
    assert!(stranger.responses(&set()).is_err());
}

#[test]
fn the_fewest_signers_are_the_heaviest() {
    let signer = |number: u8| match signed(number).outcome {
        Outcome::Signed(signature) => SignerSignature {
            operator: signed(number).operator,
            signature,
        },
        Outcome::Refused(_) => unreachable!("a signature"),
    };
    assert_eq!(Certificate::fewest(statement(), &set(), []), None);
    let all = (1..=4).map(signer);
    let certificate = Certificate::fewest(statement(), &set(), all).unwrap();
    assert!(certificate.verify(&set(), &domain()).is_ok());
    let fewer = certificate.signatures().iter().skip(1).copied();
    assert_eq!(Certificate::fewest(statement(), &set(), fewer), None);
}

fn some_state() -> impl Strategy<Value = TaskState> {
    let member = 0_usize..20;
    (
        proptest::collection::vec(member.clone(), 0..8),
        proptest::collection::vec(member, 0..8),
    )
        .prop_map(|(signed, refused)| state(20, &signed, &refused))
}

proptest! {
    #[test]
    fn merging_takes_all_in_any_order(a in some_state(), b in some_state(), c in some_state()) {
        let merged = |states: [&TaskState; 3]| {
            let mut all = TaskState::nothing(20);
            states.into_iter().for_each(|state| all.merge(state));
            all
        };
        let all = merged([&a, &b, &c]);
        prop_assert_eq!(&all, &merged([&c, &a, &b]));
        prop_assert_eq!(&all, &merged([&b, &all, &a]));
        prop_assert!(all.fits(20));
        prop_assert!(!all.lacks(&a) && !all.lacks(&b) && !all.lacks(&c));
    }

    #[test]
    fn fingerprints_tell_sets_of_tasks_apart(hashes in proptest::collection::hash_set(any::<[u8; 32]>(), 1..20)) {
        let hashes: Vec<B256> = hashes.into_iter().map(B256::from).collect();
        let of = |hashes: &mut dyn Iterator<Item = &B256>| {
            let mut all = Fingerprint::default();
            hashes.for_each(|hash| all.add(*hash));
            all
        };
        let all = of(&mut hashes.iter());
        prop_assert_eq!(all, of(&mut hashes.iter().rev()));
        let mut fewer = all;
        fewer.remove(hashes[0]);
        prop_assert_ne!(all.digest(), fewer.digest());
        prop_assert_eq!(fewer, of(&mut hashes[1..].iter()));
        let (half, rest) = hashes.split_at(hashes.len() / 2);
        let mut joined = of(&mut half.iter());
        joined.join(&of(&mut rest.iter()));
        prop_assert_eq!(joined, all);
    }
}
