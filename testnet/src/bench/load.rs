//! Many requests under way at a time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use quorate_node::client::{Client, StateQuestion};

use super::BenchOptions;
use super::figures::{Latencies, ms, table};

/// Keeps `in_flight` requests under way, spread over all clients, until there is no next question.
/// The times of the requests, and of all together.
pub(super) async fn load(
    clients: &[Client],
    in_flight: usize,
    next: impl Fn() -> Option<StateQuestion> + Clone + Send + 'static,
) -> Result<(Latencies, Duration)> {
    let began = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for client in clients.iter().cycle().take(in_flight) {
        let (client, next) = (client.clone(), next.clone());
        workers.spawn(async move {
            let mut latencies = Latencies::default();
            while let Some(question) = next() {
                let began = Instant::now();
                client.request_state(&question, |_| {}).await?;
                latencies.add(began.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(worker) = workers.join_next().await {
        all.extend(worker.context("a request panicked")??);
    }
    Ok((all, began.elapsed()))
}

/// Asks for as long as the options say, and prints the rate and the times; how many were certified.
pub(super) async fn throughput(
    title: &str,
    options: &BenchOptions,
    clients: &[Client],
    next: impl Fn() -> StateQuestion + Clone + Send + 'static,
) -> Result<usize> {
    let until = Instant::now() + Duration::from_secs(options.seconds);
    let next = move || (Instant::now() < until).then(&next);
    let (mut latencies, took) = load(clients, options.in_flight, next).await?;
    #[allow(clippy::cast_precision_loss)]
    let rate = latencies.count() as f64 / took.as_secs_f64();
    let rows = vec![vec![
        format!(
            "{} requests in flight for {} s",
            options.in_flight, options.seconds
        ),
        format!("{rate:.0}/s"),
        ms(latencies.quantile(0.5)),
        ms(latencies.quantile(0.99)),
    ]];
    table(title, &["", "certificates", "median", "p99"], &rows);
    Ok(latencies.count())
}
