#![allow(clippy::unwrap_used)]

use quorate_proto::store::LogOrigin;

use super::*;
use crate::{EngineKind, Identity, SigningEntry, WriterGuard};

const KEY: Address = [7; 20];
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
    let ack = signers.establish(&KEY, origin, sequence, NOW).unwrap();
    ack.wait().unwrap();
}

#[test]
fn a_key_of_an_unknown_log_gets_no_lease() {
    for kind in EngineKind::ALL {
        let (_dir, queue, _guard) = fresh(kind);
        let signers = queue.signers();
        let refused = signers.take(&KEY, holder(1), NOW).unwrap_err();
        assert!(
            matches!(refused, StoreError::LogNotWhole { .. }),
            "{refused}"
        );
        establish(&signers, LogOrigin::NewKey, 0);
        let (_lease, ack) = signers.take(&KEY, holder(1), NOW).unwrap();
        ack.wait().unwrap();
        let record = signers.get(&KEY).unwrap();
        assert_eq!(standing(&record), LogStanding::Whole(LogOrigin::NewKey));
        assert_eq!(record.lease.unwrap().instance, [1; 32]);
    }
}

#[test]
fn sequences_grow_whatever_the_clock_does() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewKey, NOW + 50);
    let (lease, ack) = signers.take(&KEY, holder(1), NOW).unwrap();
    ack.wait().unwrap();
    let mut made = Vec::new();
    for now in [NOW, NOW - 10, NOW + 200, NOW + 200] {
        let (sequence, ack) = lease.renew(now).unwrap();
        ack.wait().unwrap();
        made.push(sequence - NOW);
    }
    assert_eq!(made, [52, 53, 200, 201]);
    lease.release().unwrap().wait().unwrap();
    let record = signers.get(&KEY).unwrap();
    assert!(record.lease.unwrap().released);
    assert_eq!(record.sequence, NOW + 201);
}

#[test]
fn who_lost_the_key_to_another_holder_cannot_renew() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewKey, 0);
    let (first, ack) = signers.take(&KEY, holder(1), NOW).unwrap();
    ack.wait().unwrap();
    let (second, ack) = signers.take(&KEY, holder(2), NOW).unwrap();
    ack.wait().unwrap();
    assert!(first.renew(NOW).is_err());
    assert!(first.release().is_err());
    assert!(second.renew(NOW).is_ok());
}

#[test]
fn a_restored_log_is_whole_again_by_a_newer_import_or_by_word() {
    let (_dir, queue, _guard) = fresh(EngineKind::RocksDb);
    let signers = queue.signers();
    establish(&signers, LogOrigin::NewKey, 100);
    let restored = |signers: &Signers| {
        queue.store().mark_restored(NOW).unwrap();
        let record = signers.get(&KEY).unwrap();
        assert_eq!(standing(&record), LogStanding::Restored(NOW));
        assert!(signers.take(&KEY, holder(1), NOW).is_err());
    };
    restored(&signers);
    for (sequence, completes) in [(99, false), (100, false), (101, true)] {
        let (completed, ack) = signers.imported(&KEY, sequence, NOW).unwrap();
        ack.wait().unwrap();
        assert_eq!(completed, completes, "{sequence}");
    }
    let record = signers.get(&KEY).unwrap();
    assert_eq!(
        (standing(&record), record.sequence),
        (LogStanding::Whole(LogOrigin::Imported), 101)
    );
    restored(&signers);
    establish(&signers, LogOrigin::RiskAccepted, 0);
    assert_eq!(signers.get(&KEY).unwrap().sequence, 101, "never lower");
    assert!(signers.take(&KEY, holder(1), NOW).is_ok());
}

fn entry(key: u8, slot: u8, fact: u8) -> SigningEntry {
    SigningEntry {
        key: [key; 20],
        slot: [slot; 32],
        fact: [fact; 32],
        digest: [fact; 32],
        task: [slot; 32],
        epoch: 1,
        time_ms: NOW,
    }
}

#[test]
fn keys_are_found_by_their_records_and_by_what_is_known_of_them() {
    for kind in EngineKind::ALL {
        let (_dir, queue, _guard) = fresh(kind);
        let log = queue.signing_log();
        let entries: Vec<_> = [(1, 1), (1, 2), (9, 1), (255, 3)]
            .map(|(key, slot)| entry(key, slot, 1))
            .to_vec();
        assert_eq!(log.import(&entries).unwrap().added, 4);
        establish(&queue.signers(), LogOrigin::NewKey, 0);
        let keys = queue.store().signing_keys().unwrap();
        assert_eq!(keys, [1, 7, 9, 255].map(|byte| [byte; 20]));
    }
}

#[test]
fn an_import_adds_all_or_nothing() {
    for kind in EngineKind::ALL {
        let (_dir, queue, _guard) = fresh(kind);
        let log = queue.signing_log();
        let first = log.import(&[entry(7, 1, 1), entry(7, 2, 2)]).unwrap();
        assert_eq!((first.added, first.known), (2, 0));
        let later = SigningEntry {
            epoch: 9,
            ..entry(7, 1, 1)
        };
        let again = log.import(&[later, entry(7, 3, 3)]).unwrap();
        assert_eq!((again.added, again.known), (1, 1));
        let kept = log.recorded(&KEY, &[1; 32]).unwrap();
        assert_eq!(kept, Some(entry(7, 1, 1)), "what was there stays");
        for refused in [
            [entry(7, 4, 4), entry(7, 2, 9)],
            [entry(7, 4, 4), entry(7, 4, 5)],
        ] {
            let error = log.import(&refused).unwrap_err();
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
            assert_eq!(log.recorded(&KEY, &[4; 32]).unwrap(), None);
        }
        // Nothing stays reserved.
        assert_eq!(log.import(&[entry(7, 4, 4)]).unwrap().added, 1);
    }
}
