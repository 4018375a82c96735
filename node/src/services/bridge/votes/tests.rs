use quorate_proto::{B256, Domain};
use quorate_storage::{Batch, SigningEntry};

use super::*;
use crate::services::bridge::fixtures::{ME, NOW, Scene, TARGET, scene};

/// Signs the vote as the attestor would.
async fn sign(scene: &Scene, vote: &BridgePause) {
    let domain = Domain::new(1, Address::ZERO);
    let statement = quorate_proto::Statement::BridgePause(BridgePause {
        epoch: NOW,
        ..*vote
    });
    let entry = SigningEntry {
        operator: ME.into_array(),
        key: ME.into_array(),
        slot: statement.slot().0.0,
        fact: statement.fact().0,
        digest: statement.digest(&domain).0,
        task: statement.task_id().0.0,
        epoch: NOW.0,
        time_ms: 1,
    };
    let reserved = scene.writes.signing_log().reserve(entry).unwrap();
    reserved.commit(Batch::new()).await.unwrap();
}

#[tokio::test]
async fn a_vote_is_for_the_next_change_and_takes_the_place_of_the_one_before() {
    let scene = scene();
    scene.target.count(2);
    let vote = scene.bridge.vote(ME, TARGET, true).await.unwrap();
    assert_eq!((vote.sequence, vote.paused, vote.time), (3, true, 0));
    let other = scene.bridge.vote(ME, TARGET, false).await.unwrap();
    assert_eq!(scene.bridge.votes.all().unwrap(), [other]);
    assert_eq!(
        VoteStore::new(scene.writes.clone()).of(&TARGET).unwrap(),
        Some(other)
    );
    assert!(scene.bridge.votes.take_back(&TARGET).await.unwrap());
    assert!(!scene.bridge.votes.take_back(&TARGET).await.unwrap());
    assert_eq!(scene.bridge.votes.all().unwrap(), []);
}

#[tokio::test]
async fn a_vote_that_cannot_be_given_is_refused() {
    let scene = scene();
    let strange = BridgePlace {
        contract: B256::ZERO,
        ..TARGET
    };
    let refused = scene.bridge.vote(ME, strange, true).await;
    assert!(matches!(refused, Err(VoteError::NotOnRoutes(_))));
    let unread = BridgePlace {
        chain: 1,
        contract: B256::repeat_byte(0xaa),
    };
    let refused = scene.bridge.vote(ME, unread, true).await;
    assert!(matches!(refused, Err(VoteError::NoChain(1))));
    scene.target.head.send_replace(None);
    let refused = scene.bridge.vote(ME, TARGET, true).await;
    assert!(matches!(refused, Err(VoteError::Silent(10))));
    assert_eq!(scene.bridge.votes.all().unwrap(), []);
}

#[tokio::test]
async fn what_was_signed_is_not_voted_against() {
    let scene = scene();
    let vote = scene.bridge.vote(ME, TARGET, true).await.unwrap();
    sign(&scene, &vote).await;
    let refused = scene.bridge.vote(ME, TARGET, false).await;
    assert!(matches!(refused, Err(VoteError::Signed(1))));
    assert_eq!(scene.bridge.votes.all().unwrap(), [vote]);
    scene.bridge.votes.take_back(&TARGET).await.unwrap();
    assert_eq!(scene.bridge.vote(ME, TARGET, true).await.unwrap(), vote);
    // The next number is another question.
    scene.target.count(1);
    assert!(scene.bridge.vote(ME, TARGET, false).await.is_ok());
}

#[tokio::test]
async fn a_vote_that_was_given_since_does_not_end_with_the_old_one() {
    let scene = scene();
    let old = scene.bridge.vote(ME, TARGET, true).await.unwrap();
    scene.target.count(1);
    let new = scene.bridge.vote(ME, TARGET, false).await.unwrap();
    scene.bridge.votes.end(&old).await.unwrap();
    assert_eq!(scene.bridge.votes.all().unwrap(), [new]);
    scene.bridge.votes.end(&new).await.unwrap();
    assert_eq!(scene.bridge.votes.all().unwrap(), []);
}
