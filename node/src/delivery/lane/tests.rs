use quorate_proto::store::DeliveryNonce;
use quorate_proto::{B256, SecretKey};

use super::*;
use crate::keys::{EvmPayer, LocalSigner};
use crate::services::bridge::doubles::{BridgeScene, ListedSource, TARGET, scene};

const DELIVERY: [u8; 32] = [0xde; 32];

fn lane(scene: &BridgeScene) -> LaneShell {
    let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
    let parts = LaneParts {
        submitter: scene.target.clone(),
        payer: Arc::new(EvmPayer(Arc::new(LocalSigner::new(key)))),
        confirmations: 2,
    };
    LaneShell::new(parts, scene.writes.clone())
}

/// A nonce with two transactions, of which those from number `cancels_from` on cancel it.
async fn sign(scene: &BridgeScene, lane: &LaneShell, cancels_from: Option<u32>) {
    let sender = lane.id.sender.0;
    let nonce = DeliveryNonce {
        delivery: DELIVERY.to_vec(),
        cancels_from,
        made: 21_000,
        ..DeliveryNonce::default()
    };
    let mut batch = Batch::new();
    batch.put(schema::DELIVERY_NONCES, &(TARGET, sender, 3), &nonce);
    for attempt in [0, 1] {
        let signed = DeliveryTransaction {
            hash: hash(attempt).to_vec(),
            max_fee: amount_of(5),
            gas: 200_000,
            ..DeliveryTransaction::default()
        };
        let key = ((TARGET, sender), 3, attempt);
        batch.put(schema::DELIVERY_TRANSACTIONS, &key, &signed);
    }
    let written = scene.writes.write(batch, Durability::Synced);
    written.await.expect("written");
}

fn hash(attempt: u32) -> B256 {
    B256::from(U256::from(100 + attempt))
}

fn receipt(scene: &BridgeScene) -> Option<DeliveryReceipt> {
    let store = scene.writes.store();
    store
        .get(schema::DELIVERY_RECEIPTS, &DELIVERY)
        .expect("a store")
}

#[tokio::test]
async fn the_receipt_of_what_delivered_is_kept_once_it_is_confirmed() {
    let scene = scene(ListedSource::new(9, &[]));
    let lane = lane(&scene);
    sign(&scene, &lane, None).await;
    scene.target.mine(hash(1), 10);
    scene.target.set_height(11);
    assert_eq!(lane.receipt(3).await.unwrap().unwrap(), Found::Unconfirmed);
    assert_eq!(receipt(&scene), None);
    scene.target.set_height(12);
    let found = lane.receipt(3).await.unwrap().unwrap();
    assert!(matches!(found, Found::Mined { attempt: 1, .. }));
    let kept = receipt(&scene).expect("a receipt");
    assert_eq!(kept.transaction, hash(1).to_vec());
    assert_eq!((kept.block_number, kept.sent_ms), (10, 21));
    assert!(kept.succeeded && kept.gas_used > 0);
}

#[tokio::test]
async fn a_cancelled_nonce_delivered_nothing() {
    let scene = scene(ListedSource::new(9, &[]));
    let lane = lane(&scene);
    sign(&scene, &lane, Some(1)).await;
    scene.target.mine(hash(1), 10);
    scene.target.set_height(12);
    assert!(matches!(
        lane.receipt(3).await.unwrap().unwrap(),
        Found::Mined { attempt: 1, .. }
    ));
    assert_eq!(receipt(&scene), None);
}
