//! What a write costs on this disk: `cargo bench -p quorate-storage --bench commit`, with the name
//! of an engine behind `--` for that one alone.
//!
//! Set `TMPDIR` to the disk in question; a tmpfs syncs for nothing and says nothing.
#![allow(clippy::unwrap_used)]

use std::{
    thread,
    time::{Duration, Instant},
};

use quorate_proto::store::TaskRecord;
use quorate_storage::{
    Batch, Durability, EngineKind, Identity, SigningEntry, SigningLog, Store, WriteQueue,
    schema::TASKS,
};

const ROUND: Duration = Duration::from_secs(3);

fn main() {
    println!(
        "{:<8} {:<28} {:>10} {:>10} {:>12}",
        "engine", "writers", "puts/s", "syncs/s", "puts/sync"
    );
    let named: Vec<EngineKind> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    for kind in EngineKind::ALL {
        if !named.is_empty() && !named.contains(&kind) {
            continue;
        }
        round(kind, "1, synced", 1, Durability::Synced);
        round(kind, "32, synced, group commit", 32, Durability::Synced);
        round(kind, "256, synced, group commit", 256, Durability::Synced);
        round(kind, "32, buffered", 32, Durability::Buffered);
    }
    println!(
        "\n{:<8} {:<38} {:>13} {:>13} {:>13}",
        "engine", "signing log", "permits/s", "us each", "us to wait"
    );
    for kind in EngineKind::ALL {
        if !named.is_empty() && !named.contains(&kind) {
            continue;
        }
        permits(kind, "one at a time", 1, 1);
        permits(kind, "groups of 64, as a node under load", 64, 1);
        permits(kind, "32 callers, one each, group commit", 1, 32);
    }
}

/// What a signature costs beside itself: from asking to the permit, for groups of that size by so
/// many callers at once. Half a million slots are in the log already.
fn permits(kind: EngineKind, name: &str, group: u64, callers: u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), kind, &Identity::new("bench")).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    for start in 0..500 {
        let old: Vec<_> = (0..1_000)
            .map(|n| entry(u64::MAX, start * 1_000 + n))
            .collect();
        queue.signing_log().import(&old).unwrap();
    }
    let start = Instant::now();
    let made: u64 = thread::scope(|scope| {
        let ask = |caller| {
            let log = queue.signing_log();
            move || ask(&log, caller, group, start)
        };
        let callers: Vec<_> = (0..callers)
            .map(|caller| scope.spawn(ask(caller)))
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum()
    });
    let micros = start.elapsed().as_secs_f64() * 1e6;
    println!(
        "{kind:<8} {name:<38} {:>13.0} {:>13.1} {:>13.1}",
        made as f64 / micros * 1e6,
        micros / made as f64,
        micros / made as f64 * (group * callers) as f64
    );
    guard.close().unwrap();
}

fn ask(log: &SigningLog, caller: u64, group: u64, start: Instant) -> u64 {
    let mut made = 0;
    while start.elapsed() < ROUND {
        let entries: Vec<_> = (made..made + group).map(|n| entry(caller, n)).collect();
        let admission = log.admit(&entries);
        let permits = admission.reservation.commit(Batch::new()).wait().unwrap();
        made += permits.len() as u64;
    }
    made
}

fn entry(caller: u64, number: u64) -> SigningEntry {
    let mut slot = [0; 32];
    // Spread like hashes.
    slot[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    slot[8..16].copy_from_slice(&caller.to_be_bytes());
    SigningEntry {
        operator: [9; 20],
        key: [7; 20],
        slot,
        fact: slot,
        digest: slot,
        task: slot,
        epoch: 1,
        time_ms: number,
    }
}

fn round(kind: EngineKind, name: &str, writers: u32, durability: Durability) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), kind, &Identity::new("bench")).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    let start = Instant::now();
    thread::scope(|scope| {
        for writer in 0..writers {
            let queue = queue.clone();
            scope.spawn(move || write(&queue, writer, durability, start));
        }
    });
    let (seconds, stats) = (start.elapsed().as_secs_f64(), queue.stats());
    let (puts, syncs) = (stats.batches as f64, stats.syncs as f64);
    println!(
        "{kind:<8} {name:<28} {:>10.0} {:>10.0} {:>12.1}",
        puts / seconds,
        syncs / seconds,
        if syncs > 0.0 { puts / syncs } else { 0.0 }
    );
    guard.close().unwrap();
}

/// One task of about 200 bytes after the other, each acknowledged before the next.
fn write(queue: &WriteQueue, writer: u32, durability: Durability, start: Instant) {
    let record = TaskRecord {
        failure: "x".repeat(200),
        ..TaskRecord::default()
    };
    let mut key = [0; 32];
    key[..4].copy_from_slice(&writer.to_be_bytes());
    for number in 0_u64.. {
        if start.elapsed() > ROUND {
            break;
        }
        key[8..16].copy_from_slice(&number.to_be_bytes());
        let mut batch = Batch::new();
        batch.put(TASKS, &key, &record);
        queue.submit(batch, durability).wait().unwrap();
    }
}
