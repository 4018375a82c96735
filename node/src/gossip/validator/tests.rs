mod past;
mod rotation;

use quorate_proto::{
    B256, Batch as GossipBatch, Certificate, Envelope, Kind, Operator, Outcome, PeerSecret,
    ReadBasis, Response, SecretKey, SignedAttestation, SignerSignature, StateProof, Statement,
    Task, U256,
};
use quorate_protocols::authors::Totals;
use quorate_storage::{EngineKind, WriteQueue, WriterGuard};

use super::*;
use crate::fixtures;
use crate::network::peer_id_of;

const EPOCH: Epoch = Epoch(4);

/// A burst of 512 messages, 512 entries and 512 tasks for each of four.
const TOTALS: Totals = Totals {
    messages: 40,
    entries: 40,
    tasks: 40,
};

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
            statement: statement.clone(),
            outcome: Outcome::Signed(self.signing.sign(statement.digest(domain)).unwrap()),
            basis: ReadBasis::Proof,
        }
    }

    fn peer_id(&self) -> PeerId {
        peer_id_of(&self.peer.public()).unwrap()
    }
}

/// A peer from the settings that speaks for no operator.
fn registry() -> PeerId {
    Member::new(90).peer_id()
}

struct Scene {
    domain: Domain,
    members: Vec<Member>,
    view: EpochView,
    validator: Validator,
    _kept: (WriterGuard, tempfile::TempDir),
}

impl Scene {
    fn new() -> Self {
        let (store, folder) = fixtures::store(EngineKind::Sled);
        let domain = Domain::new(31_337, Address::repeat_byte(0xaa));
        let members: Vec<Member> = (1..=4).map(Member::new).collect();
        let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
        let bindings = Bindings::new(writes);
        Self {
            view: EpochView::of(vec![set_of(&members, EPOCH)]),
            validator: Validator::new(
                domain,
                bindings.clone(),
                KnownPeers::of(bindings, vec![registry()]),
                Allowances::new(TOTALS),
                SignatureCache::default(),
                EvidenceStore::open(store, domain).unwrap(),
            ),
            domain,
            members,
            _kept: (writer, folder),
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

    fn validate(&mut self, source: PeerId, kind: Kind, data: Vec<u8>) -> ValidationOutcome {
        let message = GossipMessage::of(source, kind, data);
        self.validator.validate(&self.view, &message)
    }

    fn from(&mut self, number: usize, kind: Kind, batch: &GossipBatch) -> ValidationOutcome {
        let data = self.seal(&self.members[number], kind, batch);
        let source = self.members[number].peer_id();
        self.validate(source, kind, data)
    }
}

fn set_of(members: &[Member], epoch: Epoch) -> Arc<OperatorSet> {
    let member = |m: &Member| Operator {
        address: m.address,
        signing_key: m.signing.address(),
        weight: U256::from(10),
    };
    let total = U256::from(10 * members.len());
    let members = members.iter().map(member).collect();
    Arc::new(OperatorSet::new(epoch, members, total, 0).unwrap())
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

fn reason(verdict: &ValidationOutcome) -> &'static str {
    match verdict {
        ValidationOutcome::Good(_) => "good",
        ValidationOutcome::Useless(reason)
        | ValidationOutcome::Excess(_, reason)
        | ValidationOutcome::Bad(reason) => reason,
        ValidationOutcome::Guilty(guilt) => guilt.reason,
        ValidationOutcome::Ahead(..) => "ahead",
    }
}

#[test]
fn what_operators_publish_is_good() {
    let mut scene = Scene::new();
    let (domain, fact) = (scene.domain, statement(1, EPOCH));
    assert!(
        matches!(scene.from(0, Kind::Task, &task(1, EPOCH)), ValidationOutcome::Good(entries) if entries.len() == 1)
    );
    let responses = vec![scene.members[1].response(&domain, fact.clone())];
    let batch = GossipBatch {
        sequence: 1,
        responses,
        ..GossipBatch::default()
    };
    assert!(
        matches!(scene.from(1, Kind::Response, &batch), ValidationOutcome::Good(entries) if entries.len() == 1)
    );
    let signature = |m: &Member| SignerSignature {
        operator: m.address,
        signature: m.signing.sign(fact.digest(&domain)).unwrap(),
    };
    let certificate = Certificate::new(
        fact.clone(),
        scene.members[..3].iter().map(signature).collect(),
    );
    let batch = GossipBatch {
        sequence: 2,
        results: vec![certificate],
        ..GossipBatch::default()
    };
    assert!(matches!(
        scene.from(1, Kind::Result, &batch),
        ValidationOutcome::Good(_)
    ));
}

#[test]
fn strangers_and_forgers_are_to_blame() {
    let mut scene = Scene::new();
    let stranger = Member::new(77);
    let data = scene.seal(&stranger, Kind::Task, &task(1, EPOCH));
    let verdict = scene.validate(stranger.peer_id(), Kind::Task, data);
    assert!(
        matches!(verdict, ValidationOutcome::Bad("author is no operator")),
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
        matches!(verdict, ValidationOutcome::Bad("binding")),
        "{}",
        reason(&verdict)
    );

    let verdict = scene.validate(PeerId::random(), Kind::Task, vec![1, 2, 3]);
    assert!(matches!(verdict, ValidationOutcome::Bad("envelope")));
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
        matches!(verdict, ValidationOutcome::Bad("envelope")),
        "another network"
    );
}

#[test]
fn responses_count_for_their_author_only() {
    let mut scene = Scene::new();
    let (domain, fact) = (scene.domain, statement(1, EPOCH));
    let borrowed = scene.members[1].response(&domain, fact.clone());
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
        let author = scene.members[0].address;
        assert!(
            matches!(&verdict, ValidationOutcome::Guilty(guilt) if guilt.author.operator == author),
            "the author's fault, whoever forwards it"
        );
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
    let certificate = Certificate::new(
        fact.clone(),
        scene.members[..2].iter().map(signature).collect(),
    );
    let batch = GossipBatch {
        sequence: 1,
        results: vec![certificate],
        ..GossipBatch::default()
    };
    assert!(matches!(
        scene.from(0, Kind::Result, &batch),
        ValidationOutcome::Guilty(guilt) if guilt.reason == "certificate"
    ));
}

#[test]
fn a_batch_is_accepted_once_and_only_pure_repetition_by_strangers_is_blamed() {
    let mut scene = Scene::new();
    let data = scene.seal(&scene.members[0], Kind::Task, &task(5, EPOCH));
    let author = scene.members[0].peer_id();
    assert!(matches!(
        scene.validate(author, Kind::Task, data.clone()),
        ValidationOutcome::Good(_)
    ));
    assert!(matches!(
        scene.validate(author, Kind::Task, data.clone()),
        ValidationOutcome::Useless(_)
    ));
    assert!(matches!(
        scene.validate(registry(), Kind::Task, data.clone()),
        ValidationOutcome::Useless("sequence number was used")
    ));
    let stranger = PeerId::random();
    assert!(matches!(
        scene.validate(stranger, Kind::Task, data),
        ValidationOutcome::Bad("replay")
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
        ValidationOutcome::Useless(_)
    ));
}

#[test]
fn a_new_binding_replaces_the_old_peer() {
    let mut scene = Scene::new();
    assert!(matches!(
        scene.from(0, Kind::Task, &task(1, EPOCH)),
        ValidationOutcome::Good(_)
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
        ValidationOutcome::Good(_)
    ));
    assert_eq!(scene.validator.bindings.of(moved.address), Some(binding));
    let verdict = scene.from(0, Kind::Task, &task(3, EPOCH));
    assert!(matches!(
        verdict,
        ValidationOutcome::Useless("binding was replaced")
    ));
}

#[test]
fn an_operator_is_heard_after_its_clock_was_set_back() {
    let mut scene = Scene::new();
    let (member, topic) = (Member::new(1), scene.domain.network().topic(Kind::Task));
    let seal = |scene: &Scene, started, number| {
        let binding = member.binding(&scene.domain, started);
        Envelope::seal(&task(number, EPOCH), &binding, &topic, &member.peer)
    };
    let (noon, eleven) = (43_200_000_000, 39_600_000_000);
    let before = seal(&scene, 1, noon);
    let verdict = scene.validate(member.peer_id(), Kind::Task, before.clone());
    assert_eq!(reason(&verdict), "good");
    // The same key and peer start again, and number their batches an hour lower.
    let after = seal(&scene, 2, eleven);
    let verdict = scene.validate(member.peer_id(), Kind::Task, after.clone());
    assert_eq!(reason(&verdict), "good");

    let stranger = PeerId::random();
    let verdict = scene.validate(stranger, Kind::Task, after);
    assert_eq!(reason(&verdict), "replay");
    for old in [before, seal(&scene, 1, noon + 1)] {
        let verdict = scene.validate(stranger, Kind::Task, old);
        assert!(matches!(
            verdict,
            ValidationOutcome::Useless("binding was replaced")
        ));
    }
    // An old batch with the new binding written on it: its signature covers the old one.
    let mut forged = quorate_proto::wire::Envelope::default();
    for started in [1, 2] {
        let sealed = seal(&scene, started, noon + 2);
        let envelope: quorate_proto::wire::Envelope =
            prost::Message::decode(sealed.as_slice()).unwrap();
        forged.author = envelope.author;
        if started == 1 {
            (forged.batch, forged.signature) = (envelope.batch, envelope.signature);
        }
    }
    let verdict = scene.validate(stranger, Kind::Task, prost::Message::encode_to_vec(&forged));
    assert!(matches!(verdict, ValidationOutcome::Bad("envelope")));
}

#[test]
fn epochs_decide_what_is_done() {
    let mut scene = Scene::new();
    let verdict = scene.from(0, Kind::Task, &task(1, EPOCH.next()));
    assert!(matches!(verdict, ValidationOutcome::Ahead(epoch) if epoch == EPOCH.next()));
    let verdict = scene.from(0, Kind::Task, &task(2, Epoch(3)));
    assert!(matches!(
        verdict,
        ValidationOutcome::Useless("epoch is over")
    ));
    let verdict = scene.from(0, Kind::Task, &task(3, Epoch(2)));
    assert!(matches!(
        verdict,
        ValidationOutcome::Bad("epoch is long over")
    ));
    scene.view = EpochView::of(vec![
        set_of(&scene.members, EPOCH),
        set_of(&scene.members, EPOCH.next()),
    ]);
    assert!(matches!(
        scene.from(0, Kind::Task, &task(4, EPOCH)),
        ValidationOutcome::Good(_)
    ));
    assert!(matches!(
        scene.from(0, Kind::Task, &task(5, EPOCH.next())),
        ValidationOutcome::Good(_)
    ));
}

/// Where several epochs turn at once, who looks seldom skips some that others saw begin, and whose tasks
/// those still finish.
#[test]
fn nobody_is_to_blame_for_epochs_that_this_node_skipped() {
    let mut scene = Scene::new();
    let left = Member::new(77);
    let (of_member, of_left) = (
        task(1, Epoch(1)),
        scene.seal(&left, Kind::Task, &task(2, Epoch(1))),
    );
    let verdict = scene.from(0, Kind::Task, &of_member);
    assert!(matches!(
        verdict,
        ValidationOutcome::Bad("epoch is long over")
    ));
    let verdict = scene.validate(left.peer_id(), Kind::Task, of_left.clone());
    assert!(matches!(
        verdict,
        ValidationOutcome::Bad("author is no operator")
    ));

    let sets = [Epoch(3), EPOCH].map(|epoch| set_of(&scene.members, epoch));
    scene.view = EpochView::of(sets.to_vec());
    let verdict = scene.from(0, Kind::Task, &of_member);
    assert!(matches!(verdict, ValidationOutcome::Useless(OVER)));
    let verdict = scene.validate(left.peer_id(), Kind::Task, of_left);
    assert!(matches!(verdict, ValidationOutcome::Useless(OVER)));
}

/// Each would cost a signature's verification otherwise, as fast as any peer can send.
#[test]
fn authors_that_nobody_knows_are_verified_now_and_then() {
    let mut scene = Scene::new();
    let far = EPOCH.next().next();
    let unknown = |scene: &mut Scene, number: u8| {
        let nobody = Member::new(100 + number % 100);
        let data = scene.seal(&nobody, Kind::Task, &task(u64::from(number), far));
        scene.validate(nobody.peer_id(), Kind::Task, data)
    };
    let verdicts = (0..=u8::MAX).map(|number| unknown(&mut scene, number));
    let verified = verdicts.filter(|verdict| matches!(verdict, ValidationOutcome::Useless(FAR)));
    assert_eq!(verified.count(), 256);
    let spent = (0..32).any(|_| {
        let verdict = unknown(&mut scene, 1);
        matches!(
            verdict,
            ValidationOutcome::Useless("too many of unknown authors")
        )
    });
    assert!(spent, "none is left out");
    assert!(matches!(
        scene.from(0, Kind::Task, &task(1, EPOCH)),
        ValidationOutcome::Good(_)
    ));
}

/// What was recorded long ago is genuine, and no node has use for it.
#[test]
fn strangers_may_not_send_what_is_useless_without_end() {
    let mut scene = Scene::new();
    let old: Vec<Vec<u8>> = (1..=512)
        .map(|number| scene.seal(&scene.members[0], Kind::Task, &task(number, EPOCH)))
        .collect();
    // So many later numbers that those are too old to tell.
    scene.from(0, Kind::Task, &task(100_000, EPOCH));
    let bad = |scene: &mut Scene, source: PeerId| {
        let wasted = old.iter().filter(|data| {
            let verdict = scene.validate(source, Kind::Task, data.to_vec());
            matches!(verdict, ValidationOutcome::Bad(WASTE))
        });
        wasted.count()
    };
    let (operator, stranger) = (scene.members[1].peer_id(), PeerId::random());
    scene.from(1, Kind::Task, &task(1, EPOCH));
    assert_eq!(bad(&mut scene, operator), 0);
    assert_eq!(bad(&mut scene, registry()), 0);
    assert!(bad(&mut scene, stranger) > 100);
    let another = scene.validate(PeerId::random(), Kind::Task, old[0].clone());
    assert!(
        matches!(another, ValidationOutcome::Useless(_)),
        "{}",
        reason(&another)
    );
}

#[test]
fn nothing_waits_for_an_epoch_after_the_coming_one() {
    let mut scene = Scene::new();
    let far = EPOCH.next().next();
    let verdict = scene.from(0, Kind::Task, &task(1, far));
    assert!(
        matches!(verdict, ValidationOutcome::Useless(FAR)),
        "of an operator"
    );

    let stranger = Member::new(77);
    for epoch in [far, Epoch(u32::MAX)] {
        let data = scene.seal(&stranger, Kind::Task, &task(1, epoch));
        let verdict = scene.validate(stranger.peer_id(), Kind::Task, data);
        assert!(
            matches!(verdict, ValidationOutcome::Useless(FAR)),
            "of a stranger"
        );
    }
    let topic = scene.domain.network().topic(Kind::Task);
    for name in [stranger, Member::new(1)] {
        let (binding, forger) = (
            name.binding(&scene.domain, 1),
            PeerSecret::from_bytes(&[99; 32]),
        );
        let data = Envelope::seal(&task(2, far), &binding, &topic, &forger);
        let verdict = scene.validate(PeerId::random(), Kind::Task, data);
        assert!(
            matches!(verdict, ValidationOutcome::Bad("envelope")),
            "made up"
        );
    }

    // What comes with it is taken all the same.
    let mut mixed = task(3, EPOCH);
    mixed.tasks.extend(task(3, far).tasks);
    let verdict = scene.from(0, Kind::Task, &mixed);
    assert!(matches!(verdict, ValidationOutcome::Good(entries) if entries.len() == 1));

    scene.view = EpochView::default();
    let verdict = scene.from(0, Kind::Task, &task(4, far));
    assert!(
        matches!(verdict, ValidationOutcome::Ahead(_)),
        "no set is known here yet"
    );
}

#[test]
fn only_verified_messages_wait_for_their_epoch() {
    let mut scene = Scene::new();
    // In the set of the coming epoch, perhaps.
    let newcomer = Member::new(50);
    let batch = task(1, EPOCH.next());
    let data = scene.seal(&newcomer, Kind::Task, &batch);
    let verdict = scene.validate(PeerId::random(), Kind::Task, data);
    assert!(matches!(verdict, ValidationOutcome::Ahead(epoch) if epoch == EPOCH.next()));
    for name in [newcomer, Member::new(1)] {
        let binding = name.binding(&scene.domain, 1);
        let topic = scene.domain.network().topic(Kind::Task);
        let forger = PeerSecret::from_bytes(&[99; 32]);
        let data = Envelope::seal(&batch, &binding, &topic, &forger);
        let verdict = scene.validate(PeerId::random(), Kind::Task, data);
        assert!(matches!(verdict, ValidationOutcome::Bad("envelope")));
    }
}

#[test]
fn excess_is_ignored_and_neither_forwarders_nor_others_pay_for_it() {
    let mut scene = Scene::new();
    let honest = scene.members[1].peer_id();
    assert_eq!(reason(&scene.from(1, Kind::Task, &task(1, EPOCH))), "good");
    let mut good = 0;
    let verdict = loop {
        let data = scene.seal(&scene.members[0], Kind::Task, &task(1 + good, EPOCH));
        match scene.validate(honest, Kind::Task, data) {
            ValidationOutcome::Good(_) => good += 1,
            verdict => break verdict,
        }
    };
    // A burst, and what time refilled meanwhile.
    assert!((512..1_024).contains(&good), "{good}");
    assert!(matches!(
        verdict,
        ValidationOutcome::Excess(
            _,
            "more messages than the author's share" | "more tasks than the author's share"
        )
    ));
    let operator = scene.members[0].address;
    let standing = scene.validator.allowances.standing(operator);
    assert_eq!((standing.accepted, standing.faults), (good, 0));
    assert!(standing.ignored > 0);
    assert_eq!(reason(&scene.from(1, Kind::Task, &task(2, EPOCH))), "good");
}

#[test]
fn who_makes_excess_up_in_the_name_of_another_is_found_out() {
    let mut scene = Scene::new();
    scene.from(0, Kind::Task, &task(1, EPOCH));
    scene.from(1, Kind::Task, &task(1, EPOCH));
    // So far into debt that no time that a test takes pays for it.
    let (set, author) = (set_of(&scene.members, EPOCH), scene.members[0].address);
    scene
        .validator
        .allowances
        .charge(Kind::Response, &set, author, 1_000_000);
    let topic = scene.domain.network().topic(Kind::Task);
    let forge = |scene: &Scene, number| {
        let binding = scene.members[0].binding(&scene.domain, 1);
        let forger = PeerSecret::from_bytes(&[99; 32]);
        Envelope::seal(&task(number, EPOCH), &binding, &topic, &forger)
    };
    let data = forge(&scene, 10_000);
    let verdict = scene.validate(PeerId::random(), Kind::Task, data);
    assert!(
        matches!(verdict, ValidationOutcome::Bad("envelope")),
        "a stranger at once"
    );
    let operator = scene.members[1].peer_id();
    let bad = (0..u64::from(2 * SAMPLE)).filter(|more| {
        let data = forge(&scene, 10_001 + more);
        matches!(
            scene.validate(operator, Kind::Task, data),
            ValidationOutcome::Bad("envelope")
        )
    });
    assert_eq!(bad.count(), 2, "an operator's peer at times");
}

#[test]
fn an_operator_that_signs_rubbish_is_not_listened_to() {
    let mut scene = Scene::new();
    let domain = scene.domain;
    let (honest, victim) = (scene.members[1].peer_id(), scene.members[0].address);
    assert_eq!(reason(&scene.from(1, Kind::Task, &task(1, EPOCH))), "good");
    for sequence in 1..=5 {
        let mut response = scene.members[0].response(&domain, statement(sequence, EPOCH));
        response.statement = statement(1_000 + sequence, EPOCH);
        let batch = GossipBatch {
            sequence,
            responses: vec![response],
            ..GossipBatch::default()
        };
        let data = scene.seal(&scene.members[0], Kind::Response, &batch);
        let verdict = scene.validate(honest, Kind::Response, data);
        let ValidationOutcome::Guilty(guilt) = verdict else {
            panic!("{}", reason(&verdict));
        };
        let found = (guilt.author.operator, guilt.muted);
        assert_eq!(found, (victim, sequence == 5));
    }
    let verdict = scene.from(0, Kind::Task, &task(9, EPOCH));
    assert!(matches!(
        verdict,
        ValidationOutcome::Excess(_, "author is not listened to")
    ));
    assert_eq!(reason(&scene.from(1, Kind::Task, &task(2, EPOCH))), "good");
    let standing = scene.validator.allowances.standing(victim);
    assert_eq!((standing.faults, standing.muted_until.is_some()), (5, true));
}

#[test]
fn far_more_than_its_share_is_the_fault_of_the_peer_that_sends_it() {
    let mut scene = Scene::new();
    let data =
        |scene: &Scene, number| scene.seal(&scene.members[0], Kind::Task, &task(number, EPOCH));
    let author = scene.members[0].peer_id();
    let mut sent = 0;
    let verdict = loop {
        sent += 1;
        let data = data(&scene, sent);
        match scene.validate(author, Kind::Task, data) {
            ValidationOutcome::Good(_) | ValidationOutcome::Excess(..) => {}
            verdict => break verdict,
        }
    };
    assert!(matches!(
        verdict,
        ValidationOutcome::Bad("far more than the author's share")
    ));
    assert!(sent > 4 * 512, "{sent}");
    // The same from an honest forwarder.
    let data = data(&scene, 1_000_000);
    let verdict = scene.validate(PeerId::random(), Kind::Task, data);
    assert!(matches!(verdict, ValidationOutcome::Excess(..)));
}

fn contradiction(scene: &Scene, number: usize, epochs: [Epoch; 2]) -> EquivocationEvidence {
    let other = |epoch| match statement(1, epoch) {
        Statement::StateProof(proof) => Statement::StateProof(StateProof {
            value: U256::from(3),
            ..proof
        }),
        update => update,
    };
    let member = &scene.members[number];
    let first = member.response(&scene.domain, statement(1, epochs[0]));
    let second = member.response(&scene.domain, other(epochs[1]));
    EquivocationEvidence::between(&first, &second).unwrap()
}

fn evidence(sequence: u64, evidence: EquivocationEvidence) -> GossipBatch {
    GossipBatch {
        sequence,
        evidence: vec![evidence],
        ..GossipBatch::default()
    }
}

#[test]
fn evidence_is_checked_before_it_is_forwarded() {
    let mut scene = Scene::new();
    let proven = contradiction(&scene, 1, [EPOCH, EPOCH]);
    let verdict = scene.from(0, Kind::Evidence, &evidence(1, proven.clone()));
    assert!(matches!(verdict, ValidationOutcome::Good(entries) if entries.len() == 1));

    // The same pair, laid to another operator.
    let pair = proven.attestations().map(|signed| signed.clone());
    let forged = EquivocationEvidence::new(scene.members[2].address, pair).unwrap();
    let verdict = scene.from(0, Kind::Evidence, &evidence(2, forged));
    assert_eq!(reason(&verdict), "evidence");
    assert!(matches!(verdict, ValidationOutcome::Guilty(_)));
}

#[test]
fn evidence_of_an_unknown_kind_is_forwarded() {
    let mut scene = Scene::new();
    let member = &scene.members[1];
    let pair = [1, 2].map(|fact| {
        let attestation = quorate_proto::Attestation {
            epoch: EPOCH,
            slot: quorate_proto::SlotId(B256::repeat_byte(0x7f)),
            fact: B256::repeat_byte(fact),
        };
        let digest = attestation.digest(&scene.domain);
        SignedAttestation::bare(attestation, member.signing.sign(digest).unwrap())
    });
    let unknown = EquivocationEvidence::new(member.address, pair).unwrap();
    let verdict = scene.from(0, Kind::Evidence, &evidence(1, unknown));
    assert!(matches!(verdict, ValidationOutcome::Good(entries) if entries.len() == 1));
}

#[test]
fn nobody_is_to_blame_for_evidence_that_is_known_or_cannot_be_checked() {
    let mut scene = Scene::new();
    let past = contradiction(&scene, 1, [Epoch(1), EPOCH]);
    let verdict = scene.from(0, Kind::Evidence, &evidence(1, past));
    assert_eq!(reason(&verdict), "operator set of the evidence is not kept");
    assert!(matches!(verdict, ValidationOutcome::Useless(_)));

    let stranger = Member::new(77);
    let proven = contradiction(&scene, 1, [EPOCH, EPOCH]);
    let data = scene.seal(&stranger, Kind::Evidence, &evidence(1, proven.clone()));
    let verdict = scene.validate(stranger.peer_id(), Kind::Evidence, data);
    assert!(
        matches!(verdict, ValidationOutcome::Useless(_)),
        "{}",
        reason(&verdict)
    );

    let known = quorate_protocols::evidence::Input::Heard(proven.clone());
    scene.validator.book.take(known).unwrap();
    let verdict = scene.from(0, Kind::Evidence, &evidence(2, proven));
    assert_eq!(reason(&verdict), "evidence is known, or too much of it");
    assert!(matches!(verdict, ValidationOutcome::Useless(_)));
}
