//! An operator changes its key, and another party has the old one.

use super::*;
use crate::clock;

/// Operator 1 with another signing key and another peer.
fn rotated() -> Member {
    Member {
        signing: SecretKey::from_bytes(&[101; 32]).unwrap(),
        peer: PeerSecret::from_bytes(&[201; 32]),
        ..Member::new(1)
    }
}

impl Scene {
    /// A task of this author, under a binding with this sequence, in a batch with this number.
    fn says(
        &mut self,
        author: &Member,
        bound: u64,
        number: u64,
        epoch: Epoch,
    ) -> ValidationOutcome {
        let topic = self.domain.network().topic(Kind::Task);
        let binding = author.binding(&self.domain, bound);
        let data = Envelope::seal(&task(number, epoch), &binding, &topic, &author.peer);
        self.validate(author.peer_id(), Kind::Task, data)
    }

    fn turn(&mut self, sets: Vec<Arc<OperatorSet>>) {
        self.view = EpochView::of(sets);
        self.validator.turn(&self.view);
    }
}

#[test]
fn one_message_of_the_future_mutes_nobody() {
    let mut scene = Scene::new();
    let (thief, operator) = (Member::new(1), rotated());
    scene.turn(vec![set_of(&scene.members, EPOCH)]);
    let verdict = scene.says(&thief, 1 << 62, 1, EPOCH);
    assert!(
        matches!(verdict, ValidationOutcome::Useless(FUTURE)),
        "nobody is blamed"
    );
    let near = clock::now().millis() + clock::MAX_AHEAD_MS - 60_000;
    let verdict = scene.says(&thief, near, 2, EPOCH);
    assert_eq!(reason(&verdict), "good");

    // In the grace period both keys are those of live sets.
    let mut members: Vec<Member> = (2..=4).map(Member::new).collect();
    members.insert(0, rotated());
    let next = set_of(&members, EPOCH.next());
    scene.turn(vec![set_of(&scene.members, EPOCH), next.clone()]);
    assert_eq!(scene.validator.bindings.of(operator.address), None);
    let verdict = scene.says(&operator, 1_000, 1, EPOCH.next());
    assert_eq!(reason(&verdict), "good");
    let verdict = scene.says(&thief, near + 1, 3, EPOCH);
    assert!(matches!(verdict, ValidationOutcome::Useless(REPLACED)));
    scene.turn(vec![next]);
    let verdict = scene.says(&thief, near + 2, 4, EPOCH.next());
    assert!(matches!(verdict, ValidationOutcome::Bad("binding")));
    let verdict = scene.says(&operator, 1_000, 2, EPOCH.next());
    assert_eq!(reason(&verdict), "good");
}

#[test]
fn what_was_seen_of_operators_that_left_is_freed() {
    let mut scene = Scene::new();
    scene.turn(vec![set_of(&scene.members, EPOCH)]);
    for number in 0..4 {
        let verdict = scene.from(number, Kind::Task, &task(1, EPOCH));
        assert_eq!(reason(&verdict), "good");
    }
    assert_eq!(scene.validator.windows.len(), 4);
    scene.turn(vec![set_of(&scene.members[1..], EPOCH.next())]);
    assert_eq!(scene.validator.windows.len(), 3);
}
