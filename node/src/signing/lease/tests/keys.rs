//! An operator takes another key.

use quorate_proto::store::LogOrigin;

use super::super::*;
use super::scene::*;
use crate::signing::lease::young::{MARGIN_S, SigningMoment};

/// Key 1 until now, key 2 in the present epoch.
fn changed() -> Start {
    Start {
        key: 2,
        keys: vec![(0, 1), (EPOCH, 2)],
        sets: vec![(EPOCH - 1, 1), (EPOCH, 2)],
        ..Start::default()
    }
}

/// With a note, and nothing of what key 1 signed.
fn lost() -> Start {
    Start {
        noted: true,
        ..changed()
    }
}

/// Waits until the home chain has said since when the key counts.
async fn grown(scene: &mut Scene) {
    let known = |youth: &Youth| *youth != Youth::Unborn;
    scene.lease.youth.wait_for(known).await.unwrap();
}

/// When the present epoch began, and from when on facts before that are signed.
fn bounds() -> (u64, SigningMoment) {
    let block = u64::from(EPOCH) * LENGTH;
    let until = SigningMoment {
        block: block + REACH.blocks,
        time: time_of(block) + REACH.seconds,
    };
    (time_of(block), until)
}

#[tokio::test]
async fn another_key_goes_on_with_the_log_of_its_store() {
    // Made here; or known before it counts, whichever process made it.
    let early = Start {
        keys: vec![(0, 1), (EPOCH + 1, 2)],
        ..changed()
    };
    for start in [lost(), early] {
        let mut scene = Scene::of(Start {
            keys: vec![(0, 1)],
            ..whole()
        })
        .await;
        scene.is_held().await;
        let sequence = scene.record().sequence;
        let mut scene = scene.again(start.clone()).await;
        scene.is_held().await;
        let record = scene.record();
        assert_eq!(record.origin(), LogOrigin::NewOperator);
        assert_eq!(record.signing_keys.len(), 2);
        assert!(record.sequence > sequence);
        let held_with = record.lease.unwrap().signing_key;
        assert_eq!(held_with, secret(2).address().to_vec());
        assert_eq!(scene.lease.rule(0), Ruling::Sign, "old facts too");
        assert_eq!(scene.lease.restriction(), None);
        // The note has vouched once, the record from now on.
        let next = Start {
            noted: false,
            ..start
        };
        let mut scene = scene.again(next).await;
        scene.is_held().await;
    }
}

/// The note that a key is new says nothing of what the operator signed with others.
#[tokio::test]
async fn a_new_key_without_the_log_signs_only_what_is_younger() {
    let (since, until) = bounds();
    let mut scene = Scene::of(lost()).await;
    scene.is_held().await;
    grown(&mut scene).await;
    assert_eq!(scene.origin(), LogOrigin::NewKey);
    let old = Ruling::Refuse(Some(until));
    assert_eq!(scene.lease.rule(since + MARGIN_S), old);
    assert_eq!(scene.lease.rule(since + MARGIN_S + 1), Ruling::Sign);
    let text = scene.lease.restriction().unwrap();
    assert!(text.contains(&until.to_string()), "{text}");
    assert_eq!(scene.lease.problem(), None, "it signs");

    // So it is after a restart, when the note is gone.
    let mut scene = scene.again(changed()).await;
    scene.is_held().await;
    grown(&mut scene).await;
    assert_eq!(scene.lease.rule(since), old);

    // When the rest is out of reach, it signs everything, now and later.
    scene.view.send_replace(view(until.block, &[(EPOCH, 2)]));
    assert_eq!(scene.lease.rule(since), Ruling::Sign);
    assert_eq!(scene.lease.restriction(), None);
    scene.lease.show_now();
    let over = |youth: &Youth| *youth == Youth::Over;
    scene.lease.youth.wait_for(over).await.unwrap();
    assert_eq!(scene.origin(), LogOrigin::Outgrown);
    let mut scene = scene.again(changed()).await;
    scene.is_held().await;
    assert_eq!(scene.lease.rule(since), Ruling::Sign);
}

#[tokio::test]
async fn nothing_is_signed_before_the_new_key_counts() {
    let mut scene = Scene::of(Start {
        keys: vec![(0, 1), (EPOCH + 1, 2)],
        ..lost()
    })
    .await;
    scene.is_held().await;
    assert_eq!(scene.lease.rule(u64::MAX), Ruling::Refuse(None));
    assert!(
        scene
            .lease
            .problem()
            .unwrap()
            .contains("nothing is signed yet")
    );
}

#[tokio::test]
async fn accepting_the_risk_ends_youth_too() {
    let mut scene = Scene::of(lost()).await;
    scene.is_held().await;
    let mut scene = scene
        .again(Start {
            accept_risk: true,
            ..changed()
        })
        .await;
    scene.is_held().await;
    assert_eq!(scene.origin(), LogOrigin::RiskAccepted);
    assert_eq!(scene.lease.rule(0), Ruling::Sign);
}

/// Whatever is known to be missing in the log is missing with the next key as well.
#[tokio::test]
async fn another_key_is_no_way_around_a_log_that_lacks_something() {
    let restored = Start {
        origin: Some(LogOrigin::NewOperator),
        restored: true,
        ..lost()
    };
    let mut scene = Scene::of(restored).await;
    scene.is_held().await;
    assert_eq!(scene.origin(), LogOrigin::NewKey);

    let told = vec![Some(presence(&own_key(), BASE + 500))];
    let mut scene = Scene::of(Start { told, ..whole() }).await;
    scene.is_refused().await;
    let mut scene = scene.again(lost()).await;
    scene.is_held().await;
    assert_eq!(scene.origin(), LogOrigin::NewKey);

    // The same where only the start with the new key hears of it.
    let told = vec![Some(presence(&own_key(), BASE + 500))];
    let start = Start {
        origin: Some(LogOrigin::NewOperator),
        told,
        ..lost()
    };
    let mut scene = Scene::of(start).await;
    scene.is_held().await;
    assert_eq!(scene.origin(), LogOrigin::NewKey);
}

/// It is not known whether another process went on with the store that a log came from.
#[tokio::test]
async fn an_imported_log_is_whole_for_the_next_key_where_it_goes_far_enough() {
    let (since, _) = bounds();
    let start = Start {
        imported: Some(since + MARGIN_S),
        ..lost()
    };
    let mut scene = Scene::of(start.clone()).await;
    scene.is_held().await;
    grown(&mut scene).await;
    assert_eq!(scene.origin(), LogOrigin::NewKey);
    assert_ne!(scene.lease.rule(since), Ruling::Sign);

    // A log that goes on behind the last epoch of the key before is all that this has signed.
    let start = Start {
        imported: Some(since + MARGIN_S + 1),
        ..start
    };
    let mut scene = Scene::of(start.clone()).await;
    scene.is_held().await;
    grown(&mut scene).await;
    assert_eq!(scene.origin(), LogOrigin::Imported);
    assert_eq!(scene.lease.rule(since), Ruling::Sign);

    // The key of the file itself is asked for at the peers.
    let mut scene = Scene::of(Start {
        key: 1,
        noted: false,
        keys: vec![(0, 1)],
        ..start
    })
    .await;
    scene.is_held().await;
    assert_eq!(scene.origin(), LogOrigin::Imported);
    assert!(!scene.record().unproven, "it is signed with now");
}

/// What the old key said before is no sign of life; what it says from now on is.
#[tokio::test]
async fn the_old_key_does_no_harm_while_it_is_silent() {
    let silent = vec![Some(presence(&own_key(), BASE + 500))];
    let mut scene = Scene::of(Start {
        told: silent,
        ..lost()
    })
    .await;
    scene.is_held().await;
    grown(&mut scene).await;
    scene
        .heard
        .send(binding(&own_key(), 9, BASE))
        .await
        .unwrap();
    let last = binding(&own_key(), 9, BASE + 500);
    scene.heard.send(last).await.unwrap();
    tokio::task::yield_now().await;
    assert!(scene.lease.is_held());
    let now = binding(&own_key(), 9, BASE + 501);
    scene.heard.send(now).await.unwrap();
    let text = scene.is_lost().await;
    let old = own_key().address();
    assert!(
        text.contains(&format!("signs for its operator with {old}")),
        "{text}"
    );
    let error = scene.ends().await.unwrap_err();
    assert!(matches!(error, NodeError::KeyInUse { .. }), "{error}");
}

#[tokio::test]
async fn a_process_with_the_old_key_keeps_the_new_one_from_signing() {
    for accept_risk in [false, true] {
        let told = [500, 501].map(|more| Some(presence(&own_key(), BASE + more)));
        let mut scene = Scene::of(Start {
            told: told.to_vec(),
            accept_risk,
            ..lost()
        })
        .await;
        assert!(matches!(scene.settled().await, LeaseState::Lost(_)));
        assert!(matches!(
            scene.ends().await,
            Err(NodeError::KeyInUse { .. })
        ));
    }
}

/// The other way round: the new key is in the set of the coming epoch already.
#[tokio::test]
async fn a_process_with_the_new_key_ends_the_one_with_the_old() {
    let running = Start {
        keys: vec![(0, 1), (EPOCH + 1, 2)],
        sets: vec![(EPOCH, 1), (EPOCH + 1, 2)],
        ..whole()
    };
    let mut scene = Scene::of(running.clone()).await;
    scene.is_held().await;
    let other = binding(&secret(2), 9, BASE + 500);
    scene.heard.send(other).await.unwrap();
    let text = scene.is_lost().await;
    let new = secret(2).address();
    assert!(
        text.contains(&format!("signs for its operator with {new}")),
        "{text}"
    );
    assert!(scene.ends().await.is_err());
    // By its presence, as a peer tells it.
    let told = vec![None, Some(presence(&secret(2), BASE + 500))];
    let mut scene = Scene::of(Start { told, ..running }).await;
    let text = scene.is_lost().await;
    assert!(text.contains(&new.to_string()), "{text}");
}
