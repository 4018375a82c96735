use quorate_proto::store::{
    DeliveryNonce, DeliveryPayload, DeliveryReason, DeliveryReceipt, DeliveryRow,
    DeliveryTransaction, TaskRecord, TaskRef,
};
use quorate_proto::{Operator, SecretKey, SignerSignature};
use quorate_storage::{Batch, Durability};

use super::*;
use crate::services::bridge::doubles::{
    BASE_FEE, BridgeScene, ListedSource, TARGET, TIP, scene, seen, sending, text, transfer,
};

const EPOCH: Epoch = Epoch(5);
const SENDER: [u8; 32] = [0x77; 32];

fn words(reply: &wire::TransferReply) -> Vec<TransferStage> {
    reply.steps.iter().map(wire::TransferStep::stage).collect()
}

fn told(scene: &BridgeScene) -> wire::TransferReply {
    let report = scene.bridge.report(&text(), 1, Some(EPOCH));
    report.expect("a store")
}

async fn write(scene: &BridgeScene, batch: Batch) {
    let written = scene.writes.write(batch, Durability::Synced);
    written.await.expect("written");
}

fn statement() -> Statement {
    Statement::Transfer(Transfer {
        epoch: EPOCH,
        ..transfer(1)
    })
}

async fn announce(scene: &BridgeScene) {
    let task = TaskRecord {
        created_ms: 11,
        ended_ms: 12,
        ..TaskRecord::default()
    };
    let mut batch = Batch::new();
    batch.put(schema::TASKS, &statement().task_id().0.0, &task);
    write(scene, batch).await;
}

async fn certify_it(scene: &BridgeScene) {
    let key = SecretKey::from_bytes(&[9; 32]).expect("a key");
    let operator = quorate_proto::Address::repeat_byte(1);
    let signature = key.sign(B256::repeat_byte(1)).expect("signed");
    let signer = SignerSignature {
        operator,
        signature,
    };
    let certificate = Certificate::new(statement(), vec![signer]);
    let member = Operator {
        address: operator,
        signing_key: key.address(),
        weight: U256::from(70),
    };
    let set = OperatorSet::new(EPOCH, vec![member], U256::from(100), 1).expect("a set");
    let task = statement().task_id().0;
    let slot = Transfer::slot_of(&text().route, 1);
    let mut batch = Batch::new();
    batch.put(schema::CERTIFICATES, &task.0, &(&certificate).into());
    let found = TaskRef {
        task_id: task.to_vec(),
    };
    batch.put(schema::QUESTIONS, &(slot.0.0, EPOCH.0), &found);
    batch.put(schema::SETS, &EPOCH.0, &(&set).into());
    write(scene, batch).await;
}

fn id() -> B256 {
    let route = text().route;
    delivery_id(transfer(1).fact(), TARGET, route.target_contract)
}

fn row() -> DeliveryRow {
    DeliveryRow {
        id: id().to_vec(),
        chain: TARGET,
        sender: SENDER.to_vec(),
        route: text().route.id().to_vec(),
        spent: vec![0; 16],
        payload: Some(DeliveryPayload::default()),
        ..DeliveryRow::default()
    }
}

async fn send(scene: &BridgeScene) {
    let nonce = DeliveryNonce {
        delivery: id().to_vec(),
        made: 21_000,
        ..DeliveryNonce::default()
    };
    let mut batch = Batch::new();
    batch.put(schema::DELIVERIES, &id().0, &row());
    batch.put(schema::DELIVERY_NONCES, &(TARGET, SENDER, 3), &nonce);
    for attempt in [0, 1] {
        let signed = DeliveryTransaction {
            hash: vec![0xc0 + u8::try_from(attempt).unwrap(); 32],
            ..DeliveryTransaction::default()
        };
        let key = ((TARGET, SENDER), 3, attempt);
        batch.put(schema::DELIVERY_TRANSACTIONS, &key, &signed);
    }
    write(scene, batch).await;
}

async fn end(scene: &BridgeScene, reason: Option<DeliveryReason>) {
    let receipt = DeliveryReceipt {
        transaction: vec![0xc1; 32],
        block_number: 40,
        gas_used: 100_000,
        succeeded: true,
        sent_ms: 21,
    };
    let mut batch = Batch::new();
    batch.delete(schema::DELIVERIES, &id().0);
    batch.delete(schema::DELIVERY_NONCES, &(TARGET, SENDER, 3));
    let ended = DeliveryRow {
        ended: 31_000,
        ended_by: reason,
        ..row()
    };
    batch.put(schema::ENDED_DELIVERIES, &id().0, &ended);
    batch.put(schema::DELIVERY_RECEIPTS, &id().0, &receipt);
    write(scene, batch).await;
}

#[tokio::test]
async fn a_transfer_is_told_from_its_event_to_its_payout() {
    use TransferStage::{Announced, Certified, Final, Limited, Paid, Queued, Sent};
    let scene = scene(ListedSource::new(9, &[]));
    assert_eq!(words(&told(&scene)), []);
    let transfers = &scene.bridge.transfers;
    transfers.record((&[seen(1, 2)], &[]), None).await.unwrap();
    assert_eq!(words(&told(&scene)), [Final]);
    announce(&scene).await;
    assert_eq!(words(&told(&scene)), [Final, Announced]);
    certify_it(&scene).await;
    let reply = told(&scene);
    assert_eq!(words(&reply), [Final, Announced, Certified]);
    assert_eq!(reply.signed_weight, U256::from(70).to_be_bytes_vec());
    assert_eq!(reply.total_weight, U256::from(100).to_be_bytes_vec());
    assert!(reply.certificate.is_some());

    send(&scene).await;
    let key = (text().route.id().0, 1);
    transfers.certified(&[key]).await.unwrap();
    let reply = told(&scene);
    assert_eq!(words(&reply)[3..], [Queued, Sent]);
    assert!(reply.steps[3].at_ms > 0 && reply.steps[4].at_ms == 21);
    assert_eq!(reply.delivery.unwrap().transaction, [0xc1; 32]);

    end(&scene, None).await;
    for (status, stage) in [(1, Some(Limited)), (2, Some(Paid)), (0, None), (9, None)] {
        scene.target.set_status(status);
        let reply = scene.bridge.report_now(&text(), 1, Some(EPOCH)).await;
        let reply = reply.expect("a store");
        assert_eq!(words(&reply).get(5).copied(), stage, "{status}");
        let delivery = reply.delivery.unwrap();
        assert_eq!((delivery.block_number, delivery.gas_used), (40, 100_000));
        assert_eq!(delivery.ended_ms, 31);
    }
}

#[tokio::test]
async fn a_dead_letter_is_told_with_its_reason() {
    let scene = scene(ListedSource::new(9, &[]));
    let transfers = &scene.bridge.transfers;
    transfers.record((&[seen(1, 2)], &[]), None).await.unwrap();
    let reason = DeliveryReason {
        class: 7,
        text: "no".to_owned(),
    };
    end(&scene, Some(reason)).await;
    let reply = told(&scene);
    assert_eq!(words(&reply).last(), Some(&TransferStage::DeadLetter));
    assert!(reply.delivery.unwrap().reason.contains("no"));
}

#[tokio::test]
async fn a_transaction_names_what_it_sent_at_routes_that_are_served() {
    let scene = scene(ListedSource::new(9, &[]));
    let transfers = &scene.bridge.transfers;
    transfers.record((&[seen(1, 2)], &[]), None).await.unwrap();
    let source = (text().route.source_chain, text().route.source_contract);
    let key = (text().route.id().0, 1);
    for (at, found) in [
        (None, vec![key]),
        (Some(source), vec![key]),
        (Some((source.0 + 1, source.1)), vec![]),
    ] {
        assert_eq!(scene.bridge.sent_by(at, sending(1)).unwrap(), found);
    }
    assert_eq!(scene.bridge.sent_by(None, sending(2)).unwrap(), []);
}

#[tokio::test]
async fn a_fee_is_the_gas_of_late_deliveries_at_the_price_of_now() {
    let scene = scene(ListedSource::new(9, &[]));
    let (measured, count) = scene.bridge.gas_of(&text()).unwrap();
    assert!(measured > 132_220 && count == 0);
    end(&scene, None).await;
    let gas = scene.bridge.gas_of(&text()).unwrap();
    assert_eq!(gas, (100_000, 1));
    let fee = scene.bridge.fee(&text(), gas).await.unwrap().unwrap();
    assert_eq!(fee.fee, (100_000 * (BASE_FEE + TIP)).to_string());
}
