use quorate_chain::SeenTransfer;
use quorate_proto::Epoch;

use super::*;
use crate::services::bridge::fixtures::{NOW, ROUTE, scene};

#[tokio::test]
async fn what_was_closed_is_announced_in_the_present_epoch() {
    let mut scene = scene();
    let closed = TransferClosed {
        epoch: Epoch(0),
        route: ROUTE,
        // With this number this operator is the first.
        nonce: 1,
        time: 70,
    };
    let mut announcer = Announcer::new(scene.starter.clone(), scene.bridge.clone());
    assert!(!announcer.look().await.unwrap());
    let none: &[SeenTransfer] = &[];
    let transfers = scene.bridge.transfers.clone();
    transfers.record((none, &[closed]), None).await.unwrap();
    assert!(announcer.look().await.unwrap());
    let announced = TransferClosed {
        epoch: NOW,
        ..closed
    };
    assert_eq!(scene.driver.asked(), [announced.into()]);
    announcer.look().await.unwrap();
    assert_eq!(scene.driver.asked(), [], "not its turn");
    transfers.ended(&[closed]).await.unwrap();
    assert!(!announcer.look().await.unwrap());
}
