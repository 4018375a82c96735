//! How long a node takes to catch up: four operators hold tasks, the fifth comes back without them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quorate_node::api::SyncReport;
use quorate_node::keys::LocalSigner;
use quorate_node::{ChainReaders, LogClaim, Node, NodeParts, Submitters, TransferReaders};
use quorate_proto::store::{
    Empty, OperatorSetRecord, ResponseRecord, TaskRecord, TaskRef, TaskStatus,
};
use quorate_proto::{
    Certificate, Domain, Epoch, OperatorSet, Outcome, ReadBasis, Response, SignerSignature,
    StateProof, Statement, U256, wire,
};
use quorate_storage::{Batch, Durability, EngineKind, Identity, Store, schema};
use tokio_util::sync::CancellationToken;

use super::double::{HomeDouble, SourceDouble, account, operator_set, settings};
use super::figures::table;
use crate::OperatorKeys;
use crate::deployment::{HOME_CHAIN, SOURCE_CHAIN};
use crate::process::free_ports;

const OPERATORS: usize = 5;
/// Tasks written with one batch.
const AT_ONCE: u64 = 200;
/// Longer than any of these takes.
const DEADLINE: Duration = Duration::from_secs(300);

pub(super) async fn run(sizes: &[u64]) -> Result<()> {
    let mut rows = Vec::new();
    for tasks in sizes {
        rows.push(measure(*tasks).await?);
    }
    let head = [
        "tasks missed",
        "healthy after",
        "complete after",
        "tasks/s",
        "memory",
    ];
    table(
        "Catch-up: the fifth of five operators, all in one process",
        &head,
        &rows,
    );
    Ok(())
}

async fn measure(tasks: u64) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let first = folder.path().join("0");
    let dir = first.clone();
    tokio::task::spawn_blocking(move || seed(&dir, tasks)).await??;
    for number in 1..OPERATORS - 1 {
        copy(&first, &folder.path().join(number.to_string()))?;
    }
    let stop = CancellationToken::new();
    let mut nodes = tokio::task::JoinSet::new();
    let (mut addresses, mut pages) = (Vec::new(), Vec::new());
    for number in 0..OPERATORS - 1 {
        let (node, http) = start(number, folder.path(), &addresses).await?;
        node.ready().await;
        addresses.extend(node.listen_addresses());
        pages.push(http);
        nodes.spawn(node.run(stop.clone()));
    }
    let expected = holds(&pages[0], tasks).await?;
    let began = Instant::now();
    let (node, http) = start(OPERATORS - 1, folder.path(), &addresses).await?;
    node.ready().await;
    let healthy = began.elapsed();
    nodes.spawn(node.run(stop.clone()));
    let complete = crate::wait::until("everything taken over", DEADLINE, || async {
        let page = page(&http).await.ok()?;
        (page.epochs == expected.epochs).then(|| began.elapsed())
    })
    .await?;
    let memory = memory()?;
    stop.cancel();
    while let Some(node) = nodes.join_next().await {
        node??;
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = tasks as f64 / complete.as_secs_f64();
    Ok(vec![
        tasks.to_string(),
        format!("{:.2} s", healthy.as_secs_f64()),
        format!("{:.2} s", complete.as_secs_f64()),
        format!("{rate:.0}"),
        format!("{memory} MiB (five nodes)"),
    ])
}

async fn start(
    number: usize,
    folder: &Path,
    bootstrap: &[libp2p::Multiaddr],
) -> Result<(Node, String)> {
    let [port, _] = free_ports()?;
    let http = format!("127.0.0.1:{port}");
    let mut settings = settings(number, folder, bootstrap)?;
    settings.http = Some(http.parse()?);
    let keys = OperatorKeys::of(number);
    let parts = NodeParts {
        settings,
        peer_secret: keys.peer,
        signer: Some(Arc::new(LocalSigner::new(keys.signing.clone()))),
        svm_secret: None,
        claim: LogClaim {
            accept_risk: true,
            ..LogClaim::default()
        },
        metrics: None,
    };
    let ledgers = ChainReaders {
        home: Arc::new(HomeDouble(operator_set()?)),
        sources: vec![Arc::new(SourceDouble)],
        transfers: TransferReaders::new(),
        submitters: Submitters::new(),
        followers: Vec::new(),
        home_poll: Duration::from_secs(1),
    };
    Ok((Node::start_with(parts, ledgers).await?, http))
}

async fn page(http: &str) -> Result<SyncReport> {
    Ok(serde_json::from_str(
        &crate::http::get(http, "/sync").await?,
    )?)
}

/// What a node holds, once that is all of the seed.
async fn holds(http: &str, tasks: u64) -> Result<SyncReport> {
    crate::wait::until("the seeded tasks", DEADLINE, || async {
        let page = page(http).await.ok()?;
        let held: u64 = page.epochs.iter().map(|epoch| u64::from(epoch.tasks)).sum();
        (held == tasks).then_some(page)
    })
    .await
}

/// A store that holds completed tasks, each with the signatures of all operators.
fn seed(dir: &Path, tasks: u64) -> Result<()> {
    let domain = Domain::new(HOME_CHAIN, quorate_proto::Address::repeat_byte(7));
    let set = operator_set()?;
    let identity = Identity {
        network: domain.network().to_string(),
    };
    std::fs::create_dir_all(dir)?;
    let store = Store::open(dir.join("store"), EngineKind::RocksDb, &identity)?;
    let mut batch = Batch::new();
    batch.put(schema::SETS, &0, &OperatorSetRecord::from(&set));
    for number in 0..tasks {
        add(&mut batch, &domain, &set, number)?;
        if number % AT_ONCE == 0 {
            store.write(&std::mem::take(&mut batch), Durability::Buffered)?;
        }
    }
    store.write(&batch, Durability::Buffered)?;
    store.flush()?;
    Ok(())
}

fn add(batch: &mut Batch, domain: &Domain, set: &OperatorSet, number: u64) -> Result<()> {
    let statement = Statement::StateProof(StateProof {
        user: quorate_proto::Address::repeat_byte(9),
        chain_id: u32::try_from(SOURCE_CHAIN)?,
        block_number: number,
        timestamp: 1_700_000_000,
        epoch: Epoch(0),
        key: U256::from(5),
        value: U256::from(5),
    });
    let (id, digest) = (statement.task_id(), statement.digest(domain));
    let created_ms = 1_700_000_000_000 + number;
    let mut signers = Vec::new();
    for operator in 0..OPERATORS {
        let signature = OperatorKeys::of(operator).signing.sign(digest)?;
        let operator = account(operator);
        signers.push(SignerSignature {
            operator,
            signature,
        });
        let response = Response {
            operator,
            statement: statement.clone(),
            outcome: Outcome::Signed(signature),
            basis: ReadBasis::Unspecified,
        };
        let record = ResponseRecord {
            response: Some((&response).into()),
            received_ms: created_ms,
            after_micros: 1_000,
            ..ResponseRecord::default()
        };
        batch.put(schema::RESPONSES, &(id.0.0, operator.into_array()), &record);
    }
    let certificate =
        Certificate::fewest(statement.clone(), set, signers).context("enough weight")?;
    let stored = wire::Certificate::from(&certificate);
    batch.put(schema::CERTIFICATES, &id.0.0, &stored);
    let record = TaskRecord {
        statement: Some((&statement).into()),
        status: TaskStatus::Completed.into(),
        created_ms,
        ended_ms: created_ms + 1,
        certified_micros: 1_000,
        ..TaskRecord::default()
    };
    batch.put(schema::TASKS, &id.0.0, &record);
    batch.put(schema::TASK_TIMES, &(created_ms, id.0.0), &Empty {});
    let answer = TaskRef {
        task_id: id.0.to_vec(),
    };
    batch.put(schema::QUESTIONS, &(statement.slot().0.0, 0), &answer);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Resident memory of this process in MiB.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("no VmRSS")?.parse::<u64>()? / 1024)
}
