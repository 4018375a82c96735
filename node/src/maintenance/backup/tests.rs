use quorate_proto::store::LogOrigin;
use quorate_storage::{
    Batch, Durability, EngineKind, Identity, LogStanding, WriteQueue, schema, standing,
};
use tempfile::TempDir;

use super::*;
use crate::keys::{KeyKind, Password, Saving, Strength};

const OPERATOR: [u8; 20] = [9; 20];
const KEY: [u8; 20] = [7; 20];

/// A data folder whose store has a row, and an operator that signs.
fn data(kind: EngineKind) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join(STORE), kind, &Identity::new("net")).unwrap();
    let mut batch = Batch::new();
    let cursor = quorate_proto::store::Cursor {
        block_number: 42,
        block_hash: Vec::new(),
    };
    batch.put(schema::CURSORS, "home", &cursor);
    store.write(&batch, Durability::Synced).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let origin = (LogOrigin::NewOperator, 9);
    let noted = queue.signers().establish(&OPERATOR, &KEY, origin, 1);
    noted.unwrap().wait().unwrap();
    drop(queue);
    guard.close().unwrap();
    dir
}

fn open(dir: &Path) -> Store {
    Store::open_existing(dir.join(STORE)).unwrap().0
}

fn block_of(store: &Store) -> u64 {
    let cursor = store.get(schema::CURSORS, "home").unwrap();
    cursor.unwrap().block_number
}

fn backed_up(data: &Path) -> (TempDir, PathBuf, Manifest) {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    copy_store(&open(data), &to).unwrap();
    let manifest = seal(&to).unwrap();
    (dir, to, manifest)
}

#[test]
fn a_backup_comes_back_and_its_operator_does_not_sign() {
    for kind in EngineKind::ALL {
        let data = data(kind);
        let (_dir, backup, manifest) = backed_up(data.path());
        assert_eq!(
            (manifest.network.as_str(), manifest.engine.as_str()),
            ("net", kind.name())
        );
        assert_eq!(manifest.operators[0].sequence, 9);
        assert_eq!(verify(&backup).unwrap(), manifest);
        let target = tempfile::tempdir().unwrap();
        let restored = restore(&backup, target.path(), None, false).unwrap();
        assert_eq!((restored.manifest, restored.replaced), (manifest, None));
        let store = open(target.path());
        assert_eq!(block_of(&store), 42);
        let record = store.signer(&OPERATOR).unwrap();
        assert!(matches!(standing(&record), LogStanding::Restored(_)));
        // The backup itself is as it was.
        assert!(verify(&backup).is_ok());
    }
}

#[test]
fn a_store_that_is_there_is_kept() {
    let data = data(EngineKind::RocksDb);
    let (_dir, backup, _) = backed_up(data.path());
    let refused = restore(&backup, data.path(), None, false).unwrap_err();
    assert!(matches!(refused, BackupError::Occupied { .. }), "{refused}");
    let held = open(data.path());
    let refused = restore(&backup, data.path(), None, true).unwrap_err();
    assert!(
        refused.to_string().contains("locked by another"),
        "{refused}"
    );
    drop(held);
    let restored = restore(&backup, data.path(), None, true).unwrap();
    let aside = restored.replaced.unwrap();
    let (before, _) = Store::open_existing(&aside).unwrap();
    let record = before.signer(&OPERATOR).unwrap();
    assert_eq!(
        standing(&record),
        LogStanding::Whole(LogOrigin::NewOperator)
    );
    let record = open(data.path()).signer(&OPERATOR).unwrap();
    assert!(matches!(standing(&record), LogStanding::Restored(_)));
}

#[test]
fn what_is_left_of_an_earlier_restore_is_no_hindrance() {
    let data = data(EngineKind::RocksDb);
    let (_dir, backup, _) = backed_up(data.path());
    let target = tempfile::tempdir().unwrap();
    fs::create_dir_all(target.path().join("store.restoring/rocksdb")).unwrap();
    fs::create_dir(target.path().join(STORE)).unwrap();
    restore(&backup, target.path(), None, false).unwrap();
    assert_eq!(block_of(&open(target.path())), 42);
}

#[test]
fn half_a_backup_is_none() {
    let data = data(EngineKind::RocksDb);
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    copy_store(&open(data.path()), &to).unwrap();
    let refused = verify(&to).unwrap_err();
    assert!(
        refused.to_string().contains("has no BACKUP.json"),
        "{refused}"
    );
    let again = copy_store(&open(data.path()), &to).unwrap_err();
    assert!(matches!(again, BackupError::NotEmpty { .. }), "{again}");
    let target = tempfile::tempdir().unwrap();
    assert!(restore(&to, target.path(), None, false).is_err());
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

/// Each file in turn is changed, cut, removed; and one is added.
#[test]
fn no_byte_of_a_backup_can_be_another_one() {
    let data = data(EngineKind::RocksDb);
    let (_dir, backup, manifest) = backed_up(data.path());
    let mut changed = 0;
    for file in &manifest.files {
        let path = backup.join(&file.path);
        let bytes = fs::read(&path).unwrap();
        let mut other = bytes.clone();
        match other.first_mut() {
            Some(byte) => *byte ^= 1,
            None => other.push(0),
        }
        for content in [&other[..], &[&bytes[..], b"x"].concat()] {
            fs::write(&path, content).unwrap();
            let refused = verify(&backup).unwrap_err();
            assert!(refused.to_string().contains("other bytes"), "{refused}");
            changed += 1;
        }
        fs::remove_file(&path).unwrap();
        let refused = verify(&backup).unwrap_err();
        assert!(refused.to_string().contains("is missing"), "{refused}");
        fs::write(&path, &bytes).unwrap();
    }
    assert!(changed > 4);
    verify(&backup).unwrap();
    fs::write(backup.join("store/more"), "x").unwrap();
    let refused = verify(&backup).unwrap_err();
    assert!(refused.to_string().contains("does not belong"), "{refused}");
}

#[test]
fn a_manifest_is_believed_in_its_form_only() {
    let data = data(EngineKind::RocksDb);
    let (_dir, backup, manifest) = backed_up(data.path());
    let file = backup.join(MANIFEST);
    let good = fs::read_to_string(&file).unwrap();
    let path = &manifest.files[0].path;
    for (from, to, phrase) in [
        ("\"quorate-backup\"", "\"other\"", "its format"),
        ("\"version\": 2", "\"version\": 3", "another version"),
        (
            "\"schema_version\": 3",
            "\"schema_version\": 9",
            "another version",
        ),
        (
            "\"schema_version\": 3",
            "\"schema_version\": 2",
            "another version",
        ),
        (path, "../outside", "no path inside"),
        (path, "/etc/passwd", "no path inside"),
        ("{", "", "cannot be read"),
    ] {
        let altered = good.replacen(from, to, 1);
        assert_ne!(altered, good, "{from}");
        fs::write(&file, altered).unwrap();
        let refused = verify(&backup).unwrap_err().to_string();
        assert!(refused.contains(phrase), "{refused}");
    }
}

#[test]
fn keys_go_along_where_that_is_asked_for() {
    let data = data(EngineKind::RocksDb);
    let keys = KeyStore::open(data.path().join("keys"));
    let password = Password::new("password").unwrap();
    let saving = Saving {
        strength: Strength::Light,
        overwrite: false,
    };
    for kind in [KeyKind::Signing, KeyKind::Peer] {
        keys.create(kind, "default", &password, saving).unwrap();
    }
    assert!(data.path().join("keys/default.signing.new").exists());
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backup");
    copy_store(&open(data.path()), &to).unwrap();
    copy_keys(&keys, &to).unwrap();
    seal(&to).unwrap();
    let target = tempfile::tempdir().unwrap();
    let folder = target.path().join("keys");
    let restored = restore(&to, target.path(), Some(&folder), false).unwrap();
    assert_eq!(restored.keys.len(), 2, "no note that the key is new");
    let found = KeyStore::open(&folder);
    assert!(found.load_signing("default", &password).is_ok());
    assert!(!folder.join("default.signing.new").exists());
    let other = tempfile::tempdir().unwrap();
    let refused = restore(&to, other.path(), Some(&folder), false).unwrap_err();
    assert!(refused.to_string().contains("File exists"), "{refused}");
    assert!(!other.path().join(STORE).exists());
}
