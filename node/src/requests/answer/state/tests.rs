use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, ready};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

/// Cannot be read.
struct Silent;

impl Silent {
    fn fails<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T, ChainError>> {
        let detail = "a false proof".to_owned();
        ready(Err(ChainError::NotProven {
            chain_id: 10,
            detail,
            have_none: false,
        }))
        .boxed()
    }
}

impl StateReader for Silent {
    fn chain_id(&self) -> u64 {
        10
    }

    fn final_head(&self) -> Option<BlockRef> {
        None
    }

    fn agreed_ago(&self) -> Option<Duration> {
        None
    }

    fn locate(&self, _: At) -> BoxFuture<'_, Result<BlockRef, ChainError>> {
        Self::fails()
    }

    fn read<'a>(
        &'a self,
        _: Address,
        _: U256,
        _: u64,
        _: &'a ReadLog,
    ) -> BoxFuture<'a, Result<Reading, ChainError>> {
        Self::fails()
    }
}

#[test]
fn reads_that_fail_count() {
    let question = StateQuery {
        chain_id: 10,
        user: Address::ZERO,
        key: U256::from(7),
        at: At::Block(1),
    };
    let recorder = PrometheusBuilder::new().build_recorder();
    let read = || question.read(&Silent, 1).now_or_never();
    let (reading, _) = metrics::with_local_recorder(&recorder, read).expect("at once");
    assert!(reading.is_err());
    let page = recorder.handle().render();
    let counted = r#"quorate_reads_total{chain="10",basis="none"} 1"#;
    assert!(page.contains(counted), "{page}");
    assert!(page.contains("quorate_read_seconds_count 1"), "{page}");
}
