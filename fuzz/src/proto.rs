//! What must hold for any bytes that somebody sends: what is accepted has one form, keeps to its
//! bounds, and verifies only where it would verify again.
//!
//! Compiled into the fuzz targets, and into the tests of `quorate-proto`, which run the corpora.

use std::fmt::Debug;

use prost::Message;
use quorate_proto::store::{MembershipRecord, OperatorSetRecord};
use quorate_proto::{
    Address, B256, Batch, Certificate, Domain, Envelope, Epoch, JoinRequest, Kind, Member,
    Operator, OperatorSet, PeerBinding, PeerSecret, Response, SecretKey, Signature, StateProof,
    Statement, SyncItem, Task, TaskState, Transition, U256, WireError, limits, threshold_of, wire,
};

/// A target: bytes from anybody.
pub type Check = fn(&[u8]);

/// All targets of this crate, by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("batch", batch),
    ("certificate", certificate),
    ("certificate_compact", certificate_compact),
    ("envelope", envelope),
    ("join", join),
    ("membership", membership),
    ("operator_set", operator_set),
    ("registry", registry),
    ("reply", reply),
    ("request", request),
    ("response", response),
    ("signature", signature),
    ("statement", statement),
    ("sync", sync),
];

/// The network of the golden files.
fn domain() -> Domain {
    let registry: Address = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
        .parse()
        .expect("an address");
    Domain::new(31_337, registry)
}

fn operator(number: u8) -> Address {
    Address::repeat_byte(number.wrapping_mul(0x11))
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).expect("a key")
}

/// The peer key of operator 1.
fn peer() -> PeerSecret {
    PeerSecret::from_bytes(&[0x81; 32])
}

/// The set of the golden files: weights 40, 30, 20 and 10, threshold 67.
fn set() -> OperatorSet {
    let member = |number: u8| Operator {
        address: operator(number),
        signing_key: secret(number).address(),
        ed25519_key: None,
        weight: U256::from([0, 40, 30, 20, 10][usize::from(number)]),
    };
    let total = U256::from(100);
    let members = (1..=4).map(member).collect();
    OperatorSet::new(Epoch(1), members, total, threshold_of(total)).expect("a set")
}

/// The statement of the golden files.
fn known_statement() -> Statement {
    Statement::StateProof(StateProof {
        user: "0x1234567890123456789012345678901234567890"
            .parse()
            .expect("an address"),
        chain_id: 1,
        block_number: 12_345,
        timestamp: 1_700_000_000,
        epoch: Epoch(1),
        key: U256::from(1),
        value: U256::from(100),
    })
}

/// Decodes a message and what it means; both come back the same from their own encoding.
fn decode<M, T>(bytes: &[u8]) -> Option<T>
where
    M: Message + Default + PartialEq,
    T: for<'a> TryFrom<&'a M, Error = WireError> + PartialEq + Debug,
    for<'a> M: From<&'a T>,
{
    let message = stable::<M>(bytes)?;
    let value = T::try_from(&message).ok()?;
    let again = M::from(&value);
    assert_eq!(
        T::try_from(&again).as_ref(),
        Ok(&value),
        "decode(encode(x)) is x"
    );
    let twice = M::decode(again.encode_to_vec().as_slice()).expect("what was encoded");
    assert!(twice == again, "the wire form survives the wire");
    Some(value)
}

/// Decodes a message; what it encodes to is decoded to the same.
fn stable<M: Message + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let encoded = message.encode_to_vec();
    let again = M::decode(encoded.as_slice()).expect("what was encoded");
    assert!(again == message, "decode(encode(x)) is x");
    assert_eq!(again.encode_to_vec(), encoded, "there is one plain form");
    Some(message)
}

/// Raw gossip messages, as they come from the mesh.
pub fn envelope(bytes: &[u8]) {
    let opened: Vec<(Kind, Envelope)> = Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            let topic = domain().network().topic(kind);
            Some((kind, Envelope::open(bytes, &topic, kind).ok()?))
        })
        .collect();
    assert!(opened.len() <= 1, "a message belongs to one topic");
    let Some((kind, envelope)) = opened.into_iter().next() else {
        return;
    };
    assert!(bytes.len() <= limits::MAX_GOSSIP_BYTES);
    check_batch(&envelope.batch, kind);
    let plain = wire::Envelope::decode(bytes).expect("it was opened");
    assert_eq!(
        plain.encode_to_vec(),
        bytes,
        "whoever forwards it cannot change its form"
    );
    let elsewhere = Domain::new(1, operator(1)).network().topic(kind);
    assert!(
        Envelope::open(bytes, &elsewhere, kind).is_err(),
        "another network's message"
    );
    check_binding(&envelope.author);
}

fn check_binding(binding: &PeerBinding) {
    for number in 1..=4 {
        let key = secret(number).address();
        if binding.verify(key, &domain()).is_ok() {
            let later = PeerBinding {
                sequence: binding.sequence.wrapping_add(1),
                ..*binding
            };
            assert!(later.verify(key, &domain()).is_err(), "signs its sequence");
        }
    }
}

fn check_batch(batch: &Batch, kind: Kind) {
    let counts = [
        batch.tasks.len(),
        batch.responses.len(),
        batch.results.len(),
    ];
    let all: usize = counts.iter().sum();
    let own = match kind {
        Kind::Task => counts[0],
        Kind::Response => counts[1],
        Kind::Result => counts[2],
        #[allow(unreachable_patterns, reason = "kinds are added")]
        _ => return,
    };
    assert_eq!(own, all, "entries of one kind");
    assert!(
        (1..=limits::MAX_BATCH_ITEMS).contains(&all),
        "{all} entries"
    );
    assert!(
        batch
            .tasks
            .iter()
            .all(|task| task.attempt < limits::MAX_ATTEMPTS)
    );
    batch.responses.iter().for_each(check_response);
    batch.results.iter().for_each(check_certificate);
}

/// The inside of gossip messages, sealed by operator 1: the first byte chooses the topic.
pub fn batch(bytes: &[u8]) {
    let Some((choice, raw)) = bytes.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    let topic = domain().network().topic(kind);
    let sealed = seal(raw, &topic);
    let opened = Envelope::open(&sealed, &topic, kind);
    let plain = wire::Batch::decode(raw)
        .ok()
        .filter(|m| m.encode_to_vec() == raw);
    let value = plain
        .as_ref()
        .and_then(|message| Batch::try_from(message).ok());
    match opened {
        Ok(envelope) => {
            check_batch(&envelope.batch, kind);
            let again = Batch::try_from(&wire::Batch::from(&envelope.batch));
            assert_eq!(again, Ok(envelope.batch.clone()), "decode(encode(x)) is x");
            let resealed = Envelope::seal(&envelope.batch, &envelope.author, &topic, &peer());
            let reopened = Envelope::open(&resealed, &topic, kind);
            assert_eq!(reopened, Ok(envelope), "open(seal(x)) is x");
        }
        Err(error) => {
            // A good batch of this topic in its plain form is never turned away.
            let is_good = |batch: &Batch| {
                let counts = [
                    batch.tasks.len(),
                    batch.responses.len(),
                    batch.results.len(),
                ];
                let own = Kind::ALL
                    .iter()
                    .position(|k| *k == kind)
                    .and_then(|i| counts.get(i));
                let all: usize = counts.iter().sum();
                own == Some(&all) && (1..=limits::MAX_BATCH_ITEMS).contains(&all)
            };
            let fits = raw.len() <= limits::MAX_BATCH_BYTES;
            assert!(
                !(fits && value.as_ref().is_some_and(is_good)),
                "{error}: {value:?}"
            );
        }
    }
}

/// As docs/wire.md has it, by hand.
fn seal(batch: &[u8], topic: &str) -> Vec<u8> {
    let sequence = 1_700_000_000_000;
    let digest = PeerBinding::digest(&domain(), operator(1), peer().public(), sequence);
    let author = PeerBinding {
        operator: operator(1),
        peer_key: peer().public(),
        sequence,
        signature: secret(1).sign(digest).expect("a signature"),
    };
    let signed = [
        b"quorate:v1:gossip:",
        topic.as_bytes(),
        b"\0",
        author.operator.as_slice(),
        &sequence.to_be_bytes(),
        batch,
    ]
    .concat();
    wire::Envelope {
        batch: batch.to_vec(),
        author: Some((&author).into()),
        signature: peer().sign(&signed).to_vec(),
    }
    .encode_to_vec()
}

/// Responses.
pub fn response(bytes: &[u8]) {
    if let Some(response) = decode::<wire::Response, Response>(bytes) {
        check_response(&response);
    }
}

fn check_response(response: &Response) {
    let (set, domain) = (set(), domain());
    if response.verify(&set, &domain).is_err() {
        return;
    }
    assert!(set.get(response.operator).is_some(), "signed by a member");
    let statement = other(&response.statement);
    let moved = Response {
        statement,
        ..response.clone()
    };
    assert!(moved.verify(&set, &domain).is_err(), "signs its statement");
    let another = Response {
        operator: set
            .members()
            .iter()
            .map(|member| member.address)
            .find(|address| *address != response.operator)
            .expect("four members"),
        ..response.clone()
    };
    assert!(
        another.verify(&set, &domain).is_err(),
        "signs for its operator"
    );
    let elsewhere = Domain::new(1, domain.registry());
    assert!(
        response.verify(&set, &elsewhere).is_err(),
        "signs for its network"
    );
}

/// The same statement in the next epoch.
fn other(statement: &Statement) -> Statement {
    match *statement {
        Statement::StateProof(proof) => Statement::StateProof(StateProof {
            epoch: Epoch(proof.epoch.0.wrapping_add(1)),
            ..proof
        }),
        Statement::EpochUpdate(update) => Statement::EpochUpdate(quorate_proto::EpochUpdate {
            epoch: Epoch(update.epoch.0.wrapping_add(1)),
            ..update
        }),
    }
}

/// Certificates.
pub fn certificate(bytes: &[u8]) {
    if let Some(certificate) = decode::<wire::Certificate, Certificate>(bytes) {
        check_certificate(&certificate);
    }
}

fn check_certificate(certificate: &Certificate) {
    let (set, domain) = (set(), domain());
    let signers = certificate.signatures();
    assert!((1..=limits::MAX_SIGNERS).contains(&signers.len()));
    assert!(
        signers.windows(2).all(|w| w[0].operator < w[1].operator),
        "strictly ascending"
    );
    let calldata = certificate.signature_data();
    assert_eq!(calldata.len() % 32, 0, "whole words");
    // Heads, two lengths, and per signer an address, an offset, a length and three words.
    assert_eq!(calldata.len(), 32 * (5 + 6 * signers.len()));
    if let Ok(short) = certificate.compact_signature_data(&set) {
        let back = Certificate::decode_compact(&short, &set, *certificate.statement());
        assert_eq!(
            back.as_ref(),
            Ok(certificate),
            "the short form means the same"
        );
    }
    let Ok(weight) = certificate.verify(&set, &domain) else {
        return;
    };
    assert_eq!(certificate.statement().epoch(), set.epoch());
    let sum = signers.iter().fold(U256::ZERO, |sum, signer| {
        sum.saturating_add(set.weight_of(signer.operator))
    });
    assert_eq!(weight, sum);
    assert!(weight >= set.threshold(), "nothing below the threshold");
    let digest = certificate.statement().digest(&domain);
    for signer in signers {
        let key = set.get(signer.operator).map(|member| member.signing_key);
        assert_eq!(
            signer.signature.recover(digest).ok(),
            key,
            "each signature by itself"
        );
    }
}

/// The short form of certificates.
pub fn certificate_compact(bytes: &[u8]) {
    let set = set();
    if let Ok(certificate) = Certificate::decode_compact(bytes, &set, known_statement()) {
        let again = certificate.compact_signature_data(&set);
        assert_eq!(again.as_deref(), Ok(bytes), "there is one short form");
        check_certificate(&certificate);
    }
}

/// Statements, and what is made of them.
pub fn statement(bytes: &[u8]) {
    let Some(statement) = decode::<wire::Statement, Statement>(bytes) else {
        return;
    };
    let (next, domain) = (other(&statement), domain());
    assert_ne!(statement.task_id(), next.task_id(), "a task has one epoch");
    assert_ne!(
        statement.digest(&domain),
        next.digest(&domain),
        "a signature has one epoch"
    );
    assert_eq!(
        (statement.slot(), statement.fact()),
        (next.slot(), next.fact())
    );
    assert_ne!(statement.svm_message(&domain), next.svm_message(&domain));
    if let Statement::StateProof(proof) = statement {
        let lie = Statement::StateProof(StateProof {
            value: proof.value.wrapping_add(U256::ONE),
            ..proof
        });
        assert_eq!(lie.slot(), statement.slot(), "one truth only");
        assert_ne!(lie.fact(), statement.fact());
    }
}

/// Signatures in both forms, over a digest of the bytes that follow.
pub fn signature(bytes: &[u8]) {
    let Some((signature, rest)) = bytes.split_first_chunk::<65>() else {
        assert!(Signature::parse(bytes).is_err(), "65 bytes and no fewer");
        return;
    };
    let digest = quorate_proto::keccak256(rest);
    if let Ok(parsed) = Signature::parse(signature) {
        assert_eq!(parsed.as_bytes(), signature);
        assert_eq!(Signature::from_compact(&parsed.to_compact()), Ok(parsed));
        if let Ok(signer) = parsed.recover(digest) {
            let other = quorate_proto::keccak256(digest);
            assert_ne!(parsed.recover(other).ok(), Some(signer), "signs one digest");
            check_malleable(signature, digest, signer);
        }
    }
    if let Some((compact, _)) = bytes.split_first_chunk::<64>()
        && let Ok(parsed) = Signature::from_compact(compact)
    {
        assert_eq!(parsed.to_compact(), *compact);
    }
}

/// The second signature that everybody can make of one is none.
fn check_malleable(signature: &[u8; 65], digest: B256, signer: Address) {
    let order: U256 = "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
        .parse()
        .expect("a number");
    let s = U256::from_be_slice(&signature[32..64]);
    let mut twin = *signature;
    twin[32..64].copy_from_slice(&order.wrapping_sub(s).to_be_bytes::<32>());
    twin[64] = 55 - signature[64];
    let recovered = Signature::parse(&twin).and_then(|twin| twin.recover(digest));
    assert_ne!(recovered.ok(), Some(signer), "one signature has one form");
}

/// Questions of users.
pub fn request(bytes: &[u8]) {
    if let Some(request) = stable::<wire::Request>(bytes) {
        // A stream may carry several.
        let framed = request.encode_length_delimited_to_vec();
        let again = wire::Request::decode_length_delimited(framed.as_slice());
        assert_eq!(again.as_ref(), Ok(&request));
    }
}

/// Answers of operators.
pub fn reply(bytes: &[u8]) {
    let Some(reply) = stable::<wire::Reply>(bytes) else {
        return;
    };
    match reply.kind {
        Some(wire::reply::Kind::Certificate(reply)) => {
            if let Some(Ok(certificate)) = reply.certificate.as_ref().map(Certificate::try_from) {
                check_certificate(&certificate);
            }
        }
        Some(wire::reply::Kind::Operators(list)) => check_list(&list),
        Some(wire::reply::Kind::EpochUpdate(reply)) => {
            reply.set.as_ref().into_iter().for_each(check_list);
        }
        _ => {}
    }
}

fn check_list(list: &wire::OperatorList) {
    if let Ok(set) = OperatorSet::try_from(list) {
        check_set(&set);
        let again = OperatorSet::try_from(&wire::OperatorList::from(&set));
        assert_eq!(again.as_ref(), Ok(&set), "decode(encode(x)) is x");
    }
}

/// Operator sets, as they are stored and as they are sent.
pub fn operator_set(bytes: &[u8]) {
    if let Some(list) = stable::<wire::OperatorList>(bytes) {
        check_list(&list);
    }
    if let Some(set) = decode::<OperatorSetRecord, OperatorSet>(bytes) {
        check_set(&set);
    }
}

fn check_set(set: &OperatorSet) {
    let members = set.members();
    assert!(
        members.windows(2).all(|w| w[0].address < w[1].address),
        "strictly ascending"
    );
    assert!(
        members.iter().all(|member| !member.weight.is_zero()),
        "nobody without weight"
    );
    assert!(!set.threshold().is_zero(), "something is needed");
    for (index, member) in members.iter().enumerate() {
        assert_eq!(set.position(member.address), Some(index));
    }
    let same = OperatorSet::new(
        set.epoch(),
        members.iter().rev().copied().collect(),
        set.total_weight(),
        set.threshold(),
    );
    assert_eq!(
        same.map(|same| same.hash()),
        Ok(set.hash()),
        "a hash of the set, not of its order"
    );
}

/// Operators that want to join.
pub fn join(bytes: &[u8]) {
    let Some(request) = decode::<wire::JoinRequest, JoinRequest>(bytes) else {
        return;
    };
    assert!(request.addresses.len() <= limits::MAX_ADDRESSES);
    assert!(
        request
            .addresses
            .iter()
            .all(|a| a.len() <= limits::MAX_ADDRESS_BYTES)
    );
    let (key, challenge) = (secret(1).address(), B256::repeat_byte(0x5a));
    let ed25519_key = request.proof.ed25519.map(|proof| proof.key);
    let verify = |challenge| request.verify(key, ed25519_key, &domain(), challenge);
    if verify(challenge).is_ok() {
        assert!(
            verify(B256::repeat_byte(0xa5)).is_err(),
            "answers its challenge"
        );
    }
}

/// Records and events of operators' lives.
pub fn membership(bytes: &[u8]) {
    decode::<MembershipRecord, Member>(bytes);
    if let Some(event) = stable::<wire::LifecycleEvent>(bytes)
        && let Ok(transition) = Transition::try_from(&event)
    {
        let again = Transition::try_from(&transition.to_event(event.sequence));
        assert_eq!(again, Ok(transition), "decode(encode(x)) is x");
    }
}

/// What registries and operators say to each other; the first byte chooses the message.
pub fn registry(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice % 12 {
        0 => drop(stable::<wire::StateUpdate>(rest)),
        1 => drop(stable::<wire::SyncReply>(rest)),
        2 => drop(stable::<wire::SyncRequest>(rest)),
        3 => drop(stable::<wire::JoinReply>(rest)),
        4 => drop(stable::<wire::Challenge>(rest)),
        5 => drop(stable::<wire::ChallengeRequest>(rest)),
        6 => drop(stable::<wire::EventsReply>(rest)),
        7 => drop(stable::<wire::NetworkReply>(rest)),
        8 => drop(stable::<wire::OperatorsReply>(rest)),
        9 => drop(stable::<wire::RegistryError>(rest)),
        10 => drop(decode::<wire::Task, Task>(rest)),
        _ => {
            if let Some(binding) = decode::<wire::PeerBinding, PeerBinding>(rest) {
                check_binding(&binding);
            }
        }
    }
}

/// What nodes that catch up ask and hear: an odd first byte is a question, an even one an answer.
pub fn sync(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    if choice % 2 == 1 {
        if let Some(wire::sync_query::Kind::Tasks(query)) =
            stable::<wire::SyncQuery>(rest).and_then(|query| query.kind)
        {
            query.tasks.iter().for_each(check_state);
        }
        return;
    }
    match stable::<wire::SyncAnswer>(rest).and_then(|answer| answer.kind) {
        Some(wire::sync_answer::Kind::Items(items)) => items.items.iter().for_each(check_item),
        Some(wire::sync_answer::Kind::Recent(recent)) => {
            recent.tasks.iter().for_each(check_state);
        }
        Some(wire::sync_answer::Kind::Set(reply)) => {
            reply.set.as_ref().into_iter().for_each(check_list);
        }
        _ => {}
    }
}

fn check_state(state: &wire::SyncTaskState) {
    if let Ok(state) = TaskState::try_from(state) {
        assert!(state.signed.iter().all(|member| member < MAX_MEMBERS));
        let mut both = state.clone();
        both.merge(&state);
        assert!(
            both.signed.iter().eq(state.signed.iter()),
            "merging with itself adds nobody"
        );
        assert!(!state.lacks(&both));
    }
}

/// Bits of whole bytes for the most signers.
const MAX_MEMBERS: usize = limits::MAX_SIGNERS.div_ceil(8) * 8;

fn check_item(message: &wire::SyncItem) {
    let Ok(item) = SyncItem::try_from(message) else {
        return;
    };
    assert!(!item.answers.is_empty());
    assert!(
        item.answers.iter().all(|(member, _)| *member < MAX_MEMBERS),
        "nobody beyond a set"
    );
    let again = SyncItem::try_from(&wire::SyncItem::from(&item));
    assert_eq!(again.as_ref(), Ok(&item), "decode(encode(x)) is x");
    if let Ok(responses) = item.responses(&set()) {
        assert_eq!(responses.len(), item.answers.len());
        let mut operators: Vec<Address> = responses.iter().map(|r| r.operator).collect();
        operators.sort();
        operators.dedup();
        assert_eq!(operators.len(), responses.len(), "nobody answers twice");
        responses.iter().for_each(check_response);
    }
}
