//! What must hold for any batch that an operator publishes.

use std::sync::Arc;

use libp2p::PeerId;
use prost::Message as _;
use quorate_proto::{Kind, OperatorSet, wire};
use quorate_protocols::authors::Totals;
use quorate_storage::{Store, WriteQueue};

use super::{Allowances, Bindings, SignatureCache, ValidationOutcome, Validator, Verified};
use crate::fuzzing::{memory, scene};
use crate::gossip::known_peers::KnownPeers;
use crate::home::EpochView;
use crate::network::{GossipMessage, peer_id_of};
use crate::tasks::evidence::EvidenceStore;

/// The first byte chooses the topic, the rest is a batch in an envelope of operator 1. What is good is
/// signed by whom it names, and good once only.
pub fn gossip(bytes: &[u8]) {
    let Some((choice, batch)) = bytes.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*choice) % Kind::ALL.len()];
    let data = sealed(batch, kind);
    let view = EpochView::of(vec![scene::set()]);
    let store = memory::store(scene::domain().network().as_str());
    let (writes, _writer) = WriteQueue::new(store.clone()).expect("a writer");
    let mut validator = validator(&store, writes);
    let author = peer_id_of(&scene::peer(1).public()).expect("a peer");
    let mut validate = |source: PeerId| {
        let message = GossipMessage::of(source, kind, data.clone());
        validator.validate(&view, &message)
    };
    match validate(author) {
        ValidationOutcome::Good(entries) => {
            entries.iter().for_each(|entry| check(entry, kind));
            let again = validate(author);
            assert!(
                matches!(again, ValidationOutcome::Useless(_)),
                "good once only"
            );
        }
        ValidationOutcome::Ahead(epoch) => assert_eq!(epoch, scene::EPOCH.next()),
        ValidationOutcome::Useless(reason)
        | ValidationOutcome::Bad(reason)
        | ValidationOutcome::Excess(_, reason) => {
            assert!(!reason.is_empty());
        }
        ValidationOutcome::Guilty(guilt) => {
            assert_eq!(guilt.author, *scene::BINDING, "who signed it")
        }
    }
}

fn validator(store: &Store, writes: WriteQueue) -> Validator {
    let (domain, bindings) = (scene::domain(), Bindings::new(writes));
    Validator::new(
        domain,
        bindings.clone(),
        KnownPeers::of(bindings, Vec::new()),
        Allowances::new(Totals::default()),
        SignatureCache::default(),
        EvidenceStore::open(store.clone(), domain).expect("an empty store"),
    )
}

fn check(entry: &Verified, kind: Kind) {
    let domain = scene::domain();
    let of_epoch = |set: &Arc<OperatorSet>| assert_eq!(*set, scene::set(), "of its epoch");
    match entry {
        Verified::Task {
            author,
            statement,
            set,
            ..
        } => {
            assert_eq!((kind, *author), (Kind::Task, scene::operator(1)));
            assert_eq!(statement.epoch(), scene::EPOCH);
            of_epoch(set);
        }
        Verified::Response { response, set } => {
            let author = (kind, response.operator);
            assert_eq!(author, (Kind::Response, scene::operator(1)));
            assert_eq!(response.verify(set, &domain), Ok(()));
            of_epoch(set);
        }
        Verified::Result { certificate, set } => {
            assert_eq!(kind, Kind::Result);
            assert!(certificate.verify(set, &domain).is_ok());
            of_epoch(set);
        }
        Verified::Evidence { author, evidence } => {
            assert_eq!((kind, *author), (Kind::Evidence, scene::operator(1)));
            let set_of = |epoch| Some(scene::set()).filter(|set| set.epoch() == epoch);
            assert_eq!(evidence.verify(&domain, set_of), Ok(()));
        }
    }
}

/// As docs/wire.md has it, by hand, since the batch may be none.
fn sealed(batch: &[u8], kind: Kind) -> Vec<u8> {
    let (author, topic) = (*scene::BINDING, scene::domain().network().topic(kind));
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
        signature: scene::peer(1).sign(&signed).to_vec(),
    }
    .encode_to_vec()
}
