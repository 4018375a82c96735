//! Five operator processes, two real chains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::U256;

use super::BenchOptions;
use super::figures::{Latencies, ms, table};
use super::load::{load, throughput};
use crate::network::CONFIRMATIONS;
use crate::{LocalNetwork, NetworkOptions};

/// Keys and blocks that are there to be asked about: 100,000 questions, each asked once only. Few keys,
/// since anvil goes through all storage of a contract for each proof: 2 ms with 200 of them.
pub(super) const KEYS: u64 = 20;
pub(super) const BLOCKS: u64 = 5_000;

pub(super) async fn run(options: &BenchOptions) -> Result<()> {
    println!("Local network: 5 operators and a registry as processes, two anvil chains, RocksDB\n");
    if options.wants("latency") || options.wants("throughput") {
        let (network, questions) = network(quiet()).await?;
        if options.wants("latency") {
            latency(options, &network, &questions).await?;
        }
        if options.wants("throughput") {
            let clients = clients(&network).await?;
            let title = "Throughput, anvil on the same cores";
            throughput(title, options, &clients, move || questions.next()).await?;
        }
    }
    if options.wants("memory") {
        memory(options).await?;
    }
    Ok(())
}

/// The usual network, without a log.
pub(super) fn quiet() -> NetworkOptions {
    NetworkOptions {
        log: "warn".into(),
        ..NetworkOptions::default()
    }
}

/// A network that has done nothing yet.
pub(super) async fn network(options: NetworkOptions) -> Result<(LocalNetwork, Arc<Questions>)> {
    let network = LocalNetwork::start(options).await?;
    let questions = questions(&network).await?;
    Ok((network, Arc::new(questions)))
}

/// What there is to be asked about in a new network.
pub(super) async fn questions(network: &LocalNetwork) -> Result<Questions> {
    let first = prepare(network).await?;
    wait_final(network, first + BLOCKS - CONFIRMATIONS).await?;
    Ok(Questions {
        first,
        template: network.question(0, 0),
        next: AtomicU64::new(0),
    })
}

/// Gives every key a value, and adds blocks after that; the first block to ask about.
async fn prepare(network: &LocalNetwork) -> Result<u64> {
    let (chain, user) = (&network.deployment.source, network.user());
    let keys: Vec<(U256, U256)> = (0..KEYS)
        .map(|key| (U256::from(key), U256::from(100 + key)))
        .collect();
    let mut first = 0;
    for values in keys.chunks(100) {
        first = chain
            .set_values(network.deployment.state_manager, user, values)
            .await?;
    }
    chain.mine(BLOCKS).await?;
    Ok(first)
}

/// Every question is another one, so that none is answered from the store.
pub(super) struct Questions {
    first: u64,
    template: StateQuestion,
    next: AtomicU64,
}

impl Questions {
    pub(super) fn next(&self) -> StateQuestion {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        StateQuestion {
            key: U256::from(number % KEYS),
            at: At::Block(self.first + number / KEYS % (BLOCKS - CONFIRMATIONS)),
            ..self.template.clone()
        }
    }
}

async fn wait_final(network: &LocalNetwork, block: u64) -> Result<()> {
    crate::wait::until(
        "the source chain's final block",
        Duration::from_secs(20),
        || async {
            for node in network.operators.iter().filter(|node| node.pid().is_some()) {
                let status = node.status().await.ok()?;
                let chain = status.chains.iter().find(|chain| chain.kind == "source")?;
                if chain.final_block? < block {
                    return None;
                }
            }
            Some(())
        },
    )
    .await
}

async fn latency(
    options: &BenchOptions,
    network: &LocalNetwork,
    questions: &Questions,
) -> Result<()> {
    let mut latencies = one_at_a_time(options, network, questions).await?;
    let rows = vec![vec![
        format!(
            "request to certificate, {} one at a time",
            latencies.count()
        ),
        ms(latencies.quantile(0.5)),
        ms(latencies.quantile(0.9)),
        ms(latencies.quantile(0.99)),
        ms(latencies.quantile(1.0)),
    ]];
    table("Latency", &["", "median", "p90", "p99", "max"], &rows);
    shares(network).await
}

/// Times of requests of one user who asks again when there is an answer.
pub(super) async fn one_at_a_time(
    options: &BenchOptions,
    network: &LocalNetwork,
    questions: &Questions,
) -> Result<Latencies> {
    const WARM_UP: usize = 20;
    let client = network.client(0).await?;
    let mut latencies = Latencies::default();
    for round in 0..options.latency_requests + WARM_UP {
        let question = questions.next();
        let began = Instant::now();
        client.request_state(&question, |_| {}).await?;
        if round >= WARM_UP {
            latencies.add(began.elapsed());
        }
    }
    Ok(latencies)
}

/// Where the time of a request goes, from the entry operator's own figures.
async fn shares(network: &LocalNetwork) -> Result<()> {
    let page = network.operators[0].get_text("/metrics").await?;
    let parts = [
        (
            "the whole request, at the entry operator",
            "quorate_request_seconds",
        ),
        (
            "reading the chain (once per operator)",
            "quorate_read_seconds",
        ),
        (
            "signing log: group commit with fsync",
            "quorate_signing_log_seconds",
        ),
        ("task opened to certified", "quorate_certified_seconds"),
    ];
    let mut rows = Vec::new();
    for (what, metric) in parts {
        let figure = |suffix: &str| {
            let name = format!("{metric}_{suffix} ");
            let line = page.lines().find(|line| line.starts_with(&name))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        let (Some(sum), Some(count)) = (figure("sum"), figure("count")) else {
            continue;
        };
        rows.push(vec![
            what.into(),
            format!("{count:.0}"),
            format!("{:.3} ms", sum / count * 1_000.0),
        ]);
    }
    table(
        "Where the time goes (operator 0, means)",
        &["", "count", "mean"],
        &rows,
    );
    Ok(())
}

async fn memory(options: &BenchOptions) -> Result<()> {
    let (network, questions) = network(quiet()).await?;
    let clients = clients(&network).await?;
    let mut rows = Vec::new();
    for tasks in [0].into_iter().chain(options.memory_tasks.iter().copied()) {
        let questions = questions.clone();
        let next = move || {
            let asked = questions.next.load(Ordering::Relaxed);
            (asked < tasks).then(|| questions.next())
        };
        let (latencies, took) = load(&clients, options.in_flight, next).await?;
        #[allow(clippy::cast_precision_loss)]
        let rate = latencies.count() as f64 / took.as_secs_f64();
        let mut row = vec![tasks.to_string(), format!("{rate:.0}/s")];
        for node in &network.operators {
            #[allow(clippy::cast_precision_loss)]
            let mib = node.memory()? as f64 / 1_048_576.0;
            row.push(format!("{mib:.1} MiB"));
        }
        rows.push(row);
    }
    let head = [
        "tasks",
        "certificates",
        "operator 0",
        "operator 1",
        "operator 2",
        "operator 3",
        "operator 4",
    ];
    table("Resident memory of the operators", &head, &rows);
    Ok(())
}

pub(super) async fn clients(network: &LocalNetwork) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for number in 0..network.operators.len() {
        clients.push(network.client(number).await?);
    }
    Ok(clients)
}
