use alloy_primitives::U256;
use proptest::prelude::*;

use super::*;
use crate::fixtures::{
    domain, encoded_set, epoch_update, epoch_update_hash, next_set, set, statement, typed_digest,
};
use crate::{Operator, RefusalCode, Statement};

/// A change of one field: its name, the changed update, and whether it asks another question.
fn changes() -> [(&'static str, EpochUpdate, bool); 3] {
    let u = epoch_update();
    let (epoch, next_epoch, set_hash) = (Epoch(0), Epoch(0x0200_0001), B256::repeat_byte(1));
    [
        ("epoch", EpochUpdate { epoch, ..u }, false),
        ("next epoch", EpochUpdate { next_epoch, ..u }, true),
        ("set hash", EpochUpdate { set_hash, ..u }, false),
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
        assert_ne!(
            before.svm_message(&domain),
            after.svm_message(&domain),
            "{field}"
        );
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
    let update = epoch_update();
    let statement = Statement::EpochUpdate(update);
    let packed = [
        &[3, 0, 0, 0, 1, 0, 0, 0, 2][..],
        next_set().hash().as_slice(),
    ]
    .concat();
    assert_eq!(statement.task_id().0, keccak256(packed));
    let slot = keccak256([3, 0, 0, 0, 2]);
    assert_eq!(statement.slot().0, slot);
    assert_eq!(
        statement.fact(),
        keccak256([slot, next_set().hash()].concat())
    );
    let digest = typed_digest(domain().separator(), epoch_update_hash(&update));
    assert_eq!(statement.digest(&domain()), digest);
}

#[test]
fn svm_message_is_prefix_and_borsh() {
    #[derive(borsh::BorshSerialize)]
    struct Mirror {
        epoch: u32,
        next_epoch: u32,
        set_hash: [u8; 32],
    }
    let mirror = Mirror {
        epoch: 1,
        next_epoch: 2,
        set_hash: next_set().hash().0,
    };
    let mut expected = b"quorate:v1:\x03".to_vec();
    expected.extend(31_337_u64.to_le_bytes());
    expected.extend(domain().registry());
    expected.extend(borsh::to_vec(&mirror).unwrap());
    let message = Statement::EpochUpdate(epoch_update()).svm_message(&domain());
    assert_eq!(message, expected);
    assert_eq!(message.len(), 80);
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

#[test]
fn the_set_hash_is_over_its_abi_encoding() {
    for set in [set(), next_set()] {
        assert_eq!(set.hash(), keccak256(encoded_set(&set)));
    }
    let empty = OperatorSet::new(Epoch(1), vec![], U256::ZERO, U256::from(1)).unwrap();
    assert_eq!(empty.hash(), keccak256(encoded_set(&empty)));
}

/// Sets that are often equal in a field.
fn close_set() -> impl Strategy<Value = OperatorSet> {
    let member =
        (1_u8..4, 1_u8..3, 0_u8..3, 1_u8..3).prop_map(|(address, key, ed, weight)| Operator {
            address: crate::Address::with_last_byte(address),
            signing_key: crate::Address::with_last_byte(key),
            ed25519_key: (ed > 0).then_some([ed; 32]),
            weight: U256::from(weight),
        });
    let members = proptest::collection::vec(member, 0..3);
    (members, 1_u8..3).prop_filter_map("an operator twice", |(members, threshold)| {
        OperatorSet::new(Epoch(1), members, U256::from(9), U256::from(threshold)).ok()
    })
}

proptest! {
    #[test]
    fn two_sets_share_a_hash_only_if_they_are_one(a in close_set(), b in close_set()) {
        prop_assert_eq!(a.hash() == b.hash(), a == b);
        prop_assert_eq!(a.hash(), keccak256(encoded_set(&a)));
    }

    #[test]
    fn the_set_hash_leaves_out_the_epoch_and_the_total(epoch: u32, total: u64) {
        let members = set().members().to_vec();
        let other = OperatorSet::new(Epoch(epoch), members, U256::from(total), set().threshold());
        prop_assert_eq!(other.unwrap().hash(), set().hash());
    }
}
