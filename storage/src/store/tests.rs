#![allow(clippy::unwrap_used)]

use quorate_proto::store::{Meta, TaskRecord};

use super::*;
use crate::{Access, EncodeKey, Op, TableDef};

type Id = [u8; 32];

fn identity() -> Identity {
    Identity::new("test")
}

fn overwrite<K: Key, V: Message>(store: &Store, table: Table<K, V>, key: &K, value: &V) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    store.commit(&batch, true).unwrap();
}

#[test]
fn another_schema_version_is_refused_with_its_cure() {
    for kind in EngineKind::ALL {
        let earlier = "of an earlier build and is not brought forward";
        let versions = (0..SCHEMA_VERSION).map(|version| (version, earlier));
        for (version, cure) in versions.chain([(SCHEMA_VERSION + 1, "of a later build")]) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), kind, &identity()).unwrap();
            let meta = Meta {
                schema_version: version,
                network: "test".to_owned(),
                created_by: "0.9.9".to_owned(),
            };
            overwrite(&store, schema::META, &"store".to_owned(), &meta);
            drop(store);
            let error = Store::open(dir.path(), kind, &identity()).unwrap_err();
            let path = dir.path().to_owned();
            let expected = StoreError::UnknownSchema {
                path,
                found: version,
                made_by: "0.9.9".to_owned(),
                known: SCHEMA_VERSION,
            };
            assert_eq!(error, expected);
            let existing = Store::open_existing(dir.path()).unwrap_err();
            assert_eq!(existing, expected);
            for part in [cure, "made by version 0.9.9"] {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
    }
}

#[test]
fn an_unreadable_value_names_its_table_and_key() {
    // Field 1 of a task is a statement; as a number it cannot be read.
    let disguise: Table<Id, Meta> = Table::new(3, "TASKS", Access::Point);
    let meta = Meta {
        schema_version: 1,
        network: String::new(),
        created_by: String::new(),
    };
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), kind, &identity()).unwrap();
        overwrite(&store, disguise, &[0xab; 32], &meta);
        for error in [
            store.get(schema::TASKS, &[0xab; 32]).unwrap_err(),
            store.scan(schema::TASKS, &(), Page::first(1)).unwrap_err(),
            store.rows(schema::TASKS, &()).next().unwrap().unwrap_err(),
        ] {
            assert!(
                matches!(&error, StoreError::Corrupt { table, key, .. }
                    if table == "TASKS" && *key == "ab".repeat(32)),
                "{error}"
            );
        }
        assert_eq!(store.failed(), None);
    }
}

#[test]
fn a_key_of_another_form_is_corrupt() {
    let disguise: Table<u32, TaskRecord> = Table::new(3, "TASKS", Access::Point);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), EngineKind::RocksDb, &identity()).unwrap();
    overwrite(&store, disguise, &7, &TaskRecord::default());
    let error = store.scan(schema::TASKS, &(), Page::first(1)).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_short_signing_record_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), EngineKind::RocksDb, &identity()).unwrap();
    overwrite(
        &store,
        schema::SIGNING_LOG,
        &([1; 20], [2; 32]),
        &Default::default(),
    );
    let (queue, _guard) = crate::WriteQueue::new(store).unwrap();
    let error = queue
        .signing_log()
        .recorded(&[1; 20], &[2; 32])
        .unwrap_err();
    assert!(
        error.to_string().contains("fact has 0 bytes, not 32"),
        "{error}"
    );
}

/// Data without an identity belong to no known network.
#[test]
fn data_of_nobody_are_refused() {
    for kind in EngineKind::ALL {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), kind, &identity()).unwrap();
        let mut batch = Batch::new();
        batch.delete(schema::META, "store");
        batch.put(schema::CURSORS, "home", &Default::default());
        store.commit(&batch, true).unwrap();
        drop(store);
        std::fs::write(dir.path().join("STORE"), format!("{kind}\n")).unwrap();
        let error = Store::open(dir.path(), kind, &identity()).unwrap_err();
        assert!(
            error.to_string().contains("there are data, but not whose"),
            "{error}"
        );
    }
}

#[test]
fn a_table_of_a_newer_build_does_not_hinder_reading_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let newer = TableDef {
        id: 200,
        name: "FROM_THE_FUTURE",
        access: Access::Point,
    };
    let tables: Vec<_> = schema::ALL.iter().copied().chain([newer]).collect();
    let mut folder = Folder::lock(dir.path(), EngineKind::RocksDb).unwrap();
    let engine = EngineKind::RocksDb
        .open(&folder.engine_dir(), &tables)
        .unwrap();
    let meta = Meta {
        schema_version: 9,
        network: "test".to_owned(),
        created_by: "7.1.0".to_owned(),
    };
    let mut batch = Batch::new();
    batch.put(schema::META, "store", &meta);
    engine.write(&batch, true).unwrap();
    folder.make_ready().unwrap();
    drop((engine, folder));
    let error = Store::open(dir.path(), EngineKind::RocksDb, &identity()).unwrap_err();
    assert!(
        matches!(error, StoreError::UnknownSchema { found: 9, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("made by version 7.1.0"),
        "{error}"
    );
}

#[test]
fn ids_and_names_of_tables_are_unique() {
    let ids: std::collections::BTreeSet<_> = schema::ALL.iter().map(|table| table.id).collect();
    let names: std::collections::BTreeSet<_> = schema::ALL.iter().map(|table| table.name).collect();
    assert_eq!(
        (ids.len(), names.len()),
        (schema::ALL.len(), schema::ALL.len())
    );
    assert!(ids.iter().all(|id| (1..u8::MAX).contains(id)));
}

#[test]
fn a_full_disk_is_recognised_by_its_words() {
    let error = StoreError::from_text(
        "write",
        "IO error: No space left on device: While appending",
    );
    assert!(matches!(error, StoreError::NoSpace { .. }));
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(matches!(
        StoreError::from_io("write", &full),
        StoreError::NoSpace { .. }
    ));
    assert!(matches!(
        StoreError::from_text("write", "Input/output error"),
        StoreError::Io { .. }
    ));
}

#[test]
fn a_batch_counts_its_bytes() {
    let mut batch = Batch::new();
    batch.put(schema::CURSORS, "ab", &Default::default());
    let mut other = Batch::new();
    other.delete(schema::CURSORS, "abc");
    let sum = batch.bytes() + other.bytes();
    batch.append(other);
    assert_eq!(batch.bytes(), sum);
    assert!(
        matches!(batch.ops(), [Op::Put { .. }, Op::Delete { key, .. }] if *key == "abc".key_bytes())
    );
}
