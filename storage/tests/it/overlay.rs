//! Writers read their own writes, from the batch to the disk.

use quorate_proto::store::Cursor;
use quorate_storage::{Batch, Durability, Overlay, StoreError, WriteQueue, schema::CURSORS};

use crate::double::Double;

fn put(overlay: &Overlay<String, u64>, name: &str, block_number: u64) -> Batch {
    let mut batch = Batch::new();
    let cursor = Cursor {
        block_number,
        ..Cursor::default()
    };
    batch.put(CURSORS, name, &cursor);
    overlay.put(&mut batch, name.to_owned(), block_number);
    batch
}

#[test]
fn a_value_is_read_from_its_batch_until_the_store_has_it() {
    let double = Double::default();
    let (queue, _guard) = WriteQueue::new(double.store()).unwrap();
    let asked = double.writes().len();
    let (overlay, name) = (Overlay::default(), "a".to_owned());
    double.hold_back();
    let first = queue.submit(put(&overlay, "a", 1), Durability::Buffered);
    double.until_asked(asked + 1);
    let second = queue.submit(put(&overlay, "a", 2), Durability::Buffered);
    let mut joined = put(&overlay, "b", 3);
    joined.append(put(&overlay, "c", 4));
    let third = queue.submit(joined, Durability::Buffered);
    assert_eq!(overlay.get(&name), Some(2));
    let of_b = overlay.range(&"b".to_owned(), |name| name == "b");
    assert_eq!(of_b, [("b".to_owned(), 3)]);
    double.let_pass();
    first.wait().unwrap();
    second.wait().unwrap();
    third.wait().unwrap();
    assert!(overlay.is_empty());
    let stored = queue.store().get(CURSORS, "a").unwrap();
    assert_eq!(stored.map(|cursor| cursor.block_number), Some(2));
}

#[test]
fn a_value_whose_batch_is_refused_or_dropped_is_not_read() {
    let double = Double::default();
    let (queue, _guard) = WriteQueue::new(double.store()).unwrap();
    let overlay = Overlay::default();
    let kept = put(&overlay, "a", 1);
    drop(put(&overlay, "a", 2));
    drop(put(&overlay, "b", 2));
    assert!(overlay.contains(&"a".to_owned()) && !overlay.contains(&"b".to_owned()));
    double.fail_with(StoreError::Closed);
    assert!(queue.submit(kept, Durability::Buffered).wait().is_err());
    assert!(overlay.is_empty());
}
