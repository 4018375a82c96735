//! The hand-over of the contracts' own tests, byte for byte: both sides read one file.

use std::fs;
use std::path::Path;

use quorate_proto::{
    Address, B256, Certificate, Domain, Epoch, EpochUpdate, Operator, OperatorSet, SecretKey,
    SignerSignature, Statement, U256,
};
use serde_json::Value;

/// Where the contracts' tests keep it.
const FILE: &str = "../chain/contracts/test/vectors/epoch-update.json";

struct Vector(Value);

impl Vector {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        let text = fs::read_to_string(&path).expect("the vectors of the contracts");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn number(&self, name: &str) -> u32 {
        let number = self.0[name].as_u64().expect("a number");
        number.try_into().expect("32 bits")
    }

    fn hash(&self, name: &str) -> B256 {
        parsed(&self.0[name])
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let text = self.0[name].as_str().expect("a text");
        hex::decode(text.trim_start_matches("0x")).expect("hexadecimal")
    }

    fn domain(&self) -> Domain {
        let chain = self.number("homeChainId").into();
        Domain::new(chain, parsed(&self.0["homeRegistry"]))
    }

    fn set(&self, name: &str, epoch: &str) -> OperatorSet {
        let set = &self.0[name];
        let members = list(&set["operators"])
            .enumerate()
            .map(|(i, address)| Operator {
                address: parsed(address),
                signing_key: parsed(&set["signingKeys"][i]),
                weight: parsed(&set["weights"][i]),
            });
        let members: Vec<Operator> = members.collect();
        let total = members.iter().map(|m| m.weight).sum();
        let epoch = Epoch(self.number(epoch));
        let time = set["time"].as_u64().expect("a number");
        OperatorSet::new(epoch, members, total, time).expect("a set")
    }

    fn update(&self) -> EpochUpdate {
        let epoch = Epoch(self.number("epoch"));
        EpochUpdate::hand_over(epoch, &self.set("next", "nextEpoch")).expect("a later epoch")
    }

    fn certificate(&self) -> Certificate {
        let statement = Statement::EpochUpdate(self.update());
        let digest = statement.digest(&self.domain());
        let signers = list(&self.0["signers"]).map(|index| {
            let index = usize::try_from(index.as_u64().expect("an index")).expect("an index");
            let secret: B256 = parsed(&self.0["set"]["secrets"][index]);
            let key = SecretKey::from_bytes(&secret).expect("a key");
            SignerSignature {
                operator: parsed(&self.0["set"]["operators"][index]),
                signature: key.sign(digest).expect("a signature"),
            }
        });
        Certificate::new(statement, signers.collect())
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().expect("a text").parse().expect("a value")
}

#[test]
fn sets_have_the_hash_that_contracts_compute() {
    let vector = Vector::read();
    for (name, epoch) in [("set", "epoch"), ("next", "nextEpoch")] {
        let expected: B256 = parsed(&vector.0[name]["setHash"]);
        assert_eq!(vector.set(name, epoch).hash(), expected, "{name}");
    }
}

#[test]
fn the_digest_is_the_one_that_contracts_check() {
    let vector = Vector::read();
    let separator = vector.hash("domainSeparator");
    assert_eq!(vector.domain().separator(), separator);
    let statement = Statement::EpochUpdate(vector.update());
    assert_eq!(statement.slot().0, vector.hash("slot"));
    assert_eq!(statement.fact(), vector.hash("fact"));
    assert_eq!(statement.task_id().0, vector.hash("taskId"));
    assert_eq!(statement.digest(&vector.domain()), vector.hash("digest"));
}

#[test]
fn both_forms_of_the_certificate_are_those_that_contracts_take() {
    let vector = Vector::read();
    let (set, certificate) = (vector.set("set", "epoch"), vector.certificate());
    assert_eq!(certificate.signature_data(), vector.bytes("abi"));
    let compact = certificate.compact_signature_data(&set);
    assert_eq!(compact.as_deref(), Ok(vector.bytes("compact").as_slice()));
    let read = Certificate::decode_compact(
        &vector.bytes("compact"),
        &set,
        certificate.statement().clone(),
    );
    assert_eq!(read, Ok(certificate.clone()));
    let weight = certificate
        .verify(&set, &vector.domain())
        .expect("it holds");
    assert!(weight >= set.threshold());
}

#[test]
fn one_signer_less_is_below_the_threshold_or_was_not_needed() {
    let vector = Vector::read();
    let (set, certificate) = (vector.set("set", "epoch"), vector.certificate());
    let mut signatures = certificate.signatures().to_vec();
    let heaviest = signatures
        .iter()
        .enumerate()
        .max_by_key(|(_, signer)| set.weight_of(signer.operator))
        .map(|(place, _)| place)
        .expect("signers");
    signatures.remove(heaviest);
    let left: U256 = signatures.iter().map(|s| set.weight_of(s.operator)).sum();
    let less = Certificate::new(certificate.statement().clone(), signatures);
    assert_eq!(
        less.verify(&set, &vector.domain()).is_ok(),
        left >= set.threshold()
    );
}

#[test]
fn a_certificate_of_another_network_does_not_hold() {
    let vector = Vector::read();
    let (set, certificate) = (vector.set("set", "epoch"), vector.certificate());
    let other = Domain::new(1, Address::repeat_byte(1));
    assert!(certificate.verify(&set, &other).is_err());
}
