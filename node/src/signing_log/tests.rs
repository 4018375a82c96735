use std::io::Cursor;

use quorate_proto::Domain;
use quorate_proto::store::LogOrigin;
use quorate_storage::{
    EngineKind, Identity, LogStanding, SigningEntry, Store, WriteQueue, WriterGuard, standing,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const KEY: [u8; 20] = [7; 20];

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
        key: KEY,
        slot: id,
        fact: [fact; 32],
        digest: [fact ^ 1; 32],
        task: [fact ^ 2; 32],
        epoch: 3,
        time_ms: 1_700_000_000_000,
    }
}

/// A store whose key has signed for that many slots.
fn signed(count: u32) -> Fixture {
    let fixture = store();
    let entries: Vec<_> = (0..count).map(|slot| entry(slot, 9)).collect();
    for group in entries.chunks(1_000) {
        fixture.queue.signing_log().import(group).unwrap();
    }
    let signers = fixture.queue.signers();
    let noted = signers.establish(&KEY, LogOrigin::NewKey, 100, 1).unwrap();
    noted.wait().unwrap();
    fixture
}

fn exported(fixture: &Fixture) -> String {
    let mut file = Vec::new();
    let summaries = export(&fixture.queue, &domain(), &[], &mut file, |_| {}).unwrap();
    assert_eq!(inspect(file.as_slice()).unwrap(), summaries);
    String::from_utf8(file).unwrap()
}

fn import_text(fixture: &Fixture, text: &str) -> Result<Vec<KeySummary>, LogError> {
    import(&fixture.queue, &domain(), Cursor::new(text), |_| {})
}

/// A good file with something else in it.
fn altered(alter: impl FnOnce(&mut Value)) -> String {
    let mut file: Value = serde_json::from_str(&exported(&signed(3))).unwrap();
    alter(&mut file);
    // The order of the parts belongs to the form, and a map has none.
    let (metadata, keys) = (&file["metadata"], file["keys"].as_array().unwrap());
    let key = |key: &Value| {
        format!(
            "{{\"signing_key\":{},\"sequence\":{},\"complete\":{},\"entries\":{}}}",
            key["signing_key"], key["sequence"], key["complete"], key["entries"]
        )
    };
    let keys: Vec<String> = keys.iter().map(key).collect();
    format!("{{\"metadata\":{metadata},\"keys\":[{}]}}", keys.join(","))
}

fn logged(fixture: &Fixture) -> Vec<SigningEntry> {
    let log = fixture.queue.signing_log();
    log.signed_by(&KEY).map(Result::unwrap).collect()
}

#[test]
fn what_is_exported_comes_back_whole() {
    let (from, to) = (signed(9_001), store());
    let mut heard = Vec::new();
    let file = exported(&from);
    let summaries = import(&to.queue, &domain(), Cursor::new(&file), |n| heard.push(n)).unwrap();
    assert_eq!((summaries[0].entries, summaries[0].added), (9_001, 9_001));
    assert!(summaries[0].usable && summaries[0].complete);
    assert_eq!(logged(&to), logged(&from));
    let record = to.queue.signers().get(&KEY).unwrap();
    assert_eq!(standing(&record), LogStanding::Whole(LogOrigin::Imported));
    assert_eq!(record.sequence, 100);
    // Again, it adds nothing and harms nothing.
    let again = import_text(&to, &file).unwrap();
    assert_eq!((again[0].entries, again[0].added), (9_001, 0));
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
    assert_eq!(to.queue.signers().get(&KEY).unwrap(), Default::default());
}

#[test]
fn a_log_that_was_not_whole_makes_no_log_whole() {
    let from = signed(2);
    from.queue.store().mark_restored(5).unwrap();
    let to = store();
    let summaries = import_text(&to, &exported(&from)).unwrap();
    assert!(!summaries[0].usable && !summaries[0].complete);
    assert_eq!(summaries[0].added, 2, "what is known is taken all the same");
    let record = to.queue.signers().get(&KEY).unwrap();
    assert_eq!(standing(&record), LogStanding::Unknown);
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
            "version 2",
            Box::new(|f| f["metadata"]["version"] = json!(2)),
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
            Box::new(|f| f["keys"][0]["signing_key"] = json!("k")),
        ),
        (
            "no time",
            Box::new(|f| f["keys"][0]["sequence"] = json!(u64::MAX)),
        ),
        (
            "is there twice",
            Box::new(|f| {
                let key = f["keys"][0].clone();
                f["keys"].as_array_mut().unwrap().push(key);
            }),
        ),
        (
            "must ascend",
            Box::new(|f| {
                f["keys"][0]["entries"].as_array_mut().unwrap().swap(0, 1);
            }),
        ),
        (
            "must ascend",
            Box::new(|f| {
                let entry = f["keys"][0]["entries"][2].clone();
                f["keys"][0]["entries"].as_array_mut().unwrap().push(entry);
            }),
        ),
        (
            "64 hexadecimal",
            Box::new(|f| f["keys"][0]["entries"][0]["fact"] = json!("0x12")),
        ),
        (
            "missing field",
            Box::new(|f| {
                f["keys"][0]["entries"][2]
                    .as_object_mut()
                    .unwrap()
                    .remove("task");
            }),
        ),
        (
            "unknown field",
            Box::new(|f| f["keys"][0]["entries"][2]["note"] = json!("x")),
        ),
        (
            "invalid",
            Box::new(|f| f["keys"][0]["entries"][2]["epoch"] = json!(-1)),
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
    assert!(metadata(&b"{\"keys\":[]}"[..]).is_err());
}
