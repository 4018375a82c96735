use super::*;
use crate::fixtures::{
    binding, certificate, certificate_of, domain, evidence, operator, peer, refused, registry,
    secret, signed, statement, transfer,
};
use crate::{RefusalCode, SignatureError};

const SEQUENCE: u64 = 1_700_000_000_000;

fn topic(kind: Kind) -> String {
    domain().network().topic(kind)
}

fn task(attempt: u32) -> Task {
    Task {
        statement: statement(),
        attempt,
    }
}

/// A batch with entries of one kind.
fn batch(kind: Kind) -> Batch {
    let mut batch = Batch {
        sequence: 7,
        ..Batch::default()
    };
    match kind {
        Kind::Task => batch.tasks = vec![task(0), task(3)],
        Kind::Response => {
            batch.responses = vec![
                signed(1),
                refused(1, RefusalCode::NotFinal, "head is 12300"),
            ];
        }
        Kind::Result => batch.results = vec![certificate(&[1, 2])],
        Kind::Evidence => batch.evidence = vec![evidence()],
        Kind::Bridge => {
            let statement = Statement::from(transfer());
            batch.results = vec![certificate_of(statement.clone(), &[1, 2])];
            batch.tasks = vec![Task {
                statement,
                attempt: 0,
            }];
        }
    }
    batch
}

fn seal(batch: &Batch, kind: Kind) -> Vec<u8> {
    Envelope::seal(batch, &binding(1, SEQUENCE), &topic(kind), &peer(1))
}

fn open(bytes: &[u8], kind: Kind) -> Result<Envelope, EnvelopeError> {
    Envelope::open(bytes, &topic(kind), kind)
}

/// A changed envelope, signed anew or with its old signature.
fn tampered(
    kind: Kind,
    change: impl FnOnce(&mut wire::Envelope),
) -> Result<Envelope, EnvelopeError> {
    let sealed = seal(&batch(kind), kind);
    let mut envelope = wire::Envelope::decode(sealed.as_slice()).unwrap();
    change(&mut envelope);
    open(&envelope.encode_to_vec(), kind)
}

#[test]
fn what_is_sealed_opens() {
    for kind in Kind::ALL {
        let envelope = open(&seal(&batch(kind), kind), kind).unwrap();
        assert_eq!(envelope.author, binding(1, SEQUENCE));
        assert_eq!(envelope.batch, batch(kind));
        assert_eq!(
            envelope.author.verify(secret(1).address(), &domain()),
            Ok(())
        );
    }
}

#[test]
fn a_message_belongs_to_its_topic() {
    let sealed = seal(&batch(Kind::Task), Kind::Task);
    // Another kind: the entries do not fit.
    assert_eq!(open(&sealed, Kind::Response), Err(EnvelopeError::Shape));
    // Another topic of the same kind, another network: the signature does not fit.
    let other_network = Domain::new(1, registry()).network().topic(Kind::Task);
    for other in [other_network, topic(Kind::Response), String::new()] {
        let opened = Envelope::open(&sealed, &other, Kind::Task);
        assert_eq!(opened, Err(EnvelopeError::Signature), "{other}");
    }
}

#[test]
fn a_batch_has_entries_of_one_kind() {
    let mixed = |own: Kind, other: Kind| {
        let (mut first, second) = (batch(own), batch(other));
        first.tasks.extend(second.tasks);
        first.responses.extend(second.responses);
        first.results.extend(second.results);
        first.evidence.extend(second.evidence);
        first
    };
    for kind in Kind::ALL {
        let empty = Batch::default();
        assert_eq!(open(&seal(&empty, kind), kind), Err(EnvelopeError::Shape));
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            let sealed = seal(&mixed(kind, other), kind);
            assert_eq!(
                open(&sealed, kind),
                Err(EnvelopeError::Shape),
                "{kind:?} {other:?}"
            );
        }
    }
}

#[test]
fn a_batch_is_bounded() {
    let of = |count| Batch {
        tasks: vec![task(0); count],
        ..Batch::default()
    };
    let full = of(limits::MAX_BATCH_ITEMS);
    assert!(open(&seal(&full, Kind::Task), Kind::Task).is_ok());
    let over = of(limits::MAX_BATCH_ITEMS + 1);
    let error = open(&seal(&over, Kind::Task), Kind::Task);
    assert_eq!(error, Err(EnvelopeError::Shape));

    // As many empty entries as fit are turned away before they take memory.
    let empty = [0x0a, 0x00].repeat(limits::MAX_BATCH_BYTES / 2);
    let flooded = tampered(Kind::Task, |e| e.batch = empty);
    assert_eq!(flooded, Err(EnvelopeError::Shape));

    let large = vec![0; limits::MAX_GOSSIP_BYTES + 1];
    let error = open(&large, Kind::Task).unwrap_err();
    assert_eq!(error, EnvelopeError::TooLarge(limits::MAX_GOSSIP_BYTES + 1));
    let at_the_limit = open(&large[1..], Kind::Task);
    assert_eq!(at_the_limit, Err(EnvelopeError::Decode));
}

#[test]
fn a_batch_that_is_no_protobuf_is_rejected() {
    for (what, bytes) in [
        ("a length beyond the end", vec![0x0a, 0x05, 0x00]),
        ("a length without end", vec![0x0a, 0x80]),
        ("a number without end", vec![0x08, 0x80]),
        ("a key without value", vec![0x08]),
        ("a fixed width", vec![0x0d, 0, 0, 0, 0]),
        ("a group", vec![0x0b, 0x0c]),
        ("an overlong key", vec![0xff; 11]),
    ] {
        let opened = tampered(Kind::Task, |e| e.batch = bytes);
        assert_eq!(opened, Err(EnvelopeError::Decode), "{what}");
    }
}

#[test]
fn entries_are_checked() {
    let field = |result: Result<Envelope, EnvelopeError>| match result {
        Err(EnvelopeError::Field(error)) => error.to_string(),
        other => panic!("expected a field error, got {other:?}"),
    };
    let mut late = batch(Kind::Task);
    late.tasks[0].attempt = limits::MAX_ATTEMPTS;
    let opened = open(&seal(&late, Kind::Task), Kind::Task);
    assert_eq!(field(opened), "attempt must be 0 to 3");

    let kind = Kind::Task;
    assert_eq!(
        field(tampered(kind, |e| e.author = None)),
        "author is missing"
    );
    let author = |change: fn(&mut wire::PeerBinding)| {
        field(tampered(Kind::Task, |e| change(e.author.as_mut().unwrap())))
    };
    assert_eq!(
        author(|a| a.operator.clear()),
        "operator must have 20 bytes"
    );
    assert_eq!(
        author(|a| a.peer_key.push(0)),
        "peer_key must have 32 bytes"
    );
    assert_eq!(author(|a| a.signature[64] = 1), "signature is malformed");
}

#[test]
fn only_the_author_can_sign() {
    let rejected = Err(EnvelopeError::Signature);
    let kind = Kind::Response;
    assert_eq!(tampered(kind, |e| e.signature = vec![0; 64]), rejected);
    assert_eq!(tampered(kind, |e| e.signature.truncate(63)), rejected);
    assert_eq!(
        tampered(kind, |e| e.author = Some((&binding(2, 1)).into())),
        rejected
    );
    let forged = Envelope::seal(&batch(kind), &binding(1, SEQUENCE), &topic(kind), &peer(2));
    assert_eq!(open(&forged, kind), rejected);
}

#[test]
fn weak_peer_keys_are_rejected() {
    // Under the neutral element as key, R = neutral and S = 0 would verify any message.
    let mut neutral = vec![0; 32];
    neutral[0] = 1;
    let opened = tampered(Kind::Task, |e| {
        e.author.as_mut().unwrap().peer_key.clone_from(&neutral);
        e.signature = [neutral.clone(), vec![0; 32]].concat();
    });
    assert_eq!(opened, Err(EnvelopeError::Signature));
}

#[test]
fn nobody_takes_over_the_batch_of_another() {
    // Operator 2 binds the peer key of operator 1 to itself, which only needs its own signature.
    let peer_key = peer(1).public();
    let digest = PeerBinding::digest(&domain(), operator(2), peer_key, SEQUENCE);
    let thief = PeerBinding {
        operator: operator(2),
        peer_key,
        sequence: SEQUENCE,
        signature: secret(2).sign(digest).unwrap(),
    };
    assert_eq!(thief.verify(secret(2).address(), &domain()), Ok(()));
    let opened = tampered(Kind::Response, |e| e.author = Some((&thief).into()));
    assert_eq!(opened, Err(EnvelopeError::Signature));
    // Nor does an older binding of the author itself fit.
    let older = binding(1, SEQUENCE - 1);
    let opened = tampered(Kind::Response, |e| e.author = Some((&older).into()));
    assert_eq!(opened, Err(EnvelopeError::Signature));
}

#[test]
fn a_message_has_one_form() {
    let kind = Kind::Task;
    let sealed = seal(&batch(kind), kind);
    let unknown_field = [&sealed[..], &[0x20, 0x01]].concat();
    let default_twice = [&[0x0a, 0x00], &sealed[..]].concat();
    let author_first = {
        let message = wire::Envelope::decode(sealed.as_slice()).unwrap();
        let part = |message: wire::Envelope| message.encode_to_vec();
        let author = wire::Envelope {
            author: message.author.clone(),
            ..Default::default()
        };
        let rest = wire::Envelope {
            author: None,
            ..message
        };
        [part(author), part(rest)].concat()
    };
    for (what, bytes) in [
        ("unknown field", unknown_field),
        ("a field twice", default_twice),
        ("another order", author_first),
        ("nothing", vec![]),
        ("cut", sealed[..sealed.len() - 1].to_vec()),
    ] {
        let opened = open(&bytes, kind).unwrap_err();
        let expected = if bytes.is_empty() {
            EnvelopeError::Field(WireError::new("author", "is missing"))
        } else {
            EnvelopeError::Decode
        };
        assert_eq!(opened, expected, "{what}");
    }
}

#[test]
fn every_bit_counts() {
    for kind in Kind::ALL {
        let sealed = seal(&batch(kind), kind);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(envelope) = open(&flipped, kind) {
                // Only the binding's own signature is left to the second check.
                let author = envelope.author;
                assert_ne!(
                    author.signature,
                    binding(1, SEQUENCE).signature,
                    "bit {bit}"
                );
                assert!(
                    author.verify(secret(1).address(), &domain()).is_err(),
                    "bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a_binding_holds_for_one_key_and_one_network() {
    let (valid, key) = (binding(1, SEQUENCE), secret(1).address());
    assert_eq!(valid.verify(key, &domain()), Ok(()));
    assert!(valid.verify(secret(2).address(), &domain()).is_err());
    assert!(valid.verify(key, &Domain::new(1, registry())).is_err());
    for changed in [
        PeerBinding {
            operator: operator(2),
            ..valid
        },
        PeerBinding {
            peer_key: [1; 32],
            ..valid
        },
        PeerBinding {
            sequence: SEQUENCE + 1,
            ..valid
        },
    ] {
        let error = changed.verify(key, &domain()).unwrap_err();
        assert!(
            matches!(error, ResponseError::WrongKey { .. }),
            "{changed:?}"
        );
    }
    let bytes = [&[0; 64][..], &[27]].concat();
    let signature = Signature::parse(&bytes).unwrap();
    let unrecoverable = PeerBinding { signature, ..valid }.verify(key, &domain());
    assert_eq!(unrecoverable, Err(SignatureError::Unrecoverable.into()));
}
