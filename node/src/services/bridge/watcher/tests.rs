mod sending;

use super::*;
use crate::services::bridge::fixtures::{ROUTE, Scene, TARGET, scene};

fn watcher(scene: &Scene) -> TransferWatcher {
    let (reader, transfers) = (scene.target.clone(), scene.bridge.transfers.clone());
    TransferWatcher::open(TARGET, (&[], &[ROUTE]), reader, transfers).unwrap()
}

fn closing(route: B256, nonce: u64) -> SeenClosing {
    SeenClosing {
        route,
        nonce,
        time: 70,
    }
}

#[tokio::test]
async fn what_a_target_closes_is_kept_of_its_own_routes_and_from_the_first_head_on() {
    let scene = scene();
    let (own, other) = (closing(ROUTE.id(), 4), closing(B256::ZERO, 4));
    let kept = TransferClosed {
        epoch: Epoch(0),
        route: ROUTE,
        nonce: 4,
        time: 70,
    };
    scene.target.set_head(300);
    scene.target.closings.lock().unwrap().extend([
        (299, closing(ROUTE.id(), 3)),
        (300, own),
        (300, other),
        (301, closing(ROUTE.id(), 5)),
    ]);
    let mut watcher_of_old = watcher(&scene);
    assert!(
        !watcher_of_old
            .look(scene.target.final_head().unwrap())
            .await
            .unwrap()
    );
    assert_eq!(scene.bridge.open_closings().unwrap(), [kept]);
    scene.bridge.transfers.ended(&[kept]).await.unwrap();
    // Another run goes on where this one ended.
    scene.target.set_head(301);
    let mut restarted = watcher(&scene);
    restarted
        .look(scene.target.final_head().unwrap())
        .await
        .unwrap();
    let nonces: Vec<u64> = scene
        .bridge
        .open_closings()
        .unwrap()
        .iter()
        .map(|c| c.nonce)
        .collect();
    assert_eq!(nonces, [5]);
}
