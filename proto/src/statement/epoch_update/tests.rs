use proptest::prelude::*;

use super::*;
use crate::fixtures::{
    attestation_hash, domain, epoch_update, next_set, set, set_hash, statement, typed_digest,
};
use crate::{Attestation, Operator, RefusalCode, Statement, U256};

/// A change of one field: its name, the changed update, and whether it asks another question.
fn changes() -> [(&'static str, EpochUpdate, bool); 4] {
    let u = epoch_update();
    let (epoch, next_epoch, set_hash) = (Epoch(0), Epoch(0x0200_0001), B256::repeat_byte(1));
    let time = u.time ^ (1 << 40);
    [
        ("epoch", EpochUpdate { epoch, ..u }, false),
        ("next epoch", EpochUpdate { next_epoch, ..u }, true),
        ("set hash", EpochUpdate { set_hash, ..u }, false),
        ("time", EpochUpdate { time, ..u }, false),
    ]
}

#[test]
fn every_field_is_in_the_task_id_and_under_the_signatures() {
    let (before, domain) = (Statement::EpochUpdate(epoch_update()), domain());
    for (field, after, _) in changes() {
        let after = Statement::EpochUpdate(after);
        let refusal = |s: &Statement| s.refusal_digest(&domain, RefusalCode::ValueDiffers);
        assert_ne!(before.task_id(), after.task_id(), "{field}");
        assert_ne!(before.digest(&domain), after.digest(&domain), "{field}");
        assert_ne!(refusal(&before), refusal(&after), "{field}");
    }
}

#[test]
fn one_truth_per_next_epoch_whoever_signs_it() {
    let before = Statement::EpochUpdate(epoch_update());
    for (field, after, other_question) in changes() {
        let after = Statement::EpochUpdate(after);
        assert_eq!(
            before.slot() != after.slot(),
            other_question,
            "slot, {field}"
        );
        assert_eq!(
            before.fact() != after.fact(),
            field != "epoch",
            "fact, {field}"
        );
    }
}

#[test]
fn hashes_by_hand() {
    let statement = Statement::EpochUpdate(epoch_update());
    let (hash, time) = (next_set().hash(), next_set().fixed_at().to_be_bytes());
    let packed = [
        &[3, 0, 0, 0, 1, 0, 0, 0, 2][..],
        hash.as_slice(),
        time.as_slice(),
    ];
    assert_eq!(statement.task_id().0, keccak256(packed.concat()));
    let slot = keccak256([3, 0, 0, 0, 2]);
    assert_eq!(statement.slot().0, slot);
    let fact = keccak256([slot.as_slice(), hash.as_slice(), time.as_slice()].concat());
    assert_eq!(statement.fact(), fact);
    let attestation = Attestation {
        epoch: Epoch(1),
        slot: SlotId(slot),
        fact,
    };
    let digest = typed_digest(domain().separator(), attestation_hash(&attestation));
    assert_eq!(statement.digest(&domain()), digest);
}

#[test]
fn an_epoch_is_handed_over_to_a_later_one_only() {
    assert_eq!(
        EpochUpdate::hand_over(Epoch(1), &next_set()),
        Some(epoch_update())
    );
    assert_eq!(EpochUpdate::hand_over(Epoch(1), &set()), None);
    assert_eq!(EpochUpdate::hand_over(Epoch(2), &set()), None);
}

#[test]
fn malformed_fields_are_named() {
    let valid = || wire::EpochUpdate::from(&epoch_update());
    let with = |change: fn(&mut wire::EpochUpdate)| {
        let mut message = valid();
        change(&mut message);
        EpochUpdate::try_from(&message).map_err(|error| error.to_string())
    };
    assert_eq!(with(|_| ()), Ok(epoch_update()));
    let later = Err("next_epoch must be later than epoch".to_owned());
    assert_eq!(with(|u| u.epoch = 2), later);
    assert_eq!(with(|u| u.epoch = u32::MAX), later);
    assert_eq!(with(|u| u.next_epoch = 0), later);
    let length = Err("set_hash must have 32 bytes".to_owned());
    assert_eq!(with(|u| u.set_hash.clear()), length);
    assert_eq!(with(|u| u.set_hash.push(0)), length);
}

#[test]
fn no_update_is_a_state_proof() {
    let (update, proof) = (Statement::EpochUpdate(epoch_update()), statement());
    assert_ne!(update.task_id(), proof.task_id());
    assert_ne!(update.slot(), proof.slot());
    assert_ne!(update.digest(&domain()), proof.digest(&domain()));
}

/// Sets that are often equal in a field.
fn close_set() -> impl Strategy<Value = OperatorSet> {
    let member = (1_u8..4, 1_u8..3, 1_u8..3).prop_map(|(address, key, weight)| Operator {
        address: crate::Address::with_last_byte(address),
        signing_key: crate::Address::with_last_byte(key),
        weight: U256::from(weight),
    });
    let members = proptest::collection::vec(member, 1..4);
    (members, 7_u8..9).prop_filter_map("an operator twice", |(members, total)| {
        OperatorSet::new(Epoch(1), members, U256::from(total), 0).ok()
    })
}

proptest! {
    #[test]
    fn two_sets_share_a_hash_only_if_they_are_one(a in close_set(), b in close_set()) {
        prop_assert_eq!(a.hash() == b.hash(), a == b);
        prop_assert_eq!(a.hash(), set_hash(&a));
    }

    #[test]
    fn the_set_hash_leaves_out_the_epoch_and_the_time(epoch: u32, time: u64) {
        let (members, total) = (set().members().to_vec(), set().total_weight());
        let other = OperatorSet::new(Epoch(epoch), members, total, time).unwrap();
        prop_assert_eq!(other.hash(), set().hash());
        // The statement over it has both.
        let update = EpochUpdate::hand_over(Epoch(0), &other);
        prop_assert_eq!(update.map(|update| (update.next_epoch, update.time)),
            (epoch > 0).then_some((Epoch(epoch), time)));
    }
}
