//! Five operator processes, two real chains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quorate_node::client::{At, Client, StateQuestion};
use quorate_proto::U256;

use super::BenchOptions;
use super::figures::{Latencies, ms, table};
use crate::network::CONFIRMATIONS;
use crate::{LocalNetwork, NetworkOptions};

/// Keys and blocks that are there to be asked about: 100,000 questions, each asked once only.
const KEYS: u64 = 200;
const BLOCKS: u64 = 500;

pub(super) async fn run(options: &BenchOptions) -> Result<()> {
    println!("Local network: 5 operators and a registry as processes, two anvil chains, RocksDB\n");
    let network = LocalNetwork::start(NetworkOptions {
        log: "warn".into(),
        ..NetworkOptions::default()
    })
    .await?;
    let first = prepare(&network).await?;
    let questions = Arc::new(Questions {
        first,
        next: AtomicU64::new(0),
    });
    wait_final(&network, first + BLOCKS - CONFIRMATIONS).await?;
    if options.wants("latency") {
        latency(options, &network, &questions).await?;
    }
    if options.wants("throughput") {
        throughput(options, &network, &questions).await?;
    }
    if options.wants("memory") {
        memory(options, &network, &questions).await?;
    }
    Ok(())
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
struct Questions {
    first: u64,
    next: AtomicU64,
}

impl Questions {
    fn next(&self, network: &LocalNetwork) -> StateQuestion {
        let mut question = network.question(0, 0);
        self.fill(&mut question);
        question
    }

    fn fill(&self, question: &mut StateQuestion) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        question.key = U256::from(number % KEYS);
        question.at = At::Block(self.first + number / KEYS % (BLOCKS - CONFIRMATIONS));
    }
}

async fn wait_final(network: &LocalNetwork, block: u64) -> Result<()> {
    crate::wait::until(
        "the source chain's final block",
        Duration::from_secs(20),
        || async {
            for node in &network.operators {
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
    let client = network.client(0).await?;
    let mut latencies = Latencies::default();
    for round in 0..options.latency_requests + 20 {
        let question = questions.next(network);
        let began = Instant::now();
        client.request_state(&question, |_| {}).await?;
        if round >= 20 {
            latencies.add(began.elapsed());
        }
    }
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

async fn throughput(
    options: &BenchOptions,
    network: &LocalNetwork,
    questions: &Arc<Questions>,
) -> Result<()> {
    let clients = clients(network).await?;
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let began = Instant::now();
    let mut latencies = load(network, &clients, questions, options.in_flight, move |_| {
        Instant::now() < until
    })
    .await?;
    let took = began.elapsed();
    let count = latencies.count();
    #[allow(clippy::cast_precision_loss)]
    let rate = count as f64 / took.as_secs_f64();
    let rows = vec![vec![
        format!(
            "{} requests in flight for {} s",
            options.in_flight, options.seconds
        ),
        format!("{rate:.0}/s"),
        ms(latencies.quantile(0.5)),
        ms(latencies.quantile(0.99)),
    ]];
    table(
        "Throughput, anvil on the same cores",
        &["", "certificates", "median", "p99"],
        &rows,
    );
    Ok(())
}

async fn memory(
    options: &BenchOptions,
    network: &LocalNetwork,
    questions: &Arc<Questions>,
) -> Result<()> {
    let clients = clients(network).await?;
    let mut rows = Vec::new();
    for (label, tasks) in [
        ("at first", 0),
        ("half", options.memory_tasks / 2),
        ("all", options.memory_tasks / 2),
    ] {
        if tasks > 0 {
            load(
                network,
                &clients,
                questions,
                options.in_flight,
                move |count| count < tasks,
            )
            .await?;
        }
        let mut row = vec![label.to_owned(), format!("{tasks}")];
        for node in &network.operators {
            #[allow(clippy::cast_precision_loss)]
            let mib = node.memory()? as f64 / 1_048_576.0;
            row.push(format!("{mib:.1} MiB"));
        }
        rows.push(row);
    }
    let head = [
        "",
        "tasks more",
        "operator 0",
        "operator 1",
        "operator 2",
        "operator 3",
        "operator 4",
    ];
    table("Resident memory of the operators", &head, &rows);
    Ok(())
}

async fn clients(network: &LocalNetwork) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for number in 0..network.operators.len() {
        clients.push(network.client(number).await?);
    }
    Ok(clients)
}

/// Keeps `in_flight` requests under way, spread over all operators, while `more` says so.
async fn load(
    network: &LocalNetwork,
    clients: &[Client],
    questions: &Arc<Questions>,
    in_flight: usize,
    more: impl Fn(usize) -> bool + Clone + Send + 'static,
) -> Result<Latencies> {
    let started = Arc::new(AtomicUsize::new(0));
    let template = network.question(0, 0);
    let mut workers = tokio::task::JoinSet::new();
    for number in 0..in_flight {
        let client = clients
            .get(number % clients.len())
            .context("no client")?
            .clone();
        let (questions, started, more) = (questions.clone(), started.clone(), more.clone());
        let mut question = template.clone();
        workers.spawn(async move {
            let mut latencies = Latencies::default();
            while more(started.fetch_add(1, Ordering::Relaxed)) {
                questions.fill(&mut question);
                let began = Instant::now();
                client.request_state(&question, |_| {}).await?;
                latencies.add(began.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(worker) = workers.join_next().await {
        all.extend(worker??);
    }
    Ok(all)
}
