use std::io::Cursor;

use quorate_proto::Domain;
use quorate_proto::store::{LogOrigin, SignerRecord};
use quorate_storage::{
    EngineKind, Identity, LogStanding, SigningEntry, Store, WriteQueue, WriterGuard, standing,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const KEY: [u8; 20] = [7; 20];
const NEXT_KEY: [u8; 20] = [8; 20];
const OPERATOR: Address = Address::repeat_byte(9);

fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(5))
}

struct Fixture {
    queue: WriteQueue,
    _guard: WriterGuard,
    _dir: TempDir,
}

fn store() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let identity = Identity::new(domain().network().to_string());
    let store = Store::open(dir.path(), EngineKind::RocksDb, &identity).unwrap();
    let (queue, guard) = WriteQueue::new(store).unwrap();
    Fixture {
        queue,
        _guard: guard,
        _dir: dir,
    }
}

fn entry(slot: u32, fact: u8) -> SigningEntry {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&slot.to_be_bytes());
    SigningEntry {
        operator: OPERATOR.into_array(),
        key: if slot.is_multiple_of(2) {
            KEY
        } else {
            NEXT_KEY
        },
        slot: id,
        fact: [fact; 32],
        digest: [fact ^ 1; 32],
        task: [fact ^ 2; 32],
        epoch: 3,
        time_ms: 1_700_000_000_000,
    }
}

/// A store whose operator has signed for that many slots, with two keys.
fn signed(count: u32) -> Fixture {
    let fixture = store();
    let entries: Vec<_> = (0..count).map(|slot| entry(slot, 9)).collect();
    for group in entries.chunks(1_000) {
        fixture.queue.signing_log().import(group).unwrap();
    }
    let signers = fixture.queue.signers();
    let of = OPERATOR.into_array();
    let origin = (LogOrigin::NewOperator, 100);
    let noted = signers.establish(&of, &KEY, origin, 1).unwrap();
    noted.wait().unwrap();
    signers.go_on(&of, &NEXT_KEY).unwrap().wait().unwrap();
    signers.seen(&of, 4).unwrap().wait().unwrap();
    fixture
}

fn exported(fixture: &Fixture) -> String {
    let mut file = Vec::new();
    let summary = export(&fixture.queue, &domain(), OPERATOR, &mut file, |_| {}).unwrap();
    assert_eq!(inspect(file.as_slice()).unwrap(), summary);
    String::from_utf8(file).unwrap()
}

fn import_text(fixture: &Fixture, text: &str) -> Result<LogSummary, LogError> {
    import(
        &fixture.queue,
        &domain(),
        OPERATOR,
        Cursor::new(text),
        |_| {},
    )
}

fn record(fixture: &Fixture) -> SignerRecord {
    fixture.queue.signers().get(&OPERATOR.into_array()).unwrap()
}

/// A good file with something else in it.
fn altered(alter: impl FnOnce(&mut Value)) -> String {
    let mut file: Value = serde_json::from_str(&exported(&signed(3))).unwrap();
    alter(&mut file);
    // The order of the parts belongs to the form, and a map has none.
    let (metadata, entries) = (&file["metadata"], &file["entries"]);
    format!("{{\"metadata\":{metadata},\"entries\":{entries}}}")
}

fn logged(fixture: &Fixture) -> Vec<SigningEntry> {
    let log = fixture.queue.signing_log();
    log.signed_by(&OPERATOR.into_array())
        .map(Result::unwrap)
        .collect()
}

#[test]
fn what_is_exported_comes_back_whole() {
    let (from, to) = (signed(9_001), store());
    let mut heard = Vec::new();
    let file = exported(&from);
    let told = |n| heard.push(n);
    let summary = import(&to.queue, &domain(), OPERATOR, Cursor::new(&file), told).unwrap();
    assert_eq!((summary.entries, summary.added), (9_001, 9_001));
    assert!(summary.usable && summary.complete);
    assert_eq!(logged(&to), logged(&from));
    let found = record(&to);
    assert_eq!(standing(&found), LogStanding::Whole(LogOrigin::Imported));
    assert_eq!(
        (found.sequence, found.imported_ms, found.seen_epoch),
        (100, 100, 4)
    );
    assert_eq!(found.signing_keys, [KEY, NEXT_KEY]);
    // Again, it adds nothing and harms nothing.
    let again = import_text(&to, &file).unwrap();
    assert_eq!((again.entries, again.added), (9_001, 0));
    assert_eq!(
        exported(&to).lines().skip(1).collect::<Vec<_>>(),
        file.lines().skip(1).collect::<Vec<_>>()
    );
}

#[test]
fn a_contradiction_names_both_and_changes_nothing() {
    let (from, to) = (signed(6_000), store());
    // Behind what one batch would have written already.
    to.queue.signing_log().import(&[entry(5_500, 8)]).unwrap();
    let error = import_text(&to, &exported(&from)).unwrap_err();
    let LogError::Conflict(clash) = &error else {
        panic!("{error}")
    };
    assert_eq!((clash.found_epoch, clash.recorded_epoch), (3, 3));
    let text = error.to_string();
    for part in [
        "09".repeat(32),
        "08".repeat(32),
        "nothing was changed".into(),
    ] {
        assert!(text.contains(&part), "{text}");
    }
    assert_eq!(logged(&to), [entry(5_500, 8)]);
    assert_eq!(record(&to), SignerRecord::default());
}

#[test]
fn a_log_that_was_not_whole_makes_no_log_whole() {
    let from = signed(2);
    from.queue.store().mark_restored(5).unwrap();
    let to = store();
    let summary = import_text(&to, &exported(&from)).unwrap();
    assert!(!summary.usable && !summary.complete);
    assert_eq!(summary.added, 2, "what is known is taken all the same");
    assert_eq!(standing(&record(&to)), LogStanding::Unknown);
}

/// It says with which key it begins, and makes no other log whole.
#[test]
fn a_log_that_begins_with_a_key_says_so() {
    let from = signed(2);
    let begun = from.queue.signers().begin(&OPERATOR.into_array(), &KEY, 1);
    begun.unwrap().wait().unwrap();
    let file = exported(&from);
    let key = format!("0x{}", "07".repeat(20));
    let found = inspect(file.as_bytes()).unwrap();
    assert_eq!(found.begins_with, Some(key));
    assert!(!found.complete);
    let to = store();
    assert!(!import_text(&to, &file).unwrap().usable);
}

#[test]
fn the_log_of_another_operator_is_refused() {
    let (from, to) = (signed(3), store());
    let other = Address::repeat_byte(2);
    let file = exported(&from);
    let refused = import(&to.queue, &domain(), other, Cursor::new(&file), |_| {});
    let text = refused.unwrap_err().to_string();
    for part in [&OPERATOR.to_string(), &other.to_string(), "--operator"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(logged(&to), []);
    assert_eq!(record(&to), SignerRecord::default());
}

#[test]
fn the_newer_epoch_of_both_is_kept() {
    let (from, to) = (signed(2), store());
    let newer = |slot| SigningEntry {
        epoch: 9,
        ..entry(slot, 9)
    };
    let older = |slot| SigningEntry {
        epoch: 2,
        ..entry(slot, 9)
    };
    let known = [newer(0), older(1)];
    to.queue.signing_log().import(&known).unwrap();
    assert_eq!(import_text(&to, &exported(&from)).unwrap().added, 0);
    assert_eq!(logged(&to), [newer(0), entry(1, 9)]);
}

#[test]
#[allow(clippy::too_many_lines)] // A table.
fn what_is_not_in_the_form_is_refused() {
    type Case = (&'static str, Box<dyn FnOnce(&mut Value)>);
    let cases: Vec<Case> = vec![
        (
            "its format",
            Box::new(|f| f["metadata"]["format"] = json!("other")),
        ),
        (
            "version 1",
            Box::new(|f| f["metadata"]["version"] = json!(1)),
        ),
        ("unknown field", Box::new(|f| f["metadata"]["x"] = json!(2))),
        (
            "of network 1-",
            Box::new(|f| f["metadata"]["home_chain_id"] = json!(1)),
        ),
        (
            "is no address",
            Box::new(|f| f["metadata"]["registry"] = json!("0x12")),
        ),
        (
            "is no address",
            Box::new(|f| f["metadata"]["operator"] = json!("0x12")),
        ),
        (
            "is no address",
            Box::new(|f| f["metadata"]["signing_keys"][1] = json!("k")),
        ),
        (
            "is no address",
            Box::new(|f| f["entries"][0]["signing_key"] = json!("0x12")),
        ),
        (
            "no time",
            Box::new(|f| f["metadata"]["sequence"] = json!(u64::MAX)),
        ),
        (
            "is there twice",
            Box::new(|f| {
                let key = f["metadata"]["signing_keys"][0].clone();
                f["metadata"]["signing_keys"][1] = key;
            }),
        ),
        (
            "must ascend",
            Box::new(|f| {
                f["entries"].as_array_mut().unwrap().swap(0, 1);
            }),
        ),
        (
            "must ascend",
            Box::new(|f| {
                let entry = f["entries"][2].clone();
                f["entries"].as_array_mut().unwrap().push(entry);
            }),
        ),
        (
            "64 hexadecimal",
            Box::new(|f| f["entries"][0]["fact"] = json!("0x12")),
        ),
        (
            "missing field",
            Box::new(|f| {
                f["entries"][2].as_object_mut().unwrap().remove("task");
            }),
        ),
        (
            "unknown field",
            Box::new(|f| f["entries"][2]["note"] = json!("x")),
        ),
        (
            "invalid",
            Box::new(|f| f["entries"][2]["epoch"] = json!(-1)),
        ),
    ];
    for (phrase, alter) in cases {
        let to = store();
        let error = import_text(&to, &altered(alter)).unwrap_err().to_string();
        assert!(error.contains(phrase), "{phrase:?}: {error}");
        assert!(error.contains("nothing was changed"), "{error}");
        assert_eq!(logged(&to), [], "{phrase}");
    }
    assert!(import_text(&store(), &altered(|_| {})).is_ok());
}

#[test]
fn any_part_of_a_file_is_no_file() {
    let file = exported(&signed(3));
    let end = file.trim_end().len();
    for cut in (0..end).step_by(7).chain([end - 1]) {
        let to = store_cached();
        assert!(import_text(to, &file[..cut]).is_err(), "{cut}");
        assert_eq!(logged(to), []);
    }
    let longer = format!("{file}{{}}");
    assert!(import_text(store_cached(), &longer).is_err());
}

/// Opening a store takes longer than the rest.
fn store_cached() -> &'static Fixture {
    static STORE: std::sync::OnceLock<Fixture> = std::sync::OnceLock::new();
    STORE.get_or_init(store)
}

#[test]
fn the_head_alone_can_be_read() {
    let file = exported(&signed(1));
    let head = metadata(file.as_bytes()).unwrap();
    assert_eq!((head.home_chain_id, head.version), (31_337, VERSION));
    assert!(metadata(&b"{\"entries\":[]}"[..]).is_err());
}
