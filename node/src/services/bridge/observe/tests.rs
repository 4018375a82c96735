mod transfers;

use std::sync::Arc;

use super::*;
use crate::services::bridge::fixtures::{ME, NOW, Scene, TARGET, scene};

async fn verdict(scene: &Scene, told: &BridgePause) -> Option<RefusalCode> {
    let observer = Observer::new(Arc::default(), scene.home.clone(), scene.bridge.clone());
    match observer.pause(told).await.0 {
        Verdict::Agree => None,
        Verdict::Refuse(code, _) => Some(code),
    }
}

#[tokio::test]
async fn only_the_vote_that_was_given_is_signed_and_only_when_its_number_is_next() {
    let scene = scene();
    let not_voted = Some(RefusalCode::NotVoted);
    let told = BridgePause {
        epoch: NOW,
        ..BridgePause::vote(TARGET.chain, TARGET.contract, 1, true)
    };
    assert_eq!(verdict(&scene, &told).await, not_voted);
    scene.bridge.vote(ME, TARGET, true).await.unwrap();
    assert_eq!(verdict(&scene, &told).await, None);
    for other in [
        BridgePause {
            paused: false,
            ..told
        },
        BridgePause {
            sequence: 2,
            ..told
        },
        BridgePause { time: 1, ..told },
        BridgePause {
            chain_id: 1,
            ..told
        },
    ] {
        assert_eq!(verdict(&scene, &other).await, not_voted);
    }
    scene.target.count(1);
    assert_eq!(verdict(&scene, &told).await, Some(RefusalCode::NotFinal));
    scene.target.head.send_replace(None);
    let silent = Some(RefusalCode::ChainUnavailable);
    assert_eq!(verdict(&scene, &told).await, silent);
    scene.bridge.votes.take_back(&TARGET).await.unwrap();
    assert_eq!(verdict(&scene, &told).await, not_voted);
}
