//! What must hold for any file that says it is a signing log.

use std::io::Cursor;

use quorate_storage::{WriteQueue, WriterGuard};

use super::{KeySummary, export, import, inspect, metadata};
use crate::fuzzing::{memory, scene};

/// A file of a signing log.
pub fn signing_log(bytes: &[u8]) {
    let head = metadata(bytes);
    let held = match inspect(bytes) {
        Ok(held) => held,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(head.is_ok(), "a whole file has a head");
    let (queue, _guard) = empty();
    match import(&queue, &scene::domain(), Cursor::new(bytes), |_| {}) {
        Ok(taken) => imported(&queue, &held, &taken),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let keys = queue.store().signing_keys().expect("a store that is read");
            assert!(keys.is_empty(), "nothing was changed");
        }
    }
}

fn empty() -> (WriteQueue, WriterGuard) {
    let store = memory::store(scene::domain().network().as_str());
    WriteQueue::new(store).expect("a thread")
}

/// What a file held is in the store, and comes out of it again.
fn imported(queue: &WriteQueue, held: &[KeySummary], taken: &[KeySummary]) {
    let of = |keys: &[KeySummary]| -> Vec<(String, u64)> {
        let mut of: Vec<_> = keys
            .iter()
            .map(|k| (k.signing_key.clone(), k.entries))
            .collect();
        of.retain(|(_, entries)| *entries > 0);
        of.sort();
        of
    };
    assert_eq!(of(held), of(taken), "every entry of every key");
    assert!(taken.iter().all(|key| key.added == key.entries));
    assert!(taken.iter().all(|key| key.usable == key.complete));
    let mut file = Vec::new();
    let written = export(queue, &scene::domain(), &[], &mut file, |_| {}).expect("into memory");
    assert_eq!(of(&written), of(held), "what went in comes out");
    assert_eq!(inspect(file.as_slice()).ok(), Some(written));
    let again = import(queue, &scene::domain(), Cursor::new(&file), |_| {});
    let again = again.expect("what was exported can be imported");
    assert!(again.iter().all(|key| key.added == 0), "adds nothing twice");
}
