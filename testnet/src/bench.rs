//! `make bench`: what the network does on this machine.

mod catchup;
mod double;
mod figures;
mod flood;
mod load;
mod local;
mod proofs;

use anyhow::Result;
use clap::Args;

/// What is measured.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// Requests one at a time, for the latency.
    #[arg(long, default_value_t = 500)]
    pub latency_requests: usize,
    /// Seconds under load.
    #[arg(long, default_value_t = 15)]
    pub seconds: u64,
    /// Requests under way during the load.
    #[arg(long, default_value_t = 64)]
    pub in_flight: usize,
    /// Tasks after which memory is read; before, it is read at the start.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 20_000, 40_000, 90_000])]
    pub memory_tasks: Vec<u64>,
    /// Tasks that a node has missed, for each measurement of the catch-up.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    pub catchup_tasks: Vec<u64>,
    /// Requests per second of honest users during the flood; attackers send ten times the messages that
    /// these cause.
    #[arg(long, default_value_t = 20)]
    pub flood_requests: u64,
    /// Only this part: latency, throughput, proofs, double, memory, catchup or flood.
    #[arg(long)]
    pub only: Option<String>,
}

impl BenchOptions {
    fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

/// Measures, and prints tables.
///
/// # Errors
/// A network that does not start, or a request that fails.
pub async fn run(options: BenchOptions) -> Result<()> {
    if cfg!(debug_assertions) {
        println!("Note: this is a development build; `make bench` builds for release.\n");
    }
    if ["latency", "throughput", "memory"]
        .iter()
        .any(|part| options.wants(part))
    {
        local::run(&options).await?;
    }
    if options.wants("proofs") {
        proofs::run(&options).await?;
    }
    if options.wants("double") {
        double::run(&options).await?;
    }
    if options.wants("catchup") {
        catchup::run(&options.catchup_tasks).await?;
    }
    if options.wants("flood") {
        flood::run(&options).await?;
    }
    Ok(())
}
