//! Which binding counts, and for how long.

use quorate_proto::{Epoch, Operator, PeerSecret, SecretKey, U256};
use quorate_storage::{EngineKind, Store, WriterGuard};

use super::*;
use crate::fixtures;

const OPERATOR: Address = Address::repeat_byte(1);

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(7))
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

/// By this key, for the peer of the same number.
fn binding(number: u8, sequence: u64) -> PeerBinding {
    let peer_key = PeerSecret::from_bytes(&[number; 32]).public();
    let digest = PeerBinding::digest(&domain(), OPERATOR, peer_key, sequence);
    PeerBinding {
        operator: OPERATOR,
        peer_key,
        sequence,
        signature: key(number).sign(digest).unwrap(),
    }
}

fn set(epoch: u32, number: u8) -> Arc<OperatorSet> {
    let member = Operator {
        address: OPERATOR,
        signing_key: key(number).address(),
        weight: U256::from(1),
    };
    let set = OperatorSet::new(Epoch(epoch), vec![member], U256::from(1), 0);
    Arc::new(set.unwrap())
}

fn open(store: &Store) -> (Bindings, WriterGuard) {
    let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
    (Bindings::new(writes), writer)
}

fn stored(store: &Store, writer: WriterGuard) -> Option<u64> {
    drop(writer);
    let row = store.get(schema::BINDINGS, &OPERATOR.into_array());
    row.unwrap().map(|record| record.sequence)
}

fn keep(bindings: &Bindings, number: u8, sequence: u64) -> bool {
    bindings.keep(binding(number, sequence), key(number).address())
}

fn sequence(bindings: &Bindings) -> Option<u64> {
    bindings.of(OPERATOR).map(|binding| binding.sequence)
}

#[test]
fn what_no_clock_can_have_made_is_not_kept() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (bindings, writer) = open(&store);
    let now = clock::now().millis();
    assert!(!keep(&bindings, 1, 1 << 62));
    assert!(!keep(&bindings, 1, now + clock::MAX_AHEAD_MS + 60_000));
    assert_eq!(sequence(&bindings), None);
    // A clock that is a little wrong is not the operator's fault.
    let ahead = now + clock::MAX_AHEAD_MS - 60_000;
    assert!(keep(&bindings, 1, ahead));
    assert_eq!(stored(&store, writer), Some(ahead));
}

#[test]
fn what_no_clock_can_have_made_is_removed_at_the_start() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (bindings, writer) = open(&store);
    let mut batch = Batch::new();
    let future = binding(1, 1 << 62);
    batch.put(schema::BINDINGS, &OPERATOR.into_array(), &(&future).into());
    store.write(&batch, Durability::Buffered).unwrap();
    bindings.recall(future);
    assert_eq!(sequence(&bindings), None);
    assert_eq!(stored(&store, writer), None);
}

#[test]
fn a_binding_goes_with_its_key() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (bindings, writer) = open(&store);
    bindings.settle(&set(1, 1), &domain());
    let ahead = clock::now().millis() + clock::MAX_AHEAD_MS - 60_000;
    assert!(keep(&bindings, 1, ahead));
    bindings.settle(&set(2, 1), &domain());
    assert_eq!(sequence(&bindings), Some(ahead), "the same key");
    bindings.settle(&set(3, 2), &domain());
    assert_eq!(sequence(&bindings), None);
    let peer = peer_id_of(&binding(1, 1).peer_key).unwrap();
    assert!(!bindings.is_peer_bound(&peer) && !bindings.serves(&peer));
    assert_eq!(stored(&store, writer), None);
}

#[test]
fn the_key_of_the_newest_set_comes_before_any_sequence() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (bindings, _writer) = open(&store);
    bindings.settle(&set(2, 2), &domain());
    // In the grace period the old key may still speak, while the new one does not.
    assert!(keep(&bindings, 1, 1_000));
    assert!(!bindings.outranks(&binding(2, 5)));
    assert!(keep(&bindings, 2, 5));
    assert!(!keep(&bindings, 1, 2_000));
    assert!(!keep(&bindings, 2, 4) && bindings.outranks(&binding(2, 4)));
    assert!(keep(&bindings, 2, 5), "it counts already");
    assert!(keep(&bindings, 2, 6));
    assert_eq!(sequence(&bindings), Some(6));
}

/// After a start the keys are told from the signatures, when the set is known.
#[test]
fn a_binding_from_the_store_goes_with_its_key() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (bindings, _writer) = open(&store);
    bindings.recall(binding(1, 1_000));
    bindings.settle(&set(1, 1), &domain());
    assert_eq!(sequence(&bindings), Some(1_000));
    let (bindings, writer) = open(&store);
    bindings.recall(binding(1, 1_000));
    bindings.settle(&set(2, 2), &domain());
    assert_eq!(sequence(&bindings), None);
    assert_eq!(stored(&store, writer), None);
}

#[test]
fn a_peer_that_speaks_for_two_operators_is_told_by_everybody() {
    let other = Address::repeat_byte(2);
    let peer_key = PeerSecret::from_bytes(&[1; 32]).public();
    let by = |operator, number: u8, peer_key| PeerBinding {
        operator,
        peer_key,
        sequence: 1_000,
        signature: key(number)
            .sign(PeerBinding::digest(&domain(), operator, peer_key, 1_000))
            .unwrap(),
    };
    let (mine, twin) = (by(OPERATOR, 1, peer_key), by(other, 2, peer_key));
    let member = |address, number: u8| Operator {
        address,
        signing_key: key(number).address(),
        weight: U256::from(1),
    };
    let members = vec![member(OPERATOR, 1), member(other, 2)];
    let both = Arc::new(OperatorSet::new(Epoch(3), members, U256::from(2), 0).unwrap());
    let peer = peer_id_of(&peer_key).unwrap();
    for is_own in [false, true] {
        let (store, _folder) = fixtures::store(EngineKind::Sled);
        let (mut bindings, _writer) = open(&store);
        if is_own {
            bindings = bindings.telling(mine, mpsc::channel(1).0);
        } else {
            bindings.keep(mine, key(1).address());
        }
        bindings.settle(&both, &domain());
        assert!(bindings.shared().is_empty());
        assert!(bindings.keep(twin, key(2).address()));
        let [problem] = bindings.shared().try_into().unwrap();
        let begins = match is_own {
            true => "another node runs with this node's peer key",
            false => "several nodes run with one peer key",
        };
        assert!(problem.starts_with(begins), "{problem}");
        for part in [OPERATOR.to_string(), other.to_string(), peer.to_string()] {
            assert!(problem.contains(&part), "{problem}");
        }
        assert_eq!(bindings.other_of(&peer, OPERATOR), Some(twin));
        // Who has left the set sends nothing any more.
        bindings.settle(&set(4, 1), &domain());
        assert!(bindings.shared().is_empty());
    }
}
