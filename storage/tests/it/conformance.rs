use quorate_proto::{store::Empty, wire::PeerBinding};
use quorate_storage::{
    Batch, Durability, EngineKind, MAX_BATCH_BYTES, MAX_PAGE_BYTES, MAX_PAGE_ROWS, Page, Store,
    StoreError,
    schema::{BINDINGS, CURSORS, PEERS, QUESTIONS, RESPONSES, SETS, TASK_TIMES, TASKS},
};

use crate::support::{cursor, fresh, id, numbered, on_both_engines, open, task, task_ref};

on_both_engines!(
    what_is_put_can_be_read,
    tables_do_not_mix,
    the_last_change_of_a_key_wins,
    a_batch_is_seen_whole,
    scans_are_in_key_order,
    prefixes_end_where_they_should,
    variable_prefixes_end_where_they_should,
    pages_join_without_gap_or_repetition,
    pages_are_bounded_in_bytes,
    rows_walks_all_pages,
    everything_is_there_after_reopening,
    large_values_are_kept,
    oversized_batches_are_refused,
);

fn put(store: &Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::new();
    fill(&mut batch);
    store.write(&batch, Durability::Synced).unwrap();
}

fn what_is_put_can_be_read(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    assert_eq!(store.get(TASKS, &id(1)).unwrap(), None);
    put(&store, |batch| {
        batch.put(TASKS, &id(1), &task("one"));
        batch.put(CURSORS, "home", &cursor(7));
        batch.put(PEERS, [1, 2, 3].as_slice(), &Default::default());
        batch.put(TASK_TIMES, &(5, id(1)), &Empty {});
    });
    assert_eq!(store.get(TASKS, &id(1)).unwrap(), Some(task("one")));
    assert_eq!(store.get(CURSORS, "home").unwrap(), Some(cursor(7)));
    assert_eq!(
        store.get(PEERS, [1, 2, 3].as_slice()).unwrap(),
        Some(Default::default())
    );
    assert_eq!(store.get(TASK_TIMES, &(5, id(1))).unwrap(), Some(Empty {}));
    put(&store, |batch| {
        batch
            .delete(CURSORS, "home")
            .delete(TASKS, &id(1))
            .delete(TASKS, &id(9));
    });
    assert_eq!(store.get(CURSORS, "home").unwrap(), None);
    assert_eq!(store.get(TASKS, &id(1)).unwrap(), None);
}

fn tables_do_not_mix(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    put(&store, |batch| {
        batch.put(TASKS, &[0xff; 32], &task("last key of its table"));
        batch.put(BINDINGS, &[0; 20], &PeerBinding::default());
        batch.put(SETS, &u32::MAX, &Default::default());
        batch.put(CURSORS, "", &cursor(1));
    });
    assert_eq!(
        store.scan(TASKS, &(), Page::first(9)).unwrap().rows.len(),
        1
    );
    assert_eq!(
        store.scan(SETS, &(), Page::newest(9)).unwrap().rows.len(),
        1
    );
    assert_eq!(
        store.scan(CURSORS, &(), Page::newest(9)).unwrap().rows,
        [(String::new(), cursor(1))]
    );
    assert_eq!(store.scan(RESPONSES, &(), Page::first(9)).unwrap().rows, []);
}

fn the_last_change_of_a_key_wins(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    put(&store, |batch| {
        batch
            .put(CURSORS, "a", &cursor(1))
            .put(CURSORS, "a", &cursor(2));
        batch.put(CURSORS, "b", &cursor(1)).delete(CURSORS, "b");
        batch.delete(CURSORS, "c").put(CURSORS, "c", &cursor(3));
    });
    assert_eq!(store.get(CURSORS, "a").unwrap(), Some(cursor(2)));
    assert_eq!(store.get(CURSORS, "b").unwrap(), None);
    assert_eq!(store.get(CURSORS, "c").unwrap(), Some(cursor(3)));
}

/// Every batch sets all cursors to one number; no scan may see two.
fn a_batch_is_seen_whole(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let round = |number| {
        let mut batch = Batch::new();
        for name in 0..100 {
            batch.put(CURSORS, format!("{name:03}").as_str(), &cursor(number));
        }
        store.write(&batch, Durability::Buffered).unwrap();
    };
    round(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..200).for_each(round));
        let mut looks = 0;
        while !writer.is_finished() || looks < 10 {
            let seen = store.scan(CURSORS, &(), Page::first(1000)).unwrap().rows;
            assert_eq!(seen.len(), 100);
            assert!(
                seen.iter().all(|(_, cursor)| *cursor == seen[0].1),
                "a torn batch"
            );
            looks += 1;
        }
    });
}

fn scans_are_in_key_order(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let times = [300, 1, u64::MAX, 256, 0, 255];
    put(&store, |batch| {
        for time in times {
            batch.put(TASK_TIMES, &(time, id(1)), &Empty {});
        }
    });
    let read = |page| -> Vec<u64> {
        let rows = store.scan(TASK_TIMES, &(), page).unwrap().rows;
        rows.iter().map(|((time, _), _)| *time).collect()
    };
    assert_eq!(read(Page::first(10)), [0, 1, 255, 256, 300, u64::MAX]);
    assert_eq!(read(Page::newest(10)), [u64::MAX, 300, 256, 255, 1, 0]);
    assert_eq!(read(Page::newest(2)), [u64::MAX, 300]);
    assert_eq!(read(Page::newest(2).after((300, id(1)))), [256, 255]);
    assert_eq!(read(Page::newest(9).after((300, id(0)))), [256, 255, 1, 0]);
    assert_eq!(read(Page::first(2).after((256, id(0)))), [256, 300]);
    assert_eq!(read(Page::first(0)), []);
}

fn prefixes_end_where_they_should(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let slots = [id(0), id(0xfe), [0xff; 32]];
    put(&store, |batch| {
        for (slot, epoch) in slots
            .iter()
            .flat_map(|slot| [0, 1, u32::MAX].map(|e| (*slot, e)))
        {
            batch.put(QUESTIONS, &(slot, epoch), &task_ref(1));
        }
    });
    for slot in slots {
        let keys = |page| -> Vec<_> {
            let rows = store.scan(QUESTIONS, &slot, page).unwrap().rows;
            rows.into_iter().map(|(key, _)| key).collect()
        };
        let all = [(slot, 0), (slot, 1), (slot, u32::MAX)];
        assert_eq!(keys(Page::first(9)), all);
        assert_eq!(keys(Page::newest(9)), [all[2], all[1], all[0]]);
        assert_eq!(keys(Page::newest(9).after((slot, 1))), [(slot, 0)]);
        assert_eq!(keys(Page::first(9).after((slot, u32::MAX))), []);
    }
}

fn variable_prefixes_end_where_they_should(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    put(&store, |batch| {
        for name in ["evm", "evm:1", "evm:\u{10ffff}", "evn"] {
            batch.put(CURSORS, name, &cursor(1));
        }
        for peer in [
            [0xff, 0xff].as_slice(),
            &[0xff],
            &[0xfe, 0xff],
            &[0xff, 0xff, 0],
            &[],
        ] {
            batch.put(PEERS, peer, &Default::default());
        }
    });
    let names = |prefix| {
        store
            .scan(CURSORS, prefix, Page::first(9))
            .unwrap()
            .rows
            .len()
    };
    assert_eq!((names("evm"), names("evm:"), names("")), (3, 2, 4));
    let peers = |prefix: &[u8], page| store.scan(PEERS, prefix, page).unwrap().rows.len();
    assert_eq!(peers(&[0xff, 0xff], Page::first(9)), 2);
    assert_eq!(peers(&[0xff], Page::newest(9)), 3);
    assert_eq!(peers(&[], Page::newest(9)), 5);
}

fn pages_join_without_gap_or_repetition(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    put(&store, |batch| {
        for number in 0..100 {
            batch.put(TASKS, &numbered(number), &task_ref_text(number));
        }
    });
    for (start, expected) in [
        (Page::first(7), (0..100).collect::<Vec<_>>()),
        (Page::newest(7), (0..100).rev().collect()),
        (Page::first(50), (0..100).collect()),
        (Page::newest(100), (0..100).rev().collect()),
    ] {
        let (mut page, mut seen) = (start.clone(), Vec::new());
        loop {
            let rows = store.scan(TASKS, &(), page).unwrap();
            seen.extend(rows.rows.into_iter().map(|(key, _)| key));
            let Some(next) = rows.next else { break };
            page = start.clone().after(next);
        }
        assert_eq!(seen, expected.into_iter().map(numbered).collect::<Vec<_>>());
    }
}

fn task_ref_text(number: u64) -> quorate_proto::store::TaskRecord {
    task(&number.to_string())
}

fn pages_are_bounded_in_bytes(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let third = "x".repeat(MAX_PAGE_BYTES / 3);
    for number in 0..7 {
        put(&store, |batch| {
            batch.put(TASKS, &numbered(number), &task(&third));
        });
    }
    let first = store.scan(TASKS, &(), Page::first(100)).unwrap();
    assert_eq!(first.rows.len(), 3);
    assert_eq!(first.next, Some(numbered(2)));
    let second = store
        .scan(TASKS, &(), Page::first(100).after(first.next))
        .unwrap();
    assert_eq!(second.rows[0].0, numbered(3));
    assert_eq!(store.rows(TASKS, &()).count(), 7);
}

fn rows_walks_all_pages(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let all = MAX_PAGE_ROWS as u64 * 2 + 10;
    put(&store, |batch| {
        for number in 0..all {
            batch.put(TASK_TIMES, &(number, id(3)), &Empty {});
        }
    });
    let walked: Result<Vec<_>, _> = store
        .rows(TASK_TIMES, &())
        .map(|row| Ok(row?.0.0))
        .collect();
    assert_eq!(walked, Ok::<_, StoreError>((0..all).collect::<Vec<_>>()));
    assert_eq!(store.rows(TASK_TIMES, &7).count(), 1);
}

fn everything_is_there_after_reopening(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    put(&store, |batch| {
        batch.put(TASKS, &id(1), &task("synced"));
    });
    let mut batch = Batch::new();
    batch
        .put(TASKS, &id(2), &task("buffered"))
        .delete(TASKS, &id(1));
    store.write(&batch, Durability::Buffered).unwrap();
    drop(store);
    for _ in 0..3 {
        let store = open(dir.path(), kind);
        assert_eq!(store.get(TASKS, &id(1)).unwrap(), None);
        assert_eq!(store.get(TASKS, &id(2)).unwrap(), Some(task("buffered")));
    }
}

/// Larger than a page of either engine; sled keeps such values in files of their own.
fn large_values_are_kept(kind: EngineKind) {
    let (dir, store) = fresh(kind);
    for number in 0..8_u64 {
        put(&store, |batch| {
            batch.put(
                TASKS,
                &numbered(number),
                &task(&number.to_string().repeat(3 << 20)),
            );
            batch.put(CURSORS, "last", &cursor(number));
        });
    }
    drop(store);
    let store = open(dir.path(), kind);
    for number in 0..8 {
        let value = store.get(TASKS, &numbered(number)).unwrap().unwrap();
        assert!(
            value == task(&number.to_string().repeat(3 << 20)),
            "value {number}"
        );
    }
    assert_eq!(store.get(CURSORS, "last").unwrap(), Some(cursor(7)));
}

fn oversized_batches_are_refused(kind: EngineKind) {
    let (_dir, store) = fresh(kind);
    let mut batch = Batch::new();
    batch.put(TASKS, &id(1), &task(&"x".repeat(MAX_BATCH_BYTES)));
    let refusal = store.write(&batch, Durability::Synced).unwrap_err();
    assert!(matches!(refusal, StoreError::TooLarge { .. }), "{refusal}");
    assert_eq!(store.get(TASKS, &id(1)).unwrap(), None);
    assert_eq!(store.failed(), None, "a refusal is no failure");
}
