use libp2p::gossipsub::MessageId;
use quorate_proto::{
    Batch as GossipBatch, Kind, Operator, Outcome, PeerSecret, SecretKey, SignerSignature,
    StateProof, Task, threshold_of,
};
use quorate_storage::{EngineKind, Identity};

use super::*;

const EPOCH: Epoch = Epoch(4);

/// A member of the set, as it publishes.
struct Member {
    address: Address,
    signing: SecretKey,
    peer: PeerSecret,
}

impl Member {
    fn new(number: u8) -> Self {
        Self {
            address: Address::repeat_byte(number),
            signing: SecretKey::from_bytes(&[number; 32]).unwrap(),
            peer: PeerSecret::from_bytes(&[number; 32]),
        }
    }

    fn binding(&self, domain: &Domain, sequence: u64) -> PeerBinding {
        let peer_key = self.peer.public();
        let digest = PeerBinding::digest(domain, self.address, peer_key, sequence);
        PeerBinding {
            operator: self.address,
            peer_key,
            sequence,
            signature: self.signing.sign(digest).unwrap(),
        }
    }

    fn response(&self, domain: &Domain, statement: Statement) -> Response {
        Response {
            operator: self.address,
            statement,
            outcome: Outcome::Signed(self.signing.sign(statement.digest(domain)).unwrap()),
        }
    }

    fn peer_id(&self) -> PeerId {
        peer_id_of(&self.peer.public()).unwrap()
    }
}

struct Scene {
    domain: Domain,
    members: Vec<Member>,
    view: EpochView,
    validator: Validator,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity {
            network: "test".into(),
        };
        let store = Store::open(folder.path().join("store"), EngineKind::Sled, &identity).unwrap();
        let domain = Domain::new(31_337, Address::repeat_byte(0xaa));
        let members: Vec<Member> = (1..=4).map(Member::new).collect();
        Self {
            view: EpochView::of(vec![set_of(&members, EPOCH)]),
            validator: Validator::new(domain, Bindings::new(store), KnownSignatures::default()),
            domain,
            members,
            _folder: folder,
        }
    }

    fn seal(&self, author: &Member, kind: Kind, batch: &GossipBatch) -> Vec<u8> {
        let topic = self.domain.network().topic(kind);
        Envelope::seal(
            batch,
            &author.binding(&self.domain, 1),
            &topic,
            &author.peer,
        )
    }

    fn validate(&mut self, source: PeerId, kind: Kind, data: Vec<u8>) -> Verdict {
        let id = MessageId::from(vec![0]);
        self.validator.validate(
            &self.view,
            &GossipMessage {
                source,
                id,
                kind,
                data,
            },
        )
    }

    fn from(&mut self, number: usize, kind: Kind, batch: &GossipBatch) -> Verdict {
        let data = self.seal(&self.members[number], kind, batch);
        let source = self.members[number].peer_id();
        self.validate(source, kind, data)
    }
}

fn set_of(members: &[Member], epoch: Epoch) -> Arc<OperatorSet> {
    let member = |m: &Member| Operator {
        address: m.address,
        signing_key: m.signing.address(),
        ed25519_key: None,
        weight: U256::from(10),
    };
    let total = U256::from(10 * members.len());
    let members = members.iter().map(member).collect();
    Arc::new(OperatorSet::new(epoch, members, total, threshold_of(total)).unwrap())
}

fn statement(block_number: u64, epoch: Epoch) -> Statement {
    Statement::StateProof(StateProof {
        user: Address::repeat_byte(9),
        chain_id: 1,
        block_number,
        timestamp: 1_700_000_000,
        epoch,
        key: U256::from(1),
        value: U256::from(2),
    })
}

fn task(sequence: u64, epoch: Epoch) -> GossipBatch {
    let tasks = vec![Task {
        statement: statement(sequence, epoch),
        attempt: 0,
    }];
    GossipBatch {
        sequence,
        tasks,
        ..GossipBatch::default()
    }
}

fn reason(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Good(_) => "good",
        Verdict::Useless(reason) | Verdict::Bad(reason) => reason,
        Verdict::Ahead(_) => "ahead",
    }
}

#[test]
fn what_operators_publish_is_good() {
    let mut scene = Scene::new();
    let (domain, fact) = (scene.domain, statement(1, EPOCH));
    assert!(
        matches!(scene.from(0, Kind::Task, &task(1, EPOCH)), Verdict::Good(entries) if entries.len() == 1)
    );
    let responses = vec![scene.members[1].response(&domain, fact)];
    let batch = GossipBatch {
        sequence: 1,
        responses,
        ..GossipBatch::default()
    };
    assert!(
        matches!(scene.from(1, Kind::Response, &batch), Verdict::Good(entries) if entries.len() == 1)
    );
    let signature = |m: &Member| SignerSignature {
        operator: m.address,
        signature: m.signing.sign(fact.digest(&domain)).unwrap(),
    };
    let certificate = Certificate::new(fact, scene.members[..3].iter().map(signature).collect());
    let batch = GossipBatch {
        sequence: 2,
        results: vec![certificate],
        ..GossipBatch::default()
    };
    assert!(matches!(
        scene.from(1, Kind::Result, &batch),
        Verdict::Good(_)
    ));
}

#[test]
fn strangers_and_forgers_are_to_blame() {
    let mut scene = Scene::new();
    let stranger = Member::new(77);
    let data = scene.seal(&stranger, Kind::Task, &task(1, EPOCH));
    let verdict = scene.validate(stranger.peer_id(), Kind::Task, data);
    assert!(
        matches!(verdict, Verdict::Bad("author is no operator")),
        "{}",
        reason(&verdict)
    );

    // The address of an operator, but signed with another key.
    let forger = Member {
        address: scene.members[0].address,
        ..Member::new(78)
    };
    let data = scene.seal(&forger, Kind::Task, &task(1, EPOCH));
    let verdict = scene.validate(forger.peer_id(), Kind::Task, data);
    assert!(
        matches!(verdict, Verdict::Bad("binding")),
        "{}",
        reason(&verdict)
    );

    let verdict = scene.validate(PeerId::random(), Kind::Task, vec![1, 2, 3]);
    assert!(matches!(verdict, Verdict::Bad("envelope")));
    let other = Domain::new(1, Address::repeat_byte(0xaa));
    let topic = other.network().topic(Kind::Task);
    let member = &scene.members[0];
    let data = Envelope::seal(
        &task(1, EPOCH),
        &member.binding(&other, 1),
        &topic,
        &member.peer,
    );
    let verdict = scene.validate(PeerId::random(), Kind::Task, data);
    assert!(
        matches!(verdict, Verdict::Bad("envelope")),
        "another network"
    );
}

#[test]
fn responses_count_for_their_author_only() {
    let mut scene = Scene::new();
    let (domain, fact) = (scene.domain, statement(1, EPOCH));
    let borrowed = scene.members[1].response(&domain, fact);
    let mut wrong_key = scene.members[0].response(&domain, fact);
    wrong_key.outcome = borrowed.outcome.clone();
    for (response, expected) in [
        (borrowed, "response of another operator"),
        (wrong_key, "response signature"),
    ] {
        let batch = GossipBatch {
            sequence: 1,
            responses: vec![response],
            ..GossipBatch::default()
        };
        let verdict = scene.from(0, Kind::Response, &batch);
        assert!(matches!(verdict, Verdict::Bad(_)));
        assert_eq!(reason(&verdict), expected);
    }
}

#[test]
fn certificates_below_the_threshold_are_to_blame() {
    let mut scene = Scene::new();
    let (domain, fact) = (scene.domain, statement(1, EPOCH));
    let signature = |m: &Member| SignerSignature {
        operator: m.address,
        signature: m.signing.sign(fact.digest(&domain)).unwrap(),
    };
    let certificate = Certificate::new(fact, scene.members[..2].iter().map(signature).collect());
    let batch = GossipBatch {
        sequence: 1,
        results: vec![certificate],
        ..GossipBatch::default()
    };
    assert!(matches!(
        scene.from(0, Kind::Result, &batch),
        Verdict::Bad("certificate")
    ));
}

#[test]
fn a_batch_is_accepted_once_and_only_pure_repetition_by_strangers_is_blamed() {
    let mut scene = Scene::new();
    let data = scene.seal(&scene.members[0], Kind::Task, &task(5, EPOCH));
    let author = scene.members[0].peer_id();
    assert!(matches!(
        scene.validate(author, Kind::Task, data.clone()),
        Verdict::Good(_)
    ));
    assert!(matches!(
        scene.validate(author, Kind::Task, data.clone()),
        Verdict::Useless(_)
    ));
    let stranger = PeerId::random();
    assert!(matches!(
        scene.validate(stranger, Kind::Task, data),
        Verdict::Bad("replay")
    ));
    // Another batch under the same number is the author's doing, not the forwarder's.
    let tasks = vec![Task {
        statement: statement(99, EPOCH),
        attempt: 0,
    }];
    let variant = GossipBatch {
        sequence: 5,
        tasks,
        ..GossipBatch::default()
    };
    let data = scene.seal(&scene.members[0], Kind::Task, &variant);
    assert!(matches!(
        scene.validate(stranger, Kind::Task, data),
        Verdict::Useless(_)
    ));
}

#[test]
fn a_new_binding_replaces_the_old_peer() {
    let mut scene = Scene::new();
    assert!(matches!(
        scene.from(0, Kind::Task, &task(1, EPOCH)),
        Verdict::Good(_)
    ));
    let moved = Member {
        peer: PeerSecret::from_bytes(&[200; 32]),
        ..Member::new(1)
    };
    let topic = scene.domain.network().topic(Kind::Task);
    let binding = moved.binding(&scene.domain, 2);
    let data = Envelope::seal(&task(2, EPOCH), &binding, &topic, &moved.peer);
    assert!(matches!(
        scene.validate(moved.peer_id(), Kind::Task, data),
        Verdict::Good(_)
    ));
    assert_eq!(scene.validator.bindings.of(moved.address), Some(binding));
    let verdict = scene.from(0, Kind::Task, &task(3, EPOCH));
    assert!(matches!(verdict, Verdict::Useless("binding was replaced")));
}

#[test]
fn epochs_decide_what_is_done() {
    let mut scene = Scene::new();
    let verdict = scene.from(0, Kind::Task, &task(1, EPOCH.next()));
    assert!(matches!(verdict, Verdict::Ahead(epoch) if epoch == EPOCH.next()));
    let verdict = scene.from(0, Kind::Task, &task(2, Epoch(3)));
    assert!(matches!(verdict, Verdict::Useless("epoch is over")));
    let verdict = scene.from(0, Kind::Task, &task(3, Epoch(2)));
    assert!(matches!(verdict, Verdict::Bad("epoch is long over")));
    scene.view = EpochView::of(vec![
        set_of(&scene.members, EPOCH),
        set_of(&scene.members, EPOCH.next()),
    ]);
    assert!(matches!(
        scene.from(0, Kind::Task, &task(4, EPOCH)),
        Verdict::Good(_)
    ));
    assert!(matches!(
        scene.from(0, Kind::Task, &task(5, EPOCH.next())),
        Verdict::Good(_)
    ));
}
