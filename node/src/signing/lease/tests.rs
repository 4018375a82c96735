mod histories;
mod keys;
mod scene;
mod world;

use quorate_proto::store::LogOrigin;

use self::scene::*;
use super::*;

#[tokio::test]
async fn a_whole_log_and_nobody_else_give_the_lease() {
    let mut scene = Scene::of(whole()).await;
    scene.is_held().await;
    let record = scene.record();
    assert!(record.sequence > scene.binding.sequence, "{record:?}");
    assert!(record.lease.is_some_and(|lease| !lease.released));
    assert_eq!(record.seen_epoch, EPOCH);
    assert_eq!(
        (scene.lease.problem(), scene.lease.restriction()),
        (None, None)
    );
    assert_eq!(scene.lease.rule(0), Ruling::Sign);
    let (lease, queue) = (scene.lease.clone(), scene.queue.clone());
    assert!(scene.ends().await.is_ok());
    let record = queue.signers().get(&operator().into_array()).unwrap();
    assert!(record.lease.unwrap().released);
    assert!(!lease.is_held() && lease.may_publish());
}

#[tokio::test]
async fn a_log_that_may_lack_something_is_not_signed_with() {
    let counts = |from| Start {
        keys: vec![(from, 1)],
        ..Start::default()
    };
    let restored = Start {
        restored: true,
        keys: vec![(0, 1)],
        ..whole()
    };
    // Another key counted since, which this store has not seen; or the present one did.
    let strange = Start {
        keys: vec![(0, 1), (1, 2), (2, 1)],
        ..whole()
    };
    let unknown = Start {
        key: 2,
        keys: vec![(0, 1), (2, 2)],
        ..whole()
    };
    let cases = [
        (counts(0), "has no signing log of it"),
        (counts(EPOCH), "has no signing log of it"),
        (restored, "restored from a backup"),
        (strange, "in epoch 1, and what that signed is not"),
        (unknown, "has counted for some time"),
    ];
    for (start, phrase) in cases {
        let mut scene = Scene::of(start.clone()).await;
        let text = scene.is_refused().await;
        for part in [phrase, "keys log import", "--accept-double-signing-risk"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(scene.lease.problem(), Some(text));
        assert!(!scene.lease.may_publish());
        assert!(scene.ends().await.is_ok());

        let accepted = Start {
            accept_risk: true,
            ..start
        };
        let mut scene = Scene::of(accepted).await;
        scene.is_held().await;
        assert_eq!(scene.origin(), LogOrigin::RiskAccepted);
        assert_eq!(scene.lease.rule(0), Ruling::Sign);
    }
}

/// Also where this store has no log at all, so that it would not sign in any case.
#[tokio::test]
async fn a_process_without_a_log_ends_beside_one_that_signs() {
    let moves = [500, 501].map(|more| Some(presence(&own_key(), BASE + more)));
    let start = Start {
        keys: vec![(0, 1)],
        told: [vec![None], moves.to_vec()].concat(),
        ..Start::default()
    };
    let mut scene = Scene::of(start.clone()).await;
    let text = scene.is_lost().await;
    assert!(text.contains("another node signs with it too"), "{text}");
    let ended = scene.ends().await;
    assert!(matches!(ended, Err(NodeError::KeyInUse { .. })));
    // What a process that is gone has left does not move.
    let told = vec![None, moves[0]];
    let mut scene = Scene::of(Start { told, ..start }).await;
    scene.is_refused().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(scene.settled().await, LeaseState::Refused(_)));
}

#[tokio::test]
async fn an_operator_that_never_had_a_key_has_an_empty_log() {
    let begun_and_noted = Start {
        keys: vec![(1, 1)],
        noted: true,
        ..Start::default()
    };
    let to_come = Start {
        keys: vec![(EPOCH + 1, 1)],
        ..Start::default()
    };
    for start in [Start::default(), to_come, begun_and_noted] {
        let mut scene = Scene::of(start).await;
        scene.is_held().await;
        assert_eq!(scene.origin(), LogOrigin::NewOperator);
        assert_eq!(scene.lease.rule(0), Ruling::Sign);
    }
}

#[tokio::test]
async fn a_store_that_others_have_passed_is_behind() {
    let told = vec![Some(presence(&own_key(), BASE + 500))];
    let counts = Start {
        keys: vec![(0, 1)],
        ..whole()
    };
    let start = Start {
        told,
        ..counts.clone()
    };
    let mut scene = Scene::of(start.clone()).await;
    let text = scene.is_refused().await;
    assert!(text.contains("until 1500"), "{text}");
    // Also when no peer remembers any more.
    let mut scene = scene.again(counts).await;
    let text = scene.is_refused().await;
    assert!(text.contains("until 1500"), "{text}");
    let accepted = Start {
        accept_risk: true,
        ..start
    };
    let mut scene = Scene::of(accepted).await;
    scene.is_held().await;
    assert!(scene.record().sequence > BASE + 500);
}

#[tokio::test]
async fn a_process_that_is_there_now_cannot_be_accepted() {
    for accept_risk in [false, true] {
        let told = [500, 501].map(|more| Some(presence(&own_key(), BASE + more)));
        let mut scene = Scene::of(Start {
            told: told.to_vec(),
            accept_risk,
            ..whole()
        })
        .await;
        assert!(matches!(scene.settled().await, LeaseState::Lost(_)));
        let error = scene.ends().await.unwrap_err();
        assert!(matches!(error, NodeError::KeyInUse { .. }), "{error}");
    }
}

/// No process but the holder of a key stops a node, and the operator's own past does not either.
#[tokio::test]
async fn what_others_make_up_stops_nobody() {
    let stranger = secret(2);
    let own_past = presence(&own_key(), BASE);
    let of_another = Presence {
        operator: Address::repeat_byte(2),
        ..presence(&own_key(), BASE + 9)
    };
    for told in [presence(&stranger, BASE + 9), own_past, of_another] {
        let mut scene = Scene::of(Start {
            told: vec![Some(told)],
            ..whole()
        })
        .await;
        scene.is_held().await;
        let harmless = [
            binding(&stranger, 9, BASE + 500),
            binding(&own_key(), 9, BASE),
            scene.binding,
        ];
        for binding in harmless {
            scene.heard.send(binding).await.unwrap();
        }
        // Behind those: what is foreign ends it, so they were looked at.
        assert!(scene.lease.is_held());
        let foreign = binding(&own_key(), 9, BASE + 500);
        scene.heard.send(foreign).await.unwrap();
        let text = scene.is_lost().await;
        assert!(text.contains("at 1500"), "{text}");
        assert!(!scene.lease.may_publish());
        assert!(scene.ends().await.is_err());
    }
}

#[test]
fn a_copy_of_a_running_store_is_known_on_the_same_machine() {
    let key = own_key().address();
    let mut child = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    let holder = holder::of_process(child.id());
    let record = |released| SignerRecord {
        lease: Some(quorate_proto::store::Lease {
            pid: child.id(),
            process: holder.clone(),
            released,
            ..Default::default()
        }),
        ..SignerRecord::default()
    };
    let error = refuse_beside_holder(key, &record(false)).unwrap_err();
    assert!(error.to_string().contains("copy of its store"), "{error}");
    assert!(refuse_beside_holder(key, &record(true)).is_ok());
    assert!(refuse_beside_holder(key, &SignerRecord::default()).is_ok());
    let left = record(false);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refuse_beside_holder(key, &left).is_ok());
}
