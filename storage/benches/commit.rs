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
use quorate_storage::{Batch, Durability, EngineKind, Identity, Store, WriteQueue, schema::TASKS};

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
