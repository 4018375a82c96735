use std::collections::BTreeMap;
use std::time::Duration;

use quorate_chain::Providers;
use quorate_proto::{B256, Timestamp};
use quorate_storage::{EngineKind, WriteQueue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::delivery::Deliveries;
use crate::fixtures;
use crate::services::bridge::monitor::Board;
use crate::services::bridge::monitor::conditions::Level;
use crate::services::bridge::monitor::work::{Job, Picture, Stage, Work};

const ROUTE: Route = Route {
    source_chain: 91_024,
    source_contract: B256::repeat_byte(0xd1),
    target_chain: 10,
    target_contract: B256::repeat_byte(0xab),
};

/// An interface whose chains answer, and what keeps its store.
struct Scene {
    view: View,
    board: Board,
    chain: ChainNow,
    _kept: (tempfile::TempDir, quorate_storage::WriterGuard),
}

async fn scene() -> Scene {
    let (store, folder) = fixtures::store(EngineKind::Sled);
    let (writes, writer) = WriteQueue::new(store.clone()).unwrap();
    let transfers = TransferStore::new(writes);
    let seen = fixtures::seen_transfer(ROUTE, 2);
    transfers.record((&[seen], &[]), None).await.unwrap();
    let end = |chain, family, contract| End {
        chain,
        family,
        contract,
    };
    let view = View {
        direction: Direction::S2e,
        routes: vec![ROUTE],
        source: end(91_024, ChainFamily::Svm, ROUTE.source_contract),
        target: end(10, ChainFamily::Evm, ROUTE.target_contract),
        payer: None,
        store,
        transfers,
        started: clock::now(),
        api: (8_081, vec!["https://a.example".into()]),
    };
    let board = Board {
        taken: clock::now(),
        picture: Picture {
            works: BTreeMap::from([(Direction::S2e, work())]),
            ..Picture::default()
        },
        ..Board::default()
    };
    let providers = Providers {
        spare: Some(0),
        ..Providers::default()
    };
    Scene {
        view,
        board,
        chain: (Some(7), providers),
        _kept: (folder, writer),
    }
}

fn job(nonce: u64, stage: Stage) -> Job {
    Job {
        key: (ROUTE.id().0, nonce),
        stage,
        delivery: None,
        retries: 1,
        ended_ms: None,
        reason: None,
        flight: None,
    }
}

fn work() -> Work {
    Work {
        counts: BTreeMap::from([(Stage::Pending, 1), (Stage::Completed, 1)]),
        jobs: vec![job(2, Stage::Pending), job(1, Stage::Completed)],
        ..Work::default()
    }
}

fn shown(page: impl serde::Serialize) -> Value {
    serde_json::to_value(page).unwrap()
}

/// Times are as they may be, and no more is looked at.
fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 24 && text.ends_with('Z'))
}

#[tokio::test]
async fn health_has_its_reason_and_gets_well_again() {
    let mut scene = scene().await;
    let page = |scene: &Scene| {
        shown(
            scene
                .view
                .health(&scene.board, [&scene.chain, &scene.chain]),
        )
    };
    let good = page(&scene);
    assert!(is_time(&good["timestamp"]), "{good}");
    let expected = json!({"status": "healthy", "service": "s2e", "version": env!("CARGO_PKG_VERSION"),
        "uptime": 0, "timestamp": good["timestamp"]});
    assert_eq!(good, expected);
    let low = (Level::Critical, "too little".to_owned());
    let elsewhere = "balance on chain 11".to_owned();
    scene.board.conditions.insert(elsewhere, low.clone());
    assert_eq!(page(&scene)["status"], "healthy");
    let here = "balance on chain 10".to_owned();
    scene.board.conditions.insert(here.clone(), low);
    let bad = page(&scene);
    assert_eq!(
        (&bad["status"], &bad["reason"]),
        (
            &json!("unhealthy"),
            &json!("balance on chain 10: too little")
        )
    );
    scene.board.conditions.remove(&here);
    assert_eq!(page(&scene)["status"], "healthy");
    scene.chain.1.spare = None;
    assert!(
        page(&scene)["reason"]
            .to_string()
            .contains("too few providers of chain 91024")
    );
    scene.chain.1.spare = Some(1);
    scene.board.taken = Timestamp(0);
    assert_eq!(page(&scene)["status"], "unhealthy");
}

#[tokio::test]
async fn status_and_config_have_their_shapes() {
    let scene = scene().await;
    let status = scene
        .view
        .status(&scene.board, [&scene.chain, &scene.chain]);
    let chain = |name| json!({"name": name, "rpc": "", "connected": true, "lastBlock": 7});
    let expected = json!({"service": "s2e", "listening": true, "sourceChain": chain("svm-91024"),
        "targetChain": chain("evm-10"),
        "relayer": {"address": "", "whitelisted": true, "balance": {"svm": null, "evm": null}}});
    assert_eq!(shown(status), expected);
    let config = shown(scene.view.config([&scene.chain, &scene.chain]));
    let source = json!({"name": "svm-91024", "chainId": 91_024, "rpc": "", "contract": "F8Vyqk3unwxkXukZFQeYyGmFfTG3CAX4v24iyrjEYBJV"});
    assert_eq!(
        config["targetChain"]["contract"],
        format!("0x{}", "ab".repeat(32))
    );
    assert_eq!(
        (&config["service"], &config["relayer"]),
        (&json!("s2e"), &json!({"address": ""}))
    );
    assert_eq!(
        config["api"],
        json!({"port": 8_081, "cors": ["https://a.example"]})
    );
    assert_eq!(config["sourceChain"]["chainId"], source["chainId"]);
    let fields: Vec<_> = config["sourceChain"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(fields, ["chainId", "contract", "name", "rpc"]);
}

#[tokio::test]
async fn queue_and_nonces_have_their_shapes() {
    let scene = scene().await;
    let queue = shown(scene.view.queue(&scene.board).unwrap());
    let created = &queue["tasks"][0]["createdAt"];
    assert!(is_time(created), "{queue}");
    let id = ROUTE.id();
    let expected = json!({"pending": 1, "processing": 0, "completed": 1, "failed": 0, "tasks": [
        {"id": format!("{id}-2"), "nonce": 2, "status": "pending", "createdAt": created, "retries": 1},
        {"id": format!("{id}-1"), "nonce": 1, "status": "completed", "createdAt": null, "retries": 1},
    ]});
    assert_eq!(queue, expected);
    let nonce = shown(scene.view.nonce(&scene.board).unwrap());
    let expected = json!({"sourceChain": {"current": 2, "lastProcessed": 1},
        "targetChain": {"lastNonce": 1, "pending": [2]}});
    assert_eq!(nonce, expected);
}

#[tokio::test]
async fn a_task_is_found_by_its_id() {
    let scene = scene().await;
    let id = format!("{}-2", ROUTE.id());
    let task = shown(scene.view.task(&id).unwrap().expect("a task"));
    let (created, source) = (&task["createdAt"], &task["eventData"]["sourceContract"]);
    let expected = json!({"id": id, "nonce": 2, "status": "pending",
        "eventData": {"sourceContract": source, "targetContract": format!("0x{}", "ab".repeat(32)),
            "amount": "100000000", "receiverAddress": format!("0x{}", "05".repeat(20)), "blockHeight": 1_234_567},
        "signature": null, "transactionHash": null, "createdAt": created, "completedAt": null, "retries": 0,
        "logs": [{"timestamp": created, "level": "info", "message": "seen at block 1234567 of its source"}]});
    assert_eq!(task, expected);
    for unknown in [
        "",
        "2",
        &format!("{}-3", ROUTE.id()),
        &format!("{}-2", B256::ZERO),
        &format!("{}-x", ROUTE.id()),
    ] {
        assert!(scene.view.task(unknown).unwrap().is_none(), "{unknown}");
    }
}

#[test]
fn figures_are_those_of_one_service() {
    let all = "# TYPE relayer_events_total counter\nrelayer_events_total{service=\"s2e\",status=\"failed\"} 1\n\
               relayer_events_total{service=\"e2s\",status=\"failed\"} 2\n# TYPE quorate_ready gauge\n\
               quorate_ready 1\nrelayer_balance_evm 0.5\n";
    let own = pages::own_figures(all, "s2e");
    let expected = "# TYPE relayer_events_total counter\nrelayer_events_total{service=\"s2e\",status=\"failed\"} 1\n\
                    relayer_balance_evm 0.5\n";
    assert_eq!(own, expected);
}

async fn ask(address: SocketAddr, line: &str, header: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {line} HTTP/1.1\r\nhost: a\r\n{header}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_interface_answers_to_who_has_its_key() {
    let Scene {
        view, board, _kept, ..
    } = scene().await;
    let (_tell, board) = watch::channel(Arc::new(board));
    let dashboard = Dashboard {
        view,
        source: None,
        target: None,
        board,
        metrics: None,
    };
    let guard = Guard::new(&BridgeSection {
        api_key: "secret".parse().ok(),
        ..BridgeSection::default()
    });
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, halt) = (listener.local_addr().unwrap(), CancellationToken::new());
    let running = tokio::spawn(serve(
        listener,
        router(Arc::new(dashboard), guard),
        halt.clone(),
    ));
    let key = "x-api-key: secret\r\n";
    for (line, header, code) in [
        ("/health", "", 503),
        ("/queue", "", 401),
        ("/queue", key, 200),
        ("/nonce", key, 200),
        ("/status", key, 200),
        ("/config", key, 200),
        ("/task/x", key, 404),
        ("/nowhere", key, 404),
        ("/metrics", key, 404),
    ] {
        let answer = ask(address, line, header).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {code}")),
            "{line}: {answer}"
        );
        assert!(
            answer.contains("content-type: application/json"),
            "{answer}"
        );
    }
    halt.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(10), running).await;
    ended.expect("in time").unwrap().unwrap();
}

#[tokio::test]
async fn an_interface_needs_routes_of_its_direction() {
    let scene = scene().await;
    let (writes, _writer) = WriteQueue::new(fixtures::store(EngineKind::Sled).0).unwrap();
    let parts = |routes| DashboardParts {
        section: BridgeSection {
            http_s2e: "127.0.0.1:0".parse().ok(),
            ..BridgeSection::default()
        },
        routes,
        readers: TransferReaders::new(),
        submitters: Submitters::new(),
        deliveries: Deliveries::open(Vec::new(), writes.clone()).unwrap().1,
        store: scene.view.store.clone(),
        transfers: scene.view.transfers.clone(),
        board: watch::channel(Arc::default()).1,
        metrics: None,
    };
    let halt = CancellationToken::new();
    let mut tasks = Tasks::new(halt.clone());
    let evm = (ROUTE, [ChainFamily::Evm, ChainFamily::Evm]);
    let refused = parts(vec![evm]).spawn(&mut tasks, &halt).await;
    let problem = refused.expect_err("refused").to_string();
    assert!(problem.contains("bridge.http_s2e: no route"), "{problem}");
    let svm = (ROUTE, [ChainFamily::Svm, ChainFamily::Evm]);
    parts(vec![svm]).spawn(&mut tasks, &halt).await.unwrap();
    halt.cancel();
    tasks.wait().await.unwrap();
}
