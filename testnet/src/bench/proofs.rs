//! What proofs cost: the same network twice, quorum 2 of 3 providers, by vote and by proof. The chain goes
//! on meanwhile, since what one state proves is asked once.

use std::time::{Duration, Instant};

use anyhow::Result;
use quorate_chain::evm::Reads;

use super::BenchOptions;
use super::figures::{ms, table};
use super::load::load;
use super::local::{clients, network, one_at_a_time, quiet};
use crate::miner::Miner;
use crate::{LocalNetwork, NetworkOptions};

const PROVIDERS: usize = 3;
/// Of the chain that is read.
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// One way of reading, measured.
struct ReadFigures {
    latency: Duration,
    rate: f64,
    median: Duration,
    slow: Duration,
    /// Processor time of all operators, per certificate.
    own: Duration,
}

pub(super) async fn run(options: &BenchOptions) -> Result<()> {
    let vote = measure(options, Reads::Vote).await?;
    let proof = measure(options, Reads::Proof).await?;
    let row = |name: &str, figures: &ReadFigures| {
        vec![
            name.to_owned(),
            ms(figures.latency),
            format!("{:.0}/s", figures.rate),
            ms(figures.median),
            ms(figures.slow),
            ms(figures.own),
        ]
    };
    let share = |part: f64, whole: f64| format!("{:.0} %", 100.0 * part / whole);
    let shares =
        |by: fn(&ReadFigures) -> Duration| share(by(&proof).as_secs_f64(), by(&vote).as_secs_f64());
    let ratio = vec![
        "proofs, of votes".to_owned(),
        shares(|f| f.latency),
        share(proof.rate, vote.rate),
        shares(|f| f.median),
        shares(|f| f.slow),
        shares(|f| f.own),
    ];
    let head = [
        "2 of 3 providers, anvil on the same cores",
        "alone: median",
        "certificates",
        "median",
        "p99",
        "operators' CPU each",
    ];
    let rows = [row("by vote", &vote), row("by proof", &proof), ratio];
    table("Reads by vote and by proof", &head, &rows);
    Ok(())
}

async fn measure(options: &BenchOptions, reads: Reads) -> Result<ReadFigures> {
    let (network, questions) = network(NetworkOptions {
        source_providers: PROVIDERS,
        reads: Some(reads.to_string()),
        ..quiet()
    })
    .await?;
    let _miner = Miner::start(&network.deployment.source, BLOCK_TIME);
    let latency = one_at_a_time(options, &network, &questions)
        .await?
        .quantile(0.5);
    let clients = clients(&network).await?;
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let next = move || (Instant::now() < until).then(|| questions.next());
    let before = cpu(&network)?;
    let (mut latencies, took) = load(&clients, options.in_flight, next).await?;
    let own = cpu(&network)?.saturating_sub(before);
    #[allow(clippy::cast_precision_loss)]
    let rate = latencies.count() as f64 / took.as_secs_f64();
    Ok(ReadFigures {
        latency,
        rate,
        median: latencies.quantile(0.5),
        slow: latencies.quantile(0.99),
        own: own / u32::try_from(latencies.count().max(1))?,
    })
}

fn cpu(network: &LocalNetwork) -> Result<Duration> {
    network.operators.iter().map(|node| node.cpu()).sum()
}
