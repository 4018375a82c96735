use quorate_storage::{
    Batch, Durability, EngineKind, SigningEntry, Store, StoreError, WriteQueue,
    schema::{CURSORS, TASKS},
};

use crate::support::{child, cursor, id, identity, numbered, on_both_engines, open, task, told};

on_both_engines!(
    a_disk_that_takes_no_more_stops_all_writes,
    a_value_that_does_not_fit_stops_all_writes,
);

/// Files end at 1 MB (2 MB where the shell counts in kB), and the signal that says so is ignored.
/// For the engine that is a disk which fails in the middle of a write; no rights are needed.
const SMALL_FILES: [&str; 3] = [
    "sh",
    "-c",
    "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"",
];

fn a_disk_that_takes_no_more_stops_all_writes(kind: EngineKind) {
    stops_in_good_order(kind, "disk_full::write_until_full");
}

/// sled gives a value of this size a file of its own, which fails elsewhere than its log.
fn a_value_that_does_not_fit_stops_all_writes(kind: EngineKind) {
    stops_in_good_order(kind, "disk_full::write_a_large_value");
}

/// Runs a child until its disk fails; what it said it wrote must be there.
fn stops_in_good_order(kind: EngineKind, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = child(&SMALL_FILES, test, dir.path(), kind)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && said.contains("stopped in good order"),
        "{said}\n{told}"
    );
    let mut acks = said
        .lines()
        .filter_map(|line| line.strip_prefix("ack ")?.parse::<u64>().ok());
    let last = acks.next_back().unwrap();
    assert!(last > 3, "{said}");
    let store = open(dir.path(), kind);
    for number in 0..=last {
        let found = store.get(TASKS, &numbered(number)).unwrap();
        assert!(found.is_some(), "{number} of {last} was acknowledged");
    }
}

#[test]
fn write_until_full() {
    write_while_it_goes(|number| if number < 2_000 { 20_000 } else { 0 });
}

#[test]
fn write_a_large_value() {
    write_while_it_goes(|number| if number < 10 { 1_000 } else { 3 << 20 });
}

/// The child: writes values of the given sizes until it is told off, then checks that nothing goes
/// any more.
fn write_while_it_goes(size: impl Fn(u64) -> usize) {
    let Some((dir, kind)) = told() else { return };
    let store = Store::open(dir, kind, &identity()).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let log = queue.signing_log();
    let early = log.reserve(entry(1)).unwrap();
    let cause = (0..3_000).find_map(|number| {
        let mut batch = Batch::new();
        batch.put(
            TASKS,
            &numbered(number),
            &task(&noise(number, size(number))),
        );
        let done = queue.submit(batch, Durability::Synced).wait();
        done.inspect(|()| println!("ack {number}")).err()
    });
    let cause = cause.unwrap();
    println!("cause: {cause}");
    assert!(
        matches!(cause, StoreError::Io { .. } | StoreError::NoSpace { .. }),
        "{cause}"
    );
    let small = || {
        let mut batch = Batch::new();
        batch.put(CURSORS, "small", &cursor(1));
        batch
    };
    let stopped = Err(StoreError::Stopped {
        cause: cause.clone().into(),
    });
    assert_eq!(queue.submit(small(), Durability::Buffered).wait(), stopped);
    assert_eq!(early.commit(small()).wait().map(|_| ()), stopped);
    assert_eq!(log.reserve(entry(2)).map(|_| ()), stopped);
    assert_eq!(queue.failed(), Some(cause));
    drop((guard, queue, log));
    println!("stopped in good order");
}

fn entry(slot: u8) -> SigningEntry {
    let (fact, digest, task) = (id(1), id(1), id(1));
    SigningEntry {
        operator: [9; 20],
        key: [1; 20],
        slot: id(slot),
        fact,
        digest,
        task,
        epoch: 1,
        time_ms: 1,
    }
}

/// Text that does not compress.
fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + (state % 95) as u8)
    };
    std::iter::repeat_with(next).take(length).collect()
}
