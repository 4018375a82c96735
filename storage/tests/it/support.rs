use std::{
    path::Path,
    process::{Command, Stdio},
};

use quorate_proto::store::{Cursor, TaskRecord, TaskRef};
use quorate_storage::{EngineKind, Identity, Store};
use tempfile::TempDir;

/// One `#[test]` per engine for each function named.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod rocksdb {
            $(#[test] fn $name() { super::$name(quorate_storage::EngineKind::RocksDb) })*
        }
        mod sled {
            $(#[test] fn $name() { super::$name(quorate_storage::EngineKind::Sled) })*
        }
    };
}
pub(crate) use on_both_engines;

pub(crate) fn identity() -> Identity {
    Identity::new("quorate-test-1")
}

pub(crate) fn open(dir: &Path, kind: EngineKind) -> Store {
    Store::open(dir, kind, &identity()).unwrap()
}

pub(crate) fn fresh(kind: EngineKind) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), kind);
    (dir, store)
}

pub(crate) fn id(byte: u8) -> [u8; 32] {
    [byte; 32]
}

/// A 32-byte id that sorts like its number.
pub(crate) fn numbered(number: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}

pub(crate) fn task(text: &str) -> TaskRecord {
    TaskRecord {
        failure: text.to_owned(),
        ..TaskRecord::default()
    }
}

pub(crate) fn task_ref(byte: u8) -> TaskRef {
    TaskRef {
        task_id: vec![byte; 32],
    }
}

pub(crate) fn cursor(block_number: u64) -> Cursor {
    Cursor {
        block_number,
        block_hash: Vec::new(),
    }
}

/// What the children of these tests are told.
pub(crate) const CHILD_DIR: &str = "QUORATE_TEST_DIR";
pub(crate) const CHILD_ENGINE: &str = "QUORATE_TEST_ENGINE";

/// The folder and engine given to this process, if it is a child.
pub(crate) fn told() -> Option<(String, EngineKind)> {
    let dir = std::env::var(CHILD_DIR).ok()?;
    Some((dir, std::env::var(CHILD_ENGINE).unwrap().parse().unwrap()))
}

/// This test program, asked to run one test in a process of its own, behind `prefix`.
pub(crate) fn child(prefix: &[&str], test: &str, dir: &Path, kind: EngineKind) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut line: Vec<_> = prefix.iter().map(|word| word.to_string()).collect();
    line.push(program.to_str().unwrap().to_owned());
    line.extend(["--exact", test, "--nocapture"].map(str::to_owned));
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .env(CHILD_DIR, dir)
        .env(CHILD_ENGINE, kind.name());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
