use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use quorate_storage::{
    Batch, Durability, EngineKind, Identity, Store, StoreError, WriteQueue,
    schema::{CURSORS, TASKS},
};

use crate::support::{child, cursor, fresh, id, identity, on_both_engines, open, task, told};

on_both_engines!(
    another_network_is_refused,
    the_other_engine_is_refused,
    a_second_open_is_refused,
    a_second_process_is_refused,
    a_lost_store_is_refused,
    a_creation_cut_short_is_resumed,
    a_path_that_is_a_file_is_an_error,
    what_is_there_opens_by_its_folder_alone,
    a_copy_is_whole_and_of_one_moment,
    half_a_copy_does_not_open,
);

fn refusal(dir: &Path, kind: EngineKind, identity: &Identity) -> StoreError {
    Store::open(dir, kind, identity).unwrap_err()
}

fn another_network_is_refused(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    drop(store);
    let error = refusal(dir.path(), kind, &Identity::new("mainnet")).to_string();
    assert!(
        error.contains("quorate-test-1") && error.contains("mainnet"),
        "{error}"
    );
    assert!(error.contains("choose another --data-dir"), "{error}");
    drop(open(dir.path(), kind));
}

fn the_other_engine_is_refused(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    drop(store);
    let [other] = EngineKind::ALL
        .into_iter()
        .filter(|k| *k != kind)
        .collect::<Vec<_>>()[..]
    else {
        panic!("two engines")
    };
    let expected = StoreError::OtherEngine {
        path: dir.path().into(),
        found: kind,
        configured: other,
    };
    assert_eq!(refusal(dir.path(), other, &identity()), expected);
    assert!(
        !dir.path().join(other.name()).exists(),
        "nothing was created"
    );
    drop(open(dir.path(), kind));
}

fn a_second_open_is_refused(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    let expected = StoreError::Locked {
        path: dir.path().into(),
    };
    assert_eq!(refusal(dir.path(), kind, &identity()), expected);
    let clone = store.clone();
    drop(store);
    assert_eq!(
        refusal(dir.path(), kind, &identity()),
        expected,
        "a clone keeps it open"
    );
    drop(clone);
    drop(open(dir.path(), kind));
}

fn a_second_process_is_refused(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    let open = || {
        child(&[], "opening::open_in_child", dir.path(), kind)
            .output()
            .unwrap()
    };
    let said = String::from_utf8(open().stdout).unwrap();
    assert!(
        said.contains("locked by another process; stop it or choose another"),
        "{said}"
    );
    drop(store);
    let said = String::from_utf8(open().stdout).unwrap();
    assert!(said.contains("opened"), "{said}");
}

#[test]
fn open_in_child() {
    let Some((dir, kind)) = told() else { return };
    match Store::open(dir, kind, &identity()) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

/// A store that was complete and whose data are gone has forgotten what it signed.
fn a_lost_store_is_refused(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    drop(store);
    fs::remove_dir_all(dir.path().join(kind.name())).unwrap();
    let error = refusal(dir.path(), kind, &identity());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(
        error.to_string().contains("forgotten what it signed"),
        "{error}"
    );
}

/// Whatever was written of `STORE`, a creation that did not finish starts over.
fn a_creation_cut_short_is_resumed(kind: EngineKind) {
    let line = format!("{}\n", kind.name());
    for end in 0..=line.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("STORE"), &line[..end]).unwrap();
        drop(open(dir.path(), kind));
        drop(open(dir.path(), kind));
        let card = fs::read_to_string(dir.path().join("STORE")).unwrap();
        assert_eq!(card, format!("{line}ready\n"));
    }
}

fn a_path_that_is_a_file_is_an_error(kind: EngineKind) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refusal(file.path(), kind, &identity());
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

fn what_is_there_opens_by_its_folder_alone(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    assert!(matches!(
        Store::open_existing(dir.path()),
        Err(StoreError::Locked { .. })
    ));
    drop(store);
    let (store, found) = Store::open_existing(dir.path()).unwrap();
    assert_eq!((found, store.engine_kind()), (identity(), Some(kind)));
    drop(store);
    for missing in ["", "nothing"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(missing);
        let error = Store::open_existing(&path).unwrap_err();
        assert_eq!(error, StoreError::Missing { path });
        assert!(!dir.path().join("nothing").exists(), "nothing was created");
    }
}

/// While four threads write rows that belong together.
fn a_copy_is_whole_and_of_one_moment(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let target = tempfile::tempdir().unwrap();
    let (queue, _guard) = WriteQueue::new(store.clone()).unwrap();
    let over = AtomicBool::new(false);
    let write = |lane: u8| {
        for number in 1_u64.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let mut batch = Batch::new();
            batch.put(CURSORS, &format!("{lane} first"), &cursor(number));
            batch.put(CURSORS, &format!("{lane} last"), &cursor(number));
            queue.submit(batch, Durability::Buffered).wait().unwrap();
        }
    };
    thread::scope(|scope| {
        (0..4_u8).for_each(|lane| drop(scope.spawn(move || write(lane))));
        for copy in 0..5_u8 {
            let written = store.get(CURSORS, "0 first").unwrap();
            let path = target.path().join(format!("below/{copy}"));
            store.copy_to(&path).unwrap();
            let (copied, found) = Store::open_existing(&path).unwrap();
            assert_eq!(found, identity());
            let at = |name: &str| copied.get(CURSORS, name).unwrap().map(|c| c.block_number);
            for lane in 0..4 {
                let (first, last) = (at(&format!("{lane} first")), at(&format!("{lane} last")));
                assert_eq!(first, last);
            }
            assert!(at("0 first") >= written.map(|c| c.block_number));
            assert!(store.copy_to(&path).is_err(), "never over another one");
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// What a kill leaves of a copy has no card yet.
fn half_a_copy_does_not_open(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let target = tempfile::tempdir().unwrap();
    let path = target.path().join("copy");
    store.copy_to(&path).unwrap();
    fs::remove_file(path.join("STORE")).unwrap();
    let error = Store::open_existing(&path).unwrap_err();
    assert_eq!(error, StoreError::Missing { path: path.clone() });
    // Nor as a store that begins: it would take what is there for its own.
    let error = refusal(&path, kind, &Identity::new("elsewhere"));
    assert!(matches!(error, StoreError::OtherNetwork { .. }), "{error}");
}

#[test]
fn engines_are_known_by_name() {
    for kind in EngineKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "leveldb".parse::<EngineKind>().unwrap_err();
    assert_eq!(
        error,
        "unknown storage engine \"leveldb\"; use rocksdb or sled"
    );
}

/// Fills a write-ahead log with 200 synced rows and returns its path.
fn write_ahead_log(dir: &Path) -> std::path::PathBuf {
    let store = open(dir, EngineKind::RocksDb);
    for number in 0..200 {
        let mut batch = Batch::new();
        batch.put(TASKS, &id(number), &task(&"x".repeat(100)));
        store.write(&batch, Durability::Synced).unwrap();
    }
    drop(store);
    let files = fs::read_dir(dir.join("rocksdb"))
        .unwrap()
        .map(|file| file.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap()
}

/// The end of the log may be torn by a crash; no caller was told that it is there.
#[test]
fn a_torn_end_of_the_log_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = write_ahead_log(dir.path());
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 7]).unwrap();
    let store = open(dir.path(), EngineKind::RocksDb);
    assert!(store.get(TASKS, &id(198)).unwrap().is_some());
    assert!(store.get(TASKS, &id(199)).unwrap().is_none());
}

/// A hole in its middle would make the node forget what it signed; it must not start.
#[test]
fn a_damaged_middle_of_the_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = write_ahead_log(dir.path());
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let error = refusal(dir.path(), EngineKind::RocksDb, &identity());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn errors_tell_what_can_be_retried() {
    let full = StoreError::QueueFull {
        what: "write queue",
        limit: 1,
    };
    assert!(full.is_retryable());
    assert!(!StoreError::Closed.is_retryable());
    assert!(
        !StoreError::NoSpace {
            context: "write".into()
        }
        .is_retryable()
    );
}

#[test]
fn a_store_in_a_relative_path_opens() {
    let dir = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(dir.path().file_name().unwrap());
    let store = open(relative, EngineKind::RocksDb);
    let mut batch = Batch::new();
    batch.put(CURSORS, "home", &cursor(1));
    store.write(&batch, Durability::Synced).unwrap();
}
