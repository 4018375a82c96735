//! Messages of the mesh.

use std::sync::LazyLock;

use prost::Message as _;

use super::KEYS;
use super::certified::{check_certificate, check_evidence, check_response};
use crate::fixtures::{binding, domain, operator, peer};
use crate::{Batch, Domain, Envelope, Kind, PeerBinding, limits, wire};

/// By operator 1.
static BINDING: LazyLock<PeerBinding> = LazyLock::new(|| binding(1, 1_700_000_000_000));

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

pub(super) fn check_binding(binding: &PeerBinding) {
    for key in *KEYS {
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
    let [own, all] = counts(batch, kind);
    assert_eq!(own, all, "entries of one kind");
    assert!(
        (1..=limits::MAX_BATCH_ITEMS).contains(&all),
        "{all} entries"
    );
    let attempts = batch.tasks.iter().map(|task| task.attempt);
    assert!(attempts.into_iter().all(|n| n < limits::MAX_ATTEMPTS));
    batch.responses.iter().for_each(check_response);
    batch.results.iter().for_each(check_certificate);
    batch.evidence.iter().for_each(check_evidence);
}

/// Entries of this kind, and of all kinds.
fn counts(batch: &Batch, kind: Kind) -> [usize; 2] {
    let own = batch.kinds().filter(|own| *own == kind).count();
    [own, batch.kinds().count()]
}

/// The inside of gossip messages, sealed by operator 1: the first byte chooses the topic.
pub fn batch(bytes: &[u8]) {
    let Some((choice, raw)) = bytes.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    let topic = domain().network().topic(kind);
    match Envelope::open(&seal(raw, &topic), &topic, kind) {
        Ok(envelope) => {
            check_batch(&envelope.batch, kind);
            let again = Batch::try_from(&wire::Batch::from(&envelope.batch));
            assert_eq!(again, Ok(envelope.batch.clone()), "decode(encode(x)) is x");
            let resealed = Envelope::seal(&envelope.batch, &envelope.author, &topic, &peer(1));
            let reopened = Envelope::open(&resealed, &topic, kind);
            assert_eq!(reopened, Ok(envelope), "open(seal(x)) is x");
        }
        Err(error) => assert!(!is_good(raw, kind), "{error}"),
    }
}

/// A good batch of this topic in its plain form, which is never turned away.
fn is_good(raw: &[u8], kind: Kind) -> bool {
    let plain = wire::Batch::decode(raw).ok();
    let plain = plain.filter(|message| message.encode_to_vec() == raw);
    let Some(Ok(batch)) = plain.as_ref().map(Batch::try_from) else {
        return false;
    };
    let [own, all] = counts(&batch, kind);
    let fits = raw.len() <= limits::MAX_BATCH_BYTES;
    fits && own == all && (1..=limits::MAX_BATCH_ITEMS).contains(&all)
}

/// As docs/wire.md has it, by hand.
fn seal(batch: &[u8], topic: &str) -> Vec<u8> {
    let author = *BINDING;
    let signed = [
        b"quorate:v1:gossip:",
        topic.as_bytes(),
        b"\0",
        author.operator.as_slice(),
        &author.sequence.to_be_bytes(),
        batch,
    ]
    .concat();
    wire::Envelope {
        batch: batch.to_vec(),
        author: Some((&author).into()),
        signature: peer(1).sign(&signed).to_vec(),
    }
    .encode_to_vec()
}
