//! Stores that earlier builds left are brought to the present schema, and nothing in them is lost.

use std::{fs, path::Path};

use quorate_proto::store::LogOrigin;
use quorate_storage::{
    Batch, Durability, EngineKind, Identity, LogStanding, SigningEntry, Store, StoreError,
    WriteQueue,
    schema::{CURSORS, TASKS},
    standing,
};

use crate::{
    double::Double,
    support::{cursor, id, identity, on_both_engines, task},
};

on_both_engines!(
    a_store_of_schema_1_is_migrated,
    a_foreign_store_is_not_migrated
);

/// Keys that have signed, and how often each.
const SIGNED: [([u8; 20], u8); 2] = [([3; 20], 5), ([9; 20], 2)];

fn entry(key: [u8; 20], slot: u8) -> SigningEntry {
    SigningEntry {
        key,
        slot: id(slot),
        fact: id(slot + 100),
        digest: id(slot + 101),
        task: id(slot + 102),
        epoch: 4,
        time_ms: 1_700_000_000_000,
    }
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Leaves a small store of the present schema under `tests/fixtures/schema-<version>/<engine>`. Run
/// it with the build that had that schema, before the next one is made:
/// `cargo nextest run --workspace --run-ignored only -E 'test(leave_a_fixture)'`.
#[test]
#[ignore = "makes files for the tests of later builds"]
fn leave_a_fixture() {
    for kind in EngineKind::ALL {
        let version = format!("schema-{}", quorate_storage::SCHEMA_VERSION);
        let dir = fixtures().join(version).join(kind.name());
        fs::remove_dir_all(&dir).ok();
        let (queue, guard) =
            WriteQueue::new(Store::open(&dir, kind, &identity()).unwrap()).unwrap();
        for (key, count) in SIGNED {
            let entries: Vec<_> = (1..=count).map(|slot| entry(key, slot)).collect();
            let admission = queue.signing_log().admit(&entries);
            admission.reservation.commit(Batch::new()).wait().unwrap();
        }
        let mut batch = Batch::new();
        batch.put(TASKS, &id(1), &task("left by an earlier build"));
        batch.put(CURSORS, "home", &cursor(12));
        queue.submit(batch, Durability::Synced).wait().unwrap();
        drop(queue);
        guard.close().unwrap();
        // What RocksDB writes for people and does not read again.
        for file in fs::read_dir(dir.join(kind.name())).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if name.starts_with("LOG") || name.starts_with("OPTIONS") || name == "LOCK" {
                fs::remove_file(file.path()).unwrap();
            }
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A copy of the fixture of a version.
fn left_by(version: u32, kind: EngineKind) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let fixture = fixtures().join(format!("schema-{version}"));
    copy_folder(&fixture.join(kind.name()), dir.path());
    dir
}

fn a_store_of_schema_1_is_migrated(kind: EngineKind) {
    let dir = left_by(1, kind);
    for _ in 0..2 {
        let store = Store::open(dir.path(), kind, &identity()).unwrap();
        let (queue, guard) = WriteQueue::new(store.clone()).unwrap();
        for (key, count) in SIGNED {
            let log = queue.signing_log();
            let logged = log.signed_by(&key);
            let expected = (1..=count).map(|slot| Ok(entry(key, slot)));
            assert!(logged.eq(expected), "the log of {key:?}");
            let record = store.signer(&key).unwrap();
            assert_eq!(
                standing(&record),
                LogStanding::Whole(LogOrigin::Migrated),
                "{record:?}"
            );
        }
        let unknown = store.signer(&[1; 20]).unwrap();
        assert_eq!(standing(&unknown), LogStanding::Unknown);
        assert_eq!(
            store.get(TASKS, &id(1)).unwrap(),
            Some(task("left by an earlier build"))
        );
        assert_eq!(store.get(CURSORS, "home").unwrap(), Some(cursor(12)));
        drop((queue, store));
        guard.close().unwrap();
    }
}

/// A store of another network is not touched, not even to bring it forward.
fn a_foreign_store_is_not_migrated(kind: EngineKind) {
    let dir = left_by(1, kind);
    let error = Store::open(dir.path(), kind, &Identity::new("elsewhere")).unwrap_err();
    assert!(matches!(error, StoreError::OtherNetwork { .. }), "{error}");
    // The present build would refuse what is still of schema 1 if it had no step for it.
    let store = Store::open(dir.path(), kind, &identity()).unwrap();
    let record = store.signer(&SIGNED[0].0).unwrap();
    assert_eq!(record.origin(), LogOrigin::Migrated);
}

/// The step and the new version are one write: where it fails, all is as before.
#[test]
fn a_migration_that_fails_leaves_the_old_version() {
    let double = Double::default();
    let store = double.store();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let (key, count) = SIGNED[0];
    let entries: Vec<_> = (1..=count).map(|slot| entry(key, slot)).collect();
    queue.signing_log().import(&entries).unwrap();
    drop(queue);
    guard.close().unwrap();
    double.set_version(1);
    double.fail_with(StoreError::Closed);
    assert!(Store::with_engine(double.clone(), &identity()).is_err());
    double.mend();
    let store = Store::with_engine(double, &identity()).unwrap();
    let record = store.signer(&key).unwrap();
    assert_eq!(record.origin(), LogOrigin::Migrated);
}
