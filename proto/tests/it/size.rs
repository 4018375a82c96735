//! The bounds hold together: what may be said fits what may be sent.

use prost::Message as _;
use quorate_proto::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_DETAIL_BYTES, MAX_EVIDENCE_PAGE, MAX_FAILURE_BYTES,
    MAX_GOSSIP_BYTES, MAX_OPERATORS, MAX_REPLY_FRAME, MAX_REQUEST_FRAME, MAX_SIGNERS,
    MAX_TIMELINE_BYTES,
};
use quorate_proto::wire::{self, reply, request, state_request};
use quorate_proto::{
    Address, Batch, Certificate, Envelope, Epoch, Kind, PeerBinding, ReadBasis, RefusalCode,
    Response, SignerSignature, StateProof, Statement, Task, U256,
};

use crate::fixtures::{binding, domain, evidence_of, peer, refused, signed};

/// With every number at its longest.
fn statement() -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(0xff),
        chain_id: u32::MAX,
        block_number: u64::MAX,
        timestamp: (1 << 48) - 1,
        epoch: Epoch(u32::MAX),
        key: U256::MAX,
        value: U256::MAX,
    })
}

fn certificate(signers: usize) -> Certificate {
    let quorate_proto::Outcome::Signed(signature) = signed(1).outcome else {
        panic!("a signature");
    };
    let address = |n: usize| Address::left_padding_from(&n.to_be_bytes());
    let signer = |n| SignerSignature {
        operator: address(n),
        signature,
    };
    Certificate::new(statement(), (0..signers).map(signer).collect())
}

fn sealed(kind: Kind, batch: &Batch) -> usize {
    let author = PeerBinding {
        sequence: u64::MAX,
        ..binding(1, 1)
    };
    let topic = domain().network().topic(kind);
    let sealed = Envelope::seal(batch, &author, &topic, &peer(1));
    assert!(Envelope::open(&sealed, &topic, kind).is_ok());
    sealed.len()
}

#[test]
fn a_full_batch_fits_a_message() {
    let sequence = u64::MAX;
    let task = Task {
        statement: statement(),
        attempt: 3,
    };
    let tasks = vec![task; MAX_BATCH_ITEMS];
    assert!(
        sealed(
            Kind::Task,
            &Batch {
                sequence,
                tasks,
                ..Batch::default()
            }
        ) < 50 * 1024
    );

    let response = Response {
        statement: statement(),
        ..signed(1)
    };
    let responses = vec![response; MAX_BATCH_ITEMS];
    let size = sealed(
        Kind::Response,
        &Batch {
            sequence,
            responses,
            ..Batch::default()
        },
    );
    assert!(size < 64 * 1024, "{size}");

    let refusal = refused(1, RefusalCode::Conflict, &"x".repeat(MAX_DETAIL_BYTES));
    let responses = vec![
        Response {
            statement: statement(),
            ..refusal
        };
        MAX_BATCH_ITEMS
    ];
    let size = sealed(
        Kind::Response,
        &Batch {
            sequence,
            responses,
            ..Batch::default()
        },
    );
    assert!(size < MAX_GOSSIP_BYTES / 2, "{size}");

    let results = vec![certificate(13); MAX_BATCH_ITEMS];
    let size = sealed(
        Kind::Result,
        &Batch {
            sequence,
            results,
            ..Batch::default()
        },
    );
    assert!(size < 360 * 1024, "{size}");
}

#[test]
fn evidence_fits_messages_and_frames() {
    let other = Statement::StateProof(StateProof {
        value: U256::ZERO,
        ..*statement().state_proof().expect("a state proof")
    });
    let evidence = vec![evidence_of(2, [statement(), other]); MAX_BATCH_ITEMS];
    let entry = wire::EvidenceEntry {
        evidence: Some((&evidence[0]).into()),
        found_ms: u64::MAX,
    };
    let batch = Batch {
        sequence: u64::MAX,
        evidence,
        ..Batch::default()
    };
    let size = sealed(Kind::Evidence, &batch);
    assert!(size < MAX_GOSSIP_BYTES / 2, "{size}");
    let reply = wire::EvidenceReply {
        entries: vec![entry; MAX_EVIDENCE_PAGE],
        more: true,
    };
    let length = frame(reply::Kind::Evidence(reply));
    assert!(length < MAX_REPLY_FRAME / 2, "{length}");
}

#[test]
fn a_transfer_with_the_largest_certificate_fits_a_frame() {
    let steps = (1..=9).map(|stage| wire::TransferStep {
        stage,
        at_ms: u64::MAX,
    });
    let reply = wire::TransferReply {
        steps: steps.collect(),
        certificate: Some((&certificate(MAX_SIGNERS)).into()),
        delivery: Some(wire::TransferDelivery {
            reason: "x".repeat(MAX_DETAIL_BYTES),
            ..wire::TransferDelivery::default()
        }),
        ..wire::TransferReply::default()
    };
    let length = frame(reply::Kind::Transfer(reply));
    assert!(length < MAX_REPLY_FRAME / 2, "{length}");
}

#[test]
fn a_batch_of_the_largest_size_fits_a_message() {
    let one = wire::Certificate::from(&certificate(MAX_SIGNERS)).encoded_len();
    assert!(one < 64 * 1024, "{one}");
    let mut results = vec![certificate(MAX_SIGNERS); MAX_BATCH_BYTES / one];
    let size = |results: &[Certificate]| {
        let (sequence, results) = (u64::MAX, results.to_vec());
        let batch = Batch {
            sequence,
            results,
            ..Batch::default()
        };
        wire::Batch::from(&batch).encoded_len()
    };
    // Fill up with small certificates, 91 or 92 bytes per signer.
    while size(&results) + 250 < MAX_BATCH_BYTES {
        results.push(certificate(1));
    }
    assert!(size(&results) <= MAX_BATCH_BYTES);
    let around = MAX_GOSSIP_BYTES - MAX_BATCH_BYTES;
    let sequence = u64::MAX;
    let length = size(&results);
    let message = sealed(
        Kind::Result,
        &Batch {
            sequence,
            results,
            ..Batch::default()
        },
    );
    assert!(
        message - length <= around,
        "{} bytes around the batch",
        message - length
    );
}

#[test]
fn the_longest_request_fits_a_frame() {
    let state = wire::StateRequest {
        chain_id: u32::MAX,
        user: vec![0xff; 20],
        key: vec![0xff; 32],
        at: Some(state_request::At::Timestamp(u64::MAX)),
    };
    let kind = Some(request::Kind::State(state));
    let length = wire::Request { id: u64::MAX, kind }.encoded_len();
    assert!(length < MAX_REQUEST_FRAME / 8, "{length}");
}

/// All of 500 operators refused with the longest reasons, and the record is full.
#[test]
fn the_longest_timeline_fits_a_frame() {
    let line = wire::TimelineOperator {
        operator: vec![1; 20],
        weight: vec![0xff; 32],
        answered: true,
        refusal: 10,
        detail: "x".repeat(MAX_DETAIL_BYTES),
        after_micros: u64::MAX,
        late: true,
        in_certificate: true,
        read_basis: 2,
    };
    let event = wire::TimelineEvent {
        at_micros: u64::MAX,
        kind: Some(wire::timeline_event::Kind::Answered(
            wire::TimelineAnswered {
                operator: vec![1; 20],
                refusal: 10,
                ..wire::TimelineAnswered::default()
            },
        )),
    };
    let events = MAX_TIMELINE_BYTES / (event.encoded_len() + 2);
    let reply = wire::TimelineReply {
        task_id: vec![1; 32],
        statement: Some((&statement()).into()),
        node_operator: vec![1; 20],
        announced_by: vec![1; 20],
        failure: "x".repeat(MAX_FAILURE_BYTES),
        threshold: vec![1; 32],
        total_weight: vec![1; 32],
        operators: vec![line; MAX_OPERATORS],
        events: vec![event; events],
        cut: u32::MAX,
        ..wire::TimelineReply::default()
    };
    let length = frame(reply::Kind::Timeline(reply));
    assert!(length < MAX_REPLY_FRAME, "{length}");
}

fn frame(kind: reply::Kind) -> usize {
    wire::Reply {
        id: u64::MAX,
        kind: Some(kind),
    }
    .encoded_len()
}

#[test]
fn replies_about_500_operators_fit_a_frame() {
    let certificate = certificate(MAX_SIGNERS);
    let certified = frame(reply::Kind::Certificate(wire::CertificateReply {
        task_id: vec![1; 32],
        certificate: Some((&certificate).into()),
        signature_data: certificate.signature_data(),
        digest: vec![1; 32],
        stored: true,
        read_bases: vec![ReadBasis::Vote.into(); MAX_SIGNERS],
    }));
    let report = wire::RefusalReport {
        operator: vec![1; 20],
        code: 10,
        detail: "x".repeat(MAX_DETAIL_BYTES),
    };
    let refusals = vec![report; MAX_SIGNERS];
    let error = wire::RequestError {
        refusals,
        ..wire::RequestError::default()
    };
    let entry = wire::OperatorEntry {
        operator: vec![1; 20],
        signing_key: vec![1; 20],
        weight: vec![1; 32],
        peer_id: "1".repeat(52),
        addresses: vec!["/dns4/operator-017.eu-central.example.org/udp/65535/quic-v1".into(); 3],
    };
    let bare = wire::OperatorEntry {
        peer_id: String::new(),
        addresses: Vec::new(),
        ..entry.clone()
    };
    let update = wire::EpochUpdateReply {
        set: Some(wire::OperatorList {
            operators: vec![bare; MAX_OPERATORS],
            ..wire::OperatorList::default()
        }),
        certificate: Some((&certificate).into()),
    };
    let list = wire::OperatorList {
        epoch: u32::MAX,
        total_weight: vec![1; 32],
        operators: vec![entry; MAX_OPERATORS],
        fixed_at: u64::MAX,
    };
    for (what, length) in [
        ("epoch update", frame(reply::Kind::EpochUpdate(update))),
        ("certificate", certified),
        ("error", frame(reply::Kind::Error(error))),
        ("operators", frame(reply::Kind::Operators(list))),
    ] {
        assert!(length < MAX_REPLY_FRAME * 3 / 4, "{what}: {length}");
    }
}
