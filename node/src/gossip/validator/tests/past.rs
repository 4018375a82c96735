//! What sets of epochs that are over may still say.

use quorate_proto::EpochUpdate;

use super::*;

const PAST: Epoch = Epoch(2);

/// Member 0 has left since, members 1 to 3 serve still.
fn scene() -> Scene {
    let mut scene = Scene::new();
    let past = set_of(&scene.members, PAST);
    let served = set_of(&scene.members[1..], EPOCH);
    scene.view = EpochView::of(vec![served]).with_past(vec![past]);
    scene
}

fn update(epoch: Epoch, next: Epoch) -> Statement {
    Statement::EpochUpdate(EpochUpdate {
        epoch,
        next_epoch: next,
        set_hash: B256::repeat_byte(5),
        time: 1_700_000_000,
    })
}

/// Sets are told, not read by proof or vote.
fn named(scene: &Scene, number: usize, statement: Statement) -> Response {
    Response {
        basis: ReadBasis::Unspecified,
        ..scene.members[number].response(&scene.domain, statement)
    }
}

fn responses(sequence: u64, responses: Vec<Response>) -> GossipBatch {
    GossipBatch {
        sequence,
        responses,
        ..GossipBatch::default()
    }
}

fn good(verdict: &ValidationOutcome) -> usize {
    match verdict {
        ValidationOutcome::Good(entries) => entries.len(),
        _ => 0,
    }
}

#[test]
fn a_set_that_is_over_may_name_a_later_one_also_by_operators_that_left() {
    let mut scene = scene();
    for number in [0, 1] {
        let response = named(&scene, number, update(PAST, EPOCH));
        let verdict = scene.from(number, Kind::Response, &responses(1, vec![response]));
        assert_eq!(good(&verdict), 1, "{}", reason(&verdict));
    }
    let announced = GossipBatch {
        sequence: 2,
        tasks: vec![Task {
            statement: update(PAST, EPOCH),
            attempt: 0,
        }],
        ..GossipBatch::default()
    };
    let verdict = scene.from(0, Kind::Task, &announced);
    assert_eq!(good(&verdict), 1, "{}", reason(&verdict));
}

#[test]
fn nothing_else_is_heard_of_sets_that_are_over() {
    let mut scene = scene();
    let member = &scene.members[1];
    let value = member.response(&scene.domain, statement(7, PAST));
    let verdict = scene.from(1, Kind::Response, &responses(1, vec![value.clone()]));
    assert!(
        matches!(verdict, ValidationOutcome::Bad(_)),
        "{}",
        reason(&verdict)
    );
    // Nor in the company of what may be said.
    let name = named(&scene, 1, update(PAST, EPOCH));
    let verdict = scene.from(1, Kind::Response, &responses(2, vec![name, value]));
    assert_eq!(good(&verdict), 1, "the update alone");
    // Who has left speaks for the past set only.
    let present = named(&scene, 0, update(EPOCH, EPOCH.next()));
    let past = named(&scene, 0, update(PAST, EPOCH));
    let verdict = scene.from(0, Kind::Response, &responses(1, vec![past, present]));
    assert_eq!(good(&verdict), 0, "{}", reason(&verdict));
}

#[test]
fn a_set_whose_certificates_hold_no_more_names_nothing() {
    let mut scene = scene();
    let long_over = Epoch(1);
    let response = named(&scene, 1, update(long_over, EPOCH));
    let verdict = scene.from(1, Kind::Response, &responses(1, vec![response]));
    assert!(
        matches!(verdict, ValidationOutcome::Bad(_)),
        "{}",
        reason(&verdict)
    );
}
