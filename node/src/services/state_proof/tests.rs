use std::sync::Arc;

use futures::future::FutureExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use quorate_proto::{Address, Epoch, U256};
use quorate_storage::{EngineKind, WriteQueue};
use tokio::sync::watch;

use super::*;
use crate::fixtures::store;
use crate::home::{EpochView, HomeHandle};
use crate::services::bridge::Bridge;

#[test]
fn chains_that_are_not_read_are_in_no_figure() {
    let proof = StateProof {
        user: Address::ZERO,
        chain_id: 10,
        block_number: 1,
        timestamp: 1,
        epoch: Epoch(1),
        key: U256::ZERO,
        value: U256::ZERO,
    };
    let (store, _folder) = store(EngineKind::Sled);
    let (writes, _writer) = WriteQueue::new(store).expect("a queue");
    let bridge = Bridge::new(None, Default::default(), &writes);
    let (_sender, view) = watch::channel(EpochView::default());
    let observer = Observer::new(Arc::default(), HomeHandle::of(view), bridge);
    let recorder = PrometheusBuilder::new().build_recorder();
    let look = || observer.value(&proof).now_or_never();
    let (verdict, _) = metrics::with_local_recorder(&recorder, look).expect("at once");
    let unsupported = RefusalCode::ChainUnsupported;
    assert!(matches!(verdict, Verdict::Refuse(code, _) if code == unsupported));
    assert_eq!(recorder.handle().render(), "");
}
