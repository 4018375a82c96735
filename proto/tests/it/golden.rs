//! The bytes of every message and of every record on disk, as they were released.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fmt, fs};

use prost::Message;
use quorate_proto::store::{
    Cursor, DeliveryReceipt, Empty, Evidence, Lease, LogBeginning, LogOrigin, MembershipRecord,
    Meta, OperatorSetRecord, PeerRecord, ProviderAnswer, ProviderQuestion, ProviderWord,
    PrunedRecord, ResponseRecord, SignerRecord, SigningRecord, TaskIndexRecord, TaskRecord,
    TaskRef, TaskStatus, TimelineRow, TransferRecord,
};
use quorate_proto::{ReadBasis, RefusalCode, Statement, Task, wire};

use crate::fixtures::{
    binding, bridge_pause, certificate, domain, epoch_update, evidence, evidence_across_keys,
    evidence_of_an_unknown_kind, join_request, member_record, operator, refused, secret, set,
    signed, statement, transfer, transfer_closed, transition,
};
use crate::timeline::timeline_events;
use crate::vectors::{exchange, gossip};
use crate::{registry, sync};

const NOW_MS: u64 = 1_700_000_012_345;

const UPDATE: &str = "UPDATE_GOLDEN=1 cargo test -p quorate-proto --test it golden";

/// Compares with the file of that name in `tests/golden`, or writes it where that is asked for.
pub(crate) fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(&path, actual).expect("tests/golden can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let mut lines = expected.lines().zip(actual.lines()).enumerate();
    let (line, (old, new)) = match lines.find(|(_, (old, new))| old != new) {
        Some((number, pair)) => (number + 1, pair),
        None if expected == actual => return,
        None => (
            1 + expected.lines().count().min(actual.lines().count()),
            ("…", "…"),
        ),
    };
    panic!(
        "{name}, line {line}: bytes that other programs or older stores rely on have changed\n  \
         from {old}\n    to {new}\nIf that is meant, and their version says so (docs/wire.md, \
         \"Versions\"), update with\n  {UPDATE}"
    );
}

/// Messages by name, as JSON.
#[derive(Default)]
struct Messages(BTreeMap<&'static str, String>);

impl Messages {
    fn add<M: Message + Default + PartialEq + fmt::Debug>(
        &mut self,
        name: &'static str,
        message: &M,
    ) {
        let bytes = message.encode_to_vec();
        assert_eq!(M::decode(bytes.as_slice()).as_ref(), Ok(message), "{name}");
        self.0.insert(name, hex::encode(bytes));
    }

    fn check(&self, file: &str) {
        let json = serde_json::to_string_pretty(&self.0).expect("strings");
        check(file, &(json + "\n"));
    }
}

#[test]
fn golden_wire_messages() {
    let mut messages = Messages::default();
    let refusal = refused(3, RefusalCode::NotFinal, "block 12345, final 12300");
    let task = Task {
        statement: statement(),
        attempt: 1,
    };
    messages.add("statement", &wire::Statement::from(&statement()));
    messages.add(
        "statement_epoch_update",
        &wire::Statement::from(&Statement::EpochUpdate(epoch_update())),
    );
    for (name, statement) in [
        ("statement_transfer", Statement::from(transfer())),
        ("statement_transfer_closed", transfer_closed().into()),
        ("statement_bridge_pause", bridge_pause().into()),
    ] {
        messages.add(name, &wire::Statement::from(&statement));
    }
    messages.add("task", &wire::Task::from(&task));
    messages.add("response_signed", &wire::Response::from(&signed(1)));
    messages.add("response_refused", &wire::Response::from(&refusal));
    messages.add(
        "certificate",
        &wire::Certificate::from(&certificate(&[1, 2])),
    );
    messages.add(
        "peer_binding",
        &wire::PeerBinding::from(&binding(1, 1_700_000_000_000)),
    );
    for (name, evidence) in [
        ("equivocation_evidence", evidence()),
        ("equivocation_evidence_across_keys", evidence_across_keys()),
        (
            "equivocation_evidence_of_an_unknown_kind",
            evidence_of_an_unknown_kind(),
        ),
    ] {
        messages.add(name, &wire::EquivocationEvidence::from(&evidence));
    }
    for message in gossip() {
        let envelope = wire::Envelope::decode(message.bytes.as_slice()).expect("an envelope");
        messages.add(message.name, &envelope);
    }
    for message in exchange() {
        match message.kind {
            Ok(request) => messages.add(message.name, &request),
            Err(reply) => messages.add(message.name, &reply),
        }
    }
    messages.check("wire.json");
}

#[test]
fn golden_registry_messages() {
    let mut messages = Messages::default();
    let (health, operators) = (registry::health(), registry::operators());
    let (events, sync) = (registry::events(), registry::sync());
    messages.add("challenge_request", &registry::challenge_request());
    messages.add("challenge", &registry::challenge_message());
    messages.add("join_request", &wire::JoinRequest::from(&join_request()));
    messages.add("join_reply", &registry::join_reply());
    messages.add("health_request", &health.0);
    messages.add("health_reply", &health.1);
    messages.add("subscribe_request", &registry::subscribe());
    messages.add("state_update", &registry::update());
    messages.add("operators_request", &operators.0);
    messages.add("operators_reply", &operators.1);
    messages.add("network_request", &wire::NetworkRequest {});
    messages.add("network_reply", &registry::network());
    messages.add("events_request", &events.0);
    messages.add("events_reply", &events.1);
    messages.add("sync_request", &sync.0);
    messages.add("sync_reply", &sync.1);
    messages.add("registry_error", &registry::error());
    messages.check("registry.json");
}

#[test]
fn golden_sync_messages() {
    let mut messages = Messages::default();
    for (name, query) in sync::queries() {
        messages.add(name, &query);
    }
    for (name, answer) in sync::answers() {
        messages.add(name, &answer);
    }
    messages.check("sync.json");
}

#[test]
fn golden_store_records() {
    let mut records = Messages::default();
    add_task_records(&mut records);
    add_network_records(&mut records);
    records.check("store.json");
}

fn add_task_records(records: &mut Messages) {
    let signing = SigningRecord {
        fact: statement().fact().to_vec(),
        digest: statement().digest(&domain()).to_vec(),
        task_id: statement().task_id().0.to_vec(),
        epoch: 1,
        signed_at_ms: NOW_MS,
        signing_key: secret(1).address().to_vec(),
    };
    let response = ResponseRecord {
        response: Some((&signed(1)).into()),
        received_ms: NOW_MS + 55,
        after_micros: 55_000,
        late: true,
        ..ResponseRecord::default()
    };
    let response_caught_up = ResponseRecord {
        caught_up: true,
        ..response.clone()
    };
    let index = TaskIndexRecord::from(&sync::state());
    let held = Evidence {
        evidence: Some((&evidence()).into()),
        found_ms: NOW_MS,
        heard_from: operator(3).to_vec(),
    };
    let reference = TaskRef {
        task_id: statement().task_id().0.to_vec(),
    };
    let timeline = TimelineRow {
        events: timeline_events(),
        cut: 7,
    };
    records.add("task_record", &task_record());
    records.add("timeline_row", &timeline);
    let caught_up = TaskRecord {
        caught_up: true,
        ..task_record()
    };
    records.add("task_record_caught_up", &caught_up);
    records.add("task_ref", &reference);
    records.add("signing_record", &signing);
    records.add("signer_record", &signer_record());
    records.add("response_record", &response);
    records.add("response_record_caught_up", &response_caught_up);
    records.add("evidence", &held);
    records.add("task_index_record", &index);
    records.add("pruned_record", &PrunedRecord { epoch: 1 });
}

fn signer_record() -> SignerRecord {
    SignerRecord {
        origin: LogOrigin::NewKey.into(),
        origin_ms: NOW_MS,
        restored_ms: NOW_MS + 1,
        sequence: NOW_MS + 2,
        lease: Some(Lease {
            instance: vec![0x7e; 32],
            host: "node-1".to_owned(),
            pid: 4_321,
            process: "boot 12345".to_owned(),
            started_ms: NOW_MS,
            renewed_ms: NOW_MS + 2,
            released: true,
            signing_key: secret(1).address().to_vec(),
        }),
        signing_keys: vec![vec![0x7d; 20], secret(1).address().to_vec()],
        missing_sequence: NOW_MS + 3,
        imported_ms: NOW_MS + 4,
        unproven: true,
        beginning: Some(LogBeginning {
            signing_key: secret(1).address().to_vec(),
            epoch: 7,
            block: 12_345,
            time: NOW_MS / 1_000,
            seen: NOW_MS / 1_000 + 900,
        }),
        seen_epoch: 9,
    }
}

fn add_network_records(records: &mut Messages) {
    let meta = Meta {
        schema_version: 1,
        network: domain().network().to_string(),
        created_by: "node 0.1.0".to_owned(),
    };
    let cursor = Cursor {
        block_number: 12_345,
        block_hash: vec![2; 32],
    };
    let peer = PeerRecord {
        addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned()],
        last_seen_ms: NOW_MS,
    };
    records.add("meta", &meta);
    records.add("empty", &Empty {});
    records.add("operator_set_record", &OperatorSetRecord::from(&set()));
    records.add("cursor", &cursor);
    records.add("peer_record", &peer);
    records.add(
        "membership_record",
        &MembershipRecord::from(&member_record()),
    );
    records.add("lifecycle_event", &transition().to_event(7));
    let seen = TransferRecord {
        transfer: Some((&transfer()).into()),
        block_number: 12_345,
        block_hash: vec![3; 32],
        block_time: NOW_MS / 1_000,
        transaction: vec![0x5e; 32],
        log_index: 7,
        seen_ms: NOW_MS,
        taken_ms: NOW_MS + 1,
    };
    let receipt = DeliveryReceipt {
        transaction: vec![0xc0; 32],
        block_number: 40,
        gas_used: 138_411,
        succeeded: true,
        sent_ms: NOW_MS + 2,
    };
    records.add("transfer_record", &seen);
    records.add("delivery_receipt", &receipt);
}

fn task_record() -> TaskRecord {
    TaskRecord {
        statement: Some((&statement()).into()),
        status: TaskStatus::Expired.into(),
        created_ms: NOW_MS,
        ended_ms: NOW_MS + 15_000,
        entry: true,
        announced_by: operator(2).to_vec(),
        attempts: 4,
        read_micros: 12_000,
        read_at_block: vec![3; 32],
        certified_micros: 60_000,
        failure: "weight 40 of 67".to_owned(),
        read_at_number: 12_400,
        read_basis: ReadBasis::Proof.into(),
        provider_words: vec![ProviderWord {
            provider: "https://rpc.example.org".to_owned(),
            question: ProviderQuestion::Proof.into(),
            answer: ProviderAnswer::False.into(),
            detail: "node 2 of the account's proof".to_owned(),
            micros: 11_000,
        }],
        ..TaskRecord::default()
    }
}
