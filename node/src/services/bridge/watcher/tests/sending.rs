use std::time::Duration;

use super::super::*;
use crate::services::bridge::BridgePlace;
use crate::services::bridge::doubles::{BridgeScene, ListedSource, block, scene, text};

/// For whatever takes a moment on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn watcher(scene: &BridgeScene) -> TransferWatcher {
    let route = text();
    let source = BridgePlace {
        chain: route.route.source_chain,
        contract: route.route.source_contract,
    };
    let transfers = scene.bridge.transfers.clone();
    let watcher = TransferWatcher::open(source, (&[route], &[]), scene.source.clone(), transfers);
    watcher.expect("a watcher")
}

#[tokio::test]
async fn what_was_sent_before_and_after_is_read_once_over_a_restart() {
    let scene = scene(ListedSource::new(9, &[(1, 2), (2, 6), (3, 9)]));
    let mut first = watcher(&scene);
    assert!(!first.look(block(9)).await.unwrap());
    assert_eq!(scene.nonces(), [1, 2, 3]);
    assert_eq!(scene.source.take_asked(), [(1, 4), (5, 8), (9, 9)]);

    scene.source.send(4, 11);
    assert!(!first.look(block(11)).await.unwrap());
    assert_eq!(scene.source.take_asked(), [(10, 11)]);
    drop(first);

    scene.source.send(5, 14);
    let mut again = watcher(&scene);
    assert!(!again.look(block(14)).await.unwrap());
    assert_eq!(scene.source.take_asked(), [(12, 14)]);
    assert_eq!(scene.nonces(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_providers_leave_out_is_found_by_the_contract_s_count() {
    let scene = scene(ListedSource::new(9, &[(1, 2), (2, 6), (3, 9)]));
    scene.source.hide(&[1, 2]);
    let mut watcher = watcher(&scene);
    assert!(!watcher.look(block(9)).await.unwrap());
    assert_eq!(scene.nonces(), [1, 2, 3]);
    assert_eq!(watcher.routes[&text().route.id()].settled, 3);
}

#[tokio::test]
async fn a_source_that_cannot_be_read_is_read_from_the_same_block_later() {
    let scene = scene(ListedSource::new(3, &[(1, 2)]));
    scene.source.set_down(true);
    let mut watcher = watcher(&scene);
    assert!(watcher.look(block(3)).await.unwrap());
    assert_eq!(scene.nonces(), [0; 0]);
    scene.source.set_down(false);
    assert!(!watcher.look(block(3)).await.unwrap());
    assert_eq!(
        (scene.nonces(), scene.source.take_asked()),
        (vec![1], vec![(1, 3)])
    );
}

#[tokio::test]
async fn a_running_watcher_follows_the_head() {
    let scene = scene(ListedSource::new(3, &[(1, 2)]));
    let mut changes = scene.bridge.transfers.watch();
    let token = CancellationToken::new();
    let running = tokio::spawn(watcher(&scene).run(token.clone()));
    for (nonce, at) in [(2, 4), (3, 5)] {
        scene.source.send(nonce, at);
        let all = async {
            while scene.nonces().len() < usize::try_from(nonce).unwrap() {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(SOON, all).await.expect("in time");
    }
    token.cancel();
    running.await.unwrap().unwrap();
}
