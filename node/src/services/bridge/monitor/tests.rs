use std::collections::BTreeSet;
use std::path::Path;

use quorate_chain::ChainFamily;
use quorate_proto::Route;
use quorate_proto::store::{DeliveryNonce, DeliveryPayload, DeliveryReason, DeliveryRow};
use quorate_protocols::delivery::LaneId;
use quorate_storage::{Batch, Durability, EngineKind, WriteQueue, schema};

use super::balances::{Funds, changes};
use super::conditions::Level;
use super::work::{Job, Stage};
use super::*;
use crate::delivery::Deliveries;
use crate::fixtures;

const ROUTE: Route = Route {
    source_chain: 1,
    source_contract: B256::repeat_byte(1),
    target_chain: 10,
    target_contract: B256::repeat_byte(2),
};

fn payer(balance: Option<u128>) -> Payer {
    Payer {
        lane: LaneId {
            chain: 10,
            sender: B256::repeat_byte(3),
        },
        family: ChainFamily::Evm,
        balance,
        minimum: 1_000,
    }
}

#[test]
fn a_lane_is_held_below_its_minimum_and_goes_on_above() {
    let (mut held, lane) = (BTreeSet::new(), payer(None).lane);
    for (balance, funds, expected) in [
        (None, Funds::Good, vec![]),
        (Some(999), Funds::Critical, vec![(lane, true)]),
        (Some(10), Funds::Critical, vec![]),
        (None, Funds::Good, vec![]),
        (Some(1_000), Funds::Low, vec![(lane, false)]),
        (Some(2_000), Funds::Good, vec![]),
    ] {
        let payer = payer(balance);
        assert_eq!(payer.funds(), funds, "{balance:?}");
        assert_eq!(changes(&[payer], &mut held), expected, "{balance:?}");
    }
}

#[test]
fn a_condition_is_told_once_until_it_is_over() {
    let (mut told, now) = (Told::default(), Timestamp(0));
    let picture = Picture::default();
    let mut tell = |balance| {
        let holds = conditions(&picture, &[payer(Some(balance))], &Recent::new());
        let alerts = told.tell(&holds, now);
        let levels: Vec<_> = alerts.iter().map(|alert| alert.level).collect();
        levels
    };
    assert_eq!(tell(5_000), []);
    assert_eq!(tell(1_500), [Level::Warning]);
    assert_eq!(tell(1_400), []);
    assert_eq!(tell(10), [Level::Critical]);
    assert_eq!(tell(9), []);
    assert_eq!(tell(5_000), [Level::Info]);
    assert_eq!(tell(5_000), []);
}

#[test]
fn backlogs_failures_stops_and_stuck_nonces_are_conditions() {
    let mut work = Work::default();
    work.counts.extend([
        (Stage::Pending, 60),
        (Stage::Processing, 41),
        (Stage::Failed, 1),
    ]);
    let stop = |is_held: bool| work::Stop {
        chain: 10,
        route: None,
        is_refused: !is_held,
        is_held,
        reason: "refused".to_owned(),
    };
    let picture = Picture {
        works: BTreeMap::from([(Direction::S2e, work)]),
        stops: vec![stop(true), stop(false)],
        stuck: vec![(10, 7)],
    };
    let recent = Recent::from([("s2e", (20, 3)), ("e2s", (20, 2))]);
    let found = conditions(&picture, &[], &recent);
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let expected = [
        "backlog of s2e",
        "chain 10 stopped",
        "dead letters of s2e",
        "failures of s2e",
        "stuck nonce on chain 10",
    ];
    assert_eq!(names, expected);
}

/// The delivery of transfer `nonce`.
fn row(nonce: u64, ended: u64, failed: bool) -> DeliveryRow {
    let payload = DeliveryPayload {
        about: words_of(nonce),
        ..DeliveryPayload::default()
    };
    DeliveryRow {
        route: ROUTE.id().to_vec(),
        failures: 2,
        ended,
        ended_by: failed.then(|| DeliveryReason {
            class: 9,
            text: "no".to_owned(),
        }),
        payload: Some(payload),
        ..DeliveryRow::default()
    }
}

fn words_of(nonce: u64) -> String {
    crate::services::bridge::words::of_transfer(nonce, 1)
}

#[tokio::test]
async fn the_work_is_what_the_store_has() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (writes, _writer) = WriteQueue::new(store.clone()).unwrap();
    let transfers = TransferStore::new(writes.clone());
    let seen = fixtures::seen_transfer(ROUTE, 5);
    transfers.record((&[seen], &[]), None).await.unwrap();
    let mut batch = Batch::new();
    let id = |nonce: u8| [nonce; 32];
    batch.put(schema::ENDED_DELIVERIES, &id(1), &row(1, 5_000_000, false));
    batch.put(schema::ENDED_DELIVERIES, &id(2), &row(2, 6_000_000, true));
    batch.put(schema::DELIVERIES, &id(3), &row(3, 0, false));
    batch.put(schema::DELIVERIES, &id(4), &row(4, 0, false));
    let mut interim = row(4, 0, false);
    interim.payload.as_mut().unwrap().interim = true;
    batch.put(schema::DELIVERIES, &id(9), &interim);
    let flying = DeliveryNonce {
        delivery: id(3).to_vec(),
        leads_since: Some(1),
        ..DeliveryNonce::default()
    };
    batch.put(schema::DELIVERY_NONCES, &(10, id(7), 11), &flying);
    batch.put(
        schema::STOPPED_DELIVERIES,
        &(10, id(7), [0; 32]),
        &DeliveryReason {
            class: 17,
            text: String::new(),
        },
    );
    writes.write(batch, Durability::Synced).await.unwrap();

    let routes = BTreeMap::from([(ROUTE.id(), Direction::S2e)]);
    let now = Timestamp(3_600_000_000);
    let picture = work::look(&store, &transfers, &routes, now).unwrap();
    let work = &picture.works[&Direction::S2e];
    let stages: Vec<_> = work
        .jobs
        .iter()
        .map(|job: &Job| (job.key.1, job.stage))
        .collect();
    let expected = [
        (4, Stage::Pending),
        (5, Stage::Pending),
        (3, Stage::Processing),
        (1, Stage::Completed),
        (2, Stage::Failed),
    ];
    assert_eq!(stages, expected);
    assert_eq!((work.backlog(), work.count(Stage::Failed)), (3, 1));
    assert_eq!(work.jobs[4].ended_ms, Some(6_000));
    assert_eq!(picture.stuck, [(10, 11)]);
    assert!(picture.stops[0].is_held && picture.stops[0].route.is_none());
    let known = HashSet::from([B256::from(id(1))]);
    let news: Vec<_> = work::news(work, &known)
        .iter()
        .map(|ended| (ended.key.1, ended.failed))
        .collect();
    assert_eq!(news, [(2, true)]);
}

#[test]
fn rules_and_dashboards_name_figures_that_relayers_have() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testnet/monitoring");
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = 0;
    for file in ["rules.yml", "grafana.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let words = text.split(|c| !is_part(c));
        for name in words.filter(|word| word.starts_with("relayer_")) {
            assert!(figures::NAMES.contains(&name), "{file}: {name}");
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

#[tokio::test]
async fn a_monitor_shows_a_board_once_balances_were_checked() {
    let (store, _folder) = fixtures::store(EngineKind::Sled);
    let (writes, _writer) = WriteQueue::new(store.clone()).unwrap();
    let (_task, deliveries) = Deliveries::open(Vec::new(), writes.clone()).unwrap();
    let watched = Watched {
        store,
        transfers: TransferStore::new(writes),
        routes: BTreeMap::from([(ROUTE.id(), Direction::S2e)]),
        submitters: Submitters::new(),
        deliveries,
    };
    let halt = CancellationToken::new();
    let mut tasks = Tasks::new(halt.clone());
    let section = BridgeSection::default();
    let monitor = Monitor::start(&section, watched, (&mut tasks, &halt)).unwrap();
    let (mut board, checked) = (monitor.board(), CancellationToken::new());
    let running = tokio::spawn(monitor.run(checked.clone(), halt.clone()));
    let seen = tokio::time::timeout(Duration::from_secs(10), board.changed()).await;
    seen.expect("in time").unwrap();
    assert!(checked.is_cancelled() && board.borrow().taken > Timestamp(0));
    halt.cancel();
    running.await.unwrap().unwrap();
}
