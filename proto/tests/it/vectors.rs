//! `tests/golden/vectors.json`: everything that a program in another language needs to check itself
//! against. Numbers of 64 bits and more are decimal strings, bytes are 0x and hexadecimal.

use prost::Message as _;
use quorate_proto::wire::{self, reply, request, state_request};
use quorate_proto::{
    Address, Attestation, B256, Batch, Certificate, Domain, Envelope, Epoch, EpochUpdate,
    EquivocationEvidence, JoinProof, Kind, Operator, OperatorSet, PeerBinding, Presence, ReadBasis,
    RefusalCode, StateProof, Statement, Task, Transfer, U256,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::fixtures::{
    ATTESTATION_TYPE, DOMAIN_TYPE, OPERATORS, attestation_hash, binding, certificate,
    certificate_of, challenge, contradiction, domain, epoch_update, evidence, evidence_across_keys,
    evidence_of, evidence_of_an_unknown_kind, hash_struct, join_proof, member, next_set, operator,
    peer, presence, proof, refused, secret, separator, set, set_hash, signed, statement, transfer,
    typed_digest,
};
use crate::golden;
use crate::timeline;

/// Unix milliseconds at which the fixtures' operators bound their peers.
const BOUND_AT: u64 = 1_700_000_000_000;

#[derive(Serialize)]
struct Vectors {
    about: &'static str,
    network: Network,
    operators: Vec<OperatorVector>,
    total_weight: String,
    threshold: String,
    attestation_type: String,
    attestation_type_hash: String,
    statements: Vec<StatementVector>,
    operator_sets: Vec<SetVector>,
    epoch_updates: Vec<EpochUpdateVector>,
    refusals: Vec<RefusalVector>,
    registration: RegistrationVector,
    binding: BindingVector,
    presence: PresenceVector,
    joins: Vec<JoinVector>,
    certificates: Vec<CertificateVector>,
    equivocations: Vec<EquivocationVector>,
    gossip: Vec<GossipVector>,
    exchange: Vec<FrameVector>,
    malformed_signatures: Vec<MalformedVector>,
}

#[derive(Serialize)]
struct Network {
    home_chain_id: String,
    registry: String,
    name: String,
    domain_type_hash: String,
    domain_separator: String,
    request_protocol: String,
    topics: [String; 5],
}

#[derive(Serialize)]
struct OperatorVector {
    operator: String,
    weight: String,
    signing_secret: String,
    signing_key: String,
    peer_secret: String,
    peer_key: String,
    peer_id: String,
}

#[derive(Serialize)]
struct StatementVector {
    user: String,
    chain_id: u32,
    block_number: String,
    timestamp: String,
    epoch: u32,
    key: String,
    value: String,
    protobuf: String,
    task_id: String,
    slot: String,
    fact: String,
    hash_struct: String,
    digest: String,
    /// By operator 1.
    signature: String,
}

/// Ascending by operator.
#[derive(Serialize)]
struct SetVector {
    epoch: u32,
    operators: Vec<String>,
    signing_keys: Vec<String>,
    weights: Vec<String>,
    total_weight: String,
    threshold: String,
    fixed_at: String,
    leaves: Vec<String>,
    hash: String,
}

#[derive(Serialize)]
struct EpochUpdateVector {
    epoch: u32,
    next_epoch: u32,
    set_hash: String,
    time: String,
    protobuf: String,
    task_id: String,
    slot: String,
    fact: String,
    hash_struct: String,
    digest: String,
    /// By operator 1.
    signature: String,
}

#[derive(Serialize)]
struct RefusalVector {
    task_id: String,
    epoch: u32,
    code: i32,
    digest: String,
    /// By operator 1.
    signature: String,
}

#[derive(Serialize)]
struct RegistrationVector {
    operator: String,
    signing_key: String,
    digest: String,
    signature: String,
}

#[derive(Serialize)]
struct BindingVector {
    operator: String,
    peer_key: String,
    sequence: String,
    digest: String,
    signature: String,
    protobuf: String,
}

#[derive(Serialize)]
struct PresenceVector {
    operator: String,
    instance: String,
    sequence: String,
    digest: String,
    signature: String,
    protobuf: String,
}

#[derive(Serialize)]
struct JoinVector {
    operator: String,
    peer_key: String,
    challenge: String,
    digest: String,
    signature: String,
    protobuf: String,
}

#[derive(Serialize)]
struct CertificateVector {
    digest: String,
    epoch: u32,
    operators: Vec<String>,
    signatures: Vec<String>,
    weight: String,
    certifies: bool,
    signature_data: String,
    compact_signature_data: String,
    protobuf: String,
}

/// Two facts by one operator for one slot; the lower fact is the first.
#[derive(Serialize)]
struct EquivocationVector {
    operator: String,
    slot: String,
    id: String,
    first: SignedVector,
    second: SignedVector,
    protobuf: String,
}

#[derive(Serialize)]
struct SignedVector {
    /// Where it was told.
    statement: Option<String>,
    epoch: u32,
    fact: String,
    digest: String,
    signature: String,
    /// Of the operator in that epoch.
    signing_key: String,
}

#[derive(Serialize)]
struct GossipVector {
    name: &'static str,
    topic: String,
    batch: String,
    signed_bytes: String,
    signature: String,
    message: String,
    message_id: String,
}

#[derive(Serialize)]
struct FrameVector {
    name: &'static str,
    from: &'static str,
    /// The length as an unsigned varint, then the message.
    frame: String,
}

#[derive(Serialize)]
struct MalformedVector {
    why: &'static str,
    signature: String,
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Ordinary, of another chain whose id ends in the same byte, and as large as it gets.
fn statements() -> [StateProof; 3] {
    let large = StateProof {
        user: Address::repeat_byte(0xff),
        chain_id: u32::MAX,
        block_number: u64::MAX,
        timestamp: (1 << 48) - 1,
        epoch: Epoch(u32::MAX),
        key: U256::MAX,
        value: U256::MAX,
    };
    [
        proof(),
        StateProof {
            chain_id: 257,
            ..proof()
        },
        large,
    ]
}

fn network() -> Network {
    let (domain, network) = (domain(), domain().network());
    assert_eq!(
        domain.separator(),
        separator(domain.home_chain_id(), domain.registry())
    );
    Network {
        home_chain_id: domain.home_chain_id().to_string(),
        registry: hex(domain.registry()),
        name: network.to_string(),
        domain_type_hash: hex(alloy_primitives::keccak256(DOMAIN_TYPE)),
        domain_separator: hex(domain.separator()),
        request_protocol: network.protocol("request"),
        topics: Kind::ALL.map(|kind| network.topic(kind)),
    }
}

fn operator_vector(number: u8) -> OperatorVector {
    let member = member(number);
    OperatorVector {
        operator: hex(member.address),
        weight: member.weight.to_string(),
        signing_secret: hex([number; 32]),
        signing_key: hex(member.signing_key),
        peer_secret: hex([number + 0x80; 32]),
        peer_key: hex(peer(number).public()),
        peer_id: peer_id(peer(number).public()),
    }
}

/// Base58 of the identity multihash (0x00, length) of libp2p's PublicKey message.
fn peer_id(key: [u8; 32]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let bytes = [&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20][..], &key].concat();
    let mut number = alloy_primitives::U512::from_be_slice(&bytes);
    let mut digits = Vec::new();
    while !number.is_zero() {
        let (rest, digit) = number.div_rem(alloy_primitives::U512::from(58));
        digits.push(ALPHABET[digit.to::<usize>()]);
        number = rest;
    }
    digits.push(b'1'); // the leading zero byte
    digits.reverse();
    String::from_utf8(digits).expect("the alphabet is ASCII")
}

fn statement_vector(proof: &StateProof) -> StatementVector {
    let (statement, domain) = (Statement::StateProof(*proof), domain());
    let digest = statement.digest(&domain);
    let hash_struct = attestation_hash(&Attestation::from(&statement));
    assert_eq!(digest, typed_digest(domain.separator(), hash_struct));
    StatementVector {
        user: hex(proof.user),
        chain_id: proof.chain_id,
        block_number: proof.block_number.to_string(),
        timestamp: proof.timestamp.to_string(),
        epoch: proof.epoch.0,
        key: hex(B256::from(proof.key)),
        value: hex(B256::from(proof.value)),
        protobuf: hex(wire::Statement::from(&statement).encode_to_vec()),
        task_id: hex(statement.task_id().0),
        slot: hex(statement.slot().0),
        fact: hex(statement.fact()),
        hash_struct: hex(hash_struct),
        digest: hex(digest),
        signature: sign(1, digest),
    }
}

/// The usual, and as large as it gets.
fn epoch_updates() -> [EpochUpdate; 2] {
    let large = EpochUpdate {
        epoch: Epoch(u32::MAX - 1),
        next_epoch: Epoch(u32::MAX),
        set_hash: B256::repeat_byte(0xff),
        time: u64::MAX,
    };
    [epoch_update(), large]
}

fn set_vector(set: &OperatorSet) -> SetVector {
    let members = || set.members().iter();
    assert_eq!(set.hash(), set_hash(set));
    let leaf = |m: &Operator| {
        let weight = m.weight.to_be_bytes::<32>();
        let key = m.signing_key;
        let preimage = [&[0], m.address.as_slice(), key.as_slice(), &weight].concat();
        hex(alloy_primitives::keccak256(preimage))
    };
    SetVector {
        epoch: set.epoch().0,
        operators: members().map(|m| hex(m.address)).collect(),
        signing_keys: members().map(|m| hex(m.signing_key)).collect(),
        weights: members().map(|m| m.weight.to_string()).collect(),
        total_weight: set.total_weight().to_string(),
        threshold: set.threshold().to_string(),
        fixed_at: set.fixed_at().to_string(),
        leaves: members().map(leaf).collect(),
        hash: hex(set.hash()),
    }
}

fn epoch_update_vector(update: &EpochUpdate) -> EpochUpdateVector {
    let (statement, domain) = (Statement::EpochUpdate(*update), domain());
    let digest = statement.digest(&domain);
    let hash_struct = attestation_hash(&Attestation::from(&statement));
    assert_eq!(digest, typed_digest(domain.separator(), hash_struct));
    EpochUpdateVector {
        epoch: update.epoch.0,
        next_epoch: update.next_epoch.0,
        set_hash: hex(update.set_hash),
        time: update.time.to_string(),
        protobuf: hex(wire::Statement::from(&statement).encode_to_vec()),
        task_id: hex(statement.task_id().0),
        slot: hex(statement.slot().0),
        fact: hex(statement.fact()),
        hash_struct: hex(hash_struct),
        digest: hex(digest),
        signature: sign(1, digest),
    }
}

fn sign(number: u8, digest: B256) -> String {
    hex(secret(number).sign(digest).expect("a signature").as_bytes())
}

fn refusal_vector(code: i32) -> RefusalVector {
    let known = RefusalCode::try_from(code).expect("a code");
    let digest = statement().refusal_digest(&domain(), known);
    let fields = [
        statement().task_id().0,
        B256::from(U256::from(1)),
        B256::from(U256::from(code)),
    ];
    let by_hand = hash_struct("Refusal(bytes32 taskId,uint32 epoch,uint32 code)", &fields);
    assert_eq!(digest, typed_digest(domain().separator(), by_hand));
    RefusalVector {
        task_id: hex(statement().task_id().0),
        epoch: 1,
        code,
        digest: hex(digest),
        signature: sign(1, digest),
    }
}

fn registration_vector() -> RegistrationVector {
    let (operator, signing_key) = (operator(1), secret(1).address());
    let digest = domain().registration_digest(operator, signing_key);
    RegistrationVector {
        operator: hex(operator),
        signing_key: hex(signing_key),
        digest: hex(digest),
        signature: sign(1, digest),
    }
}

fn binding_vector() -> BindingVector {
    let bound = binding(1, BOUND_AT);
    let digest = PeerBinding::digest(&domain(), bound.operator, bound.peer_key, BOUND_AT);
    BindingVector {
        operator: hex(bound.operator),
        peer_key: hex(bound.peer_key),
        sequence: BOUND_AT.to_string(),
        digest: hex(digest),
        signature: hex(bound.signature.as_bytes()),
        protobuf: hex(wire::PeerBinding::from(&bound).encode_to_vec()),
    }
}

fn presence_vector() -> PresenceVector {
    let present = presence(1, BOUND_AT);
    let Presence {
        operator,
        instance,
        sequence,
        signature,
    } = present;
    PresenceVector {
        operator: hex(operator),
        instance: hex(instance),
        sequence: sequence.to_string(),
        digest: hex(Presence::digest(&domain(), operator, instance, sequence)),
        signature: hex(signature.as_bytes()),
        protobuf: hex(wire::Presence::from(&present).encode_to_vec()),
    }
}

fn join_vector(number: u8) -> JoinVector {
    let (proof, member) = (join_proof(number), member(number));
    let verified = proof.verify(member.signing_key, &domain(), challenge());
    assert_eq!(verified, Ok(()));
    let (owner, peer_key) = (proof.operator, proof.peer_key);
    let digest = JoinProof::digest(&domain(), owner, peer_key, challenge());
    JoinVector {
        operator: hex(owner),
        peer_key: hex(peer_key),
        challenge: hex(challenge()),
        digest: hex(digest),
        signature: hex(proof.signature.as_bytes()),
        protobuf: hex(wire::JoinProof::from(&proof).encode_to_vec()),
    }
}

/// Enough weight, too little, all of it, and one that hands over an epoch.
fn certificates() -> [Certificate; 4] {
    let update = Statement::EpochUpdate(epoch_update());
    [
        certificate(&[1, 2]),
        certificate(&[1, 3]),
        certificate(&[1, 2, 3, 4]),
        certificate_of(update, &[1, 2, 4]),
    ]
}

fn certificate_vector(certificate: &Certificate) -> CertificateVector {
    let compact = certificate.compact_signature_data(&set()).expect("a form");
    let signers = certificate.signatures();
    let weight = signers
        .iter()
        .fold(U256::ZERO, |sum, s| sum + set().weight_of(s.operator));
    CertificateVector {
        digest: hex(certificate.statement().digest(&domain())),
        epoch: certificate.statement().epoch().0,
        operators: signers.iter().map(|s| hex(s.operator)).collect(),
        signatures: signers
            .iter()
            .map(|s| hex(s.signature.as_bytes()))
            .collect(),
        weight: weight.to_string(),
        certifies: certificate.verify(&set(), &domain()).is_ok(),
        signature_data: hex(certificate.signature_data()),
        compact_signature_data: hex(compact),
        protobuf: hex(wire::Certificate::from(certificate).encode_to_vec()),
    }
}

/// By operator 2, which serves in epochs 1 and 2 with one key: within an epoch, over the turn, and
/// about the set of epoch 2. By operator 4, with another key in epoch 2. And about something of a
/// kind that is not known here.
pub(crate) fn equivocations() -> [EquivocationEvidence; 5] {
    let other_set = EpochUpdate {
        set_hash: B256::repeat_byte(0xab),
        ..epoch_update()
    };
    let updates = [epoch_update(), other_set].map(Statement::EpochUpdate);
    [
        evidence(),
        evidence_of(2, [statement(), contradiction(2)]),
        evidence_of(2, updates),
        evidence_across_keys(),
        evidence_of_an_unknown_kind(),
    ]
}

fn equivocation_vector(evidence: &EquivocationEvidence) -> EquivocationVector {
    let sets = |epoch: Epoch| [set(), next_set()].into_iter().find(|s| s.epoch() == epoch);
    assert_eq!(evidence.verify(&domain(), sets), Ok(()));
    let [first, second] = evidence.attestations().map(|signed| {
        let (attestation, signature) = (signed.attestation(), signed.signature());
        let digest = attestation.digest(&domain());
        let statement = signed.statement().map(wire::Statement::from);
        SignedVector {
            statement: statement.map(|statement| hex(statement.encode_to_vec())),
            epoch: attestation.epoch.0,
            fact: hex(attestation.fact),
            digest: hex(digest),
            signature: hex(signature.as_bytes()),
            signing_key: hex(signature.recover(digest).expect("a key")),
        }
    });
    EquivocationVector {
        operator: hex(evidence.operator()),
        slot: hex(evidence.slot().0),
        id: hex(evidence.id().0),
        first,
        second,
        protobuf: hex(wire::EquivocationEvidence::from(evidence).encode_to_vec()),
    }
}

/// A gossip message by operator 1.
pub(crate) struct Gossip {
    pub(crate) name: &'static str,
    kind: Kind,
    pub(crate) bytes: Vec<u8>,
}

/// One message of each kind.
pub(crate) fn gossip() -> [Gossip; 5] {
    let task = |attempt| Task {
        statement: statement(),
        attempt,
    };
    let refusal = refused(1, RefusalCode::NotFinal, "block 12345, final 12300");
    let batch = |sequence| Batch {
        sequence,
        ..Batch::default()
    };
    let tasks = Batch {
        tasks: vec![task(0), task(1)],
        ..batch(1)
    };
    let responses = Batch {
        responses: vec![signed(1), refusal],
        ..batch(2)
    };
    let results = Batch {
        results: vec![certificate(&[1, 2])],
        ..batch(3)
    };
    let proven = Batch {
        evidence: vec![evidence()],
        ..batch(4)
    };
    let sent = Statement::from(transfer());
    let bridge = Batch {
        tasks: vec![Task {
            statement: sent.clone(),
            attempt: 0,
        }],
        results: vec![certificate_of(sent, &[1, 2])],
        ..batch(5)
    };
    let seal = |name, kind, batch: &Batch| {
        let topic = domain().network().topic(kind);
        let bytes = Envelope::seal(batch, &binding(1, BOUND_AT), &topic, &peer(1));
        Gossip { name, kind, bytes }
    };
    [
        seal("envelope_task", Kind::Task, &tasks),
        seal("envelope_response", Kind::Response, &responses),
        seal("envelope_result", Kind::Result, &results),
        seal("envelope_evidence", Kind::Evidence, &proven),
        seal("envelope_bridge", Kind::Bridge, &bridge),
    ]
}

fn gossip_vector(gossip: &Gossip) -> GossipVector {
    let topic = domain().network().topic(gossip.kind);
    assert!(Envelope::open(&gossip.bytes, &topic, gossip.kind).is_ok());
    let envelope = wire::Envelope::decode(gossip.bytes.as_slice()).expect("an envelope");
    let signed_bytes = [
        b"quorate:v1:gossip:",
        topic.as_bytes(),
        &[0],
        operator(1).as_slice(),
        &BOUND_AT.to_be_bytes(),
        &envelope.batch,
    ]
    .concat();
    assert_eq!(peer(1).sign(&signed_bytes)[..], envelope.signature);
    let id = Sha256::digest([topic.as_bytes(), &[0], &gossip.bytes].concat());
    GossipVector {
        name: gossip.name,
        topic,
        batch: hex(&envelope.batch),
        signed_bytes: hex(signed_bytes),
        signature: hex(&envelope.signature),
        message: hex(&gossip.bytes),
        message_id: hex(&id[..20]),
    }
}

/// A message on the request stream.
pub(crate) struct Exchange {
    pub(crate) name: &'static str,
    pub(crate) kind: Result<wire::Request, wire::Reply>,
}

/// A conversation in which three questions overlap: state, operators, and a certificate that is
/// unknown. One more question shows the other way to name a block.
pub(crate) fn exchange() -> Vec<Exchange> {
    let query = wire::CertificateQuery {
        task_id: vec![0xee; 32],
    };
    let mut messages = vec![
        ask(
            "request_state_at_block",
            1,
            state(state_request::At::BlockNumber(12_345)),
        ),
        ask(
            "request_operators",
            2,
            request::Kind::Operators(wire::OperatorsQuery {}),
        ),
        reply("reply_progress", 1, reply::Kind::Progress(progress())),
        reply(
            "reply_operators",
            2,
            reply::Kind::Operators(operator_list()),
        ),
        ask("request_certificate", 3, request::Kind::Certificate(query)),
        reply("reply_error", 3, reply::Kind::Error(unknown_task())),
        reply(
            "reply_certificate",
            1,
            reply::Kind::Certificate(certified()),
        ),
        ask(
            "request_state_at_time",
            4,
            state(state_request::At::Timestamp(1_700_000_005)),
        ),
        reply("reply_refused", 4, reply::Kind::Error(not_enough())),
    ];
    messages.extend(later());
    messages.extend(timeline::exchange());
    messages
}

fn ask(name: &'static str, id: u64, kind: request::Kind) -> Exchange {
    let kind = Some(kind);
    Exchange {
        name,
        kind: Ok(wire::Request { id, kind }),
    }
}

fn reply(name: &'static str, id: u64, kind: reply::Kind) -> Exchange {
    let kind = Some(kind);
    Exchange {
        name,
        kind: Err(wire::Reply { id, kind }),
    }
}

/// What was added to the conversation later: epochs, evidence and transfers.
fn later() -> [Exchange; 7] {
    [
        ask(
            "request_epoch_update",
            5,
            request::Kind::EpochUpdate(wire::EpochUpdateQuery {
                next_epoch: 2,
                by_epoch: None,
            }),
        ),
        reply(
            "reply_epoch_update",
            5,
            reply::Kind::EpochUpdate(handed_over()),
        ),
        ask(
            "request_evidence",
            9,
            request::Kind::Evidence(wire::EvidenceQuery {
                operator: operator(2).to_vec(),
                ..wire::EvidenceQuery::default()
            }),
        ),
        reply("reply_evidence", 9, reply::Kind::Evidence(held())),
        ask(
            "request_transfer",
            10,
            request::Kind::Transfer(wire::TransferQuery {
                route: transfer().route.id().to_vec(),
                nonce: transfer().nonce,
                follow: true,
                ..wire::TransferQuery::default()
            }),
        ),
        ask(
            "request_transfer_sent",
            11,
            request::Kind::Transfer(wire::TransferQuery {
                source_chain: transfer().route.source_chain,
                source_contract: transfer().route.source_contract.to_vec(),
                transaction: vec![0x5e; 32],
                ..wire::TransferQuery::default()
            }),
        ),
        reply("reply_transfer", 10, reply::Kind::Transfer(followed())),
    ]
}

/// One of each stage.
fn followed() -> wire::TransferReply {
    let stages = (1..=9).map(|stage| wire::TransferStep {
        stage,
        at_ms: BOUND_AT + u64::from(stage.unsigned_abs()),
    });
    let certificate = certificate_of(Statement::Transfer(transfer()), &[1, 2]);
    let sent = Transfer {
        epoch: Epoch(0),
        ..transfer()
    };
    wire::TransferReply {
        route: sent.route.id().to_vec(),
        nonce: sent.nonce,
        transfer: Some((&sent).into()),
        place: Some(wire::TransferPlace {
            block_number: 12_345,
            block_hash: vec![3; 32],
            block_time: 1_700_000_000,
            transaction: vec![0x5e; 32],
            log_index: 7,
        }),
        steps: stages.collect(),
        task_id: certificate.statement().task_id().0.to_vec(),
        certificate: Some((&certificate).into()),
        signed_weight: weight(70),
        total_weight: weight(100),
        delivery: Some(wire::TransferDelivery {
            id: vec![0xde; 32],
            failures: 1,
            spent: weight(21_000),
            next_try_ms: BOUND_AT,
            reason: "reverted: not yet".to_owned(),
            transaction: vec![0xc0; 32],
            block_number: 40,
            gas_used: 138_411,
            ended_ms: BOUND_AT + 1,
        }),
        more: true,
    }
}

fn state(at: state_request::At) -> request::Kind {
    request::Kind::State(wire::StateRequest {
        chain_id: 1,
        user: proof().user.to_vec(),
        key: proof().key.to_be_bytes_vec(),
        at: Some(at),
    })
}

pub(crate) fn weight(number: u64) -> Vec<u8> {
    U256::from(number).to_be_bytes_vec()
}

fn progress() -> wire::Progress {
    wire::Progress {
        task_id: statement().task_id().0.to_vec(),
        epoch: 1,
        signed: 1,
        refused: 1,
        signed_weight: weight(40),
        refused_weight: weight(20),
        threshold: weight(67),
        total_weight: weight(100),
        attempt: 1,
    }
}

fn certified() -> wire::CertificateReply {
    let certificate: Certificate = certificate(&[1, 2]);
    wire::CertificateReply {
        task_id: statement().task_id().0.to_vec(),
        certificate: Some((&certificate).into()),
        signature_data: certificate.signature_data(),
        digest: statement().digest(&domain()).to_vec(),
        stored: true,
        read_bases: vec![ReadBasis::Proof.into(), ReadBasis::Vote.into()],
    }
}

fn handed_over() -> wire::EpochUpdateReply {
    let certificate = certificate_of(Statement::EpochUpdate(epoch_update()), &[1, 2]);
    wire::EpochUpdateReply {
        set: Some((&next_set()).into()),
        certificate: Some((&certificate).into()),
    }
}

fn held() -> wire::EvidenceReply {
    let entry = wire::EvidenceEntry {
        evidence: Some((&evidence()).into()),
        found_ms: BOUND_AT,
    };
    wire::EvidenceReply {
        entries: vec![entry],
        more: false,
    }
}

fn unknown_task() -> wire::RequestError {
    wire::RequestError {
        code: wire::ErrorCode::UnknownTask.into(),
        message: "no such task is known here".to_owned(),
        ..wire::RequestError::default()
    }
}

fn not_enough() -> wire::RequestError {
    wire::RequestError {
        code: wire::ErrorCode::Expired.into(),
        message: "weight 40 of 67 signed within 15 s".to_owned(),
        retryable: true,
        progress: Some(progress()),
        refusals: vec![wire::RefusalReport {
            operator: operator(3).to_vec(),
            code: RefusalCode::NotFinal.into(),
            detail: "block 12345, final 12300".to_owned(),
        }],
        missing: vec![operator(2).to_vec(), operator(4).to_vec()],
    }
}

fn operator_list() -> wire::OperatorList {
    let entry = |number: &u8| {
        let member = member(*number);
        // No peer has bound itself to operator 4 yet.
        let (peer_id, addresses) = match number {
            4 => (String::new(), vec![]),
            _ => (
                peer_id(peer(*number).public()),
                vec![format!("/ip4/192.0.2.{number}/tcp/4001")],
            ),
        };
        wire::OperatorEntry {
            operator: member.address.to_vec(),
            signing_key: member.signing_key.to_vec(),
            weight: member.weight.to_be_bytes_vec(),
            peer_id,
            addresses,
        }
    };
    wire::OperatorList {
        epoch: 1,
        total_weight: weight(100),
        operators: OPERATORS.iter().map(entry).collect(),
        fixed_at: set().fixed_at(),
    }
}

fn frame_vector(exchange: &Exchange) -> FrameVector {
    let (from, frame) = match &exchange.kind {
        Ok(request) => ("client", request.encode_length_delimited_to_vec()),
        Err(reply) => ("operator", reply.encode_length_delimited_to_vec()),
    };
    FrameVector {
        name: exchange.name,
        from,
        frame: hex(frame),
    }
}

/// The signature of the first statement, spoilt.
fn malformed_signatures() -> Vec<MalformedVector> {
    let digest = statement().digest(&domain());
    let good = *secret(1).sign(digest).expect("a signature").as_bytes();
    let spoil = |why, change: fn(&mut Vec<u8>)| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        let read = quorate_proto::Signature::parse(&bytes).and_then(|s| s.recover(digest));
        assert!(read.is_err(), "{why}");
        MalformedVector {
            why,
            signature: hex(bytes),
        }
    };
    vec![
        spoil("64 bytes", |b| b.truncate(64)),
        spoil("66 bytes", |b| b.push(0)),
        spoil("v is 0 or 1", |b| b[64] -= 27),
        spoil("v is 29", |b| b[64] = 29),
        spoil("s is in the upper half", |b| upper_twin(b)),
        spoil("r is 0", |b| b[..32].fill(0)),
        spoil("s is 0", |b| b[32..64].fill(0)),
    ]
}

/// n - s instead of s, with the other v: verifies under plain ECDSA.
fn upper_twin(bytes: &mut [u8]) {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order = U256::from_str_radix(order, 16).expect("a number");
    let twin = order - U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&twin.to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
}

#[test]
fn golden_vectors() {
    assert_eq!(Domain::new(31_337, domain().registry()), domain());
    let vectors = Vectors {
        about: "Test vectors of the Quorate wire format, explained in docs/wire.md. Numbers of 64 \
                bits and more are decimal strings, bytes are 0x and hexadecimal. The keys are for \
                tests only.",
        network: network(),
        operators: OPERATORS.map(operator_vector).into(),
        total_weight: set().total_weight().to_string(),
        threshold: set().threshold().to_string(),
        attestation_type: ATTESTATION_TYPE.to_owned(),
        attestation_type_hash: hex(alloy_primitives::keccak256(ATTESTATION_TYPE)),
        statements: statements().iter().map(statement_vector).collect(),
        operator_sets: [set(), next_set()].iter().map(set_vector).collect(),
        epoch_updates: epoch_updates().iter().map(epoch_update_vector).collect(),
        refusals: (1..=10).map(refusal_vector).collect(),
        registration: registration_vector(),
        binding: binding_vector(),
        presence: presence_vector(),
        joins: [1, 4].map(join_vector).into(),
        certificates: certificates().iter().map(certificate_vector).collect(),
        equivocations: equivocations().iter().map(equivocation_vector).collect(),
        gossip: gossip().iter().map(gossip_vector).collect(),
        exchange: exchange().iter().map(frame_vector).collect(),
        malformed_signatures: malformed_signatures(),
    };
    let json = serde_json::to_string_pretty(&vectors).expect("strings and numbers");
    golden::check("vectors.json", &(json + "\n"));
}
