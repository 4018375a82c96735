//! Decoding takes any bytes from anybody: an answer or an error, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use quorate_proto::store::{
    Cursor, Evidence, MembershipRecord, Meta, OperatorSetRecord, PeerRecord, ResponseRecord,
    SigningRecord, TaskRecord, TaskRef,
};
use quorate_proto::{
    Certificate, Envelope, EquivocationEvidence, JoinRequest, Kind, Member, OperatorSet,
    PeerBinding, Presence, Response, Statement, SyncItem, Task, TaskState, Transition, wire,
};

use crate::fixtures::{binding, challenge, domain, peer, secret, set};
use crate::values;

/// Reads `bytes` as everything there is and, where that succeeds, checks what it means.
fn read_as_everything(bytes: &[u8]) {
    let domain = domain();
    for kind in Kind::ALL {
        let topic = domain.network().topic(kind);
        if let Ok(envelope) = Envelope::open(bytes, &topic, kind) {
            let _ = envelope.author.verify(secret(1).address(), &domain);
        }
    }
    if let Ok(message) = wire::Response::decode(bytes) {
        let _ = Response::try_from(&message).map(|r| r.verify(&set(), &domain));
    }
    if let Ok(message) = wire::Certificate::decode(bytes) {
        let _ = Certificate::try_from(&message)
            .map(|c| (c.signature_data(), c.verify(&set(), &domain)));
    }
    if let Ok(message) = wire::Statement::decode(bytes) {
        let _ = Statement::try_from(&message).map(|s| (s.task_id(), s.fact(), s.digest(&domain)));
    }
    if let Ok(message) = wire::EquivocationEvidence::decode(bytes) {
        let _ =
            EquivocationEvidence::try_from(&message).map(|e| e.verify(&domain, |_| Some(set())));
    }
    let _ = wire::Task::decode(bytes).map(|m| Task::try_from(&m));
    let _ = wire::PeerBinding::decode(bytes).map(|m| PeerBinding::try_from(&m));
    let _ = wire::Presence::decode(bytes).map(|m| Presence::try_from(&m));
    let _ = OperatorSetRecord::decode(bytes).map(|m| OperatorSet::try_from(&m));
    let _ = MembershipRecord::decode(bytes).map(|m| Member::try_from(&m));
    let _ = wire::LifecycleEvent::decode(bytes).map(|m| Transition::try_from(&m));
    if let Ok(message) = wire::JoinRequest::decode(bytes) {
        let key = secret(1).address();
        let _ = JoinRequest::try_from(&message).map(|r| r.verify(key, &domain, challenge()));
    }
    let _ = wire::StateUpdate::decode(bytes);
    let _ = wire::SyncReply::decode(bytes);
    let _ = wire::SyncQuery::decode(bytes);
    let _ = wire::SyncAnswer::decode(bytes);
    let _ = wire::SyncTaskState::decode(bytes).map(|m| TaskState::try_from(&m));
    if let Ok(message) = wire::SyncItem::decode(bytes) {
        let _ = SyncItem::try_from(&message).map(|item| item.responses(&set()));
    }
    let _ = wire::Request::decode(bytes);
    let _ = wire::Request::decode_length_delimited(bytes);
    let _ = wire::Reply::decode(bytes);
    let _ = wire::Reply::decode_length_delimited(bytes);
    read_as_stored(bytes);
}

fn read_as_stored(bytes: &[u8]) {
    let _ = (
        Meta::decode(bytes),
        SigningRecord::decode(bytes),
        TaskRecord::decode(bytes),
    );
    let _ = (
        ResponseRecord::decode(bytes),
        TaskRef::decode(bytes),
        Cursor::decode(bytes),
    );
    let _ = (PeerRecord::decode(bytes), Evidence::decode(bytes));
}

/// A small damage somewhere in valid bytes.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(i, byte)| Damage::Set(i, byte)),
        (at(), 0_u8..8).prop_map(|(i, bit)| Damage::Flip(i, bit)),
        (at(), vec(any::<u8>(), 1..12)).prop_map(|(i, b)| Damage::Insert(i, b)),
        at().prop_map(Damage::Remove),
        at().prop_map(Damage::Cut),
        (at(), at()).prop_map(|(i, j)| Damage::Repeat(i, j)),
    ]
}

fn inflict(bytes: &mut Vec<u8>, damage: Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Set(i, byte) => bytes[i.index(length)] = byte,
        Damage::Flip(i, bit) => bytes[i.index(length)] ^= 1 << bit,
        Damage::Insert(i, new) => {
            let at = i.index(length);
            bytes.splice(at..at, new);
        }
        Damage::Remove(i) => drop(bytes.remove(i.index(length))),
        Damage::Cut(i) => bytes.truncate(i.index(length)),
        Damage::Repeat(i, j) => {
            let (a, b) = (i.index(length), j.index(length));
            bytes.extend_from_within(a.min(b)..a.max(b));
        }
    }
}

/// Valid bytes of any kind of message.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let sealed = values::batch().prop_map(|(kind, batch)| {
        let topic = domain().network().topic(kind);
        Envelope::seal(&batch, &binding(1, 1), &topic, &peer(1))
    });
    prop_oneof![
        3 => sealed,
        1 => values::response().prop_map(|v| wire::Response::from(&v).encode_to_vec()),
        1 => values::certificate().prop_map(|v| wire::Certificate::from(&v).encode_to_vec()),
        1 => values::evidence().prop_map(|v| wire::EquivocationEvidence::from(&v).encode_to_vec()),
        1 => values::request().prop_map(|v| v.encode_to_vec()),
        1 => values::reply().prop_map(|v| v.encode_to_vec()),
        1 => Just(OperatorSetRecord::from(&set()).encode_to_vec()),
        1 => values::join_request().prop_map(|v| wire::JoinRequest::from(&v).encode_to_vec()),
        1 => values::member().prop_map(|v| MembershipRecord::from(&v).encode_to_vec()),
        1 => values::transition().prop_map(|v| v.to_event(1).encode_to_vec()),
        1 => Just(crate::sync::item().encode_to_vec()),
        1 => proptest::sample::select(crate::sync::answers()).prop_map(|(_, v)| v.encode_to_vec()),
    ]
}

/// Bytes that mostly have the length that they should.
fn field(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => vec(any::<u8>(), length), 1 => vec(any::<u8>(), 0..70)]
}

/// Bytes that are mostly in the form of a signature.
fn signature() -> impl Strategy<Value = Vec<u8>> {
    let proper = values::signature().prop_map(|s| s.as_bytes().to_vec());
    prop_oneof![9 => proper, 1 => field(65)]
}

/// Well-formed protobuf whose fields may have any length and number.
fn any_length() -> impl Strategy<Value = wire::Response> {
    let proof = (field(20), field(32), field(32), any::<u64>(), 0..64);
    let proof = proof.prop_map(|(user, key, value, number, shift)| wire::StateProof {
        user,
        chain_id: number as u32,
        block_number: number,
        timestamp: number >> shift,
        epoch: number as u32,
        key,
        value,
    });
    let update = (any::<u32>(), any::<u32>(), field(32), any::<u64>());
    let update = update.prop_map(|(epoch, next_epoch, set_hash, time)| wire::EpochUpdate {
        epoch,
        next_epoch,
        set_hash,
        time,
    });
    let kind = prop_oneof![
        proof.prop_map(wire::statement::Kind::StateProof),
        update.prop_map(wire::statement::Kind::EpochUpdate),
    ];
    let kind = proptest::option::of(kind);
    let statement = proptest::option::of(kind.prop_map(|kind| wire::Statement { kind }));
    let refusal = (-1..13, signature(), ".{0,100}");
    let refusal = refusal.prop_map(|(code, signature, detail)| wire::Refusal {
        code,
        signature,
        detail,
    });
    let outcome = prop_oneof![
        signature().prop_map(wire::response::Outcome::Signature),
        refusal.prop_map(wire::response::Outcome::Refusal),
    ];
    (field(20), statement, proptest::option::of(outcome), -1..5).prop_map(
        |(operator, statement, outcome, read_basis)| wire::Response {
            operator,
            statement,
            outcome,
            read_basis,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..600)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn damaged_messages(mut bytes in valid(), damages in vec(damage(), 1..6)) {
        for damage in damages {
            inflict(&mut bytes, damage);
        }
        read_as_everything(&bytes);
    }

    #[test]
    fn a_damaged_envelope_is_never_the_authors(
        (kind, batch) in values::batch(),
        damage in damage(),
    ) {
        let (topic, key) = (domain().network().topic(kind), secret(1).address());
        let sealed = Envelope::seal(&batch, &binding(1, 1), &topic, &peer(1));
        let mut damaged = sealed.clone();
        inflict(&mut damaged, damage);
        let opened = Envelope::open(&damaged, &topic, kind);
        let accepted = opened.is_ok_and(|e| e.author.verify(key, &domain()).is_ok());
        prop_assert_eq!(accepted, damaged == sealed);
    }

    #[test]
    fn fields_of_any_length(message in any_length()) {
        // What passes has exactly one form.
        if let Ok(response) = Response::try_from(&message) {
            prop_assert_eq!(wire::Response::from(&response), message);
        }
    }
}
