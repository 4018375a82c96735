use super::*;
use crate::services::bridge::doubles::{BridgeScene, ListedSource, scene, seen, text};

/// For whatever takes a moment on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn begin(scene: &BridgeScene, from: u64, to: Option<u64>) -> Result<RescanReport, RescanRefused> {
    let halt = CancellationToken::new();
    scene.bridge.rescan(text().route.id(), (from, to), &halt)
}

async fn ended(scene: &BridgeScene) -> RescanReport {
    let end = async {
        loop {
            let report = scene.bridge.rescans.report().expect("one");
            if report.state != "running" {
                return report;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, end).await.expect("in time")
}

#[tokio::test]
async fn what_was_missed_is_kept_and_what_was_seen_stays() {
    let scene = scene(ListedSource::new(9, &[(1, 2), (2, 6), (3, 9)]));
    let transfers = &scene.bridge.transfers;
    transfers.record((&[seen(2, 6)], &[]), None).await.unwrap();
    begin(&scene, 0, Some(8)).unwrap();
    let report = ended(&scene).await;
    assert_eq!(
        (report.state.as_str(), report.seen, report.found),
        ("done", 2, 1)
    );
    assert_eq!((report.from, report.next), (1, 9));
    assert_eq!(scene.nonces(), [1, 2]);
    assert_eq!(transfers.open(text().route.id(), 9).unwrap().len(), 2);
    // Once more changes nothing.
    begin(&scene, 0, None).unwrap();
    assert_eq!(ended(&scene).await.found, 1);
    begin(&scene, 0, None).unwrap();
    assert_eq!(ended(&scene).await.found, 0);
}

#[tokio::test]
async fn blocks_that_are_not_final_or_too_many_are_refused() {
    let scene = scene(ListedSource::new(20_000_000, &[]));
    for (from, to, refused) in [
        (
            5,
            Some(4),
            RescanRefused::NotFinal {
                from: 5,
                to: 4,
                head: 20_000_000,
            },
        ),
        (1, None, RescanRefused::TooMany(20_000_000)),
    ] {
        assert_eq!(begin(&scene, from, to), Err(refused));
    }
    let halt = CancellationToken::new();
    let unknown = scene.bridge.rescan(B256::ZERO, (1, None), &halt);
    assert_eq!(unknown, Err(RescanRefused::NoRoute));
}

#[tokio::test]
async fn one_is_under_way_at_a_time_and_can_be_cancelled() {
    let scene = scene(ListedSource::new(9, &[]));
    scene.source.set_down(true);
    begin(&scene, 1, None).unwrap();
    let busy = RescanRefused::Busy { from: 1, to: 9 };
    assert_eq!(begin(&scene, 1, Some(2)), Err(busy));
    assert!(scene.bridge.rescans.cancel());
    assert_eq!(ended(&scene).await.state, "cancelled");
    assert!(!scene.bridge.rescans.cancel());
}
