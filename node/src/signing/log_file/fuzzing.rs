//! What must hold for any file that says it is a signing log.

use std::io::Cursor;

use quorate_proto::Address;
use quorate_storage::{WriteQueue, WriterGuard};

use super::{LogSummary, export, import, inspect, metadata};
use crate::fuzzing::{memory, scene};

/// A file of a signing log.
pub fn signing_log(bytes: &[u8]) {
    let head = metadata(bytes);
    let held = match inspect(bytes) {
        Ok(held) => held,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(head.is_ok(), "a whole file has a head");
    let operator = held
        .operator
        .parse()
        .expect("a whole file names an operator");
    let (queue, _guard) = empty();
    match import(
        &queue,
        &scene::domain(),
        operator,
        Cursor::new(bytes),
        |_| {},
    ) {
        Ok(taken) => imported(&queue, operator, &held, &taken),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let logs = queue.store().signers().expect("a store that is read");
            assert!(logs.is_empty(), "nothing was changed");
            let log = queue.signing_log();
            assert!(log.signed_by(&operator.into_array()).next().is_none());
        }
    }
}

fn empty() -> (WriteQueue, WriterGuard) {
    let store = memory::store(scene::domain().network().as_str());
    WriteQueue::new(store).expect("a thread")
}

/// What a file held is in the store, and comes out of it again.
fn imported(queue: &WriteQueue, operator: Address, held: &LogSummary, taken: &LogSummary) {
    assert_eq!(taken.entries, held.entries, "every entry");
    assert_eq!(taken.added, taken.entries);
    assert_eq!(taken.usable, held.complete);
    let mut file = Vec::new();
    let written =
        export(queue, &scene::domain(), operator, &mut file, |_| {}).expect("into memory");
    assert_eq!(written.entries, held.entries, "what went in comes out");
    assert_eq!(written.complete, held.complete);
    assert_eq!(inspect(file.as_slice()).ok(), Some(written));
    let again = import(
        queue,
        &scene::domain(),
        operator,
        Cursor::new(&file),
        |_| {},
    );
    let again = again.expect("what was exported can be imported");
    assert_eq!(again.added, 0, "adds nothing twice");
}
