use proptest::{collection::vec, prelude::*};
use quorate_storage::{Key, KeyRange, Order};

/// Bytes compare as the values do, and read back as the value with nothing left.
fn faithful<K: Key + Ord + std::fmt::Debug>(a: &K, b: &K) {
    assert_eq!(a.key_bytes().cmp(&b.key_bytes()), a.cmp(b), "{a:?} {b:?}");
    let bytes = a.key_bytes();
    let mut rest = bytes.as_slice();
    assert_eq!(K::decode_key(&mut rest).as_ref(), Some(a));
    assert!(rest.is_empty());
}

/// Parts that differ in few places, so that the later parts of a key decide too.
fn narrow() -> impl Strategy<Value = [u8; 4]> {
    prop_oneof![
        any::<[u8; 4]>(),
        Just([0; 4]),
        Just([0xff; 4]),
        Just([0xff, 0xff, 0, 0])
    ]
}

proptest! {
    #[test]
    fn order_and_round_trip(
        a in (narrow(), any::<u32>(), any::<u64>()),
        b in (narrow(), any::<u32>(), any::<u64>()),
    ) {
        faithful(&a.0, &b.0);
        faithful(&a.1, &b.1);
        faithful(&a.2, &b.2);
        faithful(&(a.0, a.1), &(b.0, b.1));
        faithful(&(a.2, a.0), &(b.2, b.0));
        faithful(&a, &b);
        faithful(&(a.0, (a.1, a.2)), &(b.0, (b.1, b.2)));
    }

    #[test]
    fn order_and_round_trip_with_a_variable_end(
        a in (narrow(), ".{0,6}", vec(prop_oneof![Just(0xff), any::<u8>()], 0..6)),
        b in (narrow(), ".{0,6}", vec(prop_oneof![Just(0xff), any::<u8>()], 0..6)),
    ) {
        faithful(&a.1, &b.1);
        faithful(&a.2, &b.2);
        faithful(&(a.0, a.1.clone()), &(b.0, b.1.clone()));
        faithful(&(7_u32, a.0, a.2.clone()), &(7_u32, b.0, b.2.clone()));
    }

    #[test]
    fn a_prefix_range_holds_what_begins_with_it(
        prefix in vec(prop_oneof![Just(0xff), any::<u8>()], 0..4),
        key in vec(prop_oneof![Just(0xff), any::<u8>()], 0..6),
    ) {
        let range = KeyRange::prefix(prefix.clone());
        let inside = key >= range.start && range.end.as_ref().is_none_or(|end| key < *end);
        prop_assert_eq!(inside, key.starts_with(&prefix));
    }
}

#[test]
fn too_short_keys_are_no_keys() {
    assert_eq!(u64::decode_key(&mut [1, 2, 3].as_slice()), None);
    assert_eq!(<(u32, [u8; 4])>::decode_key(&mut [0; 7].as_slice()), None);
    assert_eq!(String::decode_key(&mut [0xff].as_slice()), None);
}

#[test]
fn a_range_behind_its_end_is_empty() {
    let range = KeyRange::prefix(vec![5]);
    assert!(range.clone().after(vec![6], Order::Ascending).is_empty());
    assert!(range.clone().after(vec![4], Order::Descending).is_empty());
    assert!(!range.after(vec![5], Order::Ascending).is_empty());
}
