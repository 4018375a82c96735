#![allow(clippy::unwrap_used)]

use quorate_proto::store::LogOrigin;

use super::*;
use crate::{EngineKind, Identity, SigningEntry, WriterGuard};

const OPERATOR: Address = [9; 20];
const KEY: Address = [7; 20];
const NEXT_KEY: Address = [8; 20];
const NOW: u64 = 1_700_000_000_000;

fn fresh(kind: EngineKind) -> (tempfile::TempDir, WriteQueue, WriterGuard) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), kind, &Identity::new("test")).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    (dir, queue, guard)
}

fn holder(instance: u8) -> Holder {
    Holder {
        instance: [instance; 32],
        host: "here".to_owned(),
        pid: 12,
        process: "3".to_owned(),
    }
}

fn establish(signers: &Signers, origin: LogOrigin, sequence: u64) {
    let ack = signers.establish(&OPERATOR, &KEY, (origin, sequence), NOW);
    ack.unwrap().wait().unwrap();
}

fn refused(taken: Result<(Lease, Ack), StoreError>) -> bool {
    matches!(taken, Err(StoreError::LogNotWhole { .. }))
}

#[test]
fn nobody_signs_with_an_unknown_log() {
    for kind in EngineKind::ALL {
        let (_dir, queue, _guard) = fresh(kind);
        let signers = queue.signers();
        assert!(refused(signers.take(&OPERATOR, &KEY, holder(1), NOW)));
        establish(&signers, LogOrigin::NewOperator, 0);
        let (_lease, ack) = signers.take(&OPERATOR, &KEY, holder(1), NOW).unwrap();
        ack.wait().unwrap();
        let record = signers.get(&OPERATOR).unwrap();
        let whole = LogStanding::Whole(LogOrigin::NewOperator);
        assert_eq!(standing(&record), whole);
        let lease = record.lease.unwrap();
        assert_eq!(
            (lease.instance, lease.signing_key),
            (vec![1; 32], KEY.to_vec())
        );
    }
}

/// The sequences go on too, so that nothing said with the key before is taken for another store's.
#[test]
fn another_key_goes_on_with_the_log_once_that_is_noted() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewOperator, NOW + 50);
    assert!(refused(signers.take(&OPERATOR, &NEXT_KEY, holder(1), NOW)));
    signers.go_on(&OPERATOR, &NEXT_KEY).unwrap().wait().unwrap();
    let (lease, ack) = signers.take(&OPERATOR, &NEXT_KEY, holder(1), NOW).unwrap();
    ack.wait().unwrap();
    assert_eq!(lease.renew(NOW).unwrap().0, NOW + 52);
    let record = signers.get(&OPERATOR).unwrap();
    assert!(covers(&record, &KEY) && covers(&record, &NEXT_KEY));
    assert_eq!(
        standing(&record),
        LogStanding::Whole(LogOrigin::NewOperator)
    );
}

#[test]
fn the_oldest_of_too_many_keys_is_forgotten() {
    let mut record = SignerRecord::default();
    for key in 0..=MAX_SIGNING_KEYS {
        add_key(&mut record, &[u8::try_from(key).unwrap(); 20]);
    }
    add_key(&mut record, &[5; 20]);
    assert_eq!(record.signing_keys.len(), MAX_SIGNING_KEYS);
    assert!(!covers(&record, &[0; 20]) && covers(&record, &[1; 20]));
    assert_eq!(record.signing_keys.last(), Some(&vec![5; 20]));
}

#[test]
fn sequences_grow_whatever_the_clock_does() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewOperator, NOW + 50);
    let (lease, ack) = signers.take(&OPERATOR, &KEY, holder(1), NOW).unwrap();
    ack.wait().unwrap();
    let mut made = Vec::new();
    for now in [NOW, NOW - 10, NOW + 200, NOW + 200] {
        let (sequence, ack) = lease.renew(now).unwrap();
        ack.wait().unwrap();
        made.push(sequence - NOW);
    }
    assert_eq!(made, [52, 53, 200, 201]);
    lease.release().unwrap().wait().unwrap();
    let record = signers.get(&OPERATOR).unwrap();
    assert!(record.lease.unwrap().released);
    assert_eq!(record.sequence, NOW + 201);
}

#[test]
fn who_lost_the_log_to_another_holder_cannot_renew() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewOperator, 0);
    signers.go_on(&OPERATOR, &NEXT_KEY).unwrap().wait().unwrap();
    let (first, ack) = signers.take(&OPERATOR, &KEY, holder(1), NOW).unwrap();
    ack.wait().unwrap();
    let (second, ack) = signers.take(&OPERATOR, &NEXT_KEY, holder(2), NOW).unwrap();
    ack.wait().unwrap();
    assert!(first.renew(NOW).is_err());
    assert!(first.release().is_err());
    assert!(second.renew(NOW).is_ok());
}

fn import(sequence: u64, whole_until_ms: impl Into<Option<u64>>) -> Import {
    Import {
        keys: vec![[3; 20], KEY],
        sequence,
        whole_until_ms: whole_until_ms.into(),
        seen_epoch: 5,
    }
}

/// Whether an import of these makes a log usable.
fn imported(signers: &Signers, import: &Import) -> bool {
    let ack = signers.imported(&OPERATOR, import, NOW).unwrap();
    ack.wait().unwrap();
    standing(&signers.get(&OPERATOR).unwrap()).is_usable()
}

#[test]
fn a_log_that_lacks_something_is_whole_again_by_a_newer_import_or_by_word() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewOperator, 100);
    let restored = || queue.store().mark_restored(NOW).unwrap();
    restored();
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!(standing(&record), LogStanding::Restored(NOW));
    assert!(refused(signers.take(&OPERATOR, &KEY, holder(1), NOW)));
    assert!(!imported(&signers, &import(100, 100)), "no newer");
    assert!(!imported(&signers, &import(120, None)), "itself not whole");
    assert!(imported(&signers, &import(121, 121)));
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!((record.sequence, record.imported_ms), (121, 121));
    assert!(record.unproven && covers(&record, &[3; 20]));

    signers.behind(&OPERATOR, 300).unwrap().wait().unwrap();
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!(standing(&record), LogStanding::Behind(300));
    assert!(!imported(&signers, &import(299, 299)), "still behind");
    assert!(imported(&signers, &import(300, 300)));

    restored();
    establish(&signers, LogOrigin::RiskAccepted, 0);
    assert_eq!(signers.get(&OPERATOR).unwrap().sequence, 300, "never lower");
    assert!(signers.take(&OPERATOR, &KEY, holder(1), NOW).is_ok());
    assert!(
        !signers.get(&OPERATOR).unwrap().unproven,
        "it is signed with"
    );
}

#[test]
fn an_unknown_log_is_whole_with_what_was_whole() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    assert!(!imported(&signers, &import(50, None)));
    assert!(imported(&signers, &import(50, 40)));
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!(standing(&record), LogStanding::Whole(LogOrigin::Imported));
    assert!(record.unproven);
    assert_eq!(record.seen_epoch, 5);
}

/// Whatever was wrong with the log before: what it holds since is known, what came before is not.
#[test]
fn a_log_begins_anew_with_a_new_key() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewOperator, 100);
    queue.store().mark_restored(NOW).unwrap();
    signers.behind(&OPERATOR, 300).unwrap().wait().unwrap();
    signers
        .begin(&OPERATOR, &NEXT_KEY, NOW)
        .unwrap()
        .wait()
        .unwrap();
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!(standing(&record), LogStanding::Young);
    assert_eq!(record.sequence, 100);
    assert!(covers(&record, &NEXT_KEY) && !covers(&record, &KEY));
    assert!(refused(signers.take(&OPERATOR, &KEY, holder(1), NOW)));
    assert!(signers.take(&OPERATOR, &NEXT_KEY, holder(1), NOW).is_ok());

    let mut beginning = record.beginning.unwrap();
    beginning.time = 77;
    signers
        .began(&OPERATOR, &beginning)
        .unwrap()
        .wait()
        .unwrap();
    let of_another = LogBeginning {
        signing_key: KEY.to_vec(),
        ..beginning.clone()
    };
    signers
        .began(&OPERATOR, &of_another)
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(signers.get(&OPERATOR).unwrap().beginning, Some(beginning));
    // What it lacks is not in any file, as far as can be told here.
    imported(&signers, &import(400, 400));
    let record = signers.get(&OPERATOR).unwrap();
    assert_eq!(standing(&record), LogStanding::Young);
    assert_eq!(record.imported_ms, 400);
}

fn entry(slot: u8, fact: u8) -> SigningEntry {
    SigningEntry {
        operator: OPERATOR,
        key: KEY,
        slot: [slot; 32],
        fact: [fact; 32],
        digest: [fact; 32],
        task: [slot; 32],
        epoch: 1,
        time_ms: NOW,
    }
}

#[test]
fn an_import_adds_all_or_nothing() {
    for kind in EngineKind::ALL {
        let (_dir, queue, _guard) = fresh(kind);
        let log = queue.signing_log();
        let first = log.import(&[entry(1, 1), entry(2, 2)]).unwrap();
        assert_eq!((first.added, first.known), (2, 0));
        let later = SigningEntry {
            epoch: 9,
            key: NEXT_KEY,
            ..entry(1, 1)
        };
        let again = log.import(&[later, entry(3, 3)]).unwrap();
        assert_eq!((again.added, again.known), (1, 1));
        let kept = || log.recorded(&OPERATOR, &[1; 32]).unwrap();
        assert_eq!(kept(), Some(later), "the newer epoch");
        assert_eq!(log.import(&[entry(1, 1)]).unwrap().known, 1);
        assert_eq!(kept(), Some(later), "not the older one");
        for refused in [[entry(4, 4), entry(2, 9)], [entry(4, 4), entry(4, 5)]] {
            let error = log.import(&refused).unwrap_err();
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
            assert_eq!(log.recorded(&OPERATOR, &[4; 32]).unwrap(), None);
        }
        // Nothing stays reserved.
        assert_eq!(log.import(&[entry(4, 4)]).unwrap().added, 1);
    }
}
