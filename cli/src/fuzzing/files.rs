//! Certificates, evidence and operator sets as files.

use std::sync::LazyLock;

use quorate_proto::{
    Address, Domain, Epoch, Operator, OperatorSet, SecretKey, Statement, U256, threshold_of, wire,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::certificate::{CertificateFile, domain_of};
use crate::evidence::{self, EvidenceFile};
use crate::operators::{self, SetFile};
use crate::verify::off_chain;

const NETWORK: &str = "31337-5fbdb2315678afecb367f032d93f642f64180aa3";

/// The set of the golden files: four operators with weights 40, 30, 20 and 10 in epoch 1.
static SET: LazyLock<OperatorSet> = LazyLock::new(|| {
    let key = |number: u8| SecretKey::from_bytes(&[number; 32]).expect("a key");
    let member = |number: u8| Operator {
        address: Address::repeat_byte(number * 0x11),
        signing_key: key(number).address(),
        weight: U256::from(50 - 10 * number),
    };
    let total = U256::from(100);
    let members = (1..=4).map(member).collect();
    OperatorSet::new(Epoch(1), members, total, 1_699_990_000).expect("a set")
});

fn domain() -> Domain {
    domain_of(NETWORK).expect("a network")
}

/// A file of any kind.
pub fn file(bytes: &[u8]) {
    if let Some((file, again)) = parsed::<CertificateFile>(bytes) {
        assert_eq!(file, again, "read(write(x)) is x");
        certificate(&file);
    }
    if let Some((file, again)) = parsed::<EvidenceFile>(bytes) {
        assert_eq!(file, again, "read(write(x)) is x");
        contradiction(&file);
    }
    if let Some((file, again)) = parsed::<SetFile>(bytes) {
        assert_eq!(file.set().ok(), again.set().ok(), "read(write(x)) is x");
        set(&file);
    }
}

/// What is read, and the same once it was written and read again.
fn parsed<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<(T, T)> {
    let file: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_string(&file).expect("JSON");
    let again = serde_json::from_str(&written).expect("what was written");
    Some((file, again))
}

/// A certificate that holds together says nothing but what was signed.
fn certificate(file: &CertificateFile) {
    assert!(!file.to_string().is_empty());
    let domain = domain();
    let certificate = match file.check(&domain) {
        Ok(certificate) => certificate,
        Err(broken) => return assert!(!broken.to_string().is_empty()),
    };
    same_on_the_wire(certificate.statement());
    assert_eq!(*certificate.statement(), file.statement());
    let own = CertificateFile::of(&certificate, &domain);
    let words = |file: &CertificateFile| (file.task_id, file.digest, file.signature_data.clone());
    assert_eq!(words(&own), words(file), "nothing but what was signed");
    let report = off_chain(&certificate, &SET, &domain);
    assert!(!report.render(file, &domain).is_empty());
    let valid = report.as_value(file, &domain)["valid"] == true;
    let weight = certificate.verify(&SET, &domain);
    assert_eq!(valid, weight.is_ok(), "what the program says of it");
    let short = own.with_compact(&SET).compact_signature_data;
    assert_eq!(short.is_some(), weight.is_ok(), "only of what holds");
}

/// Fields that the wire does not carry are not signed either.
fn same_on_the_wire(statement: &Statement) {
    let again = Statement::try_from(&wire::Statement::from(statement));
    assert_eq!(
        again.as_ref(),
        Ok(statement),
        "within the bounds of the wire"
    );
}

/// Evidence that is some by its form comes back from it.
fn contradiction(file: &EvidenceFile) {
    assert!(!file.to_string().is_empty());
    assert!(
        !evidence::table(std::slice::from_ref(file))
            .to_string()
            .is_empty()
    );
    let held = match file.evidence() {
        Ok(held) => held,
        Err(no) => return assert!(!no.to_string().is_empty()),
    };
    let told = held.attestations().into_iter();
    told.filter_map(|signed| signed.statement())
        .for_each(same_on_the_wire);
    let own = EvidenceFile::of(&held, &domain(), file.found_ms);
    assert_eq!(
        own.evidence().ok(),
        Some(held.clone()),
        "read(write(x)) is x"
    );
    assert_eq!((own.id, own.slot), (file.id, file.slot));
    let set_of = |epoch| Some(&*SET).filter(|set| set.epoch() == epoch);
    if held.verify(&domain(), set_of).is_ok() {
        let member = SET.get(held.operator()).expect("a member");
        assert!(held.is_signed_by(member.signing_key, &domain()));
    }
}

/// A set asks for what the contract asks for.
fn set(file: &SetFile) {
    assert!(!operators::render(file).is_empty());
    let set = match file.set() {
        Ok(set) => set,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(set.threshold(), threshold_of(set.total_weight()));
    let own = SetFile::from((&set, NETWORK));
    assert_eq!(own.set().ok(), Some(set), "read(write(x)) is x");
}
