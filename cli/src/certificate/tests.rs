use quorate_proto::{Epoch, EpochUpdate, Operator, OperatorSet, SecretKey, StateProof};

use super::*;

pub(crate) const NETWORK: &str = "31337-5fbdb2315678afecb367f032d93f642f64180aa3";

fn key(index: u8) -> SecretKey {
    SecretKey::from_bytes(&[index; 32]).expect("a key")
}

/// Three operators with weights 100, 200 and 300.
pub(crate) fn set() -> OperatorSet {
    let member = |index: u8| Operator {
        address: Address::repeat_byte(index),
        signing_key: key(index).address(),
        weight: U256::from(index) * U256::from(100),
    };
    let total = U256::from(600);
    OperatorSet::new(
        Epoch(7),
        vec![member(1), member(2), member(3)],
        total,
        1_700_000_000,
    )
    .expect("a set")
}

/// A certificate by these operators.
pub(crate) fn file(signers: &[u8]) -> CertificateFile {
    let domain = domain_of(NETWORK).expect("a network");
    let statement = Statement::StateProof(StateProof {
        user: Address::repeat_byte(0xaa),
        chain_id: 31338,
        block_number: 12_345,
        timestamp: 1_700_000_000,
        epoch: Epoch(7),
        key: U256::from(1),
        value: U256::from(100),
    });
    let digest = statement.digest(&domain);
    let sign = |index: &u8| SignerSignature {
        operator: Address::repeat_byte(*index),
        signature: key(*index).sign(digest).expect("signed"),
    };
    let certificate = Certificate::new(statement.clone(), signers.iter().map(sign).collect());
    let answer = Answer {
        task_id: statement.task_id(),
        signature_data: certificate.signature_data(),
        certificate,
        digest,
        stored: false,
        read_bases: Vec::new(),
    };
    CertificateFile::new(&answer, NETWORK, Duration::from_millis(412))
}

#[test]
fn json_comes_back_as_it_was() {
    let file = file(&[2, 3]);
    let text = serde_json::to_string_pretty(&file).expect("JSON");
    let read: CertificateFile = serde_json::from_str(&text).expect("read");
    assert_eq!(read, file);
    let domain = domain_of(&read.network).expect("a domain");
    let certificate = read.check(&domain).expect("whole");
    assert_eq!(certificate.verify(&set(), &domain), Ok(U256::from(500)));
}

#[test]
fn json_has_the_promised_names() {
    let value = serde_json::to_value(file(&[3])).expect("JSON");
    assert_eq!(value["statement"]["kind"], "state_proof");
    assert_eq!(
        value["statement"]["user"],
        "0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"
    );
    assert_eq!(value["statement"]["value"], "100");
    assert_eq!(value["statement"]["block_number"], 12_345);
    assert_eq!(value["epoch"], 7);
    assert_eq!(value["elapsed_ms"], 412);
    assert_eq!(value["stored"], false);
    assert_eq!(
        value["signers"][0]["operator"],
        "0x0303030303030303030303030303030303030303"
    );
    assert!(
        value["signature_data"]
            .as_str()
            .expect("text")
            .starts_with("0x0000")
    );
}

#[test]
fn what_was_altered_is_named() {
    type Change = fn(&mut CertificateFile);
    let table: [(Change, Broken); 4] = [
        (|f| f.task_id = B256::ZERO, Broken::Differs("the task id")),
        (|f| f.digest = B256::ZERO, Broken::Differs("the digest")),
        (|f| f.epoch = 8, Broken::Differs("the epoch")),
        (
            |f| f.signature_data = Bytes::new(),
            Broken::Differs("signature_data"),
        ),
    ];
    let domain = domain_of(NETWORK).expect("a network");
    for (change, expected) in table {
        let mut file = file(&[3]);
        change(&mut file);
        assert_eq!(file.check(&domain), Err(expected));
    }
    let mut file = file(&[3]);
    file.signers[0].signature = Bytes::from(vec![0; 65]);
    assert!(matches!(file.check(&domain), Err(Broken::Signature { .. })));
}

#[test]
fn a_certificate_is_readable() {
    let expected = "\
Value    100
Key      1
User     0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa
Chain    31338
Block    12345, 2023-11-14 22:13:20 UTC
Epoch    7
Network  31337-5fbdb2315678afecb367f032d93f642f64180aa3
Task     ";
    let text = file(&[2, 3]).to_string();
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\n\nSIGNED BY "), "{text}");
    assert!(
        text.contains("\n0x0202020202020202020202020202020202020202  0x"),
        "{text}"
    );
}

#[test]
fn the_short_form_is_made_from_the_set_that_signed() {
    let short = file(&[2, 3]).with_compact(&set());
    let bytes = short.compact_signature_data.clone().expect("short form");
    assert_eq!(bytes.len(), 1 + 4 + 1 + 2 * 64);
    assert_eq!(bytes[..6], [1, 0, 0, 0, 7, 0b110]);
    let text = serde_json::to_string(&short).expect("JSON");
    let read: CertificateFile = serde_json::from_str(&text).expect("read");
    assert_eq!(read, short);
    // Nothing is made for a certificate that does not hold.
    assert_eq!(file(&[1]).with_compact(&set()).compact_signature_data, None);
}

#[test]
fn a_hand_over_is_written_and_read_as_well() {
    let domain = domain_of(NETWORK).expect("a network");
    let statement = Statement::EpochUpdate(EpochUpdate {
        epoch: Epoch(7),
        next_epoch: Epoch(8),
        set_hash: B256::repeat_byte(5),
        time: 1_700_000_000,
    });
    let signer = SignerSignature {
        operator: Address::repeat_byte(3),
        signature: key(3).sign(statement.digest(&domain)).expect("signed"),
    };
    let file = CertificateFile::of(&Certificate::new(statement.clone(), vec![signer]), &domain);
    let value = serde_json::to_value(&file).expect("JSON");
    assert_eq!(value["statement"]["kind"], "epoch_update");
    assert_eq!(value["statement"]["next_epoch"], 8);
    let read: CertificateFile = serde_json::from_value(value).expect("read");
    assert_eq!(
        read.check(&domain).map(|c| c.statement().clone()),
        Ok(statement)
    );
    assert!(file.to_string().starts_with("Hands over to  8\nSet hash "));
}

/// Ids have 48 bits of the time: a file that says more is none.
#[test]
fn a_time_beyond_48_bits_is_none() {
    let mut file = file(&[2, 3]);
    let domain = domain_of(NETWORK).expect("a network");
    assert!(file.check(&domain).is_ok());
    if let StatementJson::StateProof(proof) = &mut file.statement {
        proof.timestamp += 1 << 48;
    }
    let broken = file.check(&domain);
    assert!(matches!(broken, Err(Broken::Statement(_))), "{broken:?}");
}

/// The section of docs/wire.md that describes the file.
fn described() -> &'static str {
    let page = include_str!("../../../docs/wire.md");
    let section = page
        .split("### Certificates as JSON")
        .nth(1)
        .expect("a section");
    section.split("\n## ").next().unwrap_or_default()
}

#[test]
fn the_example_in_the_documentation_is_what_is_written() {
    let text = described().split("```json").nth(1).expect("an example");
    let text = text.split("```").next().unwrap_or_default();
    let file: CertificateFile = serde_json::from_str(text).expect("a certificate");
    let domain = domain_of(&file.network).expect("a network");
    file.check(&domain).expect("whole");
    let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(serde_json::to_value(&file).expect("JSON"), value);
}

#[test]
fn the_documentation_names_every_field_and_no_other() {
    let fields = |value: &serde_json::Value, at: &str| -> Vec<String> {
        let names = value.as_object().expect("an object").keys();
        names.map(|name| format!("{at}{name}")).collect()
    };
    let value = serde_json::to_value(file(&[2, 3]).with_compact(&set())).expect("JSON");
    let mut all = fields(&value, "");
    all.extend(fields(&value["statement"], "statement."));
    all.extend(fields(&value["signers"][0], "signers[]."));
    let rows = described()
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let mut named: Vec<String> = rows
        .filter_map(|row| row.split('`').next().map(str::to_owned))
        .collect();
    all.sort();
    named.sort();
    assert_eq!(named, all);
}
