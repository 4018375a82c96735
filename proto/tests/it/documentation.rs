//! docs/wire.md says what the code does, and SECURITY.md names tests that there are.

use std::fs;
use std::path::Path;

use quorate_proto::limits;
use quorate_proto::{RefusalCode, RegistryErrorCode, wire::ErrorCode};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page() -> String {
    read("../docs/wire.md")
}

/// 1,024 for 1024.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn its_hashes_are_in_the_vectors() {
    let (page, vectors) = (page(), read("tests/golden/vectors.json"));
    let mut words = 0;
    for text in page.split("0x").skip(1) {
        let end = text
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(text.len());
        if end >= 40 {
            words += 1;
            assert!(
                vectors.contains(&text[..end]),
                "0x{} is in no vector",
                &text[..end]
            );
        }
    }
    assert!(
        words >= 10,
        "the worked example has more than {words} values"
    );
}

#[test]
fn its_limits_are_those_of_the_code() {
    let page = page();
    let bytes = |number: usize| number as u64;
    for (name, value) in [
        ("MAX_REQUEST_FRAME", bytes(limits::MAX_REQUEST_FRAME)),
        ("MAX_REPLY_FRAME", bytes(limits::MAX_REPLY_FRAME)),
        ("MAX_STREAM_REQUESTS", bytes(limits::MAX_STREAM_REQUESTS)),
        ("MAX_GOSSIP_BYTES", bytes(limits::MAX_GOSSIP_BYTES)),
        ("MAX_BATCH_BYTES", bytes(limits::MAX_BATCH_BYTES)),
        ("MAX_BATCH_ITEMS", bytes(limits::MAX_BATCH_ITEMS)),
        ("MAX_OPERATORS", bytes(limits::MAX_OPERATORS)),
        ("MAX_SIGNERS", bytes(limits::MAX_SIGNERS)),
        ("MAX_DETAIL_BYTES", bytes(limits::MAX_DETAIL_BYTES)),
        ("MAX_EVIDENCE_PAGE", bytes(limits::MAX_EVIDENCE_PAGE)),
        ("MAX_ATTEMPTS", limits::MAX_ATTEMPTS.into()),
        ("MAX_MISSES", limits::MAX_MISSES.into()),
        ("RESPONSE_WINDOW_MS", limits::RESPONSE_WINDOW_MS),
        ("TASK_DEADLINE_MS", limits::TASK_DEADLINE_MS),
        ("EPOCH_GRACE_MS", limits::EPOCH_GRACE_MS),
        ("CHALLENGE_LIFE_MS", limits::CHALLENGE_LIFE_MS),
        ("MAX_ADDRESSES", bytes(limits::MAX_ADDRESSES)),
        ("MAX_ADDRESS_BYTES", bytes(limits::MAX_ADDRESS_BYTES)),
        ("MAX_PAGE", bytes(limits::MAX_PAGE)),
        ("MAX_TIMELINE_EVENTS", bytes(limits::MAX_TIMELINE_EVENTS)),
        ("MAX_TIMELINE_BYTES", bytes(limits::MAX_TIMELINE_BYTES)),
        ("MAX_LIVE_EVENTS", bytes(limits::MAX_LIVE_EVENTS)),
    ] {
        let row = format!("| `{name}` | {} |", grouped(value));
        assert!(page.contains(&row), "missing: {row}");
    }
}

#[test]
fn the_largest_set_is_that_of_the_contracts() {
    let contract = read("../chain/contracts/src/OperatorSets.sol");
    let line = format!("MAX_MEMBERS = {};", limits::MAX_OPERATORS);
    assert!(contract.contains(&line), "{line}");
}

#[test]
fn its_codes_are_those_of_the_code() {
    let page = page();
    for code in (0..)
        .map_while(|number| ErrorCode::try_from(number).ok())
        .skip(1)
    {
        let row = format!(
            "| `{}` | ",
            code.as_str_name().trim_start_matches("ERROR_CODE_")
        );
        assert!(page.contains(&row), "missing: {row}");
    }
    for code in (0..)
        .map_while(|number| RegistryErrorCode::try_from(number).ok())
        .skip(1)
    {
        let name = code
            .as_str_name()
            .trim_start_matches("REGISTRY_ERROR_CODE_");
        let again = if code.is_retryable() { "yes " } else { "" };
        let row = format!("| `{name}` | {again}| ");
        assert!(page.contains(&row), "missing: {row}");
    }
    for code in (0..)
        .map_while(|number| RefusalCode::try_from(number).ok())
        .skip(1)
    {
        let name = code.as_str_name().trim_start_matches("REFUSAL_CODE_");
        let rows = page
            .lines()
            .filter(|l| l.starts_with(&format!("| `{name}` | {} |", code as i32)));
        let again: Vec<bool> = rows.map(|row| row.ends_with("| yes |")).collect();
        assert_eq!(again, [code.is_retryable()], "{name}");
    }
}

/// Names of the last column of SECURITY.md's tables: Rust tests in backquotes, Solidity tests in asterisks.
fn tests_named(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.trim_end_matches(['|', ' ']).rsplit(" | ").next());
    let is_name = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain && word.len() > 12 && word.contains('_')
    };
    let names = cells.flat_map(|cell| cell.split(['`', '*']));
    names.filter(is_name).map(str::to_owned).collect()
}

fn collect(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !["target", "node_modules", "out", "cache"].contains(&&*name) {
            collect(&path, sources);
        } else if name.ends_with(".rs") || name.ends_with(".t.sol") {
            sources.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn security_names_tests_that_exist() {
    let named = tests_named(&read("../SECURITY.md"));
    assert!(named.len() > 40, "{named:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for folder in [
        "proto",
        "protocols",
        "storage",
        "chain",
        "node",
        "cli",
        "testnet",
    ] {
        collect(&root.join(folder), &mut sources);
    }
    let is_there = |name: &&String| {
        sources.contains(&format!("fn {name}(")) || sources.contains(&format!("function {name}("))
    };
    let missing: Vec<&String> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
